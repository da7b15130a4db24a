"""Which texels of a person are upper or lower clothes, and where on this person one ends and the other begins."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmgen.templates import named_template
from recon.skinning import Skin
from recon.template import Template
from recon.texturing.texels import TexelInterpolator

OWN_JOINTS = ("Head", "Neck", "Hand")
ARM_JOINTS = ("Arm", "ForeArm")
"""Ends of joint names. Skin and hair stay the first parent's; arms go with the upper clothes, long or short."""

WAIST = 0.56
"""Height of the waist as a share of the body's height from the soles, where no border between garments is seen."""

BORDER_RANGE = (0.4, 0.64)
"""Heights between which an upper garment may end: from long coats to short tops."""

BORDER_BINS = 24
CLEAR_BORDER = 0.35
"""Share of the colours' variance that a border must explain; below it nothing tells upper from lower clothes."""

SOFTNESS = 0.004
"""Width of the transition at a border, as a share of the body's height: about a texel."""


@dataclass(frozen=True)
class GarmentMap:
    """Parts of the body in texture space, for the texels of a map [Ht, Wt].

    Attributes:
        height: of a texel above the soles, as a share of the body's height.
        arms: share of a texel that moves with the arms, hands not included.
        own: share that moves with head, neck or hands.
    """

    height: Tensor
    arms: Tensor
    own: Tensor

    @cached_property
    def _clothes(self) -> tuple[Tensor, Tensor]:
        """Arms, and everything but skin and hair, with narrow transitions."""
        return _sharp(self.arms), 1 - _sharp(self.own)

    def upper(self, border: float) -> Tensor:
        """[Ht, Wt] share of upper clothes where these end at a height."""
        arms, clothes = self._clothes
        return torch.maximum(torch.sigmoid((self.height - border) / SOFTNESS), arms) * clothes

    def lower(self, border: float) -> Tensor:
        """[Ht, Wt] share of lower clothes and shoes."""
        return (1 - self.upper(border)) * self._clothes[1]

    @cached_property
    def _trunk(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Texels among which borders are sought, and the height bin of each."""
        low, high = BORDER_RANGE
        inside = (self.height > low) & (self.height < high) & (self.arms < 0.5) & (self.own < 0.5)
        texels = np.flatnonzero(inside.numpy())
        bins = (self.height.numpy().reshape(-1)[texels] - low) / (high - low) * BORDER_BINS
        return texels, bins.astype(np.int64).clip(0, BORDER_BINS - 1)

    def border(self, texture: Tensor) -> float:
        """Height at which a person's upper clothes end: where the trunk's colours change most; WAIST if nowhere.

        Args:
            texture: [3, Ht, Wt], 0..1.
        """
        texels, bins = self._trunk
        counts = np.bincount(bins, minlength=BORDER_BINS)
        seen = np.flatnonzero(counts)
        colours = texture.reshape(3, -1).numpy()[:, texels]
        sums = np.stack([np.bincount(bins, channel, BORDER_BINS) for channel in colours], axis=1)
        split = _split(sums[seen] / counts[seen, None], counts[seen])
        low, high = BORDER_RANGE
        return WAIST if split is None else low + (high - low) * int(seen[split]) / BORDER_BINS


def garment_map(template: Template, size: tuple[int, int]) -> GarmentMap:
    """The map of a body; without a skeleton that fits it there are no arms, hands or heads, only heights."""
    texels = TexelInterpolator(template, *size)
    low, high = template.vertices[:, 1].min(), template.vertices[:, 1].max()
    skin = skin_of(template)
    names = [name.removeprefix("Left").removeprefix("Right") for name in skin.names]
    dense = skin.dense()
    shares = [dense[:, [name in wanted for name in names]].sum(dim=1) for wanted in (ARM_JOINTS, OWN_JOINTS)]
    heights = (template.vertices[:, 1] - low) / (high - low)
    values = torch.stack([heights, *(share.to(heights) for share in shares)], dim=1)
    height, arms, own = texels(values[None])[0]
    return GarmentMap(height, arms, own)


def skin_of(template: Template) -> Skin:
    """The mesh's own skeleton, or that of the person template where the mesh has its faces."""
    if template.skin.is_rigid:
        person = named_template("person")
        if person.faces.shape == template.faces.shape and torch.equal(person.faces, template.faces.to("cpu")):
            return person.skin
    return template.skin


def _sharp(share: Tensor) -> Tensor:
    """A share with its transition narrowed to a few texels."""
    return ((share - 0.5) * 8 + 0.5).clamp(0, 1)


def _split(colours: NDArray[np.float64], counts: NDArray[np.int64]) -> int | None:
    """First bin of the upper of two runs whose means explain most of the variance; None where they explain little."""
    weights = counts[:, None] / max(1, counts.sum())
    mean = (weights * colours).sum(axis=0)
    total = float((weights * (colours - mean) ** 2).sum())
    below, share = np.cumsum(weights * colours, axis=0)[:-1], np.cumsum(weights)[:-1, None]
    if total <= 1e-9 or not len(share):
        return None
    between = ((below - share * mean) ** 2 / (share * (1 - share))).sum(axis=1)
    best = int(between.argmax())
    return best + 1 if between[best] >= CLEAR_BORDER * total else None
