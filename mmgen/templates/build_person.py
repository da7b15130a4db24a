"""Builds the bundled `person` template: a neutral standing body, arms and legs apart, as one closed symmetric mesh.

Run `python -m mmgen.templates.build_person` to write `person.npz` again. The body is a smooth union of flattened cones
(a signed distance field), meshed on one half, decimated, and mirrored, so that left/right partners are exact. The
texture coordinates are the front and the back view of the body (recon.structures "Texture"), so that a photo from the
front maps almost one to one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmgen.templates.person_skeleton import skeleton_arrays
from recon.geometry import mirror_partners

PERSON_FILE = Path(__file__).with_name("person.npz")
HEIGHT = 1.8
"""Template units: the height of the body, as high as the ellipsoid template."""

_GRID_STEP = 0.0125
_BLEND = 0.022
_UV_MARGIN = 0.03


@dataclass(frozen=True)
class Cone:
    """A cone with round ends from `start` to `end`; `flatness` divides its extent along z."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    flatness: float = 1.0


# Right half and middle (x >= 0) of a person 1.80 high, feet at y = 0; proportions of an average adult.
BODY = (
    Cone((0.0, 1.655, 0.010), (0.0, 1.700, 0.005), 0.086, 0.092, 0.92),  # head
    Cone((0.0, 1.600, 0.040), (0.0, 1.640, 0.035), 0.052, 0.060),  # jaw
    Cone((0.0, 1.470, -0.015), (0.0, 1.600, 0.000), 0.060, 0.056),  # neck
    Cone((0.0, 1.360, 0.000), (0.0, 1.120, 0.005), 0.158, 0.140, 1.45),  # chest to waist
    Cone((0.0, 1.420, -0.010), (0.150, 1.410, -0.010), 0.075, 0.062),  # shoulder girdle
    Cone((0.0, 1.110, 0.000), (0.0, 0.960, -0.010), 0.142, 0.165, 1.40),  # waist to pelvis
    Cone((0.060, 0.930, -0.045), (0.075, 0.900, -0.040), 0.085, 0.080),  # seat
    Cone((0.090, 0.920, 0.000), (0.110, 0.500, 0.010), 0.088, 0.062),  # thigh
    Cone((0.110, 0.500, 0.008), (0.125, 0.110, -0.015), 0.060, 0.043),  # shin
    Cone((0.115, 0.380, -0.020), (0.120, 0.300, -0.025), 0.052, 0.046),  # calf
    Cone((0.125, 0.050, -0.030), (0.140, 0.042, 0.115), 0.046, 0.038),  # foot
    Cone((0.175, 1.400, -0.010), (0.275, 1.120, -0.015), 0.056, 0.046),  # upper arm
    Cone((0.275, 1.120, -0.015), (0.345, 0.880, 0.015), 0.044, 0.033),  # forearm
    Cone((0.350, 0.860, 0.020), (0.375, 0.740, 0.035), 0.036, 0.026, 1.2),  # hand
)


def body_distance(points: np.ndarray) -> np.ndarray:
    """Approximate signed distance [N] of points [N, 3] (x >= 0 half) to the body; negative inside."""
    total = np.full(len(points), 1.0)
    for cone in BODY:
        start, axis = np.array(cone.start), np.array(cone.end) - np.array(cone.start)
        offset = points - start
        along = np.clip(offset @ axis / (axis @ axis), 0.0, 1.0)
        beside = (offset - along[:, None] * axis) * np.array([1.0, 1.0, cone.flatness])
        radius = cone.start_radius + along * (cone.end_radius - cone.start_radius)
        distance = np.linalg.norm(beside, axis=1) - radius
        share = np.clip(0.5 + 0.5 * (total - distance) / _BLEND, 0.0, 1.0)
        total = total + (distance - total) * share - _BLEND * share * (1 - share)
    return total


