"""What a photo teaches: its class, its parents' classes, or nothing but consistency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.data.photos import Photo, identities
from reid.errors import ReidError

VirtualLabels = Literal["classes", "parents", "own", "uniform", "unlabeled"]

NO_PERSON = -1


@dataclass(frozen=True)
class Labels:
    """Targets of N photos.

    Attributes:
        names: identity of every class, sorted; real people only unless virtual people are classes of their own.
        classes: [N, 2] int64 numbers of classes.
        weights: [N, 2] float32 their shares; (1, 0) of a photo with one class, (0, 0) of an unlabeled one.
        person: [N] int64 who it is, for metric losses; -1 takes no part in them.
        is_virtual: [N].
    """

    names: tuple[str, ...]
    classes: NDArray[np.int64]
    weights: NDArray[np.float32]
    person: NDArray[np.int64]
    is_virtual: NDArray[np.bool_]


def make_labels(photos: Sequence[Photo], virtual: VirtualLabels) -> Labels:
    """Number the identities and say what every photo teaches.

    Args:
        virtual: virtual people are "classes" of their own (as published), carry their "parents" classes in the shares
            of their textures, are the one parent whose texture is their "own" (other sides of a real person), spread
            "uniform" over all classes (LSRO, Zheng et al. 2017), or are "unlabeled".

    Raises:
        ReidError: `parent_unknown`, `label_clash`.
    """
    real = identities([photo for photo in photos if photo.kind == "real"])
    made = identities([photo for photo in photos if photo.kind == "virtual"])
    if clash := sorted(set(real) & set(made)):
        raise ReidError(
            "label_clash", f"{clash[0]} is both a real and a virtual identity", "Give virtual people other names."
        )
    names = real + made if virtual == "classes" else real
    number = {name: index for index, name in enumerate(names)}
    classes = np.zeros((len(photos), 2), np.int64)
    weights = np.zeros((len(photos), 2), np.float32)
    person = np.full(len(photos), NO_PERSON, np.int64)
    for row, photo in enumerate(photos):
        if photo.kind == "real" or virtual == "classes":
            classes[row] = person[row] = number[photo.identity]
            weights[row] = (1, 0)
        elif virtual in ("parents", "own"):
            classes[row], weights[row] = _of_parents(photo, number)
        if photo.kind == "virtual" and virtual == "own":
            if weights[row, 0] != 1:
                hint = "Make shards with --mix blend --own-weight 1."
                raise ReidError("not_own", f"{photo.name} wears somebody else's clothes too", hint)
            person[row] = classes[row, 0]
    is_virtual = np.array([photo.kind == "virtual" for photo in photos], bool)
    return Labels(names, classes, weights, person, is_virtual)


def _of_parents(photo: Photo, number: dict[str, int]) -> tuple[list[int], list[float]]:
    unknown = [parent for parent in photo.parents if parent not in number]
    if unknown or len(photo.parents) != 2:
        raise ReidError(
            "parent_unknown",
            f"{photo.name}: its parents {', '.join(photo.parents)} are not two identities of the training set",
            'Use data.virtual_labels = "classes", or the shards made from this training set.',
        )
    return [number[parent] for parent in photo.parents], list(photo.parent_weights)
