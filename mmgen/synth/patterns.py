"""Compiled noise and cloth patterns. Colours are written into `out` [3] so that no memory is taken per pixel."""

import numpy as np
from numba import njit

PHOTO = 16
"""Number in `palette.PATTERNS`."""

ROW = 9
"""Columns of a material before its texels."""

QUILT_M = 0.085
"""Height of the ribs of a puffer jacket."""


@njit(cache=True, error_model="numpy")
def _hash(i: int, j: int, k: int) -> float:
    """A number in 0..1 that depends on three integers."""
    n = (i * 374761393 + j * 668265263 + k * 2147483647) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65535.0


@njit(cache=True, error_model="numpy")
def noise(x: float, y: float, z: float) -> float:
    """Smooth value noise with period-free lattice 1; 0..1, mean 0.5."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    c00 = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    c10 = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c01 = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    c11 = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (c00 * (1 - v) + c10 * v) * (1 - w) + (c01 * (1 - v) + c11 * v) * w


@njit(cache=True, error_model="numpy")
def fold_height(x: float, y: float, z: float) -> float:
    """Height of soft creases of worn cloth at a bone-local point (metres), 0..1."""
    bent = 0.4 * np.sin(9 * x + 7 * y) + 0.3 * np.sin(11 * y - 8 * z)
    broad = noise(8 * x + bent, 12 * y + 6 * x, 8 * z)
    ridge = 1.0 - abs(2.0 * noise(11 * x + 9.3, 19 * y - 13 * x, 11 * z + bent) - 1.0)
    return 0.5 * broad + 0.5 * ridge * ridge


@njit(cache=True, error_model="numpy")
def put(out: np.ndarray, red: float, green: float, blue: float) -> None:
    """Write a colour."""
    out[0], out[1], out[2] = red, green, blue


@njit(cache=True, error_model="numpy")
def mix(out: np.ndarray, red: float, green: float, blue: float, share: float) -> None:
    """Blend a colour over the texture."""
    out[0] += (red - out[0]) * share
    out[1] += (green - out[1]) * share
    out[2] += (blue - out[2]) * share


@njit(cache=True, error_model="numpy")
def scale(out: np.ndarray, factor: float) -> None:
    """Multiply the brightness of the texture."""
    out[0] *= factor
    out[1] *= factor
    out[2] *= factor


@njit(cache=True, error_model="numpy")
def quilt(out: np.ndarray, v: float, quilted: float) -> None:
    """Ribs of a puffer jacket, dark at their seams; `v` metres upward."""
    if quilted > 0:
        scale(out, 1.06 - 0.4 * max(0.0, abs((v / QUILT_M) % 1.0 - 0.5) - 0.3) * 5.0)


@njit(cache=True, error_model="numpy")
def _rich_pattern(kind: int, u: float, v: float, phase: float, variation: float) -> float:
    """Share of the accent in tartan, floral, ikat, chevron, ombre or bars; lengths in periods."""
    if kind == 10:
        a, b = u % 1.0, (v + phase) % 1.0
        across = 0.45 * (a < 0.4) + 0.4 * (0.62 < a < 0.7)
        return across + 0.45 * (b < 0.4) + 0.4 * (0.62 < b < 0.7)
    if kind == 11:
        row = np.floor(2 * v)
        column = np.floor(2 * u + 0.5 * (row % 2))
        du, dv = (2 * u + 0.5 * (row % 2)) % 1.0 - 0.5, (2 * v) % 1.0 - 0.5
        du += 0.5 * (noise(3.7 * column, 5.1 * row, variation) - 0.5)
        petals = 0.3 + 0.12 * np.cos(5 * np.arctan2(dv, du) + 6 * noise(column * 2.3, row * 1.9, variation))
        return 0.95 if du * du + dv * dv < petals * petals else 0.35 * (noise(5 * u, 5 * v, variation) > 0.66)
    if kind == 12:
        weave = noise(6 * u, 2.5 * v, variation) + 0.5 * noise(22 * u, 22 * v, variation + 5)
        return 1.2 * max(0.0, weave - 0.45)
    if kind == 13:
        return 1.0 if (v + 0.8 * abs((2 * u) % 1.0 - 0.5)) % 1.0 < 0.45 else 0.0
    if kind == 14:
        return min(1.0, max(0.0, 4.0 * v * 0.1 + phase - 0.6))
    return 1.0 if u % 1.0 < 0.3 + 0.3 * phase else 0.0


@njit(cache=True, error_model="numpy")
def photo_texel(out: np.ndarray, row: np.ndarray, u: float, v: float) -> None:
    """Colour of a photo in a material, mixed from four texels; from 1 to 2 it is mirrored, so that it has no seams.

    Args:
        row: [9 + 3 n n] whose texels are those of a square, top row first.
        u, v: Right and down, in sides of the photo.
    """
    side = int(np.sqrt((row.shape[0] - ROW) / 3) + 0.5)
    u, v = 1.0 - abs(u % 2.0 - 1.0), 1.0 - abs(v % 2.0 - 1.0)
    x, y = min(max(u * side - 0.5, 0.0), side - 1.001), min(max(v * side - 0.5, 0.0), side - 1.001)
    j, i = int(x), int(y)
    a, b = x - j, y - i
    for channel in range(3):
        first, below = ROW + 3 * (i * side + j) + channel, 3 * side
        upper = row[first] * (1 - a) + row[first + 3] * a
        out[channel] = upper * (1 - b) + (row[first + below] * (1 - a) + row[first + below + 3] * a) * b


@njit(cache=True, error_model="numpy")
def cloth(out: np.ndarray, row: np.ndarray, u: float, v: float, variation: float) -> None:
    """Colour of a fabric.

    Args:
        out: [3] receives the colour.
        row: [9 + n] row of the material table: pattern, colour, accent, period, phase, and texels of a photo.
        u: Metres around the body part.
        v: Metres upward along it.
        variation: Offset that makes noise differ between people.
    """
    put(out, row[1], row[2], row[3])
    kind, period, phase = int(row[0]), row[7], row[8]
    share = 0.0
    if kind == 1:
        share = 1.0 if (v / period + phase) % 1.0 < 0.3 + 0.3 * phase else 0.0
    elif kind == 2:
        share = 0.9 if (u / period) % 1.0 < 0.25 else 0.0
    elif kind == 3:
        share = 0.5 * ((u / period) % 1.0 < 0.5) + 0.5 * ((v / period + phase) % 1.0 < 0.5)
    elif kind == 4:
        row_number = np.floor(v / period)
        du, dv = (u / period + 0.5 * (row_number % 2)) % 1.0 - 0.5, (v / period) % 1.0 - 0.5
        share = 1.0 if du * du + dv * dv < 0.07 else 0.0
    elif kind == 5:
        first = noise(u / period * 1.6, v / period * 1.6, variation)
        second = noise(u / period * 3.1 + 7, v / period * 3.1, variation + 3)
        share = 0.9 if first > 0.58 else (0.5 if second > 0.66 else 0.0)
    elif kind == 6:
        share = 1.0 if v > 0.19 + 0.16 * phase else 0.0
    elif kind == 7:
        share = 0.6 * (noise(u * 90, v * 90, variation) - 0.3)
    elif kind == 8:
        share = max(0.0, 0.5 * noise(u * 60, v * 25, variation) + 0.3 * noise(u * 6, v * 3, variation) - 0.2)
    elif kind == 9:
        share = 0.0
        patch = noise(u / period * 1.3, v / period * 1.7, variation)
        share = 0.85 if patch > 0.6 else (0.35 if patch < 0.38 else 0.0)
    elif 10 <= kind < PHOTO:
        share = _rich_pattern(kind, u / period, v / period, phase, variation)
    elif kind == PHOTO:
        photo_texel(out, row, u / period + phase, -v / period)
        return
    mix(out, row[4], row[5], row[6], min(1.0, max(0.0, share)))
