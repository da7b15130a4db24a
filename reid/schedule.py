"""Learning rate over a run."""

import math
from dataclasses import dataclass
from typing import Literal

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
