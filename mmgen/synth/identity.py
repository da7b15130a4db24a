"""Who the people are: body, hair and outfit of one identity, drawn from its own random stream."""

from dataclasses import dataclass

import numpy as np

from mmgen.synth import palette
from mmgen.synth.palette import Colour, Fabric
from mmgen.synth.streams import stream

HAIRS = ("short", "cropped", "long", "bob", "bun", "ponytail", "curly", "bald")
HEADWEAR = ("none", "cap", "beanie", "hat", "headscarf")
TOPS = ("tshirt", "shirt", "sweater", "hoodie", "tank")
OUTERS = ("none", "jacket", "open_jacket", "coat", "open_coat")
BOTTOMS = ("trousers", "slim", "wide", "shorts", "skirt", "dress")
SHOES = ("sneakers", "shoes", "boots")
BAGS = ("none", "backpack", "shoulder_bag", "handbag", "tote")
LOGOS = ("none", "disc", "box", "ring", "band", "lettering", "picture")


@dataclass(frozen=True)
class Build:
    """Proportions; the factors are 1 for an average adult.

    Attributes:
        age: `child`, `adult` or `older`.
        height_m: Standing height without shoes and hair, metres.
        girth: Thickness of trunk and limbs.
        shoulders: Shoulder width.
        hips: Hip width.
        waist: Waist width.
        belly_m: How far the belly stands out, metres.
        bust_m: How far the bust stands out, metres.
        legs: Leg length.
        head: Head size.
    """

    age: str
    height_m: float
    girth: float
    shoulders: float
    hips: float
    waist: float
    belly_m: float
    bust_m: float
    legs: float
    head: float


@dataclass(frozen=True)
class Head:
    """Skin, hair, headwear and what is in the face."""

    skin: Colour
    hair: str
    hair_colour: Colour
    headwear: str
    headwear_fabric: Fabric
    beard: bool
    glasses: bool


@dataclass(frozen=True)
class Outfit:
    """Everything worn and carried.

    Attributes:
        top: One of `TOPS`; for a dress, the cut of its upper part.
        top_fabric: Fabric of the top.
        sleeve: `none`, `short` or `long`.
        sleeve_fabric: Fabric of the top's sleeves, often the same.
        tucked: The top ends at the waist instead of over the hips.
        neckline_m: Depth of the neckline at the front, metres; 0 is a high collar.
        logo: One of `LOGOS`.
        logo_colour: Its colour.
        logo_size_m: Its half-width, metres.
        logo_back: There is one on the back, too.
        outer: One of `OUTERS`.
        outer_fabric: Its fabric.
        bottom: One of `BOTTOMS`.
        bottom_fabric: Its fabric.
        bottom_length: Shorts and skirts: 0 ends at mid thigh, 1 at the ankle.
        flare: Skirts and coats: 0 straight, 1 wide.
        side_stripe: Trousers with a stripe along the seam.
        shoes: One of `SHOES`.
        shoe_colour: Upper.
        sole_colour: Sole.
        sock_colour: Seen with bare legs.
        bag: One of `BAGS`.
        bag_fabric: Its fabric.
        bag_side: 0 left, 1 right.
    """

    top: str
    top_fabric: Fabric
    sleeve: str
    sleeve_fabric: Fabric
    tucked: bool
    neckline_m: float
    logo: str
    logo_colour: Colour
    logo_size_m: float
    logo_back: bool
    outer: str
    outer_fabric: Fabric
    bottom: str
    bottom_fabric: Fabric
    bottom_length: float
    flare: float
    side_stripe: bool
    shoes: str
    shoe_colour: Colour
    sole_colour: Colour
    sock_colour: Colour
    bag: str
    bag_fabric: Fabric
    bag_side: int


@dataclass(frozen=True)
class Identity:
    """One person: the same body, face and clothes in every picture."""

    split: str
    index: int
    figure: str
    build: Build
    head: Head
    outfit: Outfit


