"""Compiled per-sample colour of a person: paint rules, sun, sky, creases; averaged to pixels."""

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
        mesh: The person.
        world_to_camera: [4, 4].
        intrinsics: [3, 3], pixels of the final image.
        light: Sun and sky.
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
    tints = np.stack([np.array(light.sky_colour) * light.ambient, np.array(light.sun_colour) * light.sun])
    surface = Surface(
        pixels * samples, depth, mesh.vertices, mesh.faces, mesh.normals, mesh.openness, exposure, mesh.labels
    )
    return _shade(index, samples, surface, Lamps(direction, tints[0], tints[1]), mesh.person.packed, mesh.person.paint)


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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _relief(axes: np.ndarray, q: np.ndarray, direction: np.ndarray, variation: float) -> float:
    """Brightness change by creases: their slope towards the light, and their depth."""
    here = fold_height(q[0] + variation, q[1], q[2])
    step = 0.018
    x = axes[0, 0] * direction[0] + axes[0, 1] * direction[1] + axes[0, 2] * direction[2]
    y = axes[1, 0] * direction[0] + axes[1, 1] * direction[1] + axes[1, 2] * direction[2]
    z = axes[2, 0] * direction[0] + axes[2, 1] * direction[1] + axes[2, 2] * direction[2]
    there = fold_height(q[0] + variation + step * x, q[1] + step * y, q[2] + step * z)
    return FOLD_SLOPE * (here - there) + FOLD_DEPTH * (here - 0.5)


@njit(cache=True)
def _shade(
    index: np.ndarray, samples: int, surface: Surface, lamps: Lamps, packed: Packed, paint: Paint
) -> tuple[np.ndarray, np.ndarray]:
    height, width = index.shape[0] // samples, index.shape[1] // samples
    colour, coverage, drawn = np.zeros((height, width, 3)), np.zeros((height, width)), np.zeros((height, width))
    weight = 1.0 / (samples * samples)
    point, normal, q, out = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(index.shape[0]):
        for j in range(index.shape[1]):
            f = index[i, j]
            if f < 0:
                continue
            row, column = i // samples, j // samples
            coverage[row, column] += weight
            if (i + j) % 2 and drawn[row, column] > 0.0:
                continue  # every other sample is enough for colour, as long as there is one
            a, b, c = surface.faces[f, 0], surface.faces[f, 1], surface.faces[f, 2]
            wa, wb, wc = _weights(surface, f, j + 0.5, i + 0.5)
            for axis in range(3):
                point[axis] = (
                    wa * surface.vertices[a, axis] + wb * surface.vertices[b, axis] + wc * surface.vertices[c, axis]
                )
                normal[axis] = (
                    wa * surface.normals[a, axis] + wb * surface.normals[b, axis] + wc * surface.normals[c, axis]
                )
            normal /= np.sqrt((normal * normal).sum()) + 1e-9
            label = _best_label(packed, (surface.labels[a], surface.labels[b], surface.labels[c]), point)
            bone = packed.bone[label]
            folds = albedo(packed.region[label], bone, point, paint, q, out)
            relief = folds * _relief(paint.axes[bone], q, lamps.direction, paint.style.variation) if folds > 0 else 0.0
            openness = wa * surface.openness[a] + wb * surface.openness[b] + wc * surface.openness[c]
            exposure = wa * surface.exposure[a] + wb * surface.exposure[b] + wc * surface.exposure[c]
            sky = (0.45 + 0.55 * openness) * (0.9 + 0.14 * normal[1]) * (1.0 + relief)
            sun = max(0.0, (normal * lamps.direction).sum() + 1.2 * relief) * exposure
            drawn[row, column] += 1.0
            for channel in range(3):
                shade = lamps.sky[channel] * sky + lamps.sun[channel] * sun
                colour[row, column, channel] += min(1.0, max(0.0, out[channel])) * shade
    for row in range(height):
        for column in range(width):
            if drawn[row, column] > 0.0:
                colour[row, column] *= coverage[row, column] / drawn[row, column]
    return colour, coverage
