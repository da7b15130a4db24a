"""Pictures of one asset while one camera parameter changes; the last one joins the first."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

from mmgen.assets.asset import Asset
from mmgen.previews.views import Image8, View, render_view

Sweep = Literal["azimuth", "elevation", "distance", "x", "y"]
SWEEPS: tuple[Sweep, ...] = get_args(Sweep)

ELEVATIONS_DEG = (-20.0, 60.0)
DISTANCE_FACTORS = (0.55, 2.2)
X_REACH, Y_REACH = 0.5, 0.45
"""How far the asset goes to each side: in half widths of the picture, and in half heights."""


def sweep_frames(asset: Asset, sweep: Sweep, start: View, count: int, size: tuple[int, int]) -> Iterator[Image8]:
    """`count` pictures of one sweep.

    Azimuth goes all the way around from the start. Elevation and distance start at their lower end, x and y in the
    middle; they swing there and back, slow at the ends. Every loop closes without showing a picture twice in a row.

    Args:
        sweep: What changes; everything else stays as in `start`.
        count: Pictures in one loop, at least 2.
        size: Height and width, pixels.
    """
    for index in range(count):
        yield render_view(asset, _moved(start, sweep, index / count, size[1] / size[0]), size)


def _moved(start: View, sweep: Sweep, time: float, aspect: float) -> View:
    """The view at a time of the loop, 0..1; `aspect` is width / height."""
    swing = 0.5 - 0.5 * math.cos(math.tau * time)  # 0 at time 0, 1 at time 1/2, 0 at time 1
    wave = math.sin(math.tau * time)
    match sweep:
        case "azimuth":
            return replace(start, azimuth_deg=start.azimuth_deg + 360 * time)
        case "elevation":
            low, high = ELEVATIONS_DEG
            return replace(start, elevation_deg=low + (high - low) * swing)
        case "distance":
            near, far = DISTANCE_FACTORS
            return replace(start, distance_factor=near * (far / near) ** swing)
        case "x":
            return replace(start, shift=(X_REACH * aspect * wave, 0.0))
        case "y":
            return replace(start, shift=(0.0, Y_REACH * wave))
