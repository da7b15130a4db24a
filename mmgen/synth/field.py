"""Signed distances of packed solids: compiled, on a grid and at points. Negative inside."""

import numpy as np
from numba import njit

from mmgen.synth.primitives import (
    AXES,
    BOX,
    BULGE,
    CAP_A,
    CAP_B,
    DEPTH,
    FOLD,
    FOLD_COUNT,
    FOLD_PHASE,
    HIGH,
    LENGTH,
    LIMB,
    LOW,
    ORIGIN,
    REACH,
    ROUNDING,
    RX_A,
    RX_B,
    RZ_A,
    RZ_B,
    SHEAR_X,
    SHEAR_Z,
    SLIT,
    SPAN,
    WALL,
    Packed,
)

FAR = 0.06
"""Distances are exact enough to this many metres and clamped beyond."""


@njit(cache=True, error_model="numpy")
def _ellipse_distance(x: float, y: float, z: float, rx: float, ry: float, rz: float) -> float:
    """First-order distance to an ellipsoid: exact on its surface, right sign everywhere."""
    k0 = np.sqrt((x / rx) ** 2 + (y / ry) ** 2 + (z / rz) ** 2)
    k1 = np.sqrt((x / (rx * rx)) ** 2 + (y / (ry * ry)) ** 2 + (z / (rz * rz)) ** 2)
    if k1 < 1e-9:
        return -min(rx, min(ry, rz))
    return k0 * (k0 - 1.0) / k1


@njit(cache=True, error_model="numpy")
def _limb(row: np.ndarray, x: float, y: float, z: float) -> float:
    length = row[LENGTH]
    t = 0.0
    if length > 0.0:
        t = min(1.0, max(0.0, y / length))
    swell = row[BULGE] * 4.0 * t * (1.0 - t)
    rx = row[RX_A] + (row[RX_B] - row[RX_A]) * t + swell
    rz = row[RZ_A] + (row[RZ_B] - row[RZ_A]) * t + swell
    cap = row[CAP_A] + (row[CAP_B] - row[CAP_A]) * t
    return _ellipse_distance(x, y - t * length, z, rx, cap, rz)


@njit(cache=True, error_model="numpy")
def _loft(row: np.ndarray, x: float, y: float, z: float) -> float:
    length = row[LENGTH]
    t = min(1.0, max(0.0, y / length))
    x -= row[SHEAR_X] * t
    z -= row[SHEAR_Z] * t
    rx = row[RX_A] + (row[RX_B] - row[RX_A]) * t
    rz = row[RZ_A] + (row[RZ_B] - row[RZ_A]) * t
    if row[FOLD] > 0.0:
        around = np.arctan2(x / rx, z / rz)
        wave = 1.0 + row[FOLD] * (1.0 - t) * np.cos(row[FOLD_COUNT] * around + row[FOLD_PHASE])
        rx *= wave
        rz *= wave
    side = _ellipse_distance(x, 0.0, z, rx, 1.0, rz)
    end = abs(y - 0.5 * length) - 0.5 * length
    edge = row[ROUNDING]
    p, q = side + edge, end + edge
    distance = min(max(p, q), 0.0) + np.sqrt(max(p, 0.0) ** 2 + max(q, 0.0) ** 2) - edge
    if row[DEPTH] > 0.0:
        distance = max(distance, -max(side + row[WALL], y - row[DEPTH]))
    if row[SLIT] > 0.0:
        distance = max(distance, -max(abs(x) - row[SLIT] * (1.0 - 0.67 * t), -z))
    return distance


@njit(cache=True, error_model="numpy")
def _box(row: np.ndarray, x: float, y: float, z: float) -> float:
    edge = row[ROUNDING]
    p = abs(x) - row[RX_A] + edge
    q = abs(y - 0.5 * row[LENGTH]) - 0.5 * row[LENGTH] + edge
    r = abs(z) - row[RZ_A] + edge
    outside = np.sqrt(max(p, 0.0) ** 2 + max(q, 0.0) ** 2 + max(r, 0.0) ** 2)
    return outside + min(max(p, max(q, r)), 0.0) - edge


@njit(cache=True, error_model="numpy")
def solid_distance(row: np.ndarray, kind: int, px: float, py: float, pz: float) -> float:
    """Distance of a world point to one solid, metres."""
    dx, dy, dz = px - row[ORIGIN], py - row[ORIGIN + 1], pz - row[ORIGIN + 2]
    x = row[AXES] * dx + row[AXES + 1] * dy + row[AXES + 2] * dz
    y = row[AXES + 3] * dx + row[AXES + 4] * dy + row[AXES + 5] * dz
    z = row[AXES + 6] * dx + row[AXES + 7] * dy + row[AXES + 8] * dz
    if kind == LIMB:
        return _limb(row, x, y, z)
    if kind == BOX:
        return _box(row, x, y, z)
    return _loft(row, x, y, z)


@njit(cache=True, error_model="numpy")
def smooth_min(a: float, b: float, radius: float) -> float:
    """Minimum with a rounded crease; equals the plain minimum where |a - b| >= radius."""
    if radius <= 1e-6:
        return min(a, b)
    h = max(0.0, radius - abs(a - b)) / radius
    return min(a, b) - h * h * radius * 0.25


@njit(cache=True, error_model="numpy")
def _is_near(row: np.ndarray, x: float, y: float, z: float) -> bool:
    """Whether a point can be closer than `FAR` to a solid: cheap, by the distance from its axis."""
    x, y, z = x - row[ORIGIN], y - row[ORIGIN + 1], z - row[ORIGIN + 2]
    u, v, w = row[SPAN], row[SPAN + 1], row[SPAN + 2]
    length = u * u + v * v + w * w
    if length > 0.0:
        t = min(1.0, max(0.0, (x * u + y * v + z * w) / length))
        x, y, z = x - t * u, y - t * v, z - t * w
    reach = row[REACH] + FAR
    return x * x + y * y + z * z < reach * reach


