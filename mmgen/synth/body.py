"""Solids of the body itself: trunk, neck, head, arms, hands, legs. Lengths fit a 1.75 m adult and are scaled."""

from mmgen.synth.identity import Build, Identity
from mmgen.synth.primitives import HEAD, SKIN, TRUNK, Group, Point, Radii, Solid
from mmgen.synth.skeleton import BONE, SIDES, SIGN, Proportions

TOP_THICKNESS_M = {"tshirt": 0.007, "shirt": 0.009, "sweater": 0.016, "hoodie": 0.02, "tank": 0.004}


def scaled(point: Point, factor: float) -> Point:
    """A point, or three half-axes, times a factor."""
    return point[0] * factor, point[1] * factor, point[2] * factor


def ellipsoid(bone: int, region: int, group: str, centre: Point, half_axes: Point) -> Solid:
    """An ellipsoid with half-axes sideways, upward and forward."""
    sides: Radii = (half_axes[0], half_axes[2])
    return Solid(bone, region, group, centre, centre, sides, sides, cap=half_axes[1])


def cloth_thickness_m(identity: Identity) -> float:
    """How far the clothes on the upper body stand off the skin."""
    outfit = identity.outfit
    return TOP_THICKNESS_M[outfit.top] + (outfit.outer_bulk_m if outfit.outer != "none" else 0.0)


def limb_scale(build: Build, lengths: Proportions) -> float:
    """Thickness of arms and legs relative to an average adult of 1.75 m."""
    return build.girth * build.limbs * lengths.scale


def groups(lengths: Proportions) -> dict[str, Group]:
    """All groups in the order in which they are joined; the trunk comes first, rigid things last."""
    s = lengths.scale
    joined: dict[str, Group] = {"trunk": Group(0.05 * s)}
    for name in SIDES:
        shoulder, hip = (BONE[f"arm_{name}"], (0.0, 0.0, 0.0)), (BONE[f"thigh_{name}"], (0.0, 0.0, 0.0))
        joined[f"arm_{name}"] = Group(0.02 * s, shoulder, 0.09 * s, 0.17 * s)
        joined[f"leg_{name}"] = Group(0.025 * s, hip, 0.07 * s, 0.17 * s)
    joined["head"] = Group(0.03 * s, (BONE["head"], (0.0, -0.1 * s, -0.02 * s)), 0.03 * s, 0.08 * s)
    for name in SIDES:
        joined[f"sleeve_{name}"] = Group(0.012 * s, (BONE[f"arm_{name}"], (0.0, 0.0, 0.0)), 0.08 * s, 0.15 * s)
    joined["hem"] = Group(0.01, (BONE["pelvis"], (0.0, 0.17 * s, 0.0)), 0.06 * s, 0.28 * s)
    joined["skirt"] = Group(0.04 * s, (BONE["pelvis"], (0.0, 0.17 * s, 0.0)), 0.06 * s, 0.26 * s)
    for name in ("hair", "hat", "collar", "hand_l", "hand_r", "shoe_l", "shoe_r", "bag"):
        joined[name] = Group(0.012)
    return joined


def trunk(build: Build, lengths: Proportions, top_m: float, bottom_m: float) -> list[Solid]:
    """Pelvis to neck with clothes that stand off by `top_m` above and `bottom_m` below the waist."""
    s, g = lengths.scale, build.girth
    pelvis, chest = BONE["pelvis"], BONE["chest"]
    hip_x, waist_x, rib_x = 0.148 * build.hips * g * s, 0.133 * build.waist * g * s, 0.146 * build.shoulders * g * s
    deep, wide = 0.1 * g * s, 0.105 * build.shoulders * s
    up, bar = lengths.shoulder_up, 0.98 * lengths.shoulder_up - lengths.shoulder_drop
    parts = [
        Solid(pelvis, TRUNK, "trunk", (0, 0.012 * s, -0.008 * s), (0, 0.065 * s, -0.008 * s),
              (hip_x + bottom_m, deep + bottom_m), (hip_x + bottom_m, deep + bottom_m), cap=0.075 * s),
        Solid(pelvis, TRUNK, "trunk", (0, 0.07 * s, 0), (0, 0.9 * lengths.chest, 0.003 * s),
              (0.95 * hip_x + top_m, 0.98 * deep + top_m), (waist_x + top_m, 0.94 * deep + top_m), cap=0.05 * s),
        Solid(chest, TRUNK, "trunk", (0, -0.02 * s, 0), (0, 0.66 * up, -0.006 * s),
              (waist_x + top_m, 0.93 * deep + top_m), (rib_x + top_m, 1.02 * deep + top_m), cap=0.06 * s),
        Solid(chest, TRUNK, "trunk", (-wide, bar, -0.012 * s), (wide, bar, -0.012 * s),
              (0.045 * s + top_m, 0.062 * g * s + top_m), (0.045 * s + top_m, 0.062 * g * s + top_m), cap=0.04 * s),
        Solid(chest, SKIN, "trunk", (0, up, -0.014 * s), (0, up + 0.11 * s, 0.004 * s),
              (0.057 * g * s, 0.058 * g * s), (0.052 * g * s, 0.056 * g * s), cap=0.03 * s),
    ]  # fmt: skip
    for sign in SIGN.values():
        outer_end, inner_end = (
            (sign * 0.88 * lengths.shoulder, up - lengths.shoulder_drop),
            (sign * 0.025 * s, up + 0.052 * s),
        )
        parts.append(Solid(chest, TRUNK, "trunk", (*outer_end, -0.014 * s), (*inner_end, -0.014 * s),
                           (0.035 * s + 0.6 * top_m, 0.044 * s + top_m), (0.04 * s, 0.046 * s)))  # fmt: skip
    return parts + _trunk_curves(build, lengths, top_m)


