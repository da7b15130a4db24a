"""Folders of published re-id data sets: which folder is which part, and what a file name says.

Market-1501 (Zheng et al. 2015), DukeMTMC-reID (Zheng et al. 2017) and CUHK03-np (Zhong et al. 2017) share their
folders, Market-HQ and VeRi-776 (Liu et al. 2016) have others, MSMT17 (Wei et al. 2018) has lists. A regular expression
of the user's own reads any other names.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reid.errors import ReidError

Part = Literal["train", "query", "gallery"]
Cameras = Literal["names", "none"]

DISTRACTOR = "0000"
"""Identity of gallery images of nobody: they stay in the ranking and are never right."""

JUNK = "-1"
"""Identity of images that take part in nothing."""

QUERY_CAMERA, OTHER_CAMERA = 1, 2
"""Without cameras, query and gallery count as two: otherwise the junk rule would leave no right answer."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_SUFFIX = r"(?i:\.jpe?g|\.png|\.jpg\.png)"
NAMES = tuple(
    re.compile(pattern + _SUFFIX)
    for pattern in (
        r"(?P<identity>-1|\d{4,})_c(?P<camera>[1-9]\d*)s\d+_\d{6}_\d{2}",  # Market-1501: 0002_c1s1_000451_03.jpg
        r"(?P<identity>\d{4,})_c(?P<camera>[1-9]\d*)_f\d{7}",  # DukeMTMC-reID: 0001_c2_f0046182.jpg
        r"(?P<identity>\d{4,})_c(?P<camera>[1-9]\d*)_\d{1,4}",  # CUHK03-np: 0001_c1_1.png
        r"(?P<identity>\d{4,})_c(?P<camera>\d{3})_\d{8}_\d",  # VeRi-776: 0001_c001_00016450_0.jpg
    )
)
"""For whole base names: a folder called `exp_12_c3` must not become everyone's identity."""

_MARKET: dict[str, Part] = {"bounding_box_train": "train", "bounding_box_test": "gallery", "query": "query"}
_VERI: dict[str, Part] = {"image_train": "train", "image_test": "gallery", "image_query": "query"}
_UPSCALED: dict[str, Part] = {"train_all": "train", "gallery": "gallery", "query": "query"}
_PLAIN: dict[str, Part] = {"train": "train", "test": "gallery", **_UPSCALED}
EXPECTED = "bounding_box_train/, bounding_box_test/ and query/, VeRi's image_train/, Market-HQ's train_all/, or MSMT17"

MSMT_LISTS: dict[str, tuple[Part, str]] = {
    "list_train.txt": ("train", "train"),
    "list_query.txt": ("query", "test"),
    "list_gallery.txt": ("gallery", "test"),
}
"""Part and folder of each list. `list_val.txt` has the people of the training list and is left out, as is usual."""

_MSMT_NAME = re.compile(r"(?:[^/]+/)*\d+_\d+_(?P<camera>\d+)_[^/]+" + _SUFFIX)
_MSMT_TEST_PEOPLE = 5000
"""MSMT17 numbers its training and its test people from 0 each; ours are 0001.. and 5001.."""


@dataclass(frozen=True)
class Entry:
    """One image file of a data set.

    Attributes:
        relative: below the data set folder, with forward slashes.
        part: which part of the data set.
        identity: text; None where the file name cannot be read.
        camera: number from 1; 0 where the name cannot be read.
    """

    path: Path
    relative: str
    part: Part
    identity: str | None
    camera: int


@dataclass(frozen=True)
class Layout:
    """A data set folder, and its images sorted by `relative`."""

    root: Path
    entries: tuple[Entry, ...]


def compiled_pattern(text: str) -> re.Pattern[str]:
    """A user's regular expression for whole file names.

    Raises:
        ReidError: `pattern_invalid`: no regular expression, or without the groups `identity` and `camera`.
    """
    try:
        pattern = re.compile(text)
        if missing := {"identity", "camera"} - set(pattern.groupindex):
            raise re.error(f"it has no group {' and '.join(sorted(missing))}")
    except re.error as error:
        example = r"(?P<identity>\d+)_cam(?P<camera>\d+)_.*\.png"
        raise ReidError("pattern_invalid", f"pattern {text!r}: {error}", f"Such as {example}") from error
    return pattern


