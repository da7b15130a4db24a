"""From a posed person to one watertight mesh with colours, and what shading needs to know about it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from skimage.measure import marching_cubes

from mmgen.synth.albedo import point_albedos
from mmgen.synth.field import FAR, fill_grid, nearest_solids, sample_grid
from mmgen.synth.identity import Identity
from mmgen.synth.person import Person, assemble
from mmgen.synth.pose import Pose
from mmgen.synth.primitives import HIGH, LOW
from mmgen.synth.skeleton import BONE, Skeleton

DEFAULT_STEP_M = 0.015
ANNY_MARGIN_M = 0.09
"""How far a body may stand out of the box around our own solids."""

VERTEX_QUANTUM_M = 2.0**-13
"""Vertices are rounded to this (0.12 mm), so that they compress well and the file holds exactly what was drawn."""


@dataclass(frozen=True)
class BodyMesh:
    """A person's surface, world frame, metres: +y up, facing +z, bounding box centred on the origin.

    Attributes:
        vertices: [V, 3] float32.
        faces: [F, 3] int32, counter-clockwise from outside.
        normals: [V, 3] float32, unit, outward.
        colors: [V, 3] float32, albedo, 0..1 in steps of 1/255.
        labels: [V] int64, nearest solid of `person.packed`.
        openness: [V] float32, 0 in deep creases .. 1 in the open.
        person: Solids and paint rules, for the colour of points between the vertices.
        grid: [X, Y, Z] float32 distances, for shadows.
        grid_low: [3] world position of the grid's first point.
        step_m: Grid spacing.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    openness: np.ndarray
    person: Person
    grid: np.ndarray
    grid_low: np.ndarray
    step_m: float

    @property
    def skeleton(self) -> Skeleton:
        """Bones in the pose."""
        return self.person.skeleton

    @property
    def ground_y(self) -> float:
        """Height of the ground, metres: the lowest vertex stands on it."""
        return float(self.vertices[:, 1].min())

    @property
    def height_m(self) -> float:
        """Height of the surface's bounding box."""
        return float(np.ptp(self.vertices[:, 1]))

    def feet(self) -> np.ndarray:
        """[2, 3] middles of the soles, world frame."""
        skeleton = self.skeleton
        sole = np.array([0.0, -skeleton.proportions.ankle, 0.05 * skeleton.proportions.scale])
        return np.stack([skeleton.to_world(BONE[name], sole) for name in ("foot_l", "foot_r")])


def body_mesh(
    identity: Identity,
    pose: Pose,
    step_m: float = DEFAULT_STEP_M,
    bodies: str = "capsules",
    cloth: Path | None = None,
) -> BodyMesh:
    """March the surface of a dressed person.

    Args:
        step_m: Grid spacing; 0.015 gives about 9 000 vertices.
        bodies: `capsules`, our own; or `anny`, those of the optional package.
        cloth: Folder of the photos that fabrics name.

    Raises:
        FatalError: `no_anny`, if that package is not installed; `cloth_unusable`.
    """
    person = assemble(identity, pose, cloth)
    table = person.packed.table
    margin = 2.5 * step_m + (ANNY_MARGIN_M if bodies == "anny" else 0.0)
    low = table[:, LOW : LOW + 3].min(0) - margin
    high = table[:, HIGH : HIGH + 3].max(0) + margin
    counts = np.ceil((high - low) / step_m).astype(int) + 1
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    if bodies == "anny":
        from mmgen.synth.anny_body import dressed_grid

        grid = dressed_grid(person, low, step_m, shape)
    else:
        grid = fill_grid(person.packed, low, step_m, shape)
    vertices, faces, _, _ = marching_cubes(grid, 0.0, spacing=(step_m,) * 3, allow_degenerate=False)
    vertices = vertices.astype(np.float64) + low
    shift = -(vertices.min(0) + vertices.max(0)) / 2
    vertices = np.round((vertices + shift) / VERTEX_QUANTUM_M) * VERTEX_QUANTUM_M
    low, person = low + shift, person.moved(shift)
    labels = nearest_solids(person.packed, vertices)
    colours = point_albedos(vertices, labels, person.packed, person.paint)
    normals, openness = _surface_terms(grid, low, step_m, vertices)
    return BodyMesh(
        vertices=vertices.astype(np.float32),
        faces=np.ascontiguousarray(faces, np.int32),
        normals=normals,
        colors=(np.round(colours * 255) / 255).astype(np.float32),
        labels=labels,
        openness=openness,
        person=person,
        grid=grid,
        grid_low=low,
        step_m=step_m,
    )


