"""Camera model: orbit pose, look-at matrix, projection, the same as plain matrices, and which way a person faces.

An outline alone cannot tell front from back: azimuth a and 180 - a give the same one, mirrored in depth. Conventions:
structures.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recon.structures import Camera

Facing = Literal["front", "back", "left", "right"]
"""Towards the camera, away from it, or to the picture's left or right."""


def camera_centre_world(camera: Camera) -> Float[Tensor, "B 3"]:
    """Camera centres `d (cos e sin a, sin e, cos e cos a)`, world frame, before any offset."""
    azimuth, elevation = torch.deg2rad(camera.azimuth_deg), torch.deg2rad(camera.elevation_deg)
    direction = torch.stack((elevation.cos() * azimuth.sin(), elevation.sin(), elevation.cos() * azimuth.cos()), dim=-1)
    return direction * camera.distance[:, None]


def world_to_camera(camera: Camera) -> Float[Tensor, "B 4 4"]:
    """Rigid transforms: `p_camera = R p_world + t`; the camera looks along -z with +y up."""
    centre = camera_centre_world(camera)
    target = torch.zeros_like(centre)
    if camera.offset_frame == "world":
        target = torch.cat((camera.offset, torch.zeros_like(camera.offset[:, :1])), dim=-1)
    z_axis = torch.nn.functional.normalize(centre - target, dim=-1)
    up = torch.zeros_like(z_axis)
    up[:, 1] = 1.0
    x_axis = torch.nn.functional.normalize(torch.linalg.cross(up, z_axis), dim=-1)
    y_axis = torch.linalg.cross(z_axis, x_axis)
    rotation = torch.stack((x_axis, y_axis, z_axis), dim=1)
    translation = -(rotation @ centre[:, :, None])[:, :, 0]
    if camera.offset_frame == "camera":
        translation = translation + torch.cat((camera.offset, torch.zeros_like(camera.offset[:, :1])), dim=-1)
    top = torch.cat((rotation, translation[:, :, None]), dim=2)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(camera), 1, 4)
    return torch.cat((top, bottom), dim=1)


def in_camera_frame(camera: Camera) -> Camera:
    """The same views with `offset_frame` "camera": a look-at point beside the body turns the camera a little."""
    if camera.offset_frame == "camera":
        return camera
    rigid = world_to_camera(camera)
    axis = rigid[:, 2, :3]
    return Camera(
        azimuth_deg=torch.rad2deg(torch.atan2(axis[:, 0], axis[:, 2])),
        elevation_deg=torch.rad2deg(torch.asin(axis[:, 1].clamp(-1, 1))),
        distance=-rigid[:, 2, 3],
        offset=rigid[:, :2, 3],
        focal=camera.focal,
    )


def intrinsics_px(camera: Camera, height: int, width: int) -> Float[Tensor, "3 3"]:
    """Pinhole matrix in pixels for an image of `height` x `width`.

    A camera-frame point (x, y, z) lands at `column = fx x / -z + cx`, `row = fy (-y) / -z + cy`, where the centre of
    pixel (row i, column j) has coordinates (j + 0.5, i + 0.5).
    """
    focal_px = camera.focal * height / 2
    matrix = torch.eye(3, dtype=camera.distance.dtype, device=camera.distance.device)
    matrix[0, 0] = matrix[1, 1] = focal_px
    matrix[0, 2], matrix[1, 2] = width / 2, height / 2
    return matrix


def transform_points(points: Float[Tensor, "B V 3"], rigid: Float[Tensor, "B 4 4"]) -> Float[Tensor, "B V 3"]:
    """Apply rigid transforms to points."""
    return points @ rigid[:, :3, :3].transpose(1, 2) + rigid[:, None, :3, 3]


def project_camera(
    vertices_camera: Float[Tensor, "B V 3"], focal: float, height: int, width: int
) -> Float[Tensor, "B V 2"]:
    """Perspective projection of camera-frame points to NDC (y up)."""
    scale = vertices_camera.new_tensor([focal * height / width, focal])
    return vertices_camera[..., :2] * scale / -vertices_camera[..., 2:]


def project_matrices(
    vertices_world: Float[Tensor, "B V 3"],
    rigid: Float[Tensor, "B 4 4"],
    intrinsics: Float[Tensor, "B 3 3"],
    height: int,
    width: int,
) -> tuple[Float[Tensor, "B V 2"], Float[Tensor, "B V 3"]]:
    """Project with cameras given as matrices, for truth that another renderer wrote.

    Args:
        vertices_world: points, world frame.
        rigid: world-to-camera transforms (looking along -z, y up).
        intrinsics: pixel intrinsics as in `intrinsics_px`.
        height: image height that the intrinsics belong to, pixels.
        width: image width, pixels.

    Returns:
        NDC coordinates (y up) and camera-frame coordinates.
    """
    vertices_camera = transform_points(vertices_world, rigid)
    ray = vertices_camera * vertices_camera.new_tensor([1.0, -1.0, -1.0])
    homogeneous = ray @ intrinsics.transpose(1, 2)
    pixel = homogeneous[..., :2] / homogeneous[..., 2:]
    size = pixel.new_tensor([width, height])
    return (2 * pixel / size - 1) * pixel.new_tensor([1.0, -1.0]), vertices_camera


def project(
    vertices_world: Float[Tensor, "B V 3"], camera: Camera, height: int, width: int
) -> tuple[Float[Tensor, "B V 2"], Float[Tensor, "B V 3"]]:
    """World points to (NDC, camera frame) for an image of `height` x `width`."""
    vertices_camera = transform_points(vertices_world, world_to_camera(camera))
    return project_camera(vertices_camera, camera.focal, height, width), vertices_camera


def faces(azimuth_deg: float, facing: Facing) -> bool:
    """Whether a person seen from this azimuth (0 from the front, 90 from their left) faces that way, within 90°."""
    turn = (azimuth_deg + 180) % 360 - 180
    return {"front": abs(turn) <= 90, "back": abs(turn) >= 90, "left": turn >= 0, "right": turn <= 0}[facing]


def turned_round(camera: Camera, facings: Sequence[Facing | None]) -> tuple[Camera, list[int]]:
    """Cameras under which everybody faces where they do, and which of them had to change.

    Args:
        facings: one per photo; None leaves its camera alone.
    """
    azimuths = camera.azimuth_deg.tolist()
    wrong = [
        index
        for index, (azimuth, facing) in enumerate(zip(azimuths, facings, strict=True))
        if facing is not None and not faces(azimuth, facing)
    ]
    for index in wrong:
        azimuths[index] = 180 - azimuths[index] if facings[index] in ("front", "back") else -azimuths[index]
    azimuth = torch.tensor(azimuths, dtype=camera.azimuth_deg.dtype, device=camera.azimuth_deg.device)
    return replace(camera, azimuth_deg=(azimuth + 180) % 360 - 180), wrong
