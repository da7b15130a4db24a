"""Scores of virtual views, stored with every sample; what is too low is decided when training."""

import numpy as np
from numpy.typing import NDArray

BANDS = 12
"""Horizontal slices of a person that are compared between views, head to feet."""

COVERED = 0.5


def view_consistency(person: NDArray[np.float32], cover: NDArray[np.float32]) -> list[float]:
    """How much every view of one person shows the same clothes: 1 - distance to the mean of all views.

    Each view becomes a profile: the mean colours of 12 equal slices between the person's own top and bottom. The
    distance is the mean absolute difference of profiles, colours in 0..1. A back that was painted with background
    scores low, whatever the silhouette. A view without a person scores 0.

    Args:
        person: [N, H, W, 3] colours times coverage, 0..1.
        cover: [N, H, W] coverage, 0..1.
    """
    profiles = [_profile(*pair) for pair in zip(person, cover, strict=True)]
    seen = [profile for profile in profiles if profile is not None]
    if not seen:
        return [0.0] * len(profiles)
    mean = np.mean(seen, axis=0)
    return [0.0 if one is None else 1 - float(np.abs(one - mean).mean()) for one in profiles]


def _profile(person: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """[12, 3] mean colours from top to bottom; None without a person."""
    rows = np.flatnonzero((cover > COVERED).any(axis=1))
    if not len(rows):
        return None
    top, bottom = rows[0], rows[-1] + 1
    sums = np.concatenate((np.einsum("hwc->hc", person), np.einsum("hw->h", cover)[:, None]), axis=1, dtype=np.float64)
    until = np.concatenate((np.zeros((1, 4)), sums.cumsum(axis=0)))
    bands = np.diff(until[top + (bottom - top) * np.arange(BANDS + 1) // BANDS], axis=0)
    return bands[:, :3] / np.maximum(bands[:, 3:], 1e-6)
