import pytest
import torch
from torch.nn import functional

from recon.texturing.fields import (
    TextureFields,
    assemble_halves,
    enlarged,
    paint_texture,
    sample_flow,
    sample_flow_published,
)


def centres(size: int) -> torch.Tensor:
    return (torch.arange(size) + 0.5) / size * 2 - 1


def identity_flow(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(centres(height), centres(width), indexing="ij")
    return torch.stack((x, y))[None]


def test_halves_mirror_the_front_unless_there_is_a_back():
    front, back = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    whole = assemble_halves(front, back)
    torch.testing.assert_close(whole[:, :, 4:], front)
    torch.testing.assert_close(whole[:, :, :4].flip(2), back)
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
