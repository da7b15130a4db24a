"""DIB-R as CUDA kernels without atomics on floats: results do not depend on the order of threads.

The screen is cut into tiles; one bit per face and tile says whether the face's box touches the tile. Pixels walk the
bits of their tile in face order, so ties and the limit of faces per pixel come out as defined; faces gather their own
gradients from the pixels of their box. Mathematics: `recon.render.reference`. Shapes: corners [B, 6 F], features
[B, 3 F D]; P = H * W pixels, row by row; T tiles, row by row.
"""

import math
from typing import no_type_check

import numpy as np
from numba import cuda

from recon.render import numba_hard, numba_soft

TILE = 8
"""Side of a tile, pixels."""

WORD = 32
"""Faces per word of tile bits."""

ZERO, ONE = np.float32(0.0), np.float32(1.0)
SLACK = np.float32(1e-7)

contract_position = cuda.jit(device=True)(numba_hard.contract_position.py_func)
edge_distance = cuda.jit(device=True)(numba_soft.edge_distance.py_func)
add_mask_gradient = cuda.jit(device=True)(numba_soft.add_mask_gradient.py_func)


@cuda.jit(device=True)
@no_type_check
def low_high(a, b, c):
    """Smallest and largest of three."""
    return min(min(a, b), c), max(max(a, b), c)


@cuda.jit(device=True)
@no_type_check
def is_finite(corners, b, f):
    """Whether all coordinates of a face are finite numbers."""
    total = ZERO
    for k in range(6):
        total += corners[b, 6 * f + k]
    return total - total == ZERO


