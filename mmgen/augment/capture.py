"""What a camera did to a photo, measured on the photo: light, noise, sharpness, compression.

A virtual person is drawn into a photo of some camera and has to look as if that camera had seen them.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from scipy import ndimage

from mmgen.augment.compositing import blurred

JPEG_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")

NOISE_BLOCK_PX = 8
NOISE_PERCENTILE = 5
"""The flattest blocks of a photo show its noise, all others something to see."""

NOISE_LOST = 1.25
"""What the estimate is short by: the flattest blocks are flat by chance too, and JPEG takes its share."""

UNCLIPPED = (12, 243)
"""Grey levels between which noise is whole; blacks and whites swallow half of it."""

FEWEST_BLOCKS = 10

TEXTURE_NOISE_KEPT = 0.5
"""Share of a photo's noise that is still there once it was baked into a texture and drawn."""

SHARPENING_RANGE = (-0.5, 2.0)
"""Weights of the unsharp mask that are not exceeded: below, it blurs."""

EDGE_PX = 2
"""Outlines are left out where sharpness is measured."""

FEWEST_PIXELS = 50
MOST_LIGHT = 0.7
"""Natural logarithm of the greatest change of light that is believed."""

LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Compression:
    """How a photo was compressed.

    Attributes:
        quality: 1..100 as libjpeg counts; 0: the photo is no JPEG.
        subsampling: index into `JPEG_SUBSAMPLINGS`.
    """

    quality: int = 0
    subsampling: int = 2


def compression_of(path: Path) -> Compression:
    """Read from a photo's quantisation tables: the quality whose luminance table is nearest in its sum."""
    try:
        with Image.open(path) as image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile) or 0 not in image.quantization:
                return Compression()
            total, sampling = sum(image.quantization[0]), JpegImagePlugin.get_sampling(image)
    except (OSError, ValueError, SyntaxError):
        return Compression()
    quality = 1 + int(np.abs(_table_sums() - total).argmin())
    return Compression(quality, sampling if sampling in range(len(JPEG_SUBSAMPLINGS)) else 2)


@lru_cache(maxsize=1)
def _table_sums() -> NDArray[np.int64]:
    """[100] sums of the luminance tables that the JPEG writer uses at qualities 1 to 100."""
    sums = []
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            sums.append(sum(image.quantization[0]))
    return np.array(sums)


def noise_level(rgb: NDArray[np.uint8]) -> float:
    """Standard deviation of a photo's noise per channel, 0..255: what is left of its flattest blocks.

    Second differences of means over 2 x 2 pixels: they see no shading, and JPEG spares these frequencies.
    """
    means = ndimage.uniform_filter(rgb.astype(np.float32), (2, 2, 0))
    for axis in (0, 1):
        ahead, behind = np.roll(means, -2, axis), np.roll(means, 2, axis)
        means = ahead - 2 * means + behind
    energies, blocks = _blocks(np.square(means / 3)).mean(axis=1), _blocks(rgb)
    whole = (blocks.min(axis=1) > UNCLIPPED[0]) & (blocks.max(axis=1) < UNCLIPPED[1])
    energies = energies[whole] if whole.sum() >= FEWEST_BLOCKS else energies
    return NOISE_LOST * float(np.sqrt(np.percentile(energies, NOISE_PERCENTILE))) if energies.size else 0.0


def _blocks(picture: NDArray[Any]) -> NDArray[Any]:
    """[B, 192] values of every whole block of a picture [H, W, 3]."""
    side = NOISE_BLOCK_PX
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    whole = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    return whole.transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)


def added_noise(wanted: float, own: float) -> float:
    """Standard deviation to add to a person from a photo with noise `own`, where one with noise `wanted` is behind."""
    return max(0.0, wanted**2 - (TEXTURE_NOISE_KEPT * own) ** 2) ** 0.5


def sharpening_for(
    photo: NDArray[np.uint8], mask: NDArray[np.bool_], person: NDArray[np.float32], cover: NDArray[np.float32]
) -> float:
    """Weight of the unsharp mask that gives a drawn person the Laplacian variance of the photo; below 0 it blurs.

    The variance is a quadratic polynomial of the weight; its larger root is the answer. 0 where there is too little to
    measure.

    Args:
        photo: uint8 [H, W, 3].
        mask: [H, W] the person in it.
        person: [H, W, 3] the same person drawn from the same side, colours times coverage, 0..1.
        cover: [H, W].
    """
    inside = ndimage.binary_erosion(mask & (cover > 0.99), iterations=EDGE_PX)
    if inside.sum() < FEWEST_PIXELS:
        return 0.0
    grey = 255 * (person @ LUMA)
    detail = grey - 255 * (blurred(person[None], cover[None])[0] @ LUMA)
    wanted, own, change = (ndimage.laplace(one)[inside] for one in (photo @ LUMA, grey, detail))
    (own_variance, both), (_, change_variance) = np.cov(own, change)
    missing = own_variance - wanted.var()
    if change_variance <= 1e-6:
        return 0.0
    root = (max(0.0, both**2 - change_variance * missing)) ** 0.5
    return float(np.clip((root - both) / change_variance, *SHARPENING_RANGE))


def mean_colour(photo: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[3] mean colour of a person, 0..255; zeros where nothing of them is seen."""
    return photo[mask].mean(axis=0) if mask.any() else np.zeros(3)


def light_of(
    colours: NDArray[np.float64], people: Sequence[str], cameras: Sequence[int], is_usable: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """How bright and how tinted every photo's light is: natural logarithms per channel, against the mean photo.

    A person wears the same in all of their photos, so what differs there is the light: brightness is a photo's own
    difference to the median of its person's photos; the tint, a smaller thing, is the median over all photos of its
    camera. A person's only photo, or one of no known camera, tells nothing: 0.

    Args:
        colours: [N, 3] mean colours of the people, 0..255.
        people: [N] who is in them.
        cameras: [N] numbers of the cameras; -1 where unknown.
        is_usable: [N] photos with a person.
    """
    logs = np.log(np.maximum(colours, 1.0))
    luma = np.log(np.maximum(colours @ LUMA, 1.0))
    tints = logs - luma[:, None]
    light = np.zeros(len(colours))
    cast = np.zeros((len(colours), 3))
    for rows in _groups(people, is_usable):
        light[rows] = luma[rows] - np.median(luma[rows])
        cast[rows] = tints[rows] - np.median(tints[rows], axis=0)
    seen = is_usable & (np.asarray(cameras) >= 0)
    tint = np.zeros((len(colours), 3))
    for rows in _groups(cameras, seen):
        tint[rows] = np.median(cast[rows], axis=0)
    return (light.clip(-MOST_LIGHT, MOST_LIGHT)[:, None] + tint).astype(np.float32)


def _groups(names: Sequence[str] | Sequence[int], chosen: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows of every name among the chosen."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return []
    _, number = np.unique(np.asarray(names)[rows], return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(number[order])) + 1)
