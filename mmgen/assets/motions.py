"""Loops for rigged assets, from our own gait: a walk in place, a turn, and standing at ease."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

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
    poses = [walking_pose(float(phase) % 1.0, STRIDE) for phase in phases]
    rotations = rotations_of(poses, rig.names, rig.parents)
    return rotations, _on_the_ground(rig, rotations)


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
