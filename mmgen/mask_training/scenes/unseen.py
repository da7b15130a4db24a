"""Backgrounds that training never sees, to measure with: other families of patterns, and real photos of no people."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.mask_training.scenes.backgrounds import Family, Picture, Size, as_bytes

PHOTO_NAMES = ("brick", "chelsea", "coffee", "coins", "grass", "gravel", "motorcycle_left", "page", "rocket")
"""Photos without people that come with scikit-image."""


def mosaic(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Cells of the nearest of random points."""
    height, width = size
    points = generator.random((int(generator.integers(8, 120)), 2)) * [height, width]
    colours = palette[generator.integers(len(palette), size=len(points))]
    colours = np.clip(colours + generator.normal(0, 12, colours.shape), 0, 255)
    rows, columns = np.mgrid[:height, :width]
    distance = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    return colours[distance.argmin(axis=-1)].astype(np.uint8)


def bricks(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Rows of bricks in mortar."""
    height, width = size
    brick_h, brick_w = generator.uniform(6, 24), generator.uniform(14, 50)
    rows, columns = np.mgrid[:height, :width] + generator.uniform(0, 50)
    row = np.floor(rows / brick_h).astype(int)
    column = np.floor(columns / brick_w + 0.5 * (row % 2)).astype(int)
    shades = generator.normal(1, 0.15, (64, 64))[row % 64, column % 64]
    one, mortar = palette[generator.integers(len(palette), size=2)]
    gap = (rows / brick_h % 1 < 0.12) | ((columns / brick_w + 0.5 * (row % 2)) % 1 < 0.05)
    return np.clip(np.where(gap[..., None], mortar, one * shades[..., None]), 0, 255).astype(np.uint8)


def plaid(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Waves across each other."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [
        np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / period + phase)
        for angle, period, phase in zip(
            generator.uniform(0, np.pi, 3), generator.uniform(2, 20, 3), generator.uniform(0, 6, 3), strict=True
        )
    ]
    share = (0.5 + np.sum(waves, axis=0) / 6)[..., None]
    one, other = palette[generator.integers(len(palette), size=2)].astype(float)
    return (one + (other - one) * share).astype(np.uint8)


def spectrum(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Random phases under the spectrum of natural photos, each colour for itself."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    strength = np.maximum(frequency, 1 / height) ** -generator.uniform(0.9, 1.6)
    base = palette[generator.integers(len(palette))] / 255
    layers = []
    for channel in range(3):
        phases = np.exp(2j * np.pi * generator.random(strength.shape))
        field = np.fft.irfft2(strength * phases, size)
        layers.append(base[channel] + 0.2 * field / field.std())
    return as_bytes(np.dstack(layers))


def shelves(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """Upright boxes side by side on shelves."""
    height, width = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = palette[generator.integers(len(palette))] // 2
    shelf = int(generator.integers(30, 90))
    for bottom in range(int(generator.integers(10, shelf)), height + shelf, shelf):
        left = 0
        while left < width:
            wide, high = int(generator.integers(3, 16)), int(shelf * generator.uniform(0.5, 0.92))
            colour = tuple(int(value) for value in palette[generator.integers(len(palette))])
            cv2.rectangle(picture, (left, bottom - high), (left + wide - 2, bottom - 3), colour, -1)
            left += wide
    return picture


def photo_family(folder: Path | None = None) -> Family:
    """Pieces of real photos, of any size and mirrored at times.

    Args:
        folder: where the photos of `PHOTO_NAMES` are; those of the installed scikit-image when None.
    """
    if folder is None:
        import skimage

        folder = Path(skimage.__file__).parent / "data"
    files = [path for name in PHOTO_NAMES for path in sorted(folder.glob(f"{name}.*"))]
    photos: list[NDArray[np.uint8]] = [np.asarray(Image.open(path).convert("RGB")) for path in files]

    def photo(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
        whole = photos[int(generator.integers(len(photos)))]
        height = int(whole.shape[0] * generator.uniform(0.4, 1))
        width = min(height * size[1] // size[0], whole.shape[1])
        top, left = generator.integers(whole.shape[0] - height + 1), generator.integers(whole.shape[1] - width + 1)
        piece = cv2.resize(whole[top : top + height, left : left + width], size[::-1], interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(piece[:, :: int(generator.choice([-1, 1]))], np.uint8)

    return photo


def unseen_families() -> dict[str, Family]:
    """All families of this module by name."""
    return {
        "mosaic": mosaic,
        "bricks": bricks,
        "plaid": plaid,
        "spectrum": spectrum,
        "shelves": shelves,
        "photo": photo_family(),
    }
