"""Frechet distance between two sets of feature vectors. Which network makes the features is the caller's business."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


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
