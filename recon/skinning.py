"""Linear blend skinning: a mesh that follows the joints of a skeleton (Loper et al., "SMPL", 2015, equations 2 to 4).

In the rest pose every joint's axes are the world's, so that a joint's rotation is told in its parent's rest frame, as
in a glTF file whose nodes carry translations alone until somebody poses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recon.structures import TensorRecord

MOST_WEIGHTS = 4
"""Joints that may move one vertex, as many as a glTF file holds per attribute set."""


@dataclass(frozen=True)
class Skin(TensorRecord):
    """A skeleton and what it moves.

    Attributes:
        names: names of the J joints.
        parents: row of each joint's parent, -1 for the first; joints of one depth stand together, nearest first.
        joints: [J, 3] places at rest, world frame, template units.
        bones: [V, K] rows of the joints that move a vertex, K at most `MOST_WEIGHTS`.
        weights: [V, K] their shares; each row adds up to 1.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: Float[Tensor, "J 3"]
    bones: Int[Tensor, "V K"]
    weights: Float[Tensor, "V K"]

    def __post_init__(self) -> None:
        depths = _depths(self.parents)
        if len(self.names) != len(self.parents) or len(self.joints) != len(self.parents):
            raise ValueError(f"{len(self.names)} names, {len(self.parents)} parents and {len(self.joints)} joints")
        if depths != sorted(depths):
            raise ValueError("joints must be sorted by their depth in the skeleton")
        if self.bones.shape != self.weights.shape or self.bones.shape[1] > MOST_WEIGHTS:
            raise ValueError(f"bones {list(self.bones.shape)} and weights {list(self.weights.shape)} do not fit")

    @staticmethod
    def rigid(vertex_count: int) -> "Skin":
        """One joint at the origin that moves everything: a mesh without a skeleton."""
        return Skin(
            ("Root",), (-1,), torch.zeros(1, 3), torch.zeros(vertex_count, 1, dtype=torch.long),
            torch.ones(vertex_count, 1),
        )  # fmt: skip

    @property
    def is_rigid(self) -> bool:
        """True where there is nothing to bend."""
        return len(self.names) == 1

    @property
    def levels(self) -> list[tuple[int, int]]:
        """First row and end of the joints of each depth."""
        depths = _depths(self.parents)
        return [(depths.index(depth), depths.index(depth) + depths.count(depth)) for depth in range(depths[-1] + 1)]

    def dense(self) -> Float[Tensor, "V J"]:
        """Shares of all joints."""
        table = self.weights.new_zeros(len(self.weights), len(self.names))
        return table.scatter_add_(1, self.bones, self.weights)


def _depths(parents: Sequence[int]) -> list[int]:
    depths: list[int] = []
    for row, parent in enumerate(parents):
        if not (-1 <= parent < row) or (parent < 0) != (row == 0):
            raise ValueError("the first joint alone has no parent; every other joint's parent stands before it")
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths


def joint_transforms(
    skin: Skin, joints: Float[Tensor, "B J 3"], rotations: Float[Tensor, "B J 3 3"]
) -> Float[Tensor, "B J 3 4"]:
    """The affine map [turn | shift] of every joint from rest to pose, world frame: x' = turn @ x + shift.

    Args:
        joints: places at rest, of each body its own.
        rotations: of each joint against its parent; the first one's against the world, about its own place.
    """
    own = torch.cat((rotations, joints[..., None] - rotations @ joints[..., None]), dim=3)
    levels = skin.levels
    parts = own.split([end - first for first, end in levels], dim=1)
    done = [parts[0]]
    for (first, end), (above_first, _), part in zip(levels[1:], levels[:-1], parts[1:], strict=True):
        above = done[-1][:, [parent - above_first for parent in skin.parents[first:end]]]
        done.append(above[..., :3] @ part + nn.functional.pad(above[..., 3:], (3, 0)))
    return torch.cat(done, dim=1)


def skinned(
    vertices: Float[Tensor, "B V 3"],
    skin: Skin,
    joints: Float[Tensor, "B J 3"],
    rotations: Float[Tensor, "B J 3 3"],
) -> Float[Tensor, "B V 3"]:
    """Bodies at rest brought into pose; differentiable in everything but the skin.

    Args:
        vertices: at rest, world frame.
        joints: places at rest, of each body its own.
        rotations: rotation of each joint against its parent.
    """
    maps = joint_transforms(skin, joints, rotations).transpose(2, 3).flatten(2).transpose(1, 2)
    shares = skin.dense().T.to(vertices)
    return _Blend.apply(vertices.transpose(1, 2), maps.contiguous(), shares).transpose(1, 2)


def vertex_transforms(
    skin: Skin, joints: Float[Tensor, "B J 3"], rotations: Float[Tensor, "B J 3 3"]
) -> Float[Tensor, "B V 3 4"]:
    """The affine map [matrix | shift] of every vertex from rest to pose; arguments as of `joint_transforms`."""
    maps = joint_transforms(skin, joints, rotations)
    return (skin.dense().to(maps) @ maps.flatten(2)).unflatten(2, (3, 4))


class _Blend(torch.autograd.Function):
    """Vertices [B, 3, V] through the mixtures of maps [B, 12, J] (by columns) with shares [J, V].

    Written by hand, all rows as long as the body has vertices: a third of the time of the same sums under autograd.
    """

    @staticmethod
    def forward(ctx, vertices, maps, shares):  # type: ignore[no-untyped-def]
        mixed = (maps @ shares).unflatten(1, (4, 3))
        ctx.save_for_backward(vertices, mixed, shares)
        moved = torch.addcmul(mixed[:, 3], mixed[:, 0], vertices[:, 0:1])
        return moved.addcmul_(mixed[:, 1], vertices[:, 1:2]).addcmul_(mixed[:, 2], vertices[:, 2:3])

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        vertices, mixed, shares = ctx.saved_tensors
        to_vertices = torch.stack([(mixed[:, column] * grad).sum(dim=1) for column in range(3)], dim=1)
        outer = torch.cat([*(grad * vertices[:, row : row + 1] for row in range(3)), grad], dim=1)
        return to_vertices, outer @ shares.T, None


def joint_partners(names: Sequence[str]) -> list[int]:
    """Row of each joint's mirror partner: `Left...` and `Right...` change places, the others stay."""
    swapped = {"Left": "Right", "Right": "Left"}
    rows = {name: row for row, name in enumerate(names)}
    partners = []
    for row, name in enumerate(names):
        side = next((side for side in swapped if name.startswith(side)), None)
        partners.append(row if side is None else rows[swapped[side] + name.removeprefix(side)])
    return partners
