"""Joints of the `person` template on the bones of the generator: where they are, how they turn, how large bones are."""

import numpy as np

from mmgen.synth.skeleton import BONE, Proportions, Skeleton

# Bone of `mmgen.synth.skeleton` that turns with each joint.
TURNED_WITH = {
    "Hips": "pelvis", "Spine": "chest", "Chest": "chest", "Neck": "chest", "Head": "head",
    "LeftArm": "arm_l", "LeftForeArm": "forearm_l", "LeftHand": "hand_l",
    "RightArm": "arm_r", "RightForeArm": "forearm_r", "RightHand": "hand_r",
    "LeftUpLeg": "thigh_l", "LeftLeg": "shank_l", "LeftFoot": "foot_l",
    "RightUpLeg": "thigh_r", "RightLeg": "shank_r", "RightFoot": "foot_r",
}  # fmt: skip
_CHILD = {
    "LeftArm": "LeftForeArm", "LeftForeArm": "LeftHand", "RightArm": "RightForeArm", "RightForeArm": "RightHand",
    "LeftUpLeg": "LeftLeg", "LeftLeg": "LeftFoot", "RightUpLeg": "RightLeg", "RightLeg": "RightFoot",
}  # fmt: skip
_PARENT = {"LeftHand": "LeftForeArm", "RightHand": "RightForeArm"}
TEMPLATE_HAND = 0.20
TEMPLATE_HEAD = np.array([0.089, 0.120, 0.100])
"""Length of the template's hand and half-axes of its head, template units."""

GRIP = 0.1
"""Share of a hand's vertices that stay with the hand where it carries something."""


def joint_places(skeleton: Skeleton, names: tuple[str, ...]) -> np.ndarray:
    """[J, 3] where a skeleton's joints are, world frame, metres."""
    lengths, origin, axes = skeleton.proportions, skeleton.origin, skeleton.axes
    up, s = lengths.shoulder_up, lengths.scale
    rise = lengths.head_up - up - 0.06 * s
    between = {
        "Spine": origin[0] + 0.45 * lengths.chest * axes[0, 1],
        "Neck": origin[1] + (up + 0.06 * s) * axes[1, 1],
        "Head": origin[1] + (up + 0.06 * s + 0.35 * rise) * axes[1, 1],
    }
    return np.stack([between.get(name, origin[BONE[TURNED_WITH[name]]]) for name in names])


def joint_rotations(posed: Skeleton, rest: Skeleton, names: tuple[str, ...], parents: tuple[int, ...]) -> np.ndarray:
    """[J, 3, 3] rotation of each joint against its parent."""
    bones = [BONE[TURNED_WITH[name]] for name in names]
    turns = posed.axes[bones].transpose(0, 2, 1) @ rest.axes[bones]
    above = np.stack([np.eye(3) if parent < 0 else turns[parent] for parent in parents])
    return above.transpose(0, 2, 1) @ turns


def bone_stretch(
    name: str, names: tuple[str, ...], template: np.ndarray, joints: np.ndarray, lengths: Proportions
) -> np.ndarray:
    """[3] how much larger a bone of the person is than the template's, across, along and forward.

    Args:
        template: [J, 3] the template's joints at rest.
        joints: [J, 3] the person's.
    """
    thick = lengths.scale
    if name in _CHILD:
        return np.array([thick, _reach(joints, names, name) / _reach(template, names, name), thick])
    if name.endswith("Hand"):
        return np.array([thick, 0.98 * lengths.hand / TEMPLATE_HAND, thick])
    if name.endswith("Foot"):
        return np.array([thick, thick, thick])
    if name == "Head":
        return np.array(lengths.head) / TEMPLATE_HEAD
    wide = lengths.hip / 0.0875 if name == "Hips" else lengths.shoulder / 0.18
    tall = lengths.chest / 0.249 if name in ("Hips", "Spine") else lengths.shoulder_up / 0.28
    return np.array([thick if name == "Neck" else wide, tall, thick])


def _reach(joints: np.ndarray, names: tuple[str, ...], name: str) -> float:
    return float(np.linalg.norm(joints[names.index(_CHILD[name])] - joints[names.index(name)]))


def bone_frame(joints: np.ndarray, names: tuple[str, ...], name: str) -> np.ndarray:
    """[3, 3] columns across, back along the bone, and forward; the world's axes for bones of the trunk and feet."""
    name = _PARENT.get(name, name)
    if name not in _CHILD:
        return np.eye(3)
    along = joints[names.index(name)] - joints[names.index(_CHILD[name])]
    along /= np.linalg.norm(along)
    forward = np.array([0.0, 0.0, 1.0]) - along[2] * along
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(along, forward), along, forward], axis=1)


def bone_axis(skeleton: Skeleton, name: str, held_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the axis that a joint's vertices stand around, world frame, metres.

    Args:
        held_m: how far what a hand holds reaches from its wrist.
    """
    bone = BONE[TURNED_WITH[name]]
    lengths, start, axes = skeleton.proportions, skeleton.origin[bone], skeleton.axes[bone]
    s = lengths.scale
    if name in ("Hips", "Spine"):
        return skeleton.origin[0], skeleton.origin[1]
    if name == "Chest":
        return start, start + 0.9 * lengths.shoulder_up * axes[1]
    if name == "Neck":
        return start + 0.9 * lengths.shoulder_up * axes[1], start + (lengths.shoulder_up + 0.1 * s) * axes[1]
    if name == "Head":
        return start - 0.5 * lengths.head[1] * axes[1], start + 0.3 * lengths.head[1] * axes[1]
    if name.endswith("Foot"):
        return start - 0.035 * s * axes[1] - 0.02 * s * axes[2], start + 0.11 * s * axes[2] - 0.05 * s * axes[1]
    if name.endswith("Hand"):
        return start, start - max(0.72 * lengths.hand, held_m - 0.04) * axes[1]
    return start, skeleton.origin[bone + 1]


def around_what_is_held(heights: np.ndarray, hand_m: float, held_m: float) -> np.ndarray:
    """Heights along the hand's axis, those of the fingers spread over the length of what the hand carries."""
    hand = 0.98 * hand_m
    if held_m <= hand:
        return heights
    return -np.interp(-heights, [-1.0, 0.0, GRIP * hand, hand, 1.0], [-1.0, 0.0, hand, held_m, held_m + 1.0 - hand])
