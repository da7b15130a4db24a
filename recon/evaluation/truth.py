"""What is known about a photo, by any generator, and how answers are put beside it: unit, place and lens drop out."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import project_matrices, world_to_camera
from recon.evaluation.surfaces import Surface, draw_projected
from recon.structures import Camera

VIEW_DISTANCE = 3.0
VIEW_FOCAL = 5.0
"""Comparison views: distance in body heights and 1 / tan(half the field of view); the body fills 5/6 of the height."""

GAIN_LIMITS = (0.25, 4.0)


@dataclass(frozen=True)
class Truth:
    """Mesh, colours and camera behind one photo, in any unit of length.

    Attributes:
        surface: the person, world frame, +y up, facing +z; colours without light.
        azimuth_deg: camera azimuth; 0 looks at the front, positive towards +x.
        world_to_camera: [4, 4] rigid; the camera looks along -z, y up.
        intrinsics: [3, 3] in pixels of an image of `image_size`.
        image_size: (height, width) that the intrinsics belong to; the photo may be a resized copy.
    """

    surface: Surface
    azimuth_deg: float
    elevation_deg: float
    world_to_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    image_size: tuple[int, int]


def true_drawing(truth: Truth, size: tuple[int, int]) -> tuple[Float[Tensor, "3 H W"], Float[Tensor, "H W"]]:
    """The true mesh under its own camera: unlit colours over white and the hard silhouette."""
    vertices = truth.surface.vertices.float()[None]
    ndc, in_camera = project_matrices(
        vertices, truth.world_to_camera.to(vertices)[None], truth.intrinsics.to(vertices)[None], *truth.image_size
    )
    drawing = draw_projected(truth.surface, ndc, in_camera, size)
    return drawing.image[0], drawing.covered[0].float()


def photo_gain(truth: Truth, image: Float[Tensor, "3 H W"], mask: Float[Tensor, "H W"]) -> Float[Tensor, " 3"]:
    """The gain per channel that makes the true colours fit the photo best, within `GAIN_LIMITS`.

    True colours have no light, a photo has; a gain per channel is the part of the light that holds for every view.
    """
    drawn, covered = true_drawing(truth, (image.shape[1], image.shape[2]))
    weight = covered * mask
    squares = (weight * drawn.square()).sum(dim=(1, 2))
    gain = torch.where(squares > 0, (weight * drawn * image).sum(dim=(1, 2)) / squares.clamp(min=1e-9), 1.0)
    return gain.clamp(*GAIN_LIMITS)


def with_photo_colours(truth: Truth, image: Float[Tensor, "3 H W"], mask: Float[Tensor, "H W"]) -> Truth:
    """The truth with its colours multiplied by `photo_gain`."""
    gain = photo_gain(truth, image, mask)
    surface = truth.surface
    if surface.texture is None:
        return replace(truth, surface=replace(surface, corner_values=surface.corner_values * gain))
    return replace(truth, surface=replace(surface, texture=surface.texture * gain[None, :, None, None]))


def beside_truth(surface: Surface, camera: Camera, truth: Truth) -> Surface:
    """An answer in the canonical frame of the truth's world, so that its camera's view axis is the true one.

    Turning it afterwards by a known angle shows what it holds for the true relative camera, whatever azimuth it
    believes in.
    """
    own = world_to_camera(camera)[0, :3, :3].double()
    return surface.turned(truth.world_to_camera[:3, :3].double().T @ own).canonical()


def comparison_cameras(truth: Truth, turns_deg: Float[Tensor, " N"]) -> Camera:
    """Cameras on the true view axis turned about the vertical by `turns_deg`, for surfaces in the canonical frame."""
    axis = truth.world_to_camera[2, :3]
    azimuth = torch.rad2deg(torch.atan2(axis[0], axis[2])).float() + turns_deg
    elevation = torch.rad2deg(torch.asin(axis[1].clamp(-1, 1))).float()
    distance = torch.full_like(turns_deg, VIEW_DISTANCE)
    return Camera(
        azimuth, elevation.expand_as(turns_deg), distance, torch.zeros(len(turns_deg), 2).to(turns_deg), VIEW_FOCAL
    )


def true_apparent_distance(truth: Truth) -> float:
    """Depth of the body's centre in body heights, divided by the focal length in half image heights.

    Free of the unit and of the lens: what decides how large the body appears.
    """
    focal = 2 * float(truth.intrinsics[1, 1]) / truth.image_size[0]
    return _depth_in_heights(truth.surface, truth.world_to_camera) / focal


def apparent_distance(surface: Surface, camera: Camera) -> float:
    """`true_apparent_distance` of an answer in its own world under its own camera (a batch of one)."""
    return _depth_in_heights(surface, world_to_camera(camera)[0]) / camera.focal


def _depth_in_heights(surface: Surface, rigid: Tensor) -> float:
    corners = surface.vertices[surface.faces].reshape(-1, 3)
    low, high = corners.amin(dim=0), corners.amax(dim=0)
    depth = -(rigid[2, :3].to(corners) @ (low + high) / 2 + rigid[2, 3])
    return float(depth / (high[1] - low[1]))
