"""Views as in Market-1501: small boxes that a detector cut out of the frames of six cameras above a square.

Most boxes fit. Some cut the feet, or the head too; some have a third of ground below; some show the person at one side.
Each camera has its own height, lens, colours and number of pixels; what it sees is compressed twice.
"""

import numpy as np

from mmgen.synth.framing import Place, Sight, framed
from mmgen.synth.street import STREET_LENGTH_M, StreetCamera
from mmgen.synth.view import Body, Frame, View
from mmgen.synth.viewpoint import daylight, passing_azimuth_deg

BOXES = {"fits": 0.52, "no_feet": 0.18, "ground": 0.14, "aside": 0.12, "tight": 0.04}
"""What detectors cut out, and how often."""

BEHINDS = {"street": 0.74, "passers_by": 0.18, "texture": 0.04, "windows": 0.04}
ELEVATIONS_DEG = (1.0, 28.0)

SMALL_CAMERA = 6
"""It has fewer pixels than the others."""

FRAME_PX = {True: (56, 104), False: (72, 230)}
"""Heights of boxes in the frame, pixels, of the small camera and the others."""


def sample_market_view(generator: np.random.Generator, street: StreetCamera, body: Body, aspect: float) -> View:
    """A view through one of the six cameras.

    Args:
        street: the camera.
        aspect: width over height of the picture.
    """
    elevation = float(np.clip(generator.normal(street.elevation_deg, 3.0), *ELEVATIONS_DEG))
    azimuth = passing_azimuth_deg(generator)
    low, high, across = _box(generator)
    place = Place(low, high, across)
    distance, offset = framed(body.vertices, Sight(azimuth, elevation, street.focal), place, aspect)
    behind = str(generator.choice(list(BEHINDS), p=list(BEHINDS.values())))
    return View(
        street=street,
        azimuth_deg=azimuth,
        elevation_deg=elevation,
        distance=distance,
        offset=offset,
        light=daylight(generator, street),
        place_m=float(generator.uniform(0, STREET_LENGTH_M)),
        exposure=float(np.exp(np.clip(generator.normal(0.1, 0.16), -0.35, 0.45))),
        noise_seed=int(generator.integers(2**31)),
        behind=behind,
        jpeg_quality=int(generator.integers(70, 96)),
        frame=_frame(generator, street),
    )


def _box(generator: np.random.Generator) -> tuple[float, float, float]:
    """Lowest and highest point of the person, and their middle, see `framing.Place`."""
    kind = str(generator.choice(list(BOXES), p=list(BOXES.values())))
    head, feet = float(generator.uniform(0.04, 0.16)), float(generator.uniform(0.04, 0.2))
    across = float(np.clip(generator.normal(0, 0.12), -0.3, 0.3))
    if kind == "no_feet":  # up to the knees
        feet = -float(generator.uniform(0.04, 0.5))
    elif kind == "ground":
        feet = float(generator.uniform(0.3, 0.68))
    elif kind == "aside":
        across = float(generator.choice((-1.0, 1.0)) * generator.uniform(0.3, 0.62))
    elif kind == "tight":
        head, feet = -float(generator.uniform(0.0, 0.12)), -float(generator.uniform(0.0, 0.12))
    return -1.0 + feet, 1.0 - head, across


def _frame(generator: np.random.Generator, street: StreetCamera) -> Frame:
    small, large = np.log(FRAME_PX[street.number == SMALL_CAMERA])
    height = round(float(np.exp(generator.uniform(small, large))))
    moves = generator.random() < 0.25
    return Frame(
        height_px=height,
        jpeg_quality=int(generator.integers(35, 85)),
        smear_px=float(generator.uniform(0.01, 0.035)) * height if moves else 0.0,
    )
