"""Texture from one photo: what the camera saw comes from the photo at full resolution, the rest is continued from it.

Unseen surface takes the colours that the photo shows at the outline at about the same height of the body: sleeves
continue sleeves, hair continues hair, and a face is not repeated on the back of the head. It is a guess, and
`BakedTexture.seen` says so.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.camera import project, transform_points, world_to_camera
from recon.geometry import vertex_normals
from recon.render.api import rasterize
from recon.structures import Camera
from recon.template import Template

_FACING_SEEN = (0.10, 0.40)
_DEPTH_TOLERANCE = 0.03
_SOURCES = 2500
_GUESS_GRID = (96, 48)
_REACH = (0.12, 0.012, 0.20)


@dataclass(frozen=True)
class TexelMap:
    """Which point of the surface every texel shows.

    Attributes:
        face_index: [Ht, Wt] face, -1 for texels outside the layout.
        weights: [Ht, Wt, 3] barycentric weights of its corners.
    """

    face_index: Int[Tensor, "Ht Wt"]
    weights: Float[Tensor, "Ht Wt 3"]

    def interpolate(self, values: Float[Tensor, "V C"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "Ht Wt C"]:
        """Vertex values at every texel; texels outside the layout get those of face 0."""
        corners = values[faces[self.face_index.clamp(min=0)]]
        return (corners * self.weights[..., None]).sum(dim=2)


@dataclass(frozen=True)
class BakedTexture:
    """A texture and where it comes from.

    Attributes:
        texture: [3, Ht, Wt], 0..1.
        seen: [Ht, Wt], 1 where the photo showed the surface, 0 where the colour is a guess.
    """

    texture: Float[Tensor, "3 Ht Wt"]
    seen: Float[Tensor, "Ht Wt"]


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


def bake_texture(
    image: Float[Tensor, "3 H W"],
    mask: Float[Tensor, "H W"],
    vertices: Float[Tensor, "V 3"],
    camera: Camera,
    template: Template,
    texels: TexelMap,
) -> BakedTexture:
    """Texture of one fitted mesh.

    Args:
        image: the photo's crop, 0..1, at about the texture's resolution or finer.
        mask: its mask.
        vertices: fitted vertices, world frame.
        camera: one camera (batch 1) that took the crop.
        template: faces and layout.
        texels: from `map_texels`.
    """
    height, width = image.shape[1:]
    person = push_pull(image, (mask > 0.5).to(image.dtype) * _eroded(mask))
    points = texels.interpolate(vertices, template.faces)
    normals_camera = _camera_normals(vertices, camera, template)
    facing = texels.interpolate(normals_camera, template.faces)[..., 2]
    ndc, in_camera = project(points.reshape(1, -1, 3), camera, height, width)
    grid = (ndc * ndc.new_tensor([1.0, -1.0])).reshape(1, *facing.shape, 2)
    colour = torch.nn.functional.grid_sample(
        person[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    visible = _visible(vertices, camera, template, grid, in_camera[0, :, 2].reshape(facing.shape), (height, width))
    low, high = _FACING_SEEN
    ramp = ((facing - low) / (high - low)).clamp(0, 1)
    seen = ramp * ramp * (3 - 2 * ramp) * visible * (texels.face_index >= 0)
    # Distances on the template: there the arms hang clear of the body, whatever the pose in the photo.
    places = texels.interpolate(template.vertices, template.faces)
    guess = _continue_unseen(colour, seen, facing, places, texels)
    texture = colour * seen + guess * (1 - seen)
    return BakedTexture(push_pull(texture, (texels.face_index >= 0).to(texture.dtype)).clamp(0, 1), seen)


def push_pull(image: Float[Tensor, "C H W"], weight: Float[Tensor, "H W"]) -> Float[Tensor, "C H W"]:
    """Fill where `weight` is 0 from the nearest known colours, coarse to fine; known colours stay exactly as they are.

    Args:
        image: colours.
        weight: 0..1, trust in each pixel.
    """
    levels = [(image * weight, weight)]
    while min(levels[-1][1].shape) > 1:
        colours, trust = levels[-1]
        pad = (0, trust.shape[1] % 2, 0, trust.shape[0] % 2)
        stacked = torch.nn.functional.pad(torch.cat((colours, trust[None])), pad)
        pooled = torch.nn.functional.avg_pool2d(stacked[None], 2)[0] * 4
        scale = 1 / pooled[-1].clamp(min=1.0)
        levels.append((pooled[:-1] * scale, pooled[-1] * scale))
    colours, trust = levels[-1]
    filled = colours / trust.clamp(min=1e-6)
    for colours, trust in reversed(levels[:-1]):
        coarse = torch.nn.functional.interpolate(
            filled[None], size=(trust.shape[0] + trust.shape[0] % 2, trust.shape[1] + trust.shape[1] % 2),
            mode="bilinear", align_corners=False,
        )[0, :, : trust.shape[0], : trust.shape[1]]  # fmt: skip
        filled = colours + coarse * (1 - trust)
    return filled


def _eroded(mask: Tensor) -> Tensor:
    """1 well inside the mask: its border pixels mix in the background."""
    radius = max(1, mask.shape[0] // 256)
    size = 2 * radius + 1
    outside = torch.nn.functional.max_pool2d(1 - (mask > 0.5).to(mask.dtype)[None], size, stride=1, padding=radius)
    inside = 1 - outside[0]
    return inside if bool(inside.any()) else (mask > 0.5).to(mask.dtype)


def _camera_normals(vertices: Tensor, camera: Camera, template: Template) -> Tensor:
    """[V, 3] unit normals against the viewing ray: z = 1 looks straight at the camera, wherever the vertex is."""
    rigid = world_to_camera(camera)
    in_camera = transform_points(vertices[None], rigid)
    normals = vertex_normals(in_camera, template.faces)
    towards = torch.nn.functional.normalize(-in_camera, dim=-1)
    facing = (normals * towards).sum(dim=-1, keepdim=True)
    return torch.cat((normals[..., :2], facing), dim=-1)[0]


def _visible(
    vertices: Tensor, camera: Camera, template: Template, grid: Tensor, depth: Tensor, size: tuple[int, int]
) -> Tensor:
    """1 for texels whose point is the nearest surface on its ray, to a tolerance of a few centimetres."""
    ndc, in_camera = project(vertices[None], camera, *size)
    corner_depth = in_camera[..., 2][:, template.faces]
    nearest, index = rasterize(*size, corner_depth, ndc[:, template.faces], corner_depth[..., None])
    assert isinstance(nearest, Tensor)
    surface = torch.where(index >= 0, nearest[..., 0], torch.full_like(nearest[..., 0], -1e3))
    # The nearest of the pixels around: a texel on an outline must not be hidden by the next pixel's background.
    seen_depth = torch.nn.functional.grid_sample(surface[:, None], grid, mode="nearest", padding_mode="border", align_corners=False)[0, 0]
    return (depth >= seen_depth - _DEPTH_TOLERANCE).to(depth.dtype)


def _continue_unseen(colour: Tensor, seen: Tensor, facing: Tensor, points: Tensor, texels: TexelMap) -> Tensor:
    """[3, Ht, Wt] colours for what the photo does not show: outline colours at about the same height, nearest first."""
    known = ((seen > 0.5) & (texels.face_index >= 0)).nonzero()
    if len(known) == 0:
        return colour
    pick = known[torch.linspace(0, len(known) - 1, min(_SOURCES, len(known))).round().long()]
    rows, columns = pick.unbind(dim=1)
    outline = (1.2 - facing[rows, columns]).clamp(min=0.05) ** 2
    coarse_rows = torch.linspace(0, colour.shape[1] - 1, _GUESS_GRID[0]).round().long()
    coarse_columns = torch.linspace(0, colour.shape[2] - 1, _GUESS_GRID[1]).round().long()
    wanted = points[coarse_rows][:, coarse_columns].reshape(-1, 3)
    reach = points.new_tensor(_REACH)
    squared = torch.cdist(wanted / reach, points[rows, columns] / reach).square()
    affinity = torch.softmax(-squared + outline.log(), dim=1)
    coarse = (affinity @ colour[:, rows, columns].T).T.reshape(3, *_GUESS_GRID)
    inside = (texels.face_index[coarse_rows][:, coarse_columns] >= 0).to(colour.dtype)
    return torch.nn.functional.interpolate(
        push_pull(coarse, inside)[None], size=colour.shape[1:], mode="bilinear", align_corners=True
    )[0]
