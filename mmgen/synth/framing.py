"""Where a camera has to stand so that what it should see of a person lies where it should lie in the picture."""

from dataclasses import dataclass

import numpy as np
import torch

from mmgen.synth.shading import project_pixels
from recon.camera import world_to_camera
from recon.structures import Camera

TURNS = 14
"""Of moving the camera; in the last quarter it does not come nearer or go away any more."""

STEP = 0.6
"""Share of the way to the distance that would do if all points were as far as their middle: the whole way swings."""

NEAREST_M = 0.15
"""No point of a person comes nearer to the camera."""

WIDEST_OFFSET_M = 1.5


@dataclass(frozen=True)
class Sight:
    """From which side, and through which lens.

    Attributes:
        focal: 1 / tan(half the vertical field of view).
    """

    azimuth_deg: float
    elevation_deg: float
    focal: float


@dataclass(frozen=True)
class Place:
    """Where points are to lie in the picture: -1 is the lower (left) edge, 1 the upper (right) one, as for all of them.

    Attributes:
        low, high: of the lowest and the highest point; beyond -1 and 1 is outside the picture.
        across: of the middle between the leftmost and the rightmost.
    """

    low: float
    high: float
    across: float


def projected(
    points: np.ndarray, sight: Sight, distance: float, offset: np.ndarray, aspect: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places [N, 2] right and up, -1..1 inside the picture, and depths [N] of points [N, 3].

    Args:
        distance: of the camera from the origin, metres.
        offset: [2] shift of the points in the camera frame, right and up, metres.
        aspect: width over height of the picture.
    """
    camera = Camera(
        torch.tensor([sight.azimuth_deg]), torch.tensor([sight.elevation_deg]), torch.tensor([distance]),
        torch.tensor(offset, dtype=torch.float32)[None],
    )  # fmt: skip
    pixels = np.array([[sight.focal / aspect, 0.0, 0.0], [0.0, -sight.focal, 0.0], [0.0, 0.0, 1.0]])
    return project_pixels(points, world_to_camera(camera)[0].double().numpy(), pixels)


def framed(points: np.ndarray, sight: Sight, place: Place, aspect: float) -> tuple[float, tuple[float, float]]:
    """Distance and offset, metres, with which points [N, 3] lie in their place.

    Args:
        points: world frame, metres, about the origin.
        aspect: width over height of the picture.
    """
    span = place.high - place.low
    distance, offset = sight.focal * float(np.ptp(points[:, 1])) / span, np.zeros(2)
    for turn in range(TURNS):
        places, depth = projected(points, sight, distance, offset, aspect)
        columns = np.ascontiguousarray(places.T)  # ten times as fast to search as rows of two
        low, high = columns.min(axis=1), columns.max(axis=1)
        if turn < TURNS * 3 // 4:  # enlarging by moving nearer is not linear
            further = STEP * float(depth.mean()) * (float(high[1] - low[1]) / span - 1)
            distance += max(further, NEAREST_M - float(depth.min()))
        missed = np.array([place.across, (place.low + place.high) / 2]) - (low + high) / 2
        offset = np.clip(offset + missed * [aspect, 1.0] * distance / sight.focal, -WIDEST_OFFSET_M, WIDEST_OFFSET_M)
    return distance, (float(offset[0]), float(offset[1]))
