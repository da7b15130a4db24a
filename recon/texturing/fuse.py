"""Several photos of one person to one body: shapes where poses agree, colours from where each photo shows them best.

Every photo is answered on its own first: its own shape under its own camera, so that its colours land where they belong
on the layout, in whatever pose the person stands there. Poses differ between photos, so that a mean of all shapes is
nobody's: arms become short and thick. One photo, the one that most others agree with, says the pose, and the others
have a part in the shape the more, the nearer their own is to it. A photo knows well where things lie across it, and
badly how far away they are; photos from other sides know just that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import world_to_camera
from recon.structures import Camera
from recon.texturing.bake import BakedTexture
from recon.texturing.layout import TexelLayout

_SAME_POSE = 0.04
"""Root mean square vertex distance, template units, at which a shape counts exp(-1). Networks' answers to two photos of
one pose lie 0.036 apart (median), of two poses 0.081."""

_DEPTH_TRUST = 0.1
"""What a photo knows about places along its line of sight, as a share of what it knows across."""

_QUALITY_POWER = 4

_AGREEMENT = 0.1
"""Colour distance (Euclidean, RGB 0..1) from the consensus at which a photo's colour counts exp(-1)."""

_CONSENSUS_ROUNDS = 2
_GUESS_WEIGHT = 0.1
"""Of what a photo does not show, beside 1 for what it shows largest and straight."""

_REFERENCE_WEIGHT = 6.0
"""Of what the reference photo shows: a face is one photo's, not the mean of several."""

_SHARPNESS = 2
"""Exponent of the weights: the higher, the crisper and the more patchy."""

_GAIN_LIMITS = (0.3, 3.0)
_NEVER_ZERO = 1e-6


@dataclass(frozen=True)
class FusedShape:
    """One shape out of several.

    Attributes:
        offsets: [V, 3] from the template.
        reference: index of the photo whose pose it has.
        weights: [N] part of every photo in it, sum 1.
    """

    offsets: Float[Tensor, "V 3"]
    reference: int
    weights: Float[Tensor, " N"]


def fuse_shapes(offsets: Float[Tensor, "N V 3"], cameras: Camera, quality: Float[Tensor, " N"]) -> FusedShape:
    """The shape that the photos of one person have in common, in the pose of one of them.

    Args:
        offsets: one answer per photo.
        quality: how well each answer fits its photo, above 0; MaskIoU.
    """
    trust = quality**_QUALITY_POWER
    flat = offsets.flatten(1)
    apart = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    distance = apart / offsets.shape[1] ** 0.5
    likeness = torch.exp(-(distance / _SAME_POSE).square())
    support = trust * (likeness @ trust)
    reference = max(range(len(offsets)), key=lambda index: float(support[index]))
    weights = likeness[reference] * trust
    weights = weights / weights.sum()
    across = (
        world_to_camera(cameras)[:, :3, :3].to(offsets) * offsets.new_tensor([1.0, 1.0, _DEPTH_TRUST**0.5])[:, None]
    )
    knowledge = weights[:, None, None] * (across.transpose(1, 2) @ across)
    known = torch.einsum("nij,nvj->iv", knowledge, offsets)
    return FusedShape(torch.linalg.solve(knowledge.sum(dim=0), known).T.contiguous(), reference, weights)


class TextureFuser:
    """Fuses textures of one person."""

    def __init__(self, layout: TexelLayout) -> None:
        self._layout = layout

    @torch.no_grad()
    def __call__(self, photos: Sequence[BakedTexture], resolution: Float[Tensor, " N"], reference: int) -> BakedTexture:
        """One texture, in the light of the reference photo; seen is what any photo shows.

        Exposures are made equal by the mean colours of the whole bodies, guessed parts included. A photo counts little
        where its colours are not what the others show or guess there: a bag in front of a leg, a shape that is off.

        Args:
            photos: one finished texture each, what it does not show guessed.
            resolution: resolution of each photo, pixels per length of the body, in any unit.
            reference: index of the photo whose light counts, and whose details win where several are as good.
        """
        layout = self._layout
        colours = torch.stack([layout.at_vertices(photo.texture) for photo in photos])
        means = [photo.mean_colour for photo in photos]
        mean = torch.stack([own.mean(dim=0) if m is None else m for own, m in zip(colours, means, strict=True)])
        mean = mean.clamp(min=0.01)
        gain = (mean[reference] / mean).clamp(*_GAIN_LIMITS)
        colours = colours * gain[:, None]
        detail = (resolution / resolution.max()).square()
        shown = [photo.frontal * part for photo, part in zip(photos, detail, strict=True)]
        trust = _GUESS_WEIGHT + torch.stack([layout.at_vertices(one[None])[:, 0] for one in shown])
        agreement, consensus = _consensus(colours, trust)
        corrections = (consensus - colour for colour in colours)
        total = colours.new_zeros(len(layout.texels), 3)
        weight_sum = colours.new_full((len(layout.texels),), _NEVER_ZERO)
        for index, (photo, correction) in enumerate(zip(photos, corrections, strict=True)):
            at_vertices = torch.cat(
                (layout.diffused(correction, trust[index] * agreement[index]), agreement[index][:, None]), dim=1
            )
            *correction_rows, agreed = layout.over_texels(at_vertices).T
            favoured = shown[index].flatten()[layout.texels] * (_REFERENCE_WEIGHT if index == reference else 1.0)
            weight = ((_GUESS_WEIGHT + favoured) * agreed).clamp(min=_NEVER_ZERO) ** _SHARPNESS
            own = photo.texture.flatten(1)[:, layout.texels].T * gain[index] + torch.stack(correction_rows, dim=1)
            total, weight_sum = total + weight[:, None] * own, weight_sum + weight
        texture = layout.padded((total / weight_sum[:, None]).clamp(0, 1).T)
        return _union(texture, photos, layout)


def _consensus(colours: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """[N, V] 0..1 how far each photo agrees with the others, and [V, 3] on what; from their median on."""
    consensus = torch.quantile(colours, 0.5, dim=0)
    for _ in range(_CONSENSUS_ROUNDS):
        agreement = torch.exp(-(colours - consensus).square().sum(dim=2) / _AGREEMENT**2).clamp(min=_NEVER_ZERO)
        weight = (trust * agreement)[..., None]
        consensus = (weight * colours).sum(dim=0) / weight.sum(dim=0)
    return agreement, consensus


def _union(texture: Tensor, photos: Sequence[BakedTexture], layout: TexelLayout) -> BakedTexture:
    """The texture with what any of the photos shows."""
    seen = torch.stack([photo.seen for photo in photos]).amax(dim=0)
    return BakedTexture(
        texture,
        seen,
        torch.stack([photo.frontal for photo in photos]).amax(dim=0),
        float(seen.flatten()[layout.texels].mean()),
        torch.stack([photo.vertex_seen for photo in photos]).amax(dim=0),
    )