@cuda.jit(device=True)
@no_type_check
def first_at_least(value, centres, strictly):
    """Number of ascending `centres` below `value`, or at most `value` when `strictly` is false."""
    low, high = 0, centres.shape[0]
    while low < high:
        middle = (low + high) // 2
        if centres[middle] < value or (not strictly and centres[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low


@cuda.jit(device=True)
@no_type_check
def pixel_box(corners, b, f, margin, columns, rows):
    """Half-open pixel ranges of a face's enlarged box; `columns` holds x ascending, `rows` -y ascending."""
    left, right = low_high(corners[b, 6 * f], corners[b, 6 * f + 2], corners[b, 6 * f + 4])
    bottom, top = low_high(corners[b, 6 * f + 1], corners[b, 6 * f + 3], corners[b, 6 * f + 5])
    j0, j1 = first_at_least(left - margin, columns, True), first_at_least(right + margin, columns, True)
    i0, i1 = first_at_least(-(top + margin), rows, False), first_at_least(margin - bottom, rows, False)
    return j0, j1, i0, i1


@cuda.jit
@no_type_check
def mark_tiles(corners, wanted, margin, columns, rows, bits):
    """Set the bit of every wanted face in every tile that its box touches; bits [B, T, words] int32, zero before."""
    thread = cuda.grid(1)
    faces = corners.shape[1] // 6
    if thread >= corners.shape[0] * faces:
        return
    b, f = thread // faces, thread % faces
    if not wanted[b, f] or not is_finite(corners, b, f):
        return
    j0, j1, i0, i1 = pixel_box(corners, b, f, margin, columns, rows)
    if j0 >= j1 or i0 >= i1:
        return
    across = (columns.shape[0] + TILE - 1) // TILE
    mask = np.int32(1) << np.int32(f % WORD)
    for row in range(i0 // TILE, (i1 - 1) // TILE + 1):
        for column in range(j0 // TILE, (j1 - 1) // TILE + 1):
            cuda.atomic.or_(bits, (b, row * across + column, f // WORD), mask)


@cuda.jit(device=True)
@no_type_check
def edge_functions(corners, b, f, x, y):
    """(b-p)x(c-p), (c-p)x(a-p), (a-p)x(b-p)."""
    ax, ay = corners[b, 6 * f] - x, corners[b, 6 * f + 1] - y
    bx, by = corners[b, 6 * f + 2] - x, corners[b, 6 * f + 3] - y
    cx, cy = corners[b, 6 * f + 4] - x, corners[b, 6 * f + 5] - y
    return bx * cy - cx * by, cx * ay - ax * cy, ax * by - bx * ay


@cuda.jit(device=True)
@no_type_check
def in_box(corners, b, f, margin, x, y):
    """Whether (x, y) lies in the half-open enlarged box."""
    left, right = low_high(corners[b, 6 * f], corners[b, 6 * f + 2], corners[b, 6 * f + 4])
    bottom, top = low_high(corners[b, 6 * f + 1], corners[b, 6 * f + 3], corners[b, 6 * f + 5])
    return left - margin <= x and x < right + margin and bottom - margin <= y and y < top + margin


@cuda.jit
@no_type_check
def hard_forward(corners, z, features, columns, rows, bits, eps, out_features, out_index, out_weights):
    """One thread per pixel: features [B, P, D], index [B, P], weights [B, P, 3]."""
    thread = cuda.grid(1)
    width, pixels = columns.shape[0], out_index.shape[1]
    if thread >= out_index.shape[0] * pixels:
        return
    b, p = thread // pixels, thread % pixels
    i, j = p // width, p % width
    x, y = columns[j], -rows[i]
    tile = (i // TILE) * ((width + TILE - 1) // TILE) + j // TILE
    winner, nearest = -1, np.float32(-math.inf)
    u0, u1, u2 = ZERO, ZERO, ZERO
    for word in range(bits.shape[2]):
        rest = bits[b, tile, word]
        f = word * WORD
        while rest != 0:
            if rest & 1 and in_box(corners, b, f, ZERO, x, y):
                w0, w1, w2 = edge_functions(corners, b, f, x, y)
                if (w0 >= ZERO and w1 >= ZERO and w2 >= ZERO) or (w0 <= ZERO and w1 <= ZERO and w2 <= ZERO):
                    area = w0 + w1 + w2
                    scale = ONE / (area + eps if area >= ZERO else area - eps)
                    w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
                    depth = w0 * z[b, f, 0] + w1 * z[b, f, 1] + w2 * z[b, f, 2]
                    if depth > nearest:
                        winner, nearest, u0, u1, u2 = f, depth, w0, w1, w2
            rest = (rest >> 1) & 0x7FFFFFFF
            f += 1
    out_index[b, p] = winner
    out_weights[b, p, 0], out_weights[b, p, 1], out_weights[b, p, 2] = u0, u1, u2
    depth = out_features.shape[2]
    first = 3 * winner * depth
    for d in range(depth):
        value = ZERO
        if winner >= 0:
            value = u0 * features[b, first + d] + u1 * features[b, first + depth + d]
            value += u2 * features[b, first + 2 * depth + d]
        out_features[b, p, d] = value


@cuda.jit
@no_type_check
def hard_backward(grad, corners, features, index, weights, columns, rows, eps, out_features, out_corners):
    """One thread per face: gradients [B, 3 F D] and [B, 6 F], both zero before."""
    thread = cuda.grid(1)
    faces, width = corners.shape[1] // 6, columns.shape[0]
    if thread >= corners.shape[0] * faces:
        return
    b, f = thread // faces, thread % faces
    if not is_finite(corners, b, f):
        return
    j0, j1, i0, i1 = pixel_box(corners, b, f, ZERO, columns, rows)
    owned = 0
    for i in range(i0, i1):
        for j in range(j0, j1):
            p = i * width + j
            if index[b, p] == f:
                owned += 1
                for d in range(grad.shape[2]):
                    for corner in range(3):
                        out_features[b, (3 * f + corner) * grad.shape[2] + d] += weights[b, p, corner] * grad[b, p, d]
    if owned > 0:
        depth = np.uint64(grad.shape[2])
        contract_position(np.uint64(f), depth, corners[b], features[b], out_features[b], eps, out_corners[b])


@cuda.jit(device=True)
@no_type_check
def nearest_part(corners, b, f, x, y, eps):
    """Squared distance from (x, y) to a face's outline, and which edge (0..2) or corner (3..5) is nearest."""
    ax, ay = corners[b, 6 * f] - x, corners[b, 6 * f + 1] - y
    bx, by = corners[b, 6 * f + 2] - x, corners[b, 6 * f + 3] - y
    cx, cy = corners[b, 6 * f + 4] - x, corners[b, 6 * f + 5] - y
    best, which = edge_distance(ax, ay, bx, by, eps), 0
    d = edge_distance(bx, by, cx, cy, eps)
    if d < best:
        best, which = d, 1
    d = edge_distance(cx, cy, ax, ay, eps)
    if d < best:
        best, which = d, 2
    d = ax * ax + ay * ay
    if d < best:
        best, which = d, 3
    d = bx * bx + by * by
    if d < best:
        best, which = d, 4
    d = cx * cx + cy * cy
    if d < best:
        best, which = d, 5
    return best, which


@cuda.jit
@no_type_check
def soft_forward(corners, index, columns, rows, bits, sharpness, margin, limit, edge_eps, out_mask, out_last):
    """One thread per pixel: mask [B, P], and the last face that took part [B, P], -1 where none."""
    thread = cuda.grid(1)
    width, pixels = columns.shape[0], index.shape[1]
    if thread >= index.shape[0] * pixels:
        return
    b, p = thread // pixels, thread % pixels
    i, j = p // width, p % width
    out_last[b, p] = -1
    if index[b, p] >= 0:
        out_mask[b, p] = ONE
        return
    x, y = columns[j], -rows[i]
    tile = (i // TILE) * ((width + TILE - 1) // TILE) + j // TILE
    mask, count, word = ZERO, 0, 0
    while word < bits.shape[2] and count < limit:
        rest = bits[b, tile, word]
        f = word * WORD
        while rest != 0 and count < limit:
            if rest & 1 and in_box(corners, b, f, margin, x, y):
                distance, _ = nearest_part(corners, b, f, x, y, edge_eps)
                mask += math.exp(-sharpness * distance) * (ONE - mask)
                count += 1
                out_last[b, p] = f
            rest = (rest >> 1) & 0x7FFFFFFF
            f += 1
        word += 1
    out_mask[b, p] = mask


@cuda.jit
@no_type_check
def soft_backward(grad, corners, mask, last, columns, rows, sharpness, margin, edge_eps, out):
    """One thread per face: gradient [B, 6 F], zero before."""
    thread = cuda.grid(1)
    faces, width = corners.shape[1] // 6, columns.shape[0]
    if thread >= corners.shape[0] * faces:
        return
    b, f = thread // faces, thread % faces
    if not is_finite(corners, b, f):
        return
    j0, j1, i0, i1 = pixel_box(corners, b, f, margin, columns, rows)
    for i in range(i0, i1):
        for j in range(j0, j1):
            p = i * width + j
            if last[b, p] >= f:
                x, y = columns[j], -rows[i]
                distance, which = nearest_part(corners, b, f, x, y, edge_eps)
                chance = math.exp(-sharpness * distance)
                c = np.float32(-2.0) * sharpness * grad[b, p] * (ONE - mask[b, p]) / (ONE - chance + SLACK) * chance
                add_mask_gradient(np.uint64(6 * f), np.uint64(which), x, y, c, corners[b], edge_eps, out[b])
