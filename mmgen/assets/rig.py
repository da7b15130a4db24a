"""A skeleton in an asset: joints in the photo's pose, what they move, and how they may move."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mmgen.assets.asset import Asset
from mmgen.core.errors import ItemError
from mmgen.synth.identity import Build
from mmgen.synth.joints import joint_rotations
from mmgen.synth.pose import NEUTRAL, REST, Pose, walking_pose
from mmgen.synth.skeleton import pose_skeleton
from recon.fitting.joints import fitted_joints
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
            f"asset {body.name!r} has other faces than the person template, so nobody knows where its joints are",
            "Rig whole meshes of `mmgen reconstruct` with weights for people, before anything simplifies them.",
        )
    joints, skin = fitted_joints(torch.from_numpy(body.vertices), template), template.skin
    bones, weights = skin.bones.numpy(), skin.weights.numpy()
    return Rig(skin.names, skin.parents, joints.places.numpy(), joints.turns.numpy(), body.vertices, bones, weights)


WALK_S, TURN_S, IDLE_S = 1.1, 6.0, 4.0
WALK_KEYS, IDLE_KEYS = 24, 16
STRIDE = 0.8
AVERAGE = Build("adult", 1.75, 1.0, 1.0, 1.0, 0.03, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0)


def motion(rig: Rig, kind: Animation) -> Motion:
    """A loop of a kind for a skeleton."""
    if kind == "turn":
        return _turning(rig)
    if kind == "walk":
        phases, seconds = np.linspace(0, 1, WALK_KEYS + 1), WALK_S
        poses = [walking_pose(phase % 1.0, STRIDE) for phase in phases]
    else:
        phases, seconds = np.linspace(0, 1, IDLE_KEYS + 1), IDLE_S
        poses = [_at_ease(float(np.sin(2 * np.pi * phase))) for phase in phases]
    rest = pose_skeleton(AVERAGE, REST)
    turned = [joint_rotations(pose_skeleton(AVERAGE, pose), rest, rig.names, rig.parents) for pose in poses]
    rotations = np.stack(turned)
    return Motion(kind, phases * seconds, rotations, _on_the_ground(rig, rotations))


def _at_ease(breath: float) -> Pose:
    return replace(
        NEUTRAL,
        trunk_pitch_deg=-0.8 * breath,
        head_pitch_deg=3.0 + 0.8 * breath,
        arm_spread_deg=(10.0 + breath, 10.0 + breath),
        elbow_deg=(12.0 + 2.0 * breath, 12.0 + 2.0 * breath),
    )


def _turning(rig: Rig) -> Motion:
    """Once round in the pose of the photo."""
    angles = np.linspace(0, 2 * np.pi, 9)
    rotations = np.repeat(rig.local_rotations()[None], len(angles), axis=0)
    for frame, angle in enumerate(angles):
        cosine, sine = np.cos(angle), np.sin(angle)
        rotations[frame, 0] = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]) @ rotations[frame, 0]
    return Motion("turn", angles / (2 * np.pi) * TURN_S, rotations, np.repeat(rig.places[:1], len(angles), axis=0))


def _on_the_ground(rig: Rig, rotations: Floats) -> Floats:
    """[T, 3] where the hips are when the lower foot always stands as high as the lower one of the mesh."""
    feet = [rig.names.index(name) for name in ("LeftFoot", "RightFoot")]
    hips = np.repeat(rig.places[:1], len(rotations), axis=0)
    lowest = rig.places[feet, 1].min()
    for frame, turned in enumerate(rotations):
        hips[frame, 1] += lowest - posed_places(rig, turned)[feet, 1].min()
    return hips


def posed_places(rig: Rig, rotations: Floats) -> Floats:
    """[J, 3] joints with rotations [J, 3, 3] against their parents, the hips where the mesh has them."""
    local = rig.local_places()
    turns: list[Floats] = []
    places: list[Floats] = []
    for row, parent in enumerate(rig.parents):
        above = np.eye(3) if parent < 0 else turns[parent]
        places.append(local[row] if parent < 0 else places[parent] + above @ local[row])
        turns.append(above @ rotations[row])
    return np.stack(places)
