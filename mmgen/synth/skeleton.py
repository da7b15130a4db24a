"""From proportions and joint angles to bone frames in the world."""

from dataclasses import dataclass

import numpy as np

from mmgen.synth.identity import Build
from mmgen.synth.pose import Pose

BONES = (
    "pelvis", "chest", "head",
    "arm_l", "forearm_l", "hand_l", "arm_r", "forearm_r", "hand_r",
    "thigh_l", "shank_l", "foot_l", "thigh_r", "shank_r", "foot_r",
)  # fmt: skip
BONE = {name: number for number, name in enumerate(BONES)}
SIDES = ("l", "r")
SIGN = {"l": 1.0, "r": -1.0}
"""The person's left is +x."""

REFERENCE_HEIGHT_M = 1.75
AVERAGE = Build("adult", REFERENCE_HEIGHT_M, 1.0, 1.0, 1.0, 0.03, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0)
"""For what depends on the pose alone: the axes of the bones are those of every build."""


@dataclass(frozen=True)
class Proportions:
    """Lengths of one build, metres.

    Attributes:
        scale: Height relative to 1.75 m.
        ankle, shank, thigh: Heights and lengths of the leg; with `ankle` they add up to the hip joint's height.
        hip: Half the distance of the hip joints.
        chest: From the hip joints to the chest bone, upward.
        shoulder_up: From the chest bone to the shoulder joints.
        shoulder: Half the distance of the shoulder joints.
        shoulder_drop: How far the joints hang below that line.
        head_up: From the chest bone to the middle of the head.
        head: Half-axes of the head, sideways, upward and forward.
    """

    scale: float
    ankle: float
    shank: float
    thigh: float
    hip: float
    chest: float
    shoulder_up: float
    shoulder: float
    shoulder_drop: float
    head_up: float
    head: tuple[float, float, float]
    arm: float
    forearm: float
    hand: float


def proportions(build: Build) -> Proportions:
    """Bone lengths that add up to the height of the build when standing straight."""
    scale = build.height_m / REFERENCE_HEIGHT_M
    head_half = 0.116 * scale * build.head
    trunk = build.height_m - 2 * head_half - 0.915 * scale * build.legs
    unit = trunk / 0.603
    return Proportions(
        scale=scale,
        ankle=0.085 * scale,
        shank=(0.415 * build.legs + 0.085 * (build.legs - 1)) * scale,
        thigh=0.415 * build.legs * scale,
        hip=0.085 * scale * build.hips,
        chest=0.235 * unit,
        shoulder_up=0.272 * unit,
        shoulder=0.178 * scale * build.shoulders,
        shoulder_drop=build.slope_m * scale,
        head_up=0.368 * unit + head_half,
        head=(0.079 * scale * build.head, head_half, 0.098 * scale * build.head),
        arm=0.285 * scale,
        forearm=0.25 * scale,
        hand=0.175 * scale,
    )


@dataclass(frozen=True)
class Skeleton:
    """Bone frames; a bone's +y points back along it towards the trunk, +z to its front.

    Attributes:
        origin: [15, 3] float64, joint where each bone begins, world frame, metres.
        axes: [15, 3, 3] float64, rows are the bone's x, y and z axes in the world.
        proportions: Lengths that were used.
    """

    origin: np.ndarray
    axes: np.ndarray
    proportions: Proportions

    def to_world(self, bone: int, point: np.ndarray) -> np.ndarray:
        """A bone-local point [..., 3] in the world."""
        return self.origin[bone] + point @ self.axes[bone]

    def moved(self, shift: np.ndarray) -> "Skeleton":
        """The same skeleton translated."""
        return Skeleton(self.origin + shift, self.axes, self.proportions)


