"""Texture maps from photos: where texels lie on the template, halves, flow sampling, filled backgrounds.

Layout of a map (structures.py): the lower half is the front of the body, head up; the upper half is the back, feet up.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from recon.template import Template

FACE_CHUNK_TEXELS = 64
"""Texels that are compared with all faces at once: few enough for a processor's cache."""


class TexelInterpolator(nn.Module):
    """Which point of the template's surface each texel shows: three vertices and their weights.

    A module only so that it follows the network to its device; constant for a topology, hence not part of the state.
    """

    def __init__(self, template: Template, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        corners, weights = _locate_texels(template, height, width)
        self.corners: Tensor
        self.weights: Tensor
        self.register_buffer("corners", corners, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, values: Float[Tensor, "B V C"]) -> Float[Tensor, "B C Ht Wt"]:
        """Interpolate vertex values at all texels."""
        texels = (values[:, self.corners] * self.weights[..., None]).sum(dim=2)
        return texels.transpose(1, 2).unflatten(2, self.size)


def _locate_texels(template: Template, height: int, width: int) -> tuple[Int[Tensor, "T 3"], Float[Tensor, "T 3"]]:
    """Vertices and barycentric weights of every texel, row by row; texels beside the atlas take the nearest face."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    u = (columns.flatten() + 0.5) / width
    v = 1 - (rows.flatten() + 0.5) / height
    face_uv = template.face_uv.to(device="cpu", dtype=torch.float64)
    owner, triangles = _all_turns(face_uv)
    faces, weights = [], []
    for texels in torch.stack((u, v), dim=1).to(torch.float64).split(FACE_CHUNK_TEXELS):
        best, barycentric = _nearest_face(texels, triangles)
        inside = barycentric.clamp(min=0)
        faces.append(owner[best])
        weights.append(inside / inside.sum(dim=1, keepdim=True))
    return template.faces.cpu()[torch.cat(faces)], torch.cat(weights).float()


def _all_turns(face_uv: Tensor) -> tuple[Tensor, Tensor]:
    """Faces with an area as they lie, and once more a turn lower or higher where they leave 0..1 (v wraps around)."""
    above = face_uv[..., 1].amax(dim=1) > 1
    below = face_uv[..., 1].amin(dim=1) < 0
    turn = face_uv.new_tensor([0.0, 1.0])
    index = torch.arange(len(face_uv))
    owner = torch.cat((index, index[above], index[below]))
    triangles = torch.cat((face_uv, face_uv[above] - turn, face_uv[below] + turn))
    across, along = (triangles[:, corner] - triangles[:, 0] for corner in (1, 2))
    has_area = across[:, 0] * along[:, 1] != across[:, 1] * along[:, 0]
    return owner[has_area], triangles[has_area]


def _nearest_face(points: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor]:
    """Of F triangles with an area the one [N] that N points are in, or least outside of, and the weights [N, 3]."""
    a, b, c = triangles.unbind(dim=1)
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    x, y = points[:, :1] - a[:, 0], points[:, 1:] - a[:, 1]
    beta = x * ac[:, 1] - y * ac[:, 0]
    gamma = ab[:, 0] * y - ab[:, 1] * x
    weights = [weight.div_(area) for weight in (area - beta - gamma, beta, gamma)]
    best = torch.minimum(torch.minimum(weights[0], weights[1]), weights[2]).argmax(dim=1, keepdim=True)
    return best[:, 0], torch.cat([weight.gather(1, best) for weight in weights], dim=1)


def assemble_halves(
    front: Float[Tensor, "B C H W"], back: Float[Tensor, "B C H W"] | None = None
) -> Float[Tensor, "B C H2 W"]:
    """A whole map from two halves that both stand upright; without a back, the front is mirrored to it (published)."""
    return torch.cat(((front if back is None else back).flip(2), front), dim=2)


def split_halves(texture: Float[Tensor, "B C H2 W"]) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B C H W"]]:
    """Front and back half of a map, both upright: inverse of `assemble_halves`."""
    upper, lower = texture.chunk(2, dim=2)
    return lower, upper.flip(2)


def sample_flow(image: Float[Tensor, "B 3 H W"], flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B 3 h w"]:
    """Copy colours along a flow: bilinear, edge colours beyond the border.

    Args:
        image: where colours come from.
        flow: per output pixel the place in the image, x right and y down, -1 and 1 at the borders of the image.
    """
    grid = flow.permute(0, 2, 3, 1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sample_flow_published(image: Float[Tensor, "B 3 H W"], flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B 3 h w"]:
    """As published: bicubic (may overshoot 0..1), black outside, -1 and 1 at the centres of the corner pixels."""
    grid = flow.permute(0, 2, 3, 1)
    return functional.grid_sample(image, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


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
    """Bilinear enlargement, corners not aligned; as two matrix products, which take a third of `interpolate`'s time."""
    if tuple(values.shape[2:]) == (height, width):
        return values
    down = _enlarging_matrix(values.shape[2], height, values)
    across = _enlarging_matrix(values.shape[3], width, values)
    return down @ (values @ across.T)


def _enlarging_matrix(coarse: int, fine: int, like: Tensor) -> Tensor:
    """[fine, coarse] weights of linear interpolation between pixel centres, constant beyond the outer ones."""
    places = (torch.arange(fine, device=like.device, dtype=like.dtype) + 0.5) * (coarse / fine) - 0.5
    steps = places.clamp(0, coarse - 1)[:, None] - torch.arange(coarse, device=like.device, dtype=like.dtype)
    return (1 - steps.abs()).clamp(min=0)


def fill_background(image: Float[Tensor, "B 3 H W"], mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B 3 H W"]:
    """Replace the background by colours of the person nearby, from coarser and coarser averages.

    Keeps the background from bleeding into what the photo hides. Black where the mask is empty.
    """
    weights, colours = [mask[:, None]], [image * mask[:, None]]
    while max(weights[-1].shape[2:]) > 1:
        weights.append(functional.avg_pool2d(weights[-1], 2, ceil_mode=True))
        colours.append(functional.avg_pool2d(colours[-1], 2, ceil_mode=True))
    filled = colours[-1] / weights[-1].clamp(min=1e-6)
    for weight, colour in zip(reversed(weights[:-1]), reversed(colours[:-1]), strict=True):
        filled = colour + (1 - weight) * enlarged(filled, *weight.shape[2:])
    return filled
