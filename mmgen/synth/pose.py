"""Poses: a walking cycle and relaxed standing, with arms that swing, hang, or are busy.

Pairs are (left, right); the person's left is world +x. Angles are degrees, zero is standing at attention.
"""

from dataclasses import dataclass

import numpy as np

Pair = tuple[float, float]

ARM_TASKS = ("swing", "hang", "pocket", "phone", "strap", "carry")


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


def _busy_arm(generator: np.random.Generator, task: str, swing_deg: float) -> tuple[float, float, float, float]:
    """(forward, outward, inward twist, elbow) of an arm."""
    jitter = generator.normal(0, 3, 4)
    base = {
        "swing": (swing_deg, 9.0, 12.0, 14.0 + max(0.0, swing_deg) * 0.7),
        "hang": (2.0, 8.0, 10.0, 12.0),
        "pocket": (-16.0, 17.0, 30.0, 42.0),
        "phone": (16.0, 11.0, 42.0, 98.0),
        "strap": (4.0, 14.0, 36.0, 122.0),
        "carry": (1.0, 9.0, 0.0, 6.0),
    }[task]
    forward, outward, twist, elbow = (value + float(extra) for value, extra in zip(base, jitter, strict=True))
    return forward, max(5.0, outward), twist, max(3.0, elbow)


def sample_pose(
    generator: np.random.Generator, kind: str, carrying: tuple[bool, bool], stride_limit: float = 1.0
) -> Pose:
    """A random pose.

    Args:
        generator: Source of randomness.
        kind: `walk` or `stand`.
        carrying: Which hands hold something, (left, right): those arms hang down.
        stride_limit: Upper bound of the stride, 1 = a brisk adult; long skirts need less.
    """
    stride = float(generator.uniform(0.5, 1.1)) * stride_limit if kind == "walk" else 0.0
    phase = float(generator.random())
    legs = [_leg_in_stride((phase + shift) % 1.0, stride) for shift in (0.0, 0.5)]
    if kind == "stand":
        legs = _standing_legs(generator)
    swings = (-0.85 * (legs[0][0] - 6 * stride), -0.85 * (legs[1][0] - 6 * stride))
    arms = [
        _busy_arm(generator, _arm_task(generator, kind, held), swing)
        for held, swing in zip(carrying, swings, strict=True)
    ]
    turn = float(9 * stride * np.cos(2 * np.pi * phase))
    return Pose(
        name=kind,
        trunk_pitch_deg=float(generator.normal(3 if kind == "walk" else 0, 2)),
        trunk_roll_deg=float(generator.normal(0, 1.5)),
        trunk_yaw_deg=turn * 1.3 + float(generator.normal(0, 3)),
        pelvis_yaw_deg=-turn * 0.6,
        pelvis_roll_deg=float(generator.normal(0, 1.5 if kind == "walk" else 2.5)),
        head_yaw_deg=float(np.clip(generator.normal(0, 14), -40, 40)),
        head_pitch_deg=float(generator.normal(5, 6)),
        hip_deg=(legs[0][0], legs[1][0]),
        spread_deg=(float(generator.uniform(1, 4)), float(generator.uniform(1, 4)))
        if kind == "walk"
        else (float(generator.uniform(2, 9)), float(generator.uniform(2, 9))),
        knee_deg=(legs[0][1], legs[1][1]),
        foot_pitch_deg=(legs[0][2], legs[1][2]),
        toe_out_deg=(float(generator.normal(9, 4)), float(generator.normal(9, 4))),
        arm_deg=(arms[0][0], arms[1][0]),
        arm_spread_deg=(arms[0][1], arms[1][1]),
        twist_deg=(arms[0][2], arms[1][2]),
        elbow_deg=(arms[0][3], arms[1][3]),
    )


def _arm_task(generator: np.random.Generator, kind: str, held: bool) -> str:
    if held:
        return "carry"
    weights = (0.78, 0.06, 0.06, 0.06, 0.04) if kind == "walk" else (0.0, 0.6, 0.16, 0.16, 0.08)
    return str(generator.choice(ARM_TASKS[:5], p=weights))


def _standing_legs(generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Weight on one leg, the other a little forward with a soft knee."""
    relaxed = float(generator.uniform(0, 14))
    legs = [(float(generator.normal(0, 1.5)), 3.0, 0.0), (relaxed, relaxed * 1.3 + 3.0, 0.0)]
    return legs if generator.random() < 0.5 else legs[::-1]


NEUTRAL = Pose("stand", 0, 0, 0, 0, 0, 0, 0, (0, 0), (5, 5), (2, 2), (0, 0), (8, 8), (0, 0), (9, 9), (10, 10), (8, 8))
"""Standing at ease, left-right symmetric."""
