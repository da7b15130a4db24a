"""What a mask alone says about a body: where it is, how far a pixel lies from it, and how thick it may be.

All functions work on soft or binary masks [B, H, W].
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_RELAXATIONS = 300
_INFLATE_ROWS = 128


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


def boundary(inside: Bool[Tensor, "B H W"]) -> Bool[Tensor, "B H W"]:
    """Pixels of the mask with at least one of four neighbours outside (the image border counts as outside)."""
    padded = torch.nn.functional.pad(inside, (1, 1, 1, 1), value=False)
    surrounded = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return inside & ~surrounded


def outside_distance(mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Distance of every pixel centre to the nearest mask pixel, in units of half the image height; 0 inside.

    Brute force against the boundary pixels: exact, and quick at the few thousand pixels that fitting uses.
    """
    _, height, width = mask.shape
    aspect = mask.new_tensor([width / height, 1.0])
    centres = pixel_centres_ndc(height, width, mask) * aspect
    fields = []
    for image in mask > 0.5:
        field = torch.zeros_like(mask[0])
        rim = centres[boundary(image[None])[0]]
        if len(rim):
            field[~image] = torch.cdist(centres[~image], rim).amin(dim=1)
        fields.append(field)
    return torch.stack(fields)


def inflate(mask: Float[Tensor, "B H W"], cap: float) -> Float[Tensor, "B H W"]:
    """Half-thickness that turns the silhouette into a rounded body, in units of half the image height.

    Solves `laplace(h) = -2` inside the mask with h = 0 outside and takes the root: a strip of width 2r becomes a cylinder
    of radius r, a disc a ball flattened to 0.7. Thickness then saturates towards `cap`, since a broad torso is flatter
    than it is wide. A guess by construction: one silhouette holds no depth.

    Args:
        mask: silhouettes.
        cap: largest half-thickness.
    """
    size = mask.shape[1:]
    coarse = max(1, round(size[0] / _INFLATE_ROWS))
    inside = (torch.nn.functional.avg_pool2d(mask[:, None], coarse, ceil_mode=True) > 0.5).to(mask.dtype)
    height = inside.shape[2]
    source = 2 * (2 / height) ** 2
    potential = torch.zeros_like(inside)
    for _ in range(_RELAXATIONS):
        padded = torch.nn.functional.pad(potential, (1, 1, 1, 1))
        around = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
        potential = inside * (around + source) / 4
    thickness = torch.nn.functional.interpolate(potential.sqrt(), size=size, mode="bilinear", align_corners=False)[:, 0]
    return cap * torch.tanh(thickness / cap)


def sample_field(field: Float[Tensor, "B H W"], points_ndc: Float[Tensor, "B N 2"]) -> Float[Tensor, "B N"]:
    """Bilinear values of a pixel field at NDC points (differentiable in the points; border values outside)."""
    grid = points_ndc * points_ndc.new_tensor([1.0, -1.0])
    sampled = torch.nn.functional.grid_sample(
        field[:, None], grid[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[:, 0, 0]
