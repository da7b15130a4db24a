from dataclasses import fields, replace

import pytest
import torch

from recon.encoders import GROUPS
from recon.losses import LOSS_PRESETS, LossWeights
from recon.structures import Sample
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.step import Batch, TrainProgress, train_step

NOTHING = LossWeights(**{field.name: 0.0 for field in fields(LossWeights)})
RECONSTRUCTION = replace(NOTHING, image=2.0, iou=2.0, laplacian=0.01, deformation=0.1, mirror=0.1, flatten=0.002)
LEARNING = ({"shape"}, {"texture", "light"}, {"camera"})


def parameters(learner, group):
    module = getattr(learner.encoder, group)
    return {} if module is None else dict(module.named_parameters())


def snapshot(learner):
    return {name: value.clone() for name, value in learner.encoder.state_dict().items()}


@pytest.mark.parametrize("in_epoch", [0, 1, 2, 3])
def test_frozen_groups_get_no_gradient_at_all_from_the_reconstruction(make_tiny, step, in_epoch):
    learner = make_tiny()
    before = snapshot(learner)
    step(learner, RECONSTRUCTION, in_epoch=in_epoch, encoder_loop=True)
    learning = LEARNING[in_epoch % 3]
    after = learner.encoder.state_dict()
    for group in GROUPS:
        gradients = [p.grad for p in parameters(learner, group).values()]
        names = [name for name in before if name.startswith(f"{group}.")]
        moved = [name for name in names if not torch.equal(before[name], after[name])]
        if group in learning:
            assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
            assert moved
        else:
            # neither weights nor batch-norm statistics
            assert all(gradient is None for gradient in gradients)
            assert not moved


def test_all_groups_learn_without_the_loop(make_tiny, step):
    learner = make_tiny()
    step(learner, RECONSTRUCTION)
    for group in ("camera", "shape", "texture", "light"):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters(learner, group).values())


@pytest.mark.parametrize("in_epoch", [0, 1, 2])
def test_consistency_trains_frozen_groups_too(make_tiny, step, in_epoch):
    learner = make_tiny()
    step(learner, replace(NOTHING, consistency=1.0), in_epoch=in_epoch, encoder_loop=True)
    for group in ("camera", "shape", "texture", "light"):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters(learner, group).values())


def test_consistency_comes_every_nth_step_on_a_part_of_the_batch(make_tiny, step):
    learner = make_tiny()
    seen = []
    learner.encoder.camera.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    terms = [
        step(learner, LOSS_PRESETS["small"], n, consistency_every=3, consistency_share=0.5).terms for n in range(5)
    ]
    assert [("consistency" in found) for found in terms] == [True, False, False, True, False]
    assert seen == [4, 2, 4, 4, 4, 2, 4]


@pytest.mark.parametrize("tracked", [False, True])
def test_drawings_enter_the_statistics_only_as_published(make_tiny, step, tracked):
    learner, alone = make_tiny(), make_tiny()
    step(learner, replace(RECONSTRUCTION, consistency=1.0), consistency_every=1, track_drawings=tracked)
    step(alone, RECONSTRUCTION)
    own, other = (x.encoder.camera.trunk.fourth[1].running_mean for x in (learner, alone))
    assert torch.equal(own, other) is not tracked


@pytest.mark.slow
def test_a_step_is_a_function_of_its_seed(make_tiny, step):
    weights = replace(LOSS_PRESETS["people"], adversarial=1e-4)
    first, second = make_tiny(with_critic=True), make_tiny(with_critic=True)
    for number in (0, 1):
        one, two = step(first, weights, number), step(second, weights, number)
        assert {name: float(v) for name, v in one.terms.items()} == {name: float(v) for name, v in two.terms.items()}
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name]), name


def test_terms_of_no_weight_are_not_computed(make_tiny, step):
    assert set(step(make_tiny(), replace(NOTHING, image=1.0)).terms) == {"image"}
    with pytest.raises(ValueError, match="at least one loss of non-zero weight"):
        step(make_tiny(), NOTHING)


def test_the_loss_is_the_weighted_sum(make_tiny, step):
    weights = replace(LOSS_PRESETS["market"], adversarial=0.5, identity=0.7, symmetry=0.3)
    report = step(make_tiny(with_critic=True), weights)
    expected = sum(getattr(weights, name) * float(value) for name, value in report.terms.items())
    assert float(report.loss) == pytest.approx(expected, rel=1e-5)
    assert {"adversarial", "identity", "symmetry", "consistency", "edge", "depth_rim"} <= set(report.terms)


