"""Whose outlines are these? Refuses what cannot be, tells people apart, drops the rest and says so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import ItemError

THRESHOLD = 128
MIN_AREA_FRACTION = 0.002
MIN_HEIGHT_PX = 12
MAX_AREA_FRACTION = 0.98

_INVERTED_BORDER = 0.7
_SPECK = 0.01
_ABOVE_EACH_OTHER = 0.5
_NEAR = 0.04
_LIMB_HEIGHT = 0.6

_PERSON_HEIGHT = 0.5
"""Another person beside the main one is at least this share of their height,"""
_PERSON_AREA = 0.2
"""and has this share of their area;"""
_PERSON_SHAPE = (1.2, 7.0)
"""stands, and is no pole: height over width;"""
_PERSON_FILL = 0.2
"""fills this share of their own box;"""
_PERSON_AT_EDGE = 0.1
"""and is cut off by the photo's left or right edge over no more than this share of their height."""
_LEAST_PERSON_PX = 32
_WIDE = 1.1
"""Width over height from which an outline may be that of several people."""


@dataclass(frozen=True)
class CleanMask:
    """A mask with one person in it.

    Attributes:
        mask: uint8 [H, W]; 0 beyond two pixels around the parts that were kept.
        area_fraction: share of pixels at or above `THRESHOLD`.
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

    @property
    def width(self) -> int:
        return self.right - self.left


def clean_mask(values: NDArray[np.uint8], name: str) -> CleanMask:
    """Check a mask and keep its main person.

    Kept are the largest part and the parts that belong to it: those above or below it (a pole or a bag cuts a person in
    two), and small ones close beside it (a hand). Another person beside the main one is dropped, with a note.

    Args:
        values: uint8 [H, W], 255 = person.

    Raises:
        ItemError: `mask_empty`, `mask_full`, `mask_inverted`, `mask_too_small`.
    """
    labels, groups = _grouped(values, name)
    return _cleaned(values, labels, groups, groups[:1])[0]


def clean_people(values: NDArray[np.uint8], name: str) -> tuple[CleanMask, ...]:
    """Check a mask and tell its people apart: the main one, as `clean_mask` keeps it, and who else is whole.

    Everyone else has to stand, to be of a size with the main person, and not to be cut off by the photo's left or right
    edge. What is not is dropped, with a note.

    Args:
        values, name: as for `clean_mask`.

    Returns:
        From left to right.

    Raises:
        ItemError: as from `clean_mask`, about the main person.
    """
    labels, groups = _grouped(values, name)
    others = [group for group in groups[1:] if _is_person(group, groups[0], labels)]
    people = sorted([groups[0], *others], key=lambda group: _box(group).left + _box(group).right)
    return _cleaned(values, labels, groups, people)


def _grouped(values: NDArray[np.uint8], name: str) -> "tuple[NDArray[np.integer[Any]], list[list[_Part]]]":
    """Labels of the parts, and the parts without specks in groups that belong together, the main person's first."""
    from scipy.ndimage import label

    person = values >= THRESHOLD
    _refuse_impossible(person, name)
    labels, _ = label(person, np.ones((3, 3)))
    parts = sorted(_parts(labels), key=lambda part: (-part.area, part.index))
    groups = _groups([part for part in parts if part.area >= _SPECK * parts[0].area])
    _refuse_small(groups[0], person.size, name)
    return labels, groups


def _groups(parts: list[_Part]) -> list[list[_Part]]:
    """Parts, largest first, as one group per person: each time the largest that is left, and what belongs to it."""
    groups = []
    while parts:
        main = parts[0]
        groups.append([part for part in parts if part is main or _belongs(part, main)])
        parts = [part for part in parts if part not in groups[-1]]
    return groups


def _is_person(group: list[_Part], main: list[_Part], labels: NDArray[np.integer[Any]]) -> bool:
    box, main_box = _box(group), _box(main)
    lowest, highest = _PERSON_SHAPE
    if box.height < max(_PERSON_HEIGHT * main_box.height, _LEAST_PERSON_PX) or box.area < _PERSON_AREA * main_box.area:
        return False
    if not lowest <= box.height / box.width <= highest or box.area < _PERSON_FILL * box.height * box.width:
        return False
    indices = [part.index for part in group]
    at_edge = max(np.isin(labels[:, column], indices).sum() for column in (0, -1))
    return bool(at_edge <= _PERSON_AT_EDGE * box.height)


def _box(group: list[_Part]) -> _Part:
    """Box and area of a group, as one part."""
    return _Part(
        group[0].index,
        sum(part.area for part in group),
        min(part.top for part in group),
        min(part.left for part in group),
        max(part.bottom for part in group),
        max(part.right for part in group),
    )


def _cleaned(
    values: NDArray[np.uint8], labels: NDArray[np.integer[Any]], groups: list[list[_Part]], kept: list[list[_Part]]
) -> tuple[CleanMask, ...]:
    parts = sum(map(len, groups))
    dropped = parts - sum(map(len, kept))
    notes: tuple[str, ...] = (f"{dropped} of {parts} parts dropped: other people?",) if dropped else ()
    if any(_box(group).width > _WIDE * _box(group).height for group in kept):
        notes += ("an outline is wider than high: people who touch are taken for one",)
    people = []
    for group in kept:
        keep = np.isin(labels, [part.index for part in group])
        around = _grown(keep) & (keep | (values < THRESHOLD))  # soft edges, and not the next person's outline
        mask = np.where(around, values, np.uint8(0))
        people.append(CleanMask(mask, float(np.count_nonzero(keep)) / keep.size, parts, notes))
    return tuple(people)


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


def _parts(labels: NDArray[np.integer[Any]]) -> list[_Part]:
    from scipy.ndimage import find_objects

    areas = np.bincount(labels.ravel())
    return [
        _Part(index, int(areas[index]), rows.start, columns.start, rows.stop, columns.stop)
        for index, (rows, columns) in enumerate(find_objects(labels), start=1)
    ]


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
