"""Random changes of training photos, drawn from (seed, step) so that a resumed run sees the same ones."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, in RGB: what published weights expect."""

ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 3.3)
ERASING_TRIES = 20


@dataclass(frozen=True)
class Augmentation:
    """How photos are changed.

    Attributes:
        flip: mirror half of them.
        pad_px: black border that is added before a crop of the old size.
        erasing: probability that a rectangle is set to the mean colour (Zhong et al. 2020: 2 to 40 % of the area,
            aspect 0.3 to 3.3).
        jitter: largest relative change of brightness, contrast and saturation; 0 changes none.
    """

    flip: bool = True
    pad_px: int = 10
    erasing: float = 0.5
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.pad_px < 0 or not 0 <= self.erasing <= 1 or not 0 <= self.jitter < 1:
            raise ValueError("pad_px must not be negative; erasing and jitter must lie in 0..1")


def normalised(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] to float32 with ImageNet's mean and spread taken out; on the device of `pixels`."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std


def augmented(pixels: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    """Mirror, shift, recolour, normalise, erase.

    Args:
        pixels: uint8 [N, 3, H, W].

    Returns:
        float32 [N, 3, H, W], normalised; erased rectangles are 0, the mean colour.
    """
    count, _, height, width = pixels.shape
    if how.flip:
        mirrored = torch.from_numpy(rng.random(count) < 0.5).to(pixels.device).view(-1, 1, 1, 1)
        pixels = torch.where(mirrored, pixels.flip(3), pixels)
    if how.pad_px:
        tops, lefts = rng.integers(0, 2 * how.pad_px + 1, (2, count)).tolist()
        padded = functional.pad(pixels, (how.pad_px,) * 4)
        crops = [padded[i, :, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width] for i in range(count)]
        pixels = torch.stack(crops)
    images = normalised(_recoloured(pixels, how.jitter, rng) if how.jitter else pixels)
    return _erased(images, how.erasing, rng) if how.erasing else images


def _recoloured(pixels: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast about the photo's mean grey, saturation about the pixel's; back to uint8."""
    factors = torch.from_numpy(rng.uniform(1 - strength, 1 + strength, (3, len(pixels), 1, 1, 1))).to(pixels.device)
    bright, contrast, saturation = factors.float()
    values = pixels.float() * bright
    middle = values.mean(dim=(1, 2, 3), keepdim=True)
    values = middle + contrast * (values - middle)
    grey = values.mean(dim=1, keepdim=True)
    return (grey + saturation * (values - grey)).round().clamp(0, 255).to(torch.uint8)


def _erased(images: Tensor, probability: float, rng: np.random.Generator) -> Tensor:
    images = images.clone()
    for number in np.flatnonzero(rng.random(len(images)) < probability).tolist():
        top, left, height, width = _rectangle(images.shape[2], images.shape[3], rng)
        images[number, :, top : top + height, left : left + width] = 0
    return images


def _rectangle(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height, width; empty where none of several tries fits."""
    for _ in range(ERASING_TRIES):
        area = rng.uniform(*ERASED_AREA) * height * width
        aspect = rng.uniform(*ERASED_ASPECT)
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if tall < height and wide < width:
            return int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1)), tall, wide
    return 0, 0, 0, 0
