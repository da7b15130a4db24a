"""Texture maps from photos: halves, flow sampling, painting.

Layout of a map (structures.py): the lower half is the front of the body, head up; the upper half is the back, feet up.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def assemble_halves(
    front: Float[Tensor, "B C H W"], back: Float[Tensor, "B C H W"] | None = None
) -> Float[Tensor, "B C H2 W"]:
    """A whole map from two halves that both stand upright; without a back, the front is mirrored to it (published)."""
    return torch.cat(((front if back is None else back).flip(2), front), dim=2)


def sample_flow(image: Float[Tensor, "B 3 H W"], flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B 3 h w"]:
    """Copy colours along a flow: bilinear, edge colours beyond the border.

    Args:
        flow: per output pixel the place in the image, x right and y down, -1 and 1 at the borders of the image.
    """
    grid = flow.permute(0, 2, 3, 1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sample_flow_published(image: Float[Tensor, "B 3 H W"], flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B 3 h w"]:
    """As published: bicubic (may overshoot 0..1), black outside, -1 and 1 at the centres of the corner pixels."""
    grid = flow.permute(0, 2, 3, 1)
    return functional.grid_sample(image, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


LARGEST_PRODUCT = 512
"""Rows of an enlarged map beyond which its rows are enlarged first: the columns' empty weights cost less so."""


@dataclass(frozen=True)
class TextureFields:
    """What a texture is painted from; may be coarser than the texture.

    Attributes:
        flow: [B, 2, h, w] places in the photo, -1..1.
        gate: [B, 1, h, w] share of copied colour, 0..1, or None for copies only.
        colour: [B, 3, h, w] colours for what the photo does not show, 0..1, or None.
    """

    flow: Float[Tensor, "B 2 h w"]
    gate: Float[Tensor, "B 1 h w"] | None = None
    colour: Float[Tensor, "B 3 h w"] | None = None


def paint_texture(
    fields: TextureFields, photo: Float[Tensor, "B 3 H W"], height: int, width: int
) -> Float[Tensor, "B 3 Ht Wt"]:
    """Paint a texture of `height` x `width` from a photo of any size, enlarging the fields smoothly."""
    copied = sample_flow(photo, enlarged(fields.flow, height, width))
    if fields.gate is None or fields.colour is None:
        return copied
    gate, colour = enlarged(fields.gate, height, width), enlarged(fields.colour, height, width)
    return gate * copied + (1 - gate) * colour


def enlarged(values: Float[Tensor, "B C h w"], height: int, width: int) -> Float[Tensor, "B C H W"]:
    """Bilinear enlargement, corners not aligned; small ones as two matrix products, a third of `interpolate`'s time."""
    if tuple(values.shape[2:]) == (height, width):
        return values
    if (2 * values.shape[2], 2 * values.shape[3]) == (height, width):
        return _doubled(_doubled(values, 3), 2)
    down = _enlarging_matrix(values.shape[2], height, values.dtype, values.device)
    across = _enlarging_matrix(values.shape[3], width, values.dtype, values.device)
    if height > LARGEST_PRODUCT:
        return (down @ values) @ across.T
    return down @ (values @ across.T)


def _doubled(values: Float[Tensor, "B C h w"], dim: int) -> Tensor:
    """Twice as many rows (dim 2) or columns (3): three quarters of each and a quarter of its neighbour, both ways."""
    last = values.shape[dim] - 1
    former, latter = values.narrow(dim, 0, last), values.narrow(dim, 1, last)
    between = torch.stack((torch.lerp(former, latter, 0.25), torch.lerp(latter, former, 0.25)), dim=dim + 1)
    return torch.cat((values.narrow(dim, 0, 1), between.flatten(dim, dim + 1), values.narrow(dim, last, 1)), dim=dim)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _enlarging_matrix(coarse: int, fine: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "F C"]:
    """Weights of linear interpolation between pixel centres, constant beyond the outer ones."""
    places = (torch.arange(fine, device=device, dtype=dtype) + 0.5) * (coarse / fine) - 0.5
    steps = places.clamp(0, coarse - 1)[:, None] - torch.arange(coarse, device=device, dtype=dtype)
    return (1 - steps.abs()).clamp(min=0)
