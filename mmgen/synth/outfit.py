"""Clothes, shoes and bags of one identity: the vocabulary, and how outfits are drawn."""

from dataclasses import dataclass

import numpy as np

from mmgen.synth import palette
from mmgen.synth.casting import Casting, choice
from mmgen.synth.palette import Colour, Fabric

TOPS = ("tshirt", "shirt", "sweater", "hoodie", "tank")
OUTERS = ("none", "jacket", "open_jacket", "coat", "open_coat", "vest")
BOTTOMS = ("trousers", "slim", "wide", "shorts", "skirt", "dress")
SHOES = ("sneakers", "shoes", "boots")
BAGS = ("none", "backpack", "shoulder_bag", "handbag", "tote", "shopping", "belt_bag")
LOGOS = ("none", "disc", "box", "ring", "band", "lettering", "picture", "panel")
PHOTO_PRINT = "photo"
"""The logo after those, which none draws by itself: what a photo of a shirt shows, see `cloth`."""

TIGHTS_M = 2.0
SOCKS_M = (0.0, 0.06, 0.16, 0.34, TIGHTS_M)
"""How far socks reach above the ankle, metres on an adult: none seen, ankle, calf, knee, tights."""


@dataclass(frozen=True)
class Outfit:
    """Everything worn and carried.

    Attributes:
        top: One of `TOPS`; for a dress, the cut of its upper part.
        sleeve: `none`, `short`, `elbow` or `long`.
        tucked: The top ends at the waist instead of over the hips.
        neckline_m: Depth of the neckline at the front, metres; 0 is a high collar.
        logo: One of `LOGOS`, or `PHOTO_PRINT`.
        logo_size_m: Its half-width, metres.
        outer: One of `OUTERS`.
        outer_bulk_m: How far it stands off what is below, metres; more than 0.03 is quilted.
        coat_reach: Where a coat ends: 0 at the hip, 1 at the knee.
        bottom: One of `BOTTOMS`.
        bottom_length: Shorts and skirts: 0 ends at mid thigh, 1 at the ankle.
        flare: Skirts and coats: 0 straight, 1 wide.
        crop_m: How far trousers end above the shoe, metres.
        side_stripe: Trousers with a stripe along the seam.
        belt: A belt is seen where the top is tucked into trousers.
        crease: How strongly the folds of top, bottom and outer show, 1 as in ironed cotton.
        shoes: One of `SHOES`.
        shaft_m: Height of the boots' shafts, metres.
        sock_colour: Seen with bare legs.
        sock_m: One of `SOCKS_M`.
        bag: One of `BAGS`.
        bag_side: 0 left, 1 right.
        logo_photo: Name of the photo that is printed on the top.
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
    outer_bulk_m: float
    coat_reach: float
    bottom: str
    bottom_fabric: Fabric
    bottom_length: float
    flare: float
    crop_m: float
    side_stripe: bool
    belt: bool
    belt_colour: Colour
    scarf: bool
    scarf_fabric: Fabric
    crease: tuple[float, float, float]
    shoes: str
    shaft_m: float
    shoe_colour: Colour
    sole_colour: Colour
    sock_colour: Colour
    sock_m: float
    bag: str
    bag_fabric: Fabric
    bag_side: int
    logo_photo: str | None = None


def draw_outfit(generator: np.random.Generator, feminine: bool, child: bool, cast: Casting) -> Outfit:
    """Draw an outfit.

    Args:
        child: No coats to the ankle, few skirts to the floor.
    """
    warm = generator.random() < cast.warm
    bottom = _bottom(generator, feminine, warm, cast)
    top = _top(generator, feminine, warm, cast)
    fabric = palette.sample_fabric(generator, 0.38 * cast.patterned, 0.22 * cast.vivid)
    outer = "none"
    if not warm:
        coats = 0.1 * cast.dressy
        outer = choice(generator, none=0.34, jacket=0.2, open_jacket=0.22, coat=coats, open_coat=coats, vest=0.06)
    tucked = bottom in ("skirt", "wide") or (top in ("shirt", "tank", "tshirt") and generator.random() < 0.4)
    return Outfit(
        **_upper(generator, top, fabric, warm),
        tucked=bool(tucked),
        outer=outer,
        outer_fabric=_outer_fabric(generator, cast),
        outer_bulk_m=float(
            generator.uniform(0.008, 0.024) if generator.random() < 0.8 else generator.uniform(0.031, 0.045)
        ),
        coat_reach=float(generator.uniform(0.5, 1.0 if child else 1.45)),
        bottom=bottom,
        bottom_fabric=_bottom_fabric(generator, bottom, fabric, cast),
        bottom_length=float(
            generator.uniform(0.0, 0.9) if bottom in ("skirt", "dress") else generator.uniform(0.0, 0.45)
        ),
        flare=float(generator.uniform(0.05, 1.0)),
        crop_m=float(generator.uniform(0.02, 0.12) if generator.random() < 0.35 else 0.0),
        side_stripe=bool(bottom in ("trousers", "slim", "shorts") and generator.random() < 0.1),
        **_details(generator, warm),
        **_shoes(generator, feminine, warm, cast),
        **_bag(generator, feminine, cast),
    )


def _top(generator: np.random.Generator, feminine: bool, warm: bool, cast: Casting) -> str:
    shirts = 0.27 * cast.dressy
    if not warm:
        return choice(generator, tshirt=0.3, shirt=shirts, sweater=0.25, hoodie=0.16)
    return choice(generator, tshirt=0.5, shirt=shirts, sweater=0.05, hoodie=0.04, tank=0.16 if feminine else 0.05)


def _upper(generator: np.random.Generator, top: str, fabric: Fabric, warm: bool) -> dict:
    sleeve = {"tshirt": "short", "tank": "none"}.get(top, "long")
    if top == "shirt":
        sleeve = choice(
            generator, long=0.4 if warm else 0.75, elbow=0.35 if warm else 0.2, short=0.25 if warm else 0.05
        )
    elif generator.random() < 0.12:
        sleeve = choice(generator, long=0.45, elbow=0.55)
    sleeve_fabric = fabric
    if top in ("tshirt", "sweater", "hoodie") and generator.random() < 0.12:
        sleeve_fabric = palette.plain(palette.contrasting(generator, fabric.colour))
    logo = "none"
    if top in ("tshirt", "hoodie", "sweater") and fabric.pattern in ("plain", "melange") and generator.random() < 0.6:
        logo = str(generator.choice(LOGOS[1:]))
    return {
        "top": top,
        "top_fabric": fabric,
        "sleeve": sleeve,
        "sleeve_fabric": sleeve_fabric,
        "neckline_m": float({"tank": 0.09, "hoodie": 0.02}.get(top, generator.choice([0.0, 0.03, 0.045, 0.07, 0.11]))),
        "logo": logo,
        "logo_colour": palette.contrasting(generator, fabric.colour),
        "logo_size_m": float(generator.uniform(0.045, 0.125)),
        "logo_back": bool(generator.random() < 0.25),
    }


def _bottom(generator: np.random.Generator, feminine: bool, warm: bool, cast: Casting) -> str:
    if not feminine:
        return choice(generator, trousers=0.55, slim=0.2, wide=0.06, shorts=0.45 if warm else 0.04)
    skirts = 0.18 * cast.dressy
    return choice(
        generator, trousers=0.2, slim=0.34, wide=0.1, shorts=0.2 if warm else 0.02, skirt=skirts, dress=skirts
    )


def _bottom_fabric(generator: np.random.Generator, bottom: str, top_fabric: Fabric, cast: Casting) -> Fabric:
    if bottom == "dress":
        return top_fabric
    kind = generator.random()
    if bottom != "skirt" and kind < 0.36:
        return palette.sample_denim(generator)
    if kind < 0.46:
        return palette.plain(palette.pick(generator, palette.LIGHTS))
    patterned = (0.3 if bottom in ("skirt", "shorts") else 0.12) * cast.patterned
    fabric = palette.sample_fabric(generator, patterned, 0.12 * cast.vivid)
    if bottom in ("trousers", "slim", "wide") and fabric.pattern in ("stripes", "dots", "block", "print", "ombre"):
        return palette.plain(fabric.colour)
    return fabric


def _outer_fabric(generator: np.random.Generator, cast: Casting) -> Fabric:
    if generator.random() < 0.12:
        return palette.sample_denim(generator)
    return palette.sample_fabric(generator, 0.12 * cast.patterned, 0.15 * cast.vivid)


def _details(generator: np.random.Generator, warm: bool) -> dict:
    leathers: tuple[Colour, ...] = ((0.08, 0.07, 0.06), (0.22, 0.13, 0.08), (0.5, 0.3, 0.14), (0.7, 0.66, 0.6))
    crease = np.exp(generator.normal(0.35, 0.45, 3))
    return {
        "belt": bool(generator.random() < 0.55),
        "belt_colour": palette.pick(generator, leathers, (0.45, 0.25, 0.2, 0.1)),
        "scarf": bool(generator.random() < (0.01 if warm else 0.14)),
        "scarf_fabric": palette.sample_fabric(generator, 0.4, 0.35),
        "crease": (float(crease[0]), float(crease[1]), float(crease[2])),
    }


def _shoes(generator: np.random.Generator, feminine: bool, warm: bool, cast: Casting) -> dict:
    boots = 0.03 if warm else (0.22 if feminine else 0.1)
    shoes = choice(generator, sneakers=0.58, shoes=0.28 * cast.dressy, boots=boots)
    tan: tuple[Colour, ...] = (*palette.DARKS, (0.42, 0.27, 0.14), (0.55, 0.38, 0.22))
    upper = palette.pick(generator, tan)
    if shoes == "sneakers":
        upper = palette.pick(generator, palette.LIGHTS) if generator.random() < 0.3 else palette.cloth_colour(generator)
    sock = float(
        generator.choice(SOCKS_M, p=(0.25, 0.3, 0.22, 0.08, 0.15) if feminine else (0.2, 0.4, 0.32, 0.06, 0.02))
    )
    return {
        "shoes": shoes,
        "shaft_m": float(generator.uniform(0.1, 0.34)),
        "shoe_colour": upper,
        "sole_colour": palette.pick(generator, palette.LIGHTS) if shoes == "sneakers" else palette.shade(upper, 0.6),
        "sock_colour": palette.pick(generator, palette.LIGHTS if generator.random() < 0.5 else palette.DARKS),
        "sock_m": sock,
    }


def _bag(generator: np.random.Generator, feminine: bool, cast: Casting) -> dict:
    hand = 0.12 if feminine else 0.04
    bag = choice(generator, backpack=0.22, shoulder_bag=0.14, handbag=hand, tote=hand, shopping=0.05, belt_bag=0.04)
    if generator.random() >= cast.bags:
        bag = "none"
    return {
        "bag": bag,
        "bag_fabric": palette.sample_fabric(generator, 0.12, 0.3),
        "bag_side": int(generator.integers(2)),
    }
