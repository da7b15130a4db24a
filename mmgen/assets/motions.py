"""Loops for rigged assets, from our own gait: a walk in place, a turn, and standing at ease."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.planting import planted
from mmgen.assets.rig import Animation, Floats, Motion, Rig
from mmgen.synth.joints import joint_rotations
from mmgen.synth.pose import NEUTRAL, REST, Pose, walking_pose
from mmgen.synth.skeleton import AVERAGE, pose_skeleton

WALK_S, TURN_S, IDLE_S = 1.1, 6.0, 4.0
WALK_KEYS, IDLE_KEYS = 24, 16
STRIDE = 0.8


def motion(rig: Rig, kind: Animation) -> Motion:
    """A loop of a kind for a skeleton."""
    if kind == "turn":
        return _turning(rig)
    if kind == "walk":
        phases = np.linspace(0, 1, WALK_KEYS + 1)
        return Motion(kind, phases * WALK_S, *walking(rig, phases))
    phases = np.linspace(0, 1, IDLE_KEYS + 1)
    poses = [_at_ease(float(np.sin(2 * np.pi * phase))) for phase in phases]
    rotations = rotations_of(poses, rig.names, rig.parents)
    return Motion(kind, phases * IDLE_S, rotations, _on_the_ground(rig, rotations))


def walking(rig: Rig, phases: Iterable[float]) -> tuple[Floats, Floats]:
    """Rotations and hips, as of `Motion`, at phases of a walk on the spot; phases one apart are the same."""
    moments = np.asarray(list(phases))
    poses = [walking_pose(float(phase) % 1.0, STRIDE) for phase in moments]
    rotations = planted(rig, rotations_of(poses, rig.names, rig.parents), moments)
    return rotations, _on_the_ground(rig, rotations)


def walked(asset: Asset, rig: Rig, frames: int, fps: float) -> NDArray[np.float32]:
    """[frames, V, 3] an asset that walks on the spot: as many whole strides as come nearest to a person's pace.

    Args:
        rig: of the asset.
        fps: pictures per second.
    """
    strides = max(1, round(frames / fps / WALK_S))
    return rig.posed(asset.vertices, *walking(rig, (strides * np.arange(frames) / frames)))


def rotations_of(poses: Sequence[Pose], names: tuple[str, ...], parents: tuple[int, ...]) -> Floats:
    """[T, J, 3, 3] of each joint against its parent, for joints as of `recon.skinning.Skin`."""
    rest = pose_skeleton(AVERAGE, REST)
    return np.stack([joint_rotations(pose_skeleton(AVERAGE, pose), rest, names, parents) for pose in poses])


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
    """[T, 3] where the hips are when the lowest vertex is always as low as that of the mesh: heel, sole or toes."""
    hips = np.repeat(rig.places[:1], len(rotations), axis=0)
    hips[:, 1] += rig.points[:, 1].min() - rig.posed(rig.points, rotations, hips)[..., 1].min(axis=1)
    return hips