def _surface_terms(
    grid: np.ndarray, low: np.ndarray, step: float, vertices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals from the distance field's slope, and openness from distances a few centimetres outside."""
    normals = np.zeros(vertices.shape, np.float32)
    openness = np.zeros(vertices.shape[0], np.float32)
    _fill_surface_terms(grid, low, step, vertices, normals, openness)
    return normals, openness


@njit(cache=True, error_model="numpy")
def _fill_surface_terms(
    grid: np.ndarray, low: np.ndarray, step: float, vertices: np.ndarray, normals: np.ndarray, openness: np.ndarray
) -> None:
    for n in range(vertices.shape[0]):
        x, y, z = vertices[n, 0], vertices[n, 1], vertices[n, 2]
        e = 0.7 * step
        a = sample_grid(grid, low, step, x + e, y, z) - sample_grid(grid, low, step, x - e, y, z)
        b = sample_grid(grid, low, step, x, y + e, z) - sample_grid(grid, low, step, x, y - e, z)
        c = sample_grid(grid, low, step, x, y, z + e) - sample_grid(grid, low, step, x, y, z - e)
        length = np.sqrt(a * a + b * b + c * c) + 1e-9
        a, b, c = a / length, b / length, c / length
        normals[n, 0], normals[n, 1], normals[n, 2] = a, b, c
        near = sample_grid(grid, low, step, x + 0.025 * a, y + 0.025 * b, z + 0.025 * c) / 0.025
        wide = sample_grid(grid, low, step, x + 0.055 * a, y + 0.055 * b, z + 0.055 * c) / 0.055
        openness[n] = min(1.0, max(0.0, 0.5 * near)) * 0.6 + min(1.0, max(0.0, wide)) * 0.7
        openness[n] = min(1.0, openness[n])


def sun_exposure(
    grid: np.ndarray, low: np.ndarray, step: float, vertices: np.ndarray, normals: np.ndarray, rays: np.ndarray
) -> np.ndarray:
    """[V] float32 share of the sun that reaches each vertex: soft shadows of the body on itself.

    Args:
        grid: Distances, see `BodyMesh`.
        step: Spacing.
        vertices: [V, 3] world frame.
        normals: [V, 3] unit.
        rays: [2, 3] unit direction towards the sun, and position of the camera, world frame; what the camera cannot see
            is left in the light.
    """
    exposure = np.ones(vertices.shape[0], np.float32)
    _fill_exposure(grid, low, step, vertices, normals, rays, exposure)
    return exposure


@njit(cache=True, error_model="numpy")
def _fill_exposure(
    grid: np.ndarray,
    low: np.ndarray,
    step: float,
    vertices: np.ndarray,
    normals: np.ndarray,
    rays: np.ndarray,
    exposure: np.ndarray,
) -> None:
    light, eye = rays[0], rays[1]
    for n in range(vertices.shape[0]):
        seen = 0.0
        for axis in range(3):
            seen += normals[n, axis] * (eye[axis] - vertices[n, axis])
        if seen < -0.3:
            continue
        facing = normals[n, 0] * light[0] + normals[n, 1] * light[1] + normals[n, 2] * light[2]
        if facing <= 0:
            exposure[n] = 0.0
            continue
        travelled, share = 0.03, 1.0
        while travelled < 0.7:
            x = vertices[n, 0] + light[0] * travelled + 0.012 * normals[n, 0]
            y = vertices[n, 1] + light[1] * travelled + 0.012 * normals[n, 1]
            z = vertices[n, 2] + light[2] * travelled + 0.012 * normals[n, 2]
            d = sample_grid(grid, low, step, x, y, z)
            share = min(share, max(0.0, 9.0 * d / travelled + 0.15))
            if share <= 0.0:
                break
            travelled += max(0.03, min(d, FAR))
        exposure[n] = min(1.0, share)
