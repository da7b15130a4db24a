"""Poses: a walking cycle and relaxed standing, with arms that swing, hang, or are busy.

Pairs are (left, right); the person's left is world +x. Angles are degrees, zero is standing at attention.
"""

from dataclasses import dataclass, replace

import numpy as np

Pair = tuple[float, float]

PROPS = ("none", "phone", "cup", "camera")

ARM_POSES = {
    "hang": (2.0, 8.0, 10.0, 12.0),
    "pocket": (-16.0, 17.0, 30.0, 42.0),
    "phone": (18.0, 9.0, 40.0, 98.0),
    "call": (38.0, 30.0, 62.0, 138.0),
    "strap": (4.0, 14.0, 36.0, 122.0),
    "cup": (6.0, 12.0, 22.0, 88.0),
    "hip": (-20.0, 44.0, 78.0, 88.0),
    "crossed": (22.0, 10.0, 78.0, 96.0),
    "behind": (-30.0, 14.0, 75.0, 38.0),
    "clasped": (10.0, 8.0, 58.0, 42.0),
    "hair": (62.0, 50.0, 40.0, 128.0),
    "carry": (1.0, 9.0, 0.0, 6.0),
    "photograph": (72.0, 6.0, 27.0, 103.0),
}
"""(forward, outward, inward twist, elbow) of an arm in degrees, by what it does."""

PAIRED = ("crossed", "behind", "clasped", "hip", "pocket", "phone")
"""What both arms do together."""


@dataclass(frozen=True)
class Pose:
    """Joint angles.

    Attributes:
        name: `walk` or `stand`.
        trunk_pitch_deg: Leaning forward.
        trunk_roll_deg: Leaning to the person's right.
        trunk_yaw_deg: Shoulders turned against the pelvis.
        pelvis_yaw_deg: Pelvis turned, left side forward negative.
        pelvis_roll_deg: Pelvis tilted sideways.
        head_yaw_deg: Looking to the left.
        head_pitch_deg: Looking down.
        hip_deg: Thighs forward.
        spread_deg: Thighs outward.
        knee_deg: Knees bent.
        foot_pitch_deg: Toes up, against the ground.
        toe_out_deg: Feet turned outward.
        arm_deg: Upper arms forward.
        arm_spread_deg: Upper arms outward.
        twist_deg: Forearms turned inward.
        elbow_deg: Elbows bent.
        props: What the hands hold besides bags, of `PROPS`.
        tilt_deg: The whole person turned about the axis to the front, left side up: how a tilted camera sees them from
            the front or, the other way round, from behind.
    """

    name: str
    trunk_pitch_deg: float
    trunk_roll_deg: float
    trunk_yaw_deg: float
    pelvis_yaw_deg: float
    pelvis_roll_deg: float
    head_yaw_deg: float
    head_pitch_deg: float
    hip_deg: Pair
    spread_deg: Pair
    knee_deg: Pair
    foot_pitch_deg: Pair
    toe_out_deg: Pair
    arm_deg: Pair
    arm_spread_deg: Pair
    twist_deg: Pair
    elbow_deg: Pair
    props: tuple[str, str] = ("none", "none")
    tilt_deg: float = 0.0


def _bump(phase: float, centre: float, width: float) -> float:
    """A bell on the circle of phases 0..1."""
    distance = (phase - centre + 0.5) % 1.0 - 0.5
    return float(np.exp(-((distance / width) ** 2)))


def _leg_in_stride(phase: float, stride: float) -> tuple[float, float, float]:
    """(hip, knee, foot pitch) in degrees at a phase of the gait; 0 is heel strike, 0.62 the toe leaving the ground."""
    hip = 6 * stride + 24 * stride * np.cos(2 * np.pi * phase)
    knee = 4 + 13 * stride * _bump(phase, 0.15, 0.08) + 56 * stride * _bump(phase, 0.73, 0.11)
    foot = 16 * stride * _bump(phase, 0.0, 0.07) - 42 * stride * _bump(phase, 0.62, 0.12)
    return float(hip), float(knee), float(foot)


def _arm(generator: np.random.Generator, task: str, swing_deg: float) -> tuple[float, float, float, float]:
    """(forward, outward, inward twist, elbow) of an arm, with the spread of living people."""
    if task == "swing":
        base = (swing_deg, 9.0, 12.0, 14.0 + max(0.0, swing_deg) * 0.7)
    elif task == "jog":
        base = (1.2 * swing_deg, 11.0, 24.0, 88.0)
    else:
        base = ARM_POSES[task]
    jitter = generator.normal(0, 4, 4)
    forward, outward, twist, elbow = (value + float(extra) for value, extra in zip(base, jitter, strict=True))
    return forward, max(5.0, outward), twist, max(3.0, elbow)


