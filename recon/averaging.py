"""Weight averaging: an equal-weight running average of checkpoints (SWA) or an exponential one (EMA).

Parameters and batch-norm statistics are averaged; every other buffer (counters, a template) is taken from the newest
model.

Not `torch.optim.swa_utils`: an average here is a value that a checkpoint holds beside many models, not a module that
follows one, and its `update_bn` moves batches itself and knows neither several inputs nor the modes of other layers.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)

_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class WeightAverage:
    """An average of model states.

    Attributes:
        tensors: the averaged `state_dict`.
        decay: weight of the past per step for an exponential average; None for an equal-weight one.
    """

    tensors: Mapping[str, Tensor]
    count: int
    decay: float | None = None

    @staticmethod
    def start(model: nn.Module, decay: float | None = None) -> "WeightAverage":
        """The average of one model.

        Raises:
            ValueError: decay outside 0..1.
        """
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"averaging decay must lie in 0..1 (1 excluded), not {decay}")
        return WeightAverage({name: value.detach().clone() for name, value in model.state_dict().items()}, 1, decay)

    @torch.no_grad()
    def with_model(self, model: nn.Module) -> "WeightAverage":
        """The average with one more model of the same architecture."""
        averaged = {name for name, _ in model.named_parameters()}
        share = 1 / (self.count + 1) if self.decay is None else 1 - self.decay
        tensors = {}
        for name, value in model.state_dict().items():
            if name in averaged or name.rpartition(".")[2] in _STATISTICS:
                tensors[name] = torch.lerp(self.tensors[name], value, share)
            else:
                tensors[name] = value.detach().clone()
        return WeightAverage(tensors, self.count + 1, self.decay)

    def model_like(self, model: Model) -> Model:
        """A copy of `model` that carries the averaged weights."""
        result = copy.deepcopy(model)
        result.load_state_dict(dict(self.tensors))
        return result

    def state_dict(self) -> dict[str, object]:
        """For a checkpoint: tensors, count and decay."""
        return {"tensors": dict(self.tensors), "count": self.count, "decay": self.decay}

    @staticmethod
    def from_state_dict(state: Mapping[str, object]) -> "WeightAverage":
        """What `state_dict` gave.

        Raises:
            ValueError: an entry is missing or of another kind.
        """
        tensors, count, decay = state.get("tensors"), state.get("count"), state.get("decay")
        if not isinstance(tensors, Mapping) or not isinstance(count, int) or not isinstance(decay, float | None):
            raise ValueError("not a weight average: expected the entries tensors, count and decay")
        return WeightAverage(dict(tensors), count, decay)


@torch.no_grad()
def recompute_batch_norm(model: nn.Module, batches: Iterable[object]) -> None:
    """Replace the batch-norm statistics by those of `batches`, one forward pass each; in place.

    Averaged weights, and weights trained beside drawings, need statistics of photos. Only batch-norm layers run in
    train mode, so dropout disturbs nothing. The statistics are plain means over the batches; all modes are restored.

    Args:
        model: called as `model(batch)`.
        batches: its inputs, at least one.

    Raises:
        ValueError: no batch was given.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    modes = {module: module.training for module in model.modules()}
    momenta = {layer: layer.momentum for layer in layers}
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # makes torch keep a cumulative mean
        layer.train()
    try:
        count = 0
        for batch in batches:
            model(batch)
            count += 1
    finally:
        for layer, momentum in momenta.items():
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    if count == 0:
        raise ValueError("batch-norm statistics need at least one batch")
