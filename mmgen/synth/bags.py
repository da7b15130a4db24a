"""Solids of bags. Straps over cloth are painted (albedo.py); these are the parts that stand out."""

from mmgen.synth.body import cloth_thickness_m, scaled
from mmgen.synth.identity import Identity
from mmgen.synth.primitives import BAG, BOX, PROP, Solid
from mmgen.synth.skeleton import BONE, SIDES, SIGN, Proportions


def carried_by(identity: Identity) -> tuple[bool, bool]:
    """Which hands (left, right) hold a bag."""
    both = identity.outfit.bag == "shopping"
    side = identity.outfit.bag_side if identity.outfit.bag == "handbag" else -1
    return both or side == 0, both or side == 1


def bag(identity: Identity, lengths: Proportions) -> list[Solid]:
    """The bag that the identity carries, if any."""
    builders = {"backpack": _backpack, "shoulder_bag": _shoulder_bag, "handbag": _handbag, "tote": _tote,
                "shopping": _shopping, "belt_bag": _belt_bag}  # fmt: skip
    builder = builders.get(identity.outfit.bag)
    return builder(identity, lengths) if builder else []


def prop(kind: str, name: str, lengths: Proportions) -> list[Solid]:
    """What a hand holds: a phone along the palm or, to take a picture, in the fingers, a paper cup, or nothing."""
    s, bone, group, inward = lengths.scale, BONE[f"hand_{name}"], f"hand_{name}", -0.03 * SIGN[name]
    if kind == "phone":
        low, high, half = scaled((inward, -0.16, 0.012), s), scaled((inward, -0.02, 0.012), s), (0.009 * s, 0.04 * s)
        return [Solid(bone, PROP, group, low, high, half, half, BOX, rounding=0.006)]
    if kind == "camera":
        low, high, half = scaled((inward, -0.19, 0.04), s), scaled((inward, -0.04, 0.04), s), (0.039 * s, 0.008 * s)
        return [Solid(bone, PROP, group, low, high, half, half, BOX, rounding=0.006)]
    if kind == "cup":
        low, high = scaled((inward, -0.09, -0.03), s), scaled((inward, -0.09, 0.09), s)
        return [Solid(bone, PROP, group, low, high, (0.034 * s, 0.034 * s), (0.042 * s, 0.042 * s))]
    return []


def _box(
    bone: int, low: tuple[float, float, float], high_y: float, half: tuple[float, float], rounding: float
) -> Solid:
    return Solid(bone, BAG, "bag", low, (low[0], high_y, low[2]), half, half, BOX, rounding=rounding)


def _backpack(identity: Identity, lengths: Proportions) -> list[Solid]:
    s, up = lengths.scale, lengths.shoulder_up
    size = 0.85 + 0.3 * identity.outfit.flare
    depth = 0.07 * s * size
    back = -0.1 * identity.build.girth * s - cloth_thickness_m(identity) - depth + 0.012 * s
    low, high = 0.8 * up - 0.36 * s * size, 0.98 * up
    return [
        _box(BONE["chest"], (0, low, back), high, (0.138 * s, depth), 0.05 * s),
        _box(
            BONE["chest"], (0, low + 0.02 * s, back - depth), low + 0.55 * (high - low), (0.1 * s, 0.03 * s), 0.025 * s
        ),
    ]


def _shoulder_bag(identity: Identity, lengths: Proportions) -> list[Solid]:
    s, sign = lengths.scale, SIGN[SIDES[identity.outfit.bag_side]]
    out = 0.148 * identity.build.hips * identity.build.girth * s + cloth_thickness_m(identity) + 0.05 * s
    return [_box(BONE["pelvis"], (sign * out, -0.13 * s, -0.035 * s), 0.07 * s, (0.04 * s, 0.125 * s), 0.025 * s)]


def _handbag(identity: Identity, lengths: Proportions) -> list[Solid]:
    size = (0.045, 0.2 + 0.1 * identity.outfit.flare, 0.125)
    return _in_hand(SIDES[identity.outfit.bag_side], size, lengths)


def _shopping(identity: Identity, lengths: Proportions) -> list[Solid]:
    size = 0.8 + 0.4 * identity.outfit.flare
    return [solid for name in SIDES for solid in _in_hand(name, (0.06 * size, 0.3 * size, 0.11 * size), lengths)]


def _belt_bag(identity: Identity, lengths: Proportions) -> list[Solid]:
    s, build = lengths.scale, identity.build
    out = 0.1 * build.girth * s + cloth_thickness_m(identity) + build.belly_m + 0.015 * s
    return [_box(BONE["pelvis"], (0.02 * s, 0.06 * s, out), 0.17 * s, (0.11 * s, 0.04 * s), 0.03 * s)]


def _in_hand(name: str, size: tuple[float, float, float], lengths: Proportions) -> list[Solid]:
    """A bag with two handles hanging from a hand; (half-width, height, half-length) on an adult."""
    s, bone = lengths.scale, BONE[f"hand_{name}"]
    top = -0.17 * s
    parts = [_box(bone, (0, top - size[1] * s, 0.0), top, (size[0] * s, size[2] * s), 0.02 * s)]
    for sign in (-1.0, 1.0):
        parts.append(
            Solid(
                bone,
                BAG,
                "bag",
                (0, -0.085 * s, sign * 0.012 * s),
                (0, top - 0.01 * s, sign * 0.075 * s),
                (0.01, 0.01),
                (0.01, 0.01),
            )
        )
    return parts


def _tote(identity: Identity, lengths: Proportions) -> list[Solid]:
    s, sign = lengths.scale, SIGN[SIDES[identity.outfit.bag_side]]
    out, up = lengths.shoulder + 0.005 * s, lengths.shoulder_up
    low, high = -0.23 * s, 0.03 * s
    parts = [_box(BONE["chest"], (sign * out, low, -0.075 * s), high, (0.045 * s, 0.15 * s), 0.02 * s)]
    for reach in (-0.13, -0.01):
        parts.append(
            Solid(
                BONE["chest"],
                BAG,
                "bag",
                (sign * 0.8 * lengths.shoulder, up + 0.045 * s, -0.02 * s),
                (sign * out, high - 0.01 * s, reach * s),
                (0.011, 0.011),
                (0.011, 0.011),
            )
        )
    return parts
