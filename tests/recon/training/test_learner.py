import io

import pytest
import torch

from recon.averaging import WeightAverage
from recon.losses import LOSS_PRESETS
from recon.training.config import Averaging, Interval, PrototypeLoop
from recon.training.learner import _encoder_groups
from recon.training.loops import averaged_encoder, join_average, move_prototype

WEIGHTS = LOSS_PRESETS["people"]


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("with_critic", [False, True])
def test_a_restored_learner_goes_on_bit_for_bit(make_tiny, step, with_critic):
    weights = LOSS_PRESETS["market"] if with_critic else WEIGHTS
    changes = {"camera_dropout": 0.2, "shape_dropout": 0.2}
    unbroken = make_tiny(with_critic=with_critic, **changes)
    step(unbroken, weights, 0)
    step(unbroken, weights, 1)
    join_average(unbroken, Averaging(kind="equal"))
    state = through_a_file(unbroken.state_dict())
    step(unbroken, weights, 4)

    restored = make_tiny(seed=5, with_critic=with_critic, **changes)
    restored.load_state_dict(state)
    step(restored, weights, 4)
    for name, value in unbroken.encoder.state_dict().items():
        assert torch.equal(value, restored.encoder.state_dict()[name]), name
    assert torch.equal(unbroken.prototype.gathered.total, restored.prototype.gathered.total)
    assert restored.average is not None and restored.average.count == 1
    assert torch.equal(unbroken.generator.get_state(), restored.generator.get_state())


def test_the_prototype_moves_in_the_encoder_too(make_tiny, step):
    learner = make_tiny()
    for number in range(3):
        step(learner, WEIGHTS, number)
    before = learner.encoder.prototype_vertices.clone()
    moved = move_prototype(learner, PrototypeLoop(), [], warmup_steps=0, step=6)
    assert moved > 0
    assert torch.equal(learner.encoder.prototype_vertices, learner.prototype.template.vertices)
    assert float((learner.encoder.prototype_vertices - before).norm(dim=1).mean()) == pytest.approx(moved)
    assert learner.prototype.gathered.count == 0 and learner.prototype.updates == 1
    assert move_prototype(learner, PrototypeLoop(), [], warmup_steps=0, step=7) == 0


def test_the_published_loop_looks_at_clean_photos_in_evaluation_mode(make_tiny, step, ellipses):
    learner = make_tiny()
    for number in range(3):
        step(learner, WEIGHTS, number)
    modes = []
    learner.encoder.shape.register_forward_hook(lambda module, inputs, output: modes.append(module.training))
    loop = PrototypeLoop(kind="published", every=Interval(epochs=2))
    statistics = learner.encoder.shape.trunk.fourth[1].running_mean.clone()
    assert move_prototype(learner, loop, [ellipses, ellipses], warmup_steps=0, step=6) > 0
    assert modes == [False, False] and learner.encoder.training
    assert torch.equal(statistics, learner.encoder.shape.trunk.fourth[1].running_mean)


def test_moves_grow_with_the_warm_up(make_tiny, step):
    learner = make_tiny()
    for number in range(4):
        step(learner, WEIGHTS, number)
    gathered, moves = learner.prototype, []
    for number in (0, 50, 100):
        learner.set_prototype(gathered)
        moves.append(move_prototype(learner, PrototypeLoop(), [], warmup_steps=100, step=number))
    assert moves[0] == pytest.approx(0.01 * moves[2], rel=0.02)
    assert moves[1] == pytest.approx(0.505 * moves[2], rel=0.02)


def test_averaging(make_tiny, step, ellipses):
    learner = make_tiny()
    name = "shape.offsets.1.bias"
    values = []
    for number in range(3):
        step(learner, WEIGHTS, number)
        join_average(learner, Averaging(kind="equal"))
        values.append(learner.encoder.state_dict()[name].clone())
    averaged = averaged_encoder(learner, [ellipses])
    torch.testing.assert_close(averaged.state_dict()[name], torch.stack(values).mean(dim=0))
    assert torch.equal(learner.encoder.state_dict()[name], values[-1])


def test_exponential_averaging(make_tiny, step):
    learner = make_tiny()
    name = "shape.offsets.1.bias"
    step(learner, WEIGHTS, 0)
    first = learner.encoder.state_dict()[name].clone()
    join_average(learner, Averaging(kind="exponential", decay=0.75))
    step(learner, WEIGHTS, 1)
    join_average(learner, Averaging(kind="exponential", decay=0.75))
    assert isinstance(learner.average, WeightAverage)
    expected = 0.75 * first + 0.25 * learner.encoder.state_dict()[name]
    torch.testing.assert_close(learner.average.tensors[name], expected)


def test_no_average_without_models(make_tiny, ellipses):
    with pytest.raises(ValueError, match="no weights were averaged"):
        averaged_encoder(make_tiny(), [ellipses])


def test_the_shape_trunk_learns_at_its_own_rate(make_tiny):
    encoder = make_tiny().encoder
    rest, trunk = _encoder_groups(encoder, 0.05)
    assert (rest["factor"], trunk["factor"]) == (1.0, 0.05)
    assert {id(p) for p in trunk["params"]} == {id(p) for p in encoder.shape.trunk.parameters()}
    assert len(rest["params"]) + len(trunk["params"]) == len(list(encoder.parameters()))


def test_weights_follow_the_seed(make_tiny):
    same, again, other = make_tiny(seed=1), make_tiny(seed=1), make_tiny(seed=2)
    name = "camera.trunk.fourth.3.weight"
    assert torch.equal(same.encoder.state_dict()[name], again.encoder.state_dict()[name])
    assert not torch.equal(same.encoder.state_dict()[name], other.encoder.state_dict()[name])
