"""Prototype loop: the template drifts towards the mean shape of the photos (paper section 3, prototype loop).

Shapes of trusted photos are gathered in an `OffsetSum`; `moved_prototype` turns their mean into one small smooth step
of the template. The published way gathers in a pass of its own over the clean photos; the cheap way gathers what
training predicts anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.geometry import mirrored, uniform_laplacian
from recon.template import Template

BAD_OFFSET = 0.4
"""Mean absolute offset above which a shape counts as broken, template units (published code)."""


@dataclass(frozen=True)
class PrototypeConfig:
    """How the template moves.

    Attributes:
        step: share of the mean offset that the first update takes.
        decay: factor on `step` per update done.
        gain: factor on the mean offset before smoothing and clipping. 1 is the true mean over clean photos, as the
            paper describes; (number of clean photos) / (number of all) reproduces the published code.
        smoothing_rounds: how often the mean offset moves half-way to the mean of its neighbours.
        clip: largest component of a smoothed offset, template units.
        symmetric: keep the prototype an exact mirror image of itself in the template's mirror plane.
    """

    step: float = 0.1
    decay: float = 0.99
    gain: float = 1.0
    smoothing_rounds: int = 3
    clip: float = 0.05
    symmetric: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1 or not 0 < self.decay <= 1 or self.gain <= 0:
            raise ValueError("prototype step and decay must lie in 0..1 and gain above 0, 0 excluded")
        if self.smoothing_rounds < 0 or self.clip <= 0:
            raise ValueError("smoothing_rounds must not be negative and clip must be positive")


@dataclass(frozen=True)
class OffsetSum:
    """Sum of vertex offsets over photos.

    Attributes:
        total: [V, 3] float64, template units.
    """

    total: Float[Tensor, "V 3"]
    count: int

    @staticmethod
    def empty(template: Template) -> "OffsetSum":
        """Nothing gathered yet."""
        return OffsetSum(torch.zeros_like(template.vertices, dtype=torch.float64), 0)

    def with_batch(self, offsets: Float[Tensor, "B V 3"], clean: Bool[Tensor, " B"] | None = None) -> "OffsetSum":
        """Add the photos that are clean and whose shape is sound (`good_shapes`); each offset field is centred first.

        Args:
            offsets: predictions; no gradient is kept.
            clean: which photos to trust; None trusts all.
        """
        offsets = offsets.detach().double()
        keep = good_shapes(offsets) if clean is None else good_shapes(offsets) & clean
        kept = offsets[keep]
        centred = kept - kept.mean(dim=1, keepdim=True)
        return OffsetSum(self.total + centred.sum(dim=0), self.count + int(keep.sum()))

    @property
    def mean(self) -> Float[Tensor, "V 3"]:
        """Mean over the photos that were counted; zero when there are none."""
        return self.total / max(self.count, 1)


@dataclass(frozen=True)
class PrototypeState:
    """Where the prototype loop stands.

    Attributes:
        gathered: offsets since the last move.
    """

    template: Template
    gathered: OffsetSum
    updates: int = 0

    @staticmethod
    def start(template: Template) -> "PrototypeState":
        """The given template, before any move."""
        return PrototypeState(template, OffsetSum.empty(template))

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint: the prototype's vertices and the progress. Topology is not repeated."""
        return {
            "vertices": self.template.vertices.clone(),
            "total": self.gathered.total.clone(),
            "count": torch.tensor(self.gathered.count),
            "updates": torch.tensor(self.updates),
        }

    def restored(self, state: Mapping[str, Tensor]) -> "PrototypeState":
        """This state with the values of a checkpoint.

        Raises:
            ValueError: the checkpoint belongs to a template with another number of vertices.
        """
        own = self.template.vertices
        if state["vertices"].shape != own.shape:
            raise ValueError(f"checkpoint prototype has {len(state['vertices'])} vertices, the template has {len(own)}")
        gathered = OffsetSum(state["total"].to(own.device, torch.float64), int(state["count"]))
        return PrototypeState(self.template.with_vertices(state["vertices"].to(own)), gathered, int(state["updates"]))


def good_shapes(offsets: Float[Tensor, "B V 3"]) -> Bool[Tensor, " B"]:
    """Samples whose mean absolute offset, over all vertices and components, is at most `BAD_OFFSET`.

    The published code looks at the last vertex only.
    """
    return offsets.detach().abs().mean(dim=(1, 2)) <= BAD_OFFSET


def smoothed_offset(
    mean_offset: Float[Tensor, "V 3"], template: Template, config: PrototypeConfig
) -> Float[Tensor, "V 3"]:
    """The mean offset times `gain`, smoothed by `x + Lap x / 2` per round and clipped per component."""
    offset = (config.gain * mean_offset)[None]
    for _ in range(config.smoothing_rounds):
        offset = offset + 0.5 * uniform_laplacian(offset, template.topology)
    return offset[0].clamp(-config.clip, config.clip)


def moved_prototype(state: PrototypeState, config: PrototypeConfig, warmup: float = 1.0) -> PrototypeState:
    """Move the prototype by `warmup * step * decay^updates` times the smoothed mean offset, centre it, empty the sum.

    Nothing moves, and no update is counted, when no photo was gathered.

    Args:
        state: prototype and gathered offsets.
        warmup: `warmup_weight` now.
    """
    if state.gathered.count == 0:
        return state
    template = state.template
    rate = warmup * config.step * config.decay**state.updates
    vertices = template.vertices.double() + rate * smoothed_offset(state.gathered.mean, template, config)
    vertices = vertices - vertices.mean(dim=0)
    if config.symmetric:
        vertices = symmetrised(vertices, template)
    moved = template.with_vertices(vertices.to(template.vertices))
    return PrototypeState(moved, OffsetSum.empty(template), state.updates + 1)


def gathered_more(
    state: PrototypeState, offsets: Float[Tensor, "B V 3"], clean: Bool[Tensor, " B"] | None = None
) -> PrototypeState:
    """The state with one more batch of offsets, see `OffsetSum.with_batch`."""
    return replace(state, gathered=state.gathered.with_batch(offsets, clean))


def symmetrised(points: Float[Tensor, "V 3"], template: Template) -> Float[Tensor, "V 3"]:
    """Nearest exactly mirror-symmetric points: each is averaged with its partner's mirror image.

    Exact where partners are mutual, as on every symmetric template.
    """
    return (points + mirrored(points[template.partners], template.mirror_axis)) / 2


def warmup_weight(step: int, warmup_steps: int) -> float:
    """Linear warm-up from 0.01 at step 0 to 1 at `warmup_steps` (published: 40 epochs)."""
    return 1.0 if step >= warmup_steps else 0.01 + 0.99 * step / warmup_steps