def _arm_tasks(generator: np.random.Generator, kind: str, carrying: tuple[bool, bool]) -> list[str]:
    """Draw what the left and the right arm do."""
    if not any(carrying) and generator.random() < (0.08 if kind == "walk" else 0.4):
        together = str(generator.choice(PAIRED, p=(0.26, 0.14, 0.16, 0.12, 0.24, 0.08)))
        if together != "hip" or kind == "stand":
            return [together, together]
    tasks = []
    for held in carrying:
        if held:
            tasks.append("carry")
        elif kind == "walk":
            busy = ("swing", "hang", "pocket", "phone", "call", "strap", "cup")
            tasks.append(str(generator.choice(busy, p=(0.74, 0.05, 0.06, 0.04, 0.04, 0.03, 0.04))))
        else:
            idle = ("hang", "pocket", "phone", "call", "strap", "cup", "hip", "hair")
            tasks.append(str(generator.choice(idle, p=(0.48, 0.14, 0.1, 0.08, 0.05, 0.05, 0.06, 0.04))))
    return tasks


def sample_pose(
    generator: np.random.Generator, kind: str, carrying: tuple[bool, bool], stride_limit: float = 1.0
) -> Pose:
    """A random pose.

    Args:
        kind: `walk` or `stand`.
        carrying: Which hands hold something, (left, right): those arms hang down.
        stride_limit: Upper bound of the stride, 1 = a brisk adult; long skirts need less.
    """
    walk = kind == "walk"
    jog = walk and stride_limit >= 1.0 and not any(carrying) and generator.random() < 0.04
    stride = float(generator.uniform(0.4, 1.25)) * stride_limit if walk else 0.0
    phase = float(generator.random())
    legs = [_leg_in_stride((phase + shift) % 1.0, stride) for shift in (0.0, 0.5)]
    spread, roll = (float(generator.uniform(-2, 4)), float(generator.uniform(-2, 4))), float(generator.normal(0, 1.5))
    if not walk:
        legs, spread, roll = standing_legs(generator, stride_limit)
    tasks = ["jog", "jog"] if jog else _arm_tasks(generator, kind, carrying)
    arms = [_arm(generator, task, -0.85 * (leg[0] - 6 * stride)) for task, leg in zip(tasks, legs, strict=True)]
    turn = float(9 * stride * np.cos(2 * np.pi * phase))
    reading = "phone" in tasks
    return Pose(
        name=kind,
        trunk_pitch_deg=float(generator.normal(3 if walk else 0, 3)) + (7.0 if jog else 0.0),
        trunk_roll_deg=float(generator.normal(0, 2)),
        trunk_yaw_deg=turn * 1.3 + float(generator.normal(0, 4)),
        pelvis_yaw_deg=-turn * 0.6,
        pelvis_roll_deg=roll,
        head_yaw_deg=float(np.clip(generator.normal(0, 17), -50, 50)),
        head_pitch_deg=float(generator.normal(18 if reading else 4, 7)),
        hip_deg=(legs[0][0], legs[1][0]),
        spread_deg=spread,
        knee_deg=(legs[0][1], legs[1][1]),
        foot_pitch_deg=(legs[0][2], legs[1][2]),
        toe_out_deg=(float(generator.normal(9, 6)), float(generator.normal(9, 6))),
        arm_deg=(arms[0][0], arms[1][0]),
        arm_spread_deg=(arms[0][1], arms[1][1]),
        twist_deg=(arms[0][2], arms[1][2]),
        elbow_deg=(arms[0][3], arms[1][3]),
        props=(_prop(tasks, 0), _prop(tasks, 1)),
    )


def _prop(tasks: list[str], side: int) -> str:
    """What a hand holds; of two hands at one phone, the right one."""
    task = tasks[side]
    if task == "phone" and side == 0 and tasks[1] == "phone":
        return "none"
    return {"phone": "phone", "call": "phone", "cup": "cup"}.get(task, "none")


