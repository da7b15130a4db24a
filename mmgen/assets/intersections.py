"""Triangles that pass through each other: what a slicer or a cloth simulation stumbles over."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MOST_FACES = 20_000


def self_intersections(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> int | None:
    """Pairs of triangles without a common vertex of which an edge of one passes through the other.

    Args:
        vertices: [V, 3].
        faces: [F, 3].

    Returns:
        The number of pairs; None for meshes of more than `MOST_FACES` faces, which would take too long.
    """
    if len(faces) > MOST_FACES:
        return None
    corners = np.asarray(vertices, np.float64)[faces]
    first, second = _near_pairs(corners, faces)
    crossing = np.zeros(len(first), bool)
    for through, against in ((first, second), (second, first)):
        for edge in range(3):
            starts, ends = corners[through, edge], corners[through, (edge + 1) % 3]
            crossing |= _pass_through(starts, ends, corners[against])
    return int(crossing.sum())


def _near_pairs(corners: NDArray[np.float64], faces: NDArray[np.integer]) -> tuple[NDArray[np.int64], ...]:
    """Faces whose boxes overlap and that share no vertex, each pair once."""
    middles = corners.mean(axis=1)
    reach = np.linalg.norm(corners - middles[:, None], axis=2).max()
    pairs = cKDTree(middles).query_pairs(2 * reach, output_type="ndarray")
    low, high = corners.min(axis=1), corners.max(axis=1)
    first, second = pairs.T
    overlap = ((low[first] <= high[second]) & (low[second] <= high[first])).all(axis=1)
    first, second = first[overlap], second[overlap]
    apart = (faces[first][:, :, None] != faces[second][:, None]).all(axis=(1, 2))
    return first[apart], second[apart]


def _pass_through(
    starts: NDArray[np.float64], ends: NDArray[np.float64], triangles: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """[N] whether segments cross triangles (Moeller and Trumbore 1997); touching at a border does not count."""
    origin, across, along = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    direction = ends - starts
    normal = np.cross(direction, along)
    scale = (across * normal).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_origin = starts - origin
        u = (from_origin * normal).sum(axis=1) / scale
        sideways = np.cross(from_origin, across)
        v = (direction * sideways).sum(axis=1) / scale
        t = (along * sideways).sum(axis=1) / scale
        inside = (u > 0) & (v > 0) & (u + v < 1) & (t > 0) & (t < 1)
    return np.asarray(inside & (scale != 0))
