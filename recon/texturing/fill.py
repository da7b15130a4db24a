"""Colours continued from where they are known to where they are not: over a whole picture, or at single points."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def push_pull(image: Float[Tensor, "*B C H W"], weight: Float[Tensor, "*B H W"]) -> Float[Tensor, "*B C H W"]:
    """Fill where `weight` is 0 from the nearest known colours, coarse to fine; known colours stay exactly as they are.

    Args:
        weight: 0..1, trust in each pixel.
    """
    levels = _levels(image[None], weight[None]) if image.ndim == 3 else _levels(image, weight)
    filled = levels[-1][:, :-1] / levels[-1][:, -1:].clamp(min=1e-6)
    for level in reversed(levels[:-1]):
        height, width = level.shape[2:]
        coarse = functional.interpolate(
            filled, size=(height + height % 2, width + width % 2), mode="bilinear", align_corners=False
        )[..., :height, :width]
        filled = level[:, :-1] + coarse * (1 - level[:, -1:])
    return filled.view(image.shape)


class ColourPyramid:
    """An image pyramid of weighted colours that is sampled at points.

    Much like reading `push_pull(image, weight)`, without filling pixels that nobody asks for.

    Args:
        weight: 0..1, trust in each pixel.
    """

    def __init__(self, image: Float[Tensor, "C H W"], weight: Float[Tensor, "H W"]) -> None:
        self._levels = [level[0] for level in _levels(image[None], weight[None])]

    def at(self, points: Float[Tensor, "N 2"], finest: int = 0) -> Float[Tensor, "N C"]:
        """Colours at sampler coordinates (x right, y down, -1 and 1 at the borders).

        Args:
            finest: level to begin with; each one is a blur of twice the radius.
        """
        height, width = self._levels[0].shape[1:]
        pixels = (points + 1) / 2 * points.new_tensor([width, height])
        colour = points.new_zeros(len(self._levels[0]) - 1, len(points))
        missing = points.new_ones(len(points))
        asking: Tensor | slice = slice(None)
        for number, level in enumerate(self._levels[finest:], start=finest):
            last = number == len(self._levels) - 1
            # Odd sizes are padded before they are halved, so a level's border lies beyond the picture's.
            size = points.new_tensor([level.shape[2], level.shape[1]]) * 2**number
            grid = (2 * pixels[asking] / size - 1)[None, None]
            values = functional.grid_sample(level[None], grid, padding_mode="border", align_corners=False)[0, :, 0]
            wanted = missing[asking]
            trust = values[-1].clamp(min=1e-6) if last else 1.0
            colour[:, asking] += wanted * values[:-1] / trust
            missing[asking] = wanted * (1 - values[-1])
            asking = missing.nonzero()[:, 0]
            if len(asking) == 0:
                break
        return colour.T


def _levels(image: Tensor, weight: Tensor) -> list[Tensor]:
    """[B, C + 1, H, W] premultiplied colours and their trust, halved until one pixel is left; trust saturates at 1."""
    levels = [torch.cat((image * weight[:, None], weight[:, None]), dim=1)]
    while max(levels[-1].shape[2:]) > 1:
        pooled = quads_summed(levels[-1])
        levels.append(pooled / pooled[:, -1:].clamp(min=1.0))
    return levels


def quads_summed(values: Float[Tensor, "*B H W"]) -> Float[Tensor, "*B H2 W2"]:
    """Sums of blocks of 2 x 2, with 0 beyond odd borders: four times a pooling to the bit, in a third of its time."""
    height, width = values.shape[-2:]
    if height % 2 or width % 2:
        values = functional.pad(values, (0, width % 2, 0, height % 2))
    upper, lower = values[..., ::2, :], values[..., 1::2, :]
    return upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]
