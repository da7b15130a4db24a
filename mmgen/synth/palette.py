"""Colours and fabrics that people in the street wear: mostly muted, some saturated."""

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""RGB, 0..1."""

PATTERNS = ("plain", "stripes", "pinstripes", "check", "dots", "print", "block", "melange", "denim", "camouflage",
            "tartan", "floral", "ikat", "chevron", "ombre", "bars", "photo")  # fmt: skip

SKINS: tuple[Colour, ...] = (
    (0.93, 0.76, 0.66),
    (0.88, 0.69, 0.56),
    (0.80, 0.60, 0.46),
    (0.68, 0.48, 0.35),
    (0.50, 0.34, 0.25),
    (0.36, 0.24, 0.18),
)
HAIRS: tuple[Colour, ...] = (
    (0.06, 0.05, 0.05),
    (0.13, 0.09, 0.07),
    (0.26, 0.17, 0.11),
    (0.42, 0.28, 0.16),
    (0.70, 0.56, 0.34),
    (0.55, 0.54, 0.53),
    (0.45, 0.18, 0.10),
)
DARKS: tuple[Colour, ...] = (
    (0.07, 0.07, 0.08),
    (0.10, 0.12, 0.20),
    (0.17, 0.17, 0.18),
    (0.16, 0.12, 0.10),
    (0.12, 0.16, 0.13),
)
LIGHTS: tuple[Colour, ...] = (
    (0.90, 0.90, 0.89),
    (0.82, 0.79, 0.72),
    (0.72, 0.74, 0.78),
    (0.85, 0.78, 0.74),
    (0.76, 0.83, 0.88),
)
MIDDLES: tuple[Colour, ...] = (
    (0.45, 0.46, 0.48),
    (0.58, 0.50, 0.38),
    (0.36, 0.38, 0.27),
    (0.42, 0.30, 0.22),
    (0.30, 0.36, 0.45),
    (0.50, 0.24, 0.24),
    (0.55, 0.42, 0.45),
)
DENIMS: tuple[Colour, ...] = (
    (0.14, 0.19, 0.30),
    (0.23, 0.32, 0.46),
    (0.38, 0.48, 0.60),
    (0.10, 0.12, 0.17),
    (0.55, 0.63, 0.70),
)

PATTERNED = {
    "stripes": (0.17, 0.03, 0.13),
    "pinstripes": (0.05, 0.03, 0.06),
    "check": (0.09, 0.03, 0.12),
    "dots": (0.06, 0.04, 0.09),
    "print": (0.08, 0.07, 0.16),
    "block": (0.1, 0.07, 0.16),
    "camouflage": (0.03, 0.07, 0.16),
    "tartan": (0.1, 0.07, 0.16),
    "floral": (0.11, 0.07, 0.16),
    "ikat": (0.1, 0.07, 0.16),
    "chevron": (0.03, 0.07, 0.16),
    "ombre": (0.04, 0.07, 0.16),
    "bars": (0.04, 0.04, 0.1),
}
"""Share of each pattern among patterned fabrics, and the limits of its period, metres."""


@dataclass(frozen=True)
class Fabric:
    """What a piece of clothing is made of.

    Attributes:
        pattern: One of `PATTERNS`.
        colour: Ground colour, RGB 0..1.
        accent: Second colour of the pattern, RGB 0..1.
        period_m: Length after which the pattern repeats, metres.
        phase: 0..1, where it begins.
        photo: Name of the photo that the pattern `photo` is cut out of.
    """

    pattern: str
    colour: Colour
    accent: Colour
    period_m: float = 0.06
    phase: float = 0.0
    photo: str | None = None


def plain(colour: Colour) -> Fabric:
    """A fabric of one colour."""
    return Fabric("plain", colour, colour)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker or lighter."""
    red, green, blue = (min(1.0, max(0.0, channel * factor)) for channel in colour)
    return red, green, blue


def _jittered(generator: np.random.Generator, colour: Colour, spread: float = 0.03) -> Colour:
    red, green, blue = np.clip(
        np.array(colour) * generator.uniform(0.9, 1.1) + generator.normal(0, spread, 3), 0.04, 0.95
    )
    return float(red), float(green), float(blue)


def pick(
    generator: np.random.Generator, colours: tuple[Colour, ...], weights: tuple[float, ...] | None = None
) -> Colour:
    """One of `colours`, slightly varied."""
    probability = None if weights is None else np.array(weights) / sum(weights)
    return _jittered(generator, colours[int(generator.choice(len(colours), p=probability))], 0.015)


def vivid(generator: np.random.Generator) -> Colour:
    """A saturated colour, red and blue more often than the rest."""
    hue = generator.choice([0.0, 0.02, 0.60, 0.64, generator.random(), generator.random()]) + generator.normal(0, 0.015)
    red, green, blue = colorsys.hsv_to_rgb(float(hue) % 1, generator.uniform(0.5, 0.8), generator.uniform(0.35, 0.8))
    return float(red), float(green), float(blue)


def cloth_colour(generator: np.random.Generator, vividness: float = 0.22) -> Colour:
    """A colour for a piece of clothing; `vividness` is the share of saturated ones."""
    if generator.random() < vividness:
        return vivid(generator)
    family = generator.choice(3, p=[0.42, 0.26, 0.32])
    return _jittered(generator, pick(generator, (DARKS, LIGHTS, MIDDLES)[int(family)]), 0.02)


def contrasting(generator: np.random.Generator, colour: Colour) -> Colour:
    """A colour that can be told from `colour` at a distance."""
    for _ in range(8):
        other = cloth_colour(generator, 0.3)
        if sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 0.55:
            return other
    return (0.9, 0.9, 0.88) if sum(colour) < 1.4 else (0.1, 0.1, 0.13)


def sample_fabric(generator: np.random.Generator, patterned: float, vividness: float = 0.22) -> Fabric:
    """A fabric; `patterned` is the share that is not plain or melange."""
    colour = cloth_colour(generator, vividness)
    if generator.random() >= patterned:
        kind = "melange" if generator.random() < 0.3 else "plain"
        return Fabric(kind, colour, shade(colour, 0.8), 0.02, float(generator.random()))
    kind = str(generator.choice(list(PATTERNED), p=[share for share, _, _ in PATTERNED.values()]))
    _, low, high = PATTERNED[kind]
    return Fabric(
        kind, colour, contrasting(generator, colour), float(generator.uniform(low, high)), float(generator.random())
    )


def sample_denim(generator: np.random.Generator) -> Fabric:
    """Jeans, from raw to washed."""
    colour = pick(generator, DENIMS)
    return Fabric("denim", colour, shade(colour, 1.35), 0.05, float(generator.random()))
