"""What the person network learns from, read once: people, clothes without people, objects, avatars."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from mmgen.core.files import write_bytes_atomic
from mmgen.core.listing import list_images
from mmgen.masks import lookup
from mmgen.synth.rigged import Matrices, RiggedPerson
from mmgen.synth.rigged_file import read_rigged
from mmgen.synth.textured import TexturedMesh, shade_faces, vertex_normals, visible_faces

_TALL = 1.75
_CAMERA_DISTANCE = 6.0
"""Metres from the camera to the middle of a person as tall as that; the lens fits."""
_SAMPLES = 2
_AMBIENT, _LAMP = 0.75, 0.25
"""Light from everywhere, and from a lamp beside the lens."""

ROWS = 384
"""Photos are kept at most this high,"""
AVATAR_ROWS = 288
"""and drawn avatars about this high."""

UNKNOWN = float("nan")

_DYED = 0.6
_HAIR = np.array([(214, 184, 130), (190, 150, 95), (160, 115, 80), (205, 160, 135), (150, 75, 40), (200, 195, 190),
                  (120, 115, 110), (70, 48, 35), (28, 24, 22)], np.float64)  # fmt: skip
"""Mean colours that avatars' hair is dyed: hair as light as skin is what backs are taken for fronts by."""

_PRESENT = 0.5
_LEAST_SHARE = 0.01
"""Of a photo's pixels: smaller masks are failures."""


@dataclass(frozen=True)
class Item:
    """One picture of a person, or of none.

    Attributes:
        picture: uint8 [H, W, 4], colours and coverage by the person.
        azimuth_deg: of the camera around the person, 0 from the front; NaN where it is unknown.
        name: whose picture; pictures of one person begin alike.
    """

    picture: NDArray[np.uint8]
    azimuth_deg: float
    name: str

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Top, bottom, left, right of the person, pixels; the whole picture where there is none."""
        person = self.picture[..., 3] >= 128
        rows, columns = np.flatnonzero(person.any(axis=1)), np.flatnonzero(person.any(axis=0))
        if len(rows) == 0:
            return 0, person.shape[0], 0, person.shape[1]
        return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def labelled_people(
    folder: Path, split: str, teacher: Path | None = None, facings: Path | None = None
) -> Iterable[Item]:
    """Photos of a folder with `photos/`, `labels/` (classes, 0 is background) and `split.csv`.

    Args:
        teacher: masks of photos without labels, by name; without it only labelled photos are read.
        facings: CSV with `name`, `azimuth_deg` and `presence` (0..1), as a pose network says.
    """
    azimuths = read_facings(facings) if facings is not None else {}
    for name in read_split(folder, split):
        label = folder / "labels" / f"{name}.png"
        guessed = teacher / f"{name}.png" if teacher is not None else None
        if label.exists():
            mask = np.asarray(Image.open(label)) > 0
        elif guessed is not None and guessed.exists():
            mask = np.asarray(Image.open(guessed).convert("L")) > 127
        else:
            continue
        if np.count_nonzero(mask) < _LEAST_SHARE * mask.size:
            continue
        rgb = read_rgb(folder, name)
        yield Item(_small(np.dstack([rgb, mask.astype(np.uint8) * 255]), ROWS), azimuths.get(name, UNKNOWN), name)


def people_free(folder: Path, split: str) -> Iterable[Item]:
    """Photos of a folder with `photos/` and `split.csv` that show nobody."""
    for name in read_split(folder, split):
        rgb = read_rgb(folder, name)
        yield Item(_small(np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)]), ROWS), UNKNOWN, name)


def loose_pictures(folder: Path) -> Iterable[Item]:
    """All pictures of a folder; nobody is on any of them."""
    for file in list_images([folder]):
        rgb = np.asarray(Image.open(file.path).convert("RGB"))
        yield Item(_small(np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)]), ROWS), UNKNOWN, file.path.stem)


def generated_people(folder: Path) -> Iterable[Item]:
    """Pictures of one split of `mmgen synth`, with masks and true azimuths."""
    root = folder.parent
    for file in list_images([folder]):
        mask = lookup.beside(file.path)
        truth = root / "truth" / file.path.relative_to(root).with_suffix(".npz")
        if mask is None or not truth.exists():
            continue
        rgb = np.asarray(Image.open(file.path).convert("RGB"))
        values = np.asarray(Image.open(mask).convert("L"))
        with np.load(truth) as known:
            azimuth = float(known["azimuth_deg"])
        yield Item(_small(np.dstack([rgb, values]), ROWS), azimuth, file.path.stem)


def drawn_avatars(paths: Sequence[Path], views: int, seed: int) -> Iterable[Item]:
    """Rigged people, each from `views` sides spread evenly round, each time in another pose."""
    for number, path in enumerate(paths):
        person = read_rigged(path)
        generator = np.random.default_rng((seed, number))
        first = generator.uniform(0, 360)
        for view in range(views):
            azimuth = (first + 360 * view / views + 180) % 360 - 180
            wearer = person
            if generator.random() < _DYED:
                wearer = person.with_hair(
                    np.clip(_HAIR[generator.integers(len(_HAIR))] + generator.normal(0, 15, 3), 5, 250)
                )
            picture = draw_rigged(wearer, random_pose(generator), azimuth, float(generator.normal(4, 6)), AVATAR_ROWS)
            yield Item(picture, float(azimuth), f"{path.stem}-{view}")


def random_pose(generator: np.random.Generator) -> Matrices:
    """Arms from hanging to stretched out, elbows and knees a little bent, the head turned."""
    lifts = [0.0, generator.uniform(30, 60), generator.uniform(62, 80)]
    lift = float(generator.choice(lifts, p=[0.12, 0.44, 0.44]))
    pose = {"Head": _turn("yx", generator.normal(0, 14), generator.normal(0, 7)),
            "Spine": _turn("yx", generator.normal(0, 8), generator.normal(0, 4))}  # fmt: skip
    stride = generator.normal(0, 14)
    for side, sign in (("Left", 1), ("Right", -1)):
        swing = generator.normal(0, 12)
        pose[f"{side}Arm"] = _turn("zx", -sign * (lift + generator.normal(0, 4)), swing)
        pose[f"{side}ForeArm"] = _turn("y", -sign * abs(generator.normal(0, 25 if lift else 5)))
        pose[f"{side}UpLeg"] = _turn("xz", -sign * stride - 4, sign * abs(generator.normal(0, 4)))
        pose[f"{side}Leg"] = _turn("x", abs(generator.normal(0, 10)))
    return pose


def read_split(folder: Path, split: str) -> list[str]:
    """Names of a split in the order of `split.csv`."""
    with (folder / "split.csv").open(newline="") as file:
        return [row["name"] for row in csv.DictReader(file) if row["split"] == split]


def read_rgb(folder: Path, name: str) -> NDArray[np.uint8]:
    """A photo of `photos/`."""
    return np.asarray(Image.open(next((folder / "photos").glob(f"{name}.*"))).convert("RGB"))


def read_facings(path: Path) -> dict[str, float]:
    """Azimuths by name, where the pose network saw somebody."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["name"]: float(row["azimuth_deg"]) for row in rows if float(row["presence"]) >= _PRESENT}


