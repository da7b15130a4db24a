"""Hard rasterisation on the CPU, one image after another: z-buffer by face, gradients gathered by pixel.

Mathematics and conventions: `recon.render.reference`. Each image is drawn by one thread in face order, so results do not depend on
the number of threads.
"""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import face_ranges, kernel


@kernel
@no_type_check
def hard_forward(first, last, z, corners, features, valid, columns, rows, eps, out_features, out_index, out_weights):
    """Draw images `first` to `last`.

    z [B, F, 3], corners [B, F, 6], features [B, F, 3, D], valid [B, F] bool; outputs out_features [B, P, D], out_index [B, P]
    int64 and out_weights [B, P, 3] (written only where a face wins), with P = H * W.
    """
    faces, depth_of_features = features.shape[1], features.shape[3]
    width = columns.shape[0] - 2
    ranges = np.empty((4, faces), np.int32)
    nearest = np.empty(out_index.shape[1], np.float32)
    zero, one = np.float32(0.0), np.float32(1.0)
    for b in range(first, last):
        out_index[b] = -1
        out_features[b] = zero
        nearest[:] = -np.inf
        face_ranges(corners[b], zero, columns, rows, ranges)
        for f in range(faces):
            j0, j1, i0, i1 = ranges[0, f], ranges[1, f], ranges[2, f], ranges[3, f]
            if not valid[b, f] or j0 >= j1 or i0 >= i1:
                continue
            z0, z1, z2 = z[b, f, 0], z[b, f, 1], z[b, f, 2]
            for i in range(np.uint32(i0), np.uint32(i1)):
                y = -rows[i + np.uint32(1)]
                ay, by, cy = corners[b, f, 1] - y, corners[b, f, 3] - y, corners[b, f, 5] - y
                for j in range(np.uint32(j0), np.uint32(j1)):
                    x = columns[j + np.uint32(1)]
                    ax, bx, cx = corners[b, f, 0] - x, corners[b, f, 2] - x, corners[b, f, 4] - x
                    w0, w1, w2 = bx * cy - cx * by, cx * ay - ax * cy, ax * by - bx * ay
                    smallest, largest = min(min(w0, w1), w2), max(max(w0, w1), w2)
                    if not (smallest >= zero or largest <= zero):
                        continue
                    area = w0 + w1 + w2
                    scale = one / (area + eps if area >= zero else area - eps)
                    w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
                    depth = w0 * z0 + w1 * z1 + w2 * z2
                    p = i * np.uint32(width) + j
                    if depth > nearest[p]:
                        nearest[p] = depth
                        out_index[b, p] = f
                        out_weights[b, p, 0], out_weights[b, p, 1], out_weights[b, p, 2] = w0, w1, w2
                        for d in range(depth_of_features):
                            out_features[b, p, d] = (
                                w0 * features[b, f, 0, d] + w1 * features[b, f, 1, d] + w2 * features[b, f, 2, d]
                            )


@kernel
@no_type_check
def hard_backward(first, last, grad, index, weights, corners, features, eps, out_features, out_corners):
    """Gradients of images `first` to `last` to features [B, F, 3, D] and corners [B, F, 6].

    The position gradient is a contraction of the feature gradient per face, see `reference.position_gradient`; faces that own no
    pixel are left at zero, whatever their coordinates.
    """
    faces, depth_of_features = features.shape[1], features.shape[3]
    owns = np.empty(faces, np.bool_)
    zero = np.float32(0.0)
    for b in range(first, last):
        owns[:] = False
        out_features[b] = zero
        out_corners[b] = zero
        for p in range(index.shape[1]):
            f = index[b, p]
            if f < 0:
                continue
            f = np.uint64(f)
            owns[f] = True
            w0, w1, w2 = weights[b, p, 0], weights[b, p, 1], weights[b, p, 2]
            for d in range(depth_of_features):
                g = grad[b, p, d]
                out_features[b, f, 0, d] += w0 * g
                out_features[b, f, 1, d] += w1 * g
                out_features[b, f, 2, d] += w2 * g
        for f in range(faces):
            if owns[f]:
                contract_positions(corners[b, f], features[b, f], out_features[b, f], eps, out_corners[b, f])


@kernel
@no_type_check
def contract_positions(corners, features, feature_grad, eps, out):
    """Position gradient [6] of one face from its feature gradient [3, D]."""
    ax, ay = corners[0], corners[1]
    ux, uy = corners[2] - ax, corners[3] - ay
    vx, vy = corners[4] - ax, corners[5] - ay
    area = ux * vy - vx * uy
    damped = area + eps if area >= 0 else area - eps
    scale = np.float32(1.0) / damped
    w1_x, w1_y = vy * scale, -vx * scale
    w2_x, w2_y = -uy * scale, ux * scale
    all_x = all_y = b_x = b_y = c_x = c_y = leak = np.float32(0.0)
    for d in range(features.shape[1]):
        d1, d2 = features[1, d] - features[0, d], features[2, d] - features[0, d]
        slope_x, slope_y = d1 * w1_x + d2 * w2_x, d1 * w1_y + d2 * w2_y
        g0, g1, g2 = feature_grad[0, d], feature_grad[1, d], feature_grad[2, d]
        total = g0 + g1 + g2
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
    out[0], out[1] = -all_x - b_x - c_x, -all_y - b_y - c_y
    out[2], out[3] = b_x, b_y
    out[4], out[5] = c_x, c_y
