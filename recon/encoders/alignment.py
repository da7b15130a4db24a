"""Where the body lies in the image, and how it is seen: what ties image features to vertices and texels."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.camera import project, transform_points, world_to_camera
from recon.encoders.config import CameraRanges
from recon.geometry import vertex_normals
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
