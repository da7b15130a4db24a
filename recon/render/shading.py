"""From interpolated texture coordinates to colours: texture lookup, spherical-harmonic light, composition."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from recon.render.backends import Backend, resolve_backend

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
        backend: see `recon.render.backends.resolve_backend`.

    Returns:
        Colours clamped to 0..1, the only clamp.
    """
    if resolve_backend(backend, features) == "numba":
        from recon.render import numba_glue

        return numba_glue.shade(features, face_index, texture, background)
    colours = sample_texture(texture, features[..., :2])
    if features.shape[-1] > 2:
        colours = colours * features[..., 2][:, None]
    behind = colours.new_ones(()) if background is None else background
    return torch.where(face_index[:, None] >= 0, colours, behind).clamp(0, 1)
