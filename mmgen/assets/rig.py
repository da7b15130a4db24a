"""A skeleton in an asset: joints in the photo's pose, what they move, and how they may move."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mmgen.assets.asset import Asset
from mmgen.core.errors import ItemError
from recon.fitting.joints import FittedJoints, fitted_joints, reposed
from recon.skinning import Skin
from recon.template import Template

Animation = Literal["walk", "turn", "idle"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """A loop; the last moment is the first one again.

    Attributes:
        times: [T] seconds from 0.
        rotations: [T, J, 3, 3] of each joint against its parent, whose axes are the template's at rest.
        hips: [T, 3] place of the first joint, metres.
    """

    name: str
    times: Floats
    rotations: Floats
    hips: Floats


@dataclass(frozen=True)
class Rig:
    """A skeleton that fits a mesh.

    Attributes:
        names, parents: as of `recon.skinning.Skin`.
        places: [J, 3] of the joints in the pose of the mesh, metres.
        turns: [J, 3, 3] of each joint against rest, world frame.
        points: [V, 3] places of vertices whose weights are known.
        bones, weights: [V, 4] of those.
        motion: what a viewer may play.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    places: Floats
    turns: Floats
    points: NDArray[np.float32]
    bones: NDArray[np.int64]
    weights: NDArray[np.float32]
    motion: Motion | None = None

    def local_rotations(self) -> Floats:
        """[J, 3, 3] of each joint against its parent."""
        above = np.stack([np.eye(3) if parent < 0 else self.turns[parent] for parent in self.parents])
        return above.transpose(0, 2, 1) @ self.turns

    def local_places(self) -> Floats:
        """[J, 3] of each joint in the frame of its parent."""
        rows = []
        for place, parent in zip(self.places, self.parents, strict=True):
            rows.append(place if parent < 0 else self.turns[parent].T @ (place - self.places[parent]))
        return np.stack(rows)

    def inverse_binds(self) -> NDArray[np.float32]:
        """[J, 4, 4] from the mesh to each joint's frame."""
        matrices = np.tile(np.eye(4), (len(self.names), 1, 1))
        matrices[:, :3, :3] = self.turns.transpose(0, 2, 1)
        matrices[:, :3, 3] = -(matrices[:, :3, :3] @ self.places[..., None])[..., 0]
        return matrices.astype(np.float32)

    def of(self, positions: NDArray[np.floating[Any]]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Joints and weights [N, 4] of places on the mesh, those of the nearest vertex; unused joints are 0."""
        nearest = cKDTree(self.points).query(positions)[1]
        weights = self.weights[nearest]
        weights = weights / weights.sum(axis=1, keepdims=True)
        return np.where(weights > 0, self.bones[nearest], 0).astype(np.uint8), weights.astype(np.float32)

    def posed(self, vertices: NDArray[np.float32], rotations: Floats, hips: Floats) -> NDArray[np.float32]:
        """[T, V, 3] the mesh in other poses, as a viewer of its GLB shows them.

        Args:
            vertices: [V, 3] of the mesh, in its own pose.
            rotations: [T, J, 3, 3], as of `Motion`.
            hips: [T, 3], as of `Motion`.
        """
        bones, weights = self.of(vertices)
        places, turns = torch.from_numpy(self.places), torch.from_numpy(self.turns)
        skin = Skin(self.names, self.parents, places, torch.from_numpy(bones).long(), torch.from_numpy(weights))
        body = torch.from_numpy(vertices).double()
        moved = reposed(body, skin, FittedJoints(places, turns), torch.from_numpy(rotations)).numpy()
        return (moved + (hips - self.places[0])[:, None]).astype(np.float32)


def rigged(body: Asset, template: Template) -> Rig:
    """The skeleton of a whole mesh.

    Args:
        body: With the template's vertices.
        template: With a skeleton.

    Raises:
        ItemError: `rig_other_mesh`, if the mesh does not have the template's vertices and faces.
    """
    if not np.array_equal(body.faces, template.faces.numpy()):
        raise ItemError(
            "rig_other_mesh",
            "this mesh has other faces than the person template, so nobody knows where its joints are",
            "Rig whole meshes of `mmgen reconstruct` with weights for people, before anything simplifies them.",
        )
    joints, skin = fitted_joints(torch.from_numpy(body.vertices), template), template.skin
    bones, weights = skin.bones.numpy(), skin.weights.numpy()
    return Rig(skin.names, skin.parents, joints.places.numpy(), joints.turns.numpy(), body.vertices, bones, weights)
