"""Compiled paint rules of the upper body: neckline, buttons, prints, open jackets and bag straps."""

import numpy as np
from numba import njit

from mmgen.synth.patterns import cloth, mix, noise, photo_texel, put, quilt, scale
from mmgen.synth.person import M_BAG, M_LOGO, M_OUTER, M_SKIN, M_TOP, Style


@njit(cache=True, error_model="numpy")
def paint_upper(out: np.ndarray, x: float, height: float, z: float, style: Style, materials: np.ndarray) -> None:
    """Colour of the upper body.

    Args:
        out: [3] receives the colour.
        x: To the person's left, metres.
        height: Above the hip joints, metres.
        z: Forward, metres.
        style: `person.Style`.
        materials: [M, 9].
    """
    u = np.arctan2(x, z) * 0.15 * style.scale
    y = height - style.chest_y
    if style.has_outer > 0:
        share = (height + 0.05) / (style.chest_y + style.shoulder_y)
        gap = style.opening * (1.25 - 0.45 * share)
        collar = style.shoulder_y + 0.02 * style.scale - y
        if style.opening == 0.0:
            gap = max(0.0, 0.05 * style.scale - 0.45 * collar)
        if z > 0 and abs(x) < gap:
            _paint_top(out, x, y, z, u, height, style, materials)
            if abs(x) > gap - 0.008 * style.scale:
                scale(out, 0.6)
        else:
            cloth(out, materials[M_OUTER], u, height, style.variation)
            quilt(out, height, style.quilted)
            if z > 0 and style.opening == 0.0 and abs(x) < 0.006 * style.scale:
                scale(out, 0.55)
            if z > 0 and style.opening > 0.0 and abs(x) < gap + 0.035 * style.scale and collar < 0.16 * style.scale:
                scale(out, 0.82)
    else:
        _paint_top(out, x, y, z, u, height, style, materials)
    _paint_straps(out, x, y, z, height, style, materials)


@njit(cache=True, error_model="numpy")
def _paint_top(
    out: np.ndarray, x: float, y: float, z: float, u: float, height: float, style: Style, materials: np.ndarray
) -> None:
    s = style.scale
    cloth(out, materials[M_TOP], u, height, style.variation)
    neck_y = style.shoulder_y + 0.035 * s
    depth = style.neckline
    below = neck_y - y
    if style.placket > 0 and z > 0:
        if abs(x) < 0.012 * s:
            scale(out, 0.86)
            if abs(x) < 0.006 * s and (height / (0.085 * s)) % 1.0 < 0.14:
                scale(out, 0.6)
        if below < 0.055 * s and abs(x) < 0.05 * s:
            scale(out, 1.06)
        if abs(x) < 0.03 * s - 0.5 * below:
            cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
    elif z > 0 and (x / (0.062 * s)) ** 2 + (max(0.0, below) / (0.03 * s + depth)) ** 2 < 1.0:
        cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
    if style.logo > 0 and style.has_outer == 0:
        _paint_logo(out, x, y, z, style, materials)


@njit(cache=True, error_model="numpy")
def _paint_logo(out: np.ndarray, x: float, y: float, z: float, style: Style, materials: np.ndarray) -> None:
    if z < 0:
        if style.logo_back == 0:
            return
        x = -x
    size = style.logo_size
    a, b = x / size, (y - 0.5 * style.shoulder_y) / size
    kind, inside = int(style.logo), False
    if kind == 1:
        inside = a * a + b * b < 1.0
    elif kind == 2:
        inside = abs(a) < 1.2 and abs(b) < 0.6
    elif kind == 3:
        inside = 0.45 < a * a + b * b < 1.0
    elif kind == 4:
        inside = abs(b) < 0.4
    elif kind == 5:
        line = np.floor((b + 0.75) / 0.5)
        stroke = noise(np.floor(a * 5) + 31 * line, style.variation, 0.5)
        inside = abs(a) < 1.25 and 0 <= line < 3 and (b + 0.75) % 0.5 < 0.33 and stroke > 0.33
    elif kind == 6:
        inside = abs(a) < 1.0 and abs(b) < 1.15
    elif kind == 7:
        inside = a * a + b * b < 1.7 and noise(2.3 * a + style.variation, 2.3 * b, 0.7) > 0.36
    elif kind == 8 and abs(a) < 1.0 and abs(b) < 1.0:
        photo_texel(out, materials[M_LOGO], 0.5 + 0.5 * a, 0.5 - 0.5 * b)
    if not inside:
        return
    row = materials[M_LOGO]
    put(out, row[1], row[2], row[3])
    if kind >= 6:
        level = noise(2.2 * a + style.variation, 2.2 * b, 1.5)
        mix(out, level, noise(3 * a, 3 * b + style.variation, 4.5), 1 - level, 0.55)


@njit(cache=True, error_model="numpy")
def _paint_straps(
    out: np.ndarray, x: float, y: float, z: float, height: float, style: Style, materials: np.ndarray
) -> None:
    s, kind, painted = style.scale, int(style.strap), False
    if kind == 1:
        spread = 0.098 * s - 0.1 * max(0.0, y - 0.8 * style.shoulder_y)
        painted = z > -0.06 * s and y > 0.0 and abs(abs(x) - spread) < 0.02 * s
    elif kind >= 2:
        side = 1.0 if kind == 2 else -1.0
        top, low = style.chest_y + style.shoulder_y + 0.05 * s, 0.04 * s
        share = (height - low) / (top - low)
        line = side * (0.17 * s - 0.25 * s * share)
        painted = share > 0.0 and abs(x - line) < 0.021 * s
    if painted:
        cloth(out, materials[M_BAG], x, y, 0.0)
        scale(out, 0.8)
