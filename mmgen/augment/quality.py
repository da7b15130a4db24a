"""Scores of virtual views, stored with every sample; what is too low is decided when training."""

from itertools import pairwise

import torch
from torch import Tensor

BANDS = 12
"""Horizontal slices of a person that are compared between views, head to feet."""

COVERED = 0.5


def view_consistency(person: Tensor, cover: Tensor) -> list[float]:
    """How much every view of one person shows the same clothes: 1 - distance to the mean of all views.

    Each view becomes a profile: the mean colours of 12 equal slices between the person's own top and bottom. The
    distance is the mean absolute difference of profiles, colours in 0..1. A back that was painted with background
    scores low, whatever the silhouette. A view without a person scores 0.

    Args:
        person: [N, 3, H, W] premultiplied colours, 0..1.
        cover: [N, H, W] coverage, 0..1.
    """
    profiles = [_profile(person[index], cover[index]) for index in range(len(person))]
    seen = [profile for profile in profiles if profile is not None]
    if not seen:
        return [0.0] * len(profiles)
    mean = torch.stack(seen).mean(dim=0)
    return [0.0 if one is None else 1 - (one - mean).abs().mean().item() for one in profiles]


def _profile(person: Tensor, cover: Tensor) -> Tensor | None:
    """[3, 12] mean colours from top to bottom; None without a person."""
    rows = torch.nonzero((cover > COVERED).any(dim=1))[:, 0]
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    edges = [top + (bottom - top) * band // BANDS for band in range(BANDS + 1)]
    colours, weights = person.sum(dim=2), cover.sum(dim=1)
    bands = [
        colours[:, first : max(last, first + 1)].sum(dim=1)
        / weights[first : max(last, first + 1)].sum().clamp(min=1e-6)
        for first, last in pairwise(edges)
    ]
    return torch.stack(bands, dim=1)
