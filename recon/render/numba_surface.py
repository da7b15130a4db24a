"""CPU kernels around the rasteriser: from vertices to face corners before it, texture and composition after it."""

from typing import no_type_check

import numpy as np

from recon.render.numba_common import helper, kernel


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


@helper
@no_type_check
def texel_cell(u, v, height, width):
    """Where (u, v) falls between texels: the offsets of its four texels, fractions down and right, whether u is inside.

    Rows wrap around, columns clamp.
    """
    half, zero, one = np.float32(0.5), np.float32(0.0), np.float32(1.0)
    x = u * np.float32(width) - half
    last = np.float32(width - np.uint64(1))
    inside = (x > zero) & (x < last)
    x = x if x > zero else zero  # in this order, so that a coordinate that is not a number stays inside the texture
    x = x if x < last else last
    left = np.uint64(x)
    fx = x - np.float32(left)
    right = min(left + np.uint64(1), width - np.uint64(1))
    y = (one - (v - np.floor(v))) * np.float32(height) + half  # rows, counted from one above the first
    y = y if y > half else half
    above = np.uint64(y)
    fy = y - np.float32(above)
    upper = height - np.uint64(1) if above == np.uint64(0) else above - np.uint64(1)
    lower = np.uint64(0) if above >= height else above
    upper, lower = upper * width, lower * width
    return upper + left, upper + right, lower + left, lower + right, fx, fy, inside


@kernel
@no_type_check
def shade_forward(first, last, features, index, texture, height, background, out):
    """Colours [B, 3 P] over the background, clamped: the texture at (u, v), times the gain if there is one.

    features [B, P D] hold (u, v) or (u, v, gain); texture [B, 3 Ht Wt] of `height` rows; background [B, 3 P] or [1, 3].
    """
    for b in range(first, last):
        behind = background[b if background.shape[0] > 1 else 0]
        shade_image(features[b], index[b], texture[b], np.uint64(height), behind, out[b])


@helper
@no_type_check
def shade_image(features, index, texture, height, background, out):
    """One image of `shade_forward`."""
    zero, one = np.float32(0.0), np.float32(1.0)
    pixels, plane = np.uint64(index.shape[0]), np.uint64(texture.shape[0] // 3)
    width, depth = plane // height, np.uint64(features.shape[0] // index.shape[0])
    if background.shape[0] == 3:
        for c in range(np.uint64(3)):
            out[c * pixels : (c + np.uint64(1)) * pixels] = background[c]
    else:
        for k in range(np.uint64(3) * pixels):
            out[k] = min(max(background[k], zero), one)
    for p in range(pixels):
        if index[p] < 0:
            continue
        q = p * depth
        a, e, i, o, fx, fy, _ = texel_cell(features[q], features[q + np.uint64(1)], height, width)
        gain = features[q + np.uint64(2)] if depth > np.uint64(2) else one
        for c in range(np.uint64(3)):
            t = c * plane
            top = texture[t + a] * (one - fx) + texture[t + e] * fx
            bottom = texture[t + i] * (one - fx) + texture[t + o] * fx
            out[c * pixels + p] = min(max((top * (one - fy) + bottom * fy) * gain, zero), one)


@kernel
@no_type_check
def shade_backward(first, last, grad, features, index, texture, height, out_features, out_texture):
    """Gradients to the features [B, P D] (written everywhere) and to the texture [B, 3 Ht Wt]; grad [B, 3 P]."""
    for b in range(first, last):
        shade_image_backward(
            grad[b], features[b], index[b], texture[b], np.uint64(height), out_features[b], out_texture[b]
        )


@helper
@no_type_check
def shade_image_backward(grad, features, index, texture, height, out_features, out_texture):
    """One image of `shade_backward`."""
    zero, one = np.float32(0.0), np.float32(1.0)
    pixels, plane = np.uint64(index.shape[0]), np.uint64(texture.shape[0] // 3)
    width, depth = plane // height, np.uint64(features.shape[0] // index.shape[0])
    out_features[:] = zero
    out_texture[:] = zero
    for p in range(pixels):
        if index[p] < 0:
            continue
        q = p * depth
        a, e, i, o, fx, fy, inside = texel_cell(features[q], features[q + np.uint64(1)], height, width)
        gain = features[q + np.uint64(2)] if depth > np.uint64(2) else one
        at_a, at_e, at_i, at_o = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
        du = dv = dgain = zero
        for c in range(np.uint64(3)):
            t = c * plane
            ta, te, ti, to = texture[t + a], texture[t + e], texture[t + i], texture[t + o]
            colour = ta * at_a + te * at_e + ti * at_i + to * at_o
            shown = colour * gain
            g = grad[c * pixels + p] if (shown >= zero) & (shown <= one) else zero
            dgain += g * colour
            g *= gain
            du += g * ((te - ta) * (one - fy) + (to - ti) * fy)
            dv += g * ((ta - ti) * (one - fx) + (te - to) * fx)
            out_texture[t + a] += g * at_a
            out_texture[t + e] += g * at_e
            out_texture[t + i] += g * at_i
            out_texture[t + o] += g * at_o
        out_features[q] = du * np.float32(width) if inside else zero
        out_features[q + np.uint64(1)] = dv * np.float32(height)
        if depth > np.uint64(2):
            out_features[q + np.uint64(2)] = dgain
