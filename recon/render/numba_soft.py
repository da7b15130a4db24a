"""Soft silhouettes on the CPU: collect the (pixel, face) pairs in face order, then evaluate them in vector loops.

Only uncovered pixels take part, so the pairs are few (some thousand per 128 x 64 image); they are kept for the backward
pass.
"""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import face_ranges, helper, kernel, trailing_zeros

PAIRS_PER_IMAGE = 4096
"""First guess of the room for pairs; it grows when needed."""

HALF_WORD, LOW_HALF = np.uint64(16), np.uint64(0xFFFF)
"""A pair's place is row << 16 | column: images are smaller than 65536 pixels each way."""

BLOCK = np.uint64(512)
"""Pairs evaluated at once: eight rows of them stay in the first-level cache."""

ROW_1, ROW_2, ROW_3, ROW_4, ROW_5, ROW_6, ROW_7 = (BLOCK * np.uint64(row) for row in range(1, 8))


@helper
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


@helper
@no_type_check
def open_bits(index, words, words_below):
    """One bit per pixel, set where nothing was drawn: [ceil(W / 64), H], lowest bit first; also or'ed over 4 rows."""
    height, width = np.uint64(words.shape[1]), np.uint64(index.shape[0] // words.shape[1])
    for word in range(np.uint64(words.shape[0])):
        start = np.uint64(64) * word
        for i in range(height):
            bits = np.uint64(0)
            for j in range(min(np.uint64(64), width - start)):
                bits |= np.uint64(index[i * width + start + j] < 0) << j
            words[word, i] = bits
        for i in range(height):
            bits = np.uint64(0)
            for k in range(i, min(i + np.uint64(4), height)):
                bits |= words[word, k]
            words_below[word, i] = bits


@helper
@no_type_check
def collect_pairs(ranges, words, words_below, width, limit, counts, start, place, face):
    """Append the pairs of one image; returns the end, or -1 - (room needed) when the arrays are too short.

    Most faces lie inside the body and have no open pixel in reach: two words tell that for boxes of up to eight rows.
    """
    one, six, four = np.uint64(1), np.uint64(6), np.uint64(4)
    width, end, room = np.uint64(width), np.uint64(start), np.uint64(place.shape[0])
    for f in range(np.uint64(ranges.shape[0] // 4)):
        r = four * f
        if ranges[r] >= ranges[r + one] or ranges[r + np.uint64(2)] >= ranges[r + np.uint64(3)]:
            continue
        first_column, last_column = np.uint64(ranges[r]), np.uint64(ranges[r + one]) - one
        first_row, end_row = np.uint64(ranges[r + np.uint64(2)]), np.uint64(ranges[r + np.uint64(3)])
        if end + (last_column - first_column + one) * (end_row - first_row) > room:
            return -1 - np.int64(end + (last_column - first_column + one) * (end_row - first_row))
        for word in range(first_column >> six, (last_column >> six) + one):
            reach = ~np.uint64(0)
            if word == first_column >> six:
                reach &= ~np.uint64(0) << (first_column & np.uint64(63))
            if word == last_column >> six:
                reach &= ~np.uint64(0) >> (np.uint64(63) - (last_column & np.uint64(63)))
            lower = end_row - four if end_row > first_row + four else first_row
            any_open = (words_below[word, first_row] | words_below[word, lower]) & reach
            if any_open == np.uint64(0) and end_row - first_row <= np.uint64(8):
                continue
            for i in range(first_row, end_row):
                bits = words[word, i] & reach
                while bits != np.uint64(0):
                    j = (word << six) + trailing_zeros(bits)
                    bits &= bits - one
                    p = i * width + j
                    if counts[p] < limit:
                        counts[p] += np.int32(1)
                        place[end], face[end] = (i << HALF_WORD) | j, f
                        end += one
    return np.int64(end)


@helper
@no_type_check
def edge_distance(ux, uy, vx, vy, eps):
    """Squared distance from the origin to the segment's line, or 4 where the foot is not inside the segment."""
    ex, ey = vx - ux, vy - uy
    length = ex * ex + ey * ey
    along = -(ux * ex + uy * ey)
    across = ey * ux - ex * uy
    distance = across * across / (length + eps)
    distance = distance if along > np.float32(0.0) else np.float32(4.0)
    return distance if along < length else np.float32(4.0)


@helper
@no_type_check
def evaluate_block(block, used, sharpness, edge_eps):
    """Row 6: which edge (0..2) or corner (3..5) is nearest; row 7: exp(-sharpness * squared distance).

    Rows 0 to 5 hold the corners seen from the pixel. One array with rows at fixed places, so that the loop vectorises.
    """
    for k in range(np.uint64(used)):
        ax, ay, bx, by, cx, cy = (
            block[k], block[ROW_1 + k], block[ROW_2 + k], block[ROW_3 + k], block[ROW_4 + k], block[ROW_5 + k],
        )  # fmt: skip
        best, which = edge_distance(ax, ay, bx, by, edge_eps), np.float32(0.0)
        d = edge_distance(bx, by, cx, cy, edge_eps)
        which, best = np.float32(1.0) if d < best else which, d if d < best else best
        d = edge_distance(cx, cy, ax, ay, edge_eps)
        which, best = np.float32(2.0) if d < best else which, d if d < best else best
        d = ax * ax + ay * ay
        which, best = np.float32(3.0) if d < best else which, d if d < best else best
        d = bx * bx + by * by
        which, best = np.float32(4.0) if d < best else which, d if d < best else best
        d = cx * cx + cy * cy
        which, best = np.float32(5.0) if d < best else which, d if d < best else best
        block[ROW_6 + k] = which
        block[ROW_7 + k] = exp_negative(-sharpness * best)


@helper
@no_type_check
def evaluate_pairs(start, end, corners, columns, rows, place, face, sharpness, edge_eps, block, chances, mask):
    """Chances of the pairs of one image, joined into its mask; `face` becomes 8 face + nearest part."""
    first, one, width = np.uint64(start), np.uint64(1), np.uint64(columns.shape[0] - 2)
    while first < np.uint64(end):
        used = min(BLOCK, np.uint64(end) - first)
        for k in range(used):
            where, c = np.uint64(place[first + k]), np.uint64(6) * np.uint64(face[first + k])
            x, y = columns[(where & LOW_HALF) + one], -rows[(where >> HALF_WORD) + one]
            block[k], block[ROW_1 + k] = corners[c] - x, corners[c + one] - y
            block[ROW_2 + k], block[ROW_3 + k] = corners[c + np.uint64(2)] - x, corners[c + np.uint64(3)] - y
            block[ROW_4 + k], block[ROW_5 + k] = corners[c + np.uint64(4)] - x, corners[c + np.uint64(5)] - y
        evaluate_block(block, used, sharpness, edge_eps)
        for k in range(used):
            where, chance = np.uint64(place[first + k]), block[ROW_7 + k]
            chances[first + k] = chance
            face[first + k] = (np.uint64(face[first + k]) << np.uint64(3)) | np.uint64(block[ROW_6 + k])
            p = (where >> HALF_WORD) * width + (where & LOW_HALF)
            mask[p] += chance * (np.float32(1.0) - mask[p])
        first += used


@helper
@no_type_check
def grown(array, used, room):
    """A longer copy of `array` with its first `used` entries."""
    longer = np.empty(room, array.dtype)
    for k in range(used):  # assigning slices compiles for seconds
        longer[k] = array[k]
    return longer


@kernel
@no_type_check
def soft_forward(first, last, corners, index, columns, rows, sharpness, margin, limit, edge_eps, mask):
    """Soft masks [B, P] of images `first` to `last`.

    Returns the pairs: place (row << 16 | column), 8 face + nearest part, chance, and where each image begins and ends.
    """
    width, height = columns.shape[0] - 2, rows.shape[0] - 2
    room = PAIRS_PER_IMAGE * (last - first)
    place, face, chances = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.float32)
    offsets = np.zeros(last - first + 1, np.int64)
    ranges = np.empty(4 * (corners.shape[1] // 6), np.int32)
    words = np.empty(((width + 63) // 64, height), np.uint64)
    words_below = np.empty_like(words)
    counts = np.empty(index.shape[1], np.int32)
    block = np.empty(8 * BLOCK, np.float32)
    for b in range(first, last):
        face_ranges(corners[b], margin, width, height, ranges)
        open_bits(index[b], words, words_below)
        start, end = offsets[b - first], np.int64(-1)
        while end < 0:
            counts[:] = 0
            end = collect_pairs(ranges, words, words_below, width, limit, counts, start, place, face)
            if end < 0:
                room = 2 * max(room, -1 - end)
                place, face, chances = grown(place, start, room), grown(face, start, room), grown(chances, start, room)
        offsets[b - first + 1] = end
        own_mask = mask[b]
        for p in range(index.shape[1]):
            own_mask[p] = np.float32(index[b, p] >= 0)
        evaluate_pairs(
            start, end, corners[b], columns, rows, place, face, sharpness, edge_eps, block, chances, own_mask
        )
    return place, face, chances, offsets


@kernel
@no_type_check
def soft_backward(first, last, grad, mask, corners, columns, rows, sharpness, edge_eps, pairs, out):
    """Gradient of the masks of images `first` to `last` to corners [B, 6 F]; `pairs` as `soft_forward` gave them."""
    place, face, chances, offsets = pairs
    for b in range(first, last):
        ends = (offsets[b - first], offsets[b - first + 1])
        soft_backward_image(
            ends, place, face, chances, grad[b], mask[b], corners[b], columns, rows, sharpness, edge_eps, out[b]
        )


@helper
@no_type_check
def add_mask_gradient(first_corner, which, x, y, c, corners, edge_eps, out):
    """`c` times the slope of the squared distance to the nearest part of one face; also a device function of CUDA.

    Corners and edges take the same instructions: which of them is nearest cannot be predicted.
    """
    one, two, three, zero = np.uint64(1), np.uint64(2), np.uint64(3), np.float32(0.0)
    is_edge = which < three
    corner = which if is_edge else which - three
    following = corner + one if corner < two else np.uint64(0)
    u, v = first_corner + two * corner, first_corner + two * following
    ux, uy, vx, vy = corners[u] - x, corners[u + one] - y, corners[v] - x, corners[v + one] - y
    ex, ey = vx - ux, vy - uy
    s = (ey * ux - ex * uy) / (ex * ex + ey * ey + edge_eps)
    cs = c * s
    out[u] += cs * (vy + s * ex) if is_edge else c * ux
    out[u + one] += cs * (s * ey - vx) if is_edge else c * uy
    out[v] -= cs * (uy + s * ex) if is_edge else zero
    out[v + one] += cs * (ux - s * ey) if is_edge else zero


@helper
@no_type_check
def soft_backward_image(ends, place, face, chances, grad, mask, corners, columns, rows, sharpness, edge_eps, out):
    """Gradient of one mask to corners [6 F]."""
    unit, slack = np.float32(1.0), np.float32(1e-7)
    one, width = np.uint64(1), np.uint64(columns.shape[0] - 2)
    out[:] = np.float32(0.0)
    for k in range(np.uint64(ends[0]), np.uint64(ends[1])):
        where, which, chance = np.uint64(place[k]), np.uint64(face[k]) & np.uint64(7), chances[k]
        i, j = where >> HALF_WORD, where & LOW_HALF
        p, x, y = i * width + j, columns[j + one], -rows[i + one]
        c = np.float32(-2.0) * sharpness * grad[p] * (unit - mask[p]) / (unit - chance + slack) * chance
        add_mask_gradient(np.uint64(6) * (np.uint64(face[k]) >> np.uint64(3)), which, x, y, c, corners, edge_eps, out)
