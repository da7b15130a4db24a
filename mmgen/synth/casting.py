"""Which people are cast, and how they dress and behave: one table of frequencies for each style of data set."""

from dataclasses import dataclass

import numpy as np

STYLES = ("street", "studio", "world", "market")
"""`street`: passers-by, six fixed cameras. `studio`: other people, lenses, light and backgrounds, to test a shift.
`world`: anybody before any camera, in any light: lenses from phone-near to tele, from below and above, with faults.
`market`: summer on a campus, as Market-1501 shows it: cameras above, small boxes that a detector cut out, compressed.
"""


@dataclass(frozen=True)
class Casting:
    """Frequencies, 0..1 unless said otherwise.

    Attributes:
        taller_m: Added to the mean height of adults, metres.
        weight: Mean and spread of the weight, in spreads of a street crowd.
        warm: Dressed for warm weather.
        dressy: Skirts, dresses, shirts and coats, as a factor, 1 as in the street.
        patterned: Patterned fabrics, as a factor.
        hats: With something on the head, as a factor.
        walking: Walking in the poses after the first.
        tilt_deg: Spread of how far people, with the camera, are tilted sideways, degrees.
        posing: Standing as for a photo (`stance`) in the poses after the first; half as often in the first.
        sunglasses: With dark glasses.
        draped: Of long hair, in strands before the shoulders.
        photographing: With a phone before the face, in any pose.
    """

    feminine: float
    child: float
    older: float
    taller_m: float
    weight: tuple[float, float]
    warm: float
    dressy: float
    patterned: float
    vivid: float
    bags: float
    hats: float
    walking: float
    posing: float
    tilt_deg: float = 0.0
    sunglasses: float = 0.0
    draped: float = 0.0
    photographing: float = 0.0


CASTINGS = {
    "street": Casting(0.48, 0.09, 0.13, 0.0, (0.1, 1.1), 0.5, 1.0, 1.0, 1.0, 0.52, 1.0, 0.45, 0.4),
    "studio": Casting(0.56, 0.03, 0.2, 0.05, (-0.4, 1.4), 0.4, 2.2, 1.5, 1.5, 0.22, 1.6, 0.25, 0.5),
    "world": Casting(0.52, 0.05, 0.13, 0.02, (0.0, 1.2), 0.5, 1.8, 1.5, 1.4, 0.5, 1.2, 0.3, 0.6, 3.0, 0.17, 0.55, 0.06),
    "market": Casting(0.45, 0.02, 0.06, -0.02, (-0.2, 1.0), 0.88, 0.7, 1.0, 1.2, 0.62, 0.7, 0.85, 0.04),
}


def choice(generator: np.random.Generator, **weights: float) -> str:
    """One of the names, by weight."""
    values = np.array(list(weights.values()))
    return str(generator.choice(list(weights), p=values / values.sum()))