def _trunk_curves(build: Build, lengths: Proportions, top_m: float) -> list[Solid]:
    """Seat, bust and belly."""
    s, g, up = lengths.scale, build.girth, lengths.shoulder_up
    pelvis, chest, parts = BONE["pelvis"], BONE["chest"], []
    for sign in SIGN.values():
        seat = (sign * 0.068 * s * build.hips, -0.02 * s, -0.052 * g * s)
        parts.append(ellipsoid(pelvis, TRUNK, "trunk", seat, scaled((0.078 * g, 0.085, 0.07 * g), s)))
        if build.bust_m > 0:
            half_axes = (0.062 * s + top_m, 0.06 * s + top_m, 0.045 * s + build.bust_m + top_m)
            parts.append(ellipsoid(chest, TRUNK, "trunk", (sign * 0.066 * s, 0.5 * up, 0.058 * s), half_axes))
    if build.belly_m > 0.004:
        half_axes = (0.133 * build.waist * g * s + top_m, 0.11 * s, 0.1 * g * s + build.belly_m + top_m - 0.02 * s)
        parts.append(ellipsoid(pelvis, TRUNK, "trunk", (0, 0.55 * lengths.chest, 0.02 * s), half_axes))
    return parts


def head(lengths: Proportions) -> list[Solid]:
    """Cranium, jaw, nose and ears."""
    bone, k = BONE["head"], lengths.head[1] / 0.116
    parts = [
        ellipsoid(bone, HEAD, "head", scaled((0, 0.014, -0.008), k), scaled((0.076, 0.102, 0.094), k)),
        ellipsoid(bone, HEAD, "head", scaled((0, -0.052, 0.018), k), scaled((0.056, 0.064, 0.066), k)),
        Solid(bone, HEAD, "head", scaled((0, -0.028, 0.096), k), scaled((0, 0.006, 0.086), k),
              (0.013 * k, 0.014 * k), (0.009 * k, 0.01 * k)),
    ]  # fmt: skip
    for sign in SIGN.values():
        parts.append(
            ellipsoid(bone, HEAD, "head", scaled((sign * 0.078, -0.012, -0.008), k), scaled((0.012, 0.031, 0.02), k))
        )
    return parts


def arm(build: Build, lengths: Proportions, name: str) -> list[Solid]:
    """Bare arm from the shoulder to the wrist."""
    bone, group, t = BONE[f"arm_{name}"], f"arm_{name}", limb_scale(build, lengths)
    return [
        Solid(bone, SKIN, group, (0, 0, 0), (0, -lengths.arm, 0), (0.045 * t, 0.051 * t), (0.038 * t, 0.041 * t)),
        Solid(bone + 1, SKIN, group, (0, 0, 0), (0, -lengths.forearm, 0),
              (0.039 * t, 0.041 * t), (0.026 * t, 0.03 * t), bulge=0.004 * t),
    ]  # fmt: skip


def hand(lengths: Proportions, name: str) -> list[Solid]:
    """Palm with fingers, and a thumb."""
    bone, group, h = BONE[f"hand_{name}"], f"hand_{name}", lengths.hand / 0.175
    inward = -SIGN[name]
    return [
        Solid(bone, SKIN, group, (0, 0.02 * h, 0), (0, -0.075 * h, 0.004 * h),
              (0.024 * h, 0.032 * h), (0.019 * h, 0.04 * h)),
        Solid(bone, SKIN, group, (inward * 0.004 * h, -0.075 * h, 0.004 * h),
              (inward * 0.018 * h, -0.14 * h, 0.008 * h), (0.017 * h, 0.038 * h), (0.013 * h, 0.028 * h), cap=0.02 * h),
        Solid(bone, SKIN, group, (inward * 0.008 * h, -0.03 * h, 0.028 * h), (inward * 0.018 * h, -0.09 * h, 0.052 * h),
              (0.014 * h, 0.014 * h), (0.011 * h, 0.011 * h)),
    ]  # fmt: skip


def bare_leg(build: Build, lengths: Proportions, name: str) -> list[Solid]:
    """Leg without trousers, from the hip to the ankle."""
    bone, group, t, s = BONE[f"thigh_{name}"], f"leg_{name}", limb_scale(build, lengths), lengths.scale
    return [
        Solid(bone, SKIN, group, (0, 0.01 * s, 0), (0, -lengths.thigh, 0),
              (0.083 * t, 0.09 * t), (0.052 * t, 0.055 * t)),
        Solid(bone + 1, SKIN, group, (0, 0, 0), (0, -lengths.shank, 0), (0.05 * t, 0.053 * t), (0.035 * t, 0.039 * t)),
        Solid(bone + 1, SKIN, group, (0, -0.07 * s, -0.012 * s), (0, -0.2 * s, -0.012 * s), (0.045 * t, 0.047 * t),
              (0.036 * t, 0.038 * t), bulge=0.008 * t),
    ]  # fmt: skip
