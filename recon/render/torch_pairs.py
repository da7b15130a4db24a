"""The portable backend: flat (pixel, face) lists from bounding boxes, scatter reductions, autograd. Any device."""

import torch
from torch import Tensor

from recon.render.reference import (
    EDGE_EPS,
    away_from_zero,
    combine_chances,
    edge_functions,
    finite_faces,
    interpolate,
    pixel_centres,
    squared_distance,
)


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.api.load_backend`."""
    pixels = pixel_centres(height, width, xy)
    drawn = valid & finite_faces(xy)
    with torch.no_grad():
        index = _winners(pixels, (height, width), z, xy, drawn, eps / multiplier**2)
    drawn_features = interpolate(pixels, index, xy, features, multiplier, eps)
    return drawn_features.unflatten(1, (height, width)), index.unflatten(1, (height, width))


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.api.load_backend`."""
    size = (index.shape[1], index.shape[2])
    with torch.no_grad():
        face, pixel = box_pairs(xy, finite_faces(xy), size, boxlen)
        image_pixel = face // max(xy.shape[1], 1) * (size[0] * size[1]) + pixel
        open_pair = (index.flatten() < 0)[image_pixel]
        face, pixel, image_pixel = face[open_pair], pixel[open_pair], image_pixel[open_pair]
        first = _first_by_pixel(image_pixel, index.numel(), knum)
        face, pixel, image_pixel = face[first], pixel[first], image_pixel[first]
    point = pixel_centres(*size, xy)[pixel]
    distance = squared_distance(xy.flatten(0, 1)[face], point, EDGE_EPS / multiplier**2)
    return combine_chances(torch.exp(-sigmainv * distance), image_pixel, index)


def _winners(pixels: Tensor, size: tuple[int, int], z: Tensor, xy: Tensor, drawn: Tensor, eps: float) -> Tensor:
    """The visible face per image and pixel, [B, P]; -1 where none."""
    batch, faces = drawn.shape
    face, pixel = box_pairs(xy, drawn, size, 0.0)
    w = edge_functions(xy.flatten(0, 1)[face], pixels[pixel])
    depth = (w / away_from_zero(w.sum(dim=-1), eps)[:, None] * z.flatten(0, 1)[face]).sum(dim=-1)
    inside = ((w >= 0).all(dim=-1) | (w <= 0).all(dim=-1)) & (depth > -torch.inf)
    face, pixel, depth = face[inside], pixel[inside], depth[inside]
    target = face // max(faces, 1) * len(pixels) + pixel
    nearest = depth.new_full((batch * len(pixels),), -torch.inf).scatter_reduce(0, target, depth, "amax")
    wins = depth == nearest[target]
    none = batch * faces
    index = face.new_full((batch * len(pixels),), none).scatter_reduce(0, target[wins], face[wins], "amin")
    return torch.where(index < none, index % max(faces, 1), -1).view(batch, len(pixels))


def box_pairs(xy: Tensor, wanted: Tensor, size: tuple[int, int], margin: float) -> tuple[Tensor, Tensor]:
    """All (face, pixel) with the pixel in the face's enlarged half-open box; faces ascend, counted over the batch."""
    height, width = size
    centres = pixel_centres(height, width, xy).view(height, width, 2)
    columns, rows = centres[:1, :, 0].flatten().contiguous(), centres[:, :1, 1].flatten().neg().contiguous()
    corners = xy.detach().flatten(0, 1)[wanted.flatten()]
    low, high = corners.amin(dim=1) - margin, corners.amax(dim=1) + margin
    j0, j1 = (torch.searchsorted(columns, edge.contiguous()) for edge in (low[:, 0], high[:, 0]))
    i0, i1 = (torch.searchsorted(rows, -edge, right=True) for edge in (high[:, 1], low[:, 1]))
    across = j1 - j0
    count = across * (i1 - i0)
    owner = torch.repeat_interleave(count)
    step = torch.arange(len(owner), device=xy.device) - (count.cumsum(0) - count)[owner]
    pixel = (i0[owner] + step // across[owner]) * width + j0[owner] + step % across[owner]
    return wanted.flatten().nonzero()[:, 0][owner], pixel


def _first_by_pixel(pixel: Tensor, pixels: int, knum: int) -> Tensor:
    """Which pairs are among the first `knum` of their pixel, in the order given."""
    count = torch.bincount(pixel, minlength=pixels)
    order = torch.argsort(pixel, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=pixel.device) - (count.cumsum(0) - count)[pixel[order]]
    return rank < knum
