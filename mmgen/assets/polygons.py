"""Formats without texture coordinates: PLY with vertex colours, STL for printing."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.gltf import GENERATOR
from mmgen.assets.textures import sample_texture
from mmgen.core.errors import ItemError

MILLIMETRES_PER_METRE = 1000

Up = Literal["y", "z"]
_AXES = {"y": "up: +Y; front: +Z", "z": "up: +Z; front: -Y"}


def ply_bytes(asset: Asset, up: Up = "y") -> bytes:
    """Binary PLY in metres; one colour per vertex, sRGB, the mean over the vertex's places in the texture."""
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {GENERATOR}; units: metres; {_AXES[up]}",
        f"element vertex {len(asset.vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {channel}" for channel in ("red", "green", "blue")),
        f"element face {len(asset.faces)}",
        "property list uchar int vertex_indices",
        "end_header",
        "",
    ]
    vertices = np.zeros(len(asset.vertices), dtype=[("position", "<f4", 3), ("color", "u1", 3)])
    vertices["position"], vertices["color"] = _turned(asset, up), vertex_colors(asset)
    faces = np.zeros(len(asset.faces), dtype=[("corners", "u1"), ("vertices", "<i4", 3)])
    faces["corners"], faces["vertices"] = 3, asset.faces
    return "\n".join(header).encode("ascii") + vertices.tobytes() + faces.tobytes()


def stl_bytes(asset: Asset, up: Up = "z") -> bytes:
    """Binary STL in millimetres; slicers want +Z up, so that a print stands on its plate.

    Raises:
        ItemError: `mesh_not_watertight`: a printer needs a closed surface that encloses a volume.
    """
    points = _turned(asset, up).astype(np.float64) * MILLIMETRES_PER_METRE
    a, b, c = points[asset.faces.T]
    volume = float((a * np.cross(b, c)).sum()) / 6
    unpaired = open_edges(asset)
    if unpaired or volume <= 0:
        raise ItemError(
            "mesh_not_watertight",
            f"{asset.name!r} cannot be printed: {unpaired} open edges, volume {volume:.0f} mm³",
            "Export it as ply or obj, or close the mesh first.",
        )
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    triangles = np.zeros(len(asset.faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
    triangles["normal"] = normals / np.where(lengths > 0, lengths, 1)
    triangles["corners"] = points[asset.faces]
    header = f"{GENERATOR}; units: millimetres; {_AXES[up]}".encode("ascii").ljust(80)
    return header + np.uint32(len(triangles)).astype("<u4").tobytes() + triangles.tobytes()


def _turned(asset: Asset, up: Up) -> NDArray[np.float32]:
    """[V, 3] with that axis up; where it is +Z, the front is to -Y."""
    return asset.vertices if up == "y" else asset.vertices[:, [0, 2, 1]] * np.array((1, -1, 1), np.float32)


def vertex_colors(asset: Asset) -> NDArray[np.uint8]:
    """[V, 3] sRGB: the texture at each vertex, the mean of its seam copies."""
    corners = asset.faces.reshape(-1)
    colors = sample_texture(asset.texture, asset.face_uv.reshape(-1, 2))
    total = np.zeros((len(asset.vertices), 3))
    np.add.at(total, corners, colors)
    count = np.bincount(corners, minlength=len(asset.vertices))[:, None]
    return np.rint(total / np.maximum(count, 1)).astype(np.uint8)


def open_edges(asset: Asset) -> int:
    """How many directed edges lack their one opposite: 0 for closed surfaces of one orientation."""
    edges = np.concatenate([asset.faces[:, [0, 1]], asset.faces[:, [1, 2]], asset.faces[:, [2, 0]]]).astype(np.int64)
    forward = edges[:, 0] * len(asset.vertices) + edges[:, 1]
    backward = edges[:, 1] * len(asset.vertices) + edges[:, 0]
    directed, uses = np.unique(forward, return_counts=True)
    return int((uses > 1).sum() + (~np.isin(directed, backward)).sum())
