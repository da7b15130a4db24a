"""A small mask drawn along the photo's own edges: a guided filter (He, Sun and Tang, ECCV 2010), guide in grey.

The filter's lines are fitted where the photo is at most `_ROWS` high and applied to the photo at its full size ("fast
guided filter", He and Sun, 2015).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.masks.framing import Window

_ROWS = 512
_RADIUS = 6
"""Of the boxes in which lines are fitted, pixels of a window `_ROWS` high."""
_EPS = 1e-4
"""Of the guide's variance, 0..1 squared: edges much weaker than its root are not followed."""


def sharpened(rgb: NDArray[np.uint8], values: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """[H, W]: an answer for a window on a photo, in the photo, its edges along the photo's; 0 outside the window.

    Args:
        rgb: uint8 [H, W, 3].
        values: uint8 of the frame's size, 255 = person.
        window: which part of the photo the frame showed.
    """
    piece = rgb[window.top : window.bottom, window.left : window.right]
    guide = np.asarray(Image.fromarray(np.ascontiguousarray(piece)).convert("L"))
    shown = np.ascontiguousarray(values[slice(*window.rows), slice(*window.columns)])
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[window.top : window.bottom, window.left : window.right] = _filtered(guide, shown)
    return mask


def _filtered(guide: NDArray[np.uint8], values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = guide.shape
    scale = min(1.0, _ROWS / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fitted = _unit(Image.fromarray(guide).resize(size, Image.Resampling.BOX))
    wanted = _unit(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
    radius = max(1, round(_RADIUS * size[1] / _ROWS))
    slope, level = _lines(fitted, wanted, radius)
    if scale < 1:
        slope, level = (np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))
                        for part in (slope, level))  # fmt: skip
    soft = slope * (guide.astype(np.float32) / 255) + level
    return (np.clip(soft, 0, 1) * 255 + 0.5).astype(np.uint8)


def _unit(picture: Image.Image) -> NDArray[np.float32]:
    return np.asarray(picture, np.float32) * np.float32(1 / 255)


def _lines(
    guide: NDArray[np.float32], wanted: NDArray[np.float32], radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and level of the lines from guide to mask, each the mean over the boxes around."""
    mean, target = _mean(guide, radius), _mean(wanted, radius)
    variance = _mean(guide * guide, radius) - mean * mean
    slope = ((_mean(guide * wanted, radius) - mean * target) / (variance + _EPS)).astype(np.float32)
    return _mean(slope, radius), _mean(target - slope * mean, radius)


def _mean(picture: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over boxes of 2 * radius + 1, cut off at the picture's edges as if it were mirrored there."""
    import torch
    from torch.nn import functional

    padded = functional.pad(torch.from_numpy(picture)[None, None], (radius,) * 4, mode="replicate")
    side = 2 * radius + 1
    across = functional.avg_pool2d(padded, (1, side), stride=1)
    return np.asarray(functional.avg_pool2d(across, (side, 1), stride=1)[0, 0].numpy())
