import math

import pytest
import torch
from torch.nn import functional

from recon.template import ellipsoid_template
from recon.texturing.fields import (
    TexelInterpolator,
    TextureFields,
    assemble_halves,
    enlarged,
    fill_background,
    paint_texture,
    sample_flow,
    sample_flow_published,
    split_halves,
)


@pytest.fixture(scope="module")
def template():
    return ellipsoid_template(level=2)


def centres(size: int) -> torch.Tensor:
    return (torch.arange(size) + 0.5) / size * 2 - 1


def identity_flow(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(centres(height), centres(width), indexing="ij")
    return torch.stack((x, y))[None]


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


def test_halves_mirror_the_front_unless_there_is_a_back():
    front, back = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    whole = assemble_halves(front, back)
    torch.testing.assert_close(whole[:, :, 4:], front)
    torch.testing.assert_close(whole[:, :, 3], back[:, :, 0])
    assert all(torch.equal(a, b) for a, b in zip(split_halves(whole), (front, back), strict=True))
    mirrored = assemble_halves(front)
    torch.testing.assert_close(mirrored, mirrored.flip(2))


def test_identity_flow_copies_the_image():
    image = torch.rand(2, 3, 6, 4)
    torch.testing.assert_close(sample_flow(image, identity_flow(6, 4).expand(2, -1, -1, -1)), image)
    rows, columns = torch.linspace(-1, 1, 6), torch.linspace(-1, 1, 4)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    torch.testing.assert_close(sample_flow_published(image, torch.stack((x, y)).expand(2, -1, -1, -1)), image)


def test_flow_directions():
    image = torch.zeros(1, 3, 4, 4)
    image[:, :, 0, 3] = 1.0
    upper_right = torch.tensor([1.0, -1.0])[None, :, None, None]
    assert sample_flow(image, upper_right).min() == 1.0
    assert sample_flow_published(image, upper_right).min() == pytest.approx(1.0)


def test_only_published_sampling_is_black_outside_and_overshoots():
    image = torch.zeros(1, 3, 8, 8)
    image[:, :, :, 4:] = 1.0
    outside = torch.full((1, 2, 1, 1), 1.6)
    assert sample_flow(image, outside).min() == 1.0
    assert sample_flow_published(image, outside).abs().max() < 0.2
    across = torch.stack((torch.linspace(-1, 1, 57), torch.zeros(57)))[None, :, None]
    assert sample_flow_published(image, across).max() > 1.01
    assert sample_flow(image, across).max() <= 1.0


@pytest.mark.parametrize("sampler", [sample_flow, sample_flow_published])
def test_flow_sampling_gradients(sampler):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    flow = (torch.rand(2, 2, 3, 3, dtype=torch.float64) * 1.4 - 0.7).requires_grad_()
    assert torch.autograd.gradcheck(sampler, (image, flow))


def test_enlarging_equals_bilinear_interpolation():
    values = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    expected = functional.interpolate(values, (20, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged(values, 20, 12), expected)
    assert enlarged(values, 5, 4) is values
    assert torch.autograd.gradcheck(lambda x: enlarged(x, 10, 7), values)


def test_gate_blends_copies_with_colours():
    photo = torch.rand(1, 3, 8, 4)
    flow = identity_flow(8, 4)
    colour = torch.full((1, 3, 8, 4), 0.25)
    for share in (0.0, 0.3, 1.0):
        painted = paint_texture(TextureFields(flow, torch.full((1, 1, 8, 4), share), colour), photo, 8, 4)
        torch.testing.assert_close(painted, share * photo + (1 - share) * 0.25)
    torch.testing.assert_close(paint_texture(TextureFields(flow), photo, 8, 4), photo)


def test_coarse_fields_paint_fine_textures_from_larger_photos():
    ramp = centres(32).expand(1, 3, 64, 32)
    painted = paint_texture(TextureFields(identity_flow(4, 8)), ramp, 64, 32)
    # Enlarging keeps the flow linear between the outermost coarse places.
    torch.testing.assert_close(painted[:, :, :, 2:-2], ramp[:, :, :, 2:-2], atol=1e-5, rtol=0)


def test_filled_background_keeps_the_person_and_forgets_the_rest():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 20, 12)
    mask = torch.zeros(2, 20, 12)
    mask[:, 5:15, 3:9] = 1.0
    filled = fill_background(image, mask)
    inside = mask[:, None].expand_as(image) == 1
    torch.testing.assert_close(filled[inside], image[inside])
    elsewhere = torch.where(inside, image, torch.rand_like(image))
    torch.testing.assert_close(fill_background(elsewhere, mask), filled)
    assert filled.min() >= 0 and filled.max() <= 1


def test_filled_background_takes_the_nearest_colour():
    image = torch.zeros(1, 3, 16, 16)
    image[:, 0, :, :8], image[:, 2, :, 8:] = 1.0, 1.0
    mask = torch.zeros(1, 16, 16)
    mask[:, :, 4:12] = 1.0
    filled = fill_background(image, mask)
    assert (filled[0, 0, :, 0] > filled[0, 2, :, 0]).all()
    assert (filled[0, 2, :, 15] > filled[0, 0, :, 15]).all()
    assert not fill_background(image, torch.zeros(1, 16, 16)).any()
