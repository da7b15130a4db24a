"""Market-1501 and the other published data sets as photos to train and test with."""

import os
from pathlib import Path

from reid.data.layouts import (
    DISTRACTOR,
    EXPECTED,
    JUNK,
    OTHER_CAMERA,
    QUERY_CAMERA,
    Cameras,
    Layout,
    Part,
    find_layout,
    refuse_leak,
)  # fmt: skip
from reid.data.photos import Dataset, Photo
from reid.errors import ReidError


def read_market(root: Path, pattern: str = "", cameras: Cameras = "names") -> Dataset:
    """List a data set; junk (-1) is left out everywhere, distractors (0000) stay in the gallery only.

    Args:
        root: the data set folder, or the folder that holds it.
        pattern: see `find_layout`.
        cameras: from the file "names", or "none": every gallery image of the same person counts as right.

    Raises:
        ReidError: `market_layout`, `market_name`, `identity_leak` where someone is on both sides; as from
            `find_layout`.
    """
    layout = find_layout(root, pattern)
    if layout is None:
        raise ReidError(
            "market_layout",
            f"{root} holds none of {EXPECTED}",
            "Give the folder of Market-1501, or of a data set in its layout.",
        )
    return dataset_of(layout, cameras)


def dataset_of(layout: Layout, cameras: Cameras = "names") -> Dataset:
    """The photos of a layout; raises as `read_market` does."""
    parts: tuple[Part, Part] = ("train", "query")
    train, query = (_photos(layout, part, (JUNK, DISTRACTOR), cameras) for part in parts)
    dataset = Dataset(train, query, _photos(layout, "gallery", (JUNK,), cameras))
    refuse_leak((photo.identity for photo in train), (photo.identity for photo in (*query, *dataset.gallery)))
    return dataset


def _photos(layout: Layout, part: Part, without: tuple[str, ...], cameras: Cameras) -> tuple[Photo, ...]:
    photos = []
    for entry in layout.entries:
        if entry.part != part or entry.identity in without:
            continue
        if entry.identity is None:
            raise ReidError(
                "market_name",
                f"{entry.path} is not named like 0002_c1s1_000451_03.jpg",
                'Rename it, give a pattern (data.pattern), or one folder per identity (data.layout = "folders").',
            )
        camera, group = entry.camera, f"camera {entry.camera}"
        if cameras == "none":
            camera, group = (QUERY_CAMERA if part == "query" else OTHER_CAMERA), entry.path.name
        photos.append(Photo(entry.identity, camera, os.fspath(entry.path), group=group))
    return tuple(photos)