def photographing(generator: np.random.Generator, pose: Pose, carrying: tuple[bool, bool]) -> Pose:
    """The pose with a phone held before the face, in a hand that holds nothing or in both.

    Args:
        carrying: Which hands hold something, (left, right).
    """
    free = [side for side in (0, 1) if not carrying[side]]
    if not free:
        return pose
    holding = int(generator.choice(free))
    raised = free if len(free) == 2 and generator.random() < 0.4 else [holding]
    angles = [list(pair) for pair in (pose.arm_deg, pose.arm_spread_deg, pose.twist_deg, pose.elbow_deg)]
    for side in raised:
        for values, angle in zip(angles, ARM_POSES["photograph"], strict=True):
            values[side] = angle + float(generator.normal(0, 2.5))
    arm, spread, twist, elbow = ((left, right) for left, right in angles)
    return replace(
        pose,
        head_yaw_deg=0.3 * pose.head_yaw_deg,
        head_pitch_deg=float(generator.normal(4, 4)),
        arm_deg=arm,
        arm_spread_deg=spread,
        twist_deg=twist,
        elbow_deg=elbow,
        props=("camera" if holding == 0 else "none", "camera" if holding == 1 else "none"),
    )


def standing_legs(
    generator: np.random.Generator, stride_limit: float
) -> tuple[list[tuple[float, float, float]], Pair, float]:
    """((hip, knee, foot) of both legs, spread, pelvis roll): at ease, contrapposto, feet apart, or a step forward."""
    manner = str(generator.choice(("ease", "contrapposto", "apart", "step"), p=(0.45, 0.25, 0.15, 0.15)))
    limit = min(1.0, stride_limit)
    forward = float(generator.uniform(0, 14)) * limit
    bent, out, roll = forward * 1.3 + 3.0, float(generator.uniform(2, 9)), float(generator.normal(0, 2))
    straight = float(generator.normal(0, 1.5))
    if manner == "contrapposto":
        roll = float(generator.uniform(4, 9))
        bent, out = 12 + 2.2 * roll, float(generator.uniform(4, 12))
    elif manner == "apart":
        bent, forward, out = 3.0, 0.0, float(generator.uniform(8, 14)) * limit
    elif manner == "step":
        straight, forward = -float(generator.uniform(5, 14)) * limit, float(generator.uniform(8, 18)) * limit
        bent = 4.0
    other = out if manner == "apart" else float(generator.uniform(1, 6))
    legs = [(straight, 3.0, 0.0), (forward, bent, 0.0)]
    if manner != "contrapposto":
        return (legs, (other, out), roll) if generator.random() < 0.5 else (legs[::-1], (out, other), roll)
    # the pelvis drops on the bent leg's side and takes both thighs along, which the spread makes good for
    if generator.random() < 0.5:
        return legs, (other - roll, out + roll), roll
    return legs[::-1], (out + roll, other - roll), -roll


def walking_pose(phase: float, stride: float) -> Pose:
    """The pose at a phase 0..1 of the gait, arms swinging, nothing left to chance.

    Args:
        phase: 0 is the left heel's strike.
        stride: 1 is a brisk adult's.
    """
    left, right = (_leg_in_stride((phase + shift) % 1.0, stride) for shift in (0.0, 0.5))
    swings = [-0.85 * (leg[0] - 6 * stride) for leg in (left, right)]
    turn = float(9 * stride * np.cos(2 * np.pi * phase))
    return replace(
        NEUTRAL,
        name="walk",
        trunk_pitch_deg=3.0,
        trunk_yaw_deg=1.3 * turn,
        pelvis_yaw_deg=-0.6 * turn,
        hip_deg=(left[0], right[0]),
        spread_deg=(1.0, 1.0),
        knee_deg=(left[1], right[1]),
        foot_pitch_deg=(left[2], right[2]),
        arm_deg=(swings[0], swings[1]),
        elbow_deg=(14.0 + 0.7 * max(0.0, swings[0]), 14.0 + 0.7 * max(0.0, swings[1])),
    )


NEUTRAL = Pose("stand", 0, 0, 0, 0, 0, 0, 0, (0, 0), (5, 5), (2, 2), (0, 0), (8, 8), (0, 0), (9, 9), (10, 10), (8, 8))
"""Standing at ease, left-right symmetric."""

REST = Pose(
    "stand", 0, 0, 0, 0, 0, 0, 0, (0, 0), (5, 5), (1, 1), (0, 0), (7, 7), (-1, -1), (19.7, 19.7), (25, 25), (9, 9)
)
"""As the `person` template stands: every joint's rotation is told from here."""
