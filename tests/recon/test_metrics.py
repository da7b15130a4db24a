"""Metrics against hand-computed values, scikit-image, and the mistakes they must not make."""

import pytest
import torch
from skimage.metrics import structural_similarity

from recon import metrics


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    image_a = torch.rand(3, 3, 32, 21, generator=generator, dtype=torch.float64)
    noise = torch.rand(3, 3, 32, 21, generator=generator, dtype=torch.float64)
    return image_a, 0.7 * image_a + 0.3 * noise


def test_mask_iou_is_soft_and_per_image():
    predicted = torch.tensor([[[1.0, 0.5]], [[1.0, 1.0]]])
    target = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]])
    # image 0: 1.5 / (1 + 1); image 1: 1 / 2. A thresholded IoU would give 1.0 for the first.
    torch.testing.assert_close(metrics.mask_iou(predicted, target), torch.tensor([0.75, 0.5]))


def test_mask_iou_of_empty_masks_is_zero_not_nan():
    assert metrics.mask_iou(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)).item() == 0.0


def test_ssim_equals_scikit_image(images):
    image_a, image_b = images
    expected = [
        structural_similarity(
            a.permute(1, 2, 0).numpy(),
            b.permute(1, 2, 0).numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=2,
        )
        for a, b in zip(image_a, image_b, strict=True)
    ]
    torch.testing.assert_close(metrics.ssim(image_a, image_b), torch.tensor(expected, dtype=torch.float64))


def test_ssim_is_one_for_equal_images_and_symmetric(images):
    image_a, image_b = images
    torch.testing.assert_close(metrics.ssim(image_a, image_a), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(metrics.ssim(image_a, image_b), metrics.ssim(image_b, image_a))


def test_ssim_of_black_against_white_is_the_constant_term():
    black, white = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    torch.testing.assert_close(metrics.ssim(black, white), torch.tensor([1e-4 / (1 + 1e-4)]), rtol=1e-3, atol=0)


def test_ssim_map_entry_belongs_to_the_window_centre():
    image_a = torch.full((1, 1, 21, 23), 0.5)
    image_b = image_a.clone()
    image_b[0, 0, 9, 12] = 1.0
    worst = int(metrics.ssim_map(image_a, image_b)[0, 0].argmin())
    assert divmod(worst, 13) == (9 - 5, 12 - 5)


def test_ssim_is_differentiable(images):
    small = [image[:1, :1, :12, :13].clone().requires_grad_() for image in images]
    assert torch.autograd.gradcheck(metrics.ssim, small)


def test_ssim_refuses_images_below_the_window():
    with pytest.raises(ValueError, match="at least 11 x 11, not 10 x 40"):
        metrics.ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))


def test_ssim_in_mask_ignores_the_empty_background():
    generator = torch.Generator().manual_seed(0)
    image_a, image_b = torch.ones(1, 3, 48, 48), torch.ones(1, 3, 48, 48)
    image_a[..., 16:32, 16:32] = torch.rand(1, 3, 16, 16, generator=generator)
    image_b[..., 16:32, 16:32] = torch.rand(1, 3, 16, 16, generator=generator)
    mask = torch.zeros(1, 48, 48)
    mask[:, 16:32, 16:32] = 1.0
    inside = metrics.ssim_in_mask(image_a, image_b, mask)
    assert inside.item() < metrics.ssim(image_a, image_b).item() - 0.4
    centre = metrics.ssim_map(image_a, image_b)[:, :, 11:27, 11:27].mean()
    torch.testing.assert_close(inside[0], centre)


def test_ssim_in_full_mask_is_ssim(images):
    image_a, image_b = images
    full = torch.ones(3, 32, 21, dtype=torch.float64)
    torch.testing.assert_close(metrics.ssim_in_mask(image_a, image_b, full), metrics.ssim(image_a, image_b))


def test_ssim_in_empty_mask_is_nan():
    assert metrics.ssim_in_mask(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.zeros(1, 16, 16)).isnan()


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [(170.0, -170.0, 20.0), (-179.0, 179.0, 2.0), (0.0, 180.0, 180.0), (10.0, -30.0, 40.0), (725.0, 0.0, 5.0)],
)
def test_azimuth_error_wraps_and_counts_front_back(predicted, true, expected):
    error = metrics.azimuth_error_deg(torch.tensor([predicted]), torch.tensor([true]))
    torch.testing.assert_close(error, torch.tensor([expected]))


def test_angle_difference_keeps_its_sign():
    difference = metrics.angle_difference_deg(torch.tensor([-170.0, 20.0]), torch.tensor([170.0, 50.0]))
    torch.testing.assert_close(difference, torch.tensor([20.0, -30.0]))


def test_front_back_accuracy_compares_sides_not_angles():
    predicted = torch.tensor([80.0, -80.0, 100.0, 5.0])
    true = torch.tensor([-60.0, 170.0, 179.0, 95.0])
    assert metrics.front_back_accuracy(predicted, true).item() == 0.5


def test_azimuth_spread_is_circular():
    # A plain standard deviation of these angles would be 180.
    assert metrics.azimuth_spread_deg(torch.tensor([179.0, -179.0])).item() == pytest.approx(1.0, abs=0.01)
    assert metrics.azimuth_spread_deg(torch.full((5,), 33.0)).item() == pytest.approx(0.0, abs=0.05)
    assert metrics.azimuth_spread_deg(torch.arange(0, 360, 30.0)).item() > 100


def test_relative_and_elevation_errors():
    torch.testing.assert_close(
        metrics.relative_error(torch.tensor([3.0, 5.0]), torch.tensor([4.0, 4.0])), torch.tensor([0.25, 0.25])
    )
    torch.testing.assert_close(
        metrics.elevation_error_deg(torch.tensor([-3.0]), torch.tensor([4.0])), torch.tensor([7.0])
    )