def fill_grid(
    packed: Packed, low: np.ndarray, step: float, shape: tuple[int, int, int], body: np.ndarray | None = None
) -> np.ndarray:
    """Distances on a regular grid.

    Args:
        packed: Solids, see `primitives.Packed`.
        low: [3] world position of grid point (0, 0, 0).
        step: Grid spacing, metres.
        body: [X, Y, Z] float32 distances of something that the solids join; None starts from nothing.

    Returns:
        [X, Y, Z] float32, clamped to `FAR`.
    """
    total = np.full(shape, FAR, np.float32) if body is None else body.astype(np.float32)
    own = np.full(shape, FAR, np.float32)
    _fill_groups(packed, low, step, np.zeros((2, 2, 3), np.int64), own, total)
    return total


@njit(cache=True, error_model="numpy")
def _fill_groups(
    packed: Packed, low: np.ndarray, step: float, boxes: np.ndarray, own: np.ndarray, total: np.ndarray
) -> None:
    shape, box, solid_box = total.shape, boxes[0], boxes[1]
    for group in range(packed.group_first.shape[0] - 1):
        first, last = packed.group_first[group], packed.group_first[group + 1]
        for axis in range(3):
            box[0, axis], box[1, axis] = shape[axis], 0
        for index in range(first, last):
            row = packed.table[index]
            for axis in range(3):
                solid_box[0, axis] = max(0, int(np.floor((row[LOW + axis] - FAR - low[axis]) / step)))
                solid_box[1, axis] = min(shape[axis], int(np.ceil((row[HIGH + axis] + FAR - low[axis]) / step)) + 1)
                box[0, axis] = min(box[0, axis], solid_box[0, axis])
                box[1, axis] = max(box[1, axis], solid_box[1, axis])
            _add_solid(own, row, packed.kind[index], packed.group_table[group, 0], solid_box, low, step)
        _join(total, own, packed.group_table[group], box, low, step)


@njit(cache=True, error_model="numpy")
def _add_solid(
    own: np.ndarray,
    row: np.ndarray,
    kind: int,
    blend: float,
    box: np.ndarray,
    low: np.ndarray,
    step: float,
) -> None:
    for i in range(box[0, 0], box[1, 0]):
        x = low[0] + i * step
        for j in range(box[0, 1], box[1, 1]):
            y = low[1] + j * step
            for k in range(box[0, 2], box[1, 2]):
                z = low[2] + k * step
                if _is_near(row, x, y, z):
                    d = solid_distance(row, kind, x, y, z)
                    if d < FAR:
                        own[i, j, k] = smooth_min(own[i, j, k], d, blend)


@njit(cache=True, error_model="numpy")
def _join(total: np.ndarray, own: np.ndarray, group: np.ndarray, box: np.ndarray, low: np.ndarray, step: float) -> None:
    """Add one group's distances to the total, melting near its joint, and clear them."""
    for i in range(box[0, 0], box[1, 0]):
        for j in range(box[0, 1], box[1, 1]):
            for k in range(box[0, 2], box[1, 2]):
                d = own[i, j, k]
                if d >= FAR:
                    continue
                own[i, j, k] = FAR
                radius = 0.0
                if group[4] > 0.0:
                    x, y, z = low[0] + i * step - group[1], low[1] + j * step - group[2], low[2] + k * step - group[3]
                    radius = group[4] * max(0.0, 1.0 - np.sqrt(x * x + y * y + z * z) / group[5])
                total[i, j, k] = smooth_min(total[i, j, k], d, radius)


def nearest_solids(packed: Packed, points: np.ndarray) -> np.ndarray:
    """[N] int64, the solid whose surface is nearest (deepest inside wins) for world points [N, 3]."""
    labels = np.zeros(points.shape[0], np.int64)
    _fill_labels(packed, points, labels)
    return labels


@njit(cache=True, error_model="numpy")
def _fill_labels(packed: Packed, points: np.ndarray, labels: np.ndarray) -> None:
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        best = 1e9
        for index in range(packed.table.shape[0]):
            row = packed.table[index]
            if _is_near(row, x, y, z):
                d = solid_distance(row, packed.kind[index], x, y, z)
                if d < best:
                    best = d
                    labels[n] = index


@njit(cache=True, error_model="numpy")
def sample_grid(grid: np.ndarray, low: np.ndarray, step: float, x: float, y: float, z: float) -> float:
    """Distance at a world point by trilinear interpolation; `FAR` outside the grid."""
    u, v, w = (x - low[0]) / step, (y - low[1]) / step, (z - low[2]) / step
    i, j, k = int(np.floor(u)), int(np.floor(v)), int(np.floor(w))
    if i < 0 or j < 0 or k < 0 or i + 1 >= grid.shape[0] or j + 1 >= grid.shape[1] or k + 1 >= grid.shape[2]:
        return FAR
    u, v, w = u - i, v - j, w - k
    c00 = grid[i, j, k] * (1 - w) + grid[i, j, k + 1] * w
    c01 = grid[i, j + 1, k] * (1 - w) + grid[i, j + 1, k + 1] * w
    c10 = grid[i + 1, j, k] * (1 - w) + grid[i + 1, j, k + 1] * w
    c11 = grid[i + 1, j + 1, k] * (1 - w) + grid[i + 1, j + 1, k + 1] * w
    return (c00 * (1 - v) + c01 * v) * (1 - u) + (c10 * (1 - v) + c11 * v) * u
