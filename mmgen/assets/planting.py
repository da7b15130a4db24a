"""Feet that stand: knees bend until every foot that carries is on the ground and no other one is below it.

A gait tells joint angles for average legs. On a body whose legs differ, or whose shoes do, the forward heel would hang
in the air or a foot scrape.
"""

from dataclasses import dataclass

import numpy as np

from mmgen.assets.rig import Floats, Rig

LANDS, CARRIES_UNTIL, LEAVES = -0.12, 0.45, 0.55
"""Phases of a leg, 0 its heel's strike: from the first on it reaches for the ground, until the last it lets go."""

MOST_BEND_DEG = 70.0
HALVINGS = 12
"""Of the range of the bend: to 0.02 degrees."""

BEND_SHARES = (-0.5, 1.0, -0.5)
"""Of thigh, shank and foot: half of a knee's bend goes forward, half back, and the foot keeps its pitch."""


def planted(rig: Rig, rotations: Floats, phases: Floats) -> Floats:
    """[T, J, 3, 3] the rotations with knees bent as far as the ground asks.

    Args:
        rig: of the body.
        rotations: [T, J, 3, 3] of each joint against its parent.
        phases: [T] of the left leg; the right one's are half a stride later.
    """
    legs = [_leg(rig, side) for side in ("Left", "Right")]

    def lowest(bend_deg: Floats) -> Floats:
        return np.stack([leg.lowest(rotations, bend) for leg, bend in zip(legs, bend_deg, strict=True)])

    low = np.zeros((2, len(rotations)))
    there, high = lowest(low), np.full_like(low, MOST_BEND_DEG)
    carried = np.stack([_carried(phases), _carried(phases + 0.5)])
    level = (there.min(axis=0) + carried * (there - there.min(axis=0))).max(axis=0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_high = lowest(middle) >= level
        low, high = np.where(is_high, low, middle), np.where(is_high, middle, high)
    bent = rotations.copy()
    for leg, bend in zip(legs, np.where(there < level, high, 0.0), strict=True):
        bent[:, leg.joints] = leg.bent(rotations, bend)
    return bent


def _carried(phases: Floats) -> Floats:
    """How much a leg carries at its phases, 0..1."""
    around = (phases - LANDS) % 1.0 + LANDS
    share = np.minimum(np.clip(1 - around / LANDS, 0, 1), np.clip((LEAVES - around) / (LEAVES - CARRIES_UNTIL), 0, 1))
    return np.asarray(share**2 * (3 - 2 * share))


@dataclass(frozen=True)
class _Leg:
    """A leg that hangs from the first joint.

    Attributes:
        joints: rows of thigh, shank and foot.
        places: [3, 3] of each in the frame of the one above.
        points: [3, N, 3] shank and foot in the frame of each.
        shares: [3, N] what each moves of them.
    """

    joints: list[int]
    places: Floats
    points: Floats
    shares: Floats

    def bent(self, rotations: Floats, bend_deg: Floats) -> Floats:
        """[T, 3, 3, 3] rotations of the leg with its knee [T] so much further bent."""
        angles = np.radians(bend_deg)[:, None] * BEND_SHARES
        pitched = np.zeros((*angles.shape, 3, 3))
        pitched[..., 0, 0] = 1.0
        pitched[..., 1, 1] = pitched[..., 2, 2] = np.cos(angles)
        pitched[..., 2, 1] = np.sin(angles)
        pitched[..., 1, 2] = -pitched[..., 2, 1]
        return np.asarray(pitched @ rotations[:, self.joints])

    def lowest(self, rotations: Floats, bend_deg: Floats) -> Floats:
        """[T] height of the lowest point above the first joint, with the knee [T] so much further bent."""
        up, height, heights = rotations[:, 0, 1], np.zeros(len(rotations)), 0.0
        for row, own in enumerate(self.bent(rotations, bend_deg).transpose(1, 0, 2, 3)):
            height = height + up @ self.places[row]
            up = (up[:, None] @ own)[:, 0]
            heights = heights + self.shares[row] * (up @ self.points[row].T + height[:, None])
        return np.asarray(np.min(heights, axis=1))


def _leg(rig: Rig, side: str) -> _Leg:
    joints = [rig.names.index(side + name) for name in ("UpLeg", "Leg", "Foot")]
    shares = np.stack([((rig.bones == joint) * rig.weights).sum(axis=1) for joint in joints])
    hangs = shares[1:].sum(axis=0) > 0.5
    points = np.stack([(rig.points[hangs] - rig.places[joint]) @ rig.turns[joint] for joint in joints])
    return _Leg(joints, rig.local_places()[joints], points, shares[:, hangs] / shares[:, hangs].sum(axis=0))
