"""From where, and by which light, a picture is taken."""

import numpy as np

from mmgen.synth.shading import Light
from mmgen.synth.street import STREET_LENGTH_M, StreetCamera
from mmgen.synth.view import View

STREET_SHARE = 0.42
"""Share of a street data set's pictures in front of the camera's own street; the others have a background each."""

STREET_BEHINDS = {"spectators": 0.16, "hall": 0.2, "windows": 0.16, "bokeh": 0.12, "texture": 0.1, "passers_by": 0.2,
                  "screen": 0.06}  # fmt: skip
STUDIO_BEHINDS = {"screen": 0.6, "hall": 0.3, "texture": 0.1}


def sample_view(generator: np.random.Generator, street: StreetCamera, person_height_m: float) -> View:
    """A camera as in re-identification crops: 40 % of front views, 40 % of back views, the rest from anywhere.

    The distance makes the person fill 75 to 92 % of the image's height, whatever their size, as a detector's box does.
    In the studio half of the views are from the front and a quarter from the sides, and the framing is wider.
    """
    studio = street.style == "studio"
    fill = float(generator.uniform(0.75, 0.92))
    if studio:  # a short lens enlarges what is near, so that less fits in
        fill = float(generator.uniform(0.62, 1.0)) * (1.0 - 0.3 / street.focal)
    distance = street.focal * person_height_m / 2 / fill
    slack = (1.0 - fill) * distance / street.focal
    offset = np.clip(generator.normal(0, 0.45, 2), -0.9, 0.9) * slack * ((0.5, 0.8) if studio else (1.0, 1.0))
    low, high, spread = (-18, 30, 4.0) if studio else (-10, 14, 2.5)
    own_street = not studio and generator.random() < STREET_SHARE
    behinds = STUDIO_BEHINDS if studio else STREET_BEHINDS
    behind = "street" if own_street else str(generator.choice(list(behinds), p=list(behinds.values())))
    return View(
        street=street,
        azimuth_deg=_posing_azimuth_deg(generator) if studio else passing_azimuth_deg(generator),
        elevation_deg=float(np.clip(generator.normal(street.elevation_deg, spread), low, high)),
        distance=float(distance),
        offset=(float(offset[0]), float(offset[1])),
        light=daylight(generator, street) if own_street else _photo_light(generator, studio),
        place_m=float(generator.uniform(0, STREET_LENGTH_M)),
        exposure=float(generator.uniform(0.82, 1.15)),
        noise_seed=int(generator.integers(2**31)),
        behind=behind,
    )


def passing_azimuth_deg(generator: np.random.Generator) -> float:
    """Of people who pass a camera: most come or go."""
    kind = generator.random()
    centre = 0.0 if kind < 0.4 else 180.0
    azimuth = generator.uniform(-180, 180) if kind > 0.8 else generator.normal(centre, 25.0)
    return float((azimuth + 180) % 360 - 180)


def _posing_azimuth_deg(generator: np.random.Generator) -> float:
    """Of people in a studio: fronts and sides."""
    kind = generator.random()
    azimuth = generator.normal(0, 30) if kind < 0.5 else generator.uniform(-180, 180)
    if 0.5 <= kind < 0.75:
        azimuth = generator.choice([-90, 90]) + generator.normal(0, 20)
    return float((azimuth + 180) % 360 - 180)


def _unit(direction: np.ndarray) -> tuple[float, float, float]:
    direction = direction / np.linalg.norm(direction)
    return float(direction[0]), float(direction[1]), float(direction[2])


def daylight(generator: np.random.Generator, street: StreetCamera) -> Light:
    """The sun and sky of the camera's street."""
    direction = np.array(street.sun_direction) + generator.normal(0, 0.12, 3)
    direction[1] = max(direction[1], 0.62)
    warmth = street.warmth
    return Light(
        direction_camera=_unit(direction),
        ambient=float(street.ambient * generator.uniform(0.93, 1.07)),
        sun=float(street.sun * generator.uniform(0.7, 1.25)),
        sky_colour=(1.0 - 0.6 * warmth, 1.0, 1.0 + 0.6 * warmth),
        sun_colour=(1.0 + warmth, 1.0, 1.0 - warmth),
    )


def _photo_light(generator: np.random.Generator, studio: bool) -> Light:
    """Any light: overcast, low sun, lamps above; in the studio a flash beside the lens or hard light from one side."""
    if studio and generator.random() < 0.5:
        direction = np.array([generator.normal(0, 0.12), generator.uniform(0.02, 0.25), 1.0])
    elif studio:
        direction = np.array(
            [generator.choice([-1.0, 1.0]), generator.uniform(0.05, 0.5), generator.uniform(-0.3, 0.4)]
        )
    else:
        direction = np.array([generator.uniform(-1, 1), generator.uniform(0.3, 1.2), generator.uniform(-0.4, 1)])
    sun = float(generator.uniform(0.55, 0.95) if studio else generator.uniform(0.08, 0.7))
    total, warmth = float(generator.uniform(0.95, 1.15)), float(generator.normal(0.01, 0.04))
    return Light(
        direction_camera=_unit(direction),
        ambient=max(0.3 if studio else 0.42, total - 0.85 * sun),
        sun=sun,
        sky_colour=(1.0 - 0.6 * warmth, 1.0, 1.0 + 0.6 * warmth),
        sun_colour=(1.0 + warmth, 1.0, 1.0 - warmth),
    )
