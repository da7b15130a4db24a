"""Which photos take part: shares of the identities, thresholds on virtual people, and who may descend from whom."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reid.data.photos import Photo, identities
from reid.errors import ReidError


def identity_subset(photos: Sequence[Photo], share: float, seed: int) -> frozenset[str]:
    """A random share of the identities, at least two; the smaller shares of one seed are parts of the larger.

    Args:
        share: 0..1, 0 excluded.
        seed: random seed of the draw; the same for every arm of a comparison.
    """
    names = identities(photos)
    order = np.random.default_rng((seed, 71)).permutation(len(names))
    count = max(2, math.ceil(share * len(names)))
    return frozenset(names[index] for index in order[:count])


def of_identities(photos: Sequence[Photo], chosen: frozenset[str]) -> tuple[Photo, ...]:
    """Real photos of these people, and virtual people of whom every parent is one of them."""
    return tuple(
        photo
        for photo in photos
        if (chosen.issuperset(photo.parents) if photo.kind == "virtual" else photo.identity in chosen)
    )


def good_enough(
    photos: Sequence[Photo], lowest: Mapping[str, float], highest: Mapping[str, float]
) -> tuple[Photo, ...]:
    """Real photos, and virtual people whose scores lie within the limits.

    Args:
        lowest: score name to the least allowed value.
        highest: score name to the largest allowed value.

    Raises:
        ReidError: `score_unknown`, where a virtual photo has no such score.
    """
    return tuple(photo for photo in photos if photo.kind == "real" or _passes(photo, lowest, highest))


def _passes(photo: Photo, lowest: Mapping[str, float], highest: Mapping[str, float]) -> bool:
    for name in (*lowest, *highest):
        if name not in photo.quality:
            known = ", ".join(sorted(photo.quality)) or "none"
            raise ReidError("score_unknown", f"{photo.name} has no score {name!r}", f"Scores there are: {known}.")
    return all(photo.quality[name] >= value for name, value in lowest.items()) and all(
        photo.quality[name] <= value for name, value in highest.items()
    )


def refuse_tested_parents(virtual: Sequence[Photo], allowed: frozenset[str]) -> None:
    """Raise where virtual people descend from anyone outside the training set.

    Raises:
        ReidError: `parent_leak`.
    """
    outside = sorted({parent for photo in virtual for parent in photo.parents} - allowed)
    if outside:
        shown = ", ".join(outside[:5]) + (" ..." if len(outside) > 5 else "")
        raise ReidError(
            "parent_leak",
            f"virtual people descend from {len(outside)} identities that are not in the training set: {shown}",
            "Make the shards from the training images of this data set.",
        )
