"""Scenes to time the renderer with: bumpy ellipsoid people seen from all around."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recon.camera import project
from recon.geometry import face_corners
from recon.structures import Camera, TexturedMesh
from recon.template import ellipsoid_template

FEATURES = 3
"""Features per corner: as many as (u, v, gain) of the full renderer, or as a colour."""


@dataclass(frozen=True)
class SceneSpec:
    """Size of one scene; vertices follow from the subdivision level (3: 642, 4: 2562)."""

    name: str
    level: int
    height: int
    width: int
    batch: int


SCENES = (
    SceneSpec("people-128x64", 3, 128, 64, 48),
    SceneSpec("people-256x128", 3, 256, 128, 16),
    SceneSpec("people-128x64-fine", 4, 128, 64, 16),
)
"""The first is the one that product figures refer to."""


@dataclass(frozen=True)
class Scene:
    """One scene, ready to draw.

    Attributes:
        vertices_ndc: [B, V, 2].
        corners_z: [B, F, 3] camera-frame z.
        corners: [B, F, 3, 2] NDC, wants gradients.
        colours: [B, V, 3] vertex colours.
        features: [B, F, 3, 3] the same per corner, wants gradients.
        normals_z: [B, F].
        image_grad: [B, H, W, 3] what arrives from a loss on the image.
        mask_grad: [B, H, W] what arrives from a loss on the mask.
    """

    spec: SceneSpec
    mesh: TexturedMesh
    camera: Camera
    vertices_ndc: Tensor
    corners_z: Tensor
    corners: Tensor
    colours: Tensor
    features: Tensor
    normals_z: Tensor
    image_grad: Tensor
    mask_grad: Tensor


def build_scene(spec: SceneSpec, seed: int = 0) -> Scene:
    """Build a scene; equal arguments give equal numbers."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    batch, size = spec.batch, (spec.height, spec.width)
    template = ellipsoid_template(level=spec.level)
    waves = torch.sin(template.vertices.float() @ uniform(-9, 9, batch, 3, 3) + uniform(0, 6, batch, 1, 3))
    vertices = template.vertices.float() + 0.06 * waves
    mesh = TexturedMesh(vertices, template.faces, template.face_uv.float(), uniform(0, 1, batch, 3, 256, 64))
    camera = Camera(
        uniform(-180, 180, batch), uniform(-15, 15, batch), uniform(3.2, 4.4, batch), uniform(-0.1, 0.1, batch, 2)
    )
    vertices_ndc, vertices_camera = project(vertices, camera, *size)
    corners_camera = face_corners(vertices_camera, template.faces)
    a, b, c = corners_camera.unbind(dim=2)
    colours = uniform(0, 1, batch, vertices.shape[1], FEATURES)
    return Scene(
        spec=spec,
        mesh=mesh,
        camera=camera,
        vertices_ndc=vertices_ndc,
        corners_z=corners_camera[..., 2].contiguous(),
        corners=face_corners(vertices_ndc, template.faces).requires_grad_(),
        colours=colours,
        features=face_corners(colours, template.faces).requires_grad_(),
        normals_z=torch.linalg.cross(b - a, c - a)[..., 2],
        image_grad=torch.randn(batch, *size, FEATURES, generator=generator),
        mask_grad=torch.randn(batch, *size, generator=generator),
    )
