"""DIB-R in dense PyTorch: the readable truth that every backend is tested against. Slow; float32 and float64.

**Hard pass.** Pixel p is inside face (a, b, c) when it is in the face's half-open bounding box and the edge functions
`w0 = (b-p)x(c-p)`, `w1 = (c-p)x(a-p)`, `w2 = (a-p)x(b-p)` have no two opposite signs (either winding). Weights are
`w_i / n` with `n = w0 + w1 + w2`, moved away from zero by eps / multiplier^2. Depth `z = sum w_i z_i` is affine on
the screen; the largest z wins, ties go to the lowest face index. Features are interpolated with the same weights:
affine, not perspective-correct.

**Hard gradients.** The winner is fixed and z has no gradient. The position gradient sees weights whose area carries eps
itself, as in kaolin, which damps slivers, and `w0 = 1 - w1 - w2`.

**Soft pass.** Covered pixels are exactly 1, without gradient. Any other pixel takes the first `knum` faces by index,
whichever way they look, whose box enlarged by `boxlen` holds it: `mask = 1 - prod(1 - exp(-sigmainv d2))`, d2 the
squared distance to the nearest edge or corner (first of equals in the order ab, bc, ca, a, b, c).

Faces with a coordinate that is not finite do not exist for either pass.

Source: Chen et al., Learning to Predict 3D Objects with an Interpolation-based Differentiable Renderer (arXiv
1908.01210), as implemented by NVIDIA kaolin 0.12 to 0.18. Two differences on purpose: kaolin lets a face with NaN
claim pixels, and a zero-length edge at the image origin fill its box; here the first does not exist and the second is a
point.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

EDGE_EPS = 1e-7
"""Added to squared edge lengths, in units of 1 / multiplier."""

SLACK = 1e-7
"""Keeps the division by 1 - p finite in the gradient of the soft mask."""


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.api.load_backend`."""
    pixels = pixel_centres(height, width, xy)
    drawn = valid & finite_faces(xy)
    images = zip(xy.detach(), z.detach(), drawn, strict=True)
    winners = [_winners(pixels, own_xy, own_z, own, eps / multiplier**2) for own_xy, own_z, own in images]
    index = torch.stack(winners) if winners else drawn.new_zeros((0, len(pixels)), dtype=torch.long)
    drawn_features = interpolate(pixels, index, xy, features, multiplier, eps)
    return drawn_features.unflatten(1, (height, width)), index.unflatten(1, (height, width))


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.api.load_backend`."""
    height, width = index.shape[1:]
    pixels = pixel_centres(height, width, xy)
    near = in_box(pixels, xy.detach(), boxlen) & (index < 0).flatten(1)[:, None]
    near &= finite_faces(xy)[..., None]
    near &= near.cumsum(dim=1) <= knum
    image, face, pixel = near.nonzero(as_tuple=True)
    distance = squared_distance(xy[image, face], pixels[pixel], EDGE_EPS / multiplier**2)
    chance = torch.exp(-sigmainv * distance)
    return combine_chances(chance, image * len(pixels) + pixel, index)


def pixel_centres(height: int, width: int, like: Tensor) -> Float[Tensor, "P 2"]:
    """NDC (x, y) of all pixel centres, row by row, in the dtype of `like`."""
    x = (2 * torch.arange(width, dtype=torch.float64) + 1 - width) / max(width, 1)
    y = (height - 1 - 2 * torch.arange(height, dtype=torch.float64)) / max(height, 1)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((columns, rows), dim=-1).reshape(-1, 2).to(like)


def finite_faces(corners: Float[Tensor, "B F 3 2"]) -> Bool[Tensor, "B F"]:
    """True for faces whose screen coordinates are all finite."""
    return corners.detach().isfinite().flatten(2).all(dim=2)


def in_box(pixels: Float[Tensor, "P 2"], corners: Float[Tensor, "*B F 3 2"], margin: float) -> Bool[Tensor, "*B F P"]:
    """Which pixels lie in each face's half-open bounding box, enlarged by `margin`."""
    low = (corners.amin(dim=-2) - margin)[..., None, :]
    high = (corners.amax(dim=-2) + margin)[..., None, :]
    return ((low <= pixels) & (pixels < high)).all(dim=-1)


def edge_functions(corners: Float[Tensor, "... 3 2"], point: Float[Tensor, "... 2"]) -> Float[Tensor, "... 3"]:
    """(b-p)x(c-p), (c-p)x(a-p), (a-p)x(b-p)."""
    a, b, c = (corners - point[..., None, :]).unbind(dim=-2)
    return torch.stack((cross(b, c), cross(c, a), cross(a, b)), dim=-1)


def away_from_zero(area: Tensor, eps: float) -> Tensor:
    """`area` moved by eps away from zero; zero goes up."""
    return torch.where(area >= 0, area + eps, area - eps)


def cross(u: Tensor, v: Tensor) -> Tensor:
    """Scalar cross product of 2-vectors."""
    return u[..., 0] * v[..., 1] - v[..., 0] * u[..., 1]


def _winners(pixels: Tensor, xy: Tensor, z: Tensor, valid: Tensor, eps: float) -> Tensor:
    """The visible face per pixel of one image, [P]; -1 where none."""
    if not len(xy):
        return torch.full((len(pixels),), -1, device=xy.device)
    w = edge_functions(xy[:, None], pixels)
    inside = in_box(pixels, xy, 0.0) & valid[:, None] & ((w >= 0).all(dim=-1) | (w <= 0).all(dim=-1))
    depth = (w / away_from_zero(w.sum(dim=-1), eps)[..., None] * z[:, None]).sum(dim=-1)
    depth = torch.where(inside & (depth > -torch.inf), depth, -torch.inf)
    nearest = depth.amax(dim=0)
    index = torch.arange(len(xy), device=xy.device)[:, None].expand_as(depth)
    first = torch.where(depth == nearest, index, len(xy)).amin(dim=0)
    return torch.where(nearest > -torch.inf, first, -1)


def interpolate(
    pixels: Float[Tensor, "P 2"],
    face_index: Int[Tensor, "B P"],
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_features: Float[Tensor, "B F 3 D"],
    multiplier: float,
    eps: float,
) -> Float[Tensor, "B P D"]:
    """Features of the visible faces, 0 elsewhere, with the two kinds of weights: one for values, one for positions."""
    image, pixel = (face_index >= 0).nonzero(as_tuple=True)
    face = face_index[image, pixel]
    corners, point = face_vertices_image[image, face], pixels[pixel]
    with torch.no_grad():
        w = edge_functions(corners, point)
        weights = w / away_from_zero(w.sum(dim=-1), eps / multiplier**2)[..., None]
    a, b, c = corners.unbind(dim=-2)
    area = away_from_zero(cross(b - a, c - a), eps)
    w1, w2 = cross(point - a, c - a) / area, cross(b - a, point - a) / area
    moving = torch.stack((1 - w1 - w2, w1, w2), dim=-1)
    weights = weights + (moving - moving.detach())
    drawn = (weights[..., None] * face_features[image, face]).sum(dim=-2)
    out = drawn.new_zeros(*face_index.shape, face_features.shape[-1])
    return out.index_put((image, pixel), drawn)


def squared_distance(
    corners: Float[Tensor, "N 3 2"], point: Float[Tensor, "N 2"], edge_eps: float
) -> Float[Tensor, " N"]:
    """Squared distance to the nearest edge or corner, first of equals; `edge_eps` is added to squared edge lengths."""
    a, b, c = (corners - point[:, None]).unbind(dim=1)
    best = _line_distance(a, b, edge_eps)
    others = (_line_distance(b, c, edge_eps), _line_distance(c, a, edge_eps), *((v * v).sum(dim=-1) for v in (a, b, c)))
    for distance in others:
        best = torch.where(distance < best, distance, best)
    return best


def _line_distance(u: Tensor, v: Tensor, edge_eps: float) -> Tensor:
    """Squared distance from the origin to the line u v; 4, further than all corners, where the foot is outside u v."""
    edge = v - u
    length = (edge * edge).sum(dim=-1)
    along = -(u * edge).sum(dim=-1)
    inside = (along > 0) & (along < length)
    return torch.where(inside, cross(edge, u).square() / (length + edge_eps), 4.0)


def combine_chances(
    chance: Float[Tensor, " N"], pixel: Int[Tensor, " N"], face_index: Int[Tensor, "B H W"]
) -> Float[Tensor, "B H W"]:
    """1 - prod(1 - chance) per pixel, exactly 1 on covered pixels, with kaolin's slack in the gradient."""
    keep = chance.new_ones(face_index.numel()).scatter_reduce(0, pixel, 1 - chance.detach(), "prod")
    slope = keep[pixel] / (1 - chance.detach() + SLACK)
    mask = (1 - keep).index_add(0, pixel, slope * (chance - chance.detach()))
    return torch.where(face_index >= 0, 1.0, mask.view(face_index.shape))
