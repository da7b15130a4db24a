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


def _first(candidates: Iterator[str]) -> Path | None:
    # Texts, not paths: a photo without a mask asks for some hundred names. `os.path` takes long names without error.
    return next((Path(path) for path in candidates if os.path.isfile(path)), None)


def _beside(photo: Path) -> Iterator[str]:
    start = os.path.join(os.path.dirname(photo), photo.stem)
    for ending in MASK_ENDINGS:
        for suffix in _SUFFIXES:
            yield f"{start}{ending}{suffix}"
    whole = photo.absolute()
    for root in list(whole.parents)[:_MAX_LEVELS_UP]:
        inner = whole.relative_to(root).parent
        for folder in _FOLDERS:
            if os.path.isdir(os.path.join(root, folder)):
                yield from _at(root / folder / inner, photo.name)
        for images, masks in _TREES:
            if root.name == images and root.with_name(masks).is_dir():
                yield from _at(root.with_name(masks) / inner, photo.name)


def _at(folder: Path, name: str) -> Iterator[str]:
    """`a.png` (any image suffix), `a.jpg.png`, `a_mask.png`, and `a_0.24.png`, which names its foreground fraction."""
    if not os.path.isdir(folder):
        return
    stem = PurePath(name).stem
    for base in (stem, name, *(stem + ending for ending in MASK_ENDINGS)):
        for suffix in _SUFFIXES:
            yield os.path.join(folder, f"{base}{suffix}")
    for percent in range(101):
        for text in {f"{percent / 100:.2f}", f"{percent / 100}"}:
            yield os.path.join(folder, f"{stem}_{text}.png")
