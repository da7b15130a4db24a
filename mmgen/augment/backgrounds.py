"""Photos without their people: what stands behind virtual ones."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MARGIN = 0.03
"""How far beyond its mask a person is painted out, as a share of the image height: edges of masks are never exact."""

SEAM_SIGMA_PX = 0.8
"""Blur of what was painted in: two textures that are laid over each other show edges that no photo has."""


def without_person(rgb: NDArray[np.uint8], person: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paint a person out, row by row, by what lies left and right of them, mirrored inwards.

    Walls, kerbs and grass run across a photo, so rows keep their height and their grain. Where mirroring would meet
    the person again, the nearest colour beside them takes over.

    Args:
        rgb: uint8 [H, W, 3].
        person: bool [H, W].

    Returns:
        uint8 [H, W, 3]; black where nothing but the person was there.
    """
    reach = max(1, round(MARGIN * len(rgb)))
    hidden = ndimage.maximum_filter(person, 2 * reach + 1)
    if hidden.all():
        return np.zeros_like(rgb)
    nearest_row, nearest_column = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    known = rgb[nearest_row, nearest_column].astype(np.float32)
    left, right = _distance(~hidden), _distance(~hidden[:, ::-1])[:, ::-1]
    rows, columns = np.indices(hidden.shape)
    width = hidden.shape[1]
    from_left = known[rows, np.clip(columns - 2 * left + 1, 0, width - 1)]
    from_right = known[rows, np.clip(columns + 2 * right - 1, 0, width - 1)]
    share = (right / np.maximum(left + right, 1))[..., None].astype(np.float32)
    painted = share * from_left + (1 - share) * from_right
    soft = ndimage.gaussian_filter(painted, (SEAM_SIGMA_PX, SEAM_SIGMA_PX, 0))
    return np.where(hidden[..., None], soft, rgb).round().clip(0, 255).astype(np.uint8)


def _distance(seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Per pixel how many columns back the last seen one is; `W` where there is none."""
    width = seen.shape[1]
    columns = np.arange(width)
    last = np.maximum.accumulate(np.where(seen, columns, -width), axis=1)
    return np.minimum(columns - last, width)
