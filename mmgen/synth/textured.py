"""Compiled drawing of meshes with textures that have holes, from both sides: which face covers a sample, and how."""

from typing import NamedTuple

import numpy as np
from numba import njit

OPAQUE = 128
"""Alpha from which a texel is there."""

SHADOW_TEXEL_M, SHADOW_BIAS_M = 0.02, 0.03
FAR_M = 1000.0
"""Distance of the sun: far enough for parallel rays."""


class TexturedMesh(NamedTuple):
    """What is drawn.

    Attributes:
        vertices: [V, 3] world frame.
        normals: [V, 3] unit.
        exposure: [V] share of the sun that reaches each vertex.
        faces: [F, 3] int64.
        uv: [V, 2].
        face_texture: [F] int64.
        textures: [T, Ht, Wt, 4] uint8.
    """

    vertices: np.ndarray
    normals: np.ndarray
    exposure: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    face_texture: np.ndarray
    textures: np.ndarray


@njit(cache=True, error_model="numpy")
def _texel(mesh: TexturedMesh, f: int, weights: tuple[float, float, float]) -> tuple[float, float]:
    """(row, column) of the texture at a point of a face, in texels."""
    a, b, c = mesh.faces[f, 0], mesh.faces[f, 1], mesh.faces[f, 2]
    u = weights[0] * mesh.uv[a, 0] + weights[1] * mesh.uv[b, 0] + weights[2] * mesh.uv[c, 0]
    v = weights[0] * mesh.uv[a, 1] + weights[1] * mesh.uv[b, 1] + weights[2] * mesh.uv[c, 1]
    return (v - np.floor(v)) * mesh.textures.shape[1], (u - np.floor(u)) * mesh.textures.shape[2]


