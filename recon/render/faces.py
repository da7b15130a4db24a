"""Mesh vertices to what the rasteriser takes: one record per face corner."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.geometry import face_corners
from recon.render.backends import Backend, resolve_backend


def gather_corners(
    vertices_ndc: Float[Tensor, "B V 2"],
    vertices_camera: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    sliver_area: float,
    backend: Backend = "auto",
) -> tuple[Float[Tensor, "B F 3 2"], Float[Tensor, "B F 3"], Float[Tensor, "B F"]]:
    """Corners, their depth and which way the faces look; only the corners carry gradients.

    Args:
        vertices_camera: the same vertices, camera frame.
        sliver_area: faces of a smaller doubled NDC area look away, so that they are not drawn.
        backend: see `recon.render.backends.resolve_backend`.

    Returns:
        NDC corners, camera-frame z of the corners, and z of the face normals (not of unit length; -1 for slivers).
    """
    if resolve_backend(backend, vertices_ndc) == "numba":
        from recon.render import numba_glue

        return numba_glue.gather_corners(vertices_ndc, vertices_camera, faces, sliver_area)
    corners = face_corners(vertices_ndc, faces)
    a, b, c = face_corners(vertices_camera.detach(), faces).unbind(dim=2)
    facing = _cross_z(b - a, c - a)
    area = _cross_z(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]).detach()
    facing = torch.where(area.abs() < sliver_area, -torch.ones_like(facing), facing)
    return corners, torch.stack((a[..., 2], b[..., 2], c[..., 2]), dim=-1), facing


def _cross_z(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 1] - v[..., 0] * u[..., 1]
