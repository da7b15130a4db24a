"""Compiled colour of every sample of a person: paint rules, sun, sky, creases; averaged to pixels."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from mmgen.synth.albedo import albedo
from mmgen.synth.field import solid_distance
from mmgen.synth.mesh import BodyMesh, sun_exposure
from mmgen.synth.patterns import fold_height
from mmgen.synth.person import Paint
from mmgen.synth.primitives import Packed
from mmgen.synth.raster import rasterise

FOLD_SLOPE, FOLD_DEPTH = 0.3, 0.05
"""How much creases of cloth change the light."""


@dataclass(frozen=True)
class Light:
    """Sun and sky of one picture.

    A surface of albedo c and unit normal n gets about `c * (ambient * sky + sun * max(0, n . direction))`, less in
    creases and shadows.

    Attributes:
        direction_camera: Unit vector towards the sun, camera frame.
        ambient: Brightness of the sky light.
        sun: Brightness of the sun.
        sky_colour: Tint of the sky light, mean 1.
        sun_colour: Tint of the sun, mean 1.
    """

    direction_camera: tuple[float, float, float]
    ambient: float
    sun: float
    sky_colour: tuple[float, float, float] = (0.98, 1.0, 1.02)
    sun_colour: tuple[float, float, float] = (1.03, 1.0, 0.97)

    def tints(self) -> np.ndarray:
        """[2, 3] sky light and sunlight."""
        return np.stack([np.array(self.sky_colour) * self.ambient, np.array(self.sun_colour) * self.sun])


def project_pixels(
    vertices: np.ndarray, world_to_camera: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(column, row) [V, 2] and distance in front of the camera [V] of world points, float64."""
    camera = vertices.astype(np.float64) @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    depth = -camera[:, 2]
    column = intrinsics[0, 0] * camera[:, 0] / depth + intrinsics[0, 2]
    row = -intrinsics[1, 1] * camera[:, 1] / depth + intrinsics[1, 2]
    return np.stack([column, row], axis=1), depth


