"""Prototype loop: true means, bounds, symmetry, published totals, checkpoints."""

import math

import pytest
import torch
from torch import Tensor

from recon import prototype
from recon.geometry import mirrored, uniform_laplacian
from recon.prototype import OffsetSum, PrototypeConfig, PrototypeState
from recon.template import Template, ellipsoid_template


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(level=2)


def centred(batch: int, template: Template, scale: float, seed: int = 0) -> Tensor:
    noise = torch.randn(batch, *template.vertices.shape, generator=torch.Generator().manual_seed(seed))
    return scale * (noise - noise.mean(dim=1, keepdim=True))


def test_mean_counts_only_clean_and_sound_photos(template):
    offsets = centred(4, template, 0.1)
    offsets[2] *= 20  # broken
    clean = torch.tensor([True, True, True, False])
    gathered = OffsetSum.empty(template).with_batch(offsets, clean)
    assert gathered.count == 2
    torch.testing.assert_close(gathered.mean, offsets[:2].double().mean(dim=0))


def test_mean_does_not_depend_on_the_batching(template):
    offsets = centred(5, template, 0.1)
    whole = OffsetSum.empty(template).with_batch(offsets)
    parts = OffsetSum.empty(template).with_batch(offsets[:2]).with_batch(offsets[2:])
    assert whole.count == parts.count == 5
    torch.testing.assert_close(whole.mean, parts.mean)


def test_offsets_are_centred_per_photo(template):
    offsets = centred(2, template, 0.1)
    moved = offsets + torch.tensor([0.2, 0.0, -0.1])
    torch.testing.assert_close(
        OffsetSum.empty(template).with_batch(moved).mean,
        OffsetSum.empty(template).with_batch(offsets).mean,
        atol=1e-7,
        rtol=0,
    )


def test_broken_shapes_are_found_by_all_vertices():
    offsets = torch.zeros(3, 10, 3)
    offsets[0, :9] = 0.9  # the last vertex alone looks fine
    offsets[1, 9] = 0.9  # the last vertex alone looks broken
    assert prototype.good_shapes(offsets).tolist() == [False, True, True]


def test_empty_sum_moves_nothing_and_counts_no_update(template):
    state = PrototypeState.start(template)
    broken = prototype.gathered_more(state, torch.full((2, len(template.vertices), 3), 0.5))
    assert broken.gathered.mean.abs().max() == 0
    moved = prototype.moved_prototype(broken, PrototypeConfig())
    assert moved.updates == 0
    assert torch.equal(moved.template.vertices, template.vertices)


def test_gathering_keeps_no_gradient(template):
    offsets = centred(2, template, 0.1).requires_grad_()
    assert not OffsetSum.empty(template).with_batch(offsets).total.requires_grad


def test_smoothing_is_three_half_steps_then_a_clip(template):
    offset = centred(1, template, 0.5)[0].double()
    expected = offset[None]
    for _ in range(3):
        expected = expected + 0.5 * uniform_laplacian(expected, template.topology)
    expected = expected[0].clamp(-0.05, 0.05)
    smooth = prototype.smoothed_offset(offset, template, PrototypeConfig())
    torch.testing.assert_close(smooth, expected)
    assert smooth.abs().max() == 0.05
    assert (smooth.abs() < 0.05).any()


def test_smoothing_keeps_constants_and_applies_the_gain_before_the_clip(template):
    constant = torch.full_like(template.vertices, 0.2, dtype=torch.float64)
    config = PrototypeConfig(gain=0.2)
    torch.testing.assert_close(prototype.smoothed_offset(constant, template, config), 0.2 * constant)


