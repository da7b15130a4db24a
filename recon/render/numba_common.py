"""What the hard and the soft CPU kernels share: the compiler settings and the pixel range of every face's box."""

from typing import no_type_check

import numpy as np
from numba import njit

kernel = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
"""No fused multiply-add: two faces that share an edge then compute exactly opposite edge functions, so no crack opens."""

RANGE_BIAS = np.float32(0.25)
"""Any number in (0, 1) far above rounding: the estimate of a pixel count is then right or one too small, never too large."""


def padded_centres(count: int) -> np.ndarray:
    """NDC coordinates of `count` pixel centres, ascending, with -inf and +inf at the ends: [count + 2] float32."""
    centres = (2 * np.arange(count, dtype=np.float64) + 1 - count) / count
    return np.concatenate(([-np.inf], centres, [np.inf])).astype(np.float32)


@kernel
@no_type_check
def face_ranges(corners, margin, columns, rows, ranges):
    """Half-open pixel ranges [first column, end column, first row, end row] per face, of its box enlarged by `margin`.

    A pixel centre (x, y) is in the box when x_min <= x < x_max and y_min <= y < y_max; rows run downwards, so `rows` holds -y.
    Faces with a coordinate that is not finite get empty ranges.
    """
    width, height = np.float32(columns.shape[0] - 2), np.float32(rows.shape[0] - 2)
    half = np.float32(0.5)
    zero = np.float32(0.0)
    one, none = np.int32(1), np.int32(0)
    x_shift, y_shift = (width - 1) * half + RANGE_BIAS, (height - 1) * half + RANGE_BIAS
    for f in range(corners.shape[0]):
        ax, ay, bx, by, cx, cy = (
            corners[f, 0], corners[f, 1], corners[f, 2], corners[f, 3], corners[f, 4], corners[f, 5],
        )  # fmt: skip
        total = ax + ay + bx + by + cx + cy
        finite = total - total == zero
        left = min(min(ax, bx), cx) - margin
        right = max(max(ax, bx), cx) + margin
        top = -(max(max(ay, by), cy) + margin)
        bottom = -(min(min(ay, by), cy) - margin)
        j0 = np.int32(min(max(left * (width * half) + x_shift, zero), width))
        j1 = np.int32(min(max(right * (width * half) + x_shift, zero), width))
        i0 = np.int32(min(max(top * (height * half) + y_shift, zero), height))
        i1 = np.int32(min(max(bottom * (height * half) + y_shift, zero), height))
        j0 += one if columns[np.uint32(j0 + one)] < left else none
        j1 += one if columns[np.uint32(j1 + one)] < right else none
        i0 += one if rows[np.uint32(i0 + one)] <= top else none
        i1 += one if rows[np.uint32(i1 + one)] <= bottom else none
        ranges[0, f] = j0
        ranges[1, f] = j1 if finite else j0
        ranges[2, f] = i0
        ranges[3, f] = i1 if finite else i0
