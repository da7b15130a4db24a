"""Backgrounds that training sees: clouds of noise, gradients, rooms, clutter, and streets of other people's pictures.

Every family takes a palette, so that a background can also have the colours of the person in front of it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""[H, W, 3]; palettes are [N, 3]."""

Size = tuple[int, int]
Family = Callable[[np.random.Generator, Size, Picture], Picture]


def random_palette(generator: np.random.Generator, count: int = 6) -> Picture:
    """[count, 3] colours: greys, muted and strong ones, all dark or all light at times."""
    saturation = generator.choice([0.1, 0.35, 0.9])
    grey = generator.random((count, 1))
    colours = grey + saturation * (generator.random((count, 3)) - 0.5)
    low, high = [(0.0, 1.0), (0.0, 0.35), (0.6, 1.0), (0.2, 0.7)][generator.choice(4, p=[0.5, 0.2, 0.15, 0.15])]
    return as_bytes(low + (high - low) * np.clip(colours, 0, 1))


def clouds(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Noise of several octaves between colours."""
    field = noise(generator, size, int(generator.integers(2, 6)))
    return _coloured(generator, field, palette)


def gradient(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Colours of the four corners, blended; often only two of them."""
    corners = palette[generator.integers(len(palette), size=4)]
    kind = generator.integers(3)
    if kind < 2:
        corners = corners[[0, 0, 1, 1]] if kind == 0 else corners[[0, 1, 0, 1]]
    return np.asarray(cv2.resize(corners.reshape(2, 2, 3), size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def room(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """A wall over a floor, each a cloud or a gradient; their border may lean."""
    height, width = size
    wall, floor = (_either(generator)(generator, size, palette) for _ in range(2))
    left, right = height * (generator.uniform(0.15, 0.95) + generator.normal(0, 0.03, 2))
    below = np.zeros(size, np.uint8)
    corners = np.array([(0, left), (width, right), (width, height), (0, height)], np.int32)
    cv2.fillPoly(below, [corners], 255, cv2.LINE_AA)
    return blend(wall, floor, below)


def clutter(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Ellipses, boxes, polygons, lines and bars over one of the quiet families."""
    height = size[0]
    picture = np.ascontiguousarray(_either(generator)(generator, size, palette))
    for _ in range(int(generator.integers(3, 45))):
        _shape(generator, picture, palette, float(generator.choice([0.06, 0.15, 0.4])) * height)
    if generator.random() < 0.3:
        picture = shaded(picture, noise(generator, size, 4), 0.4)
    return picture


def stripes(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Parallel bands of random widths: fences, blinds, planks, road markings."""
    height, width = size
    steps = np.cumsum(generator.uniform(2, generator.choice([8, 30]), 200))
    bands = palette[generator.integers(len(palette), size=200)][np.searchsorted(steps[:-1], np.arange(2 * height))]
    sheet = np.repeat(bands[:, None], 2 * height, axis=1)
    angle = generator.choice([0.0, 90.0, generator.uniform(0, 180)])
    matrix = cv2.getRotationMatrix2D((height, height), angle, 1.0)
    matrix[:, 2] += np.array([width / 2, height / 2]) - height
    return np.asarray(cv2.warpAffine(sheet, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def landscape(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Sky, sun, ridges of hills one before the other, trees and houses on some of them."""
    height, width = size
    sky = (
        palette[generator.integers(len(palette), size=2)] if generator.random() < 0.4 else _SKIES[generator.integers(4)]
    )
    picture = np.ascontiguousarray(cv2.resize(sky[:, None], (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if generator.random() < 0.5:
        at = (int(generator.integers(width)), int(generator.integers(height // 2)))
        cv2.circle(picture, at, int(generator.uniform(0.02, 0.09) * height), (255, 240, 190), -1, cv2.LINE_AA)
    level = generator.uniform(0.3, 0.6)
    while level < 1:
        colour = (
            palette[generator.integers(len(palette))] if generator.random() < 0.5 else generator.integers(20, 170, 3)
        )
        ridge = _ridge(generator, width, height, float(level))
        outline = np.concatenate([np.stack([np.arange(width), ridge], axis=1), [[width, height], [0, height]]])
        shade = tuple(int(value) for value in colour)
        cv2.fillPoly(picture, [outline.astype(np.int32)], shade, cv2.LINE_AA)
        for _ in range(int(generator.choice([0, 0, 3, 9]))):
            _stand(generator, picture, int(generator.integers(width)), ridge)
        level += generator.uniform(0.08, 0.4)
    return picture


_SKIES = np.array([[(90, 150, 220), (220, 235, 250)], [(30, 30, 70), (240, 150, 90)],
                   [(150, 155, 165), (205, 205, 210)], [(10, 12, 30), (50, 60, 100)]], np.uint8)  # fmt: skip
QUIET: tuple[Family, ...] = (clouds, gradient)
TRAINING_FAMILIES: tuple[Family, ...] = (clouds, gradient, room, clutter, clutter, stripes, landscape, landscape)


def as_bytes(values: NDArray[np.floating]) -> Picture:
    """0..1 to 0..255, rounded and clipped."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def blend(behind: Picture, front: Picture, share: NDArray[np.uint8]) -> Picture:
    """[H, W, 3]: `front` where `share` [H, W] is 255, `behind` where it is 0."""
    weight = cv2.cvtColor(share, cv2.COLOR_GRAY2RGB).astype(np.float32) * np.float32(1 / 255)
    mixed = behind + (front.astype(np.float32) - behind) * weight
    return (mixed + np.float32(0.5)).astype(np.uint8)


def shaded(picture: Picture, field: NDArray[np.float32], depth: float) -> Picture:
    """Darker and lighter by up to half of `depth`, as a field [H, W] of 0..1 says."""
    factor = cv2.cvtColor(np.float32(1 - depth / 2) + np.float32(depth) * field, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(picture, factor, dtype=cv2.CV_8U), np.uint8)


def noise(generator: np.random.Generator, size: Size, octaves: int) -> NDArray[np.float32]:
    """[H, W] 0..1: random grids, each twice as fine and about half as strong as the last."""
    height, width = size
    cells = float(generator.choice([1.5, 3, 8]))
    total, weight, strength = np.zeros(size, np.float32), 0.0, 1.0
    fade = generator.uniform(0.4, 0.8)
    for _ in range(octaves):
        grid = generator.random((max(int(cells * 2), 2), max(int(cells), 2)), dtype=np.float32)
        total += np.float32(strength) * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, strength, cells = weight + strength, strength * fade, min(cells * 2, width)
    return np.clip(total / np.float32(weight), 0, 1)


def _either(generator: np.random.Generator) -> Family:
    return QUIET[int(generator.integers(len(QUIET)))]


def _coloured(generator: np.random.Generator, field: NDArray[np.float32], palette: Picture) -> Picture:
    """Values to colours by way of a table through three of the palette; contrast between faint and harsh."""
    stops = palette[generator.integers(len(palette), size=3)]
    at = np.sort(generator.random(3))
    values = np.clip(0.5 + generator.uniform(0.6, 3) * (np.linspace(0, 1, 256) - 0.5), 0, 1)
    table = np.stack([np.interp(values, at, stops[:, channel]) for channel in range(3)], axis=1).astype(np.uint8)
    indices = cv2.cvtColor((field * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.LUT(indices, table[None]), np.uint8)


def _shape(generator: np.random.Generator, picture: Picture, palette: Picture, scale: float) -> None:
    height, width = picture.shape[:2]
    x, y = int(generator.integers(width)), int(generator.integers(height))
    a, b = (int(value) for value in generator.uniform(1, max(scale, 2), 2))
    colour = tuple(int(value) for value in palette[generator.integers(len(palette))])
    kind = generator.integers(4)
    if kind == 0:
        cv2.ellipse(picture, (x, y), (a, b), float(generator.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(picture, (x - a, y - b), (x + a, y + b), colour, -1)
    elif kind == 2:
        corners = np.array([x, y]) + generator.normal(0, scale / 2, (int(generator.integers(3, 7)), 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        end = (int(x + generator.normal(0, 4 * scale)), int(y + generator.normal(0, 4 * scale)))
        cv2.line(picture, (x, y), end, colour, int(generator.integers(1, 7)), cv2.LINE_AA)


def _ridge(generator: np.random.Generator, width: int, height: int, level: float) -> NDArray[np.int64]:
    """Rows of a line of hills, by column."""
    points = generator.normal(level, generator.uniform(0, 0.12), int(generator.integers(2, 9))) * height
    line = cv2.resize(points.astype(np.float32)[None], (width, 1), interpolation=cv2.INTER_CUBIC)[0]
    return np.asarray(line, np.int64)


def _stand(generator: np.random.Generator, picture: Picture, column: int, ridge: NDArray[np.int64]) -> None:
    """A tree or a house on a ridge."""
    foot = int(ridge[column])
    high = int(generator.uniform(0.03, 0.3) * len(picture)) + 2
    wide = int(high * generator.uniform(0.25, 0.9)) + 1
    colour = tuple(int(value) for value in generator.integers(10, 150, 3))
    if generator.random() < 0.4:
        cv2.rectangle(picture, (column - wide // 2, foot - high // 2), (column + wide // 2, foot + 3), colour, -1)
        roof = [(column - wide // 2, foot - high // 2), (column + wide // 2, foot - high // 2), (column, foot - high)]
        cv2.fillPoly(picture, [np.array(roof, np.int32)], tuple(value // 2 for value in colour), cv2.LINE_AA)
        return
    cv2.line(picture, (column, foot), (column, foot - high), (60, 40, 25), max(1, high // 14))
    if generator.random() < 0.5:
        cv2.ellipse(picture, (column, foot - high), (wide // 2, high // 2), 0, 0, 360, colour, -1, cv2.LINE_AA)
    else:
        top = [
            (column - wide // 2, foot - high // 5),
            (column + wide // 2, foot - high // 5),
            (column, foot - 5 * high // 4),
        ]
        cv2.fillPoly(picture, [np.array(top, np.int32)], colour, cv2.LINE_AA)
