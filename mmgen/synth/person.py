"""One identity in one pose: solids, paint rules and bone frames, ready for the compiled code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmgen.synth import bags, body, clothes, headwear
from mmgen.synth.cloth import TEXELS, swatch
from mmgen.synth.identity import HAIRS, HEADWEAR, LOGOS, Identity
from mmgen.synth.outfit import PHOTO_PRINT, Outfit
from mmgen.synth.palette import PATTERNS, Fabric, plain, shade
from mmgen.synth.patterns import ROW
from mmgen.synth.pose import Pose
from mmgen.synth.primitives import Packed, Solid, pack
from mmgen.synth.skeleton import SIDES, Proportions, Skeleton, pose_skeleton

(
    M_SKIN, M_HAIR, M_TOP, M_SLEEVE, M_OUTER, M_BOTTOM, M_SHOE, M_SOLE, M_SOCK, M_BAG, M_HAT, M_LOGO, M_BELT,
    M_SCARF, M_LENS, MATERIALS,
) = range(16)  # fmt: skip


class Style(NamedTuple):
    """What the paint rules need to know, as plain floats; lengths in metres, switches 0 or 1.

    Attributes:
        scale: Height of the person relative to 1.75 m.
        head_scale: Size of the head relative to that of an average adult.
        chest_y: Height of the chest bone over the hip joints.
        shoulder_y: Height of the shoulders over the chest bone.
        thigh: Length of the thigh.
        shank: Length of the lower leg.
        ankle: Height of the ankle over the sole.
        waist_y: Height over the hips where the top gives way to the bottom.
        skirt_y: Height over the hips where a skirt or dress ends; 0 for none.
        coat_y: Height over the hips where a coat ends; 0 for none.
        neckline: Depth of the neckline; 0 is a high collar.
        placket: Buttoned front and a collar.
        sock: How far socks reach above the ankle.
        side_stripe: Stripe along the trouser seam.
        has_outer: A jacket or coat is worn.
        opening: Half-width of its open front; 0 is closed.
        quilted: It is a puffer jacket or coat.
        crease_top, crease_bottom, crease_outer: How strongly folds show.
        logo: Number in `identity.LOGOS`, or the one after those for photos.
        logo_size: Half-width.
        logo_back: It is on the back, too.
        strap: 0 none, 1 backpack, 2 across from the right shoulder to the left hip, 3 mirrored.
        hair: Number in `identity.HAIRS`.
        glasses: 1 clear ones, 2 sunglasses.
        headwear: Number in `identity.HEADWEAR`.
        variation: Person-specific offset of all noise.
    """

    scale: float
    head_scale: float
    chest_y: float
    shoulder_y: float
    thigh: float
    shank: float
    ankle: float
    waist_y: float
    skirt_y: float
    coat_y: float
    neckline: float
    placket: float
    belt: float
    sock: float
    side_stripe: float
    has_outer: float
    opening: float
    quilted: float
    crease_top: float
    crease_bottom: float
    crease_outer: float
    logo: float
    logo_size: float
    logo_back: float
    strap: float
    hair: float
    headwear: float
    beard: float
    glasses: float
    variation: float


class Paint(NamedTuple):
    """What the paint rules look at.

    Attributes:
        origin: [15, 3] float64, bones' origins, world frame.
        axes: [15, 3, 3] float64, bones' axes as rows.
        style: Parameters; as a numpy record with these fields, which compiles faster than a tuple.
        materials: [MATERIALS, 9 + n] float64: pattern number, colour, accent, period, phase, texels of photos.
    """

    origin: np.ndarray
    axes: np.ndarray
    style: Style
    materials: np.ndarray


@dataclass(frozen=True)
class Person:
    """An identity in a pose.

    Attributes:
        skeleton: Bone frames in the world, metres.
    """

    identity: Identity
    pose: Pose
    skeleton: Skeleton
    packed: Packed
    paint: Paint

    def moved(self, shift: np.ndarray) -> "Person":
        """The same person translated by `shift`, metres."""
        skeleton = self.skeleton.moved(shift)
        paint = self.paint._replace(origin=skeleton.origin)
        return Person(self.identity, self.pose, skeleton, self.packed.moved(shift), paint)


def stride_limit(identity: Identity) -> float:
    """How long a stride the clothes allow, 1 = free."""
    if identity.outfit.bottom in ("skirt", "dress"):
        return 0.75 - 0.3 * identity.outfit.bottom_length
    return 0.8 if identity.outfit.outer in ("coat", "open_coat") else 1.0


def assemble(identity: Identity, pose: Pose, cloth: Path | None = None) -> Person:
    """Pose the skeleton with the hips at the world origin, and dress it.

    Args:
        cloth: Folder of the photos that fabrics name.
    """
    skeleton = pose_skeleton(identity.build, pose)
    packed = pack(_solids(identity, skeleton, pose.props), body.groups(skeleton.proportions), skeleton)
    style = _as_record(_style(identity, skeleton))
    paint = Paint(skeleton.origin, skeleton.axes, style, _materials(identity, cloth))
    return Person(identity, pose, skeleton, packed, paint)


def _solids(identity: Identity, skeleton: Skeleton, props: tuple[str, str]) -> list[Solid]:
    build, outfit, lengths = identity.build, identity.outfit, skeleton.proportions
    top_m = body.cloth_thickness_m(identity)
    solids = body.trunk(build, lengths, top_m, 0.008) + body.head(lengths)
    solids += headwear.hair(identity, lengths) + headwear.headwear(identity, lengths) + bags.bag(identity, lengths)
    solids += clothes.upper_hem(identity, lengths)
    for name, held in zip(SIDES, props, strict=True):
        solids += bags.prop(held, name, lengths)
        if outfit.sleeve != "long" and outfit.outer in ("none", "vest"):
            solids += body.arm(build, lengths, name)
        solids += clothes.sleeves(identity, lengths, name) + body.hand(lengths, name)
        if outfit.bottom in ("trousers", "slim", "wide"):
            solids += clothes.trousers(identity, lengths, name)
        else:
            solids += body.bare_leg(build, lengths, name)
        if outfit.bottom == "shorts":
            solids += clothes.shorts(identity, lengths, name)
        solids += clothes.shoe(identity, lengths, name)
    if outfit.bottom in ("skirt", "dress"):
        solids += clothes.skirt(identity, skeleton)
    if outfit.outer in ("coat", "open_coat"):
        solids += clothes.coat(identity, skeleton)
    if outfit.scarf:
        solids += clothes.scarf(lengths, top_m)
    return solids


def _style(identity: Identity, skeleton: Skeleton) -> Style:
    outfit, head, lengths = identity.outfit, identity.head, skeleton.proportions
    straps = {"backpack": 1.0, "shoulder_bag": 2.0 + outfit.bag_side}
    trousers = outfit.bottom in ("trousers", "slim", "wide")
    return Style(
        scale=lengths.scale,
        head_scale=lengths.head[1] / 0.116,
        chest_y=lengths.chest,
        shoulder_y=lengths.shoulder_up,
        thigh=lengths.thigh,
        shank=lengths.shank,
        ankle=lengths.ankle,
        waist_y=_waist_m(identity, lengths),
        skirt_y=clothes.skirt_hem_m(identity, lengths) if outfit.bottom in ("skirt", "dress") else 0.0,
        coat_y=clothes.coat_hem_m(identity, lengths) if outfit.outer in ("coat", "open_coat") else 0.0,
        neckline=outfit.neckline_m * lengths.scale,
        placket=float(outfit.top == "shirt"),
        belt=float(outfit.tucked and outfit.belt and (trousers or outfit.bottom == "shorts")),
        sock=outfit.sock_m * lengths.scale,
        side_stripe=float(outfit.side_stripe),
        has_outer=float(outfit.outer != "none"),
        opening={"open_jacket": 0.05, "open_coat": 0.06}.get(outfit.outer, 0.0) * lengths.scale,
        quilted=float(outfit.outer_bulk_m > 0.03),
        crease_top=outfit.crease[0],
        crease_bottom=outfit.crease[1],
        crease_outer=outfit.crease[2],
        logo=float((*LOGOS, PHOTO_PRINT).index(outfit.logo)),
        logo_size=outfit.logo_size_m * lengths.scale,
        logo_back=float(outfit.logo_back),
        strap=straps.get(outfit.bag, 0.0),
        hair=float(HAIRS.index(head.hair)),
        headwear=float(HEADWEAR.index(head.headwear)),
        beard=float(head.beard),
        glasses=float(head.glasses) if head.lenses is None else 2.0,
        variation=float(identity.index % 997) * 1.37,
    )


def _as_record(style: Style) -> Any:
    return np.array([tuple(style)], dtype=[(name, np.float64) for name in Style._fields])[0]


def _waist_m(identity: Identity, lengths: Proportions) -> float:
    if clothes.upper_is_loose(identity):
        return clothes.upper_hem_m(identity, lengths)
    return -1.0 if identity.outfit.bottom == "dress" else 0.1 * lengths.scale


def _materials(identity: Identity, cloth: Path | None) -> np.ndarray:
    outfit, head = identity.outfit, identity.head
    table = np.zeros((MATERIALS, ROW))
    fabrics: dict[int, Fabric] = {
        M_SKIN: Fabric("plain", head.skin, shade(head.skin, 0.8)),
        M_HAIR: Fabric("plain", head.hair_colour, shade(head.hair_colour, 1.5)),
        M_TOP: outfit.top_fabric,
        M_SLEEVE: outfit.sleeve_fabric,
        M_OUTER: outfit.outer_fabric,
        M_BOTTOM: outfit.bottom_fabric,
        M_SHOE: plain(outfit.shoe_colour),
        M_SOLE: plain(outfit.sole_colour),
        M_SOCK: plain(outfit.sock_colour),
        M_BAG: outfit.bag_fabric,
        M_HAT: head.headwear_fabric,
        M_LOGO: plain(outfit.logo_colour),
        M_BELT: plain(outfit.belt_colour),
        M_SCARF: outfit.scarf_fabric,
        M_LENS: plain(head.lenses or (0.0, 0.0, 0.0)),
    }
    for number, fabric in fabrics.items():
        kind = PATTERNS.index(fabric.pattern)
        table[number] = [kind, *fabric.colour, *fabric.accent, fabric.period_m, fabric.phase]
    return table if cloth is None else np.concatenate([table, _texels(fabrics, outfit, cloth)], axis=1)


def _texels(fabrics: dict[int, Fabric], outfit: Outfit, cloth: Path) -> np.ndarray:
    """[MATERIALS, n] pieces of photos; black where a material has none."""
    texels = np.zeros((MATERIALS, 3 * TEXELS**2))
    kinds = {M_TOP: "top", M_SLEEVE: "top", M_OUTER: "outer", M_BOTTOM: "legs"}
    if outfit.bottom in ("skirt", "dress"):
        kinds[M_BOTTOM] = "dress"
    if outfit.bottom == "dress":
        kinds[M_TOP] = kinds[M_SLEEVE] = "dress"
    for number, fabric in fabrics.items():
        if fabric.photo is not None:
            texels[number] = swatch(cloth / fabric.photo, kinds.get(number, "top")).ravel()
    if outfit.logo_photo is not None:
        texels[M_LOGO] = swatch(cloth / outfit.logo_photo, "print").ravel()
    return texels
