"""The renderer's one entry: a textured mesh and a camera in, image and soft mask out."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.camera import project
from recon.geometry import face_normals
from recon.render.api import dibr_rasterization
from recon.render.backends import Backend
from recon.render.faces import gather_corners
from recon.render.shading import shade, spherical_harmonic_lighting
from recon.structures import Camera, TexturedMesh

SLIVER_AREA = 1e-10
"""Doubled NDC area below which a face cannot be interpolated: 1e-5 of a pixel at 512 x 512."""


@dataclass(frozen=True)
class RenderSettings:
    """How to draw.

    Attributes:
        sigmainv: sharpness of the soft mask, 1 / NDC^2.
        boxlen: how far the soft mask reaches beyond a face's box, NDC.
        knum: faces per pixel in the soft mask at most, the first by index.
        backend: see `recon.render.backends.load_backend`.
        drop_degenerate: keep faces without area out of the image; in kaolin one can claim the pixels it runs through.
        shade_background: multiply the background by the light of a zero normal, as published, instead of leaving it
            untouched.
    """

    sigmainv: float = 7000.0
    boxlen: float = 0.02
    knum: int = 30
    backend: Backend = "auto"
    drop_degenerate: bool = True
    shade_background: bool = False


@dataclass(frozen=True)
class Rendering:
    """What was drawn.

    Attributes:
        image: [B, 3, H, W], RGB, 0..1, over the background (white when none was given).
        mask: [B, H, W] soft silhouette, 0..1, exactly 1 on covered pixels.
        face_index: [B, H, W] index of the visible face, -1 where none.
    """

    image: Float[Tensor, "B 3 H W"]
    mask: Float[Tensor, "B H W"]
    face_index: Int[Tensor, "B H W"]


def render(
    mesh: TexturedMesh,
    camera: Camera,
    size: tuple[int, int],
    *,
    light: Float[Tensor, "B 9"] | None = None,
    background: Float[Tensor, "B 3 H W"] | None = None,
    settings: RenderSettings = RenderSettings(),
) -> Rendering:
    """Draw textured meshes, differentiably (DIB-R).

    Gradients reach vertices, camera, texture, light and background. Depth order has none; silhouettes learn through
    `mask`.

    Args:
        mesh: B meshes, world frame.
        size: (height, width), pixels.
        light: spherical harmonics in the camera frame, one normal per face; None leaves texture colours unchanged.
        background: what shows beside the mesh; None is white.
        settings: see `RenderSettings`.

    Returns:
        Image, soft mask, face index.

    Raises:
        ValueError: a dtype other than float32 and float64.
        BackendUnavailable: the backend asked for cannot run here.
    """
    vertices_ndc, vertices_camera = project(mesh.vertices, camera, *size)
    return render_projected(
        mesh, vertices_ndc, vertices_camera, size, light=light, background=background, settings=settings
    )


def render_projected(
    mesh: TexturedMesh,
    vertices_ndc: Float[Tensor, "B V 2"],
    vertices_camera: Float[Tensor, "B V 3"],
    size: tuple[int, int],
    *,
    light: Float[Tensor, "B 9"] | None = None,
    background: Float[Tensor, "B 3 H W"] | None = None,
    settings: RenderSettings = RenderSettings(),
) -> Rendering:
    """`render` for vertices that were projected already, for instance by `recon.camera.project_matrices`.

    Args:
        mesh: faces, texture coordinates and texture; its vertices are not used.
        vertices_camera: the same vertices in the camera frame.

    The other arguments, the result and the errors are those of `render`.
    """
    corners, z, facing = gather_corners(
        vertices_ndc, vertices_camera, mesh.faces, SLIVER_AREA if settings.drop_degenerate else 0.0, settings.backend
    )
    features = [mesh.face_uv.expand(len(mesh), -1, -1, -1)]
    if light is not None:
        gain = spherical_harmonic_lighting(face_normals(vertices_camera, mesh.faces), light)
        features.append(gain[:, :, None, None].expand(-1, -1, 3, 1))
        background = _shaded(background, light, size) if settings.shade_background else background
    drawn, mask, face_index = dibr_rasterization(
        *size, z, corners, torch.cat(features, dim=-1), facing,
        settings.sigmainv, settings.boxlen, settings.knum, rast_backend=settings.backend,
    )  # fmt: skip
    assert isinstance(drawn, Tensor)
    return Rendering(shade(drawn, face_index, mesh.texture, background, settings.backend), mask, face_index)


def render_silhouette(
    vertices_ndc: Float[Tensor, "B V 2"],
    vertices_camera: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    size: tuple[int, int],
    settings: RenderSettings = RenderSettings(),
) -> tuple[Float[Tensor, "B H W"], Int[Tensor, "B H W"]]:
    """Soft mask and face index alone, for fitting shapes: no texture, no light.

    Args:
        vertices_camera: the same vertices in the camera frame.
        size: (height, width), pixels.
        settings: see `RenderSettings`.

    Returns:
        Soft mask (differentiable in `vertices_ndc`) and face index, -1 where none.
    """
    corners, z, facing = gather_corners(
        vertices_ndc, vertices_camera, faces, SLIVER_AREA if settings.drop_degenerate else 0.0, settings.backend
    )
    nothing = corners.new_zeros(len(corners), len(faces), 3, 1)
    _, mask, face_index = dibr_rasterization(
        *size, z, corners, nothing, facing,
        settings.sigmainv, settings.boxlen, settings.knum, rast_backend=settings.backend,
    )  # fmt: skip
    return mask, face_index


def _shaded(background: Tensor | None, light: Tensor, size: tuple[int, int]) -> Tensor:
    """The background times the gain of a zero normal."""
    gain = spherical_harmonic_lighting(light.new_zeros(len(light), 1, 3), light)[..., None, None]
    return gain * (light.new_ones(len(light), 3, *size) if background is None else background)
