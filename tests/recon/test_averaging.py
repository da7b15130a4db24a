"""Weight averages: exact arithmetic, buffers, round trip, batch-norm statistics of photos."""

import pytest
import torch
from torch import nn

from recon.averaging import WeightAverage, recompute_batch_norm


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.9)
        self.register_buffer("template", torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dropout(self.linear(x)))


def filled(value: float, steps: int = 0) -> Net:
    net = Net()
    with torch.no_grad():
        for tensor in (*net.parameters(), net.norm.running_mean, net.norm.running_var, net.template):
            tensor.fill_(value)
    net.norm.num_batches_tracked.fill_(steps)
    return net


def test_equal_weight_average_is_the_mean_of_all_models():
    average = WeightAverage.start(filled(1.0))
    for value in (2.0, 6.0, 11.0):
        average = average.with_model(filled(value))
    assert average.count == 4
    for name in ("linear.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        torch.testing.assert_close(average.tensors[name], torch.full_like(average.tensors[name], 5.0))


def test_exponential_average_decays():
    average = WeightAverage.start(filled(0.0), decay=0.75).with_model(filled(8.0)).with_model(filled(8.0))
    torch.testing.assert_close(average.tensors["linear.bias"], torch.full((3,), 8 * (1 - 0.75**2)))


def test_counters_and_the_template_come_from_the_newest_model():
    average = WeightAverage.start(filled(0.0, steps=3)).with_model(filled(1.0, steps=8))
    assert average.tensors["norm.num_batches_tracked"].item() == 8
    torch.testing.assert_close(average.tensors["template"], torch.ones(2))


def test_an_average_does_not_follow_later_training():
    net = filled(1.0)
    average = WeightAverage.start(net)
    with torch.no_grad():
        net.linear.weight.fill_(9.0)
        net.template.fill_(9.0)
    assert average.tensors["linear.weight"].max() == 1.0
    assert average.tensors["template"].max() == 1.0


def test_model_like_carries_the_average_and_leaves_the_model_alone():
    net = filled(3.0)
    result = WeightAverage.start(filled(1.0)).with_model(net).model_like(net)
    assert isinstance(result, Net)
    assert result.linear.weight.unique().tolist() == [2.0]
    assert net.linear.weight.unique().tolist() == [3.0]
    assert result.linear.weight.requires_grad


@pytest.mark.parametrize("decay", [None, 0.9])
def test_round_trip_continues_the_same_average(decay):
    average = WeightAverage.start(filled(1.0), decay).with_model(filled(2.0))
    restored = WeightAverage.from_state_dict(average.state_dict())
    expected, actual = (each.with_model(filled(5.0)) for each in (average, restored))
    assert actual.count == expected.count == 3 and actual.decay == decay
    assert all(torch.equal(actual.tensors[name], expected.tensors[name]) for name in expected.tensors)


def test_bad_states_and_decays_are_refused():
    with pytest.raises(ValueError, match="not a weight average: expected the entries tensors, count and decay"):
        WeightAverage.from_state_dict({"tensors": {}, "decay": None})
    with pytest.raises(ValueError, match=r"decay must lie in 0\.\.1 \(1 excluded\), not 1.0"):
        WeightAverage.start(filled(0.0), decay=1.0)


def test_batch_norm_statistics_are_those_of_the_batches_without_dropout():
    net = Net()
    net.norm.momentum = 0.3
    batches = [torch.randn(50, 2, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    recompute_batch_norm(net, batches)
    outputs = [net.linear(batch).detach() for batch in batches]
    torch.testing.assert_close(net.norm.running_mean, torch.stack([out.mean(0) for out in outputs]).mean(0))
    torch.testing.assert_close(net.norm.running_var, torch.stack([out.var(0) for out in outputs]).mean(0))
    assert net.norm.momentum == 0.3


def test_batch_norm_recomputation_restores_every_mode():
    net = Net()
    net.linear.eval()
    before = {name: module.training for name, module in net.named_modules()}
    recompute_batch_norm(net, [torch.randn(4, 2)])
    assert {name: module.training for name, module in net.named_modules()} == before
    with pytest.raises(ValueError, match="at least one batch"):
        recompute_batch_norm(net, [])
