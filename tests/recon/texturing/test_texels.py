import math

import pytest
import torch

from recon.template import ellipsoid_template
from recon.texturing.texels import TexelInterpolator


@pytest.fixture(scope="module")
def template():
    return ellipsoid_template(level=2)


def test_texels_lie_where_the_layout_says(template):
    places = TexelInterpolator(template, 16, 8)(template.vertices[None])[0]
    x, y, z = places
    front, back = slice(8, 16), slice(0, 8)
    assert (z[front, 2:6] > 0).all() and (z[back, 2:6] < 0).all()
    # Columns grow with x; the front stands upright, the back on its head.
    assert (x[:, 1:] > x[:, :-1]).all()
    assert (y[front, 4][1:] < y[front, 4][:-1]).all()
    assert (y[back, 4][1:] > y[back, 4][:-1]).all()


def test_texels_agree_with_the_inverse_of_the_layout(template):
    height, width = 32, 16
    places = TexelInterpolator(template, height, width)(template.vertices[None])[0]
    u = (torch.arange(width) + 0.5) / width
    v = 1 - (torch.arange(height) + 0.5) / height
    x = torch.sin((u - 0.5) * math.pi) * 0.45
    torch.testing.assert_close(places[0], x.expand(height, width), atol=0.03, rtol=0)
    around = torch.cos((u - 0.5) * math.pi)
    turn = (0.5 - v)[:, None] * 2 * math.pi
    torch.testing.assert_close(places[1], 0.9 * around * torch.cos(turn), atol=0.06, rtol=0)
    torch.testing.assert_close(places[2], 0.225 * around * torch.sin(turn), atol=0.02, rtol=0)


def test_texel_weights_are_a_partition_of_unity(template):
    texels = TexelInterpolator(template, 16, 8)
    torch.testing.assert_close(texels(torch.ones(2, len(template.vertices), 1)), torch.ones(2, 1, 16, 8))
    assert (texels.weights >= 0).all()
    assert not list(texels.state_dict())
