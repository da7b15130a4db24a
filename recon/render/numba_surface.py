"""CPU kernels around the rasteriser: from vertices to face corners before it, texture and composition after it."""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import kernel


@kernel
@no_type_check
def corners_forward(first, last, ndc, camera, faces, sliver_area, out_corners, out_z, out_facing):
    """Gather corners [B, F, 6], corner z [B, F, 3] and the z of the unnormalised normals [B, F], -1 for slivers."""
    for b in range(first, last):
        for f in range(faces.shape[0]):
            i, j, k = np.uint64(faces[f, 0]), np.uint64(faces[f, 1]), np.uint64(faces[f, 2])
            ax, ay, bx, by, cx, cy = ndc[b, i, 0], ndc[b, i, 1], ndc[b, j, 0], ndc[b, j, 1], ndc[b, k, 0], ndc[b, k, 1]
            out_corners[b, f, 0], out_corners[b, f, 1] = ax, ay
            out_corners[b, f, 2], out_corners[b, f, 3] = bx, by
            out_corners[b, f, 4], out_corners[b, f, 5] = cx, cy
            out_z[b, f, 0], out_z[b, f, 1], out_z[b, f, 2] = camera[b, i, 2], camera[b, j, 2], camera[b, k, 2]
            facing = (camera[b, j, 0] - camera[b, i, 0]) * (camera[b, k, 1] - camera[b, i, 1])
            facing -= (camera[b, k, 0] - camera[b, i, 0]) * (camera[b, j, 1] - camera[b, i, 1])
            area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            out_facing[b, f] = np.float32(-1.0) if abs(area) < sliver_area else facing


@kernel
@no_type_check
def corners_backward(first, last, grad, faces, out):
    """Add corner gradients [B, F, 6] up per vertex [B, V, 2]."""
    for b in range(first, last):
        out[b] = np.float32(0.0)
        for f in range(faces.shape[0]):
            for corner in range(3):
                v = np.uint64(faces[f, corner])
                out[b, v, 0] += grad[b, f, 2 * corner]
                out[b, v, 1] += grad[b, f, 2 * corner + 1]


@kernel
@no_type_check
def texel_cell(u, v, height, width):
    """Where (u, v) falls between texels: upper and lower row, left and right column, fractions, whether u is inside.

    Rows wrap around, columns clamp.
    """
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    x = u * np.float32(width) - half
    last = np.float32(width - 1)
    inside = (x > zero) & (x < last)
    x = min(max(x, zero), last)
    left = np.int32(x)
    fx = x - np.float32(left)
    right = min(left + 1, width - 1)
    y = (one - (v - np.floor(v))) * np.float32(height) - half
    above = np.floor(y)
    fy = y - above
    upper = np.int32(above)
    lower = upper + 1
    upper = height - 1 if upper < 0 else upper
    lower = 0 if lower >= height else lower
    return np.uint32(upper), np.uint32(lower), np.uint32(left), np.uint32(right), fx, fy, inside


@kernel
@no_type_check
def shade_forward(first, last, features, index, texture, lit, background, out):
    """Colours [B, 3, P] over the background, clamped: the texture at features[..., :2], times features[..., 2] if lit.

    texture [B, 3, Ht, Wt]; background [B or 1, 3, P or 1].
    """
    height, width = texture.shape[2], texture.shape[3]
    zero, one = np.float32(0.0), np.float32(1.0)
    plain = background.shape[2] == 1
    for b in range(first, last):
        behind = background[b if background.shape[0] > 1 else 0]
        for c in range(3):
            if plain:
                out[b, c] = behind[c, 0]
            else:
                for p in range(index.shape[1]):
                    out[b, c, p] = min(max(behind[c, p], zero), one)
        for p in range(index.shape[1]):
            if index[b, p] < 0:
                continue
            u, v = features[b, p, 0], features[b, p, 1]
            if not (u - u == zero and v - v == zero):
                out[b, 0, p] = out[b, 1, p] = out[b, 2, p] = np.nan
                continue
            upper, lower, left, right, fx, fy, _ = texel_cell(u, v, height, width)
            gain = features[b, p, 2] if lit else one
            for c in range(3):
                top = texture[b, c, upper, left] * (one - fx) + texture[b, c, upper, right] * fx
                bottom = texture[b, c, lower, left] * (one - fx) + texture[b, c, lower, right] * fx
                out[b, c, p] = min(max((top * (one - fy) + bottom * fy) * gain, zero), one)


@kernel
@no_type_check
def shade_backward(first, last, grad, features, index, texture, lit, out_features, out_texture):
    """Gradients [B, P, D] to the features (written everywhere) and [B, 3, Ht, Wt] to the texture."""
    height, width = texture.shape[2], texture.shape[3]
    zero, one = np.float32(0.0), np.float32(1.0)
    for b in range(first, last):
        out_texture[b] = zero
        out_features[b] = zero
        for p in range(index.shape[1]):
            if index[b, p] < 0:
                continue
            u, v = features[b, p, 0], features[b, p, 1]
            if not (u - u == zero and v - v == zero):
                continue
            upper, lower, left, right, fx, fy, inside = texel_cell(u, v, height, width)
            gain = features[b, p, 2] if lit else one
            du = dv = dgain = zero
            for c in range(3):
                g = grad[b, c, p]
                a, e = texture[b, c, upper, left], texture[b, c, upper, right]
                i, o = texture[b, c, lower, left], texture[b, c, lower, right]
                top, bottom = a * (one - fx) + e * fx, i * (one - fx) + o * fx
                colour = top * (one - fy) + bottom * fy
                if not (colour * gain >= zero and colour * gain <= one):
                    continue
                dgain += g * colour
                g *= gain
                du += g * ((e - a) * (one - fy) + (o - i) * fy)
                dv += g * (top - bottom)
                out_texture[b, c, upper, left] += g * (one - fx) * (one - fy)
                out_texture[b, c, upper, right] += g * fx * (one - fy)
                out_texture[b, c, lower, left] += g * (one - fx) * fy
                out_texture[b, c, lower, right] += g * fx * fy
            out_features[b, p, 0] = du * np.float32(width) if inside else zero
            out_features[b, p, 1] = dv * np.float32(height)
            if lit:
                out_features[b, p, 2] = dgain
