"""The renderer's one entry: a textured mesh and a camera in, image and soft mask out."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from recon.camera import project
from recon.geometry import face_corners, face_normals
from recon.render.api import Backend, dibr_rasterization, resolve_backend
from recon.structures import Camera, TexturedMesh


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
        backend: see `recon.render.api.resolve_backend`.

    Returns:
        NDC corners, camera-frame z of the corners, and z of the face normals (not of unit length; -1 for slivers).
    """
    if resolve_backend(backend, vertices_ndc) == "numba":
        from recon.render import numba_cpu

        return numba_cpu.gather_corners(vertices_ndc, vertices_camera, faces, sliver_area)
    corners = face_corners(vertices_ndc, faces)
    a, b, c = face_corners(vertices_camera.detach(), faces).unbind(dim=2)
    facing = _cross_z(b - a, c - a)
    area = _cross_z(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]).detach()
    facing = torch.where(area.abs() < sliver_area, -torch.ones_like(facing), facing)
    return corners, torch.stack((a[..., 2], b[..., 2], c[..., 2]), dim=-1), facing


def _cross_z(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 1] - v[..., 0] * u[..., 1]


AMBIENT = 0.28209479177
"""First spherical-harmonic constant: the gain of light (1, 0, ..., 0)."""


def sample_texture(texture: Float[Tensor, "B C Ht Wt"], uv: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B C H W"]:
    """Bilinear texture lookup, differentiable in both arguments.

    Texel centres lie at half-integer positions. u clamps to the border texels; v wraps around, so the upper edge of row
    0 (v = 1) joins the lower edge of the last row (v = 0).

    Args:
        texture: row 0 is at v = 1.
        uv: texture coordinates; u in 0..1, any v.

    Returns:
        Colours, in the range of `texture`.
    """
    height = texture.shape[2]
    padded = torch.cat((texture[:, :, -1:], texture, texture[:, :, :1]), dim=2)
    u, v = uv.unbind(dim=-1)
    v = v - v.detach().floor()
    row = (2 * height * (1 - v) + 2) / (height + 2) - 1
    grid = torch.stack((2 * u - 1, row), dim=-1)
    return functional.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)


FINEST_ROWS = 2
"""Texels that a drawn row may pass over; finer textures are averaged first, as a viewer's mipmaps do."""


def minified(texture: Float[Tensor, "B C Ht Wt"], rows: int) -> Float[Tensor, "B C ht wt"]:
    """The texture averaged to at most twice the rows of a drawing; coarser ones stay as they are.

    A drawing that looks up single texels of a fine texture shows noise (aliasing) where a viewer shows cloth.

    Args:
        texture: any range.
        rows: height of the drawing, pixels.
    """
    height, width = texture.shape[2:]
    most = FINEST_ROWS * rows
    if height <= most:
        return texture
    return functional.interpolate(texture, (most, max(1, round(width * most / height))), mode="area")


def spherical_harmonic_lighting(normals: Float[Tensor, "B *N 3"], light: Float[Tensor, "B 9"]) -> Float[Tensor, "B *N"]:
    """Gain for camera-frame unit normals under nine spherical-harmonic coefficients.

    Source: 3D Magic Mirror, section 4; constants as in kaolin (those of xz and x^2 - y^2 are not the textbook ones).

    Args:
        normals: camera frame, unit length.
        light: coefficients; (3, 0, ..., 0) gives 0.846 everywhere.

    Returns:
        Gain to multiply colours by; may leave 0..1.
    """
    x, y, z = normals.unbind(dim=-1)
    terms = (
        torch.full_like(x, AMBIENT),
        0.4886025119 * x,
        0.4886025119 * z,
        0.4886025119 * y,
        1.09254843059 * x * y,
        1.09254843059 * y * z,
        0.94617469575 * z * z - 0.31539156525,
        0.77254840404 * x * z,
        0.38627420202 * (x * x - y * y),
    )
    basis = torch.stack(terms, dim=-1).reshape(len(light), -1, 9)
    return (basis @ light[:, :, None])[..., 0].reshape(x.shape)


def shade(
    features: Float[Tensor, "B H W D"],
    face_index: Int[Tensor, "B H W"],
    texture: Float[Tensor, "B 3 Ht Wt"],
    background: Float[Tensor, "B 3 H W"] | None,
    backend: Backend = "auto",
) -> Float[Tensor, "B 3 H W"]:
    """Texture, light and background to an image.

    Args:
        features: interpolated (u, v) or (u, v, gain).
        face_index: visible face, -1 where the background shows.
        texture: see `sample_texture`.
        background: white when None.
        backend: see `recon.render.api.resolve_backend`.

    Returns:
        Colours clamped to 0..1, the only clamp.
    """
    if resolve_backend(backend, features) == "numba":
        from recon.render import numba_cpu

        return numba_cpu.shade(features, face_index, texture, background)
    colours = sample_texture(texture, features[..., :2])
    if features.shape[-1] > 2:
        colours = colours * features[..., 2][:, None]
    behind = colours.new_ones(()) if background is None else background
    return torch.where(face_index[:, None] >= 0, colours, behind).clamp(0, 1)


SLIVER_AREA = 1e-10
"""Doubled NDC area below which a face cannot be interpolated: 1e-5 of a pixel at 512 x 512."""


@dataclass(frozen=True)
class RenderSettings:
    """How to draw.

    Attributes:
        sigmainv: sharpness of the soft mask, 1 / NDC^2.
        boxlen: how far the soft mask reaches beyond a face's box, NDC.
        knum: faces per pixel in the soft mask at most, the first by index.
        backend: see `recon.render.api.load_backend`.
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
