"""Texture lookup and spherical harmonics by hand."""

import pytest
import torch

from recon.render.scene import minified, sample_texture, shade, spherical_harmonic_lighting

TEXTURE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]]]).expand(1, 3, 4, 2)


def look_up(backend: str, u: float, v: float) -> float:
    uv = torch.tensor([[[[u, v]]]])
    if backend == "torch":
        return float(sample_texture(TEXTURE, uv)[0, 0])
    covered = torch.zeros(1, 1, 1, dtype=torch.long)
    return 10 * float(shade(uv, covered, TEXTURE / 10, None, backend)[0, 0])


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize(
    ("u", "v", "expected"),
    [
        (0.25, 0.875, 1.0),  # centre of the first texel: row 0 is the v = 1 side
        (0.75, 0.125, 8.0),  # centre of the last
        (0.5, 0.75, 2.5),  # between four texels
        (0.0, 0.875, 1.0),  # u clamps
        (1.0, 0.875, 2.0),
        (0.25, 0.0, 4.0),  # v wraps: halfway between row 3 and row 0
        (0.25, 1.0, 4.0),
        (0.25, 0.0625, 5.5),
        (0.25, 0.9375, 2.5),
        (0.25, 1.875, 1.0),  # any v
        (0.25, -0.125, 1.0),
    ],
)
def test_bilinear_lookup(backend, u, v, expected):
    assert look_up(backend, u, v) == pytest.approx(expected, rel=1e-5)


def test_lighting_follows_the_published_constants():
    normals = torch.nn.functional.normalize(torch.tensor([[[0.3, -0.5, 0.8], [-0.6, 0.1, 0.4]]]), dim=-1)
    x, y, z = normals[0].unbind(dim=-1)
    one_at_a_time = [
        torch.full_like(x, 0.28209479177),
        0.4886025119 * x,
        0.4886025119 * z,
        0.4886025119 * y,
        1.09254843059 * x * y,
        1.09254843059 * y * z,
        0.94617469575 * z**2 - 0.31539156525,
        0.77254840404 * x * z,
        0.38627420202 * (x**2 - y**2),
    ]
    for term, expected in enumerate(one_at_a_time):
        gain = spherical_harmonic_lighting(normals, torch.eye(9)[term : term + 1])
        assert gain.shape == (1, 2)
        assert torch.allclose(gain[0], expected, atol=1e-6), term


def test_a_texture_finer_than_the_drawing_is_averaged_not_picked_from():
    stripes = torch.zeros(1, 3, 64, 32)
    stripes[:, :, ::4] = 1.0  # picking every fourth row gives black or white
    coarse = minified(stripes, rows=8)
    assert coarse.shape == (1, 3, 16, 8)
    torch.testing.assert_close(coarse, torch.full_like(coarse, 0.25))
    assert minified(stripes, rows=32) is stripes
