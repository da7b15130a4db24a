"""From one mesh with per-corner texture coordinates to the flat vertex list that glTF needs, and tidy meshes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset

FACES_DROPPED = "degenerate_faces_dropped"
"""Provenance key: how many faces without area were left out."""


@dataclass(frozen=True)
class Wedges:
    """A mesh with one texture coordinate per vertex: seam vertices appear once per coordinate.

    Attributes:
        positions: [N, 3] float32, metres.
        normals: [N, 3] float32, unit length, equal on all copies of a vertex.
        uv: [N, 2] float32 in glTF's convention: v grows **down**.
        faces: [F, 3] int64 indices into the wedges.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    faces: NDArray[np.int64]


def tidy(asset: Asset) -> Asset:
    """Weld vertices that share a position, drop faces that thereby lose a corner, drop vertices that no face uses.

    Doing it twice changes nothing. Dropped faces are counted in the provenance.
    """
    vertices, faces = weld(asset.vertices, asset.faces)
    kept = ~has_repeated_corner(faces)
    used, faces = np.unique(faces[kept], return_inverse=True)
    provenance = dict(asset.provenance)
    if not kept.all():
        provenance[FACES_DROPPED] = provenance.get(FACES_DROPPED, 0) + int((~kept).sum())
    return replace(
        asset,
        vertices=vertices[used],
        faces=faces.reshape(-1, 3).astype(np.int64),
        face_uv=asset.face_uv[kept],
        provenance=provenance,
    )


def weld(
    vertices: NDArray[np.float32], faces: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Merge vertices at exactly the same place; the first one of each place keeps its turn in the order."""
    vertices = vertices + np.float32(0)  # -0.0 becomes 0.0, so that equal places are equal bytes
    _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return vertices[first[order]], rank[inverse.ravel()][faces]


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
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, faces[:, corner], doubled_area)
    lengths = np.linalg.norm(total, axis=1)
    for vertex in np.flatnonzero(lengths < 1e-20):
        around = doubled_area[(faces == vertex).any(axis=1)]
        largest = around[np.argmax(np.linalg.norm(around, axis=1))] if len(around) else np.zeros(3)
        total[vertex] = largest if np.linalg.norm(largest) > 1e-20 else (0.0, 1.0, 0.0)
    return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), dtype=np.float32)


def split_wedges(asset: Asset) -> Wedges:
    """Duplicate every vertex once per texture coordinate that its faces give it.

    Copies stay in the order of the vertices, so that welding them again restores the vertex list. All copies of a
    vertex carry the normal of the whole, so that no line shows at a seam.
    """
    uv_up = asset.face_uv.reshape(-1, 2)
    uv = np.stack([uv_up[:, 0], np.float32(1) - uv_up[:, 1]], axis=1) + np.float32(0)
    corners = asset.faces.reshape(-1).astype(np.int64)
    keys = np.column_stack([corners, uv.view(np.int32)])
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    normals = smooth_normals(asset.vertices, asset.faces)
    return Wedges(
        positions=asset.vertices[corners[first]],
        normals=normals[corners[first]],
        uv=uv[first],
        faces=inverse.reshape(-1, 3).astype(np.int64),
    )
