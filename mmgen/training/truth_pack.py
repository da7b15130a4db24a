"""Truth of training photos in the template's terms: cameras, registered shapes, textures; made once, kept in a file.

Photos of one person in one pose share a mesh. Where the truth tells how the template lies on it (as that of `mmgen
synth` does), that is taken; any other mesh is registered once (`recon.fitting.registration`), and nothing is known of
its joints.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import cKDTree
from torch import Tensor

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name
from mmgen.datasets.reading import DataSetPhoto
from mmgen.datasets.truth_file import read_placed_template, read_truth
from mmgen.masks.values import mask_values
from mmgen.photos.decoding import decode_file
from mmgen.photos.images import read_image
from mmgen.templates import named_template
from mmgen.training.packing import whole_file
from mmgen.work.engine import Callbacks, default_workers, into_chunks, run_chunks
from mmgen.work.locks import STATE_FOLDER
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth, photo_gain
from recon.fitting.registration import Registration
from recon.geometry import vertex_normals
from recon.skinning import joint_partners
from recon.structures import DEFAULT_FOCAL
from recon.template import PERSON_HALF_EXTENTS
from recon.texturing.texels import TexelInterpolator

VERSION = 3
TRUTH_FOLDER = "truth"
HEIGHT = 2 * PERSON_HALF_EXTENTS[1]
"""Every person is as high as the template: a photo does not tell a tall one far away from a small one nearby."""

TEXELS = (128, 32)
NORMAL_LENGTH = 0.05
CHUNK_MESHES = 8

PRECISION = 1e-7
"""Of sums of 32-bit products, relative: a mode of less variance is rounding."""


@dataclass(frozen=True)
class TruthPack:
    """What is known about N photos of M meshes.

    Attributes:
        camera: [N, 5] azimuth and elevation in degrees, distance and offset x, y in template units.
        gain: [N, 3] what true colours are multiplied by to be as bright as in the photo.
        mesh: [N] row of the mesh.
        vertices: [M, V, 3] the template on the person, template units; the mean vertex lies at the origin.
        texels: [M, Ht, Wt, 3] uint8 true colours over the texture's layout.
        partners: [V] left/right mirror partners of the template's vertices.
        rest: [M, V + J, 3] vertices and then joints at rest, hips at the origin; [M, 0, 3] where poses are not known.
        rotations: [M, J, 3, 3] of each joint against its parent; [M, 0, 3, 3] where poses are not known.
        joint_partners: [J] mirror partners of the joints.
    """

    camera: NDArray[np.float32]
    gain: NDArray[np.float32]
    mesh: NDArray[np.int64]
    vertices: NDArray[np.float16]
    texels: NDArray[np.uint8]
    partners: NDArray[np.int64]
    rest: NDArray[np.float32]
    rotations: NDArray[np.float32]
    joint_partners: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.mesh)

    @property
    def knows_poses(self) -> bool:
        """Whether rest shapes and rotations are known."""
        return self.rotations.shape[1] > 0

    @property
    def rest_partners(self) -> NDArray[np.int64]:
        """[V + J] mirror partners of the rows of `rest`."""
        return np.concatenate((self.partners, len(self.partners) + self.joint_partners))

    def chosen(self, rows: NDArray[np.int64]) -> "TruthPack":
        """Some of the photos, in that order."""
        return replace(self, camera=self.camera[rows], gain=self.gain[rows], mesh=self.mesh[rows])


def joined_truth(packs: Sequence[TruthPack]) -> TruthPack:
    """Truth of several data sets in a row; poses only where all of them know theirs."""
    first = np.cumsum([0, *(len(pack.vertices) for pack in packs)])
    knows = all(pack.knows_poses for pack in packs)
    kept = slice(None) if knows else slice(0)
    return replace(
        packs[0],
        camera=np.concatenate([pack.camera for pack in packs]),
        gain=np.concatenate([pack.gain for pack in packs]),
        mesh=np.concatenate([pack.mesh + offset for pack, offset in zip(packs, first, strict=False)]),
        vertices=np.concatenate([pack.vertices for pack in packs]),
        texels=np.concatenate([pack.texels for pack in packs]),
        rest=np.concatenate([pack.rest[:, kept] for pack in packs]),
        rotations=np.concatenate([pack.rotations[:, kept] for pack in packs]),
        joint_partners=packs[0].joint_partners[kept],
    )


def mean_shape(shapes: NDArray[Any], partners: NDArray[np.int64]) -> NDArray[np.float64]:
    """[P, 3] mean of shapes [M, P, 3] and their mirror images: what the prototype starts from."""
    mean = shapes.mean(axis=0, dtype=np.float64)
    return (mean + mean[partners] * np.array([-1.0, 1.0, 1.0])) / 2


def principal_modes(shapes: NDArray[Any], partners: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """[K, P, 3] principal components of shapes [M, P, 3] and their mirror images, one standard deviation long each."""
    off = torch.from_numpy((shapes.astype(np.float32) - mean_shape(shapes, partners)).astype(np.float32)).flatten(1)
    covariance = (off.T @ off).double().numpy() / len(off)
    # What the mirror images add is the same matrix with rows and columns exchanged and signs turned.
    places = (3 * partners[:, None] + np.arange(3)).ravel()
    signs = np.tile([-1.0, 1.0, 1.0], len(partners))
    covariance = (covariance + (covariance * signs * signs[:, None])[np.ix_(places, places)]) / 2
    size = len(covariance)
    most = min(count, 2 * len(off), size)
    variances, vectors = eigh(covariance, subset_by_index=(size - most, size - 1))
    kept = np.flatnonzero(variances > variances.max() * PRECISION)[::-1]
    components = vectors[:, kept].T * np.sqrt(variances[kept])[:, None]
    return components.reshape(len(kept), -1, 3).astype(np.float32)


@dataclass(frozen=True)
class MeshOrder:
    """One mesh and the photos that show it: (row, photo, truth file) each."""

    number: int
    photos: tuple[tuple[int, DataSetPhoto, Path], ...]


@dataclass(frozen=True)
class KnownMesh:
    """One mesh in the template's terms, and its photos' cameras; arrays as in `TruthPack`."""

    number: int
    rows: tuple[int, ...]
    camera: NDArray[np.float32]
    gain: NDArray[np.float32]
    vertices: NDArray[np.float16]
    texels: NDArray[np.uint8]
    rest: NDArray[np.float32]
    rotations: NDArray[np.float32]


def pack_truth(
    photos: Sequence[DataSetPhoto], root: Path, template: str, advance: Callable[[], None] = lambda: None
) -> TruthPack:
    """Truth of all photos, from a file that is made where needed.

    Args:
        photos: in the order wanted; `truth/<name>.npz` below the data set folder belongs to each.
        template: name of the template to register.
        advance: called after every photo that is worked on.

    Raises:
        FatalError: `truth_missing`, `truth_unusable`, `pack_unwritable`.
    """
    files = [(root / TRUTH_FOLDER / photo.name).with_suffix(".npz") for photo in photos]
    for photo, file in zip(photos, files, strict=True):
        if not file.is_file():
            raise FatalError(
                "truth_missing",
                f"{photo.name} has no {display_name(file)}",
                "Learn from truth on a data set of `mmgen synth`, or leave truth out of the manifest.",
            )
    path = root / STATE_FOLDER / f"truth-{_key(files, template)}.npz"
    if not path.is_file():
        _save(path, _made(photos, files, template, advance))
    with np.load(path, allow_pickle=False) as arrays:
        return TruthPack(**{name: arrays[name] for name in arrays.files})


def _key(files: Sequence[Path], template: str) -> str:
    digest = hashlib.sha256(repr((VERSION, template)).encode())
    for file in files:
        status = file.stat()
        digest.update(repr((file.name, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()[:16]


def _made(
    photos: Sequence[DataSetPhoto], files: Sequence[Path], template: str, advance: Callable[[], None]
) -> TruthPack:
    orders = _orders(photos, files)
    found: dict[int, KnownMesh] = {}

    def deliver(known: KnownMesh) -> None:
        found[known.number] = known
        for _ in known.rows:
            advance()

    def lost(order: MeshOrder, error: ItemError) -> None:
        raise FatalError("truth_unusable", error.message, error.hint)

    workers = default_workers("cpu")
    chunks = into_chunks(orders, workers, CHUNK_MESHES)
    ending = run_chunks(chunks, partial(Registrar, template), workers, Callbacks(deliver, lost, lambda: None))
    if ending.fatal is not None:
        raise ending.fatal
    if len(found) < len(orders):
        raise KeyboardInterrupt
    meshes = [found[number] for number in range(len(orders))]
    rows = np.concatenate([mesh.rows for mesh in meshes])
    back, base = np.argsort(rows), named_template(template)
    rows_known = min(len(mesh.rest) for mesh in meshes)  # of all meshes or of none
    joints_known = min(len(mesh.rotations) for mesh in meshes)
    return TruthPack(
        np.concatenate([mesh.camera for mesh in meshes])[back],
        np.concatenate([mesh.gain for mesh in meshes])[back],
        np.repeat(np.arange(len(meshes)), [len(mesh.rows) for mesh in meshes])[back],
        np.stack([mesh.vertices for mesh in meshes]),
        np.stack([mesh.texels for mesh in meshes]),
        base.partners.numpy(),
        np.stack([mesh.rest[:rows_known] for mesh in meshes]),
        np.stack([mesh.rotations[:joints_known] for mesh in meshes]),
        np.array(joint_partners(base.skin.names)[:joints_known], np.int64),
    )


def _orders(photos: Sequence[DataSetPhoto], files: Sequence[Path]) -> list[MeshOrder]:
    """Photos by mesh: equal checksums of the archived arrays, which are in the archive's directory."""
    groups: dict[tuple[int, ...], list[tuple[int, DataSetPhoto, Path]]] = {}
    for row, (photo, file) in enumerate(zip(photos, files, strict=True)):
        try:
            with zipfile.ZipFile(file) as archive:
                members = {member.filename: member for member in archive.infolist()}
                key = tuple(members[f"{name}.npy"].CRC for name in ("vertices", "faces"))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise FatalError(
                "truth_unusable", f"truth {display_name(file)} cannot be read: {error}", "Make the data set again."
            ) from error
        groups.setdefault(key, []).append((row, photo, file))
    return [MeshOrder(number, tuple(group)) for number, group in enumerate(groups.values())]


