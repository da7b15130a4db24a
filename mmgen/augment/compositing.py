"""From fine pixels to the picture: ragged outlines mended, pixels averaged, the background behind."""

from typing import no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

SUPERSAMPLING = 2
"""Pixels are drawn this much smaller each way and averaged: photos have no jagged edges."""

FEET, SHADOW = 0.04, 0.015
"""Height of feet, and half that of the shadow under them, as shares of the image height."""

BLUR_SIGMA_PX = 1.0
"""Of the unsharp mask."""

FILLED_FROM, KEPT_FROM = 5, 3
"""Covered pixels among the nine around from which a hole is closed, and from which a covered one is no speck."""


def finish(
    image: NDArray[np.float32], face_index: NDArray[np.int64], plates: NDArray[np.uint8], gains: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Put drawn people before backgrounds.

    Pinholes take the mean colour of the person around them, specks go; then every 2 x 2 fine pixels become one, and
    its uncovered share shows the background: no fringe of the colour that was behind while drawing.

    Args:
        image: [N, 3, 2H, 2W] colours, 0..1; anything where nothing was drawn.
        face_index: [N, 2H, 2W], -1 where nothing was drawn.
        plates: uint8 [N, H, W, 3].
        gains: [N, 3] what the person's colours are multiplied by: the light before the background against theirs.

    Returns:
        uint8 [N, H, W, 3] pictures; float32 [N, H, W, 3] colours times coverage, 0..1; float32 [N, H, W] coverage.
    """
    pictures = np.empty_like(plates)
    person = np.empty(plates.shape, np.float32)
    cover = np.empty(plates.shape[:3], np.float32)
    _finish(image, face_index, plates, gains, pictures, person, cover)
    return pictures, person, cover


def blurred(person: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean colours of a person around every pixel; nothing of the background enters.

    Args:
        person: [N, H, W, 3] colours times coverage, 0..1.
        cover: [N, H, W] coverage.
    """
    sigmas = (0, BLUR_SIGMA_PX, BLUR_SIGMA_PX)
    weight = ndimage.gaussian_filter(cover, sigmas, truncate=2)[..., None]
    mean: NDArray[np.float32] = ndimage.gaussian_filter(person, (*sigmas, 0), truncate=2) / np.maximum(weight, 1e-3)
    return mean


def developed(
    pictures: NDArray[np.uint8],
    person: NDArray[np.float32],
    cover: NDArray[np.float32],
    sharpening: float,
    grain: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    """People as sharp and as noisy as a camera would show them.

    Args:
        pictures: uint8 [N, H, W, 3] of `finish`.
        person: its second result, colours times coverage.
        cover: its coverage.
        sharpening: weight of an unsharp mask, which makes up for the two resamplings of baking and drawing; below 0 it
            blurs.
        grain: [N, H, W, 3] noise, grey levels; None for none.

    Returns:
        uint8 [N, H, W, 3]; the background stays as it is, and nothing of it enters the person.
    """
    change = np.zeros(person.shape, np.float32) if grain is None else cover[..., None] * grain
    if sharpening:
        change += np.float32(255 * sharpening) * (person - cover[..., None] * blurred(person, cover))
    result: NDArray[np.uint8] = np.clip(pictures + change, 0, 255).round().astype(np.uint8)
    return result


def with_shadow(plates: NDArray[np.uint8], covered: NDArray[np.bool_], strength: float) -> NDArray[np.uint8]:
    """Backgrounds darkened where a person touches the ground: soft ellipses around the lowest parts of the body.

    Args:
        plates: uint8 [N, H, W, 3].
        covered: [N, H, W] pixels of the person.
        strength: share of the light that is taken at most, 0..1.
    """
    height = covered.shape[1]
    below = np.zeros(covered.shape, np.float32)
    for shadow, person in zip(below, covered, strict=True):
        rows = np.flatnonzero(person.any(axis=1))
        if len(rows) and rows[-1] < height - 1:  # feet that the frame cuts off throw none into it
            feet = np.flatnonzero(person[max(0, rows[-1] - round(FEET * height)) : rows[-1] + 1].any(axis=0))
            shadow[rows[-1] - round(SHADOW * height) : rows[-1] + 1, feet] = 1
    sigma = (0, SHADOW * height, 2 * SHADOW * height)
    light = 1 - strength * ndimage.gaussian_filter(below, sigma, truncate=2)
    result: NDArray[np.uint8] = (plates * light[..., None]).round().astype(np.uint8)
    return result


@njit(cache=True, nogil=True)
@no_type_check
def _finish(image, face_index, plates, gains, pictures, person, cover):
    count, height, width = cover.shape
    share = np.float32(1.0 / (SUPERSAMPLING * SUPERSAMPLING))
    colour = np.zeros(3, np.float32)
    covered = np.zeros((face_index.shape[1] + 2, face_index.shape[2] + 2), np.uint8)
    around = np.empty(face_index.shape[1:], np.uint8)
    for n in range(count):
        _count_around(face_index[n], covered, around)
        for row in range(height):
            for column in range(width):
                pixels = 0
                colour[:] = 0
                for i in range(SUPERSAMPLING * row, SUPERSAMPLING * (row + 1)):
                    for j in range(SUPERSAMPLING * column, SUPERSAMPLING * (column + 1)):
                        if covered[i + 1, j + 1]:
                            if around[i, j] >= KEPT_FROM:
                                pixels += 1
                                for c in range(3):
                                    colour[c] += image[n, c, i, j]
                        elif around[i, j] >= FILLED_FROM:
                            pixels += 1
                            _add_neighbours(image[n], covered, i, j, colour)
                behind = np.float32(1.0) - np.float32(pixels) * share
                cover[n, row, column] = np.float32(pixels) * share
                for c in range(3):
                    own = min(colour[c] * share * gains[n, c], cover[n, row, column])
                    person[n, row, column, c] = own
                    value = np.float32(255.0) * own + behind * np.float32(plates[n, row, column, c])
                    pictures[n, row, column, c] = np.uint8(min(value, np.float32(255.0)) + np.float32(0.5))


@njit(cache=True, nogil=True)
@no_type_check
def _count_around(face_index, covered, around):
    """Fill `covered` (with a border of 0) and how many of nine pixels are covered around each."""
    height, width = face_index.shape
    for i in range(height):
        for j in range(width):
            covered[i + 1, j + 1] = face_index[i, j] >= 0
    across = np.empty((height + 2, width), np.uint8)
    for i in range(height + 2):
        for j in range(width):
            across[i, j] = covered[i, j] + covered[i, j + 1] + covered[i, j + 2]
    for i in range(height):
        for j in range(width):
            around[i, j] = across[i, j] + across[i + 1, j] + across[i + 2, j]


@njit(cache=True, nogil=True)
@no_type_check
def _add_neighbours(image, covered, i, j, colour):
    """Add the mean colour of the covered pixels around an uncovered one."""
    total = 0
    sums = np.zeros(3, np.float32)
    for y in range(max(i - 1, 0), min(i + 2, image.shape[1])):
        for x in range(max(j - 1, 0), min(j + 2, image.shape[2])):
            if covered[y + 1, x + 1]:
                total += 1
                for c in range(3):
                    sums[c] += image[c, y, x]
    for c in range(3):
        colour[c] += sums[c] / np.float32(total)
