"""What is behind people who are cut out: plain studio grounds, sides of photos, photos of things, drawings."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgen.mask_training.scenes.backgrounds import TRAINING_FAMILIES, Picture, Size, random_palette, shaded

if TYPE_CHECKING:
    from mmgen.mask_training.scenes.compose import Sources

_LEAST_SIDE = 24


def ground(generator: np.random.Generator, sources: "Sources", size: Size) -> Picture:
    """One ground [*size, 3]."""
    draw = generator.random()
    if draw < 0.3:
        return studio(generator, size)
    if draw < 0.6:
        return street(generator, sources.photos[int(generator.integers(len(sources.photos)))].picture, size)
    if draw < 0.8:
        banks = [bank for bank in (sources.clothes, sources.things) if bank]
        bank = banks[int(generator.integers(len(banks)))] if banks else sources.photos
        picture = bank[int(generator.integers(len(bank)))].picture[..., :3]
        sheet = np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return _softened(generator, sheet)
    family = TRAINING_FAMILIES[int(generator.integers(len(TRAINING_FAMILIES)))]
    return _softened(generator, family(generator, size, random_palette(generator)))


def studio(generator: np.random.Generator, size: Size) -> Picture:
    """White, grey, black or coloured paper, evenly lit or not."""
    kind = generator.random()
    level = 255.0 if kind < 0.35 else generator.uniform(225, 255) if kind < 0.5 else generator.uniform(0, 255)
    colour = np.full(3, level)
    if generator.random() < 0.3:
        colour = colour + generator.normal(0, 25, 3)
    sheet = np.empty((*size, 3), np.uint8)
    sheet[:] = np.clip(colour, 0, 255)
    if generator.random() < 0.5:
        across = np.linspace(0, 1, size[1], dtype=np.float32)[None] * np.float32(generator.normal())
        down = np.linspace(0, 1, size[0], dtype=np.float32)[:, None] * np.float32(generator.normal())
        sheet = shaded(sheet, np.clip(0.5 + across + down, 0, 1).astype(np.float32), float(generator.uniform(0, 0.4)))
    return sheet


def street(generator: np.random.Generator, picture: NDArray[np.uint8], size: Size) -> Picture:
    """The side of somebody's photo beyond the person, magnified."""
    columns = np.flatnonzero((picture[..., 3] >= 128).any(axis=0))
    height, width = picture.shape[:2]
    first, last = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (width, width)
    is_left = first >= width - last
    side = max(first - 4 if is_left else width - last - 4, _LEAST_SIDE)
    rows = min(height, int(side * generator.uniform(1.2, 3)))
    top = int(generator.integers(height - rows + 1))
    part = slice(0, side) if is_left else slice(width - side, width)
    piece = np.ascontiguousarray(picture[top : top + rows, part, :3])
    if generator.random() < 0.5:
        piece = np.ascontiguousarray(np.hstack([piece, piece[:, ::-1]]))
    return np.asarray(cv2.resize(piece, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _softened(generator: np.random.Generator, sheet: Picture) -> Picture:
    if generator.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(sheet, (0, 0), float(generator.uniform(0.5, 3))), np.uint8)
    return sheet
