"""Metrics of single images and cameras: mask IoU, SSIM, camera errors. Pure functions, one value per image.

Image metrics are differentiable, so that fitting and training can use them as losses.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_K = (0.01, 0.03)
"""Constants of Wang et al. 2004, as the paper uses them (paper section 4, evaluation)."""


def mask_iou(
    predicted: Float[Tensor, "B H W"], target: Float[Tensor, "B H W"], epsilon: float = 1e-10
) -> Float[Tensor, " B"]:
    """Soft intersection over union per image, without any threshold (paper section 3, MaskIoU).

    `sum(P M) / (sum(P + M - P M) + epsilon)`. Two empty masks score 0.

    Args:
        predicted: soft masks, 0..1.
        target: masks, 0..1.
        epsilon: guard against an empty union.
    """
    intersection = (predicted * target).sum(dim=(1, 2))
    union = (predicted + target - predicted * target).sum(dim=(1, 2))
    return intersection / (union + epsilon)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _window_means(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[length - 10, length] matrix whose rows are the Gaussian window at every full position."""
    offsets = torch.arange(SSIM_WINDOW_PX, dtype=dtype, device=device) - SSIM_WINDOW_PX // 2
    weights = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA_PX**2))
    weights = weights / weights.sum()
    matrix = torch.zeros(length - SSIM_WINDOW_PX + 1, length, dtype=dtype, device=device)
    for position, weight in enumerate(weights):
        matrix.diagonal(position)[: len(matrix)] = weight
    return matrix


def _local_mean(channels: Tensor) -> Tensor:
    """Gaussian mean of every full window of [B, C, H, W]: [B, C, H - 10, W - 10].

    Two products with banded matrices: faster than a convolution on a CPU at training sizes, and never rounded to TF32
    on CUDA, which the difference of second moments would not survive.
    """
    height, width = channels.shape[2:]
    down, across = (_window_means(side, channels.dtype, channels.device) for side in (height, width))
    return down @ (channels @ across.T)


def ssim_map(image_a: Float[Tensor, "B C H W"], image_b: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
    """Structural similarity around every pixel that has a full 11 x 11 window.

    Gaussian window (sigma 1.5), K = (0.01, 0.03), data range 1, population covariance. Entry (i, j) belongs to pixel
    (i + 5, j + 5): the map is 10 smaller than the images, nothing is padded.

    Args:
        image_a: images, 0..1.
        image_b: images to compare with, 0..1.

    Raises:
        ValueError: an image side is shorter than the window.
    """
    if min(image_a.shape[2:]) < SSIM_WINDOW_PX:
        height, width = image_a.shape[2:]
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW_PX} x {SSIM_WINDOW_PX}, not {height} x {width}")
    # SSIM needs the two variances only as a sum: four local means suffice.
    moments = torch.cat((image_a, image_b, image_a * image_a + image_b * image_b, image_a * image_b), dim=1)
    mean_a, mean_b, mean_squares, mean_product = _local_mean(moments).chunk(4, dim=1)
    product_of_means = mean_a * mean_b
    sum_of_squared_means = mean_a * mean_a + mean_b * mean_b
    c1, c2 = SSIM_K[0] ** 2, SSIM_K[1] ** 2
    luminance = (2 * product_of_means + c1) / (sum_of_squared_means + c1)
    structure = (2 * (mean_product - product_of_means) + c2) / (mean_squares - sum_of_squared_means + c2)
    return luminance * structure


