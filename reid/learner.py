"""One training step, and the state that it changes."""

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reid import parallel
from reid.config import LearnConfig, OptimiserConfig, Precision
from reid.data.batches import Batch
from reid.errors import ReidError
from reid.losses import identity_loss, symmetric_divergence, triplet_loss
from reid.models.network import ReidNetwork


class WeightAverage:
    """A copy that follows a network.

    Args:
        decay: weight of the past, 0..1; smaller in the first steps, so that random weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network after step number `step`, from 0; batch-norm statistics are averaged, too."""
        decay = min(self._decay, (1 + step) / (10 + step))
        given = network.state_dict()
        for key, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(given[key].to(mean.dtype), 1 - decay)
            else:
                mean.copy_(given[key])


MOMENTUM = 0.9
DROPOUT_STREAM = 31


@dataclass
class Learner:
    """A network in training.

    Attributes:
        network: in place.
        optimiser: two groups: head, backbone.
        scaler: scales the loss for float16.
    """

    network: ReidNetwork
    config: LearnConfig
    seed: int
    device: torch.device
    optimiser: torch.optim.Optimizer = field(init=False)
    average: WeightAverage | None = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)
    dtype: torch.dtype = field(init=False)

    def __post_init__(self) -> None:
        self.network = channels_last(self.network, self.device)
        parallel.copy_from_first(self.network)
        self.optimiser = _optimiser(self.network, self.config.optimiser)
        decay = self.config.averaging.decay
        self.average = WeightAverage(self.network, decay) if decay else None
        self.dtype = dtype_of(self.config.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def step(self, batch: Batch, number: int, progress: float) -> dict[str, Tensor]:
        """Learn from one batch.

        Args:
            number: of the step, from 0; with the seed it decides dropout, so that a resumed run goes on exactly.
            progress: share of the run that is done, 0..1.

        Returns:
            Every loss term and their sum `loss`, scalars without gradient.

        Raises:
            ReidError: `loss_not_finite`.
        """
        self._prepare(number, progress)
        batch = batch.to(self.device)
        terms = self._terms(batch, progress)
        total = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(total)):
            shown = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in terms.items())
            raise ReidError(
                "loss_not_finite",
                f"the loss of step {number} is not finite: {shown}",
                "Lower optimiser.learning_rate, or lengthen optimiser.schedule.warmup_share.",
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        parallel.average_gradients(self.network.parameters())
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average is not None:
            self.average.follow(self.network, number)
        return {**{name: value.detach() for name, value in terms.items()}, "loss": total.detach()}

    def searcher(self) -> ReidNetwork:
        """The network to search with: trained, or averaged where the settings say so."""
        if self.config.averaging.evaluate and self.average is not None:
            assert isinstance(self.average.network, ReidNetwork)
            return self.average.network
        return self.network

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, besides the number of the step."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.network.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there, in place."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self.scaler.load_state_dict(state["scaler"])

    def _prepare(self, number: int, progress: float) -> None:
        sequence = np.random.SeedSequence((self.seed, DROPOUT_STREAM, number, parallel.rank()))
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        factor = self.config.optimiser.schedule.factor(progress)
        for group in self.optimiser.param_groups:
            group["lr"] = group["full_rate"] * factor
        self.network.train()

    def _terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        loss = self.config.loss
        with autocast(self.device, self.dtype):
            output = self.network(batch.images)
        logits = output.logits.float()
        uniform = batch.is_virtual if self.config.virtual_labels == "uniform" else None
        terms = {"identity": identity_loss(logits, batch.classes, batch.weights, loss.smoothing, uniform)}
        if loss.triplet:
            terms["triplet"] = loss.triplet * triplet_loss(output.before_neck, batch.person, loss.margin)
        if self.config.virtual_labels == "unlabeled" and loss.divergence:
            share = loss.divergence if progress >= loss.divergence_start else 0.0
            terms["divergence"] = share * self._divergence(logits[batch.is_virtual], batch.second_look)
        return terms

    def _divergence(self, student: Tensor, second_look: Tensor | None) -> Tensor:
        if second_look is None:
            return student.sum() * 0
        assert self.average is not None
        with torch.no_grad(), autocast(self.device, self.dtype):
            teacher = self.average.network(second_look).logits
        return symmetric_divergence(student, teacher)


def channels_last(network: ReidNetwork, device: torch.device) -> ReidNetwork:
    """The network on a device, in the memory layout that its convolutions are fastest in."""
    network.to(device)
    moved: ReidNetwork = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the convolutions on a device."""
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Convolutions in that type inside the block."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def _optimiser(network: ReidNetwork, config: OptimiserConfig) -> torch.optim.Optimizer:
    head = [parameter for parameter in network.head_parameters() if parameter.requires_grad]
    rates = (config.learning_rate, config.learning_rate * config.backbone_factor)
    backbone = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate, "full_rate": rate}
        for parameters, rate in zip((head, backbone), rates, strict=True)
    ]
    if config.kind == "adam":
        return torch.optim.Adam(groups, weight_decay=config.weight_decay)
    return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, weight_decay=config.weight_decay)
