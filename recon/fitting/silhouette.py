"""Quantities from masks alone: position of the body, distances of pixels to it, and bounds on its thickness.

All functions work on soft or binary masks [B, H, W].
"""

import torch
from jaxtyping import Float
from torch import Tensor

_INFLATE_ROWS = 128
_SWEEPS = 30
_DAMPING = 0.8
_COARSEST = 8


def pixel_centres_ndc(height: int, width: int, like: Tensor) -> Float[Tensor, "H W 2"]:
    """NDC coordinates (y up) of all pixel centres, in the dtype and on the device of `like`."""
    x = (2 * torch.arange(width, dtype=like.dtype, device=like.device) + 1 - width) / width
    y = (height - 1 - 2 * torch.arange(height, dtype=like.dtype, device=like.device)) / height
    return torch.stack((x[None].expand(height, width), y[:, None].expand(height, width)), dim=-1)


def bounding_box_ndc(mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B 4"]:
    """Left, bottom, right, top of the pixels with mask > 0.5, outer pixel edges included.

    Raises:
        ValueError: a mask has no such pixel.
    """
    _, height, width = mask.shape
    inside = mask > 0.5
    if not bool(inside.flatten(1).any(dim=1).all()):
        raise ValueError("a mask without any pixel above 0.5 has no bounding box")
    boxes = []
    for image in inside:
        columns, rows = image.any(dim=0).nonzero()[:, 0], image.any(dim=1).nonzero()[:, 0]
        left, right = 2 * columns[0] / width - 1, 2 * (columns[-1] + 1) / width - 1
        top, bottom = 1 - 2 * rows[0] / height, 1 - 2 * (rows[-1] + 1) / height
        boxes.append(torch.stack((left, bottom, right, top)))
    return torch.stack(boxes).to(mask.dtype)


def outside_distance(mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Exact distance of every pixel centre to the nearest mask pixel's, in units of half the image height; 0 inside.

    First along columns, then across them (Felzenszwalb and Huttenlocher 2012, but for every pair of columns). An empty
    mask is 0 everywhere.
    """
    _, height, width = mask.shape
    far = float(height + width)
    rows = torch.arange(height, dtype=mask.dtype, device=mask.device)[:, None]
    inside = mask > 0.5
    above = torch.where(inside, rows, -far).cummax(dim=1).values
    below = torch.where(inside, rows, height + far).flip(1).cummin(dim=1).values.flip(1)
    down = torch.minimum(rows - above, below - rows).square()
    columns = torch.arange(width, dtype=mask.dtype, device=mask.device)
    nearest = torch.full_like(down, far * far)
    for column in range(width):
        nearest = torch.minimum(nearest, down[:, :, column, None] + (columns - column).square())
    nearest = nearest * inside.flatten(1).any(dim=1)[:, None, None]
    return nearest.sqrt() * (2 / height)


def inflate(mask: Float[Tensor, "B H W"], cap: Float[Tensor, " B"]) -> Float[Tensor, "B H W"]:
    """Half-thickness that turns the silhouette into a rounded body, in units of half the image height.

    The root of the solution of `laplace(p) = -2` inside the mask with p = 0 outside: a strip of width 2r becomes a
    cylinder of radius r, a disc a ball flattened to 0.7. Thickness then saturates towards `cap`, since a broad torso is
    flatter than it is wide. A guess by construction: one silhouette holds no depth.

    Args:
        cap: largest half-thickness of each.
    """
    size = mask.shape[1:]
    coarse = max(1, round(size[0] / _INFLATE_ROWS))
    inside = _halved(mask[:, None], coarse)
    potential = _relaxed(inside, 2 * (2 * coarse / size[0]) ** 2)
    thickness = torch.nn.functional.interpolate(potential.sqrt(), size=size, mode="bilinear", align_corners=False)[:, 0]
    limit = cap[:, None, None]
    # One image at a time: vectorised and single elements of tanh are rounded differently.
    return torch.stack([edge * torch.tanh(field / edge) for field, edge in zip(thickness, limit, strict=True)])


def _halved(inside: Tensor, factor: int = 2) -> Tensor:
    pooled = torch.nn.functional.avg_pool2d(inside, factor, ceil_mode=True)
    return (pooled > 0.5).to(inside.dtype)


def _relaxed(inside: Tensor, source: float) -> Tensor:
    """Solution of the Poisson equation: damped Jacobi sweeps from the solution at half the resolution."""
    start = torch.zeros_like(inside)
    if min(inside.shape[2:]) > _COARSEST:
        coarse = _relaxed(_halved(inside), 4 * source)
        start = torch.nn.functional.interpolate(coarse, size=inside.shape[2:], mode="bilinear", align_corners=False)
    potential = start * inside
    for _ in range(_SWEEPS):
        padded = torch.nn.functional.pad(potential, (1, 1, 1, 1))
        around = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
        potential = inside * ((1 - _DAMPING) * potential + _DAMPING / 4 * (around + source))
    return potential


def sample_field(field: Float[Tensor, "B H W"], points_ndc: Float[Tensor, "B N 2"]) -> Float[Tensor, "B N"]:
    """Bilinear values of a pixel field at NDC points (differentiable in the points; border values outside)."""
    grid = points_ndc * points_ndc.new_tensor([1.0, -1.0])
    sampled = torch.nn.functional.grid_sample(
        field[:, None], grid[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[:, 0, 0]