def identity(seed: int, split: str, index: int) -> Identity:
    """Person number `index` of a split; the same whatever else is generated.

    Args:
        seed: The data set's seed.
        split: `train` or `test`; the two never share a person.
        index: From 0.
    """
    generator = stream(seed, split, index, "identity")
    figure = "feminine" if generator.random() < 0.48 else "masculine"
    build = _build(generator, figure)
    return Identity(split, index, figure, build, _head(generator, figure, build), _outfit(generator, figure, build))


def _choice(generator: np.random.Generator, **weights: float) -> str:
    values = np.array(list(weights.values()))
    return str(generator.choice(list(weights), p=values / values.sum()))


def _build(generator: np.random.Generator, figure: str) -> Build:
    feminine = figure == "feminine"
    age = _choice(generator, child=0.08, adult=0.8, older=0.12)
    height = float(np.clip(generator.normal(1.65 if feminine else 1.77, 0.07), 1.48, 1.98))
    if age == "child":
        height = float(generator.uniform(1.15, 1.48))
    weight = float(np.clip(generator.normal(0, 1), -1.6, 2.2))
    child = age == "child"
    return Build(
        age=age,
        height_m=height,
        girth=1.0 + 0.085 * weight - 0.03 * child,
        shoulders=float((0.91 if feminine else 1.03) * generator.normal(1, 0.025)) * (0.95 if child else 1.0),
        hips=float((1.04 if feminine else 0.97) * generator.normal(1, 0.025)) * (0.92 if child else 1.0),
        waist=float((0.88 if feminine else 0.98) * generator.normal(1, 0.03)),
        belly_m=float(max(0.0, 0.014 * weight + (0.02 if age == "older" else 0.0) + generator.normal(0, 0.008))),
        bust_m=float(generator.uniform(0.012, 0.035)) if feminine and not child else 0.0,
        legs=float(generator.normal(1.0, 0.02)),
        head=float(generator.normal(1.0, 0.02)) * (1.0 + 0.55 * max(0.0, 1.5 - height)),
    )


def _head(generator: np.random.Generator, figure: str, build: Build) -> Head:
    skin = palette.pick(generator, palette.SKINS, (0.24, 0.28, 0.18, 0.12, 0.1, 0.08))
    dark_skin = sum(skin) < 1.45
    weights = (0.6, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0) if dark_skin else (0.27, 0.24, 0.2, 0.12, 0.1, 0.04, 0.03)
    colour = palette.pick(generator, palette.HAIRS, weights)
    if build.age == "older":
        colour = palette.pick(generator, ((0.55, 0.54, 0.53), (0.75, 0.74, 0.72), (0.3, 0.28, 0.27)))
    if figure == "feminine":
        hair = _choice(generator, short=0.1, long=0.37, bob=0.17, bun=0.12, ponytail=0.19, curly=0.05)
        headwear = _choice(generator, none=0.84, cap=0.03, beanie=0.03, hat=0.03, headscarf=0.07)
    else:
        bald = 0.2 if build.age == "older" else 0.05
        hair = _choice(generator, short=0.56, cropped=0.26, curly=0.07, long=0.03, bun=0.02, bald=bald)
        headwear = _choice(generator, none=0.82, cap=0.12, beanie=0.04, hat=0.02)
    beard = figure == "masculine" and build.age != "child" and generator.random() < 0.25
    fabric = palette.sample_fabric(generator, 0.12)
    return Head(skin, hair, colour, headwear, fabric, bool(beard), bool(generator.random() < 0.18))


