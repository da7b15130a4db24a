"""Compiled paint rules: the colour of a point on a person, by body region, in the frame of its bone."""

import numpy as np
from numba import njit

from mmgen.synth.paint_head import paint_hair, paint_head
from mmgen.synth.paint_upper import paint_upper
from mmgen.synth.patterns import cloth, noise, put, quilt, scale
from mmgen.synth.person import (
    M_BAG,
    M_BELT,
    M_BOTTOM,
    M_HAT,
    M_OUTER,
    M_SCARF,
    M_SHOE,
    M_SKIN,
    M_SLEEVE,
    M_SOCK,
    M_SOLE,
    Paint,
    Style,
)
from mmgen.synth.primitives import (
    BAG,
    HAIR,
    HAT,
    HEAD,
    LEG,
    OUTER_SKIRT,
    OUTER_SLEEVE,
    PROP,
    SCARF,
    SHELL,
    SHOE,
    SKIN,
    SKIRT,
    SLEEVE,
    TRUNK,
    Packed,
)

COLLAR_M = 0.05
"""Clothes end this far above the shoulders, on an adult."""

PELVIS, CHEST = 0, 1
FIRST_LEG = 9
"""Bone numbers, see `skeleton.BONES`."""


@njit(cache=True, error_model="numpy")
def local_point(origin: np.ndarray, axes: np.ndarray, point: np.ndarray, out: np.ndarray) -> None:
    """Bone-local coordinates of a world point, written to `out` [3]."""
    x, y, z = point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]
    for axis in range(3):
        out[axis] = axes[axis, 0] * x + axes[axis, 1] * y + axes[axis, 2] * z


@njit(cache=True, error_model="numpy")
def albedo(region: int, bone: int, point: np.ndarray, paint: Paint, q: np.ndarray, out: np.ndarray) -> float:
    """Colour of a point.

    Args:
        region: Rule, see `primitives`.
        point: [3] world frame, metres.
        q: [3] receives the bone-local point, metres.
        out: [3] receives the albedo, about 0..1.

    Returns:
        How strongly folds show here: 0 for skin, 1 for ironed cloth, more for creased cloth.
    """
    style, materials = paint.style, paint.materials
    if (
        region == TRUNK
        or region == SHELL
        or region == LEG
        or (region == SKIN and bone >= FIRST_LEG and style.skirt_y < 0)
    ):
        return _paint_clothed(region, bone, point, paint, q, out)
    local_point(paint.origin[bone], paint.axes[bone], point, q)
    around = np.arctan2(q[0], q[2])
    if region == HAIR and bone == CHEST:
        paint_hair(out, q[0] / (0.079 * style.scale), q[1] / (0.116 * style.scale), 0.0, style, materials)
        return 0.5
    if region == HEAD or region == HAIR:
        paint_head(out, q, region == HAIR, style, materials)
        return 0.5 if region == HAIR else 0.0
    if region == OUTER_SKIRT or (
        region == SKIRT and style.coat_y < 0 and q[1] > style.coat_y and not _in_opening(q, style)
    ):
        cloth(out, materials[M_OUTER], around * 0.15 * style.scale, q[1], style.variation)
        if q[2] > 0 and abs(q[0]) < 0.008:
            scale(out, 0.6)
        quilt(out, q[1], style.quilted)
        return 0.8 * style.crease_outer
    if region == SKIRT:
        cloth(out, materials[M_BOTTOM], around * 0.15 * style.scale, q[1], style.variation)
        return 0.7 * style.crease_bottom
    if region == SLEEVE or region == OUTER_SLEEVE:
        row = materials[M_OUTER] if region == OUTER_SLEEVE else materials[M_SLEEVE]
        cloth(out, row, around * 0.06, q[1], style.variation + 5)
        if region == OUTER_SLEEVE:
            quilt(out, q[1], style.quilted)
            return 1.2 * style.crease_outer
        return 1.2 * style.crease_top
    worn = _paint_accessory(region, bone, q, around, style, materials, out)
    if worn >= 0.0:
        return worn
    if bone == CHEST and q[2] < 0 and q[1] < style.shoulder_y + COLLAR_M * style.scale:
        paint_upper(out, q[0], q[1] + style.chest_y, q[2], style, materials)
        return 0.5 * style.crease_top
    _paint_skin(out, bone, q, style, materials)
    return 0.05


@njit(cache=True, error_model="numpy")
def _paint_accessory(
    region: int, bone: int, q: np.ndarray, around: float, style: Style, materials: np.ndarray, out: np.ndarray
) -> float:
    """What is carried or stands off: as `albedo`, -1 for other regions."""
    if region == PROP:
        put(out, 0.12, 0.12, 0.13)
        if style.variation % 2.0 < 1.0:
            put(out, 0.8, 0.78, 0.74)
        return 0.0
    if region == SCARF:
        cloth(out, materials[M_SCARF], q[0], q[1], style.variation + 7)
        return 1.2
    if region == SHOE:
        on_sole = bone % 3 == 2 and q[1] < -style.ankle + 0.024 * style.scale
        cloth(out, materials[M_SOLE] if on_sole else materials[M_SHOE], 0.0, 0.0, 0.0)
        return 0.2
    if region == BAG:
        cloth(out, materials[M_BAG], q[0], q[1], style.variation + 9)
        return 0.5
    if region == HAT:
        cloth(out, materials[M_HAT], around * 0.09, q[1], style.variation)
        if abs(q[1] - 0.078 * style.head_scale) < 0.011 and (style.headwear == 3 or style.headwear == 5):
            scale(out, 0.4)
        return 0.3
    return -1.0


