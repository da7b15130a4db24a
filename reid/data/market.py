"""Market-1501 and everything in its layout (Zheng et al. 2015)."""

import os
import re
from pathlib import Path

from reid.data.photos import DISTRACTOR, JUNK, Dataset, Photo
from reid.errors import ReidError

NAME = re.compile(
    r"(?P<identity>-1|\d{4,})_c(?P<camera>[1-9]\d*)s(?P<sequence>\d+)_(?P<frame>\d{6})_(?P<box>\d{2})"
    r"(\.jpg|\.png|\.jpg\.png)"
)
"""`0002_c1s1_000451_03.jpg`, for whole base names: a folder called `exp_12_c3` must not become everyone's identity."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"


def looks_like_market(root: Path) -> bool:
    """Whether there is a folder of Market's in it, or in its only sub-folder."""
    return _root(root) is not None


def read_market(root: Path) -> Dataset:
    """List a data set; `root` may also be the folder that holds it.

    Junk (-1) is left out everywhere; distractors (0000) stay in the gallery only.

    Raises:
        ReidError: `market_layout`, `market_name`, `identity_leak` where someone is on both sides.
    """
    found = _root(root)
    if found is None:
        raise ReidError(
            "market_layout",
            f"{root} holds none of {TRAIN}/, {QUERY}/, {GALLERY}/",
            "Give the folder of Market-1501, or of a data set in its layout.",
        )
    train = tuple(photo for photo in _photos(found / TRAIN) if photo.identity != DISTRACTOR)
    query = tuple(photo for photo in _photos(found / QUERY) if photo.identity != DISTRACTOR)
    dataset = Dataset(train, query, _photos(found / GALLERY))
    refuse_leak(dataset)
    return dataset


def refuse_leak(dataset: Dataset) -> None:
    """Raise where an identity is in the training set and in query or gallery.

    Raises:
        ReidError: `identity_leak`.
    """
    tested = {photo.identity for photo in (*dataset.query, *dataset.gallery)} - {DISTRACTOR}
    both = sorted({photo.identity for photo in dataset.train} & tested)
    if both:
        shown = ", ".join(both[:5]) + (" ..." if len(both) > 5 else "")
        raise ReidError(
            "identity_leak",
            f"{len(both)} identities are in the training set and in query or gallery: {shown}",
            "The two sides must not share anyone; move their images to one side.",
        )


def image_names(folder: Path) -> list[str]:
    """Names of the images directly in a folder, sorted; other files, such as Thumbs.db, are passed over."""
    if not folder.is_dir():
        return []
    return sorted(
        name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
    )


def _root(root: Path) -> Path | None:
    if not root.is_dir():
        return None
    inner = sorted(path for path in root.iterdir() if path.is_dir())
    for candidate in (root, *(inner if len(inner) == 1 else ())):
        if any((candidate / name).is_dir() for name in (TRAIN, GALLERY)):
            return candidate
    return None


def _photos(folder: Path) -> tuple[Photo, ...]:
    photos = []
    for name in image_names(folder):
        match = NAME.fullmatch(name)
        if match is None:
            raise ReidError(
                "market_name",
                f"{folder / name} is not named like 0002_c1s1_000451_03.jpg",
                'Rename or remove it, or put images into one folder per identity (data.layout = "folders").',
            )
        if match["identity"] != JUNK:
            camera = int(match["camera"])
            photos.append(Photo(match["identity"], camera, os.fspath(folder / name), group=f"camera {camera}"))
    return tuple(photos)
