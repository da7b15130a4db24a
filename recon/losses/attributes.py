"""Consistency of attributes predicted again from a drawing (paper section 3, interpolated-cycle consistency)."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.structures import Attributes, Camera

LIGHT_SHARE = 0.1
"""Published factor of the light term within the consistency loss."""


def attribute_consistency_loss(
    predicted: Attributes, target: Attributes, template_vertices: Float[Tensor, "V 3"]
) -> Float[Tensor, ""]:
    """L1 between attributes and those a drawing was made from; the targets are constants here.

    Sum of means over elements: (cos, sin) of azimuth, (cos, sin) of elevation, distance, offset, texture, 0.1 x
    light; plus the squared Chamfer distance of the vertices. The published code re-encodes a random mix, not the
    reconstruction; that is the only supervision of the azimuth for unseen views. Chamfer is not in the paper.

    Args:
        predicted: what the encoders see in the drawings.
        target: what was drawn; detached here.
        template_vertices: the prototype both offsets start from; detached here.

    Raises:
        ValueError: only one of the two has a light.
    """
    if (predicted.light is None) != (target.light is None):
        raise ValueError("consistency needs both or neither of the two attribute sets to have a light")
    base = template_vertices.detach()
    loss = _camera_terms(predicted.camera, target.camera)
    loss = loss + chamfer_squared(base + predicted.offsets, base + target.offsets.detach()).mean()
    loss = loss + (predicted.texture - target.texture.detach()).abs().mean()
    if predicted.light is not None and target.light is not None:
        loss = loss + LIGHT_SHARE * (predicted.light - target.light.detach()).abs().mean()
    return loss


def _camera_terms(predicted: Camera, target: Camera) -> Tensor:
    azimuth = _circle(predicted.azimuth_deg) - _circle(target.azimuth_deg.detach())
    elevation = _circle(predicted.elevation_deg) - _circle(target.elevation_deg.detach())
    distance = predicted.distance - target.distance.detach()
    offset = predicted.offset - target.offset.detach()
    return azimuth.abs().mean() + elevation.abs().mean() + distance.abs().mean() + offset.abs().mean()


def _circle(angle_deg: Tensor) -> Tensor:
    radians = torch.deg2rad(angle_deg)
    return torch.stack((radians.cos(), radians.sin()), dim=-1)


def chamfer_squared(points_a: Float[Tensor, "B N 3"], points_b: Float[Tensor, "B M 3"]) -> Float[Tensor, " B"]:
    """Mean squared distance to the nearest point of the other set, summed over both directions, per sample.

    The nearest points are chosen without gradient; distances are exact, also where points coincide.
    """
    with torch.no_grad():
        distances = torch.cdist(points_a, points_b)
        nearest_b, nearest_a = distances.argmin(dim=2), distances.argmin(dim=1)
    to_b = (points_a - _gathered(points_b, nearest_b)).square().sum(dim=2).mean(dim=1)
    to_a = (points_b - _gathered(points_a, nearest_a)).square().sum(dim=2).mean(dim=1)
    return to_b + to_a


def _gathered(points: Tensor, index: Tensor) -> Tensor:
    return torch.gather(points, 1, index[:, :, None].expand(-1, -1, 3))
