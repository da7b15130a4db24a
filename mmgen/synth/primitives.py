"""The solids that people are made of, and their packing into arrays for the compiled code."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmgen.synth.skeleton import Skeleton

LIMB, LOFT, BOX = 0, 1, 2
"""Kinds: tapered capsule or ellipsoid with elliptic sections; cone with flat ends; rounded box."""

(
    SKIN, HEAD, HAIR, TRUNK, SHELL, SLEEVE, LEG, SHOE, BAG, HAT, SKIRT, OUTER_SKIRT, OUTER_SLEEVE, SCARF, PROP,
) = range(15)  # fmt: skip
"""Regions: which rules colour a solid. See albedo.py."""

Point = tuple[float, float, float]
Radii = tuple[float, float]


@dataclass(frozen=True)
class Solid:
    """One solid, in the frame of its bone. `a` and `b` end its axis; sections are ellipses (sideways, forward).

    Attributes:
        group: Name of the group it melts together with.
        a, b: Ends of the axis, metres; equal ends make an ellipsoid.
        radii_a, radii_b: Half-axes of the section at the ends, metres. A box uses `radii_a` as half-extents.
        kind: `LIMB`, `LOFT` or `BOX`.
        cap: Height of a limb's rounded ends, metres; None takes the mean radius.
        bulge: Extra radius in the middle of a limb, metres.
        folds: (relative depth at end `a`, number, phase) of a loft's pleats.
        rounding: Radius of the edges of lofts and boxes, metres.
        hollow: (wall thickness, depth) of the opening at a loft's end `a`, metres; depth 0 is closed.
        slit: Half-width of the front opening at end `a` of a loft, metres; it narrows to a third at `b`.
    """

    bone: int
    region: int
    group: str
    a: Point
    b: Point
    radii_a: Radii
    radii_b: Radii
    kind: int = LIMB
    material: int = 0
    cap: float | None = None
    bulge: float = 0.0
    folds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rounding: float = 0.008
    hollow: tuple[float, float] = (0.02, 0.0)
    slit: float = 0.0


@dataclass(frozen=True)
class Group:
    """Solids that melt into one another, and how they join the trunk.

    Attributes:
        blend: Radius of the melting inside the group, metres.
        joint: Bone-local (bone, point) near which the group melts into the trunk; None keeps a sharp crease everywhere.
        joint_blend: Radius of that melting at the joint, metres.
        joint_reach: Distance from the joint at which it has faded to nothing, metres: limbs never fuse with each other.
    """

    blend: float
    joint: tuple[int, Point] | None = None
    joint_blend: float = 0.0
    joint_reach: float = 0.1


# Columns of the packed table.
ORIGIN, AXES, LENGTH, RX_A, RZ_A, RX_B, RZ_B = 0, 3, 12, 13, 14, 15, 16
CAP_A, CAP_B, BULGE, SHEAR_X, SHEAR_Z = 17, 18, 19, 20, 21
FOLD, FOLD_COUNT, FOLD_PHASE, ROUNDING, WALL, DEPTH, SLIT = 22, 23, 24, 25, 26, 27, 28
LOW, HIGH, SPAN, REACH, COLUMNS = 29, 32, 35, 38, 39


class Packed(NamedTuple):
    """Solids and groups as arrays, world frame; solids are sorted by group, the trunk first.

    Attributes:
        table: [P, COLUMNS] float64.
        kind: [P] int64.
        region: [P] int64.
        material: [P] int64.
        bone: [P] int64.
        group_first: [G + 1] int64, where each group's solids begin.
        group_table: [G, 6] float64: blend, joint x, y, z, joint blend, joint reach.
    """

    table: np.ndarray
    kind: np.ndarray
    region: np.ndarray
    material: np.ndarray
    bone: np.ndarray
    group_first: np.ndarray
    group_table: np.ndarray

    def moved(self, shift: np.ndarray) -> "Packed":
        """The same solids translated by `shift` [3], metres."""
        table, groups = self.table.copy(), self.group_table.copy()
        for column in (ORIGIN, LOW, HIGH):
            table[:, column : column + 3] += shift
        groups[:, 1:4] += shift
        return self._replace(table=table, group_table=groups)


def pack(solids: list[Solid], groups: dict[str, Group], skeleton: Skeleton) -> Packed:
    """Place solids in the world and lay them out for the compiled code.

    Args:
        solids: All solids; every group name must be a key of `groups`.
        groups: In the order in which they are joined; the first is the trunk.
    """
    order = [name for name in groups if any(solid.group == name for solid in solids)]
    ordered = [solid for name in order for solid in solids if solid.group == name]
    counts = [sum(solid.group == name for solid in solids) for name in order]
    return Packed(
        table=np.stack([_row(solid, skeleton) for solid in ordered]),
        kind=np.array([solid.kind for solid in ordered], np.int64),
        region=np.array([solid.region for solid in ordered], np.int64),
        material=np.array([solid.material for solid in ordered], np.int64),
        bone=np.array([solid.bone for solid in ordered], np.int64),
        group_first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        group_table=np.stack([_group_row(groups[name], skeleton) for name in order]),
    )


def _group_row(group: Group, skeleton: Skeleton) -> np.ndarray:
    joint = np.zeros(3)
    if group.joint is not None:
        joint = skeleton.to_world(group.joint[0], np.array(group.joint[1]))
    return np.array([group.blend, *joint, group.joint_blend, group.joint_reach])


def _row(solid: Solid, skeleton: Skeleton) -> np.ndarray:
    a, b = np.array(solid.a, float), np.array(solid.b, float)
    frame, length, shear = _local_frame(solid, a, b)
    widest = max(*solid.radii_a, *solid.radii_b) * (1 + solid.folds[0]) + solid.bulge
    cap = solid.cap
    caps = (cap, cap) if cap is not None else (sum(solid.radii_a) / 2, sum(solid.radii_b) / 2)
    if solid.kind == BOX:
        widest = float(np.hypot(*solid.radii_a))
    margin = max(widest, *caps) if solid.kind == LIMB else widest
    ends = skeleton.to_world(solid.bone, np.stack([a, b]))
    row = np.zeros(COLUMNS)
    row[ORIGIN : ORIGIN + 3] = ends[0]
    row[AXES : AXES + 9] = (frame @ skeleton.axes[solid.bone]).ravel()
    row[LENGTH:CAP_A] = [length, *solid.radii_a, *solid.radii_b]
    row[CAP_A:FOLD] = [*caps, solid.bulge, *shear]
    row[FOLD:LOW] = [*solid.folds, solid.rounding, *solid.hollow, solid.slit]
    row[LOW : LOW + 3] = ends.min(0) - margin
    row[HIGH : HIGH + 3] = ends.max(0) + margin
    row[SPAN : SPAN + 3] = ends[1] - ends[0]
    row[REACH] = margin
    return row


def _local_frame(solid: Solid, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Rows x, y, z of the solid in its bone's frame, its length, and the sideways shift of end `b` for lofts."""
    if solid.kind == LOFT:
        return np.eye(3), float(b[1] - a[1]), (float(b[0] - a[0]), float(b[2] - a[2]))
    length = float(np.linalg.norm(b - a))
    if length < 1e-9:
        return np.eye(3), 0.0, (0.0, 0.0)
    y_axis = (b - a) / length
    u, v, w = (float(value) for value in y_axis)
    x_axis = np.array([v, -u, 0.0] if abs(w) < 0.8 else [-w, 0.0, u])  # at right angles to z, or to y
    x_axis /= np.linalg.norm(x_axis)
    p, q, r = (float(value) for value in x_axis)
    z_axis = np.array([q * w - r * v, r * u - p * w, p * v - q * u])
    return np.stack([x_axis, y_axis, z_axis]), length, (0.0, 0.0)
