"""Soft silhouettes on the CPU: collect the (pixel, face) pairs in face order, then evaluate them in vector loops.

Only uncovered pixels take part, so the pairs are few (a few thousand per 128 x 64 image); they are kept for the backward pass.
"""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import face_ranges, kernel

PAIRS_PER_IMAGE = 4096
"""First guess of the room for pairs; it grows when needed."""


@kernel
@no_type_check
def exp_negative(x):
    """exp(x) for x <= 0 to 2e-7 relative, in arithmetic that vectorises; 0 below exp(-87)."""
    power = max(x * np.float32(1.4426950408889634), np.float32(-126.0))
    whole = np.floor(power)
    r = power - whole
    value = np.float32(1.8775767e-3)
    value = value * r + np.float32(8.9893397e-3)
    value = value * r + np.float32(5.5826318e-2)
    value = value * r + np.float32(2.4015361e-1)
    value = value * r + np.float32(6.9315308e-1)
    value = value * r + np.float32(9.9999994e-1)
    scale = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return value * scale


@kernel
@no_type_check
def next_open(index, width, table):
    """For every pixel the first uncovered column at or after it in its row; `width` where there is none. [H, W + 1]."""
    for i in range(table.shape[0]):
        follower = np.int32(width)
        table[i, width] = follower
        for back in range(width):
            j = width - 1 - back
            if index[i * width + j] < 0:
                follower = np.int32(j)
            table[i, j] = follower


@kernel
@no_type_check
def collect_pairs(ranges, opening, columns, rows, limit, counts, start, pixel, face, x, y):
    """Append the pairs of one image; returns the end, or -1 - (room needed) when the arrays are too short."""
    width = np.uint32(opening.shape[1] - 1)
    end = np.uint64(start)
    for f in range(ranges.shape[1]):
        j0, j1, i0, i1 = ranges[0, f], ranges[1, f], ranges[2, f], ranges[3, f]
        if j0 >= j1 or i0 >= i1:
            continue
        room = np.int64(i1 - i0) * np.int64(j1 - j0)
        if np.int64(end) + room > pixel.shape[0]:
            return -1 - (np.int64(end) + room)
        for i in range(np.uint32(i0), np.uint32(i1)):
            j = opening[i, np.uint32(j0)]
            while j < j1:
                p = i * width + np.uint32(j)
                if counts[p] < limit:
                    counts[p] += np.int32(1)
                    pixel[end] = p
                    face[end] = f
                    x[end] = columns[np.uint32(j + 1)]
                    y[end] = -rows[i + np.uint32(1)]
                    end += np.uint64(1)
                j = opening[i, np.uint32(j + 1)]
    return np.int64(end)


@kernel
@no_type_check
def edge_distance(ux, uy, vx, vy, eps):
    """Squared distance from the origin to the segment's line, or 4 where the foot is not inside the segment."""
    ex, ey = vx - ux, vy - uy
    length = ex * ex + ey * ey
    along = -(ux * ex + uy * ey)
    across = ey * ux - ex * uy
    inside = (along > np.float32(0.0)) & (along < length)
    return across * across / (length + eps) if inside else np.float32(4.0)


@kernel
@no_type_check
def evaluate_pairs(start, end, corners, face, x, y, sharpness, edge_eps, probability, kind):
    """Probability exp(-sharpness * squared distance) of every pair and which edge (0..2) or corner (3..5) is nearest."""
    for k in range(np.uint64(start), np.uint64(end)):
        f = np.uint64(face[k])
        ax, ay = corners[f, 0] - x[k], corners[f, 1] - y[k]
        bx, by = corners[f, 2] - x[k], corners[f, 3] - y[k]
        cx, cy = corners[f, 4] - x[k], corners[f, 5] - y[k]
        best, which = edge_distance(ax, ay, bx, by, edge_eps), np.int32(0)
        d = edge_distance(bx, by, cx, cy, edge_eps)
        best, which = (d, np.int32(1)) if d < best else (best, which)
        d = edge_distance(cx, cy, ax, ay, edge_eps)
        best, which = (d, np.int32(2)) if d < best else (best, which)
        d = ax * ax + ay * ay
        best, which = (d, np.int32(3)) if d < best else (best, which)
        d = bx * bx + by * by
        best, which = (d, np.int32(4)) if d < best else (best, which)
        d = cx * cx + cy * cy
        best, which = (d, np.int32(5)) if d < best else (best, which)
        probability[k] = exp_negative(-sharpness * best)
        kind[k] = which


