"""Compiled noise and cloth patterns. Colours are written into `out` [3] so that no memory is taken per pixel."""

import numpy as np
from numba import njit

TAU = 2 * np.pi


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
    broad = noise(9 * x + bent, 14 * y + 6 * x, 9 * z)
    fine = noise(16 * x + 9.3, 26 * y - 11 * x, 16 * z + bent)
    return 0.65 * broad + 0.35 * fine


@njit(cache=True, error_model="numpy")
def put(out: np.ndarray, red: float, green: float, blue: float) -> None:
    """Write a colour."""
    out[0], out[1], out[2] = red, green, blue


@njit(cache=True, error_model="numpy")
def mix(out: np.ndarray, red: float, green: float, blue: float, share: float) -> None:
    """Blend a colour over what is there."""
    out[0] += (red - out[0]) * share
    out[1] += (green - out[1]) * share
    out[2] += (blue - out[2]) * share


@njit(cache=True, error_model="numpy")
def scale(out: np.ndarray, factor: float) -> None:
    """Darken or lighten what is there."""
    out[0] *= factor
    out[1] *= factor
    out[2] *= factor


@njit(cache=True, error_model="numpy")
def cloth(out: np.ndarray, row: np.ndarray, u: float, v: float, variation: float) -> None:
    """Colour of a fabric.

    Args:
        out: [3] receives the colour.
        row: [9] row of the material table: pattern, colour, accent, period, phase.
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
    mix(out, row[4], row[5], row[6], min(1.0, max(0.0, share)))
