"""What cameras and files do to a scene: light, colour, blur, small sizes, grain, JPEG; the mask stays."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgen.mask_training.scenes.backgrounds import Picture

GAMMA_RANGE = (0.6, 1.7)
JPEG_QUALITIES = (25, 96)
DARKEST_MEAN = 0.06
"""Pictures on average darker than this (of white) are brightened: nobody could find the person in them."""

_SHADES = np.linspace(0, 1, 256)


def develop(generator: np.random.Generator, scene: Picture, strength: float = 1.0) -> Picture:
    """One random development.

    Args:
        scene: [H, W, 3].
        strength: 1 for training; less makes every step rarer.
    """
    if generator.random() < 0.8 * strength:
        scene = _graded(generator, scene)
    if generator.random() < 0.5 * strength:
        scene = _blurred(generator, scene)
    if generator.random() < 0.35 * strength:
        scene = _small(generator, scene)
    if generator.random() < 0.6 * strength:
        scene = _grainy(generator, scene)
    if generator.random() < 0.5 * strength:
        scene = _jpeg(generator, scene)
    return scene


def recoloured(generator: np.random.Generator, colours: Picture) -> Picture:
    """The colours of one thing changed as a whole: channels mixed, contrast, brightness; shapes stay."""
    mix = np.eye(3)
    if generator.random() < 0.5:
        mix = mix[generator.permutation(3)]
    if generator.random() < 0.3:
        mix = mix + generator.normal(0, 0.2, (3, 3))
    tint = generator.uniform(0.75, 1.25, 3) * generator.choice([0.5, 0.8, 1.0, 1.2])
    shift = np.full((3, 1), 255 * generator.normal(0, 0.06))
    mixed = np.asarray(cv2.transform(colours, np.hstack([mix * tint[:, None], shift])), np.uint8)
    return _through(mixed, _SHADES ** generator.uniform(0.7, 1.5))


def _through(picture: Picture, table: NDArray[np.float64]) -> Picture:
    """Every value replaced by that of a table [256] or [256, 3], 0..1."""
    values = (np.clip(table, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, values[None] if values.ndim == 2 else values), np.uint8)


def _graded(generator: np.random.Generator, scene: Picture) -> Picture:
    if generator.random() < 0.15:
        grey = cv2.cvtColor(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = generator.uniform(0.4, 1)
        scene = np.asarray(cv2.addWeighted(scene, 1 - share, grey, share, 0), np.uint8)
    gain = generator.uniform(0.6, 1.4) * generator.uniform(0.88, 1.12, 3)
    table = np.clip(_SHADES[:, None] * gain, 0, 1) ** generator.uniform(*GAMMA_RANGE)
    if generator.random() < 0.4:
        table = 0.5 + generator.uniform(0.5, 1.15) * (table - 0.5)
    graded = _through(scene, table)
    mean = float(graded[::4, ::4].mean()) / 255
    return graded if mean >= DARKEST_MEAN else _through(graded, _SHADES * DARKEST_MEAN / max(mean, 1e-3))


def _blurred(generator: np.random.Generator, scene: Picture) -> Picture:
    if generator.random() < 0.3:
        length = int(generator.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        end = generator.integers(0, length, 2)
        cv2.line(kernel, (int(end[0]), int(end[1])), (length - 1 - int(end[0]), length - 1 - int(end[1])), 1.0)
        return np.asarray(cv2.filter2D(scene, -1, kernel / kernel.sum()), np.uint8)
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), float(generator.uniform(0.4, 2.2))), np.uint8)


def _small(generator: np.random.Generator, scene: Picture) -> Picture:
    """As a detector's crop that was enlarged."""
    height, width = scene.shape[:2]
    scale = generator.uniform(0.25, 0.8)
    size = (max(round(width * scale), 8), max(round(height * scale), 16))
    small = cv2.resize(scene, size, interpolation=cv2.INTER_AREA)
    way = cv2.INTER_LINEAR if generator.random() < 0.6 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def _grainy(generator: np.random.Generator, scene: Picture) -> Picture:
    grain = np.empty(scene.shape, np.int16)
    cv2.setRNGSeed(int(generator.integers(2**31)))
    cv2.randn(grain, np.zeros(3), np.full(3, 255 * generator.uniform(0.003, 0.06)))
    return np.asarray(cv2.add(scene, grain, dtype=cv2.CV_8U), np.uint8)


def _jpeg(generator: np.random.Generator, scene: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(*JPEG_QUALITIES))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
