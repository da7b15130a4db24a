"""A reconstructor that costs nothing, with accidents on request: what happens is written in the photo's file name."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.core.errors import FatalError, ItemError
from mmgen.photos.images import Photo, read_image
from mmgen.photos.inputs import InputItem
from mmgen.work.records import Facing, PhotoRecord

Prepared = tuple[InputItem, Photo, tuple[int, int]]


@dataclass(frozen=True)
class FakeResult:
    """Like `mmgen.reconstruction.result.Reconstructed`."""

    asset: Asset
    mask_iou: float
    ssim: float
    mask_source: str
    input_sha256: str
    mask_sha256: str
    notes: tuple[str, ...] = ()
    mask_quality: float | None = None
    person: tuple[int, int] = (1, 1)
    photos: tuple[PhotoRecord, ...] = ()
    facing: Facing = "front"


@dataclass(frozen=True)
class FakeReconstructor:
    """Makes a tetrahedron whose texture is the photo's mean colour.

    File names that contain one of these words: `boom` raises ValueError, `oom` MemoryError, `die` kills its process,
    `once` kills its process the first time (if `marks` is given), `weak` has a MaskIoU of 0.25, `refused` is an
    ItemError, `full` a FatalError. `crowd` shows three people, the second of them `weak`.
    """

    seconds: float = 0.0
    marks: Path | None = None

    def prepare(self, item: InputItem) -> tuple[Prepared, ...]:
        """Read the photo."""
        count = 3 if "crowd" in item.path.name else 1
        return tuple((item, read_image(item.path), (number, count)) for number in range(1, count + 1))

    def reconstruct(self, batch: list[Prepared]) -> Sequence[FakeResult | ItemError]:
        """One tetrahedron each."""
        return [self._one(item, photo, person) for item, photo, person in batch]

    def _one(self, item: InputItem, photo: Photo, person: tuple[int, int]) -> FakeResult | ItemError:
        time.sleep(self.seconds)
        name = item.path.name
        if "boom" in name:
            raise ValueError("no such thing")
        if "oom" in name:
            raise MemoryError
        if "full" in name:
            raise FatalError("out_unwritable", "nothing left", "free space")
        if "die" in name or ("once" in name and self._is_first(name)):
            os.kill(os.getpid(), signal.SIGKILL)
        if "refused" in name:
            return ItemError("mask_empty", f"mask of {name} is empty", "draw one")
        colour = photo.rgb.reshape(-1, 3).mean(axis=0).astype(np.uint8)
        iou = 0.25 if "weak" in name or person == (2, 3) else 0.9 + 0.01 * (person[0] - 1)
        asset = _tetrahedron(f"{item.name} {person}", colour)
        return FakeResult(asset, iou, 0.5, "alpha", photo.sha256, "0" * 64, photo.notes, None, person)

    def _is_first(self, name: str) -> bool:
        if self.marks is None or (self.marks / name).exists():
            return False
        (self.marks / name).touch()
        return True


def _tetrahedron(name: str, colour: np.ndarray) -> Asset:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    face_uv = np.tile(np.array([[0, 0], [1, 0], [0, 1]], np.float32), (4, 1, 1))
    return Asset(name, vertices, faces, face_uv, np.tile(colour, (4, 4, 1)))


def make_photos(folder: Path, names: Sequence[str]) -> None:
    """Small photos, each of its own colour, at `folder/name`."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 40), ((index * 37) % 256, (index * 91) % 256, 7)).save(path)
