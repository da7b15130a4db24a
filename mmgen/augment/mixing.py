"""Textures of virtual people: two people's textures, mixed texel by texel."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmgen.augment.garments import GarmentMap
from mmgen.augment.plan import Outfit, Plan
from mmgen.augment.store import StoreReader

MARGIN = 0.01
"""Height that both garments are kept away from their borders, which are found to about as much."""

BAND = 0.06
"""Height of lower clothes, as a share of the body's, whose colour goes on upwards where upper clothes end too soon."""


def textures(reader: StoreReader, photos: Sequence[int]) -> Tensor:
    """[3, Ht, Wt], 0..1: the mean of the textures of photos."""
    total = np.zeros(reader[photos[0]]["texture"].shape, np.float32)
    for photo in photos:
        total += reader[photo]["texture"]
    return torch.from_numpy(total / np.float32(255 * len(photos)))


def mixed(own: Tensor, partner: Tensor, outfit: Outfit, garments: GarmentMap) -> Tensor:
    """One virtual texture, [3, Ht, Wt]: a blend, or one garment of the second parent on the first.

    Garments change where the giver's upper clothes end; head, hands and hair stay the first parent's.

    Args:
        own: [3, Ht, Wt] of the first parent.
        partner: the same of the second.
        outfit: which parts or shares are whose.
        garments: of the body.
    """
    if outfit.own_weight is not None:
        return outfit.own_weight * own + (1 - outfit.own_weight) * partner
    top, bottom = (partner, own) if outfit.swapped == "upper" else (own, partner)
    end, begin = garments.border(top) + MARGIN, garments.border(bottom) - MARGIN
    band = (garments.lower(begin) > 0.98) & (garments.height > begin - BAND)
    if begin < end and band.any():
        colour = (bottom * band).sum(dim=(1, 2)) / band.sum()
        gap = garments.lower(end) * garments.upper(begin)
        bottom = torch.lerp(bottom, colour[:, None, None], gap)
    upper, lower = garments.upper(end), garments.lower(end)
    return upper * top + lower * bottom + (1 - upper - lower) * own


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
