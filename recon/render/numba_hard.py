"""Hard rasterisation on the CPU, one image after another: z-buffer by face, gradients gathered by pixel.

Mathematics and conventions: `recon.render.reference`. Each image is drawn by one thread in face order, so results do
not depend on the number of threads.
"""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import face_ranges, helper, kernel

HITS_AT_ONCE = 4096
"""Room for hits beyond one box that fills the image; the more, the fewer rounds."""


@kernel
@no_type_check
def hard_forward(first, last, z, corners, features, valid, columns, rows, eps, out_features, out_index, out_weights):
    """Draw images `first` to `last`.

    z [B, 3 F], corners [B, 6 F], features [B, 3 F D], valid [B, F] bool; outputs out_features [B, P D], out_index
    [B, P] int64 and out_weights [B, 3 P] (written only where a face wins), with P = H * W.
    """
    pixels = out_index.shape[1]
    ranges = np.empty(4 * valid.shape[1], np.int32)
    nearest = np.empty(pixels, np.float32)
    hit_place = np.empty(2 * (HITS_AT_ONCE + pixels), np.uint32)
    hit_weights = np.empty(3 * (HITS_AT_ONCE + pixels), np.float32)
    for b in range(first, last):
        out_index[b] = -1
        out_features[b] = np.float32(0.0)
        nearest[:] = -np.inf
        face_ranges(corners[b], np.float32(0.0), columns.shape[0] - 2, rows.shape[0] - 2, ranges)
        face = 0
        while face < valid.shape[1]:
            face, hits = find_hits(face, ranges, valid[b], columns, rows, corners[b], hit_place, hit_weights)
            draw_hits(
                hits, hit_place, hit_weights, z[b], features[b], eps,
                nearest, out_features[b], out_index[b], out_weights[b],
            )  # fmt: skip


