"""Any data set with one folder per identity: `train/ID/*.jpg`, `query/ID/*.jpg`, `gallery/ID/*.jpg`."""

import os
import re
from pathlib import Path

from reid.data.layouts import JUNK, OTHER_CAMERA, QUERY_CAMERA, Cameras, image_names, refuse_leak
from reid.data.photos import Dataset, Photo
from reid.errors import ReidError

CAMERA = re.compile(r"(?:^|_)c(?P<camera>\d+)(?=[s_.])", re.IGNORECASE)
"""`..._c3_...`, `c12s1_...`: the camera in a file name."""


def read_folders(root: Path, cameras: Cameras = "names") -> Dataset:
    """List a data set.

    Args:
        root: holds `train/`, and `query/` and `gallery/` to test with.
        cameras: from the file "names", or "none": cameras are unknown, and every gallery image of the same person
            counts as right.

    Raises:
        ReidError: `folders_layout`, `camera_unknown`, `identity_leak`.
    """
    if not (root / "train").is_dir() and not (root / "gallery").is_dir():
        raise ReidError(
            "folders_layout",
            f"{root} holds neither train/ nor gallery/",
            "Make train/ID/, query/ID/ and gallery/ID/ with the images of each identity.",
        )
    parts = [
        _photos(root / part, cameras, QUERY_CAMERA if part == "query" else OTHER_CAMERA)
        for part in ("train", "query", "gallery")
    ]
    dataset = Dataset(*parts)
    refuse_leak(*([photo.identity for photo in side] for side in (parts[0], (*parts[1], *parts[2]))))
    return dataset


def _photos(folder: Path, cameras: Cameras, without: int) -> tuple[Photo, ...]:
    if not folder.is_dir():
        return ()
    photos = []
    for identity in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        if identity == JUNK:
            continue
        for name in image_names(os.listdir(folder / identity)):
            camera = without if cameras == "none" else _camera(folder / identity / name)
            group = name if cameras == "none" else f"camera {camera}"
            photos.append(Photo(identity, camera, os.fspath(folder / identity / name), group=group))
    return tuple(photos)


def _camera(path: Path) -> int:
    match = CAMERA.search(path.name)
    if match is None:
        raise ReidError(
            "camera_unknown",
            f"{path} has no camera in its name, such as _c3_",
            'Rename it, or say that cameras are unknown: data.cameras = "none".',
        )
    return int(match["camera"])
