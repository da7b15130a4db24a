"""What ties image features to vertices and texels: where the body lies in the image, how it is seen, what is there.

Integration (paper section 3.1, table 11): per vertex the features where it lies in the image, how they differ from
those of its neighbours, the global feature, and the vertex's own position. What follows is always a linear layer, and
sampling is linear too, so the layer is applied to the feature map *before* sampling: the same numbers with far less
work (2048 channels at 8 places instead of at 642 vertices).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from recon.camera import project, transform_points, world_to_camera
from recon.encoders.config import CameraRanges
from recon.geometry import MeshTopology, vertex_normals
from recon.structures import Camera

VIEW_CODE_SIZE = 6

CAMERA_STEPS = 5
"""What a camera can be moved by: azimuth and elevation (degrees), log of the distance, offset right and up."""


def mean_camera(ranges: CameraRanges, like: Tensor) -> Camera:
    """One camera in front, mid-range: what an untrained camera encoder predicts."""
    elevation_deg, distance = ranges.middle
    return Camera(
        azimuth_deg=like.new_zeros(1),
        elevation_deg=like.new_full((1,), elevation_deg),
        distance=like.new_full((1,), distance),
        offset=like.new_zeros(1, 2),
    )


def moved(camera: Camera, steps: Float[Tensor, "B 5"]) -> Camera:
    """The cameras, moved; azimuths stay within a turn.

    Args:
        steps: `CAMERA_STEPS` numbers each.
    """
    turned = camera.azimuth_deg + steps[:, 0]
    too_far = (turned > 180).to(turned) - (turned < -180).to(turned)
    return replace(
        camera,
        azimuth_deg=turned - 360 * too_far,
        elevation_deg=camera.elevation_deg + steps[:, 1],
        distance=camera.distance * steps[:, 2].exp(),
        offset=camera.offset + steps[:, 3:],
    )


def image_points(
    vertices_world: Float[Tensor, "B V 3"], camera: Camera, height: int, width: int
) -> Float[Tensor, "B V 2"]:
    """Where vertices lie in the image, as sampler coordinates: x right, y **down**, -1 and 1 at the borders."""
    ndc, _ = project(vertices_world, camera, height, width)
    return ndc * ndc.new_tensor([1.0, -1.0])


def published_points(vertices_world: Float[Tensor, "V 3"]) -> Float[Tensor, "1 V 2"]:
    """Raw template x and y as sampler coordinates, as published: upside down and without a camera."""
    return vertices_world[None, :, :2]


@dataclass(frozen=True)
class View:
    """How given cameras see given vertices; carries no gradient.

    Attributes:
        points: [B, V, 2] sampler coordinates of the vertices.
        facing: [B, V, 1] outward normal along the view axis, 1 towards the camera, -1 away from it.
        code: [B, 6] the cameras themselves, each value about -1..1.
    """

    points: Float[Tensor, "B V 2"]
    facing: Float[Tensor, "B V 1"]
    code: Float[Tensor, "B 6"]


@torch.no_grad()
def view_of(
    vertices_world: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    camera: Camera,
    ranges: CameraRanges,
    image_size: tuple[int, int],
) -> View:
    """See vertices through cameras.

    Args:
        vertices_world: vertices, world frame.
        faces: triangles, counter-clockwise from outside.
        ranges: the ranges that the view code is relative to.
        image_size: height and width, pixels.
    """
    rotation = world_to_camera(camera)
    rotation[:, :, 3] = 0
    normals = vertex_normals(vertices_world, faces)
    return View(
        points=image_points(vertices_world, camera, *image_size),
        facing=transform_points(normals, rotation)[..., 2:],
        code=view_code(camera, ranges),
    )


def view_code(camera: Camera, ranges: CameraRanges) -> Float[Tensor, "B 6"]:
    """Cosine and sine of the azimuth, elevation and distance relative to their ranges (-1..1), offset."""
    azimuth = torch.deg2rad(camera.azimuth_deg)
    relative = [
        2 * (value - low) / (high - low) - 1
        for value, (low, high) in (
            (camera.elevation_deg, ranges.elevation_deg),
            (camera.distance, ranges.distance),
        )
    ]
    return torch.cat((torch.stack((azimuth.cos(), azimuth.sin(), *relative), dim=1), camera.offset), dim=1)


def sampling_matrix(
    points: Float[Tensor, "B V 2"], height: int, width: int, corners_aligned: bool = False
) -> Float[Tensor, "B V HW"]:
    """Bilinear sampling with zero padding as a matrix over the pixels of a map, row by row.

    Args:
        points: sampler coordinates, x right, y down.
        corners_aligned: -1 and 1 are the centres of the corner pixels (else their outer borders).
    """
    x, y = points.unbind(dim=-1)
    if corners_aligned:
        column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
    else:
        column, row = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
    across = (1 - (column[..., None] - torch.arange(width, device=points.device)).abs()).clamp(min=0)
    down = (1 - (row[..., None] - torch.arange(height, device=points.device)).abs()).clamp(min=0)
    return (down[..., :, None] * across[..., None, :]).flatten(-2)


def neighbour_difference(x: Float[Tensor, "B V C"], topology: MeshTopology) -> Float[Tensor, "B V C"]:
    """Mean over the neighbours minus the vertex itself: `uniform_laplacian`, four times as fast for many channels."""
    mask = topology.neighbour_mask.to(x.dtype)
    weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    by_vertex = x.transpose(0, 1).flatten(1)
    means = functional.embedding_bag(topology.neighbours, by_vertex, mode="sum", per_sample_weights=weights)
    return (means - by_vertex).unflatten(1, (x.shape[0], x.shape[2])).transpose(0, 1)


def as_rows(feature_map: Float[Tensor, "B C H W"]) -> Float[Tensor, "B HW C"]:
    """A feature map as one row per pixel; free for channels-last maps."""
    return feature_map.permute(0, 2, 3, 1).flatten(1, 2)


class IntegratedLinear(nn.Module):
    """A linear layer over the integrated features of every vertex.

    Equals `Linear(concat(local, global, neighbour difference, own))`, local and neighbour parts for each map.
    """

    def __init__(self, map_channels: Sequence[int], global_features: int, own_features: int, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.sampled = nn.ModuleList(nn.Linear(c, 2 * out_features, bias=False) for c in map_channels)
        self.overall = nn.Linear(global_features, out_features)
        self.own = nn.Linear(own_features, out_features, bias=False)
        std = (2 / (2 * sum(map_channels) + global_features + own_features)) ** 0.5
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, std)
        nn.init.zeros_(self.overall.bias)

    def forward(
        self,
        maps: Sequence[Float[Tensor, "B _ _ _"]],
        overall: Float[Tensor, "B G"],
        own: Float[Tensor, "J V P"],
        matrices: Sequence[Float[Tensor, "K V _"]],
        topology: MeshTopology,
    ) -> Float[Tensor, "B V D"]:
        """Vertex features.

        Args:
            own: what is known of each vertex, such as its position, per image (J = B) or shared (J = 1).
            matrices: one sampling matrix per map, per image (K = B) or shared (K = 1).
        """
        rows = torch.cat([layer(as_rows(m)) for layer, m in zip(self.sampled, maps, strict=True)], dim=1)
        here = torch.cat(list(matrices), dim=2)
        local, neighbour = rows.split(self.out_features, dim=2)
        if len(here) == 1:
            both = torch.cat((here, neighbour_difference(here, topology)), dim=2)
            sampled = both[0] @ torch.cat((local, neighbour), dim=1)
        else:
            sampled = here @ local + neighbour_difference(here @ neighbour, topology)
        return sampled + self.own(own) + self.overall(overall)[:, None]


def vertex_moments(
    matrix: Float[Tensor, "V HW"], rows: Float[Tensor, "B HW C"], prototype: Float[Tensor, "V 3"]
) -> Float[Tensor, "B C4"]:
    """Pool the features sampled at the vertices, independently of the vertices' order.

    Maximum, mean, and the means weighted by template x and by template y (left minus right, top minus bottom).
    Means are linear, so they are taken of the sampling matrix; of the samples only the maxima are needed.

    Args:
        rows: feature map, see `as_rows`.
    """
    centred = prototype[:, :2] - prototype[:, :2].mean(dim=0)
    weights = centred / centred.abs().sum(dim=0).clamp(min=1e-12)
    mean = torch.full_like(weights[:, :1], 1 / len(weights))
    moments = (torch.cat((mean, weights), dim=1).T @ matrix) @ rows
    return torch.cat((_largest_samples(matrix, rows), moments.flatten(1)), dim=1)


def _largest_samples(matrix: Tensor, rows: Tensor) -> Tensor:
    """[B, C] maximum over the vertices of `matrix @ rows`, with a gradient that touches the winners alone."""
    if not torch.is_grad_enabled():
        return (matrix @ rows).amax(dim=1)
    with torch.no_grad():
        winners = (matrix @ rows).max(dim=1).indices  # faster than argmax
    return (matrix[winners] * rows.transpose(1, 2)).sum(dim=2)
