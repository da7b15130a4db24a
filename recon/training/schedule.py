"""Learning rate, soft mask and encoder groups as functions of where the training stands."""

import math

from recon.encoders import ALL_GROUPS
from recon.prototype import warmup_weight
from recon.render import RenderSettings
from recon.training.config import OptimiserConfig, SoftMask

LOOP_GROUPS = (
    frozenset({"shape", "background"}),
    frozenset({"texture", "light", "background"}),
    frozenset({"camera", "background"}),
)
"""Encoder loop: what learns from the reconstruction at step 0, 1, 2, 0, ... of an epoch (published code)."""

SHARPNESS_AT_REACH = 2.8
"""sigmainv x reach^2 of the published soft mask: 7000 x 0.02^2."""


def trainable_groups(step_in_epoch: int, encoder_loop: bool) -> frozenset[str]:
    """Encoder groups that get gradients from the reconstruction in this step."""
    return LOOP_GROUPS[step_in_epoch % len(LOOP_GROUPS)] if encoder_loop else ALL_GROUPS


def learning_rate(config: OptimiserConfig, factor: float, step: int, progress: float) -> float:
    """Learning rate of a parameter group: a real warm-up, then `cycles` half cosines down to the floor.

    The published code warms the losses up instead, which Adam cancels, and its floor lifts the trunk of the CUB run
    above its start.

    Args:
        factor: the group's share of `config.learning_rate`.
        step: number of the step, from 0.
        progress: share of the training that is done, 0..1.
    """
    floor = min(config.final_share, factor)
    position = min(max(progress, 0.0), 1.0) * config.cycles
    within = 1.0 if position == config.cycles else position % 1.0
    cosine = (1 + math.cos(math.pi * within)) / 2
    warmup = warmup_weight(step, config.warmup_steps) if config.warmup_steps else 1.0
    return config.learning_rate * warmup * (floor + (factor - floor) * cosine)


def render_settings(mask: SoftMask, progress: float, shade_background: bool) -> RenderSettings:
    """How to draw at this point of the training."""
    share = 1.0 if mask.narrow_at == 0 else min(1.0, progress / mask.narrow_at)
    reach = mask.reach + (mask.final_reach - mask.reach) * share
    sigmainv = SHARPNESS_AT_REACH / reach**2
    return RenderSettings(sigmainv=sigmainv, boxlen=reach, shade_background=shade_background)
