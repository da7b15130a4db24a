"""Frechet distance against closed forms and scipy's matrix root."""

import pytest
import torch

from recon.metrics import FeatureStatistics, feature_statistics, frechet_distance


def features(count: int, size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussian(mean: list[float], covariance: list[list[float]]) -> FeatureStatistics:
    return FeatureStatistics(torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64), 10)


def test_gaussians_with_commuting_covariances():
    first = gaussian([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])
    second = gaussian([4.0, -2.0], [[1.0, 0.0], [0.0, 0.25]])
    # 9 + 16 + (2 - 1)^2 + (3 - 0.5)^2
    assert frechet_distance(first, second) == pytest.approx(32.25)


def test_against_scipy_matrix_root_with_correlated_features():
    linalg = pytest.importorskip("scipy.linalg")
    first = feature_statistics(features(40, 6) @ features(6, 6, 1))
    second = feature_statistics(features(50, 6, 2) @ features(6, 6, 3) + 0.4)
    root = linalg.sqrtm((first.covariance @ second.covariance).numpy()).real
    expected = (first.mean - second.mean).square().sum() + first.covariance.trace() + second.covariance.trace()
    assert frechet_distance(first, second) == pytest.approx(float(expected) - 2 * root.trace(), rel=1e-8)


@pytest.mark.parametrize(("count", "size"), [(100, 8), (5, 64)])
def test_distance_of_a_set_to_itself_is_zero_even_with_few_samples(count, size):
    own = feature_statistics(features(count, size) * 3 + 7)
    assert frechet_distance(own, own) == pytest.approx(0.0, abs=1e-5)


def test_distance_is_symmetric_and_ignores_rotations():
    first, second = features(30, 5), 2 * features(40, 5, 1) + 1
    turn = torch.linalg.qr(features(5, 5, 2)).Q
    plain = frechet_distance(feature_statistics(first), feature_statistics(second))
    assert frechet_distance(feature_statistics(second), feature_statistics(first)) == pytest.approx(plain)
    turned = frechet_distance(feature_statistics(first @ turn), feature_statistics(second @ turn))
    assert turned == pytest.approx(plain)


def test_translation_adds_its_square():
    own = features(6, 20)
    moved = feature_statistics(own + 0.5)
    assert frechet_distance(feature_statistics(own), moved) == pytest.approx(20 * 0.25, rel=1e-6)


def test_statistics_are_unbiased_and_float64():
    own = features(9, 3, dtype=torch.float32)
    statistics = feature_statistics(own)
    torch.testing.assert_close(statistics.covariance, torch.cov(own.double().T))
    assert statistics.mean.dtype == torch.float64 and statistics.count == 9


def test_bad_features_are_refused():
    with pytest.raises(ValueError, match="at least 2 feature vectors per set, not 1"):
        feature_statistics(features(1, 3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        feature_statistics(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="feature dimensions differ: 3 and 4"):
        frechet_distance(feature_statistics(features(5, 3)), feature_statistics(features(5, 4)))
