"""Signs that a training goes wrong while its losses look fine.

A camera that says the same of every photo gets a good MaskIoU and SSIM: the body becomes a billboard with a keel. So
these figures are watched while training runs, and stand beside every metric.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.metrics import azimuth_spread_deg

LEAST_SPREAD_DEG = 15.0
MOST_ONE_SIDED = 0.97
LARGEST_OFFSET = 0.25
SMALLEST_OFFSET = 0.005
LARGEST_CRITIC_GAP = 50.0


@dataclass(frozen=True)
class CollapseFigures:
    """Figures of one set of predictions.

    Attributes:
        azimuth_spread_deg: circular standard deviation; 0 for a constant camera, above 100 for all-round views.
        front_share: share of photos believed to show the front, 0..1.
        mean_offset: mean length of the vertex offsets, template units.
        critic_gap: mean score of photos minus that of drawings, or None without a critic.
    """

    azimuth_spread_deg: float
    front_share: float
    mean_offset: float
    critic_gap: float | None = None


def collapse_figures(
    azimuth_deg: Float[Tensor, " N"], offset_length: Float[Tensor, " N"], critic_gap: float | None = None
) -> CollapseFigures:
    """Figures of predictions for a varied set of photos; a hundred or more mean something.

    Args:
        offset_length: mean length of the vertex offsets of each photo, template units.
        critic_gap: mean score of photos minus that of drawings, or None without a critic.
    """
    azimuth_deg = azimuth_deg.detach().double()
    return CollapseFigures(
        azimuth_spread_deg=float(azimuth_spread_deg(azimuth_deg)),
        front_share=float((torch.deg2rad(azimuth_deg).cos() >= 0).double().mean()),
        mean_offset=float(offset_length.detach().mean()),
        critic_gap=critic_gap,
    )


def collapse_warnings(figures: CollapseFigures) -> list[str]:
    """One sentence per sign of trouble."""
    warnings = []
    if figures.azimuth_spread_deg < LEAST_SPREAD_DEG:
        warnings.append(
            f"the camera is collapsing: predicted azimuths spread by {figures.azimuth_spread_deg:.0f} degrees only; "
            "side views will not hold, whatever MaskIoU says"
        )
    elif not 1 - MOST_ONE_SIDED <= figures.front_share <= MOST_ONE_SIDED:
        side = "front" if figures.front_share > 0.5 else "back"
        warnings.append(f"nearly every photo is taken for a {side} view; backs may be second fronts")
    if figures.mean_offset > LARGEST_OFFSET:
        warnings.append(
            f"shapes run away: offsets average {figures.mean_offset:.2f}; lower the learning rate or narrow the "
            "distance range"
        )
    elif figures.mean_offset < SMALLEST_OFFSET:
        warnings.append(f"shapes do not move: offsets average {figures.mean_offset:.4f}")
    if figures.critic_gap is not None and abs(figures.critic_gap) > LARGEST_CRITIC_GAP:
        warnings.append(f"the critic has run away: its scores differ by {figures.critic_gap:.0f}; weaken it")
    return warnings