@kernel
@no_type_check
def grown(array, used, room):
    """A longer copy of `array` with its first `used` entries."""
    longer = np.empty(room, array.dtype)
    longer[:used] = array[:used]
    return longer


@kernel
@no_type_check
def soft_forward(first, last, corners, index, columns, rows, sharpness, margin, limit, edge_eps, mask):
    """Soft masks [B, P] of images `first` to `last`; returns the pairs (pixel, face, x, y, probability, kind, offsets)."""
    faces, pixels = corners.shape[1], index.shape[1]
    width, height = columns.shape[0] - 2, rows.shape[0] - 2
    room = PAIRS_PER_IMAGE * (last - first)
    pixel, face, kind = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    x, y, probability = np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.float32)
    offsets = np.zeros(last - first + 1, np.int64)
    ranges = np.empty((4, faces), np.int32)
    opening = np.empty((height, width + 1), np.int32)
    counts = np.empty(pixels, np.int32)
    one = np.float32(1.0)
    for b in range(first, last):
        face_ranges(corners[b], margin, columns, rows, ranges)
        next_open(index[b], width, opening)
        start = offsets[b - first]
        end = np.int64(-1)
        while end < 0:
            counts[:] = 0
            end = collect_pairs(ranges, opening, columns, rows, limit, counts, start, pixel, face, x, y)
            if end < 0:
                room = 2 * max(room, -1 - end)
                pixel, face, kind = grown(pixel, start, room), grown(face, start, room), grown(kind, start, room)
                x, y, probability = grown(x, start, room), grown(y, start, room), grown(probability, start, room)
        offsets[b - first + 1] = end
        evaluate_pairs(start, end, corners[b], face, x, y, sharpness, edge_eps, probability, kind)
        keep = mask[b]
        keep[:] = one
        for k in range(np.uint64(start), np.uint64(end)):
            keep[np.uint32(pixel[k])] *= one - probability[k]
        for p in range(pixels):
            keep[p] = one if index[b, p] >= 0 else one - keep[p]
    return pixel, face, x, y, probability, kind, offsets


@kernel
@no_type_check
def soft_backward(first, last, grad, mask, corners, sharpness, edge_eps, pairs, out):
    """Gradient of the masks of images `first` to `last` to corners [B, F, 6]."""
    pixel, face, x, y, probability, kind, offsets = pairs
    one, slack, zero = np.float32(1.0), np.float32(1e-7), np.float32(0.0)
    for b in range(first, last):
        out[b] = zero
        for k in range(np.uint64(offsets[b - first]), np.uint64(offsets[b - first + 1])):
            p, f, which = np.uint32(pixel[k]), np.uint32(face[k]), np.uint32(kind[k])
            chance = probability[k]
            c = np.float32(-2.0) * sharpness * grad[b, p] * (one - mask[b, p]) / (one - chance + slack) * chance
            if c == zero:
                continue
            u = np.uint32(2) * (which % np.uint32(3))
            ux, uy = corners[b, f, u] - x[k], corners[b, f, u + np.uint32(1)] - y[k]
            if which >= np.uint32(3):
                out[b, f, u] += c * ux
                out[b, f, u + np.uint32(1)] += c * uy
                continue
            v = (u + np.uint32(2)) % np.uint32(6)
            vx, vy = corners[b, f, v] - x[k], corners[b, f, v + np.uint32(1)] - y[k]
            ex, ey = vx - ux, vy - uy
            s = (ey * ux - ex * uy) / (ex * ex + ey * ey + edge_eps)
            out[b, f, u] += c * s * (vy + s * ex)
            out[b, f, u + np.uint32(1)] += c * s * (s * ey - vx)
            out[b, f, v] -= c * s * (uy + s * ex)
            out[b, f, v + np.uint32(1)] += c * s * (ux - s * ey)
