"""The place behind a person: a photo without them, what lies beside them mirrored into the hole."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HIDDEN_MARGIN = 0.03
"""How far beyond its mask a person is painted out, as a share of the image height: edges of masks are never exact."""

FEET_HEIGHT, SHADOW_REACH = 0.06, 0.06
"""The lowest share of a person, and how far to both sides of it the dark ground under feet is painted out too."""

UPRIGHT = 0.25
"""Rows around a row, as a share of the height, that share its mirror: poles and windows stay upright beside elbows."""

MIDDLE_COST = 0.02
"""Squared grey levels, as a share of 255 squared, that the seam costs at a whole hole's width from its middle."""

SEAM_PX = 1.0
"""Width of the transition at the seam."""

RIM_SIGMA_PX, RIM_REACH_PX = 4.0, 12.0
"""How smoothly and how deep the step at the hole's rim is evened out."""


def without_person(rgb: NDArray[np.uint8], person: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paint a person out, with the shadow under their feet.

    Walls, kerbs and grass run across a photo, so every row is continued by its own mirror image, from the left and from
    the right. The two meet at the seam from top to bottom where they differ least, and keep their grain; steps at the
    rim of the hole fade inwards.

    Args:
        rgb: uint8 [H, W, 3].
        person: bool [H, W].

    Returns:
        uint8 [H, W, 3]; black where nothing but the person was there.
    """
    hidden = hidden_by(person)
    if hidden.all() or not hidden.any():
        return np.where(hidden[..., None], np.uint8(0), rgb)
    nearest_row, nearest_column = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    known = rgb[nearest_row, nearest_column].astype(np.float32)
    left, left_width = _mirrored(known, hidden)
    reflected, right_width = _mirrored(known[:, ::-1], hidden[:, ::-1])
    right = reflected[:, ::-1]
    share = _right_share(left, right, hidden, (left_width, right_width))
    painted = (1 - share) * left + share * right
    return np.where(hidden[..., None], _eased(painted, known, hidden), rgb).round().clip(0, 255).astype(np.uint8)


def hidden_by(person: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W] what a person hides or darkens: a margin all around, and more beside the feet."""
    height = len(person)
    reach = max(1, round(HIDDEN_MARGIN * height))
    hidden: NDArray[np.bool_] = ndimage.maximum_filter(person, 2 * reach + 1)
    rows = np.flatnonzero(person.any(axis=1))
    if len(rows):
        feet = person.copy()
        feet[: rows[-1] + 1 - max(1, round(FEET_HEIGHT * height))] = False
        hidden |= ndimage.maximum_filter(feet, (2 * reach + 1, 2 * round(SHADOW_REACH * height) + 1))
    return hidden


def _mirrored(known: NDArray[np.float32], hidden: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """[H, W, 3] every row continued to the right by what is left of the hole, there and back; [H, 1] its width.

    A row takes the narrowest strip of the rows around it as its mirror, so that upright things stay upright.
    """
    height, width = hidden.shape
    first = np.where(hidden.any(axis=1), hidden.argmax(axis=1), width)
    strip = ndimage.minimum_filter1d(first, 2 * round(UPRIGHT * height) + 1)
    strip = np.where(strip > 0, strip, first)[:, None]  # a neighbour at the edge of the photo leaves a row its own
    columns = np.arange(width)[None]
    beyond = (columns - strip) % np.maximum(2 * strip, 1)
    folded = np.where(beyond < strip, strip - 1 - beyond, beyond - strip)
    source = np.where(columns < strip, columns, folded).clip(0, width - 1)
    return known[np.arange(height)[:, None], source], strip


def _right_share(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    strips: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float32]:
    """[H, W, 1] 0 left of the cheapest seam from top to bottom, 1 right of it (dynamic programming).

    Args:
        strips: [H, 1] widths of what is seen left and right of the hole.
    """
    height, width = hidden.shape
    columns = np.arange(width)
    begin, end = np.where(
        hidden.any(axis=1), (hidden.argmax(axis=1), width - hidden[:, ::-1].argmax(axis=1)), [[0], [width]]
    )
    seen = [np.maximum(one[:, 0], 1e-3) for one in strips]
    middle = begin + (end - begin) * seen[0] / (seen[0] + seen[1])
    away = (columns - middle[:, None]) / np.maximum(end - begin, 1)[:, None]
    cost = np.where(hidden, ((left - right) ** 2).mean(axis=2) / 255**2, 0) + MIDDLE_COST * away**2
    total, came = cost[0], np.zeros((height, width), np.int64)
    for row in range(1, height):
        padded = np.pad(total, 1, constant_values=np.inf)
        before = np.stack([padded[:-2], padded[1:-1], padded[2:]])
        came[row] = before.argmin(axis=0) - 1
        total = cost[row] + before.min(axis=0)
    seam = np.empty(height, np.int64)
    seam[-1] = total.argmin()
    for row in range(height - 1, 0, -1):
        seam[row - 1] = seam[row] + came[row, seam[row]]
    share = 1 / (1 + np.exp(-(columns - seam[:, None]) / (SEAM_PX / 2)))
    share = np.where(strips[0] < 1, 1, np.where(strips[1] < 1, 0, share))
    return share[..., None].astype(np.float32)


def _eased(painted: NDArray[np.float32], known: NDArray[np.float32], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[H, W, 3] painted so that it meets what is seen around: the differences at the rim fade inwards."""
    rim = (ndimage.binary_dilation(hidden, iterations=2) & ~hidden).astype(np.float32)
    sigmas = (RIM_SIGMA_PX, RIM_SIGMA_PX)
    weight = ndimage.gaussian_filter(rim, sigmas)[..., None]
    step = ndimage.gaussian_filter(rim[..., None] * (known - painted), (*sigmas, 0)) / np.maximum(weight, 1e-4)
    depth = ndimage.distance_transform_edt(hidden)[..., None]
    eased: NDArray[np.float32] = painted + step * np.exp(-depth / RIM_REACH_PX) * (weight > 1e-3)
    return eased
