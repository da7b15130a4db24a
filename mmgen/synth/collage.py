"""Backgrounds that look like photos at low resolution: halls, spectators, shop windows, lights out of focus, screens.

A collage is a wall and a floor with boxes and ellipses pasted on them, the farthest first, in units of the image
height from the top left corner. Recipes choose the pieces, compiled code pastes them.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from mmgen.synth.palette import DARKS, LIGHTS, MIDDLES, SKINS, Colour, cloth_colour, pick, shade
from mmgen.synth.patterns import noise

RECIPES = ("spectators", "hall", "windows", "bokeh", "texture", "passers_by", "screen", "seamless")

BOX, ELLIPSE = 0.0, 1.0

SEAMLESS: tuple[Colour, ...] = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.93, 0.93, 0.94), (0.7, 0.7, 0.71))
"""Paper behind people in a studio: white, and greys."""

Piece = list[float]
"""kind, centre x and y, half-width, half-height, red, green, blue, opacity, roughness, grain size."""


@dataclass(frozen=True)
class Collage:
    """A background before it is drawn.

    Attributes:
        colours: [4, 3] top and bottom of the wall, far and near end of the floor, 0..1.
        horizon: Where the floor begins, from the top, image heights; >= 1 has no floor.
        pieces: [P, 11] rows, see `Piece`.
        blur: How far out of focus, image heights.
    """

    colours: np.ndarray
    horizon: float
    pieces: np.ndarray
    variation: float
    blur: float


def collage(recipe: str, generator: np.random.Generator, aspect: float, feet: float) -> Collage:
    """Choose the pieces of a background.

    Args:
        recipe: One of `RECIPES`.
        aspect: Width over height of the image.
        feet: Where the person stands, image heights from the top.
    """
    floor = feet - float(generator.uniform(0.02, 0.3))
    wall, ground = cloth_colour(generator, 0.15), pick(generator, (*MIDDLES, *LIGHTS, *DARKS))
    pieces: list[Piece] = []
    blur = float(
        generator.choice([generator.uniform(0, 0.004), generator.uniform(0.003, 0.012), generator.uniform(0.01, 0.03)])
    )
    if recipe == "spectators":
        pieces, wall = _spectators(generator, aspect, feet), pick(generator, DARKS)
        floor = float(generator.uniform(0.05, 0.3))
    elif recipe == "hall":
        pieces, wall = _hall(generator, aspect, floor), pick(generator, (*LIGHTS, *MIDDLES))
    elif recipe == "windows":
        pieces = _boxes(generator, aspect, floor, int(generator.integers(14, 40)))
    elif recipe == "bokeh":
        pieces, blur = _lights(generator, aspect), float(generator.uniform(0.012, 0.04))
    elif recipe == "texture":
        floor = floor if generator.random() < 0.5 else 2.0
        pieces = [[BOX, aspect / 2, 0.5, aspect, 1.0, *cloth_colour(generator, 0.3), 0.6,
                   float(generator.uniform(0.3, 1.4)), float(generator.uniform(3, 25))]]  # fmt: skip
    elif recipe == "passers_by":
        pieces = _boxes(generator, aspect, floor, int(generator.integers(5, 14)))
        pieces += _people(generator, aspect, floor, int(generator.integers(2, 6)))
    elif recipe == "seamless":
        wall = pick(generator, SEAMLESS) if generator.random() < 0.7 else cloth_colour(generator, 0.6)
        ground, blur = shade(wall, float(generator.uniform(0.9, 1.05))), 0.01
    else:
        wall = pick(generator, (*LIGHTS, *LIGHTS, *MIDDLES, *DARKS))
        ground, blur = shade(wall, float(generator.uniform(0.85, 1.1))), 0.02
    if recipe not in ("screen", "seamless") and generator.random() < 0.35:
        pieces.append(_pillar(generator, aspect))
    colours = [shade(wall, float(generator.uniform(0.7, 1.3))), wall, shade(ground, 0.9), ground]
    if recipe in ("screen", "seamless"):
        colours[2] = wall
    table = np.array(pieces, float).reshape(-1, 11)
    haze = float(generator.uniform(0.0, 0.65)) if recipe in ("windows", "hall", "passers_by") else 0.0
    table[:, 5:8] += haze * (np.array(wall) - table[:, 5:8])
    return Collage(np.array(colours, float), floor, table, float(generator.uniform(0, 500)), blur)


def _rough(generator: np.random.Generator) -> tuple[float, float, float]:
    """Opacity, roughness, grain size of an ordinary thing."""
    return 1.0, float(generator.uniform(0.0, 0.5)), float(generator.uniform(4, 30))


def _figure(generator: np.random.Generator, x: float, bottom: float, tall: float) -> list[Piece]:
    """A standing person as legs, trunk and head."""
    wide, dark = 0.13 * tall, pick(generator, DARKS)
    return [
        [BOX, x, bottom - 0.24 * tall, 0.75 * wide, 0.24 * tall, *dark, 1.0, 0.3, 20.0],
        [ELLIPSE, x, bottom - 0.64 * tall, wide, 0.24 * tall, *cloth_colour(generator), 1.0, 0.4, 20.0],
        [ELLIPSE, x, bottom - 0.92 * tall, 0.5 * wide, 0.08 * tall, *pick(generator, SKINS), 1.0, 0.3, 20.0],
        [ELLIPSE, x, bottom - 0.96 * tall, 0.5 * wide, 0.05 * tall, *dark, 1.0, 0.0, 20.0],
    ]


def _people(generator: np.random.Generator, aspect: float, floor: float, count: int) -> list[Piece]:
    pieces: list[Piece] = []
    for depth in np.sort(generator.uniform(0, 1, count)):
        bottom = min(1.05, floor + 0.02 + 0.3 * float(depth) ** 2)
        tall = float(generator.uniform(0.9, 1.1)) * (0.25 + 0.5 * float(depth))
        pieces += _figure(generator, float(generator.uniform(-0.05, aspect + 0.05)), bottom, tall)
    return pieces


def _spectators(generator: np.random.Generator, aspect: float, feet: float) -> list[Piece]:
    """Rows of seated people along both sides of a runway, and dark heads behind it."""
    pieces: list[Piece] = []
    for _ in range(int(generator.integers(20, 34))):
        depth = float(generator.random())
        side = -1.0 if generator.random() < 0.5 else 1.0
        x = aspect / 2 + side * aspect * float(generator.uniform(0.22, 0.5)) * (0.6 + 0.5 * depth)
        y, size = 0.05 + 0.75 * depth * feet, 0.03 + 0.07 * depth
        pieces.append([ELLIPSE, x, y + 1.6 * size, 1.1 * size, 1.5 * size, *cloth_colour(generator), 1.0, 0.4, 15.0])
        pieces.append([ELLIPSE, x, y, 0.55 * size, 0.7 * size, *pick(generator, (*SKINS, *DARKS)), 1.0, 0.2, 20.0])
        pieces.append([BOX, x - side * size, y + 3 * size, size, 0.5 * size, *pick(generator, DARKS), 1.0, 0.3, 15.0])
        if generator.random() < 0.5:
            foot = float(generator.uniform(0.3, 0.8))
            pieces.append([ELLIPSE, x - 1.8 * side * size, y + 3.6 * size, 0.6 * size, 0.25 * size, foot, foot, foot,
                           1.0, 0.0, 10.0])  # fmt: skip
    return pieces


def _hall(generator: np.random.Generator, aspect: float, floor: float) -> list[Piece]:
    """A corridor, shop or station: panels, doors, notices, lamps."""
    pieces = _boxes(generator, aspect, floor, int(generator.integers(4, 12)))
    for _ in range(int(generator.integers(0, 4))):
        x, y = float(generator.uniform(0, aspect)), float(generator.uniform(-0.02, 0.1))
        pieces.append([BOX, x, y, float(generator.uniform(0.03, 0.15)), 0.012, 1.0, 1.0, 0.97, 1.0, 0.0, 1.0])
    if generator.random() < 0.5:
        glow = float(generator.uniform(0.7, 1.0))
        pieces.append([ELLIPSE, float(generator.uniform(0, aspect)), floor + 0.1, 0.12, 0.05, glow, glow, glow, 0.35,
                       0.0, 1.0])  # fmt: skip
    return pieces


def _boxes(generator: np.random.Generator, aspect: float, floor: float, count: int) -> list[Piece]:
    """Windows, doors, posters, shelves and their contents."""
    pieces: list[Piece] = []
    for _ in range(count):
        x, y = float(generator.uniform(-0.05, aspect + 0.05)), float(generator.uniform(-0.05, floor))
        half = float(np.exp(generator.uniform(np.log(0.015), np.log(0.2))))
        tall = half * float(np.exp(generator.uniform(-0.9, 1.1)))
        colour = cloth_colour(generator, 0.08)
        pieces.append([BOX, x, min(y, floor - tall), half, tall, *colour, *_rough(generator)])
        if generator.random() < 0.4:
            pieces.append([BOX, x, min(y, floor - tall), 0.8 * half, 0.85 * tall,
                           *shade(colour, float(generator.uniform(0.4, 1.6))), *_rough(generator)])  # fmt: skip
    return pieces


def _lights(generator: np.random.Generator, aspect: float) -> list[Piece]:
    pieces: list[Piece] = []
    for _ in range(int(generator.integers(6, 30))):
        colour: Colour = pick(generator, (*LIGHTS, (0.9, 0.7, 0.4), (0.5, 0.6, 0.9), (0.8, 0.3, 0.25), (0.3, 0.5, 0.3)))
        size = float(generator.uniform(0.01, 0.09))
        pieces.append([ELLIPSE, float(generator.uniform(0, aspect)), float(generator.uniform(0, 0.9)), size, size,
                       *colour, float(generator.uniform(0.2, 0.9)), 0.0, 1.0])  # fmt: skip
    return pieces


def _pillar(generator: np.random.Generator, aspect: float) -> Piece:
    """Something upright from top to bottom: a pole, a trunk, a door frame."""
    x, half = float(generator.uniform(0, aspect)), float(generator.uniform(0.008, 0.06))
    return [BOX, x, 0.35, half, 0.55, *pick(generator, (*DARKS, *MIDDLES, *LIGHTS)), 1.0, 0.5, 20.0]


def draw_collage(height: int, width: int, chosen: Collage) -> np.ndarray:
    """Paint a collage.

    Returns:
        [height, width, 4] float64: RGB about 0..1, and 1 where the floor is seen.
    """
    picture = np.zeros((height, width, 4))
    _paint(picture, chosen.colours, chosen.horizon, chosen.pieces, chosen.variation)
    return picture


@njit(cache=True, error_model="numpy")
def _paint(picture: np.ndarray, colours: np.ndarray, horizon: float, pieces: np.ndarray, variation: float) -> None:
    height, width, _ = picture.shape
    for i in range(height):
        y = (i + 0.5) / height
        on_floor = y > horizon
        share = (y - horizon) / max(1e-6, 1.0 - horizon) if on_floor else y / max(1e-6, min(horizon, 1.0))
        first = 2 if on_floor else 0
        stretch = 1.0 / (0.15 + share) if on_floor else 1.0
        for j in range(width):
            x = (j + 0.5) / height
            mottle = 0.88 + 0.24 * noise(6 * x * stretch, 7 * y * stretch, variation)
            mottle *= 0.93 + 0.14 * noise(50 * x, 50 * y, variation + 3)
            for channel in range(3):
                colour = colours[first, channel] + (colours[first + 1, channel] - colours[first, channel]) * share
                picture[i, j, channel] = colour * mottle
            picture[i, j, 3] = 1.0 if on_floor else 0.0
    for n in range(pieces.shape[0]):
        row = pieces[n]
        low_i, high_i = int((row[2] - row[4]) * height), int((row[2] + row[4]) * height) + 1
        low_j, high_j = int((row[1] - row[3]) * height), int((row[1] + row[3]) * height) + 1
        for i in range(max(0, low_i), min(height, high_i)):
            b = ((i + 0.5) / height - row[2]) / row[4]
            for j in range(max(0, low_j), min(width, high_j)):
                a = ((j + 0.5) / height - row[1]) / row[3]
                inside = a * a + b * b < 1.0 if row[0] == ELLIPSE else abs(a) < 1.0 and abs(b) < 1.0
                if inside:
                    rough = noise(row[10] * j / height, row[10] * i / height, variation + n) - 0.5
                    shade = (1.0 + row[9] * rough) * (1.08 - 0.16 * abs(a))
                    for channel in range(3):
                        picture[i, j, channel] += (row[5 + channel] * shade - picture[i, j, channel]) * row[8]
