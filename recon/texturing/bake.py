"""Texture from one photo: what the camera saw comes from the photo at full resolution, the rest is continued from it.

Unseen surface takes the colours that the photo shows at the outline at about the same height of the body: sleeves
continue sleeves, hair continues hair, and a face is not repeated on the back of the head. It is a guess, and
`BakedTexture.seen` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import project
from recon.geometry import vertex_normals
from recon.render.api import rasterize
from recon.structures import Camera
from recon.template import Template
from recon.texturing.fill import push_pull
from recon.texturing.texels import TexelMap

_FACING_SEEN = (0.10, 0.40)
_DEPTH_TOLERANCE = 0.03
_SOURCES = 1500
_GUESS_GRID = (96, 48)
_REACH = (0.12, 0.012, 0.20)


@dataclass(frozen=True)
class BakedTexture:
    """A texture and where it comes from.

    Attributes:
        texture: [3, Ht, Wt], 0..1.
        seen: [Ht, Wt], 1 where the photo showed the surface, 0 where the colour is a guess.
        frontal: [Ht, Wt], `seen` times the cosine between surface and viewing ray: how large the photo showed it.
        seen_fraction: mean of `seen` over the layout.
        vertex_seen: [V], the same at the vertices.
        mean_colour: [3] of the body before cloth was continued, photographed or guessed by networks; tells
            exposures apart. None for that of the texture.
    """

    texture: Float[Tensor, "3 Ht Wt"]
    seen: Float[Tensor, "Ht Wt"]
    frontal: Float[Tensor, "Ht Wt"]
    seen_fraction: float
    vertex_seen: Float[Tensor, " V"]
    mean_colour: Float[Tensor, " 3"] | None = None


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
        vertices: fitted vertices, world frame.
        camera: one camera (batch 1) that took the crop.
        texels: from `map_texels`.
    """
    on_layout = texels.on_layout
    view = SurfaceView(vertices, camera, template, (image.shape[1], image.shape[2]))
    seen_texels = view.at(lambda values: texels.interpolate(values, template.faces, on_layout))
    person = push_pull(image, eroded(mask))
    colour = image.new_zeros(3, *on_layout.shape)
    colour[:, on_layout] = _sampled(person, seen_texels.points[None, None], "bilinear")
    seen, frontal, outline = (torch.zeros_like(colour[0]) for _ in range(3))
    seen[on_layout] = seen_texels.seen
    frontal[on_layout] = seen_texels.seen * seen_texels.facing
    outline[on_layout] = outline_weight(seen_texels.facing)
    guess = _continue_unseen(colour, seen, outline, template, texels)
    texture = colour * seen + guess * (1 - seen)
    texture = push_pull(texture, on_layout.to(texture.dtype)).clamp(0, 1)
    return BakedTexture(texture, seen, frontal, float(seen_texels.seen.mean()), view.at(lambda values: values).seen)


@dataclass(frozen=True)
class PointView:
    """How a camera sees N points of a surface.

    Attributes:
        points: [N, 2] where they lie in the photo, sampler coordinates (x right, y down).
        seen: [N] 1 where the camera sees the surface well, falling to 0 at grazing angles and where it is hidden.
        facing: [N] cosine between the normal and the viewing ray.
    """

    points: Float[Tensor, "N 2"]
    seen: Float[Tensor, " N"]
    facing: Float[Tensor, " N"]


class SurfaceView:
    """One body as one camera sees it, with what it hides from itself."""

    def __init__(
        self, vertices: Float[Tensor, "V 3"], camera: Camera, template: Template, size: tuple[int, int]
    ) -> None:
        ndc, self._in_camera = project(vertices[None], camera, *size)
        self._focal, self._size = camera.focal, size
        self._facing = _facing(self._in_camera, template)[0]
        self._nearest = _depth_map(ndc, self._in_camera, template, size)

    def at(self, interpolated: Callable[[Tensor], Tensor]) -> PointView:
        """See points of the surface; `interpolated` turns vertex values [V, C] into values [N, C] at those points."""
        values = interpolated(torch.cat((self._in_camera[0], self._facing[:, None]), dim=1))
        x, y, z, facing = values.T.contiguous()
        height, width = self._size
        scale = self._focal / -z
        points = torch.stack((x * scale * (height / width), -y * scale), dim=1)
        low, high = _FACING_SEEN
        ramp = ((facing - low) / (high - low)).clamp(0, 1)
        nearest = _sampled(self._nearest, points[None, None], "nearest")[0]
        seen = ramp * ramp * (3 - 2 * ramp) * (z >= nearest - _DEPTH_TOLERANCE)
        return PointView(points, seen, facing)


