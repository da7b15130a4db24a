"""The six cameras: each has its own place, light, lens and sensor, fixed by the seed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mmgen.synth.palette import Colour, pick, shade
from mmgen.synth.streams import stream
from recon.structures import DEFAULT_FOCAL

CAMERA_COUNT = 6

STUDIO_FOCALS = (1.6, 3.6, 5.0)
"""Lenses of the studio; the street has `recon.structures.DEFAULT_FOCAL` everywhere."""

MARKET_FOCALS = (4.0, 5.0, 6.5, 8.0)
"""A box is a small part of what the lens sees: nearly parallel rays."""

ELEVATIONS_DEG = {"studio": (-12.0, 22.0), "market": (5.0, 22.0)}
"""Lowest and highest camera; the street's and the world's, whose views choose their own, are level."""

GROUNDS = ("tiles", "asphalt", "grass", "gravel")
WALLS = ("facade", "foliage", "plaster", "glass")
THINGS = ("trunk", "passer_by", "car", "pole", "shrub")

GROUND_COLOURS: dict[str, tuple[Colour, ...]] = {
    "tiles": ((0.56, 0.54, 0.51), (0.62, 0.57, 0.52), (0.50, 0.50, 0.50)),
    "asphalt": ((0.36, 0.36, 0.37), (0.43, 0.42, 0.41)),
    "grass": ((0.30, 0.38, 0.20), (0.36, 0.41, 0.24)),
    "gravel": ((0.55, 0.50, 0.42), (0.60, 0.57, 0.52)),
}
WALL_COLOURS: dict[str, tuple[Colour, ...]] = {
    "facade": ((0.55, 0.38, 0.30), (0.66, 0.60, 0.50), (0.58, 0.56, 0.54)),
    "foliage": ((0.20, 0.28, 0.13), (0.25, 0.32, 0.18)),
    "plaster": ((0.72, 0.68, 0.60), (0.60, 0.60, 0.60), (0.66, 0.58, 0.50)),
    "glass": ((0.40, 0.46, 0.50), (0.32, 0.36, 0.38)),
}


@dataclass(frozen=True)
class StreetCamera:
    """One fixed camera.

    Attributes:
        number: 1..6, as in file names.
        style: One of `casting.STYLES`.
        focal: 1 / tan(half the vertical field of view).
        elevation_deg: Mean elevation over the people's middle.
        sun_direction: Unit vector towards the sun, camera frame at elevation 0.
        warmth: > 0 makes sunlight warmer and shade cooler.
        blur_px: Lens blur on an image 128 pixels high, pixels.
        noise: Standard deviation of sensor noise.
        ground: Near and far ground, numbers in `GROUNDS`.
        kerb_m: Where the far ground begins, metres behind the person.
        wall: Number in `WALLS`.
        wall_m: Distance of the backdrop behind the person, metres.
        wall_height_m: Height of the backdrop; above is sky.
        things: [T, 9] rows: number in `THINGS`, x, z, width, height in metres, two shades of its colour and spare.
    """

    number: int
    style: str
    focal: float
    elevation_deg: float
    sun_direction: tuple[float, float, float]
    ambient: float
    sun: float
    warmth: float
    gain: Colour
    gamma: float
    blur_px: float
    noise: float
    ground: tuple[int, int]
    ground_colours: tuple[Colour, Colour]
    kerb_m: float
    wall: int
    wall_colour: Colour
    wall_m: float
    wall_height_m: float
    things: np.ndarray
    variation: float


STREET_LENGTH_M = 36.0
"""The street repeats after this length."""


@lru_cache(maxsize=64)
def street_camera(seed: int, number: int, style: str = "street") -> StreetCamera:
    """Camera `number` (1..6) of the data set with this seed; of studio and market each has a lens of its own."""
    own_place = style in ELEVATIONS_DEG
    generator = stream(seed, "cameras", number, f"camera/{style}" if own_place else "camera")
    lenses = {"studio": STUDIO_FOCALS, "market": MARKET_FOCALS}.get(style, (DEFAULT_FOCAL,))
    lens = lenses[number % len(lenses)]
    near = str(generator.choice(GROUNDS, p=[0.45, 0.3, 0.1, 0.15]))
    far = str(generator.choice(GROUNDS, p=[0.2, 0.25, 0.45, 0.1]))
    wall = str(WALLS[(number + int(generator.integers(2))) % 4] if number < 5 else generator.choice(WALLS))
    sunny = generator.random() < 0.5
    sun = np.array([generator.uniform(-0.8, 0.8), generator.uniform(0.75, 1.1), generator.uniform(-0.1, 0.9)])
    sun /= np.linalg.norm(sun)
    tint = np.clip(generator.normal(1.0, 0.035, 3), 0.92, 1.08) * generator.uniform(0.88, 1.08)
    return StreetCamera(
        number=number,
        style=style,
        focal=lens,
        elevation_deg=float(generator.uniform(*ELEVATIONS_DEG.get(style, (-3.0, 9.0)))),
        sun_direction=(float(sun[0]), float(sun[1]), float(sun[2])),
        ambient=float(generator.uniform(0.6, 0.7) if sunny else generator.uniform(0.8, 0.92)),
        sun=float(generator.uniform(0.42, 0.58) if sunny else generator.uniform(0.1, 0.22)),
        warmth=float(generator.uniform(0.02, 0.07) if sunny else generator.uniform(-0.02, 0.02)),
        gain=(float(tint[0]), float(tint[1]), float(tint[2])),
        gamma=float(generator.uniform(0.85, 1.15)),
        blur_px=float(generator.uniform(0.05, 0.5)),
        noise=float(generator.uniform(0.004, 0.014)),
        ground=(GROUNDS.index(near), GROUNDS.index(far)),
        ground_colours=(pick(generator, GROUND_COLOURS[near]), pick(generator, GROUND_COLOURS[far])),
        kerb_m=float(generator.uniform(0.8, 4.0)),
        wall=WALLS.index(wall),
        wall_colour=pick(generator, WALL_COLOURS[wall]),
        wall_m=float(generator.uniform(4.0, 14.0)),
        wall_height_m=float(generator.uniform(3.0, 9.0)),
        things=_things(generator),
        variation=float(generator.uniform(0, 500)),
    )


def _things(generator: np.random.Generator) -> np.ndarray:
    """Objects in the street, the farthest first."""
    rows = []
    for _ in range(int(generator.integers(9, 15))):
        kind = str(generator.choice(THINGS, p=[0.22, 0.3, 0.16, 0.14, 0.18]))
        width, height = {
            "trunk": (generator.uniform(0.18, 0.4), 6.0),
            "passer_by": (generator.uniform(0.4, 0.52), generator.uniform(1.6, 1.85)),
            "car": (generator.uniform(3.8, 4.6), generator.uniform(1.4, 1.6)),
            "pole": (generator.uniform(0.07, 0.12), 5.0),
            "shrub": (generator.uniform(0.8, 2.2), generator.uniform(0.6, 1.4)),
        }[kind]
        base: Colour = {
            "trunk": (0.25, 0.20, 0.16),
            "pole": (0.35, 0.36, 0.37),
            "shrub": (0.19, 0.27, 0.12),
        }.get(
            kind,
            pick(
                generator, ((0.12, 0.13, 0.16), (0.6, 0.6, 0.6), (0.4, 0.2, 0.2), (0.2, 0.26, 0.4), (0.5, 0.46, 0.38))
            ),
        )
        other = shade(base, float(generator.uniform(0.5, 1.7)))
        position = (generator.uniform(0, STREET_LENGTH_M), generator.uniform(1.6, 9.0))
        rows.append([THINGS.index(kind), *position, width, height, *base, sum(other) / 3])
    return np.array(sorted(rows, key=lambda row: -row[2]))