@njit(cache=True, error_model="numpy")
def visible_faces(
    mesh: TexturedMesh, pixels: np.ndarray, depth: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """[height, width] number of the nearest face that is opaque at each sample, -1 for none, and its distance.

    Args:
        pixels: [V, 2] (column, row) of every vertex; sample (i, j) lies at (j + 0.5, i + 0.5).
        depth: [V] distance in front of the camera, > 0.
    """
    nearest = np.full((height, width), np.inf)
    index = np.full((height, width), -1, np.int64)
    for f in range(mesh.faces.shape[0]):
        a, b, c = mesh.faces[f, 0], mesh.faces[f, 1], mesh.faces[f, 2]
        ax, ay, bx, by, cx, cy = pixels[a, 0], pixels[a, 1], pixels[b, 0], pixels[b, 1], pixels[c, 0], pixels[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) <= 1e-12:
            continue
        first_row = max(0, int(np.ceil(min(ay, min(by, cy)) - 0.5)))
        last_row = min(height - 1, int(np.floor(max(ay, max(by, cy)) - 0.5)))
        first, last = (
            max(0, int(np.ceil(min(ax, min(bx, cx)) - 0.5))),
            min(width - 1, int(np.floor(max(ax, max(bx, cx)) - 0.5))),
        )
        for i in range(first_row, last_row + 1):
            y = i + 0.5
            for j in range(first, last + 1):
                x = j + 0.5
                wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                wc = 1.0 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                wa, wb, wc = wa / depth[a], wb / depth[b], wc / depth[c]
                z = 1.0 / (wa + wb + wc)
                if z < nearest[i, j]:
                    row, column = _texel(mesh, f, (wa * z, wb * z, wc * z))
                    alpha = mesh.textures[mesh.face_texture[f], int(row) % mesh.textures.shape[1],
                                          int(column) % mesh.textures.shape[2], 3]  # fmt: skip
                    if alpha >= OPAQUE:
                        nearest[i, j] = z
                        index[i, j] = f
    return index, nearest


@njit(cache=True, error_model="numpy")
def _mixed_texels(picture: np.ndarray, row: float, column: float, out: np.ndarray) -> None:
    """Colour 0..1 between the four opaque texels nearest to a place."""
    high, wide = picture.shape[0], picture.shape[1]
    i, j = int(np.floor(row - 0.5)), int(np.floor(column - 0.5))
    s, t, total = row - 0.5 - i, column - 0.5 - j, 0.0
    out[:] = 0.0
    for di in range(2):
        for dj in range(2):
            texel = picture[(i + di) % high, (j + dj) % wide]
            if texel[3] < OPAQUE:
                continue
            share = (s if di else 1.0 - s) * (t if dj else 1.0 - t) + 1e-6
            total += share
            for channel in range(3):
                out[channel] += share * texel[channel]
    for channel in range(3):
        out[channel] /= 255.0 * max(total, 1e-9)


@njit(cache=True, error_model="numpy")
def shade_faces(
    mesh: TexturedMesh,
    pixels: np.ndarray,
    depth: np.ndarray,
    index: np.ndarray,
    lamps: np.ndarray,
    samples: int,
) -> np.ndarray:
    """[H, W, 4] summed colours and coverage, 0..1, of the samples of every pixel.

    Args:
        mesh, pixels, depth: as of `visible_faces`.
        index: first of its results, [H * samples, W * samples].
        lamps: [4, 3] unit direction to the sun and place of the camera, world frame; sky light and sunlight, RGB.
    """
    drawn = np.zeros((index.shape[0] // samples, index.shape[1] // samples, 4))
    colour, normal, point = np.zeros(3), np.zeros(3), np.zeros(3)
    share = 1.0 / samples**2
    for i in range(index.shape[0]):
        for j in range(index.shape[1]):
            f = index[i, j]
            if f < 0:
                continue
            x, y = j + 0.5, i + 0.5
            a, b, c = mesh.faces[f, 0], mesh.faces[f, 1], mesh.faces[f, 2]
            wa = (pixels[b, 0] - x) * (pixels[c, 1] - y) - (pixels[b, 1] - y) * (pixels[c, 0] - x)
            wb = (pixels[c, 0] - x) * (pixels[a, 1] - y) - (pixels[c, 1] - y) * (pixels[a, 0] - x)
            wc = (pixels[a, 0] - x) * (pixels[b, 1] - y) - (pixels[a, 1] - y) * (pixels[b, 0] - x)
            wa, wb, wc = wa / depth[a], wb / depth[b], wc / depth[c]
            whole = wa + wb + wc
            wa, wb, wc = wa / whole, wb / whole, wc / whole
            row, column = _texel(mesh, f, (wa, wb, wc))
            _mixed_texels(mesh.textures[mesh.face_texture[f]], row, column, colour)
            seen, facing, length = 0.0, 0.0, 1e-9
            for axis in range(3):
                normal[axis] = wa * mesh.normals[a, axis] + wb * mesh.normals[b, axis] + wc * mesh.normals[c, axis]
                point[axis] = wa * mesh.vertices[a, axis] + wb * mesh.vertices[b, axis] + wc * mesh.vertices[c, axis]
                seen += normal[axis] * (lamps[1, axis] - point[axis])
                facing += normal[axis] * lamps[0, axis]
                length += normal[axis] ** 2
            side = (1.0 if seen > 0.0 else -1.0) / np.sqrt(length)
            exposure = wa * mesh.exposure[a] + wb * mesh.exposure[b] + wc * mesh.exposure[c]
            sky, sun = 0.9 + 0.14 * normal[1] * side, max(0.0, facing * side) * exposure
            pixel = drawn[i // samples, j // samples]
            for channel in range(3):
                pixel[channel] += share * colour[channel] * (lamps[2, channel] * sky + lamps[3, channel] * sun)
            pixel[3] += share
    return drawn


def sun_exposure(mesh: TexturedMesh, direction: np.ndarray) -> np.ndarray:
    """[V] share of the sun that reaches each vertex, from a shadow map; softened over a few centimetres.

    Args:
        mesh: its own exposure is not looked at.
        direction: [3] unit, towards the sun, world frame.
    """
    across = np.cross([0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [0.0, 0.0, 1.0], direction)
    across /= np.linalg.norm(across)
    local = mesh.vertices @ np.stack([across, np.cross(direction, across), direction], axis=1)
    low, size = local.min(axis=0), np.ptp(local[:, :2], axis=0)
    pixels = (local[:, :2] - low[:2]) / SHADOW_TEXEL_M + 1
    height, width = int(size[1] / SHADOW_TEXEL_M) + 3, int(size[0] / SHADOW_TEXEL_M) + 3
    depth = FAR_M - local[:, 2]
    _, nearest = visible_faces(mesh, pixels, depth, height, width)
    lit = np.zeros(len(local))
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rows = np.clip(pixels[:, 1].astype(int) + down, 0, height - 1)
            columns = np.clip(pixels[:, 0].astype(int) + right, 0, width - 1)
            lit += nearest[rows, columns] > depth - SHADOW_BIAS_M
    return lit / 9


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[V, 3] unit normals of vertices, weighted by the areas of their faces."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across, corners = np.cross(b - a, c - a), faces.T.ravel()
    normals = np.stack([np.bincount(corners, np.tile(axis, 3), len(vertices)) for axis in across.T], axis=1)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