def half_surface() -> tuple[np.ndarray, np.ndarray]:
    """Marching-cubes vertices [V, 3] and outward faces [F, 3] of the half x >= 0, open exactly at x = 0."""
    from skimage.measure import marching_cubes

    xs = np.arange(0, 40) * _GRID_STEP
    ys = np.arange(-4, 152) * _GRID_STEP
    zs = np.arange(-20, 21) * _GRID_STEP
    grid = np.stack(np.meshgrid(xs, ys, zs, indexing="ij"), axis=-1)
    half = body_distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    field = np.concatenate((half[:0:-1], half))
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=(_GRID_STEP,) * 3)
    vertices = vertices + np.array([-xs[-1], ys[0], zs[0]])
    keep = vertices[faces].mean(axis=1)[:, 0] > 0
    used, faces = np.unique(faces[keep], return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    vertices[np.abs(vertices[:, 0]) < 1e-6, 0] = 0.0
    return vertices, faces


def decimate_half(vertices: np.ndarray, faces: np.ndarray, face_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Quadric decimation of the open half; its border stays a border and is put back on the plane x = 0."""
    import fast_simplification

    vertices, faces = fast_simplification.simplify(vertices, faces, target_count=face_count, agg=3)[:2]
    edges = np.sort(np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(unique[counts == 1])
    vertices = np.maximum(vertices, np.array([1e-4, -np.inf, -np.inf]))
    vertices[border, 0] = 0.0
    return vertices, faces.astype(np.int64)


def relax(vertices: np.ndarray, faces: np.ndarray, rounds: int = 15) -> np.ndarray:
    """Even out the triangles of a decimated half: vertices slide along the surface to the mean of their neighbours.

    Quadric decimation leaves long slivers along limbs, which bend badly. Border vertices stay on x = 0.
    """
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    edges = np.unique(np.concatenate((edges, edges[:, ::-1])), axis=0)
    degree = np.bincount(edges[:, 0], minlength=len(vertices))[:, None]
    border = vertices[:, 0] == 0.0
    for _ in range(rounds):
        mean = np.zeros_like(vertices)
        np.add.at(mean, edges[:, 0], vertices[edges[:, 1]])
        distance, normal = _distance_and_normal(vertices)
        slide = mean / degree - vertices
        slide -= (slide * normal).sum(axis=1, keepdims=True) * normal
        vertices = vertices + 0.4 * slide - np.clip(distance, -_GRID_STEP, _GRID_STEP)[:, None] * normal
        vertices[border, 0] = 0.0
        vertices[~border, 0] = np.maximum(vertices[~border, 0], 1e-4)
    return vertices


def _distance_and_normal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distance, step = body_distance(points), 1e-4
    gradient = np.stack([(body_distance(points + step * axis) - distance) / step for axis in np.eye(3)], axis=1)
    return distance, gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)


def mirror_join(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Close a half that is open at x = 0 with its mirror image; border vertices are shared."""
    on_plane = vertices[:, 0] == 0.0
    twin = np.arange(len(vertices))
    twin[~on_plane] = len(vertices) + np.arange((~on_plane).sum())
    mirrored = vertices[~on_plane] * np.array([-1.0, 1.0, 1.0])
    return np.concatenate((vertices, mirrored)), np.concatenate((faces, twin[faces[:, ::-1]]))


def front_back_uv(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Texture coordinates [F, 3, 2]: faces that look forward from the front view, the others from the back view.

    Corners move outward along the surface normal by a fixed margin, so that the sides of a limb get texels too.
    """
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    area = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    flat = vertices[:, :2] + 0.4 * _UV_MARGIN * normals[:, :2]
    half_width = np.abs(flat[:, 0]).max()
    low, high = flat[:, 1].min(), flat[:, 1].max()
    u = 0.5 + (0.5 - _UV_MARGIN) * flat[:, 0] / half_width
    v = _UV_MARGIN / 2 + (0.5 - _UV_MARGIN) * (flat[:, 1] - low) / (high - low)
    uv = np.stack((u, v), axis=-1)[faces]
    back = area[:, 2] < 0
    uv[back, :, 1] = 1.0 - uv[back, :, 1]
    return uv


def build(face_count: int = 2600) -> dict[str, np.ndarray]:
    """The template arrays: `vertices` [V, 3] centred on the origin, `faces` [F, 3], `face_uv` [F, 3, 2], skeleton."""
    half, half_faces = decimate_half(*half_surface(), face_count // 2)
    vertices, faces = mirror_join(relax(half, half_faces), half_faces)
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    middle, scale = np.array([0.0, (low + high) / 2, 0.0]), HEIGHT / (high - low)
    edges = np.unique(np.sort(np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])), axis=1), axis=0)
    partners = mirror_partners(torch.from_numpy(vertices), 0).numpy()
    skeleton = skeleton_arrays(vertices, edges, partners)
    vertices = (vertices - middle) * scale
    return {
        "vertices": vertices.astype(np.float32),
        "faces": faces.astype(np.int32),
        "face_uv": front_back_uv(vertices, faces).astype(np.float32),
        **skeleton,
        "joints": ((skeleton["joints"] - middle) * scale).astype(np.float32),
    }


if __name__ == "__main__":
    np.savez_compressed(PERSON_FILE, **build())  # type: ignore[arg-type]
