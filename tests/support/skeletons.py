"""Rotations from plain numbers, and where they bring the joints of a skeleton."""

from jaxtyping import Float
from torch import Tensor, linalg, nn, stack

from recon.skinning import Skin, joint_transforms


def posed_joints(
    skin: Skin, joints: Float[Tensor, "B J 3"], rotations: Float[Tensor, "B J 3 3"]
) -> Float[Tensor, "B J 3"]:
    """Where the joints go; arguments as of `joint_transforms`."""
    maps = joint_transforms(skin, joints, rotations)
    return (maps[..., :3] @ joints[..., None] + maps[..., 3:])[..., 0]


def rotation_from_6d(code: Float[Tensor, "*N 6"]) -> Float[Tensor, "*N 3 3"]:
    """Rotations from their first two columns, made orthogonal (Zhou et al., "On the Continuity of Rotation
    Representations in Neural Networks", 2019): smooth, and every rotation has a code."""
    first = nn.functional.normalize(code[..., :3], dim=-1)
    second = code[..., 3:] - (first * code[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=-1)
    return stack((first, second, linalg.cross(first, second)), dim=-1)
