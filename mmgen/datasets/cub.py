"""CUB-200-2011: birds, with boxes, classes, the official split and segmentations."""

import math
from pathlib import Path

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import read_regular
from mmgen.core.limits import TEXT_BYTES
from mmgen.core.listing import display_name
from mmgen.datasets.structures import Scan, Skip, SourceImage, wrong_layout
from mmgen.photos.crops import CropBox

MARGIN = 0.10
"""Added to the bird's box on each side, as a share of its width or height."""

MIN_VOTE = 160
"""Segmentations hold the annotators' agreement as grey levels; above this a pixel is bird."""

_TABLES = ("images.txt", "train_test_split.txt", "bounding_boxes.txt", "image_class_labels.txt")


def scan(source: Path) -> Scan:
    """List the images with their boxes; `source` is `CUB_200_2011` or the folder above it.

    Segmentations are taken from `segmentations/` there or beside it. Crops go to `train/<class>/` and `test/<class>/`.

    Raises:
        FatalError: `dataset_layout`; `table_invalid`, naming file and line.
    """
    root = next((path for path in (source, source / "CUB_200_2011") if (path / _TABLES[0]).is_file()), None)
    masks = None if root is None else _folder("segmentations", root)
    if root is None or masks is None or not all((root / name).is_file() for name in _TABLES):
        raise wrong_layout(display_name(source), f"images/, segmentations/, {', '.join(_TABLES)}")
    names, splits, boxes, classes = (_table(root / name) for name in _TABLES)
    images: list[SourceImage] = []
    skips: list[Skip] = []
    for key, (name, *_) in sorted(names.items()):
        if name.startswith("/") or ".." in name.split("/"):
            what = f"{display_name(root / _TABLES[0])} names {display_name(name)}, outside of the data set"
            raise FatalError("table_invalid", what, "Do not trust this copy.")
        try:
            split = {"1": "train", "0": "test"}[splits[key][0]]
            box = _box([float(value) for value in boxes[key]])
            label = classes[key][0]
        except (KeyError, ValueError, IndexError) as error:
            what = f"image {display_name(key)} ({display_name(name)}) has no valid line in every table"
            raise FatalError("table_invalid", f"{display_name(root)}: {what}", "Copy the data set again.") from error
        mask = (masks / name).with_suffix(".png")
        if mask.is_file():
            images.append(SourceImage(root / "images" / name, f"{split}/{name}", split, label, None, mask, box))
        else:
            lost = ItemError("mask_missing", f"{name} has no mask {display_name(mask)}", "Fetch segmentations.tgz.")
            skips.append(Skip.failed(name, split, lost))
    return Scan(tuple(sorted(images, key=lambda image: image.relative)), tuple(skips))


def _folder(name: str, root: Path) -> Path | None:
    return next((path / name for path in (root, root.absolute().parent) if (path / name).is_dir()), None)


def _table(path: Path) -> dict[str, list[str]]:
    """Image number to the other columns."""
    rows: dict[str, list[str]] = {}
    text = read_regular(path, TEXT_BYTES).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, *values = line.split()
        if not values or key in rows:
            raise FatalError(
                "table_invalid", f"{display_name(path)}, line {number}, is no new row", "Copy the data set again."
            )
        rows[key] = values
    return rows


def _box(values: list[float]) -> CropBox:
    left, top, width, height = values
    if not (all(map(math.isfinite, values)) and width > 0 and height > 0):
        raise ValueError("an empty box")
    return CropBox(left - MARGIN * width, top - MARGIN * height, width * (1 + 2 * MARGIN), height * (1 + 2 * MARGIN))
