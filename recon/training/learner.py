"""Everything that training changes, in one record, and its way into a checkpoint and back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recon.adversary import Discriminator
from recon.averaging import WeightAverage
from recon.encoders import AttributeEncoder, EncoderConfig
from recon.geometry import MeshTopology
from recon.prototype import PrototypeState
from recon.template import Template
from recon.training.config import OptimiserConfig
from recon.training.terms import ShapeFrame


@dataclass
class Learner:
    """Networks, optimisers and all other state of a training; the only thing that a step changes.

    Attributes:
        encoder: the networks that are trained; holds the prototype's vertices too.
        critic: the discriminator, or None without an adversarial term.
        optimiser: of the encoder; its groups carry their share of the learning rate as "factor".
        critic_optimiser: optimiser of the critic, or None.
        generator: source of all randomness but dropout, on the CPU.
        prototype: the template now, and what was gathered for its next move.
        average: averaged weights, or None before averaging began.
        frame: what the shape terms need of the first template.
        smoother: [V, V] of `StepConfig.offset_smoothing`, or None.
    """

    encoder: AttributeEncoder
    critic: Discriminator | None
    optimiser: torch.optim.Optimizer
    critic_optimiser: torch.optim.Optimizer | None
    generator: torch.Generator
    prototype: PrototypeState
    frame: ShapeFrame
    average: WeightAverage | None = None
    smoother: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.encoder.prototype_vertices.device

    def set_prototype(self, state: PrototypeState) -> None:
        """Take a moved prototype, in the encoder too."""
        self.prototype = state
        self.encoder.set_prototype(state.template.vertices)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it loads with `weights_only`."""
        optional: dict[str, Any] = {"critic": None, "critic_optimiser": None, "average": None}
        if self.critic is not None and self.critic_optimiser is not None:
            optional["critic"] = self.critic.state_dict()
            optional["critic_optimiser"] = self.critic_optimiser.state_dict()
        if self.average is not None:
            optional["average"] = self.average.state_dict()
        return {
            "encoder": self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "dropout_generator": _dropout_state(self.device),
            "prototype": self.prototype.state_dict(),
            **optional,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, in place.

        Raises:
            KeyError, ValueError, RuntimeError: the state belongs to another configuration.
        """
        self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.critic is not None and self.critic_optimiser is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.generator.set_state(state["generator"].cpu())
        _set_dropout_state(self.device, state["dropout_generator"].cpu())
        self.prototype = self.prototype.restored(state["prototype"])
        self.average = None
        if state["average"] is not None:
            average = WeightAverage.from_state_dict(state["average"])
            tensors = {name: value.to(self.device) for name, value in average.tensors.items()}
            self.average = WeightAverage(tensors, average.count, average.decay)


def make_learner(
    encoder_config: EncoderConfig,
    template: Template,
    optimiser: OptimiserConfig,
    *,
    seed: int,
    with_critic: bool = False,
    offset_smoothing: float = 0.0,
    device: torch.device | str = "cpu",
    prepare: Callable[[AttributeEncoder], object] = lambda encoder: None,
) -> Learner:
    """Networks with fresh weights.

    Seeds torch's own generator too, which dropout draws from.

    Args:
        seed: random seed of initial weights and of all later randomness.
        with_critic: whether there is an adversarial term.
        offset_smoothing: see `StepConfig`.
        prepare: called with the encoder before the optimiser is made, for instance to load pretrained trunks.
    """
    torch.manual_seed(seed)
    encoder = AttributeEncoder(encoder_config, template)
    prepare(encoder)
    encoder.to(device).train()
    critic = Discriminator().to(device) if with_critic else None
    template = template.to(device)
    aspect = encoder_config.height / encoder_config.width
    return Learner(
        encoder=encoder,
        critic=critic,
        optimiser=_adam(_encoder_groups(encoder, optimiser.trunk_factor), optimiser),
        critic_optimiser=None if critic is None else _adam([_group(critic.parameters(), 1.0)], optimiser),
        generator=torch.Generator().manual_seed(seed),
        prototype=PrototypeState.start(template),
        frame=ShapeFrame.of(template, aspect),
        smoother=_gradient_smoother(template.topology, offset_smoothing) if offset_smoothing else None,
    )


def _encoder_groups(encoder: AttributeEncoder, trunk_factor: float) -> list[dict[str, Any]]:
    trunk = set(encoder.shape.trunk.parameters())
    rest = (parameter for parameter in encoder.parameters() if parameter not in trunk)
    if trunk_factor == 1:
        return [_group(encoder.parameters(), 1.0)]
    return [_group(rest, 1.0), _group(encoder.shape.trunk.parameters(), trunk_factor)]


def _group(parameters: Iterator[nn.Parameter], factor: float) -> dict[str, Any]:
    return {"params": list(parameters), "factor": factor}


def _adam(groups: list[dict[str, Any]], config: OptimiserConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, config.learning_rate, betas=config.betas, amsgrad=config.amsgrad, fused=True)


def _gradient_smoother(topology: MeshTopology, strength: float) -> Tensor:
    """`(1 - s Lap)^-2` as a matrix, for the row-normalised uniform Laplacian."""
    count = len(topology.neighbours)
    mask = topology.neighbour_mask.double()
    weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    laplacian = torch.zeros(count, count, dtype=torch.float64, device=mask.device)
    laplacian.scatter_add_(1, topology.neighbours, weights)
    laplacian.diagonal().sub_(1)
    inverse = torch.linalg.inv(torch.eye(count, dtype=torch.float64, device=mask.device) - strength * laplacian)
    return (inverse @ inverse).float()


def _dropout_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_dropout_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
