"""Compiled z-buffer: which face covers each sample of a fine raster."""

import numpy as np
from numba import njit


def rasterise(pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest face per sample.

    Args:
        pixels: [V, 2] (column, row) of every vertex; sample (i, j) lies at (j + 0.5, i + 0.5).
        depth: [V] distance in front of the camera, metres, > 0.
        faces: [F, 3]; faces seen from behind are skipped.

    Returns:
        [height, width] int32 face numbers, -1 where nothing is.
    """
    nearest = np.full((height, width), np.inf)
    index = np.full((height, width), -1, np.int32)
    _fill(pixels, depth, faces, nearest, index)
    return index


@njit(cache=True, error_model="numpy")
def _fill(pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, nearest: np.ndarray, index: np.ndarray) -> None:
    height, width = index.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = pixels[a, 0], pixels[a, 1], pixels[b, 0], pixels[b, 1], pixels[c, 0], pixels[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= -1e-12:
            continue
        first_row, last_row = (
            max(0, int(np.ceil(min(ay, min(by, cy)) - 0.5))),
            min(height - 1, int(np.floor(max(ay, max(by, cy)) - 0.5))),
        )
        first, last = (
            max(0, int(np.ceil(min(ax, min(bx, cx)) - 0.5))),
            min(width - 1, int(np.floor(max(ax, max(bx, cx)) - 0.5))),
        )
        inverse = (1 / depth[a], 1 / depth[b], 1 / depth[c])
        for i in range(first_row, last_row + 1):
            y = i + 0.5
            for j in range(first, last + 1):
                x = j + 0.5
                wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                wc = 1.0 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                z = 1.0 / (wa * inverse[0] + wb * inverse[1] + wc * inverse[2])
                if z < nearest[i, j]:
                    nearest[i, j] = z
                    index[i, j] = f