def _rotation(axis: int, angle_deg: float) -> np.ndarray:
    """Right-handed rotation about the x, y or z axis."""
    angle = np.deg2rad(angle_deg)
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def pose_skeleton(build: Build, pose: Pose) -> Skeleton:
    """Place the bones with the hips' middle at the world origin, facing +z."""
    lengths = proportions(build)
    origin, turn = np.zeros((len(BONES), 3)), np.zeros((len(BONES), 3, 3))
    pelvis = _rotation(1, pose.pelvis_yaw_deg) @ _rotation(2, pose.pelvis_roll_deg)
    chest = (
        pelvis
        @ _rotation(1, pose.trunk_yaw_deg)
        @ _rotation(2, -pose.pelvis_roll_deg - pose.trunk_roll_deg)
        @ _rotation(0, pose.trunk_pitch_deg)
    )
    turn[0], turn[1] = pelvis, chest
    origin[1] = pelvis @ [0, 0.45 * lengths.chest, 0] + chest @ [0, 0.55 * lengths.chest, 0]
    neck = origin[1] + chest @ [0, lengths.shoulder_up + 0.06 * lengths.scale, 0]
    turn[2] = chest @ _rotation(1, pose.head_yaw_deg) @ _rotation(0, pose.head_pitch_deg - 0.7 * pose.trunk_pitch_deg)
    rise = lengths.head_up - lengths.shoulder_up - 0.06 * lengths.scale
    origin[2] = neck + chest @ [0, 0.35 * rise, 0] + turn[2] @ [0, 0.65 * rise, 0.018 * lengths.scale]
    for side, name in enumerate(SIDES):
        _place_arm(origin, turn, pose, lengths, side, name)
        _place_leg(origin, turn, pose, lengths, side, name)
    if pose.tilt_deg:
        tilt = _rotation(2, pose.tilt_deg)
        origin, turn = origin @ tilt.T, tilt @ turn
    return Skeleton(origin, turn.transpose(0, 2, 1).copy(), lengths)


def _place_arm(origin: np.ndarray, turn: np.ndarray, pose: Pose, lengths: Proportions, side: int, name: str) -> None:
    sign, first = SIGN[name], BONE[f"arm_{name}"]
    turn[first] = turn[1] @ _rotation(0, -pose.arm_deg[side]) @ _rotation(2, sign * pose.arm_spread_deg[side])
    turn[first + 1] = turn[first] @ _rotation(1, -sign * pose.twist_deg[side]) @ _rotation(0, -pose.elbow_deg[side])
    turn[first + 2] = turn[first + 1] @ _rotation(0, -8.0)
    origin[first] = origin[1] + turn[1] @ [
        sign * lengths.shoulder,
        lengths.shoulder_up - lengths.shoulder_drop,
        -0.008 * lengths.scale,
    ]
    origin[first + 1] = origin[first] - turn[first][:, 1] * lengths.arm
    origin[first + 2] = origin[first + 1] - turn[first + 1][:, 1] * lengths.forearm


def _place_leg(origin: np.ndarray, turn: np.ndarray, pose: Pose, lengths: Proportions, side: int, name: str) -> None:
    sign, first = SIGN[name], BONE[f"thigh_{name}"]
    turn[first] = turn[0] @ _rotation(0, -pose.hip_deg[side]) @ _rotation(2, sign * (pose.spread_deg[side] - 2.0))
    turn[first + 1] = (
        turn[first] @ _rotation(0, pose.knee_deg[side]) @ _rotation(2, sign * -0.5 * pose.spread_deg[side])
    )
    heading = _rotation(1, sign * pose.toe_out_deg[side] + 0.5 * pose.pelvis_yaw_deg)
    turn[first + 2] = heading @ _rotation(0, -pose.foot_pitch_deg[side])
    origin[first] = turn[0] @ [sign * lengths.hip, 0, 0]
    origin[first + 1] = origin[first] - turn[first][:, 1] * lengths.thigh
    origin[first + 2] = origin[first + 1] - turn[first + 1][:, 1] * lengths.shank
