"""People in memory: photos of any kind in, meshes with their figures out. docs/python.md shows it all."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.assets.textures import TextureCodec
from mmgen.bundled import required_weights
from mmgen.core.devices import resolve_device
from mmgen.core.errors import ItemError
from mmgen.core.outputs import write_output
from mmgen.masks.finding import find_people, people_of_mask
from mmgen.masks.structures import MaskSource
from mmgen.masks.values import fit_to_photo, mask_values
from mmgen.photos.images import mask_from_memory, photo_from_memory, read_image
from mmgen.photos.inputs import InputItem, UsageError
from mmgen.reconstruction.network import NetworkReconstructor
from mmgen.reconstruction.options import FacingChoice, ReconstructOptions
from mmgen.reconstruction.prepare import Prepared, prepare_photo
from mmgen.reconstruction.result import Reconstructed
from mmgen.work.pool import one_thread

if TYPE_CHECKING:
    import trimesh

ImageLike = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""A path, a Pillow image, or an array [H, W, 3] (RGB) or [H, W, 4] (with opacity), uint8 0..255 or float 0..1."""

MaskLike = ImageLike
"""A path, a Pillow image, or an array [H, W], bool, uint8 or float 0..1, of the photo's size; the person is bright."""

PHOTOS_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Person:
    """One reconstructed person.

    Attributes:
        asset: the textured mesh with its provenance.
        mask: uint8 [H, W] of the upright photo, 255 = this person.
        mask_iou: overlap of the body's soft silhouette with the mask, 0..1.
        ssim: likeness of drawing and photo, at most 1.
        warnings: what to look at before trusting it.
        photo: position of the photo among those that were given.
        number: (k, n): the k-th of n people in the photo, counted from the left, from 1.
        texture_codec: file format of the texture in GLB files.
    """

    asset: Asset
    mask: NDArray[np.uint8]
    mask_iou: float
    ssim: float
    warnings: tuple[str, ...] = ()
    photo: int = 0
    number: tuple[int, int] = (1, 1)
    texture_codec: TextureCodec = "jpeg"

    @property
    def confidence(self) -> float:
        """0..1 how far to trust it; below 0.5 `warnings` say why, and what to do."""
        return float(self.asset.provenance["confidence"])

    @property
    def vertices(self) -> NDArray[np.float32]:
        """[V, 3] metres: +y up, front to +z, feet on y = 0."""
        return self.asset.vertices

    @property
    def faces(self) -> NDArray[np.integer[Any]]:
        """[F, 3] vertex indices, counter-clockwise seen from outside."""
        return self.asset.faces

    @property
    def texture(self) -> NDArray[np.uint8]:
        """[H, W, 3] RGB."""
        return self.asset.texture

    @property
    def camera(self) -> Mapping[str, Any]:
        """The photo's camera: `azimuth_deg` (0 sees the front, positive from the person's left), `elevation_deg`,
        `distance` and `offset` [x, y] in template units (a person is about 1.8 high), and `focal`."""
        camera: Mapping[str, Any] = self.asset.provenance["camera"]
        return camera

    @property
    def facing(self) -> str:
        """`front` where the photo shows the person from the front, else `back`."""
        return str(self.asset.provenance["facing"]["side"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a mesh file in the format of the path's suffix: glb, gltf, obj, ply, stl or usdz; returns the path.

        Raises:
            UsageError: `format_unknown`.
            ItemError, FatalError: the file cannot be written, or the format needs a package that is missing.
        """
        from mmgen.assets.formats import FORMATS, ExportOptions, export_glb
        from mmgen.assets.glb import glb_bytes

        path = Path(path)
        kind = next((one for one in FORMATS if path.suffix.lower() == f".{one}"), None)
        if kind is None:
            what = f"{path.name!r} names no mesh format"
            raise UsageError("format_unknown", what, f"Use one of {', '.join('.' + one for one in FORMATS)}.")
        data = glb_bytes(self.asset, self.texture_codec)
        files = {path.name: data} if kind == "glb" else export_glb(data, path.stem, kind, ExportOptions())
        for name, content in files.items():
            write_output(path.parent / name, content)
        return path

    def render(
        self, azimuth_deg: float = 0.0, elevation_deg: float = 5.0, size: tuple[int, int] = (512, 256)
    ) -> Image.Image:
        """A picture before a plain backdrop.

        Args:
            azimuth_deg: 0 sees the front; positive moves the camera towards the person's left.
            elevation_deg: positive lifts the camera, -89..89.
            size: (height, width), pixels.
        """
        from mmgen.previews.views import render_asset

        return Image.fromarray(render_asset(self.asset, azimuth_deg, size, elevation_deg))

    def to_trimesh(self) -> "trimesh.Trimesh":
        """A `trimesh.Trimesh` with texture; vertices on seams are there once per texture coordinate."""
        import trimesh

        from mmgen.assets.seams import split_wedges, tidy

        split = split_wedges(tidy(self.asset))
        uv = np.column_stack((split.uv[:, 0], 1 - split.uv[:, 1]))  # trimesh counts v upwards
        material = trimesh.visual.material.SimpleMaterial(image=Image.fromarray(self.texture))
        visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
        return trimesh.Trimesh(split.positions, split.faces, vertex_normals=split.normals, visual=visual, process=False)


class Reconstructor:
    """Photos to people, again and again with the same networks, which are loaded at the first photo.

    Args:
        weights: "bundled", or a weights file that `mmgen train` wrote.
        refine: steps that fit each photo further through the renderer; None takes the default of `mmgen reconstruct`.
        device: "auto", "cpu" or "cuda:N".
        masks: where masks come from that are not given, as `--masks` of `mmgen reconstruct`.
        height_m: height m of the people, metres; None assumes 1.70.
        texture_size: (height, width), texels; None goes by each person's height in the photo.
        facing: where all people face: "front" or "back"; "auto" looks at each photo.

    Raises:
        UsageError: `refine_negative`.
        FatalError: the weights or the device cannot be used.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = "bundled",
        *,
        refine: int | None = None,
        device: str = "auto",
        masks: str = "auto",
        height_m: float | None = None,
        texture_size: tuple[int, int] | None = None,
        facing: FacingChoice = "auto",
    ) -> None:
        if refine is not None and refine < 0:
            raise UsageError("refine_negative", f"refine is {refine}", "Give 0 steps or more; None takes the default.")
        self.options = ReconstructOptions(
            texture_size=texture_size,
            refine_steps=refine,
            device=resolve_device(device),
            masks=masks,
            weights=required_weights(weights),
            height_m=ReconstructOptions.height_m if height_m is None else height_m,
            height_source="assumed" if height_m is None else "given",
            facing=facing,
        )
        self._masks = MaskSource.parse(masks)
        self._reconstruct = NetworkReconstructor(self.options)

    def __call__(
        self, images: ImageLike | Sequence[ImageLike], masks: MaskLike | Sequence[MaskLike | None] | None = None
    ) -> list[Person]:
        """Everyone in the photos: photo by photo, in a photo from left to right.

        Args:
            images: one photo or several; see `ImageLike`.
            masks: one per photo; None finds or guesses it, as `masks` of the constructor says.

        Raises:
            UsageError: not one mask per photo.
            ItemError: the first photo or mask that cannot be used, by name or position.
        """
        photos = as_list(images)
        outlines = [None] * len(photos) if masks is None else as_list(masks)
        if len(outlines) != len(photos):
            what = f"{len(outlines)} masks were given for {len(photos)} photos"
            raise UsageError("mask_count", what, "Give one mask per photo; None where there is none.")
        return [
            person
            for start in range(0, len(photos), PHOTOS_AT_ONCE)
            for person in self._some(photos[start : start + PHOTOS_AT_ONCE], outlines[start:], start)
        ]

    def _some(self, photos: Sequence[Any], masks: Sequence[Any], start: int) -> Iterator[Person]:
        people = [
            (start + index, one)
            for index, (image, mask) in enumerate(zip(photos, masks, strict=False))
            for one in self._prepared(image, mask, f"image-{start + index + 1}")
        ]
        with one_thread():  # sums of several threads round differently: the bytes are those of the command line
            results = self._reconstruct.reconstruct([one for _, one in people])
        for (position, prepared), result in zip(people, results, strict=True):
            if isinstance(result, ItemError):
                raise result
            yield _person(result, prepared, position, self.options)

    def _prepared(self, image: Any, mask: Any, name: str) -> tuple[Prepared, ...]:
        """A photo's people cut out; `name` is what pixels without a file are called."""
        is_file = isinstance(image, str | os.PathLike)
        photo = read_image(Path(image)) if is_file else photo_from_memory(image, name)
        if mask is None:
            source = self._masks
            if not is_file and source.kind == "auto":  # pixels have no files beside them
                source = MaskSource("network" if photo.alpha is None else "alpha")
            found = find_people(photo, source, PurePath(photo.path.name))
        elif isinstance(mask, str | os.PathLike):
            found = people_of_mask(photo, Path(mask))
        else:
            title = f"mask of {photo.path.name}"
            values = mask_values(mask_from_memory(mask, f"of {photo.path.name}"), title)
            found = people_of_mask(photo, fit_to_photo(values, photo, title, is_upright=True)[0])
        item = InputItem(photo.path, photo.path.absolute().parent, PurePath(photo.path.name), f"{photo.path.stem}.glb")
        return prepare_photo(item, photo, found, self._reconstruct.predict.framing)


def as_list(values: Any) -> list[Any]:
    """Lists and tuples as lists; anything else, right or wrong, is one photo or mask."""
    return list(values) if isinstance(values, list | tuple) else [values]


def _person(result: Reconstructed, prepared: Prepared, position: int, options: ReconstructOptions) -> Person:
    doubts = tuple(result.asset.provenance.get("doubts", ()))
    return Person(
        asset=result.asset,
        mask=prepared.found.mask,
        mask_iou=result.mask_iou,
        ssim=result.ssim,
        warnings=(*result.notes, *doubts),
        photo=position,
        number=result.person,
        texture_codec=options.texture_codec,
    )
