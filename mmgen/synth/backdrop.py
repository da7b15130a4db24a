"""Compiled pictures of the street behind a person: ground in perspective, a wall or trees, and things in between.

Scene coordinates: x to the right of the camera, y up from the ground, z away from the camera with the person at 0.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mmgen.synth.patterns import mix, noise, put, scale
from mmgen.synth.street import STREET_LENGTH_M


class Scene(NamedTuple):
    """A street as the compiled code sees it; fields as in `street.StreetCamera`."""

    ground: np.ndarray
    ground_colours: np.ndarray
    kerb_m: float
    wall: int
    wall_colour: np.ndarray
    wall_m: float
    wall_height_m: float
    things: np.ndarray
    variation: float


class Eye(NamedTuple):
    """The camera in the scene: height over the ground, distance from the person along it, sine and cosine of its
    downward pitch, and which place of the street lies straight ahead. Metres."""

    height_m: float
    back_m: float
    sine: float
    cosine: float
    place_m: float


TILES, ASPHALT, GRASS, GRAVEL = range(4)
FACADE, FOLIAGE, PLASTER, GLASS = range(4)
TRUNK, PASSER_BY, CAR, POLE, SHRUB = range(5)


def draw_backdrop(
    height: int, width: int, intrinsics: np.ndarray, eye: Eye, scene: Scene, feet: np.ndarray
) -> np.ndarray:
    """Paint the street.

    Args:
        intrinsics: [3, 3] pixels.
        feet: [2, 2] scene x and z of the soles, for the darkness under them.

    Returns:
        [height, width, 4] float64: RGB 0..1, and 1 where the ground is seen.
    """
    picture = np.zeros((height, width, 4))
    _fill(picture, np.zeros(3), intrinsics, eye, scene, feet)
    return picture


@njit(cache=True, error_model="numpy")
def _fill(
    picture: np.ndarray, out: np.ndarray, intrinsics: np.ndarray, eye: Eye, scene: Scene, feet: np.ndarray
) -> None:
    height, width, _ = picture.shape
    for i in range(height):
        for j in range(width):
            right = (j + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
            up = (intrinsics[1, 2] - i - 0.5) / intrinsics[1, 1]
            along, rise = eye.cosine + up * eye.sine, up * eye.cosine - eye.sine
            x, y = _paint_far(out, right, along, rise, eye, scene)
            if y == 0.0:
                picture[i, j, 3] = 1.0
                z = along * (-eye.height_m / rise) - eye.back_m
                for foot in range(2):
                    near = ((x - eye.place_m - feet[foot, 0]) / 0.13) ** 2 + ((z - feet[foot, 1]) / 0.2) ** 2
                    scale(out, 1.0 - 0.5 * np.exp(-near))
            _paint_things(out, right, along, rise, eye, scene)
            picture[i, j, 0], picture[i, j, 1], picture[i, j, 2] = out[0], out[1], out[2]


@njit(cache=True, error_model="numpy")
def _paint_far(out: np.ndarray, right: float, along: float, rise: float, eye: Eye, scene: Scene) -> tuple[float, float]:
    """Ground, wall or sky; returns scene (x, y), y = 0 on the ground."""
    variation = scene.variation
    reach = (scene.wall_m + eye.back_m) / max(along, 1e-6)
    y = eye.height_m + rise * reach
    if y <= 0.0:
        travelled = -eye.height_m / rise
        x, z = right * travelled + eye.place_m, along * travelled - eye.back_m
        far = 1 if z > scene.kerb_m else 0
        _paint_ground(out, scene.ground[far], scene.ground_colours[far], x, z, travelled, variation + 50 * far)
        if abs(z - scene.kerb_m) < 0.09:
            mix(out, 0.6, 0.6, 0.58, 0.6)
        dapple = noise(0.7 * x, 0.7 * z, variation) - 0.5
        scale(out, 0.92 + 0.3 * dapple)
        return x, 0.0
    x = right * reach + eye.place_m
    if y > scene.wall_height_m + (1.5 * (noise(0.6 * x, 0.0, variation) - 0.5) if scene.wall == FOLIAGE else 0.0):
        put(out, 0.80, 0.84, 0.88)
        mix(out, 0.93, 0.93, 0.92, noise(0.12 * x, 0.3 * y, variation))
        return x, y
    _paint_wall(out, scene.wall, scene.wall_colour, x, y, variation)
    return x, y


@njit(cache=True, error_model="numpy")
def _paint_ground(
    out: np.ndarray, kind: int, colour: np.ndarray, x: float, z: float, travelled: float, variation: float
) -> None:
    put(out, colour[0], colour[1], colour[2])
    fade = min(1.0, 3.0 / travelled)
    large = noise(1.3 * x, 1.3 * z, variation) - 0.5
    fine = (noise(16 * x, 16 * z, variation) - 0.5) * fade
    if kind == TILES:
        scale(out, 1.0 + 0.14 * large + 0.08 * fine)
        row = np.floor(z / 0.4)
        cell = noise(np.floor(x / 0.6 + 0.5 * (row % 2)) * 7.3, row * 5.1, variation) - 0.5
        scale(out, 1.0 + 0.16 * cell)
        gap_x = abs((x / 0.6 + 0.5 * (row % 2)) % 1.0 - 0.5)
        gap_z = abs((z / 0.4) % 1.0 - 0.5)
        if gap_x > 0.475 or gap_z > 0.46:
            scale(out, 1.0 - 0.22 * fade)
    elif kind == ASPHALT:
        scale(out, 1.0 + 0.16 * large + 0.14 * fine)
    elif kind == GRASS:
        scale(out, 1.0 + 0.35 * large + 0.5 * fine)
        mix(out, 0.45, 0.42, 0.25, 0.5 * max(0.0, noise(2.1 * x, 2.1 * z, variation + 9) - 0.5))
    else:
        scale(out, 1.0 + 0.12 * large + 0.22 * fine)


@njit(cache=True, error_model="numpy")
def _paint_wall(out: np.ndarray, kind: int, colour: np.ndarray, x: float, y: float, variation: float) -> None:
    put(out, colour[0], colour[1], colour[2])
    scale(out, 0.93 + 0.16 * noise(0.5 * x, 0.7 * y, variation))
    if kind == FOLIAGE:
        leaves = 0.6 * noise(2.1 * x, 2.1 * y, variation) + 0.4 * noise(7.3 * x, 7.3 * y, variation)
        scale(out, 0.35 + 1.25 * leaves)
        mix(out, 0.5, 0.55, 0.3, 0.5 * max(0.0, leaves - 0.55))
        return
    if kind == PLASTER:
        if y < 0.5:
            scale(out, 0.72)
        scale(out, 0.94 + 0.12 * noise(3 * x, 0.6 * y, variation + 3))
    bay, storey = (3.0, 3.2) if kind == FACADE else (1.6, 3.4)
    if kind == PLASTER:
        bay = 7.0
    u, v = (x / bay + 0.37 * variation) % 1.0, y / storey % 1.0
    margin = 0.28 if kind != GLASS else 0.05
    if margin < u < 1 - margin and 0.22 < v < 0.85:
        glint = noise(np.floor(x / bay) * 3.7, np.floor(y / storey) * 2.9, variation)
        put(out, 0.17 + 0.22 * glint, 0.20 + 0.24 * glint, 0.23 + 0.26 * glint)
        mix(out, 0.75, 0.8, 0.85, 0.25 * noise(0.9 * x, 1.4 * y, variation + 20))
        if abs(u - 0.5) < 0.012:
            scale(out, 1.6)
    elif kind == FACADE and y < 0.45:
        scale(out, 0.75)


@njit(cache=True, error_model="numpy")
def _paint_things(out: np.ndarray, right: float, along: float, rise: float, eye: Eye, scene: Scene) -> None:
    things, variation = scene.things, scene.variation
    for n in range(things.shape[0]):
        row = things[n]
        reach = (row[2] + eye.back_m) / max(along, 1e-6)
        y = eye.height_m + rise * reach
        if y < -0.02 or y > row[4]:
            continue
        x = (right * reach + eye.place_m - row[1] + 0.5 * STREET_LENGTH_M) % STREET_LENGTH_M - 0.5 * STREET_LENGTH_M
        if abs(x) > 0.5 * row[3]:
            continue
        a, b = 2 * x / row[3], y / row[4]
        kind = int(row[0])
        if kind == TRUNK or kind == POLE:
            put(out, row[5], row[6], row[7])
            scale(out, (1.05 - 0.35 * a * a) * (0.75 + 0.5 * noise(9 * x, 1.5 * y, variation + n)))
        elif kind == PASSER_BY:
            _paint_passer_by(out, row, a, b)
        elif kind == CAR:
            _paint_car(out, row, a, b)
        elif a * a + (b - 0.3) ** 2 * 1.6 < 0.75 + 0.25 * noise(6 * x, 6 * y, variation + n):
            leaves = noise(8 * x, 8 * y, variation + n)
            put(out, row[5], row[6], row[7])
            scale(out, 0.5 + 1.0 * leaves)


@njit(cache=True, error_model="numpy")
def _paint_passer_by(out: np.ndarray, row: np.ndarray, a: float, b: float) -> None:
    side = abs(a)
    if b > 0.87:
        if (a / 0.33) ** 2 + ((b - 0.935) / 0.065) ** 2 < 1.0:
            put(out, 0.35, 0.27, 0.22)
    elif b > 0.47:
        if side < 0.95 - 0.3 * max(0.0, b - 0.78) * 8:
            put(out, row[5], row[6], row[7])
            scale(out, 1.05 - 0.25 * a)
    elif 0.06 < side < 0.6 - 0.25 * (0.47 - b):
        put(out, row[8], row[8], 1.05 * row[8])
        scale(out, 0.7)


@njit(cache=True, error_model="numpy")
def _paint_car(out: np.ndarray, row: np.ndarray, a: float, b: float) -> None:
    if b < 0.12:
        if abs(abs(a) - 0.62) < 0.12:
            put(out, 0.06, 0.06, 0.06)
        elif b > 0.05:
            put(out, 0.1, 0.1, 0.1)
    elif b < 0.58 and abs(a) < 0.98:
        put(out, row[5], row[6], row[7])
        scale(out, 0.8 + 0.6 * b)
        if (abs(a) - 0.62) ** 2 * 6 + (b - 0.1) ** 2 < 0.05:
            put(out, 0.07, 0.07, 0.07)
    elif b >= 0.58 and abs(a + 0.05) < 0.68 - 0.55 * (b - 0.58):
        put(out, 0.2, 0.23, 0.26)
        if b > 0.93 or abs(a + 0.05) > 0.62 - 0.55 * (b - 0.58) or abs(a) < 0.02:
            put(out, row[5], row[6], row[7])
