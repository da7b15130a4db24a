"""The file names under which a photo's mask may stand."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from mmgen.core.listing import IMAGE_SUFFIXES, MASK_ENDINGS

_LOWER_SUFFIXES = (".png", *sorted(IMAGE_SUFFIXES - {".png"}))
_SUFFIXES = tuple(spelled for suffix in _LOWER_SUFFIXES for spelled in (suffix, suffix.upper()))
_FOLDERS = ("masks", "mask", "Masks", "Mask", "MASKS", "MASK")
_TREES = (("pytorch", "seg_hmr"), ("JPEGImages", "Seg"), ("JPEGImages", "SegmentationClassAug"))
"""Image folder and mask folder of Market-HQ, of ATR as prepared, and of ATR as published."""

_MAX_LEVELS_UP = 5


def beside(photo: Path) -> Path | None:
    """The mask file of a photo: beside it, in a folder `masks` or `mask` at or above it, or in a known tree."""
    return _first(_beside(photo))


def in_tree(folder: Path, relative: PurePath) -> Path | None:
    """The mask file below `folder` at the place that the photo has below its own root."""
    return _first(_at(folder / relative.parent, relative.name))


def places(photo: Path) -> str:
    """Where `beside` looks, for messages."""
    stem = photo.stem
    return f"{stem}_mask.png or {stem}.mask.png beside it, and masks/{stem}.png"


def _first(candidates: Iterator[Path]) -> Path | None:
    return next(
        (path for path in candidates if os.path.isfile(path)), None
    )  # unlike is_file(), no error for long names


def _beside(photo: Path) -> Iterator[Path]:
    for ending in MASK_ENDINGS:
        for suffix in _SUFFIXES:
            yield photo.with_name(f"{photo.stem}{ending}{suffix}")
    levels = list(photo.absolute().parents)[:_MAX_LEVELS_UP]
    for root in levels:
        inner = photo.absolute().relative_to(root).parent
        for folder in _FOLDERS:
            yield from _at(root / folder / inner, photo.name)
        for images, masks in _TREES:
            if root.name == images and root.with_name(masks).is_dir():
                yield from _at(root.with_name(masks) / inner, photo.name)


def _at(folder: Path, name: str) -> Iterator[Path]:
    """`a.png` (any image suffix), `a.jpg.png`, `a_mask.png`, and `a_0.24.png`, which names its foreground fraction."""
    if not folder.is_dir():
        return
    stem = PurePath(name).stem
    for base in (stem, name, *(stem + ending for ending in MASK_ENDINGS)):
        for suffix in _SUFFIXES:
            yield folder / f"{base}{suffix}"
    for percent in range(101):
        for text in {f"{percent / 100:.2f}", f"{percent / 100}"}:
            yield folder / f"{stem}_{text}.png"
