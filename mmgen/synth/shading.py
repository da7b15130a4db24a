"""Compiled per-sample colour of a person: paint rules, sun, sky, creases; averaged to pixels."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from mmgen.synth.albedo import albedo, local_point
from mmgen.synth.field import solid_distance
from mmgen.synth.mesh import BodyMesh, sun_exposure
from mmgen.synth.patterns import fold_height
from mmgen.synth.raster import rasterise


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
    exposure = sun_exposure(mesh.grid, mesh.grid_low, mesh.step_m, mesh.vertices, mesh.normals, direction)
    tints = np.stack([np.array(light.sky_colour) * light.ambient, np.array(light.sun_colour) * light.sun])
    person = mesh.person
    return _shade(
        index, pixels * samples, depth, samples, (mesh.vertices, mesh.faces, mesh.normals, mesh.labels),
        (mesh.openness, exposure), (direction, tints), person.packed,
        (person.skeleton.origin, person.skeleton.axes, person.style, person.materials),
    )  # fmt: skip


@njit(cache=True)
def _best_label(packed, candidates: tuple[int, int, int], x: float, y: float, z: float) -> int:
    """Which of a face's three solids owns a point."""
    first, second, third = candidates
    if first == second and second == third:
        return first
    best, label = 1e9, first
    for candidate in candidates:
        d = solid_distance(packed.table[candidate], packed.kind[candidate], x, y, z)
        if d < best:
            best, label = d, candidate
    return label


@njit(cache=True)
def _shade(index, pixels, depth, samples, surface, terms, lights, packed, paint):
    vertices, faces, normals, labels = surface
    openness, exposure = terms
    direction, tints = lights
    origin, axes, style, materials = paint
    height, width = index.shape[0] // samples, index.shape[1] // samples
    colour, coverage = np.zeros((height, width, 3)), np.zeros((height, width))
    weight = 1.0 / (samples * samples)
    q, out, bent = np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(index.shape[0]):
        for j in range(index.shape[1]):
            f = index[i, j]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            x, y = j + 0.5, i + 0.5
            area = (pixels[b, 0] - pixels[a, 0]) * (pixels[c, 1] - pixels[a, 1]) - (pixels[b, 1] - pixels[a, 1]) * (
                pixels[c, 0] - pixels[a, 0]
            )
            wa = ((pixels[b, 0] - x) * (pixels[c, 1] - y) - (pixels[b, 1] - y) * (pixels[c, 0] - x)) / area / depth[a]
            wb = ((pixels[c, 0] - x) * (pixels[a, 1] - y) - (pixels[c, 1] - y) * (pixels[a, 0] - x)) / area / depth[b]
            wc = ((pixels[a, 0] - x) * (pixels[b, 1] - y) - (pixels[a, 1] - y) * (pixels[b, 0] - x)) / area / depth[c]
            total = wa + wb + wc
            wa, wb, wc = wa / total, wb / total, wc / total
            px = wa * vertices[a, 0] + wb * vertices[b, 0] + wc * vertices[c, 0]
            py = wa * vertices[a, 1] + wb * vertices[b, 1] + wc * vertices[c, 1]
            pz = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2]
            label = _best_label(packed, (labels[a], labels[b], labels[c]), px, py, pz)
            bone = packed.bone[label]
            local_point(origin[bone], axes[bone], px, py, pz, q)
            folds = albedo(packed.region[label], bone, q, style, materials, out)
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            facing = (nx * direction[0] + ny * direction[1] + nz * direction[2]) / length
            relief = 0.0
            if folds > 0.0:
                for axis in range(3):
                    bent[axis] = (
                        axes[bone, axis, 0] * direction[0]
                        + axes[bone, axis, 1] * direction[1]
                        + axes[bone, axis, 2] * direction[2]
                    )
                shift = style.variation
                here = fold_height(q[0] + shift, q[1], q[2])
                there = fold_height(q[0] + shift + 0.018 * bent[0], q[1] + 0.018 * bent[1], q[2] + 0.018 * bent[2])
                relief = folds * (0.42 * (here - there) + 0.1 * (here - 0.5))
            open_share = wa * openness[a] + wb * openness[b] + wc * openness[c]
            sun_share = wa * exposure[a] + wb * exposure[b] + wc * exposure[c]
            sky = (0.45 + 0.55 * open_share) * (0.9 + 0.14 * ny / length) * (1.0 + relief)
            sun = max(0.0, facing + 1.2 * relief) * sun_share
            coverage[i // samples, j // samples] += weight
            for channel in range(3):
                shade = tints[0, channel] * sky + tints[1, channel] * sun
                colour[i // samples, j // samples, channel] += weight * min(1.0, max(0.0, out[channel])) * shade
    return colour, coverage
