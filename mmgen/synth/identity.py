"""Body, hair and outfit of one identity, drawn from its own random stream."""

from dataclasses import dataclass

import numpy as np

from mmgen.synth import palette
from mmgen.synth.casting import CASTINGS, Casting, choice
from mmgen.synth.outfit import BAGS, BOTTOMS, LOGOS, OUTERS, SHOES, TOPS, Outfit, draw_outfit
from mmgen.synth.palette import Colour, Fabric
from mmgen.synth.streams import stream

__all__ = ["BAGS", "BOTTOMS", "HAIRS", "HEADWEAR", "LOGOS", "OUTERS", "SHOES", "TOPS", "Build", "Head", "Identity",
           "Outfit", "identity"]  # fmt: skip

HAIRS = ("short", "cropped", "long", "bob", "bun", "ponytail", "curly", "bald", "afro", "wavy", "draped")
LENSES: tuple[Colour, ...] = ((0.04, 0.04, 0.05), (0.1, 0.07, 0.05), (0.12, 0.13, 0.16))
HEADWEAR = ("none", "cap", "beanie", "hat", "headscarf", "wide_hat", "hood")


@dataclass(frozen=True)
class Build:
    """Proportions; the factors are 1 for an average adult.

    Attributes:
        age: `child`, `adult` or `older`.
        height_m: Standing height without shoes and hair, metres.
        girth: Thickness of trunk and limbs.
        limbs: Thickness of arms and legs over that of the trunk.
        slope_m: How far the shoulders hang below those of a recruit, metres.
        belly_m: How far the belly stands out, metres.
        bust_m: How far the bust stands out, metres.
    """

    age: str
    height_m: float
    girth: float
    limbs: float
    shoulders: float
    slope_m: float
    hips: float
    waist: float
    belly_m: float
    bust_m: float
    legs: float
    head: float


@dataclass(frozen=True)
class Head:
    """Skin, hair, headwear and what is in the face.

    Attributes:
        hair: One of `HAIRS`; `draped` lies before the shoulders.
        lenses: Colour of sunglasses.
    """

    skin: Colour
    hair: str
    hair_colour: Colour
    headwear: str
    headwear_fabric: Fabric
    beard: bool
    glasses: bool
    lenses: Colour | None = None


@dataclass(frozen=True)
class Identity:
    """One person: the same body, face and clothes in every picture."""

    split: str
    index: int
    figure: str
    build: Build
    head: Head
    outfit: Outfit


def identity(seed: int, split: str, index: int, style: str = "street") -> Identity:
    """Person number `index` of a split; the same whatever else is generated.

    Args:
        split: `train` or `test`; the two never share a person.
        index: From 0.
        style: One of `casting.STYLES`; two styles never share a person either.
    """
    generator = stream(seed, split, index, "identity" if style == "street" else f"identity/{style}")
    cast = CASTINGS[style]
    figure = "feminine" if generator.random() < cast.feminine else "masculine"
    build = _build(generator, figure, cast)
    outfit = draw_outfit(generator, figure == "feminine", build.age == "child", cast)
    return Identity(split, index, figure, build, _head(generator, figure, build, outfit, cast), outfit)


def _build(generator: np.random.Generator, figure: str, cast: Casting) -> Build:
    feminine = figure == "feminine"
    age = choice(generator, child=cast.child, adult=1 - cast.child - cast.older, older=cast.older)
    height = float(np.clip(generator.normal((1.65 if feminine else 1.77) + cast.taller_m, 0.075), 1.46, 1.99))
    if age == "child":
        height = float(generator.uniform(1.08, 1.48))
    weight = float(np.clip(generator.normal(*cast.weight), -1.8, 3.0))
    child = age == "child"
    return Build(
        age=age,
        height_m=height,
        girth=1.0 + 0.08 * weight - 0.03 * child,
        limbs=float(np.clip(generator.normal(1, 0.06), 0.86, 1.16)),
        shoulders=float((0.9 if feminine else 1.02) * generator.normal(1, 0.035)) * (0.95 if child else 1.0),
        slope_m=float(np.clip(generator.normal(0.03, 0.01), 0.008, 0.055)),
        hips=float((1.05 if feminine else 0.97) * generator.normal(1, 0.035)) * (0.92 if child else 1.0),
        waist=float((0.88 if feminine else 0.98) * generator.normal(1, 0.045)),
        belly_m=float(max(0.0, 0.016 * weight + (0.02 if age == "older" else 0.0) + generator.normal(0, 0.01))),
        bust_m=float(generator.uniform(0.008, 0.04)) if feminine and not child else 0.0,
        legs=float(np.clip(generator.normal(1.0, 0.027), 0.93, 1.07)),
        head=float(generator.normal(1.0, 0.025)) * (1.0 + 0.55 * max(0.0, 1.5 - height)),
    )


def _head(generator: np.random.Generator, figure: str, build: Build, outfit: Outfit, cast: Casting) -> Head:
    skin = palette.pick(generator, palette.SKINS, (0.22, 0.26, 0.18, 0.13, 0.12, 0.09))
    dark_skin = sum(skin) < 1.35
    weights = (0.6, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0) if dark_skin else (0.27, 0.24, 0.2, 0.12, 0.1, 0.04, 0.03)
    colour = palette.pick(generator, palette.HAIRS, weights)
    if build.age == "older":
        colour = palette.pick(generator, ((0.55, 0.54, 0.53), (0.75, 0.74, 0.72), (0.3, 0.28, 0.27)))
    hats, hood = cast.hats, 0.25 if "hoodie" in (outfit.top, outfit.outer) else 0.01
    if figure == "feminine":
        hair = choice(generator, short=0.1, long=0.3, bob=0.17, bun=0.12, ponytail=0.18, curly=0.05, wavy=0.12,
                      afro=0.08 if dark_skin else 0.01)  # fmt: skip
        headwear = choice(generator, none=0.82, cap=0.03 * hats, beanie=0.03 * hats, hat=0.03 * hats, headscarf=0.06,
                          wide_hat=0.025 * hats, hood=hood)  # fmt: skip
    else:
        bald = 0.22 if build.age == "older" else 0.06
        hair = choice(generator, short=0.54, cropped=0.25, curly=0.08, long=0.03, bun=0.02, bald=bald, wavy=0.02,
                      afro=0.08 if dark_skin else 0.005)  # fmt: skip
        headwear = choice(generator, none=0.78, cap=0.11 * hats, beanie=0.04 * hats, hat=0.025 * hats,
                          wide_hat=0.03 * hats, hood=hood)  # fmt: skip
    beard = figure == "masculine" and build.age != "child" and generator.random() < 0.3
    fabric = palette.sample_fabric(generator, 0.15)
    if headwear == "hood":
        fabric = outfit.outer_fabric if outfit.outer != "none" else outfit.top_fabric
    elif headwear in ("hat", "wide_hat") and generator.random() < 0.6:
        fabric = palette.plain(palette.pick(generator, (*palette.LIGHTS, *palette.DARKS, (0.45, 0.33, 0.2))))
    glasses = bool(generator.random() < 0.2)
    if cast.draped and hair in ("long", "wavy") and generator.random() < cast.draped:
        hair = "draped"
    lenses = None
    if cast.sunglasses and generator.random() < cast.sunglasses:
        lenses = palette.pick(generator, LENSES)
    return Head(skin, hair, colour, headwear, fabric, bool(beard), glasses, lenses)
