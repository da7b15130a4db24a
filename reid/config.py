"""Settings of a training, one frozen record per subject."""

import math
from dataclasses import dataclass, field
from typing import Literal

from reid.data.labels import VirtualLabels

Shape = Literal["steps", "cosine"]


@dataclass(frozen=True)
class RateSchedule:
    """A factor on the learning rate.

    Attributes:
        warmup_share: share of the run during which it rises from a tenth to 1.
        shape: "steps" down by `drop` at the milestones, or "cosine" down to `drop`.
        milestones: shares of the run.
    """

    warmup_share: float = 0.0
    shape: Shape = "steps"
    milestones: tuple[float, ...] = (2 / 3,)
    drop: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_share < 1 or not 0 < self.drop <= 1:
            raise ValueError("warmup_share must lie in 0..1 (1 excluded), drop in 0..1 (0 excluded)")
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError("milestones must rise")

    def factor(self, progress: float) -> float:
        """The factor at that share of the run, 0..1."""
        warm = 0.1 + 0.9 * progress / self.warmup_share if progress < self.warmup_share else 1.0
        if self.shape == "cosine":
            return warm * (self.drop + (1 - self.drop) * (1 + math.cos(math.pi * progress)) / 2)
        return warm * self.drop ** sum(progress >= milestone for milestone in self.milestones)


OptimiserKind = Literal["sgd", "adam"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class LossConfig:
    """Losses.

    Attributes:
        smoothing: label smoothing; 0 is plain cross entropy.
        triplet: weight of the batch-hard triplet loss; needs batch.per_identity.
        margin: margin of the triplet loss.
        divergence: weight of the divergence from the averaged network on unlabeled virtual photos.
        divergence_start: share of the run after which it begins.
    """

    smoothing: float = 0.0
    triplet: float = 0.0
    margin: float = 0.3
    divergence: float = 0.1
    divergence_start: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1 or not 0 <= self.divergence_start <= 1:
            raise ValueError("smoothing and divergence_start must lie in 0..1")
        if min(self.triplet, self.margin, self.divergence) < 0:
            raise ValueError("triplet, margin and divergence must not be negative")


@dataclass(frozen=True)
class OptimiserConfig:
    """Optimiser.

    Attributes:
        kind: "sgd" with Nesterov momentum 0.9, or "adam".
        learning_rate: learning rate of embedding, neck and classifier.
        backbone_factor: the backbone's rate as a share of it.
        schedule: the rate over the run.
    """

    kind: OptimiserKind = "sgd"
    learning_rate: float = 0.02
    backbone_factor: float = 0.1
    weight_decay: float = 5e-4
    schedule: RateSchedule = field(default_factory=RateSchedule)

    def __post_init__(self) -> None:
        if min(self.learning_rate, self.backbone_factor, self.weight_decay) < 0:
            raise ValueError("learning_rate, backbone_factor and weight_decay must not be negative")


@dataclass(frozen=True)
class AveragingConfig:
    """Exponential average of the weights.

    Attributes:
        decay: weight of the past; 0 keeps no average.
        evaluate: search with the averaged network instead of the trained one.
    """

    decay: float = 0.0
    evaluate: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError("decay must lie in 0..1 (1 excluded)")
        if self.evaluate and not self.decay:
            raise ValueError("evaluate needs a decay above 0")


@dataclass(frozen=True)
class LearnConfig:
    """What a step needs to know.

    Attributes:
        averaging: average of the weights.
        virtual_labels: see `reid.data.labels.make_labels`.
        precision: of the convolutions; "auto" is bfloat16 on GPUs that have it, float16 on others, float32 on CPUs.
    """

    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    averaging: AveragingConfig = field(default_factory=AveragingConfig)
    virtual_labels: VirtualLabels = "classes"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.virtual_labels == "unlabeled" and not self.averaging.decay:
            raise ValueError('virtual_labels = "unlabeled" needs averaging.decay: the averaged network is the teacher')