def _outfit(generator: np.random.Generator, figure: str, build: Build) -> Outfit:
    feminine = figure == "feminine"
    warm = generator.random() < 0.5
    bottom = _bottom(generator, feminine, warm)
    top = _choice(generator, tshirt=0.52, shirt=0.26, sweater=0.04, hoodie=0.04, tank=0.14 if feminine else 0.05)
    outer = "none"
    if not warm:
        top = _choice(generator, tshirt=0.3, shirt=0.27, sweater=0.25, hoodie=0.18)
        outer = _choice(generator, none=0.36, jacket=0.22, open_jacket=0.22, coat=0.1, open_coat=0.1)
    sleeve = {"tshirt": "short", "tank": "none"}.get(top, "long")
    if top == "shirt" and warm and generator.random() < 0.6:
        sleeve = "short"
    top_fabric = palette.sample_fabric(generator, 0.4 if outer == "none" else 0.25)
    sleeve_fabric = top_fabric
    if top in ("tshirt", "sweater", "hoodie") and generator.random() < 0.13:
        sleeve_fabric = palette.plain(palette.contrasting(generator, top_fabric.colour))
    logo = "none"
    if (
        top in ("tshirt", "hoodie", "sweater")
        and top_fabric.pattern in ("plain", "melange")
        and generator.random() < 0.55
    ):
        logo = str(generator.choice(LOGOS[1:]))
    return Outfit(
        top=top,
        top_fabric=top_fabric,
        sleeve=sleeve,
        sleeve_fabric=sleeve_fabric,
        tucked=bool(bottom in ("skirt", "wide") or (top in ("shirt", "tank") and generator.random() < 0.4)),
        neckline_m=float({"tank": 0.09, "hoodie": 0.02}.get(top, generator.choice([0.03, 0.045, 0.07]))),
        logo=logo,
        logo_colour=palette.contrasting(generator, top_fabric.colour),
        logo_size_m=float(generator.uniform(0.045, 0.095)),
        logo_back=bool(generator.random() < 0.25),
        outer=outer,
        outer_fabric=_outer_fabric(generator),
        bottom=bottom,
        bottom_fabric=_bottom_fabric(generator, bottom, top_fabric),
        bottom_length=float(
            generator.uniform(0.0, 0.9) if bottom in ("skirt", "dress") else generator.uniform(0.0, 0.45)
        ),
        flare=float(generator.uniform(0.1, 1.0)),
        side_stripe=bool(bottom in ("trousers", "slim", "shorts") and generator.random() < 0.1),
        **_extras(generator, feminine, warm),
    )


def _bottom(generator: np.random.Generator, feminine: bool, warm: bool) -> str:
    if not feminine:
        return _choice(generator, trousers=0.55, slim=0.2, wide=0.05, shorts=0.45 if warm else 0.04)
    return _choice(generator, trousers=0.2, slim=0.32, wide=0.1, shorts=0.2 if warm else 0.02, skirt=0.2, dress=0.2)


def _bottom_fabric(generator: np.random.Generator, bottom: str, top_fabric: Fabric) -> Fabric:
    if bottom == "dress":
        return top_fabric
    if bottom != "skirt" and generator.random() < 0.42:
        return palette.sample_denim(generator)
    fabric = palette.sample_fabric(generator, 0.3 if bottom in ("skirt", "shorts") else 0.1, 0.12)
    if bottom in ("trousers", "slim", "wide") and fabric.pattern in ("stripes", "dots", "block", "print"):
        return palette.plain(fabric.colour)
    return fabric


def _outer_fabric(generator: np.random.Generator) -> Fabric:
    kind = generator.random()
    if kind < 0.12:
        return palette.sample_denim(generator)
    return palette.sample_fabric(generator, 0.12, 0.15)


def _extras(generator: np.random.Generator, feminine: bool, warm: bool) -> dict:
    shoes = _choice(generator, sneakers=0.6, shoes=0.3, boots=0.03 if warm else (0.2 if feminine else 0.1))
    pale = palette.pick(generator, palette.LIGHTS)
    upper = palette.cloth_colour(generator, 0.2) if shoes == "sneakers" else palette.pick(generator, palette.DARKS)
    bag = _choice(
        generator,
        none=0.46,
        backpack=0.22,
        shoulder_bag=0.14,
        handbag=0.12 if feminine else 0.04,
        tote=0.1 if feminine else 0.04,
    )
    fabric = palette.sample_fabric(generator, 0.12, 0.3)
    return {
        "shoes": shoes,
        "shoe_colour": upper,
        "sole_colour": pale if shoes == "sneakers" else palette.shade(upper, 0.6),
        "sock_colour": palette.pick(generator, palette.LIGHTS if generator.random() < 0.6 else palette.DARKS),
        "bag": bag,
        "bag_fabric": fabric,
        "bag_side": int(generator.integers(2)),
    }
