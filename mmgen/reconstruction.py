"""Photos to assets: read, cut out the person, fit the template through the renderer, texture it from the photo.

There is no learned prior here: the front is what the photo shows, depth and the unseen side are guesses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.crops import CropBox, apply_crop, person_crop
from mmgen.errors import ItemError
from mmgen.images import read_image
from mmgen.inputs import InputItem
from mmgen.job import options_digest
from mmgen.listing import display_name
from mmgen.masks import MaskResult, MaskSource, find_mask
from mmgen.templates import named_template, template_digest
from mmgen.version import __version__
from recon.fitting import FitConfig, SurfaceSmoother, fit_silhouette
from recon.metrics import mask_iou, ssim
from recon.render import render
from recon.structures import Camera, TexturedMesh
from recon.texturing import BakedTexture, TexelMap, bake_texture, map_texels, push_pull

FIT_SIZE = (256, 128)
"""Height and width of the silhouettes that are fitted, pixels."""

MEASURE_SIZE = (128, 64)
"""Height and width at which MaskIoU and SSIM are measured, as published."""

FINEST_CROP = 4
"""Rows of a crop per row of the photo at most; more would only cost time and memory."""

DEFAULT_REFINE_STEPS = 75


@dataclass(frozen=True)
class ReconstructOptions:
    """What a user can choose.

    Attributes:
        texture_size: (height, width), texels.
        height_m: height of the body in the asset.
        height_source: `assumed` or `given`.
        refine_steps: steps through the renderer; 0 stops after the alignment by distances.
        seed: recorded; fitting itself draws no random numbers.
        device: `cpu` or `cuda:N`.
        template: `person`, `ellipsoid`, or the path of a closed mesh.
        masks: `--masks` as typed.
    """

    texture_size: tuple[int, int] = (512, 256)
    height_m: float = 1.70
    height_source: str = "assumed"
    refine_steps: int = DEFAULT_REFINE_STEPS
    seed: int = 0
    device: str = "cpu"
    template: str = "person"
    masks: str = "auto"

    def result_options(self) -> dict[str, Any]:
        """The options that change the bytes, as JSON values."""
        return {
            "texture_size": list(self.texture_size),
            "height_m": self.height_m,
            "height_source": self.height_source,
            "refine_steps": self.refine_steps,
            "seed": self.seed,
            "device": self.device.split(":")[0],
            "template": template_digest(self.template),
        }


@dataclass(frozen=True)
class Prepared:
    """One photo, read and cut out around the person.

    Attributes:
        item: which photo.
        crop: uint8 [h, w, 3] to take colours from; without the background where that would mix in.
        mask: uint8 [h, w] of that crop.
        fit_mask: uint8 [*FIT_SIZE], the silhouette to fit.
        measured_image: uint8 [*MEASURE_SIZE, 3] to compare the result with.
        measured_mask: uint8 [*MEASURE_SIZE] to compare the result with.
        box: what was cut out, in the photo's pixels.
        photo_size: (height, width).
        input_sha256: of the photo's file.
        found: the mask.
        notes: for the record.
    """

    item: InputItem
    crop: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    fit_mask: NDArray[np.uint8]
    measured_image: NDArray[np.uint8]
    measured_mask: NDArray[np.uint8]
    box: CropBox
    photo_size: tuple[int, int]
    input_sha256: str
    found: MaskResult
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reconstructed:
    """One asset and how well it explains its photo."""

    asset: Asset
    mask_iou: float
    ssim: float
    mask_source: str
    input_sha256: str
    mask_sha256: str
    notes: tuple[str, ...]


class Reconstructor:
    """Fits batches of photos. Heavy parts are made at the first batch; a result does not depend on its batch."""

    weights_sha256 = "none"

    def __init__(self, options: ReconstructOptions) -> None:
        self.options = options
        self._masks = MaskSource.parse(options.masks)
        self._fit = FitConfig(render_steps=options.refine_steps)

    @cached_property
    def _template(self) -> Any:
        return named_template(self.options.template).to(self.options.device)

    @cached_property
    def _smoother(self) -> SurfaceSmoother:
        return SurfaceSmoother(self._template, self._fit.smoothing)

    @cached_property
    def _texels(self) -> TexelMap:
        return map_texels(self._template, *self.options.texture_size)

    def prepare(self, item: InputItem) -> Prepared:
        """Read the photo and its mask and cut out the person.

        Raises:
            ItemError: what is wrong with the photo or the mask.
        """
        photo = read_image(item.path)
        found = find_mask(photo, self._masks, item.relative)
        box = person_crop(found.mask, name=f"the mask of {display_name(item.path)}")
        size = _crop_size(box, self.options.texture_size[0])
        width, height = photo.size
        return Prepared(
            item=item,
            crop=apply_crop(_person_only(photo.rgb, found.mask, box, size), box, size),
            mask=apply_crop(found.mask, box, size, beyond="zero"),
            fit_mask=apply_crop(found.mask, box, FIT_SIZE, beyond="zero"),
            measured_image=apply_crop(photo.rgb, box, MEASURE_SIZE),
            measured_mask=apply_crop(found.mask, box, MEASURE_SIZE, beyond="zero"),
            box=box,
            photo_size=(height, width),
            input_sha256=photo.sha256,
            found=found,
            notes=photo.notes + found.notes,
        )

    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        if not batch:
            return []
        template, device = self._template, self.options.device
        fit_masks = torch.stack([_unit(item.fit_mask) for item in batch]).to(device)
        fitted = fit_silhouette((fit_masks > 0.5).float(), template, self._fit, self._smoother)
        with torch.no_grad():
            vertices = template.vertices + fitted.offsets
            return [
                self._asset(item, shape[None], fitted.camera.at(index))
                for index, (item, shape) in enumerate(zip(batch, vertices, strict=True))
            ]

    def _asset(self, item: Prepared, vertices: torch.Tensor, camera: Camera) -> Reconstructed:
        template, device = self._template, self.options.device
        image = _unit(item.crop).permute(2, 0, 1).to(device)
        baked = bake_texture(image, _unit(item.mask).to(device), vertices[0], camera, template, self._texels)
        mesh = TexturedMesh(vertices, template.faces, template.face_uv, baked.texture[None])
        quality = _measure(item, mesh, camera)
        body = vertices[0].cpu().numpy()
        asset = Asset(
            name=item.item.path.stem,
            vertices=_placed(body, self.options.height_m),
            faces=template.faces.cpu().numpy(),
            face_uv=template.face_uv.cpu().numpy(),
            texture=(baked.texture.permute(1, 2, 0) * 255).round().byte().cpu().numpy(),
            provenance=self._provenance(item, camera, baked, quality) | {"placement": placement(body)},
        )
        return Reconstructed(asset, *quality, item.found.source, item.input_sha256, item.found.sha256, item.notes)

    def _provenance(
        self, item: Prepared, camera: Camera, baked: BakedTexture, quality: tuple[float, float]
    ) -> dict[str, Any]:
        options = self.options.result_options()
        on_layout = self._texels.on_layout
        return {
            "version": __version__,
            "input": item.item.name,
            "input_sha256": item.input_sha256,
            "mask_source": item.found.source,
            "mask_sha256": item.found.sha256,
            "mask_quality": item.found.quality,
            "weights_sha256": self.weights_sha256,
            "options": options,
            "options_sha256": options_digest(options),
            "seed": self.options.seed,
            "offsets_source": "fitted to the silhouette; depth is a guess",
            "light": "in the texture",
            "camera": {
                "azimuth_deg": _rounded(camera.azimuth_deg[0]),
                "elevation_deg": _rounded(camera.elevation_deg[0]),
                "distance": _rounded(camera.distance[0]),
                "offset": [_rounded(value) for value in camera.offset[0]],
                "focal": camera.focal,
            },
            "crop_px": {name: round(getattr(item.box, name), 3) for name in ("left", "top", "width", "height")},
            "photo_size_px": list(item.photo_size),
            "height_m": self.options.height_m,
            "height_source": self.options.height_source,
            "mask_iou": round(quality[0], 6),
            "ssim": round(quality[1], 6),
            "seen_fraction": _rounded((baked.seen * on_layout).sum() / on_layout.sum()),
        }


def placement(body: NDArray[np.float32]) -> dict[str, Any]:
    """Where the asset's frame lies in the camera's: `height` of the body and `pivot` [x, y, z], template units."""
    height = float(np.ptp(body[:, 1]))
    pivot = (body - place_on_ground(body, height)).mean(axis=0)
    return {"height": round(height, 6), "pivot": [round(float(value), 6) for value in pivot]}


def _measure(item: Prepared, mesh: TexturedMesh, camera: Camera) -> tuple[float, float]:
    """MaskIoU and SSIM over white at the input view, at the published resolution."""
    device = mesh.vertices.device
    image = _unit(item.measured_image).permute(2, 0, 1)[None].to(device)
    mask = (_unit(item.measured_mask)[None].to(device) > 0.5).float()
    drawn = render(mesh, camera, MEASURE_SIZE)
    likeness = ssim(drawn.image, image * mask[:, None] + 1 - mask[:, None])
    return float(mask_iou(drawn.mask, mask)[0]), float(likeness[0])


def _placed(body: NDArray[np.float32], body_length_m: float) -> NDArray[np.float32]:
    """Metres, feet on the ground; a person who lies is as long, not as high, as others are high."""
    width, height, _ = np.ptp(body, axis=0)
    return place_on_ground(body, body_length_m * min(1.0, float(height / width)))


def _crop_size(box: CropBox, texture_rows: int) -> tuple[int, int]:
    """As fine as the texture, but not much finer than the photo."""
    rows = max(FIT_SIZE[0], min(texture_rows, FINEST_CROP * math.ceil(box.height)))
    return rows + rows % 2, (rows + 1) // 2


def _person_only(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], box: CropBox, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The photo with the person's colours continued into the background, where a crop of `size` enlarges it.

    Enlarging spreads every pixel over its neighbours, and with it the background over the edge of the person.
    """
    if box.height > size[0]:
        return rgb
    rows = slice(max(0, math.floor(box.top)), math.ceil(box.bottom))
    columns = slice(max(0, math.floor(box.left)), math.ceil(box.right))
    trust = (2 * _unit(mask[rows, columns]) - 1).clamp(min=0)
    filled = push_pull(_unit(rgb[rows, columns]).permute(2, 0, 1), trust).permute(1, 2, 0)
    person = rgb.copy()
    person[rows, columns] = (filled * 255).round().clamp(0, 255).byte().numpy()
    return person


def _unit(image: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 to 0..1 float32."""
    return torch.from_numpy(image).float() / 255


def _rounded(value: torch.Tensor) -> float:
    return round(float(value), 6)
