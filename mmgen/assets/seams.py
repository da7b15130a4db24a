"""From one mesh with per-corner texture coordinates to the flat vertex list that glTF needs, and tidy meshes."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset

FACES_DROPPED = "degenerate_faces_dropped"
"""Provenance key: how many faces without area were left out."""


@dataclass(frozen=True)
class SeamSplitMesh:
    """A mesh with one texture coordinate per vertex: seam vertices appear once per coordinate.

    Attributes:
        positions: [N, 3] float32, metres.
        normals: [N, 3] float32, unit length, equal on all copies of a vertex.
        uv: [N, 2] float32 in glTF's convention: v grows **down**.
        faces: [F, 3] int64 indices into the wedges.
        seen: [N] float32, as of the asset; None where nobody knows.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    faces: NDArray[np.int64]
    seen: NDArray[np.float32] | None


def tidy(asset: Asset) -> Asset:
    """Weld vertices that share a position, drop faces that thereby lose a corner, drop vertices that no face uses.

    Doing it twice changes nothing. Dropped faces are counted in the provenance.
    """
    first, faces = weld(asset.vertices, asset.faces)
    kept = ~has_repeated_corner(faces)
    used, faces = np.unique(faces[kept], return_inverse=True)
    chosen = first[used]
    provenance = dict(asset.provenance)
    if not kept.all():
        provenance[FACES_DROPPED] = provenance.get(FACES_DROPPED, 0) + int((~kept).sum())
    return replace(
        asset,
        vertices=asset.vertices[chosen] + np.float32(0),
        faces=faces.reshape(-1, 3).astype(np.int64),
        face_uv=asset.face_uv[kept],
        provenance=provenance,
        seen=None if asset.seen is None else asset.seen[chosen],
    )


def weld(vertices: NDArray[np.float32], faces: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge vertices at exactly the same place; the first one of each place keeps its turn in the order.

    Returns:
        The indices of the vertices that stay, and the faces over those.
    """
    places = vertices + np.float32(0)  # -0.0 becomes 0.0, so that equal places are equal bytes
    first, inverse = unique_rows(places.view(np.int32))
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse][faces]


def unique_rows(rows: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Like `numpy.unique` over rows, but fast: the first index of each row, in sorted order, and the inverse."""
    order = np.lexsort(rows.T[::-1])  # stable, so that the first of equal rows comes first
    ordered = rows[order]
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    inverse = np.empty(len(rows), dtype=np.int64)
    inverse[order] = np.cumsum(starts) - 1
    return order[starts], inverse


def has_repeated_corner(faces: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """[F] true where two corners of a face are the same vertex."""
    a, b, c = faces.T
    return np.asarray((a == b) | (b == c) | (c == a))


def smooth_normals(vertices: NDArray[np.floating[Any]], faces: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """[V, 3] unit normals, the mean of the faces around each vertex weighted by area.

    A vertex whose faces cancel out takes the normal of its largest face, and points up if that has no area either.
    """
    points = np.asarray(vertices, dtype=np.float64)
    a, b, c = points[faces.T]
    doubled_area = np.cross(b - a, c - a)
    total = np.stack([_sum_at(faces, doubled_area[:, axis], len(points)) for axis in range(3)], axis=1)
    lengths = np.linalg.norm(total, axis=1)
    for vertex in np.flatnonzero(lengths < 1e-20):
        around = doubled_area[(faces == vertex).any(axis=1)]
        largest = around[np.argmax(np.linalg.norm(around, axis=1))] if len(around) else np.zeros(3)
        total[vertex] = largest if np.linalg.norm(largest) > 1e-20 else (0.0, 1.0, 0.0)
    return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), dtype=np.float32)


def _sum_at(faces: NDArray[np.integer[Any]], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """[count] the sum of one value per face at each vertex, corner by corner."""
    return np.bincount(faces.T.reshape(-1), np.tile(values, 3), count).astype(np.float64)


@lru_cache(maxsize=4)
def _copies(corners: bytes, uv: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of all face corners with the same vertex and texture coordinates, and which of those each corner is.

    Kept, as all bodies of a run have the template's faces and coordinates.
    """
    uv_bits = np.frombuffer(uv, np.int32).reshape(-1, 2)
    first, inverse = unique_rows(np.column_stack([np.frombuffer(corners, np.int64), uv_bits]))
    first.setflags(write=False)
    inverse.setflags(write=False)
    return first, inverse


def split_wedges(asset: Asset) -> SeamSplitMesh:
    """Duplicate every vertex once per texture coordinate that its faces give it.

    Copies stay in the order of the vertices, so that welding them again restores the vertex list. All copies of a
    vertex carry the normal of the whole, so that no line shows at a seam.
    """
    uv_up = asset.face_uv.reshape(-1, 2)
    uv = np.stack([uv_up[:, 0], np.float32(1) - uv_up[:, 1]], axis=1) + np.float32(0)
    corners = asset.faces.reshape(-1).astype(np.int64)
    first, inverse = _copies(corners.tobytes(), uv.tobytes())
    normals = smooth_normals(asset.vertices, asset.faces)
    return SeamSplitMesh(
        positions=asset.vertices[corners[first]],
        normals=normals[corners[first]],
        uv=uv[first],
        faces=inverse.reshape(-1, 3),
        seen=None if asset.seen is None else asset.seen[corners[first]],
    )
