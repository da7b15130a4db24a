"""Compiled paint rules of the head: hairline, eyes, brows, mouth, beard, glasses."""

import numpy as np
from numba import njit

from mmgen.synth.patterns import cloth, mix, noise, put, scale
from mmgen.synth.person import M_HAIR, M_HAT, M_LENS, M_SKIN, Style

SHORT, CROPPED, LONG, BOB, BUN, PONYTAIL, CURLY, BALD, AFRO, WAVY, DRAPED = range(11)
HEADSCARF, HOOD = 4, 6
"""Numbers in `identity.HAIRS` and `identity.HEADWEAR`."""


@njit(cache=True, error_model="numpy")
def paint_head(out: np.ndarray, q: np.ndarray, on_hair: bool, style: Style, materials: np.ndarray) -> None:
    """Colour of a point on the head or its hair.

    Args:
        out: [3] receives the colour.
        q: [3] point in the head's frame (origin in its middle), metres.
        on_hair: The point lies on a solid of hair or a headscarf.
        style: `person.Style`.
        materials: [M, 9].
    """
    k = style.head_scale
    x, y, z = q[0] / (0.079 * k), q[1] / (0.116 * k), q[2] / (0.098 * k)
    if int(style.headwear) == HEADSCARF or int(style.headwear) == HOOD:
        if z > 0.2 and (x / 0.72) ** 2 + ((y + 0.12) / 0.78) ** 2 < 1.0 and not (on_hair and y < -0.85):
            _paint_face(out, x, y, z, style, materials)
        else:
            cloth(out, materials[M_HAT], x * 0.08, y * 0.11, style.variation)
        return
    if _is_hair(x, y, z, on_hair, int(style.hair), style.variation):
        paint_hair(out, x, y, z, style, materials)
        return
    _paint_face(out, x, y, z, style, materials)


@njit(cache=True, error_model="numpy")
def paint_hair(out: np.ndarray, x: float, y: float, z: float, style: Style, materials: np.ndarray) -> None:
    """Colour of hair, at a place in half-axes of the head."""
    row = materials[M_HAIR]
    put(out, row[1], row[2], row[3])
    strand = noise(x * 9 + style.variation, y * 2.2, z * 9)
    mix(out, row[4], row[5], row[6], 0.55 * max(0.0, strand - 0.35))


@njit(cache=True, error_model="numpy")
def _is_hair(x: float, y: float, z: float, on_hair: bool, kind: int, variation: float) -> bool:
    if kind == BALD:
        return False
    if on_hair and z < -1.05:
        return True
    parting = 0.08 * np.sin(variation)
    hairline = 0.58 - 0.22 * x * x + parting * x
    if kind == CURLY or kind == AFRO:
        hairline = 0.5 - 0.1 * x * x
    face = z > 0.12 and y < hairline and y > -1.3
    if kind == LONG or kind == BOB or kind == WAVY or kind == DRAPED:
        return not (face and abs(x) < 0.8 - 0.1 * y and not (on_hair and abs(x) > 0.66))
    sideburn = -0.2 if kind != CROPPED else 0.1
    side_skin = y < sideburn and z > -0.25
    nape = y < -0.62
    ear = abs(x) > 0.9 and abs(y + 0.1) < 0.3 and abs(z + 0.08) < 0.22
    return not (face or side_skin or nape or (ear and not on_hair))


@njit(cache=True, error_model="numpy")
def _paint_face(out: np.ndarray, x: float, y: float, z: float, style: Style, materials: np.ndarray) -> None:
    cloth(out, materials[M_SKIN], 0.0, 0.0, 0.0)
    side = abs(x)
    if z < 0.1:
        return
    hair = materials[M_HAIR]
    cheek = np.exp(-((side - 0.5) ** 2 + (y + 0.3) ** 2) / 0.06)
    mix(out, out[0], out[1] * 0.82, out[2] * 0.8, 0.5 * cheek)
    if style.beard > 0 and y < -0.28 and (y < -0.42 or side > 0.55) and not (abs(y + 0.53) < 0.07 and side < 0.26):
        mix(out, hair[1], hair[2], hair[3], 0.75)
    elif abs(y + 0.53 + 0.03 * np.cos(6 * x)) < 0.062 and side < 0.31:
        mix(out, 0.55, 0.2, 0.2, 0.7)
    if z < 0.35:
        return
    socket = np.exp(-((side - 0.4) ** 2 / 0.045 + (y - 0.02) ** 2 / 0.02))
    scale(out, 1.0 - 0.16 * socket)
    eye = ((side - 0.4) / 0.19) ** 2 + ((y - 0.0) / 0.075) ** 2
    if eye < 1.0:
        put(out, 0.82, 0.8, 0.78)
        if ((side - 0.39) / 0.09) ** 2 + (y / 0.08) ** 2 < 1.0 or y > 0.045:
            put(out, 0.09, 0.07, 0.06)
    if abs(y - 0.2 + 0.12 * (side - 0.4) ** 2 * 4) < 0.045 and abs(side - 0.41) < 0.25:
        mix(out, hair[1], hair[2], hair[3], 0.8)
    if abs(y + 0.33) < 0.05 and side < 0.17:
        scale(out, 0.72)
    if style.glasses > 1:
        lens = ((side - 0.42) / 0.36) ** 2 + ((y + 0.03) / 0.24) ** 2
        if lens < 1.0 or (side < 0.12 and abs(y - 0.06) < 0.04):
            row = materials[M_LENS]
            put(out, row[1], row[2], row[3])
            if lens < 0.75:
                scale(out, 1.35 + y)
    elif style.glasses > 0:
        rim = ((side - 0.42) / 0.31) ** 2 + ((y + 0.01) / 0.2) ** 2
        if 0.62 < rim < 1.15 or (side < 0.12 and abs(y - 0.04) < 0.035):
            put(out, 0.1, 0.1, 0.11)
