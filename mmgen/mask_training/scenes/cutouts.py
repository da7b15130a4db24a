"""People cut out of the pictures of a data set, with clean colours up to the edge."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name, list_images
from mmgen.masks import lookup

_EDGE_BLUR_PX = 0.6
_SPILL_PX = 5
"""Spread of the colours that fill what lies far beyond the outline."""


@dataclass(frozen=True)
class Bank:
    """Pictures and cut-outs of one size.

    Attributes:
        pictures: uint8 [N, H, W, 3] as photographed.
        masks: uint8 [N, H, W], 255 = person.
        people: uint8 [N, H, W, 4], colours of the person continued beyond the outline, and soft coverage.
        boxes: int64 [N, 4], first row of the person and the one beyond the last, first column and beyond the last.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    people: NDArray[np.uint8]
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)


def load_bank(folder: Path, size: tuple[int, int], limit: int | None = None) -> Bank:
    """Read every picture below `folder` that has a mask; sorted by name.

    Args:
        folder: as `mmgen synth` or `mmgen prepare` write it, or one of its splits.
        size: height and width to bring everything to.
        limit: at most so many, spread evenly.

    Raises:
        FatalError: `no_cutouts` where no picture has a mask.
    """
    pairs = [(file.path, lookup.beside(file.path)) for file in list_images([folder]) if file.path.suffix != ".json"]
    with_masks = [(photo, mask) for photo, mask in pairs if mask is not None]
    if not with_masks:
        raise FatalError(
            "no_cutouts", f"no picture in {display_name(folder)} has a mask", "Make people with `mmgen synth`."
        )
    if limit is not None and limit < len(with_masks):
        with_masks = [with_masks[index * len(with_masks) // limit] for index in range(limit)]
    height, width = size
    bank = Bank(
        np.empty((len(with_masks), height, width, 3), np.uint8),
        np.empty((len(with_masks), height, width), np.uint8),
        np.empty((len(with_masks), height, width, 4), np.uint8),
        np.empty((len(with_masks), 4), np.int64),
    )
    for index, (photo, mask) in enumerate(with_masks):
        bank.pictures[index] = np.asarray(
            Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        )
        bank.masks[index] = np.asarray(Image.open(mask).convert("L").resize((width, height), Image.Resampling.BILINEAR))
        bank.people[index] = cut_out(bank.pictures[index], bank.masks[index])
        bank.boxes[index] = _box(bank.masks[index])
    return bank


def joined(banks: Sequence[Bank]) -> Bank:
    """All of them as one."""
    return Bank(*(np.concatenate([getattr(bank, part.name) for bank in banks]) for part in fields(Bank)))


def cut_out(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 4]: the person's own colours, from well inside the outline, spread over and beyond its edge; coverage."""
    inside = (mask >= 128).astype(np.uint8)
    core = cv2.erode(inside, np.ones((3, 3), np.uint8))
    colours = cv2.GaussianBlur(picture.astype(np.float32) * core[..., None], (0, 0), 1.5)
    weight = cv2.GaussianBlur(core.astype(np.float32), (0, 0), 1.5)
    spread = colours / np.maximum(weight, 1e-3)[..., None]
    wide = cv2.GaussianBlur(picture.astype(np.float32) * inside[..., None], (0, 0), _SPILL_PX)
    wide = wide / np.maximum(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), _SPILL_PX), 1e-4)[..., None]
    share = np.clip(weight / 0.1, 0, 1)[..., None]
    rgb = np.where(core[..., None] > 0, picture, share * spread + (1 - share) * wide)
    coverage = cv2.GaussianBlur(inside * np.float32(255), (0, 0), _EDGE_BLUR_PX)
    return np.dstack([np.clip(rgb, 0, 255), coverage]).round().astype(np.uint8)


def _box(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((mask >= 128).any(axis=1)), np.flatnonzero((mask >= 128).any(axis=0))
    if len(rows) == 0:
        return 0, mask.shape[0], 0, mask.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