def draw_person(
    mesh: BodyMesh, world_to_camera: np.ndarray, intrinsics: np.ndarray, light: Light, size: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Shaded colours and coverage of a person.

    Args:
        world_to_camera: [4, 4].
        intrinsics: [3, 3], pixels of the final image.
        size: (height, width, samples per pixel and axis).

    Returns:
        Colours [H, W, 3] float64 multiplied by coverage, and coverage [H, W], 0..1.
    """
    height, width, samples = size
    pixels, depth = project_pixels(mesh.vertices, world_to_camera, intrinsics)
    index = rasterise(pixels * samples, depth, mesh.faces, height * samples, width * samples)
    direction = world_to_camera[:3, :3].T @ np.array(light.direction_camera)
    eye = -world_to_camera[:3, :3].T @ world_to_camera[:3, 3]
    exposure = sun_exposure(
        mesh.grid, mesh.grid_low, mesh.step_m, mesh.vertices, mesh.normals, np.stack([direction, eye])
    )
    surface = Surface(
        pixels * samples, depth, mesh.vertices, mesh.faces, mesh.normals, mesh.openness, exposure, mesh.labels
    )
    lamps, person, drawn = Lamps(direction, *light.tints()), mesh.person, np.zeros((height, width, 5))
    _shade(index, samples, surface, lamps, person.packed, person.paint, np.zeros((4, 3)), drawn)
    coverage = drawn[:, :, 3] / samples**2
    return drawn[:, :, :3] / np.maximum(drawn[:, :, 4:], 1.0) * coverage[:, :, None], coverage


class Surface(NamedTuple):
    """Per vertex: raster place, depth, position, normal, openness, share of the sun, nearest solid; and faces."""

    pixels: np.ndarray
    depth: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    openness: np.ndarray
    exposure: np.ndarray
    labels: np.ndarray


class Lamps(NamedTuple):
    """Direction to the sun in the world, sky light and sunlight as RGB."""

    direction: np.ndarray
    sky: np.ndarray
    sun: np.ndarray


@njit(cache=True, error_model="numpy")
def _weights(surface: Surface, f: int, x: float, y: float) -> tuple[float, float, float]:
    """Perspective-correct weights of a face's corners at a sample."""
    a, b, c = surface.faces[f, 0], surface.faces[f, 1], surface.faces[f, 2]
    ax, ay = surface.pixels[a, 0] - x, surface.pixels[a, 1] - y
    bx, by = surface.pixels[b, 0] - x, surface.pixels[b, 1] - y
    cx, cy = surface.pixels[c, 0] - x, surface.pixels[c, 1] - y
    wa = (bx * cy - by * cx) / surface.depth[a]
    wb = (cx * ay - cy * ax) / surface.depth[b]
    wc = (ax * by - ay * bx) / surface.depth[c]
    total = wa + wb + wc
    return wa / total, wb / total, wc / total


@njit(cache=True, error_model="numpy")
def _best_label(packed: Packed, labels: tuple[int, int, int], point: np.ndarray) -> int:
    """Which of a face's three solids owns a point."""
    first, second, third = labels
    if first == second and second == third:
        return first
    best, label = 1e9, first
    for candidate in labels:
        d = solid_distance(packed.table[candidate], packed.kind[candidate], point[0], point[1], point[2])
        if d < best:
            best, label = d, candidate
    return label


@njit(cache=True, error_model="numpy")
def _relief(axes: np.ndarray, q: np.ndarray, direction: np.ndarray, variation: float) -> float:
    """Brightness change by creases: their slope towards the light, and their depth."""
    here = fold_height(q[0] + variation, q[1], q[2])
    step = 0.018
    x = axes[0, 0] * direction[0] + axes[0, 1] * direction[1] + axes[0, 2] * direction[2]
    y = axes[1, 0] * direction[0] + axes[1, 1] * direction[1] + axes[1, 2] * direction[2]
    z = axes[2, 0] * direction[0] + axes[2, 1] * direction[1] + axes[2, 2] * direction[2]
    there = fold_height(q[0] + variation + step * x, q[1] + step * y, q[2] + step * z)
    return FOLD_SLOPE * (here - there) + FOLD_DEPTH * (here - 0.5)


@njit(cache=True, error_model="numpy")
def _blend_corners(
    out: np.ndarray, values: np.ndarray, corners: np.ndarray, weights: tuple[float, float, float]
) -> None:
    """Values [V, 3] of a face's corners, mixed."""
    for axis in range(3):
        out[axis] = (
            weights[0] * values[corners[0], axis]
            + weights[1] * values[corners[1], axis]
            + weights[2] * values[corners[2], axis]
        )


@njit(cache=True, error_model="numpy")
def _shade(
    index: np.ndarray,
    samples: int,
    surface: Surface,
    lamps: Lamps,
    packed: Packed,
    paint: Paint,
    scratch: np.ndarray,
    drawn: np.ndarray,
) -> None:
    """Add colours (channels 0..2), coverage in samples (3) and coloured samples (4) to `drawn` [H, W, 5]."""
    point, normal, q, out = scratch[0], scratch[1], scratch[2], scratch[3]
    light = lamps.direction
    for i in range(index.shape[0]):
        for j in range(index.shape[1]):
            f = index[i, j]
            if f < 0:
                continue
            pixel = drawn[i // samples, j // samples]
            pixel[3] += 1.0
            if (i + j) % 2 and pixel[4] > 0.0:
                continue  # every other sample is enough for colour, as long as there is one
            pixel[4] += 1.0
            corners = surface.faces[f]
            a, b, c = corners[0], corners[1], corners[2]
            weights = _weights(surface, f, j + 0.5, i + 0.5)
            _blend_corners(point, surface.vertices, corners, weights)
            _blend_corners(normal, surface.normals, corners, weights)
            length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-9
            label = _best_label(packed, (surface.labels[a], surface.labels[b], surface.labels[c]), point)
            bone = packed.bone[label]
            folds = albedo(packed.region[label], bone, point, paint, q, out)
            relief = folds * _relief(paint.axes[bone], q, light, paint.style.variation) if folds > 0 else 0.0
            wa, wb, wc = weights
            openness = wa * surface.openness[a] + wb * surface.openness[b] + wc * surface.openness[c]
            exposure = wa * surface.exposure[a] + wb * surface.exposure[b] + wc * surface.exposure[c]
            sky = (0.45 + 0.55 * openness) * (0.9 + 0.14 * normal[1] / length) * (1.0 + relief)
            facing = (normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]) / length
            sun = max(0.0, facing + 1.2 * relief) * exposure
            for channel in range(3):
                shade = lamps.sky[channel] * sky + lamps.sun[channel] * sun
                pixel[channel] += min(1.0, max(0.0, out[channel])) * shade
