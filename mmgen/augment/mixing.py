"""Textures of virtual people: two people's textures, mixed texel by texel."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmgen.augment.plan import Outfit, Plan
from mmgen.augment.store import StoreReader
from recon.template import Template
from recon.texturing.texels import TexelInterpolator

WAIST = 0.56
"""Height of the waist as a share of the body's height from the soles: jackets end above, trousers begin below."""

WAIST_SOFTNESS = 0.015
"""Width of the transition at the waist, as a share of the body's height."""


def textures(reader: StoreReader, photos: Sequence[int]) -> Tensor:
    """[3, Ht, Wt], 0..1: the mean of the textures of photos."""
    total = np.zeros(reader[photos[0]]["texture"].shape, np.float32)
    for photo in photos:
        total += reader[photo]["texture"]
    return torch.from_numpy(total / np.float32(255 * len(photos)))


def upper_share(template: Template, size: tuple[int, int]) -> Tensor:
    """[Ht, Wt] 1 above the waist, 0 below, with a soft edge, for the texels of a map."""
    height = TexelInterpolator(template, *size)(template.vertices[None])[0, 1]
    low, high = template.vertices[:, 1].min(), template.vertices[:, 1].max()
    return torch.sigmoid(((height - low) / (high - low) - WAIST) / WAIST_SOFTNESS)


def mixed(own: Tensor, partner: Tensor, outfit: Outfit, upper: Tensor) -> Tensor:
    """One virtual texture, [3, Ht, Wt].

    Args:
        own: [3, Ht, Wt] of the first parent.
        partner: the same of the second.
        outfit: which parts or shares are whose.
        upper: see `upper_share`.
    """
    if outfit.own_weight is not None:
        return outfit.own_weight * own + (1 - outfit.own_weight) * partner
    return torch.lerp(own, partner, upper if outfit.swapped == "upper" else 1 - upper)


def texture_changes(plan: Plan, reader: StoreReader) -> list[float]:
    """Per candidate pair how much the even mix differs from the first photo's texture.

    The greatest mean square over the colour channels, as published; -1 where a photo is unusable, so that such a pair
    is taken last.
    """
    usable = reader.usable()
    return [
        _change(reader[pair.first]["texture"], reader[pair.second]["texture"])
        if usable[pair.first] and usable[pair.second]
        else -1.0
        for pair in plan.candidates
    ]


def _change(own: NDArray[np.uint8], partner: NDArray[np.uint8]) -> float:
    difference = (partner.astype(np.int32) - own) ** 2
    return float(difference.sum(axis=(1, 2)).max()) / (4 * 255**2 * own[0].size)
