"""Compiled paint rules: the colour of a point on a person, by body region, in the frame of its bone."""

import numpy as np
from numba import njit

from mmgen.synth.paint_head import paint_head
from mmgen.synth.paint_upper import paint_upper
from mmgen.synth.patterns import cloth, noise, put, scale
from mmgen.synth.person import M_BAG, M_BOTTOM, M_HAT, M_OUTER, M_SHOE, M_SKIN, M_SLEEVE, M_SOCK, M_SOLE
from mmgen.synth.primitives import (
    BAG,
    HAIR,
    HAT,
    HEAD,
    LEG,
    OUTER_SKIRT,
    OUTER_SLEEVE,
    SHELL,
    SHOE,
    SKIRT,
    SLEEVE,
    TRUNK,
)

CHEST = 1
FIRST_LEG = 9
"""Bone numbers, see `skeleton.BONES`."""


@njit(cache=True)
def local_point(origin: np.ndarray, axes: np.ndarray, px: float, py: float, pz: float, out: np.ndarray) -> None:
    """Bone-local coordinates of a world point, written to `out` [3]."""
    x, y, z = px - origin[0], py - origin[1], pz - origin[2]
    for axis in range(3):
        out[axis] = axes[axis, 0] * x + axes[axis, 1] * y + axes[axis, 2] * z


@njit(cache=True)
def albedo(region: int, bone: int, q: np.ndarray, style, materials: np.ndarray, out: np.ndarray) -> float:
    """Colour of a point.

    Args:
        region: Rule, see `primitives`.
        bone: Bone number.
        q: [3] bone-local point, metres.
        style: `person.Style`.
        materials: [M, 9] material table.
        out: [3] receives the albedo, 0..1.

    Returns:
        How strongly folds show here: 0 for skin, 1 for cloth.
    """
    around = np.arctan2(q[0], q[2])
    if region == HEAD or region == HAIR:
        paint_head(out, q, region == HAIR, style, materials)
        return 0.5 if region == HAIR else 0.0
    if region == TRUNK or region == SHELL:
        height = q[1] + (style.chest_y if bone == CHEST else 0.0)
        if region == TRUNK and height < style.waist_y and not (style.has_outer > 0 and style.waist_y < 0):
            cloth(out, materials[M_BOTTOM], around * 0.15, height, style.variation)
            if style.belt > 0 and height > style.waist_y - 0.04 * style.scale:
                put(out, 0.09, 0.07, 0.06)
            return 0.8
        paint_upper(out, q[0], height, q[2], style, materials)
        return 0.9
    if region == SKIRT:
        cloth(out, materials[M_BOTTOM], around * 0.2, q[1], style.variation)
        return 0.6
    if region == OUTER_SKIRT:
        cloth(out, materials[M_OUTER], around * 0.2, q[1], style.variation)
        if q[2] > 0 and abs(q[0]) < 0.008:
            scale(out, 0.6)
        return 0.7
    if region == SLEEVE or region == OUTER_SLEEVE:
        row = materials[M_OUTER] if region == OUTER_SLEEVE else materials[M_SLEEVE]
        cloth(out, row, around * 0.06, q[1], style.variation + 5)
        return 1.0
    if region == LEG:
        _paint_trousers(out, bone, q, around, style, materials)
        return 1.0
    if region == SHOE:
        row = materials[M_SOLE] if q[1] < -style.ankle + 0.024 * style.scale and bone % 3 == 2 else materials[M_SHOE]
        cloth(out, row, 0.0, 0.0, 0.0)
        return 0.2
    if region == BAG:
        cloth(out, materials[M_BAG], q[0], q[1], style.variation + 9)
        return 0.5
    if region == HAT:
        cloth(out, materials[M_HAT], around * 0.09, q[1], style.variation)
        return 0.3
    _paint_skin(out, bone, q, style, materials)
    return 0.05


@njit(cache=True)
def _paint_trousers(out: np.ndarray, bone: int, q: np.ndarray, around: float, style, materials: np.ndarray) -> None:
    on_shank = (bone - FIRST_LEG) % 3 == 1
    height = q[1] - (style.thigh if on_shank else 0.0)
    cloth(out, materials[M_BOTTOM], around * 0.08, height, style.variation)
    outward = q[0] if bone < FIRST_LEG + 3 else -q[0]
    if outward > 0 and abs(q[2]) < 0.018:
        scale(out, 0.85)
        if style.side_stripe > 0:
            row = materials[M_SOLE]
            put(out, row[1], row[2], row[3])


@njit(cache=True)
def _paint_skin(out: np.ndarray, bone: int, q: np.ndarray, style, materials: np.ndarray) -> None:
    cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
    scale(out, 0.95 + 0.1 * noise(q[0] * 30, q[1] * 30, q[2] * 30))
    on_shank = bone >= FIRST_LEG and (bone - FIRST_LEG) % 3 == 1
    if on_shank:
        sock_top = -style.shank + (0.16 if style.high_socks > 0 else 0.06) * style.scale
        if q[1] < sock_top and style.bare_legs > 0:
            cloth(out, materials[M_SOCK], 0.0, 0.0, 0.0)
    if region_is_knee(bone, q, style):
        scale(out, 0.92)


@njit(cache=True)
def region_is_knee(bone: int, q: np.ndarray, style) -> bool:
    """Whether a leg point lies on the kneecap."""
    return (
        bone >= FIRST_LEG and (bone - FIRST_LEG) % 3 == 0 and q[1] < -style.thigh + 0.05 * style.scale and q[2] > 0.02
    )


@njit(cache=True)
def point_albedos(
    points: np.ndarray, labels: np.ndarray, packed, origin: np.ndarray, axes: np.ndarray, style, materials: np.ndarray
) -> np.ndarray:
    """Colours of world points on known solids.

    Args:
        points: [N, 3] metres.
        labels: [N] solid of each point.
        packed: Solids.
        origin: [15, 3] bones.
        axes: [15, 3, 3] bones.
        style: `person.Style`.
        materials: [M, 9].

    Returns:
        [N, 3] float32, 0..1.
    """
    colours = np.zeros(points.shape, np.float32)
    q, out = np.zeros(3), np.zeros(3)
    for n in range(points.shape[0]):
        label = labels[n]
        bone = packed.bone[label]
        local_point(origin[bone], axes[bone], points[n, 0], points[n, 1], points[n, 2], q)
        albedo(packed.region[label], bone, q, style, materials, out)
        for channel in range(3):
            colours[n, channel] = min(1.0, max(0.0, out[channel]))
    return colours