def ssim(image_a: Float[Tensor, "B C H W"], image_b: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Structural similarity per image: the mean of `ssim_map` over channels and all full windows.

    The windows cover the whole image, its white background included (paper section 4); only pixels nearer than 5 to
    the border are not window centres, as in scikit-image and pytorch-msssim.
    """
    return ssim_map(image_a, image_b).mean(dim=(1, 2, 3))


def ssim_in_mask(
    image_a: Float[Tensor, "B C H W"], image_b: Float[Tensor, "B C H W"], mask: Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """Structural similarity averaged over the windows whose centre lies in `mask` (weights 0..1); NaN for empty masks.

    Background counts only as far as windows reach over the edge of the mask: large white borders do not lift the score.
    """
    border = SSIM_WINDOW_PX // 2
    weights = mask[:, border:-border, border:-border]
    return (ssim_map(image_a, image_b).mean(dim=1) * weights).sum(dim=(1, 2)) / weights.sum(dim=(1, 2))


def angle_difference_deg(
    first_deg: Float[Tensor, "*B"], second_deg: Float[Tensor, "*B"] | float
) -> Float[Tensor, "*B"]:
    """Signed difference `first - second`, wrapped to [-180, 180) degrees."""
    return torch.remainder(first_deg - second_deg + 180, 360) - 180


def azimuth_error_deg(predicted_deg: Float[Tensor, " B"], true_deg: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Absolute azimuth error, 0..180 degrees. A front taken for a back counts fully (180)."""
    return angle_difference_deg(predicted_deg, true_deg).abs()


def front_back_accuracy(predicted_deg: Float[Tensor, " B"], true_deg: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Share of images whose camera is put on the right side of the body: cos(azimuth) has the sign of the truth."""
    predicted_front = torch.deg2rad(predicted_deg).cos() >= 0
    true_front = torch.deg2rad(true_deg).cos() >= 0
    return (predicted_front == true_front).to(predicted_deg.dtype).mean()


def azimuth_spread_deg(azimuth_deg: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Circular standard deviation `sqrt(-2 ln R)`, degrees: 0 for a collapsed camera, above 100 for all-round views."""
    radians = torch.deg2rad(azimuth_deg)
    resultant = torch.hypot(radians.cos().mean(), radians.sin().mean())
    tiny = torch.finfo(resultant.dtype).tiny
    return torch.rad2deg((-2 * resultant.clamp(tiny, 1).log()).sqrt())


def relative_error(predicted: Float[Tensor, " B"], true: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Absolute error as a share of the true value, for distances: `|predicted - true| / |true|`."""
    return (predicted - true).abs() / true.abs()


def elevation_error_deg(predicted_deg: Float[Tensor, " B"], true_deg: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Absolute elevation error, degrees."""
    return (predicted_deg - true_deg).abs()


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of a feature set, float64.

    Attributes:
        mean: [D].
        covariance: [D, D], unbiased (division by N - 1).
    """

    mean: Float[Tensor, " D"]
    covariance: Float[Tensor, "D D"]
    count: int


def feature_statistics(features: Float[Tensor, "N D"]) -> FeatureStatistics:
    """Mean and unbiased covariance, computed in float64.

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.
    """
    if len(features) < 2:
        raise ValueError(f"a Frechet distance needs at least 2 feature vectors per set, not {len(features)}")
    values = features.detach().double()
    if not values.isfinite().all():
        raise ValueError("features hold NaN or infinite values")
    mean = values.mean(dim=0)
    centred = values - mean
    return FeatureStatistics(mean, centred.T @ centred / (len(values) - 1), len(values))


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Squared Frechet distance of two Gaussians: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` (Heusel et al. 2017).

    The trace of the root comes from the eigenvalues of the symmetric product `C1^(1/2) C2 C1^(1/2)`: real and without
    failure for singular covariances, so fewer samples than dimensions are allowed (the estimate is then biased
    upwards).

    Raises:
        ValueError: the feature dimensions differ.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"feature dimensions differ: {len(first.mean)} and {len(second.mean)}")
    values, vectors = torch.linalg.eigh(first.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = root @ second.covariance @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    spread = first.covariance.trace() + second.covariance.trace() - 2 * cross
    distance = (first.mean - second.mean).square().sum() + spread
    return float(distance.clamp(min=0))
