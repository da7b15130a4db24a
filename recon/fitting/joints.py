"""Joints of a body whose vertices are known: how a template's bones lie in a shape that was predicted or fitted.

Every bone's turn is the rotation that takes the vertices it moves from the template to the body (Kabsch 1976, with
weights); every joint lies where the template has it, seen from the vertices that it shares with its parent.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.skinning import Skin, joint_transforms, skinned
from recon.template import Template

LEAST_SHARE = 0.02
"""Vertices that share less of both bones do not tell where a joint is."""


@dataclass(frozen=True)
class FittedJoints:
    """A skeleton in the body's own pose.

    Attributes:
        places: [J, 3] in the body's frame and unit.
        turns: [J, 3, 3] of each joint against the template's rest pose, world frame.
    """

    places: Float[Tensor, "J 3"]
    turns: Float[Tensor, "J 3 3"]


def fitted_joints(vertices: Float[Tensor, "V 3"], template: Template) -> FittedJoints:
    """The joints of a body whose vertices correspond to the template's.

    Args:
        vertices: in any pose and unit.
        template: with the same vertices, at rest.
    """
    skin, body = template.skin, vertices.double()
    rest, shares = template.vertices.double(), skin.dense().double()
    turns, sizes = _turns(rest, body, shares)
    ring = _rings(skin, shares)
    middle_rest, middle_body = ring @ rest, ring @ body
    reach = skin.joints.double() - middle_rest
    parents = [max(parent, 0) for parent in skin.parents]
    # Half-way between both bones' turns: cloth over a bent joint follows either.
    grown = turns * sizes[:, None, None]
    seen = ((grown + grown[parents]) / 2 @ reach[..., None])[..., 0]
    return FittedJoints(middle_body + seen, turns)


def reposed(
    vertices: Float[Tensor, "V 3"], skin: Skin, joints: FittedJoints, rotations: Float[Tensor, "N J 3 3"]
) -> Float[Tensor, "N V 3"]:
    """A body in its own pose brought into others by its skin; the first joint stays where it is.

    Args:
        vertices: in the body's frame, float64 as its joints.
        skin: whose bones and weights move them.
        joints: of the body.
        rotations: of each joint against its parent, whose axes are the template's at rest.
    """
    parents, places = [max(parent, 0) for parent in skin.parents], joints.places.expand(len(rotations), -1, -1)
    change = joint_transforms(skin, places, rotations)[..., :3] @ joints.turns.transpose(1, 2)
    local = change[:, parents].transpose(2, 3) @ change
    local[:, 0] = change[:, 0]
    return skinned(vertices.expand(len(rotations), -1, -1), skin, places, local)


def _turns(
    rest: Float[Tensor, "V 3"], body: Float[Tensor, "V 3"], shares: Float[Tensor, "V J"]
) -> tuple[Float[Tensor, "J 3 3"], Float[Tensor, " J"]]:
    """Rotation and size of every bone's vertices."""
    weights = (shares / shares.sum(dim=0)).T
    off_rest, off_body = (points - (weights @ points)[:, None] for points in (rest, body))
    spread = (weights[..., None] * off_body).transpose(1, 2) @ off_rest
    left, values, right = torch.linalg.svd(spread)
    sign = torch.ones_like(values)
    sign[:, 2] = torch.linalg.det(left @ right).sign()
    length = (weights * off_rest.square().sum(dim=2)).sum(dim=1)
    return left @ (sign[..., None] * right), (values * sign).sum(dim=1) / length


def _rings(skin: Skin, shares: Float[Tensor, "V J"]) -> Float[Tensor, "J V"]:
    """Weights of the vertices that tell where each joint is; each row adds up to 1."""
    parents = [max(parent, 0) for parent in skin.parents]
    ring = (shares * shares[:, parents]).sqrt()
    ring = torch.where(ring > LEAST_SHARE, ring, 0.0)
    ring = torch.where(ring.sum(dim=0) > 0, ring, shares)
    return (ring / ring.sum(dim=0)).T