@helper
@no_type_check
def find_hits(face, ranges, valid, columns, rows, corners, hit_place, hit_weights):
    """Pixels inside the valid faces from `face` on, with raw edge functions, until the arrays are full.

    Returns the next face and the number of hits. Every pixel of a face's box is written and kept or overwritten without
    a branch: whether a pixel is inside cannot be predicted, and the boxes are only a few pixels wide.
    """
    zero, one, two, three = np.float32(0.0), np.uint64(1), np.uint64(2), np.uint64(3)
    width = np.uint64(columns.shape[0] - 2)
    hits, room = np.uint64(0), np.uint64(hit_place.shape[0] // 2)
    for f in range(np.uint64(face), np.uint64(valid.shape[0])):
        r, k = np.uint64(4) * f, np.uint64(6) * f
        first_column, end_column = np.uint64(ranges[r]), np.uint64(ranges[r + one])
        i, end_row = np.uint64(ranges[r + two]), np.uint64(ranges[r + three])
        if not valid[f] or first_column >= end_column or i >= end_row:
            continue
        tests = (end_column - first_column) * (end_row - i)
        if hits + tests > room:
            return np.int64(f), np.int64(hits)
        ax, ay, bx = corners[k], corners[k + one], corners[k + two]
        by, cx, cy = corners[k + three], corners[k + np.uint64(4)], corners[k + np.uint64(5)]
        j = first_column
        for _ in range(tests):
            x, y = columns[j + one], -rows[i + one]
            ax_, bx_, cx_, ay_, by_, cy_ = ax - x, bx - x, cx - x, ay - y, by - y, cy - y
            w0, w1, w2 = bx_ * cy_ - cx_ * by_, cx_ * ay_ - ax_ * cy_, ax_ * by_ - bx_ * ay_
            place, weight = two * hits, three * hits
            hit_place[place], hit_place[place + one] = np.uint32(f), np.uint32(i * width + j)
            hit_weights[weight], hit_weights[weight + one], hit_weights[weight + two] = w0, w1, w2
            left_turn = (w0 >= zero) & (w1 >= zero) & (w2 >= zero)
            right_turn = (w0 <= zero) & (w1 <= zero) & (w2 <= zero)
            hits += np.uint64(left_turn | right_turn)
            j += one
            row_ends = j == end_column
            i += np.uint64(row_ends)
            j = first_column if row_ends else j
    return valid.shape[0], np.int64(hits)


@helper
@no_type_check
def draw_hits(hits, hit_place, hit_weights, z, features, eps, nearest, out_features, out_index, out_weights):
    """Depth test of hits in order; a later face must be strictly nearer."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    depth_of_features = np.uint64(out_features.shape[0] // out_index.shape[0])
    for h in range(np.uint64(hits)):
        f, p = np.uint64(hit_place[two * h]), np.uint64(hit_place[two * h + one])
        w0, w1, w2 = hit_weights[three * h], hit_weights[three * h + one], hit_weights[three * h + two]
        area = w0 + w1 + w2
        scale = np.float32(1.0) / (area + eps if area >= np.float32(0.0) else area - eps)
        w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
        t = three * f
        depth = w0 * z[t] + w1 * z[t + one] + w2 * z[t + two]
        if depth > nearest[p]:
            nearest[p] = depth
            out_index[p] = f
            w = three * p
            out_weights[w], out_weights[w + one], out_weights[w + two] = w0, w1, w2
            corner0 = t * depth_of_features
            corner1 = corner0 + depth_of_features
            corner2 = corner1 + depth_of_features
            for d in range(depth_of_features):
                out_features[p * depth_of_features + d] = (
                    w0 * features[corner0 + d] + w1 * features[corner1 + d] + w2 * features[corner2 + d]
                )


@kernel
@no_type_check
def hard_backward(first, last, grad, index, weights, corners, features, eps, out_features, out_corners):
    """Gradients of images `first` to `last` to features [B, 3 F D] and corners [B, 6 F]; grad [B, P D]."""
    owns = np.empty(corners.shape[1] // 6, np.bool_)
    for b in range(first, last):
        gather_features(grad[b], index[b], weights[b], owns, out_features[b])
        contract_positions(owns, corners[b], features[b], out_features[b], eps, out_corners[b])


@helper
@no_type_check
def gather_features(grad, index, weights, owns, out):
    """Add the gradient of one image up per face corner, and note which faces own a pixel."""
    depth, three = np.uint64(grad.shape[0] // index.shape[0]), np.uint64(3)
    owns[:] = False
    out[:] = np.float32(0.0)
    for p in range(np.uint64(index.shape[0])):
        if index[p] < 0:
            continue
        f = np.uint64(index[p])
        owns[f] = True
        w0, w1, w2 = weights[three * p], weights[three * p + np.uint64(1)], weights[three * p + np.uint64(2)]
        corner0 = three * f * depth
        corner1 = corner0 + depth
        corner2 = corner1 + depth
        for d in range(depth):
            g = grad[p * depth + d]
            out[corner0 + d] += w0 * g
            out[corner1 + d] += w1 * g
            out[corner2 + d] += w2 * g


@helper
@no_type_check
def contract_position(f, depth, corners, features, feature_grad, eps, out):
    """Position gradient [6 F] of one face from its feature gradient [3 F D]; also a device function of CUDA.

    At a fixed pixel, moving corner i changes the interpolated value by -w_i times its slope on the screen, and the
    slope is constant on a face; so the sum over pixels is a product of sums. `leak` is what eps in the area adds to
    that.
    """
    one, two, three, zero = np.uint64(1), np.uint64(2), np.uint64(3), np.float32(0.0)
    k = np.uint64(6) * f
    ax, ay = corners[k], corners[k + one]
    ux, uy = corners[k + two] - ax, corners[k + three] - ay
    vx, vy = corners[k + np.uint64(4)] - ax, corners[k + np.uint64(5)] - ay
    area = ux * vy - vx * uy
    damped = area + eps if area >= zero else area - eps
    scale = np.float32(1.0) / damped
    w1_x, w1_y, w2_x, w2_y = vy * scale, -vx * scale, -uy * scale, ux * scale
    all_x = all_y = b_x = b_y = c_x = c_y = leak = zero
    corner0 = three * f * depth
    corner1 = corner0 + depth
    corner2 = corner1 + depth
    for d in range(depth):
        d1, d2 = features[corner1 + d] - features[corner0 + d], features[corner2 + d] - features[corner0 + d]
        slope_x, slope_y = d1 * w1_x + d2 * w2_x, d1 * w1_y + d2 * w2_y
        g1, g2 = feature_grad[corner1 + d], feature_grad[corner2 + d]
        total = feature_grad[corner0 + d] + g1 + g2
        all_x += total * slope_x
        all_y += total * slope_y
        b_x += g1 * slope_x
        b_y += g1 * slope_y
        c_x += g2 * slope_x
        c_y += g2 * slope_y
        leak += g1 * d1 + g2 * d2
    leak *= (damped - area) * scale
    b_x, b_y = leak * w1_x - b_x, leak * w1_y - b_y
    c_x, c_y = leak * w2_x - c_x, leak * w2_y - c_y
    out[k], out[k + one] = -all_x - b_x - c_x, -all_y - b_y - c_y
    out[k + two], out[k + three], out[k + np.uint64(4)], out[k + np.uint64(5)] = b_x, b_y, c_x, c_y


@helper
@no_type_check
def contract_positions(owns, corners, features, feature_grad, eps, out):
    """`contract_position` of one image; faces without a pixel stay at zero, whatever their coordinates."""
    depth = np.uint64(features.shape[0] // (3 * owns.shape[0]))
    out[:] = np.float32(0.0)
    for f in range(np.uint64(owns.shape[0])):
        if owns[f]:
            contract_position(f, depth, corners, features, feature_grad, eps, out)
