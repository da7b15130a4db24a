"""Random changes of photos and masks while they are uint8: flips, shifts and crops (ALGORITHM: published, and ours)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.training.manifest import Augmentation

Pictures = NDArray[np.uint8]

ZOOM_PAD_PX = 10
ZOOM_WIDTHS = (0.95, 0.99)


def augmented(pictures: Pictures, kind: Augmentation, shift_px: int, generator: np.random.Generator) -> Pictures:
    """Change a batch at random.

    Args:
        pictures: [B, H, W, 4] RGB and mask.
        kind: see `mmgen.training.manifest.DataSection`.
        shift_px: largest move of "shift" and "pad_crop", pixels.

    Returns:
        The same shape; a copy unless kind is "none".
    """
    if kind == "none":
        return pictures
    flips = generator.random(len(pictures)) < 0.5
    pictures = np.where(flips[:, None, None, None], pictures[:, :, ::-1], pictures)
    if kind == "flip":
        return pictures
    change = _zoomed if kind == "zoom_crop" else _moved
    return np.stack([change(picture, kind, shift_px, generator) for picture in pictures])


def _moved(picture: Pictures, kind: Augmentation, shift_px: int, generator: np.random.Generator) -> Pictures:
    """Pad and crop. Published padding is black; ours repeats the border, with nobody in it."""
    height, width = picture.shape[:2]
    top, left = generator.integers(0, 2 * shift_px + 1, size=2)
    around = ((shift_px, shift_px), (shift_px, shift_px))
    mask = np.pad(picture[..., 3], around)
    if kind == "pad_crop":
        image = np.pad(picture[..., :3], (*around, (0, 0)))
    else:
        image = np.pad(picture[..., :3], (*around, (0, 0)), mode="edge")
    whole = np.dstack([image, mask])
    return whole[top : top + height, left : left + width]


def _zoomed(picture: Pictures, kind: Augmentation, shift_px: int, generator: np.random.Generator) -> Pictures:
    """Pad by 10 black pixels, crop each way to about 90 to 100 %, and resize back (published for ATR and CUB)."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((ZOOM_PAD_PX, ZOOM_PAD_PX), (ZOOM_PAD_PX, ZOOM_PAD_PX), (0, 0)))
    top, bottom = _span(padded.shape[0], generator)
    left, right = _span(padded.shape[1], generator)
    image, mask = Image.fromarray(padded[..., :3]), Image.fromarray(padded[..., 3])
    box = (left, top, right, bottom)
    resized = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    outline = mask.resize((width, height), Image.Resampling.NEAREST, box=box)
    return np.dstack([np.asarray(resized), np.asarray(outline)])


def _span(length: int, generator: np.random.Generator) -> tuple[float, float]:
    """Start and end of a crop; the end is drawn again, which adds the published jitter of its size."""
    kept = length * generator.uniform(*ZOOM_WIDTHS)
    start = generator.uniform(0, length - kept)
    return start, generator.uniform(kept - start, length)