def test_one_move_by_hand(template):
    offsets = 0.3 * template.vertices[None]  # grows the ellipsoid; zero mean
    state = prototype.gathered_more(PrototypeState.start(template), offsets)
    config = PrototypeConfig(smoothing_rounds=0, clip=10.0)
    moved = prototype.moved_prototype(state, config, warmup=0.5)
    torch.testing.assert_close(moved.template.vertices, template.vertices * (1 + 0.5 * 0.1 * 0.3), atol=1e-6, rtol=0)
    assert (moved.updates, moved.gathered.count) == (1, 0)
    again = prototype.moved_prototype(prototype.gathered_more(moved, offsets), config)
    step = again.template.vertices - moved.template.vertices
    torch.testing.assert_close(step, 0.099 * 0.3 * template.vertices, atol=1e-6, rtol=0)


def test_prototype_stays_centred_although_clipping_shifts_the_mean(template):
    lopsided = torch.zeros(1, *template.vertices.shape)
    lopsided[:, :5, 1] = 2.0
    state = prototype.gathered_more(PrototypeState.start(template), lopsided)
    moved = prototype.moved_prototype(state, PrototypeConfig(step=1.0))
    assert moved.template.vertices.mean(dim=0).abs().max() < 1e-7


def test_symmetric_prototype_is_an_exact_mirror_image(template):
    state = prototype.gathered_more(PrototypeState.start(template), centred(3, template, 0.3))
    symmetric = prototype.moved_prototype(state, PrototypeConfig(step=1.0, symmetric=True)).template.vertices
    free = prototype.moved_prototype(state, PrototypeConfig(step=1.0)).template.vertices
    image = mirrored(symmetric[template.partners], template.mirror_axis)
    assert torch.equal(symmetric, image)
    assert (free - mirrored(free[template.partners], template.mirror_axis)).abs().max() > 0.01
    assert symmetric.mean(dim=0).abs().max() < 1e-7


@pytest.mark.parametrize(("epochs", "updates", "total"), [(600, 250, 8.26), (500, 200, 7.73)])
def test_published_schedule_adds_up(epochs, updates, total):
    moves = range(0, epochs - 100, 2)  # after every other epoch, but not in the last 100
    config = PrototypeConfig()
    rates = [
        prototype.warmup_weight(epoch + 1, 40) * config.step * config.decay**index for index, epoch in enumerate(moves)
    ]
    assert len(moves) == updates
    assert sum(rates) == pytest.approx(total, abs=0.01)
    assert sum(rates) * config.clip < 0.415


def test_warmup_is_linear_and_ends_at_one():
    assert prototype.warmup_weight(0, 100) == 0.01
    assert prototype.warmup_weight(50, 100) == pytest.approx(0.505)
    assert prototype.warmup_weight(100, 100) == prototype.warmup_weight(10_000, 100) == 1.0
    assert prototype.warmup_weight(0, 0) == 1.0


def test_checkpoint_round_trip_continues_the_loop(template):
    config = PrototypeConfig(symmetric=True)
    state = prototype.gathered_more(PrototypeState.start(template), centred(3, template, 0.2))
    state = prototype.gathered_more(prototype.moved_prototype(state, config), centred(2, template, 0.2, seed=5))
    restored = PrototypeState.start(template).restored(state.state_dict())
    expected, actual = (prototype.moved_prototype(each, config) for each in (state, restored))
    assert torch.equal(actual.template.vertices, expected.template.vertices)
    assert actual.updates == expected.updates == 2
    assert all(math.isfinite(float(value.sum())) for value in state.state_dict().values())


def test_checkpoint_of_another_template_is_refused(template):
    state = PrototypeState.start(ellipsoid_template(level=1)).state_dict()
    with pytest.raises(ValueError, match="checkpoint prototype has 42 vertices, the template has 162"):
        PrototypeState.start(template).restored(state)


def test_bad_configurations_are_refused():
    with pytest.raises(ValueError, match=r"step and decay must lie in 0\.\.1 and gain above 0"):
        PrototypeConfig(step=0.0)
    with pytest.raises(ValueError, match="smoothing_rounds must not be negative and clip must be positive"):
        PrototypeConfig(clip=0.0)
