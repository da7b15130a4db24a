"""Where the texels of a texture lie on the template's surface.

Fine textures are rasterised. The coarse maps that networks read also need places for texels beside the layout, which
must not change under trained weights: they go on from the nearest face, found among all faces.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from recon.render.api import rasterize
from recon.template import Template

FACE_CHUNK_TEXELS = 64
"""Texels that are compared with all faces at once: few enough for a processor's cache."""


@dataclass(frozen=True)
class TexelMap:
    """Which point of the surface every texel shows.

    Attributes:
        face_index: [Ht, Wt] face, -1 for texels outside the layout.
        weights: [Ht, Wt, 3] barycentric weights of its corners.
    """

    face_index: Int[Tensor, "Ht Wt"]
    weights: Float[Tensor, "Ht Wt 3"]

    @property
    def on_layout(self) -> Bool[Tensor, "Ht Wt"]:
        """True for texels that show some surface."""
        return self.face_index >= 0

    def interpolate(
        self, values: Float[Tensor, "V C"], faces: Int[Tensor, "F 3"], where: Bool[Tensor, "Ht Wt"]
    ) -> Float[Tensor, "N C"]:
        """Vertex values at the texels `where` is true, row by row; all of them must be on the layout."""
        corners = values[faces[self.face_index[where]]]
        return (corners * self.weights[where][..., None]).sum(dim=1)


def map_texels(template: Template, height: int, width: int) -> TexelMap:
    """Rasterise the texture layout itself: texel to face and barycentric weights.

    Where two faces share a texel the outermost one of its half wins. Faces that cross v = 1 are drawn on both sides.
    """
    corners = 2 * template.face_uv - 1
    wraps = template.face_uv[..., 1].amax(dim=1) > 1
    shifted = corners[wraps] - corners.new_tensor([0.0, 2.0])
    owner = torch.cat((torch.arange(len(corners), device=corners.device), wraps.nonzero()[:, 0]))
    drawn = torch.cat((corners, shifted))
    back = drawn[..., 1].mean(dim=1) > 0
    depth = template.vertices[template.faces][..., 2][owner]
    depth = torch.where(back[:, None], -depth, depth)
    corner_weights = torch.eye(3, device=corners.device).expand(len(drawn), 3, 3)
    weights, index = rasterize(height, width, depth[None], drawn[None], corner_weights[None])
    assert isinstance(weights, Tensor)
    index = index[0]
    return TexelMap(torch.where(index >= 0, owner[index.clamp(min=0)], index), weights[0])


def nearest_on_layout(on_layout: Bool[Tensor, "Ht Wt"]) -> Int[Tensor, "Ht Wt"]:
    """Rank, row by row among the texels on the layout, of the nearest one; so that borders bleed outwards."""
    rows, columns = distance_transform_edt(~on_layout.cpu().numpy(), return_distances=False, return_indices=True)
    rank = torch.cumsum(on_layout.flatten(), dim=0).view(on_layout.shape) - 1
    return rank[torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]


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
