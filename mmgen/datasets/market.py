"""Market-1501, as published or as Market-HQ, and everything in its layout."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import IMAGE_SUFFIXES, display_name, photos_among
from mmgen.datasets.structures import Scan, Skip, SourceImage, truth_of, wrong_layout

NAME = re.compile(
    r"(?P<identity>-1|\d{4,})_c(?P<camera>[1-9]\d*)s(?P<sequence>\d+)_(?P<frame>\d{6})_(?P<box>\d{2})"
    r"(\.jpg|\.png|\.jpg\.png)"
)
"""`0002_c1s1_000451_03.jpg`: identity (-1 junk, 0000 distractor), camera, sequence, frame, box. For whole names."""

JUNK, DISTRACTOR = "-1", "0000"

_PUBLISHED = {"bounding_box_train": "train", "bounding_box_test": "gallery", "query": "query"}
_UPSCALED = {"train_all": "train", "gallery": "gallery", "query": "query"}
_EXPECTED = "bounding_box_train/, bounding_box_test/, query/, or Market-HQ's pytorch/train_all/ (or train_all/), query/"


def scan(source: Path) -> Scan:
    """List a data set in one of the two layouts; `source` may also be the folder that holds it.

    Junk images (-1) are left out, distractors (0000) stay in the gallery. `gt_bbox`, `multi-query` and other folders
    are passed over.

    Raises:
        FatalError: `dataset_layout`; `identity_leak` where someone is in the training set and in query or gallery.
    """
    root, folders = _find(source)
    images: list[SourceImage] = []
    skips: list[Skip] = []
    for folder, split in sorted(folders.items()):
        for path in _image_files(root / folder):
            entry = _entry(root, path, split)
            (images if isinstance(entry, SourceImage) else skips).append(entry)  # type: ignore[arg-type]
    _refuse_leak(images)
    missing = sorted({"train", "gallery", "query"} - {image.split for image in images})
    notes = tuple(f"there are no {split} images" for split in missing)
    return Scan(tuple(sorted(images, key=lambda image: image.relative)), tuple(skips), notes)


def parse_name(name: str) -> tuple[str, int] | None:
    """(identity, camera) of a file name; None for any other name."""
    match = NAME.fullmatch(name)
    return (match["identity"], int(match["camera"])) if match else None


def _find(source: Path) -> tuple[Path, dict[str, str]]:
    try:
        inner = sorted(path for path in source.iterdir() if path.is_dir())
    except OSError as error:
        raise wrong_layout(display_name(source), _EXPECTED) from error
    for root in (source, *inner):
        published = {name: split for name, split in _PUBLISHED.items() if (root / name).is_dir()}
        if "bounding_box_train" in published or "bounding_box_test" in published:
            return root, published
        for prefix in ("pytorch/", ""):
            upscaled = {prefix + name: split for name, split in _UPSCALED.items() if (root / (prefix + name)).is_dir()}
            if prefix + "train_all" in upscaled:
                return root, upscaled
    raise wrong_layout(display_name(source), _EXPECTED)


def _image_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(photos_among(names)):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(parent) / name


def _entry(root: Path, path: Path, split: str) -> SourceImage | Skip:
    relative = path.relative_to(root).as_posix()
    parsed = parse_name(path.name)
    if parsed is None:
        error = ItemError(
            "market_name",
            f"{display_name(relative)} is not named like 0002_c1s1_000451_03.jpg",
            "Rename it, or use `mmgen prepare folder`.",
        )
        return Skip.failed(display_name(relative), split, error)
    identity, camera = parsed
    if identity == JUNK:
        return Skip(relative, split, "filtered", "junk", f"{relative} is marked as junk (-1)", "Nothing to do.")
    return SourceImage(path, relative, split, identity, camera, truth=truth_of(root, relative))


def _refuse_leak(images: list[SourceImage]) -> None:
    trained = {image.identity for image in images if image.split == "train"}
    tested = {image.identity for image in images if image.split != "train" and image.identity != DISTRACTOR}
    both = sorted(str(identity) for identity in trained & tested)
    if both:
        shown = ", ".join(both[:5]) + (" ..." if len(both) > 5 else "")
        raise FatalError(
            "identity_leak",
            f"{len(both)} identities are in the training set and in query or gallery: {shown}",
            "The two sides must not share anyone; move their images to one side.",
        )
