"""What training draws besides the photos: random views, random mixes of attributes, pairs of one identity.

Random numbers come from the generator that is passed in, on its device, and are moved to the data afterwards: the
same seed gives the same mix on a CPU and on CUDA.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.encoders.config import CameraRanges
from recon.prototype import good_shapes
from recon.structures import Attributes, Camera


def _uniform(count: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)


def random_azimuths_deg(batch: int, generator: torch.Generator, margin_deg: float = 0.0) -> Float[Tensor, " B"]:
    """Azimuths for the drawings that the critic judges ("hard" views, published code).

    With probability 1/2, for the whole batch, |azimuth| is uniform in margin..180 - margin, else in 0..180; the sign
    is random per sample. Margin 0, as published, makes that uniform in -180..180.

    Raises:
        ValueError: the margin leaves no angles.
    """
    if not 0 <= margin_deg < 90:
        raise ValueError(f"margin_deg must lie in 0..90 (90 excluded), not {margin_deg}")
    narrow = bool(_uniform(1, generator) < 0.5)
    margin = margin_deg if narrow else 0.0
    size = _uniform(batch, generator, margin, 180.0 - margin)
    return torch.where(_uniform(batch, generator) < 0.5, -size, size)


def random_cameras(ranges: CameraRanges, generator: torch.Generator, like: Camera) -> Camera:
    """Cameras drawn uniformly: azimuth -180..180, elevation and distance in their ranges, offset in +-`sampled_offset`.

    Args:
        like: gives batch size, device, dtype, focal length and offset frame.
    """
    batch = len(like)
    azimuth = _uniform(batch, generator, -180.0, 180.0)
    elevation = _uniform(batch, generator, *ranges.elevation_deg)
    distance = _uniform(batch, generator, *ranges.distance)
    limit = ranges.sampled_offset
    offset = _uniform(2 * batch, generator, -limit, limit).reshape(batch, 2)
    return replace(
        like,
        azimuth_deg=azimuth.to(like.azimuth_deg),
        elevation_deg=elevation.to(like.azimuth_deg),
        distance=distance.to(like.azimuth_deg),
        offset=offset.to(like.azimuth_deg),
    )


def guarded_permutation(good: Bool[Tensor, " B"], generator: torch.Generator) -> Int[Tensor, " B"]:
    """A random permutation in which every bad sample is replaced by a random good one; plain when no sample is good."""
    good = good.to(generator.device)
    order = torch.randperm(len(good), generator=generator, device=generator.device)
    candidates = good.nonzero()[:, 0]
    if not len(candidates):
        return order
    picks = torch.randint(len(candidates), (len(good),), generator=generator, device=generator.device)
    return torch.where(good[order], order, candidates[picks])


def random_mix(attributes: Attributes, ranges: CameraRanges, generator: torch.Generator) -> Attributes:
    """Mix the attributes of two random partners per sample and look from a fresh camera (published code).

    Offsets mix with one random weight per sample, texture and background with a second, light with a third. Samples
    with broken shapes take no part (`guarded_permutation`). Gradients pass.
    """
    good = good_shapes(attributes.offsets)
    first, second = (guarded_permutation(good, generator).to(attributes.offsets.device) for _ in range(2))
    shape_share, texture_share, light_share = (_uniform(len(good), generator) for _ in range(3))

    def mixed(values: Tensor, share: Tensor) -> Tensor:
        weight = share.to(values).reshape(-1, *(1,) * (values.ndim - 1))
        return weight * values[first] + (1 - weight) * values[second]

    return Attributes(
        camera=random_cameras(ranges, generator, attributes.camera),
        offsets=mixed(attributes.offsets, shape_share),
        texture=mixed(attributes.texture, texture_share),
        light=None if attributes.light is None else mixed(attributes.light, light_share),
        background=None if attributes.background is None else mixed(attributes.background, texture_share),
    )


def identity_pairs(
    identity: Int[Tensor, " B"], generator: torch.Generator
) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """For every sample with company a random other sample of the same identity.

    Returns:
        Indices of the samples that lend shape and texture, and of the photos they must explain; both empty when no
        identity occurs twice.
    """
    labels = identity.to(generator.device)
    same = labels[:, None] == labels[None, :]
    same.fill_diagonal_(False)
    source = same.any(dim=1).nonzero()[:, 0]
    if not len(source):
        return source.to(identity.device), source.to(identity.device)
    target = torch.multinomial(same[source].float(), 1, generator=generator)[:, 0]
    return source.to(identity.device), target.to(identity.device)


def seen_as(attributes: Attributes, source: Int[Tensor, " P"], target: Int[Tensor, " P"]) -> Attributes:
    """Shape and texture of the samples `source` under camera, light and background of the samples `target`."""
    own, other = attributes.take(source), attributes.take(target)
    return replace(other, offsets=own.offsets, texture=own.texture)
