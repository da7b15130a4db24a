"""Is this the outline of one person? Refuses what cannot be, keeps the person, drops the rest and says so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from mmgen.errors import ItemError

THRESHOLD = 128
MIN_AREA_FRACTION = 0.002
MIN_HEIGHT_PX = 12
MAX_AREA_FRACTION = 0.98

_INVERTED_BORDER = 0.7
_SPECK = 0.01
_ABOVE_EACH_OTHER = 0.5
_NEAR = 0.04
_LIMB_HEIGHT = 0.6


@dataclass(frozen=True)
class CleanMask:
    """A mask with one person in it.

    Attributes:
        mask: uint8 [H, W]; 0 beyond two pixels around the parts that were kept.
        area_fraction: share of pixels at or above `THRESHOLD`.
        parts: connected parts before cleaning, specks not counted.
        notes: what was dropped.
    """

    mask: NDArray[np.uint8]
    area_fraction: float
    parts: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    index: int
    area: int
    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def clean_mask(values: NDArray[np.uint8], name: str) -> CleanMask:
    """Check a mask and keep its main person.

    Kept are the largest part and the parts that belong to it: those above or below it (a pole or a bag cuts a person in
    two), and small ones close beside it (a hand). Another person beside the main one is dropped, with a note.

    Args:
        values: uint8 [H, W], 255 = person.
        name: how messages call the mask.

    Raises:
        ItemError: `mask_empty`, `mask_full`, `mask_inverted`, `mask_too_small`.
    """
    person = values >= THRESHOLD
    _refuse_impossible(person, name)
    labels = label(person, connectivity=2)
    parts = sorted((_part(region) for region in regionprops(labels)), key=lambda part: (-part.area, part.index))
    main = parts[0]
    large = [part for part in parts if part.area >= _SPECK * main.area]
    kept = [part for part in large if part is main or _belongs(part, main)]
    _refuse_small(kept, person.size, name)
    keep = np.isin(labels, [part.index for part in kept])
    notes = (
        () if len(kept) == len(large) else (f"{len(large) - len(kept)} of {len(large)} parts dropped: other people?",)
    )
    mask = np.where(_grown(keep), values, np.uint8(0))
    return CleanMask(mask, float(np.count_nonzero(keep)) / person.size, len(large), notes)


def _refuse_impossible(person: NDArray[np.bool_], name: str) -> None:
    area = float(person.mean())
    if area == 0:
        raise ItemError("mask_empty", f"{name} marks no person", "Draw the person in white on black.")
    if area > MAX_AREA_FRACTION:
        raise ItemError("mask_full", f"{name} marks {area:.0%} of the photo", "Draw the person in white on black.")
    border = np.concatenate([person[0], person[-1], person[1:-1, 0], person[1:-1, -1]])
    if border.mean() > _INVERTED_BORDER:
        raise ItemError(
            "mask_inverted",
            f"{name} marks {border.mean():.0%} of the photo's border",
            "Invert it: white is the person.",
        )


def _refuse_small(kept: list[_Part], pixels: int, name: str) -> None:
    area = sum(part.area for part in kept)
    height = max(part.bottom for part in kept) - min(part.top for part in kept)
    if area < MIN_AREA_FRACTION * pixels or height < MIN_HEIGHT_PX:
        raise ItemError(
            "mask_too_small",
            f"{name} marks a person {height} pixels high, {area / pixels:.2%} of the photo",
            f"Crop the photo to the person; at least {MIN_HEIGHT_PX} pixels and {MIN_AREA_FRACTION:.1%} are needed.",
        )


def _part(region: object) -> _Part:
    top, left, bottom, right = region.bbox  # type: ignore[attr-defined]
    return _Part(region.label, int(region.area), top, left, bottom, right)  # type: ignore[attr-defined]


def _belongs(part: _Part, main: _Part) -> bool:
    overlap = min(part.right, main.right) - max(part.left, main.left)
    if overlap >= _ABOVE_EACH_OTHER * (part.right - part.left):
        return True
    gap_x = max(-overlap, 0)
    gap_y = max(part.top - main.bottom, main.top - part.bottom, 0)
    return max(gap_x, gap_y) <= _NEAR * main.height and part.height < _LIMB_HEIGHT * main.height


def _grown(keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Two pixels more all around, where soft edges live."""
    grown = keep
    for _ in range(2):
        padded = np.pad(grown, 1)
        grown = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return grown
