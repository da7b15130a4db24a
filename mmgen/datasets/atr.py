"""ATR human parsing: `JPEGImages/*.jpg` and 18-class maps in `SegmentationClassAug/*.png`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import read_regular
from mmgen.core.limits import TEXT_BYTES
from mmgen.core.listing import display_name, photos_among
from mmgen.datasets.structures import Scan, Skip, SourceImage, wrong_layout

IMAGES, LABELS = "JPEGImages", "SegmentationClassAug"

_FILLING_ROUNDS = 4
_FILLING_NEIGHBOURS = 5
_SPLITS = ("train", "val", "test")


def scan(source: Path) -> Scan:
    """List the images; `source` is the folder that holds `JPEGImages`, or a folder above it (`humanparsing`).

    Lists `train.txt`, `val.txt`, `test.txt` (or `train_id.txt` ...) beside the image folder, a name per line without
    suffix, make the splits; without any list everything is `train`. Images that no list names are left out.

    Raises:
        FatalError: `dataset_layout`; `split_overlap` where two lists share a name.
    """
    root = next((path for path in (source, *_inner(source)) if (path / IMAGES).is_dir()), None)
    if root is None or not (root / LABELS).is_dir():
        raise wrong_layout(display_name(source), f"{IMAGES}/ and {LABELS}/")
    lists = _read_lists(root)
    images: list[SourceImage] = []
    skips: list[Skip] = []
    names = sorted(photos_among([path.name for path in (root / IMAGES).iterdir()]))
    for name in names:
        split = lists.get(Path(name).stem) if lists else "train"
        relative = f"{IMAGES}/{name}"
        mask = root / LABELS / f"{Path(name).stem}.png"
        if split is None:
            skips.append(Skip(relative, None, "filtered", "unlisted", f"no list names {relative}", "Add it to a list."))
        elif not mask.is_file():
            error = ItemError("mask_missing", f"{relative} has no {LABELS}/{mask.name}", "Copy the data set again.")
            skips.append(Skip.failed(relative, split, error))
        else:
            images.append(SourceImage(root / IMAGES / name, relative, split, mask=mask))
    absent = sorted(set(lists) - {Path(name).stem for name in names})
    skips.extend(_absent(stem, lists[stem]) for stem in absent)
    notes = () if lists else ("there are no lists train.txt, test.txt: everything is train",)
    return Scan(tuple(images), tuple(skips), notes)


def outline(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The published derivation of a person's outline from a class map.

    Every label but 0 is person. Five rounds of "add the 3x3 mean, keep what exceeds 4/9" follow; as the first round
    works on 0 and 255 and the others on 0 and 1, they come to: grow by one pixel; then, four times, fill every pixel
    that has at least five of its eight neighbours set. Pixels beyond the border count as background.

    Args:
        labels: [H, W] class numbers.

    Returns:
        uint8 [H, W], 0 or 255.
    """
    person = _neighbours(labels > 0) + (labels > 0) > 0
    for _ in range(_FILLING_ROUNDS):
        person = person | (_neighbours(person) >= _FILLING_NEIGHBOURS)
    return np.where(person, np.uint8(255), np.uint8(0))


def _neighbours(person: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the eight neighbours are set."""
    from scipy import ndimage

    return ndimage.convolve(person.astype(np.int64), [[1, 1, 1], [1, 0, 1], [1, 1, 1]], mode="constant")


def _inner(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    return sorted(path for pattern in ("*", "*/*") for path in source.glob(pattern) if path.is_dir())


def _read_lists(root: Path) -> dict[str, str]:
    """Name without suffix to split."""
    found: dict[str, str] = {}
    for split in _SPLITS:
        path = next((root / name for name in (f"{split}.txt", f"{split}_id.txt") if (root / name).is_file()), None)
        for line in read_regular(path, TEXT_BYTES).decode("utf-8", "surrogateescape").split() if path else ():
            stem = line.removesuffix(".jpg")
            if found.setdefault(stem, split) != split:
                raise FatalError(
                    "split_overlap",
                    f"{display_name(stem)} is in the lists of {found[stem]} and {split}",
                    "Take it out of one.",
                )
    return found


def _absent(stem: str, split: str) -> Skip:
    error = ItemError(
        "image_missing", f"{split} lists {stem}, but {IMAGES} has no {stem}.jpg", "Copy the data set again."
    )
    return Skip.failed(f"{IMAGES}/{stem}.jpg", split, error)
