"""Random views, mixes and pairs: ranges, reproducibility, the guard against broken shapes."""

import pytest
import torch

from recon import mixing
from recon.encoders.config import CameraRanges
from recon.structures import Attributes, Camera

RANGES = CameraRanges(elevation_deg=(-15.0, 15.0), distance=(2.0, 6.0), sampled_offset=0.3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def attributes(batch: int, vertices: int = 5) -> Attributes:
    """Sample i has the value i / 100 everywhere."""
    value = torch.arange(batch, dtype=torch.float32) / 100

    def filled(*shape: int) -> torch.Tensor:
        return value.reshape(-1, *(1,) * len(shape)).expand(batch, *shape).clone()

    camera = Camera(value * 100, value, value + 3, filled(2), focal=1.7, offset_frame="world")
    return Attributes(camera, filled(vertices, 3), filled(3, 4, 2), filled(9), filled(3, 2, 2))


def test_hard_azimuths_are_uniform_all_round_without_margin():
    azimuth = torch.cat([mixing.random_azimuths_deg(500, generator(seed)) for seed in range(20)])
    counts = torch.histc(azimuth, bins=8, min=-180, max=180)
    assert azimuth.abs().max() <= 180
    assert (counts / len(azimuth) - 1 / 8).abs().max() < 0.015


def test_hard_azimuth_margin_holds_for_about_half_of_the_batches():
    batches = [mixing.random_azimuths_deg(64, generator(seed), margin_deg=60.0).abs() for seed in range(200)]
    inside = [bool((batch.min() >= 60) and (batch.max() <= 120)) for batch in batches]
    assert 80 <= sum(inside) <= 120, "the choice falls per batch, with probability one half"


def test_hard_azimuth_margin_is_checked():
    with pytest.raises(ValueError, match=r"margin_deg must lie in 0\.\.90"):
        mixing.random_azimuths_deg(2, generator(), margin_deg=90.0)


def test_random_cameras_fill_their_ranges_and_keep_the_lens():
    like = attributes(4000).camera
    camera = mixing.random_cameras(RANGES, generator(), like)
    for values, low, high in (
        (camera.azimuth_deg, -180, 180),
        (camera.elevation_deg, -15, 15),
        (camera.distance, 2, 6),
        (camera.offset, -0.3, 0.3),
    ):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    assert (camera.focal, camera.offset_frame) == (1.7, "world")
    drawn = torch.stack((camera.azimuth_deg, camera.elevation_deg, camera.distance))
    assert torch.corrcoef(drawn).fill_diagonal_(0).abs().max() < 0.1


def test_mix_is_reproducible_and_depends_on_the_seed():
    source = attributes(8)
    first, again, other = (mixing.random_mix(source, RANGES, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.offsets, again.offsets) and torch.equal(first.camera.azimuth_deg, again.camera.azimuth_deg)
    assert not torch.equal(first.offsets, other.offsets)


def test_mix_shares_weights_between_texture_and_background_only():
    mix = mixing.random_mix(attributes(8), RANGES, generator())
    texture, shape, light = mix.texture[:, 0, 0, 0], mix.offsets[:, 0, 0], mix.light[:, 0]
    torch.testing.assert_close(mix.background[:, 0, 0, 0], texture)
    assert not torch.allclose(texture, shape)
    assert not torch.allclose(texture, light)
    assert not torch.allclose(shape, light)


def test_mix_weights_differ_per_sample():
    one_hot = torch.eye(6).reshape(6, 2, 3)
    source = attributes(6)
    mix = mixing.random_mix(Attributes(source.camera, one_hot, source.texture), RANGES, generator(4))
    weights = mix.offsets.reshape(6, 6)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(6))
    assert len(weights.amax(dim=1).unique()) >= 4
    assert mix.light is None and mix.background is None


def test_mix_passes_gradients():
    source = attributes(4)
    source.offsets.requires_grad_()
    mixing.random_mix(source, RANGES, generator()).offsets.sum().backward()
    assert source.offsets.grad is not None
    torch.testing.assert_close(source.offsets.grad.sum(), torch.tensor(4.0 * 15))


def test_broken_shapes_are_replaced_by_good_ones():
    good = torch.tensor([True, False, True, True, False, True])
    for seed in range(20):
        order = mixing.guarded_permutation(good, generator(seed))
        assert good[order].all()
        assert set(order.tolist()) >= {0, 2, 3, 5}, "good samples stay, each in its place of the permutation"


@pytest.mark.parametrize("good", [True, False])
def test_all_good_or_all_bad_is_a_permutation(good):
    order = mixing.guarded_permutation(torch.full((7,), good), generator())
    assert sorted(order.tolist()) == list(range(7))


def test_identity_pairs_join_equal_labels_and_never_a_sample_with_itself():
    identity = torch.tensor([4, 7, 4, 9, 4, 7])
    for seed in range(20):
        source, target = mixing.identity_pairs(identity, generator(seed))
        assert source.tolist() == [0, 1, 2, 4, 5], "the only photo of identity 9 has no partner"
        assert (identity[source] == identity[target]).all()
        assert (source != target).all()
    partners = {int(mixing.identity_pairs(identity, generator(seed))[1][0]) for seed in range(20)}
    assert partners == {2, 4}


def test_identity_pairs_of_strangers_are_empty():
    source, target = mixing.identity_pairs(torch.tensor([1, 2, 3]), generator())
    assert len(source) == len(target) == 0


def test_seen_as_takes_shape_and_texture_from_one_and_view_from_the_other():
    source = attributes(3)
    mixed = mixing.seen_as(source, torch.tensor([0, 2]), torch.tensor([1, 0]))
    assert torch.equal(mixed.offsets, source.offsets[[0, 2]])
    assert torch.equal(mixed.texture, source.texture[[0, 2]])
    assert torch.equal(mixed.light, source.light[[1, 0]])
    assert torch.equal(mixed.background, source.background[[1, 0]])
    assert mixed.camera.azimuth_deg.tolist() == [1.0, 0.0]
    assert torch.equal(mixed.camera.offset, source.camera.offset[[1, 0]])
    assert mixed.camera.focal == 1.7