def save_items(path: Path, items: Sequence[Item]) -> None:
    """Keep items in one file."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        flat=np.concatenate([item.picture.reshape(-1) for item in items]),
        shapes=np.array([item.picture.shape[:2] for item in items]),
        azimuths=np.array([item.azimuth_deg for item in items]),
        names=np.array([item.name for item in items]),
    )
    write_bytes_atomic(path, buffer.getvalue())


def load_items(path: Path) -> list[Item]:
    """As `save_items` kept them."""
    with np.load(path) as kept:
        flat, shapes = kept["flat"], kept["shapes"]
        azimuths, names = kept["azimuths"], kept["names"]
    ends = np.cumsum(4 * shapes.prod(axis=1))
    return [
        Item(flat[end - 4 * high * wide : end].reshape(high, wide, 4), float(azimuth), str(name))
        for end, (high, wide), azimuth, name in zip(ends, shapes, azimuths, names, strict=True)
    ]


def _small(picture: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= rows:
        return picture
    size = (max(round(width * rows / longest), 1), max(round(height * rows / longest), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _turn(axes: str, *degrees: float) -> NDArray[np.float64]:
    turn = Rotation.from_euler(axes, degrees if len(axes) > 1 else degrees[0], degrees=True)
    return np.asarray(turn.as_matrix())


def draw_rigged(
    person: RiggedPerson, pose: Matrices, azimuth_deg: float, elevation_deg: float, height: int
) -> NDArray[np.uint8]:
    """[height', width', 4] RGBA of a person, cut to their box; `height'` is about `height`.

    Args:
        pose: as for `RiggedPerson.posed`.
        azimuth_deg: azimuth of the camera; 0 sees the front, 90 the person's left side.
        elevation_deg: elevation of the camera; positive looks down.
        height: height of the box, pixels.
    """
    corners = person.posed(pose).vertices
    middle, tall = (corners.max(axis=0) + corners.min(axis=0)) / 2, np.ptp(corners[:, 1])
    turn = Rotation.from_euler("X", elevation_deg, degrees=True) * Rotation.from_euler("Y", -azimuth_deg, degrees=True)
    seen = (corners - middle) @ turn.as_matrix().T * (_TALL / tall)
    side, focal = int(height * 1.25), height * _SAMPLES / _TALL * _CAMERA_DISTANCE
    depth = _CAMERA_DISTANCE - seen[:, 2]
    pixels = side * _SAMPLES / 2 + focal * seen[:, :2] * [1.0, -1.0] / depth[:, None]
    mesh = TexturedMesh(seen, vertex_normals(seen, person.faces), np.ones(len(seen)), person.faces, person.uv,
                        person.face_texture, person.textures)  # fmt: skip
    index, _ = visible_faces(mesh, pixels, depth, side * _SAMPLES, side * _SAMPLES)
    lamps = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, _CAMERA_DISTANCE], [_AMBIENT] * 3, [_LAMP] * 3])
    drawn = shade_faces(mesh, pixels, depth, index, lamps, _SAMPLES)
    drawn[..., :3] /= np.maximum(drawn[..., 3:], 1e-3)
    rows, columns = np.flatnonzero(drawn[..., 3].any(axis=1)), np.flatnonzero(drawn[..., 3].any(axis=0))
    cut = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return (np.clip(cut, 0, 1) * 255 + 0.5).astype(np.uint8)