def outline_weight(facing: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """How much a point tells about the unseen side: the more, the nearer it is to the outline."""
    return (1.2 - facing).clamp(min=0.05) ** 2


def _sampled(field: Tensor, grid: Tensor, mode: str) -> Tensor:
    """[C, N] values of [C, H, W] at the points [1, 1, N, 2]."""
    values = torch.nn.functional.grid_sample(field[None], grid, mode=mode, padding_mode="border", align_corners=False)
    return values[0, :, 0]


def eroded(mask: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """1 well inside the mask, whose border pixels mix in the background; the whole of masks that are nothing else."""
    inside = (mask > 0.5).to(mask.dtype)
    radius = max(1, mask.shape[0] // 256)
    eroded = _smallest_within(_smallest_within(inside, radius).T, radius).T
    return eroded if bool(eroded.any()) else inside


def _smallest_within(values: Tensor, radius: int) -> Tensor:
    """Least value of each column's pixels within `radius` rows; maximum pooling takes many times longer on a CPU."""
    smallest = values.clone()
    for shift in range(1, radius + 1):
        torch.minimum(smallest[shift:], values[:-shift], out=smallest[shift:])
        torch.minimum(smallest[:-shift], values[shift:], out=smallest[:-shift])
    return smallest


def _facing(in_camera: Tensor, template: Template) -> Tensor:
    """[1, V] cosine between vertex normal and viewing ray: 1 looks straight at the camera, wherever the vertex is."""
    towards = torch.nn.functional.normalize(-in_camera, dim=-1)
    return (vertex_normals(in_camera, template.faces) * towards).sum(dim=-1)


def _depth_map(ndc: Tensor, in_camera: Tensor, template: Template, size: tuple[int, int]) -> Tensor:
    """[1, H, W] camera-frame z of the nearest surface; far away where there is none.

    To be sampled with "nearest": a texel on an outline must not be hidden by a mix with the background behind it.
    """
    depth = in_camera[..., 2][:, template.faces]
    nearest, index = rasterize(*size, depth, ndc[:, template.faces], depth[..., None])
    assert isinstance(nearest, Tensor)
    return torch.where(index >= 0, nearest[..., 0], torch.full_like(nearest[..., 0], -1e3))


def _continue_unseen(colour: Tensor, seen: Tensor, outline: Tensor, template: Template, texels: TexelMap) -> Tensor:
    """[3, Ht, Wt] colours for what the photo does not show: outline colours at about the same height, nearest first.

    Distances are those on the template: there the arms hang clear of the body, whatever the pose in the photo.
    """
    known = (seen > 0.5).nonzero()
    if len(known) == 0:
        return colour
    sources = torch.zeros_like(texels.on_layout)
    rows, columns = known[_evenly(len(known), _SOURCES, known)].unbind(dim=1)
    sources[rows, columns] = True
    coarse_rows, coarse_columns = (
        _evenly(full, coarse, known) for full, coarse in zip(colour.shape[1:], _GUESS_GRID, strict=True)
    )
    cells = texels.on_layout[coarse_rows][:, coarse_columns]
    wanted = torch.zeros_like(sources)
    wanted[coarse_rows[:, None], coarse_columns] = cells
    reach = template.vertices.new_tensor(_REACH)
    scaled = template.vertices / reach
    source_places = texels.interpolate(scaled, template.faces, sources)
    places = texels.interpolate(scaled, template.faces, wanted)
    # Softmax of minus the squared distances; the square of the wanted place is the same for all sources.
    bias = outline[sources].log() - source_places.square().sum(dim=1)
    affinity = torch.softmax(torch.addmm(bias, places, 2 * source_places.T), dim=1)
    coarse = colour.new_zeros(3, *cells.shape)
    coarse[:, cells] = (affinity @ colour[:, sources].T).T
    filled = push_pull(coarse, cells.to(colour.dtype))
    return torch.nn.functional.interpolate(filled[None], size=colour.shape[1:], mode="bilinear", align_corners=True)[0]


def _evenly(count: int, limit: int, like: Tensor) -> Tensor:
    """At most `limit` indices below `count`, evenly spread, first and last included."""
    return torch.linspace(0, count - 1, min(count, limit), device=like.device).round().long()