@njit(cache=True, error_model="numpy")
def _in_opening(q: np.ndarray, style: Style) -> bool:
    """Whether a pelvis-local point shows in the open front of a coat."""
    return style.opening > 0 and q[2] > 0 and abs(q[0]) < 1.5 * style.opening


@njit(cache=True, error_model="numpy")
def _paint_clothed(region: int, bone: int, point: np.ndarray, paint: Paint, q: np.ndarray, out: np.ndarray) -> float:
    """Trunk, trousers, legs under a skirt: heights over the hips decide what is seen, whatever solid is below."""
    style, materials = paint.style, paint.materials
    trunk_bone = CHEST if bone == CHEST else PELVIS
    local_point(paint.origin[trunk_bone], paint.axes[trunk_bone], point, q)
    height = q[1] + (style.chest_y if bone == CHEST else 0.0)
    if region == SKIN and height < style.skirt_y:
        local_point(paint.origin[bone], paint.axes[bone], point, q)
        _paint_skin(out, bone, q, style, materials)
        return 0.05
    low = style.coat_y if region == TRUNK else 0.4 * style.coat_y
    if style.coat_y < 0 and low < height < 0.05 and not _in_opening(q, style):
        cloth(out, materials[M_OUTER], np.arctan2(q[0], q[2]) * 0.15 * style.scale, height, style.variation)
        quilt(out, height, style.quilted)  # hips press against the coat from inside
        return 0.8 * style.crease_outer
    at_neck = q[0] ** 2 + (q[2] + 0.01) ** 2 < (0.082 * style.scale) ** 2
    if region == TRUNK and bone == CHEST and at_neck and q[1] > style.shoulder_y + COLLAR_M * style.scale:
        cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
        return 0.05
    if region == SHELL or (height >= style.waist_y and region != SKIN):
        paint_upper(out, q[0], height, q[2], style, materials)
        return style.crease_outer if style.has_outer > 0 else style.crease_top
    if style.belt > 0 and height > style.waist_y - 0.04 * style.scale:
        cloth(out, materials[M_BELT], 0.0, 0.0, 0.0)
        if q[2] > 0 and abs(q[0]) < 0.022 * style.scale:
            put(out, 0.55, 0.5, 0.4)
        return 0.2
    if region == LEG:
        local_point(paint.origin[bone], paint.axes[bone], point, q)
        _paint_trousers(out, bone, q, style, materials)
        return style.crease_bottom
    cloth(out, materials[M_BOTTOM], np.arctan2(q[0], q[2]) * 0.15 * style.scale, height, style.variation)
    return 0.8 * style.crease_bottom


@njit(cache=True, error_model="numpy")
def _paint_trousers(out: np.ndarray, bone: int, q: np.ndarray, style: Style, materials: np.ndarray) -> None:
    on_shank = (bone - FIRST_LEG) % 3 == 1
    height = q[1] - (style.thigh if on_shank else 0.0)
    cloth(out, materials[M_BOTTOM], np.arctan2(q[0], q[2]) * 0.08, height, style.variation)
    outward = q[0] if bone < FIRST_LEG + 3 else -q[0]
    if outward > 0 and abs(q[2]) < 0.018:
        scale(out, 0.85)
        if style.side_stripe > 0:
            row = materials[M_SOLE]
            put(out, row[1], row[2], row[3])


@njit(cache=True, error_model="numpy")
def _paint_skin(out: np.ndarray, bone: int, q: np.ndarray, style: Style, materials: np.ndarray) -> None:
    cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
    scale(out, 0.96 + 0.08 * noise(q[0] * 30, q[1] * 30, q[2] * 30))
    on_leg, part = bone >= FIRST_LEG, (bone - FIRST_LEG) % 3
    if on_leg and part == 0 and q[1] < -style.thigh + 0.05 * style.scale and q[2] > 0.02:
        scale(out, 0.93)
    if on_leg and part < 2 and q[1] + style.shank + (style.thigh if part == 0 else 0.0) < style.sock:
        cloth(out, materials[M_SOCK], 0.0, 0.0, 0.0)


def point_albedos(points: np.ndarray, labels: np.ndarray, packed: Packed, paint: Paint) -> np.ndarray:
    """Colours of world points on known solids.

    Args:
        points: [N, 3] metres.
        labels: [N] solid of each point.

    Returns:
        [N, 3] float32, 0..1.
    """
    colours = np.zeros(points.shape, np.float32)
    _fill_albedos(points, labels, packed, paint, np.zeros((2, 3)), colours)
    return colours


@njit(cache=True, error_model="numpy")
def _fill_albedos(
    points: np.ndarray, labels: np.ndarray, packed: Packed, paint: Paint, scratch: np.ndarray, colours: np.ndarray
) -> None:
    q, out = scratch[0], scratch[1]
    for n in range(points.shape[0]):
        label = labels[n]
        albedo(packed.region[label], packed.bone[label], points[n], paint, q, out)
        for channel in range(3):
            colours[n, channel] = min(1.0, max(0.0, out[channel]))
