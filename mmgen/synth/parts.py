"""The surface of parts of a person: distances to the solids of an arm, a leg, or what is neither, in contact or not.

What hangs around both legs belongs half to each: the left leg's part ends a little beyond the plane between them, and
so does the right leg's, so that together they fill the garment.
"""

import numpy as np
from numba import njit

from mmgen.synth.field import FAR, _is_near, smooth_min, solid_distance
from mmgen.synth.primitives import BAG, ORIGIN, OUTER_SKIRT, SKIRT, SPAN, Packed
from mmgen.synth.skeleton import BONE, SIDES

CORE, ARM_L, ARM_R, LEG_L, LEG_R = 1, 2, 4, 8, 16
"""Parts, as bits: sums of them are parts that have grown together."""

OVERLAP_M = 0.11
"""How far each leg's half of a skirt reaches beyond the middle."""

MARCH_M = 0.004
"""Shortest step along a ray."""

GAP_M = 0.05
"""Widest gap between a leg and what hangs around it that a ray crosses."""

NARROW_GAP_M = 0.012
"""The same for everything else."""


def solid_parts(packed: Packed) -> np.ndarray:
    """[P] the parts that every solid belongs to: one bit, or both legs' for skirts and the lower halves of coats."""
    part_of_bone = np.full(len(BONE), CORE)
    for side, (arm, leg) in zip(SIDES, ((ARM_L, LEG_L), (ARM_R, LEG_R)), strict=True):
        for name in ("arm", "forearm", "hand"):
            part_of_bone[BONE[f"{name}_{side}"]] = arm
        for name in ("thigh", "shank", "foot"):
            part_of_bone[BONE[f"{name}_{side}"]] = leg
    parts = part_of_bone[packed.bone]
    hanging = (packed.region == SKIRT) | (packed.region == OUTER_SKIRT)
    return np.where(hanging, CORE | LEG_L | LEG_R, parts).astype(np.int64)


def carried_reach_m(packed: Packed, hand: int, wrist: np.ndarray, along: np.ndarray) -> float:
    """How far what a hand carries reaches from the wrist along the hand, metres; 0 for empty hands.

    Args:
        hand: number of the hand's bone.
        wrist: [3] world frame.
        along: [3] unit, from the wrist to the fingers.
    """
    rows = packed.table[(packed.bone == hand) & (packed.region == BAG)]
    ends = np.concatenate((rows[:, ORIGIN : ORIGIN + 3], rows[:, ORIGIN : ORIGIN + 3] + rows[:, SPAN : SPAN + 3]))
    return float(((ends - wrist) @ along).max(initial=0.0))


@njit(cache=True, error_model="numpy")
def part_distance(
    packed: Packed, parts: np.ndarray, plane: np.ndarray, wanted: int, x: float, y: float, z: float
) -> float:
    """Distance of a point to the wanted parts, metres, clamped to `FAR`; negative inside.

    Args:
        parts: see `solid_parts`.
        plane: [4] unit normal towards the person's left and offset of the plane between the legs.
        wanted: sum of parts.
    """
    total = FAR
    for group in range(packed.group_first.shape[0] - 1):
        blend = packed.group_table[group, 0]
        own = FAR
        for index in range(packed.group_first[group], packed.group_first[group + 1]):
            if parts[index] & wanted == 0:
                continue
            row = packed.table[index]
            if not _is_near(row, x, y, z):
                continue
            d = solid_distance(row, packed.kind[index], x, y, z)
            if parts[index] & LEG_L != 0 and parts[index] & LEG_R != 0 and wanted & CORE == 0:
                across = plane[0] * x + plane[1] * y + plane[2] * z - plane[3]
                if wanted & LEG_L == 0:
                    d = max(d, across - OVERLAP_M)
                elif wanted & LEG_R == 0:
                    d = max(d, -across - OVERLAP_M)
            own = smooth_min(own, d, blend)
        if own < FAR:
            joint = packed.group_table[group]
            radius = 0.0
            if joint[4] > 0.0:
                u, v, w = x - joint[1], y - joint[2], z - joint[3]
                radius = joint[4] * max(0.0, 1.0 - np.sqrt(u * u + v * v + w * w) / joint[5])
            total = smooth_min(total, own, radius)
    return total


@njit(cache=True, error_model="numpy")
def part_distances(
    packed: Packed, parts: np.ndarray, plane: np.ndarray, wanted: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """[N] distances of points [N, 3] to the parts wanted for each, see `part_distance`."""
    found = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        found[n] = part_distance(packed, parts, plane, wanted[n], points[n, 0], points[n, 1], points[n, 2])
    return found


@njit(cache=True, error_model="numpy")
def ray_exits(
    packed: Packed,
    parts: np.ndarray,
    plane: np.ndarray,
    wanted: np.ndarray,
    starts: np.ndarray,
    directions: np.ndarray,
    longest: float,
) -> np.ndarray:
    """[N] how far rays go until they leave the parts wanted for each; NaN for rays that start outside and stay there.

    Args:
        packed, parts, plane: see `part_distance`.
        wanted: [N].
        starts: [N, 3].
        directions: [N, 3] unit.
        longest: where to give up, metres.
    """
    found = np.full(starts.shape[0], np.nan)
    for n in range(starts.shape[0]):
        x, y, z = starts[n, 0], starts[n, 1], starts[n, 2]
        u, v, w = directions[n, 0], directions[n, 1], directions[n, 2]
        t, last, exit_at, before = 0.0, 1.0, -1.0, 0.0
        gap = GAP_M if wanted[n] & (LEG_L | LEG_R) else NARROW_GAP_M
        while t < longest:
            d = part_distance(packed, parts, plane, wanted[n], x + t * u, y + t * v, z + t * w)
            if last < 0.0 and d >= 0.0:
                exit_at = t - (t - before) * d / (d - last)
            if exit_at >= 0.0 and d >= 0.0 and t - exit_at > gap:
                break
            before, last = t, d
            t += max(MARCH_M, 0.8 * abs(d))
        if exit_at >= 0.0:
            found[n] = exit_at
    return found