def find_layout(source: Path, pattern: str = "") -> Layout | None:
    """The images of a data set in one of the known layouts; None where there is none.

    Args:
        source: the data set folder, or the folder that holds it.
        pattern: a regular expression for whole file names with the groups `identity` and `camera`; empty: the published
            names. With it, folders called train, query, gallery or test count as well, and without any such folder all
            images are training images.

    Raises:
        ReidError: `pattern_invalid`, `list_invalid`.
    """
    names = (compiled_pattern(pattern),) if pattern else NAMES
    inner = sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
    for root in (source, *inner):
        if not pattern and (root / "list_train.txt").is_file():
            return Layout(root, tuple(sorted(_listed(root), key=lambda entry: entry.relative)))
        folders = _folders(root, bool(pattern))
        if folders:
            return _walked(root, folders, names)
    return _walked(source, {"": "train"}, names) if pattern and source.is_dir() else None


def refuse_leak(trained: Iterable[str], tested: Iterable[str]) -> None:
    """Raise where a person is in the training set and in query or gallery; distractors and junk are nobody.

    Raises:
        ReidError: `identity_leak`.
    """
    both = sorted((set(trained) & set(tested)) - {DISTRACTOR, JUNK})
    if both:
        shown = ", ".join(both[:5]) + (" ..." if len(both) > 5 else "")
        raise ReidError(
            "identity_leak",
            f"{len(both)} identities are in the training set and in query or gallery: {shown}",
            "The two sides must not share anyone; move their images to one side.",
        )


def image_names(names: Iterable[str]) -> list[str]:
    """Names of images, sorted; other files, such as Thumbs.db, are passed over."""
    return sorted(name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."))


def _folders(root: Path, with_pattern: bool) -> dict[str, Part]:
    """Folders with images and their parts; a layout needs training or gallery images."""
    for known in (_MARKET, _VERI, *([_PLAIN] if with_pattern else [])):
        found = {name: part for name, part in known.items() if (root / name).is_dir()}
        if set(found.values()) - {"query"}:
            return found
    for prefix in ("pytorch/", ""):
        found = {prefix + name: part for name, part in _UPSCALED.items() if (root / (prefix + name)).is_dir()}
        if prefix + "train_all" in found:
            return found
    return {}


def _walked(root: Path, folders: dict[str, Part], names: tuple[re.Pattern[str], ...]) -> Layout:
    entries = []
    for folder, part in folders.items():
        for parent, _, files in os.walk(root / folder):
            for name in image_names(files):
                if _is_mask(name, files):
                    continue
                path = Path(parent) / name
                entries.append(Entry(path, path.relative_to(root).as_posix(), part, *parsed_name(name, names)))
    return Layout(root, tuple(sorted(entries, key=lambda entry: entry.relative)))


def parsed_name(name: str, patterns: tuple[re.Pattern[str], ...] = NAMES) -> tuple[str | None, int]:
    """Identity and camera of a file name; (None, 0) of a name that no pattern reads."""
    for pattern in patterns:
        match = pattern.fullmatch(name)
        if match and match["identity"] and match["camera"].isdecimal():
            return match["identity"], int(match["camera"])
    return None, 0


def _is_mask(name: str, files: list[str]) -> bool:
    """Whether it is `a_mask.png` or `a.mask.png` of a photo `a.jpg` beside it."""
    stem = Path(name).stem
    return stem[-5:] in ("_mask", ".mask") and any(Path(other).stem == stem[:-5] for other in files)


def _listed(root: Path) -> Iterator[Entry]:
    """MSMT17: lines of a path below train/ or test/ and a number of the person."""
    for name, (part, folder) in MSMT_LISTS.items():
        if not (root / name).is_file():
            continue
        for number, line in enumerate((root / name).read_text("utf-8").splitlines(), start=1):
            inner, _, label = line.rpartition(" ")
            match = _MSMT_NAME.fullmatch(inner)
            if match is None or ".." in inner.split("/") or not label.isdecimal():
                where = f"{root / name}, line {number}"
                raise ReidError("list_invalid", f"{where}, is no path and number", "Copy the list again.")
            first = 1 if part == "train" else _MSMT_TEST_PEOPLE + 1
            relative = f"{folder if (root / folder).is_dir() else f'mask_{folder}_v2'}/{inner}"
            yield Entry(root / relative, relative, part, f"{int(label) + first:04d}", int(match["camera"]))
