import math

import pytest
import torch
from drawn_masks import canvas, ellipse, segment, stick_figure
from scipy import ndimage

from recon.fitting.silhouette import (
    bounding_box_ndc,
    inflate,
    outside_distance,
    pixel_centres_ndc,
    sample_field,
)


def rectangle(rows, columns, height=64, width=32):
    mask = torch.zeros(height, width)
    mask[rows[0] : rows[1], columns[0] : columns[1]] = 1
    return mask


def thickness(mask, cap=100.0):
    return inflate(mask[None], torch.tensor([cap]))[0]


def test_pixel_centres():
    centres = pixel_centres_ndc(4, 2, torch.zeros(1, dtype=torch.float64))
    assert centres.dtype == torch.float64
    assert centres[0, 0].tolist() == [-0.5, 0.75] and centres[3, 1].tolist() == [0.5, -0.75]
    assert centres[0, :, 1].tolist() == [0.75, 0.75]


def test_bounding_box_reaches_the_outer_edges_of_its_pixels():
    masks = torch.stack((rectangle((16, 48), (8, 16)), rectangle((0, 64), (0, 32)), rectangle((63, 64), (31, 32))))
    expected = [[-0.5, -0.5, 0.0, 0.5], [-1, -1, 1, 1], [1 - 2 / 32, -1, 1, -1 + 2 / 64]]
    assert torch.allclose(bounding_box_ndc(masks), torch.tensor(expected))


def test_bounding_box_of_soft_masks_takes_what_is_more_than_half():
    mask = torch.full((1, 8, 8), 0.5)
    mask[0, 2, 3] = 0.51
    assert bounding_box_ndc(mask)[0].tolist() == pytest.approx([-0.25, 0.25, 0.0, 0.5])


def test_nothing_has_no_bounding_box():
    masks = torch.stack((rectangle((1, 3), (1, 3)), torch.full((64, 32), 0.5)))
    with pytest.raises(ValueError, match=r"a mask without any pixel above 0\.5 has no bounding box"):
        bounding_box_ndc(masks)


@pytest.mark.parametrize("height, width", [(61, 37), (16, 48), (1, 5), (7, 1)])
def test_distance_is_euclidean(height, width):
    masks = (torch.rand(6, height, width, generator=torch.Generator().manual_seed(height)) > 0.9).float()
    masks[0] = 0
    masks[0, height // 2, 0] = 1
    masks[1] = 1
    masks = masks[masks.flatten(1).any(dim=1)]
    for mask, field in zip(masks, outside_distance(masks), strict=True):
        expected = ndimage.distance_transform_edt(mask.numpy() < 0.5) * 2 / height
        assert field.numpy() == pytest.approx(expected, abs=1e-6)
        assert torch.equal(field > 0, mask < 0.5)


def test_distance_to_nothing_is_zero():
    assert torch.equal(outside_distance(torch.zeros(2, 5, 4)), torch.zeros(2, 5, 4))


@pytest.mark.parametrize("slope", [0, 1])
def test_a_strip_becomes_a_cylinder(slope):
    """Thickness over a long strip of half-width r is sqrt(r^2 - x^2), upright or aslant."""
    radius = 0.2
    strip = segment((-0.4 * slope, -2.0), (0.4 * slope, 2.0), radius, 256, 128)
    across = [column for column in range(128) if strip[128, column]][2:-2]  # the edge itself is steep
    _, x = canvas(256, 128)
    tilt = math.cos(math.atan(0.2 * slope))
    expected = (radius**2 - (x[128, across] * tilt) ** 2).clamp(min=0).sqrt()
    assert (thickness(strip)[128, across] - expected).abs().max() < 0.1 * radius
    assert thickness(strip)[128, 64].item() == pytest.approx(radius, rel=0.06)


@pytest.mark.parametrize("radius", [0.1, 0.2, 0.45])
def test_a_disc_becomes_a_flat_ball(radius):
    disc = ellipse(radius, radius, height=256, width=256)
    assert thickness(disc)[128, 128].item() == pytest.approx(radius / 2**0.5, rel=0.1)


def test_inflation_does_not_depend_on_the_resolution():
    coarse = thickness(stick_figure(128, 64))
    fine = thickness(stick_figure(512, 256))
    pooled = torch.nn.functional.avg_pool2d(fine[None], 4)[0]
    assert (pooled - coarse).abs().mean() < 0.004


def test_thickness_stays_inside_and_below_the_cap():
    mask = stick_figure(128, 64)
    field = thickness(mask, cap=0.1)
    assert field.max() < 0.1 and field[int(128 * 0.35), 32] > 0.07
    grown = torch.nn.functional.max_pool2d(mask[None], 3, stride=1, padding=1)[0]
    assert torch.equal(field * (1 - grown), torch.zeros_like(field))
    assert torch.equal(thickness(torch.zeros(64, 32)), torch.zeros(64, 32))


def test_every_image_has_its_own_cap():
    field = inflate(torch.stack([ellipse()] * 2), torch.tensor([0.05, 100.0]))
    assert field[0].max() < 0.05 < 0.1 < field[1].max()


def test_fields_of_a_batch_are_those_of_its_images():
    masks = torch.stack([stick_figure(lean=0.02 * index) for index in range(9)])
    caps = torch.linspace(0.1, 0.3, 9)
    boxes, distances, solid = bounding_box_ndc(masks), outside_distance(masks), inflate(masks, caps)
    for index in range(9):
        one = slice(index, index + 1)
        assert torch.equal(boxes[one], bounding_box_ndc(masks[one]))
        assert torch.equal(distances[one], outside_distance(masks[one]))
        assert torch.equal(solid[one], inflate(masks[one], caps[one]))


def test_sampling_a_field_at_pixel_centres_is_the_field():
    field = torch.rand(2, 6, 4)
    centres = pixel_centres_ndc(6, 4, field).reshape(1, -1, 2).expand(2, -1, -1)
    assert torch.allclose(sample_field(field, centres), field.flatten(1), atol=1e-5)


def test_sampling_keeps_the_border_outside_and_has_gradients():
    field = torch.rand(1, 5, 5, dtype=torch.float64)
    beyond = torch.tensor([[[-3.0, 3.0], [9.0, -9.0]]], dtype=torch.float64)
    assert sample_field(field, beyond)[0].tolist() == pytest.approx([field[0, 0, 0].item(), field[0, 4, 4].item()])
    inside = torch.tensor([[[0.13, -0.21], [0.5, 0.3]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda points: sample_field(field, points), (inside,))