def test_identity_supervision_needs_company(make_tiny, ellipses):
    weights = replace(NOTHING, image=1.0, identity=1.0)
    config, optimiser, moment = StepConfig(losses=weights), OptimiserConfig(), TrainProgress(0, 0, 0.5)
    sample = ellipses.sample
    alone = Sample(sample.image, sample.mask, torch.arange(4))
    for known, expected in ((sample.identity, True), (None, False), (alone.identity, False)):
        batch = Batch(Sample(sample.image, sample.mask, known))
        assert ("identity" in train_step(make_tiny(), batch, config, optimiser, moment).terms) is expected


def test_identity_supervision_compares_with_the_other_photo(make_tiny, ellipses):
    """With both photos of every pair equal, A under the camera of B must score as in its own view."""
    sample = ellipses.sample
    twice = torch.tensor([0, 0, 2, 2])
    batch = Batch(Sample(sample.image[twice], sample.mask[twice], torch.tensor([0, 0, 1, 1])))
    weights = replace(NOTHING, image=1.0, iou=1.0, identity=1.0)
    learner = make_tiny()
    report = train_step(learner, batch, StepConfig(losses=weights), OptimiserConfig(), TrainProgress(0, 0, 0.5))
    own = float(report.terms["image"] + report.terms["iou"])
    assert float(report.terms["identity"]) == pytest.approx(own, rel=1e-4)
    report = train_step(make_tiny(), ellipses, StepConfig(losses=weights), OptimiserConfig(), TrainProgress(0, 0, 0.5))
    assert float(report.terms["identity"]) > float(report.terms["image"] + report.terms["iou"]) * 1.01


@pytest.mark.slow
def test_the_critic_learns_and_reports_its_gap(make_tiny, step):
    learner = make_tiny(with_critic=True)
    before = [p.clone() for p in learner.critic.parameters()]
    report = step(learner, replace(NOTHING, image=1.0, adversarial=1.0))
    assert any(not torch.equal(old, new) for old, new in zip(before, learner.critic.parameters(), strict=True))
    assert report.critic_gap is not None and report.critic_gap.isfinite()
    gaps = [float(step(learner, replace(NOTHING, image=1.0, adversarial=1.0), n).critic_gap) for n in range(1, 6)]
    assert gaps[-1] > gaps[0]


def test_an_adversarial_weight_needs_a_critic(make_tiny, step):
    with pytest.raises(ValueError, match="needs a learner with a critic"):
        step(make_tiny(), replace(NOTHING, image=1.0, adversarial=1.0))


def test_a_gradient_that_is_not_finite_leaves_everything_as_it_was(make_tiny, step):
    learner = make_tiny()
    weights = [p.detach().clone() for p in learner.encoder.parameters()]
    report = step(learner, replace(NOTHING, image=float("inf")))
    assert not report.applied and not report.gradient_norm.isfinite()
    assert all(torch.equal(old, new) for old, new in zip(weights, learner.encoder.parameters(), strict=True))
    assert step(learner, replace(NOTHING, image=1.0)).applied


def test_clipping_bounds_the_gradient(make_tiny, ellipses):
    config = StepConfig(losses=replace(NOTHING, image=1e6))
    for clip, expected in ((1e-3, 1e-3), (0.0, None)):
        learner = make_tiny()
        optimiser = OptimiserConfig(gradient_clip=clip)
        report = train_step(learner, ellipses, config, optimiser, TrainProgress(0, 0, 0.5))
        norm = torch.stack([p.grad.norm() for p in learner.encoder.parameters() if p.grad is not None]).norm()
        wanted = float(report.gradient_norm) if expected is None else expected
        assert float(norm) == pytest.approx(wanted, rel=1e-3)


def test_clean_photos_alone_are_gathered_for_the_prototype(make_tiny, ellipses):
    config, optimiser = StepConfig(losses=replace(NOTHING, image=1.0)), OptimiserConfig()
    learner = make_tiny()
    batch = Batch(ellipses.sample, torch.tensor([True, False, True, True]))
    train_step(learner, batch, config, optimiser, TrainProgress(0, 0, 0.5))
    assert learner.prototype.gathered.count == 3


def test_smoothing_moves_neighbours_together(make_tiny):
    """The smoothed gradient of one vertex spreads, keeps its mean direction, and is largest where it began."""
    learner = make_tiny(smoothing=3.0)
    matrix = learner.smoother
    assert torch.allclose(matrix.sum(dim=1), torch.ones(len(matrix)), atol=1e-5)
    assert (matrix > -1e-6).all() and (matrix.argmax(dim=1) == torch.arange(len(matrix))).all()


@pytest.mark.slow
def test_training_fits_a_batch(make_tiny, step):
    learner = make_tiny()
    first = float(step(learner, LOSS_PRESETS["small"], 1).terms["iou"])
    for number in range(2, 25):
        last = float(step(learner, LOSS_PRESETS["small"], number).terms["iou"])
    assert last < 0.75 * first