class Registrar:
    """Works through meshes; one per process.

    Args:
        template: name of the template to register.
    """

    def __init__(self, template: str) -> None:
        self._template = named_template(template)
        self._texels = TexelInterpolator(self._template, *TEXELS)

    @cached_property
    def _register(self) -> Registration:
        return Registration(self._template)

    def __call__(self, chunk: Sequence[MeshOrder]) -> Iterator[tuple[int, KnownMesh]]:
        """Yields (position, mesh)."""
        for position, order in enumerate(chunk):
            yield position, self._known(order)

    def _known(self, order: MeshOrder) -> KnownMesh:
        seen = [_Seen.read(photo, file) for _, photo, file in order.photos]
        surface = seen[0].truth.surface
        low, high = surface.vertices.amin(dim=0), surface.vertices.amax(dim=0)
        scale = HEIGHT / float(high[1] - low[1])
        middle = (low + high) / 2
        placed = (surface.vertices - middle) * scale
        known = read_placed_template(order.photos[0][2], len(self._template.vertices), len(self._template.skin.names))
        rest, rotations = np.zeros((0, 3), np.float32), np.zeros((0, 3, 3), np.float32)
        if known is None:
            fitted = self._register(placed, surface.faces, torch.Generator().manual_seed(0))
        else:
            fitted = ((torch.from_numpy(known.posed) - middle) * scale).float()
            rest = (np.concatenate((known.rest, known.joints)) * scale).astype(np.float32)
            rotations = known.rotations.astype(np.float32)
        centre = fitted.mean(dim=0)
        origin = middle + centre.double() / scale
        return KnownMesh(
            number=order.number,
            rows=tuple(row for row, _, _ in order.photos),
            camera=np.array([camera_numbers(one.truth, origin, scale) for one in seen], np.float32),
            gain=np.array([one.gain() for one in seen], np.float32),
            vertices=(fitted - centre).numpy().astype(np.float16),
            texels=self._colours(fitted, placed, surface),
            rest=rest,
            rotations=rotations,
        )

    def _colours(self, fitted: Tensor, placed: Tensor, surface: Surface) -> NDArray[np.uint8]:
        """True colours at the places of the texels, from vertices nearby that face the same way."""
        assert surface.texture is None
        colours = torch.zeros(len(placed), 3)
        colours[surface.faces] = surface.corner_values.float()
        normals = vertex_normals(placed[None].float(), surface.faces)[0]
        tree = cKDTree(torch.cat((placed, NORMAL_LENGTH * normals), dim=1).numpy())
        own_normals = vertex_normals(fitted[None], self._template.faces)[0]
        places = self._texels(torch.cat((fitted, NORMAL_LENGTH * own_normals), dim=1)[None])[0]
        nearest = tree.query(places.flatten(1).T.numpy())[1]
        return (colours[nearest] * 255).round().to(torch.uint8).reshape(*TEXELS, 3).numpy()


