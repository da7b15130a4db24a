"""Which photos a run trains on, and which identities it holds out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.datasets.reading import TRAIN, VALIDATION, DataSetPhoto, read_data_set


@dataclass(frozen=True)
class Split:
    """Photos to train on and photos to choose checkpoints by; they share no identity."""

    train: tuple[DataSetPhoto, ...]
    validation: tuple[DataSetPhoto, ...]


def find_photos(root: Path) -> tuple[tuple[DataSetPhoto, ...], tuple[DataSetPhoto, ...]]:
    """Photos with masks of the splits `train` and `val` of a data set folder, sorted by name; test photos are left out.

    Raises:
        FatalError: `no_training_photos`, or as from `read_data_set`.
    """
    photos = [photo for photo in read_data_set(root).photos if photo.mask is not None]
    train, validation = (tuple(photo for photo in photos if photo.split == split) for split in (TRAIN, VALIDATION))
    if not train:
        raise FatalError(
            "no_training_photos",
            f"{display_name(root)} has no training photos with masks",
            "Prepare it with `mmgen prepare`, or make people with `mmgen synth`.",
        )
    return train, validation


def hold_out(photos: Sequence[DataSetPhoto], share: float, fixed: Sequence[DataSetPhoto] = ()) -> Split:
    """Hold a share of the identities out, always the same ones; a photo of nobody known is an identity of its own.

    Args:
        share: share of the identities, 0..1.
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
