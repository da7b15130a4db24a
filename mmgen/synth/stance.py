"""How people stand when they are photographed on purpose: arms out, up or crossed, leaning, a foot forward.

Walkers and passers-by hardly move an arm more than 30 degrees from the trunk; photos that people hand in are full of
arms that do.
"""

import numpy as np

from mmgen.synth.pose import ARM_POSES, Pose, standing_legs

ArmAngles = tuple[float, float, float, float]
"""(forward, outward, inward twist, elbow) in degrees, as in `pose.ARM_POSES`."""

PAIRED = {"a_pose": 0.26, "t_pose": 0.1, "up": 0.08, "hip": 0.14, "pocket": 0.12, "crossed": 0.14, "behind": 0.06,
          "clasped": 0.1}  # fmt: skip
"""What both arms do together, and how often."""

SINGLE = {"raised": 0.34, "hang": 0.2, "hip": 0.16, "pocket": 0.14, "strap": 0.08, "hair": 0.08}
"""What one arm does by itself."""

PAIRED_SHARE = 0.6
LEANING_SHARE = 0.3
SIDEWAYS_SHARE = 0.6
"""Of raised arms: to the side; the others to the front."""


def sample_stance(generator: np.random.Generator, carrying: tuple[bool, bool], stride_limit: float = 1.0) -> Pose:
    """A random stance.

    Args:
        carrying: which hands hold something, (left, right): those arms hang down.
        stride_limit: how far the clothes let the legs go, 1 = free.
    """
    legs, spread, roll = standing_legs(generator, stride_limit)
    arms = _arms(generator, carrying)
    pitch, lean = float(generator.normal(0, 3)), float(generator.normal(0, 2))
    if generator.random() < LEANING_SHARE:
        pitch, lean = float(generator.uniform(-8, 24)), float(generator.uniform(-14, 14))
    return Pose(
        name="stand",
        trunk_pitch_deg=pitch,
        trunk_roll_deg=lean,
        trunk_yaw_deg=float(np.clip(generator.normal(0, 9), -25, 25)),
        pelvis_yaw_deg=0.0,
        pelvis_roll_deg=roll,
        head_yaw_deg=float(np.clip(generator.normal(0, 17), -50, 50)),
        head_pitch_deg=float(generator.normal(2, 8)),
        hip_deg=(legs[0][0], legs[1][0]),
        spread_deg=spread,
        knee_deg=(legs[0][1], legs[1][1]),
        foot_pitch_deg=(legs[0][2], legs[1][2]),
        toe_out_deg=(float(generator.normal(9, 6)), float(generator.normal(9, 6))),
        arm_deg=(arms[0][0], arms[1][0]),
        arm_spread_deg=(arms[0][1], arms[1][1]),
        twist_deg=(arms[0][2], arms[1][2]),
        elbow_deg=(arms[0][3], arms[1][3]),
    )


def _arms(generator: np.random.Generator, carrying: tuple[bool, bool]) -> list[ArmAngles]:
    paired = str(generator.choice(list(PAIRED), p=list(PAIRED.values())))
    if not any(carrying) and generator.random() < PAIRED_SHARE:
        shared = _angles(generator, paired)
        return [_jittered(generator, shared) for _ in range(2)]
    arms = []
    for held in carrying:
        task = "carry" if held else str(generator.choice(list(SINGLE), p=list(SINGLE.values())))
        arms.append(_jittered(generator, _angles(generator, task)))
    return arms


def _angles(generator: np.random.Generator, task: str) -> ArmAngles:
    """What an arm does, before the difference between two arms."""
    if task == "a_pose":
        return 0.0, float(generator.uniform(20, 58)), 8.0, float(generator.uniform(4, 14))
    if task == "t_pose":
        return 0.0, float(generator.uniform(70, 98)), 0.0, float(generator.uniform(3, 10))
    if task == "up":
        return float(generator.uniform(-5, 15)), float(generator.uniform(115, 168)), 0.0, _elbow(generator)
    if task == "raised":
        angle = float(generator.uniform(30, 165))
        if generator.random() < SIDEWAYS_SHARE:
            return float(generator.uniform(-10, 25)), angle, float(generator.uniform(-20, 30)), _elbow(generator)
        return angle, float(generator.uniform(5, 25)), float(generator.uniform(0, 30)), _elbow(generator)
    return ARM_POSES[task]


def _elbow(generator: np.random.Generator) -> float:
    return float(generator.uniform(3, 20) if generator.random() < 0.5 else generator.uniform(20, 115))


def _jittered(generator: np.random.Generator, angles: ArmAngles) -> ArmAngles:
    forward, outward, twist, elbow = (value + float(generator.normal(0, 4)) for value in angles)
    return forward, max(5.0, outward), twist, max(3.0, elbow)
