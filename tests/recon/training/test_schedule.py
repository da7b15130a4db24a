import pytest

from recon.training.config import PUBLISHED_SOFT_MASK, Averaging, Interval, OptimiserConfig, SoftMask, StepConfig
from recon.training.schedule import learning_rate, render_settings, trainable_groups

PLAIN = OptimiserConfig(learning_rate=1e-3, warmup_steps=0, final_share=0.05)


def test_cosine_from_the_full_rate_to_the_floor():
    rates = [learning_rate(PLAIN, 1.0, 100, progress) for progress in (0.0, 0.5, 1.0)]
    assert rates == pytest.approx([1e-3, 0.525e-3, 0.05e-3])


def test_warm_up_scales_the_rate_itself():
    config = OptimiserConfig(learning_rate=1e-3, warmup_steps=100)
    assert learning_rate(config, 1.0, 0, 0.0) == pytest.approx(1e-5)
    assert learning_rate(config, 1.0, 50, 0.0) == pytest.approx(0.505e-3)
    assert learning_rate(config, 1.0, 100, 0.0) == pytest.approx(1e-3)


def test_the_trunk_falls_to_the_absolute_floor_and_never_rises():
    market = OptimiserConfig(learning_rate=5e-5, trunk_factor=0.05, final_share=0.01, warmup_steps=0)
    assert learning_rate(market, 0.05, 0, 0.0) == pytest.approx(2.5e-6)
    assert learning_rate(market, 0.05, 0, 1.0) == pytest.approx(5e-7)
    # CUB's published floor of 0.1 lies above the trunk's rate.
    cub = OptimiserConfig(learning_rate=7e-5, trunk_factor=0.05, final_share=0.1, warmup_steps=0)
    assert [learning_rate(cub, 0.05, 0, p) for p in (0.0, 0.3, 1.0)] == pytest.approx([3.5e-6] * 3)


def test_a_warm_restart_begins_again_at_the_full_rate():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=0, final_share=0.1, cycles=2)
    rates = [learning_rate(config, 1.0, 0, p) for p in (0.0, 0.25, 0.4999, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([1.0, 0.55, 0.1, 1.0, 0.55, 0.1], abs=1e-3)


def test_the_encoder_loop_takes_turns():
    turns = [trainable_groups(k, encoder_loop=True) - {"background"} for k in range(4)]
    assert turns == [{"shape"}, {"texture", "light"}, {"camera"}, {"shape"}]
    assert all("background" in trainable_groups(k, encoder_loop=True) for k in range(3))
    assert len(trainable_groups(0, encoder_loop=False)) == 5


def test_the_soft_mask_narrows_to_the_published_one():
    mask = SoftMask(reach=0.1, final_reach=0.02, narrow_at=0.4)
    boxes = [render_settings(mask, progress, False).boxlen for progress in (0.0, 0.2, 0.4, 1.0)]
    assert boxes == pytest.approx([0.1, 0.06, 0.02, 0.02])
    last = render_settings(mask, 1.0, True)
    assert last.sigmainv == pytest.approx(7000) and last.shade_background
    assert render_settings(PUBLISHED_SOFT_MASK, 0.0, False).sigmainv == pytest.approx(7000)


def test_intervals():
    steps, epochs = Interval(steps=3), Interval(epochs=2)
    assert [steps.is_due(n, 0, False) for n in range(1, 7)] == [False, False, True, False, False, True]
    assert not epochs.is_due(10, 2, False) and epochs.is_due(10, 2, True) and not epochs.is_due(10, 3, True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Interval(), "either steps or epochs"),
        (lambda: Interval(steps=1, epochs=1), "either steps or epochs"),
        (lambda: Interval(steps=-1, epochs=1), "either steps or epochs"),
        (lambda: SoftMask(reach=0.01), "must narrow"),
        (lambda: SoftMask(narrow_at=2.0), "narrow_at must lie in 0..1"),
        (lambda: StepConfig(consistency_every=0), "consistency_every must be at least 1"),
        (lambda: StepConfig(consistency_share=0.0), "consistency_share must lie"),
        (lambda: StepConfig(offset_smoothing=-1.0), "offset_smoothing must not be negative"),
        (lambda: OptimiserConfig(learning_rate=0.0), "must be positive"),
        (lambda: OptimiserConfig(betas=(0.9, 1.0)), "betas must lie in 0..1"),
        (lambda: OptimiserConfig(warmup_steps=-1), "must not be negative"),
        (lambda: OptimiserConfig(cycles=0), "cycles be at least 1"),
        (lambda: Averaging(decay=1.0), "decay must lie in 0..1"),
        (lambda: Averaging(start_share=1.5), "start_share must lie in 0..1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
