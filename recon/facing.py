"""Where a person faces, against what the camera encoder says: an outline alone cannot tell front from back.

The azimuth a becomes 180 - a: the same outline, mirrored in depth.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from recon.structures import Camera

Facing = Literal["front", "back", "left", "right"]
"""Towards the camera, away from it, or to the picture's left or right."""


def faces(azimuth_deg: float, facing: Facing) -> bool:
    """Whether a person seen from this azimuth (0 from the front, 90 from their left) faces that way, within 90°."""
    turn = (azimuth_deg + 180) % 360 - 180
    return {"front": abs(turn) <= 90, "back": abs(turn) >= 90, "left": turn >= 0, "right": turn <= 0}[facing]


def turned_round(camera: Camera, facings: Sequence[Facing | None]) -> tuple[Camera, list[int]]:
    """Cameras under which everybody faces where they do, and which of them had to change.

    Args:
        facings: one per photo; None leaves its camera alone.
    """
    azimuths = camera.azimuth_deg.tolist()
    wrong = [
        index
        for index, (azimuth, facing) in enumerate(zip(azimuths, facings, strict=True))
        if facing is not None and not faces(azimuth, facing)
    ]
    for index in wrong:
        azimuths[index] = 180 - azimuths[index] if facings[index] in ("front", "back") else -azimuths[index]
    azimuth = torch.tensor(azimuths, dtype=camera.azimuth_deg.dtype, device=camera.azimuth_deg.device)
    return replace(camera, azimuth_deg=(azimuth + 180) % 360 - 180), wrong