@dataclass(frozen=True)
class _Seen:
    """A photo with its truth: image [3, H, W] and mask [H, W], 0..1."""

    truth: Truth
    image: Tensor
    mask: Tensor

    @staticmethod
    def read(photo: DataSetPhoto, file: Path) -> "_Seen":
        rgb = read_image(photo.image).rgb
        mask = mask_values(decode_file(photo.given_mask, kind="mask").image, f"mask of {photo.name}")
        height, width = mask.shape
        truth = read_truth(file, (height, width), (0.0, 0.0, float(width), float(height)))
        image = torch.from_numpy(np.asarray(rgb)).permute(2, 0, 1).float() / 255
        return _Seen(truth, image, torch.from_numpy(np.asarray(mask)).float() / 255)

    def gain(self) -> NDArray[np.float32]:
        """What true colours are multiplied by to be as bright as this photo."""
        return photo_gain(self.truth, self.image, self.mask).numpy()


def camera_numbers(truth: Truth, origin: Float[Tensor, " 3"], scale: float) -> list[float]:
    """A true camera as one of ours that shows a point and what is around it at the same place and size.

    Args:
        truth: any lens, any unit.
        origin: the point that our camera turns around, in the truth's world.
        scale: our units per unit of the truth.

    Returns:
        azimuth, elevation (degrees), distance, offset x, offset y (template units).
    """
    height, width = truth.image_size
    right, up, depth = (truth.world_to_camera[:3, :3] @ origin + truth.world_to_camera[:3, 3]).tolist()
    focal = 2 * float(truth.intrinsics[1, 1]) / height
    distance = -depth * scale * DEFAULT_FOCAL / focal
    axis_x, axis_y = 2 * float(truth.intrinsics[0, 2]) / width - 1, 1 - 2 * float(truth.intrinsics[1, 2]) / height
    x = axis_x * width / height + focal * right / -depth
    y = axis_y + focal * up / -depth
    across = distance / DEFAULT_FOCAL
    return [truth.azimuth_deg, truth.elevation_deg, distance, x * across, y * across]


def _save(path: Path, pack: TruthPack) -> None:
    with whole_file(path) as temp, temp.open("wb") as file:
        np.savez(file, **{field.name: getattr(pack, field.name) for field in fields(pack)})
