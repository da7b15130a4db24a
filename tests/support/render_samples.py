"""Small scenes and helpers for the renderer's tests."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recon.camera import project
from recon.geometry import face_corners
from recon.render.api import dibr_rasterization, rasterize
from recon.structures import Camera
from recon.template import ellipsoid_template

EXACT = ("reference", torch.float64)
CHOICES = [EXACT, ("torch", torch.float64), ("torch", torch.float32), ("numba", torch.float32)]
NAMES = ["reference-f64", "torch-f64", "torch-f32", "numba-f32"]


@dataclass(frozen=True)
class Corners:
    """Rasteriser input: z [B, F, 3], xy [B, F, 3, 2], features [B, F, 3, D], normals_z [B, F]."""

    z: Tensor
    xy: Tensor
    features: Tensor
    normals_z: Tensor


def body(level: int, batch: int, size: tuple[int, int], seed: int = 0, depth: int = 3) -> Corners:
    """Bumpy ellipsoids from random sides, float64."""
    generator = torch.Generator().manual_seed(seed)
    template = ellipsoid_template(level=level)
    noise = torch.randn(batch, *template.vertices.shape, generator=generator, dtype=torch.float64)
    vertices = template.vertices.double() + 0.03 * noise
    angle = (torch.rand(2, batch, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([[360.0], [40.0]])
    camera = Camera(angle[0], angle[1], torch.full((batch,), 3.5, dtype=torch.float64), vertices.new_zeros(batch, 2))
    ndc, in_camera = project(vertices, camera, *size)
    corners = face_corners(in_camera, template.faces)
    a, b, c = corners.unbind(dim=2)
    features = torch.rand(batch, len(template.faces), 3, depth, generator=generator, dtype=torch.float64)
    # Rounded to float32, so that every backend gets the same numbers.
    parts = (corners[..., 2], face_corners(ndc, template.faces), features, torch.linalg.cross(b - a, c - a)[..., 2])
    return Corners(*(part.float().double() for part in parts))


def triangles(*points: tuple[tuple[float, float, float], ...]) -> Corners:
    """One image of hand-written faces: three (x, y, z) each; features are the face number + 1; all face the camera."""
    corners = torch.tensor(points, dtype=torch.float64)[None]
    count = corners.shape[1]
    features = torch.arange(1, count + 1, dtype=torch.float64)[None, :, None, None].expand(1, count, 3, 1)
    return Corners(corners[..., 2], corners[..., :2], features.clone(), torch.ones(1, count, dtype=torch.float64))


def draw_hard(scene: Corners, size: tuple[int, int], choice: tuple[str, torch.dtype]) -> tuple[Tensor, Tensor]:
    """Features and face index of all faces that look at the camera."""
    backend, dtype = choice
    features, index = rasterize(
        *size, scene.z.to(dtype), scene.xy.to(dtype), scene.features.to(dtype), scene.normals_z >= 0, backend=backend
    )
    return features, index


def values_and_gradients(
    scene: Corners, size: tuple[int, int], choice: tuple[str, torch.dtype], **options: float
) -> dict[str, Tensor]:
    """Everything a backend computes, in float64, with gradients of random projections of features and mask."""
    backend, dtype = choice
    xy, features = scene.xy.to(dtype).requires_grad_(), scene.features.to(dtype).requires_grad_()
    drawn, mask, index = dibr_rasterization(
        *size, scene.z.to(dtype), xy, features, scene.normals_z.to(dtype), rast_backend=backend, **options
    )
    generator = torch.Generator().manual_seed(5)
    hard_weight = torch.randn(drawn.shape, generator=generator).to(dtype)
    soft_weight = torch.randn(mask.shape, generator=generator).to(dtype)
    grad_xy, grad_features = torch.autograd.grad((drawn * hard_weight).sum(), (xy, features))
    (grad_mask,) = torch.autograd.grad((mask * soft_weight).sum(), xy)
    result = {
        "features": drawn, "mask": mask, "index": index,
        "xy": grad_xy, "corner features": grad_features, "mask to xy": grad_mask,
    }  # fmt: skip
    return {name: value.detach().double() for name, value in result.items()}
