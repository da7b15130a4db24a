"""Which photos a run trains on, and which identities it holds out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.datasets import market
from mmgen.datasets.index import INDEX_NAME, read_index

TRAIN, VALIDATION = "train", "val"
MASKS_FOLDER = "masks"


@dataclass(frozen=True)
class Photo:
    """One photo with its mask.

    Attributes:
        name: path relative to the data set folder.
        image: file.
        mask: file.
        identity: label, or None where unknown.
        clean: whether the prototype may follow it; None where the data set does not say.
    """

    name: str
    image: Path
    mask: Path
    identity: str | None
    clean: bool | None


@dataclass(frozen=True)
class Split:
    """Photos to train on and photos to choose checkpoints by; they share no identity."""

    train: tuple[Photo, ...]
    validation: tuple[Photo, ...]


def find_photos(root: Path) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Photos of the splits `train` and `val` of a data set folder, sorted by name; test photos are never listed.

    Reads `index.jsonl` where `mmgen prepare` wrote one, else the Market-1501 layout with masks/ that `mmgen synth`
    writes.

    Raises:
        FatalError: `dataset_layout`, `index_invalid`, or `no_training_photos`.
    """
    train, validation = _indexed(root) if (root / INDEX_NAME).is_file() else (_laid_out(root), ())
    if not train:
        raise FatalError(
            "no_training_photos",
            f"{display_name(root)} has no training photos with masks",
            "Prepare it with `mmgen prepare`, or make people with `mmgen synth`.",
        )
    return train, validation


def hold_out(photos: Sequence[Photo], share: float, fixed: Sequence[Photo] = ()) -> Split:
    """Hold a share of the identities out, always the same ones; a photo of nobody known is an identity of its own.

    Args:
        photos: training photos.
        share: of the identities, 0..1.
        fixed: photos that the data set itself holds out; nothing else is, then.
    """
    if fixed or share == 0:
        return Split(tuple(photos), tuple(fixed))
    labels = sorted({photo.identity or photo.name for photo in photos})
    random.Random(0).shuffle(labels)
    count = min(max(1, round(share * len(labels))), len(labels) - 1)
    held = set(labels[:count])
    inside = [(photo.identity or photo.name) in held for photo in photos]
    return Split(
        tuple(photo for photo, is_held in zip(photos, inside, strict=True) if not is_held),
        tuple(photo for photo, is_held in zip(photos, inside, strict=True) if is_held),
    )


def _indexed(root: Path) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    index = read_index(root)
    found: dict[str, list[Photo]] = {TRAIN: [], VALIDATION: []}
    for row in index.rows:
        mask = index.mask_path(row)
        if row.split in found and mask is not None:
            found[row.split].append(Photo(row.path, index.image_path(row), mask, row.identity, row.clean))
    return tuple(found[TRAIN]), tuple(found[VALIDATION])


def _laid_out(root: Path) -> tuple[Photo, ...]:
    photos = []
    for image in market.scan(root).images:
        mask = (root / MASKS_FOLDER / image.relative).with_suffix(".png")
        if image.split == TRAIN and mask.is_file():
            photos.append(Photo(image.relative, image.path, mask, image.identity, None))
    return tuple(photos)
