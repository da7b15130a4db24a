"""What a training step does, and how the optimisers, the prototype and the average move: one record per part."""

from dataclasses import dataclass, field
from typing import Literal

from recon.losses import LossWeights
from recon.prototype import PrototypeConfig

PrototypeKind = Literal["off", "published", "running"]
AverageKind = Literal["off", "equal", "exponential"]


@dataclass(frozen=True)
class SoftMask:
    """How soft silhouettes are drawn while training: wide at first, so that distant pixels pull, narrow later.

    Sharpness follows the reach: `sigmainv = 2.8 / reach^2`, 7000 at the published reach of 0.02.

    Attributes:
        reach: largest distance from the body that gets any mask, NDC, at the start.
        final_reach: the same from `narrow_at` on; the published 0.02 reaches one pixel at 128 x 64.
        narrow_at: share of the training at which `final_reach` is attained.
    """

    reach: float = 0.1
    final_reach: float = 0.02
    narrow_at: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.final_reach <= self.reach <= 0.5:
            raise ValueError(f"soft mask must narrow: 0 < final_reach <= reach <= 0.5, not {self}")
        if not 0 <= self.narrow_at <= 1:
            raise ValueError(f"narrow_at must lie in 0..1, not {self.narrow_at}")


PUBLISHED_SOFT_MASK = SoftMask(reach=0.02, final_reach=0.02, narrow_at=0.0)


@dataclass(frozen=True)
class StepConfig:
    """One training step (paper section 3; ALGORITHM: `recon.training.step`).

    Attributes:
        losses: effective weights; terms of weight 0 are not computed.
        encoder_loop: in turn only shape, only texture and light, only camera learn from the reconstruction.
        consistency_every: steps between two attribute-consistency passes; 1 is published, 4 suits a CPU.
        consistency_share: share of the batch that takes part in such a pass.
        track_drawings: let drawings enter the batch-norm statistics, as published; they then dominate those.
        fixed_statistics: batch-norm layers keep the statistics that the weights came with: for adaptation, where
            batches of photos and of replayed people would pull them to and fro.
        soft_mask: how silhouettes are drawn.
        offset_smoothing: strength of the smoother on the gradient of the offsets, `(1 + s L)^-2` with the uniform
            Laplacian L (Nicolet et al. 2021); 0 switches it off, as published.
        shade_background: multiply the background by the light, as published.
        azimuth_margin_deg: see `recon.mixing.random_azimuths_deg`.
    """

    losses: LossWeights = field(default_factory=LossWeights)
    encoder_loop: bool = False
    consistency_every: int = 4
    consistency_share: float = 0.5
    track_drawings: bool = False
    fixed_statistics: bool = False
    soft_mask: SoftMask = field(default_factory=SoftMask)
    offset_smoothing: float = 3.0
    shade_background: bool = False
    azimuth_margin_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.consistency_every < 1:
            raise ValueError(f"consistency_every must be at least 1, not {self.consistency_every}")
        if not 0 < self.consistency_share <= 1:
            raise ValueError(f"consistency_share must lie in 0..1 (0 excluded), not {self.consistency_share}")
        if self.offset_smoothing < 0:
            raise ValueError(f"offset_smoothing must not be negative, not {self.offset_smoothing}")


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam and its learning rate over time.

    Attributes:
        learning_rate: learning rate of everything but the pretrained shape trunk.
        trunk_factor: the shape trunk's rate as a share of it; published 0.05.
        betas: Adam's decay rates.
        warmup_steps: steps over which the rate rises from 1 % to its full value.
        final_share: the rate at the end as a share of the start; no group falls below it, or rises to it.
        cycles: half cosines from start to end; 2 is CUB's warm restart.
        gradient_clip: largest norm of the encoder gradient; 0 does not clip, as published.
    """

    learning_rate: float = 1e-3
    trunk_factor: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    amsgrad: bool = False
    warmup_steps: int = 50
    final_share: float = 0.05
    cycles: int = 1
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.trunk_factor <= 0:
            raise ValueError("learning_rate and trunk_factor must be positive")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in 0..1 (1 excluded), not {self.betas}")
        if self.warmup_steps < 0 or self.gradient_clip < 0:
            raise ValueError("warmup_steps and gradient_clip must not be negative")
        if not 0 <= self.final_share <= 1 or self.cycles < 1:
            raise ValueError("final_share must lie in 0..1 and cycles be at least 1")


@dataclass(frozen=True)
class Interval:
    """How often something happens: every so many steps, or epochs; exactly one of the two is positive."""

    steps: int = 0
    epochs: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.epochs) < 0 or (self.steps > 0) == (self.epochs > 0):
            raise ValueError(f"give either steps or epochs, one of them positive, not {self}")

    def is_due(self, steps_done: int, epochs_done: int, epoch_ended: bool) -> bool:
        """Whether it is time after a step.

        Args:
            epochs_done: whole epochs so far.
            epoch_ended: whether the last step ended an epoch.
        """
        if self.steps:
            return steps_done % self.steps == 0
        return epoch_ended and epochs_done % self.epochs == 0


@dataclass(frozen=True)
class PrototypeLoop:
    """When and how the template follows the mean shape.

    Attributes:
        kind: "off"; "published": a pass over the clean photos with the networks in evaluation mode; "running": the
            mean of what training predicted for clean photos since the last move, which costs nothing.
        every: when it moves. The published schedule moves after epochs 0, 2, 4 ...; this one after 2, 4, ...
        frozen_share: share of the training at its end during which the template stays; published 100 of 600 epochs.
        move: size of a move.
    """

    kind: PrototypeKind = "running"
    every: Interval = Interval(steps=25)
    frozen_share: float = 0.2
    move: PrototypeConfig = field(default_factory=PrototypeConfig)


@dataclass(frozen=True)
class Averaging:
    """Weight averaging.

    Attributes:
        kind: "off", "equal" (SWA, which the paper calls EMA) or "exponential".
        start_share: share of the training after which it begins; published 500 of 600 epochs.
        every: how often a model joins; published every epoch.
        decay: weight of the past in an exponential average.
    """

    kind: AverageKind = "off"
    start_share: float = 5 / 6
    every: Interval = Interval(steps=20)
    decay: float = 0.98

    def __post_init__(self) -> None:
        if not 0 <= self.start_share <= 1:
            raise ValueError(f"start_share must lie in 0..1, not {self.start_share}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in 0..1 (1 excluded), not {self.decay}")
