"""Solids of clothes that stand off the body: sleeves, hems, trousers, skirts, coats and shoes."""

import numpy as np

from mmgen.synth.body import TOP_THICKNESS_M, cloth_thickness_m, ellipsoid, limb_scale
from mmgen.synth.identity import Identity
from mmgen.synth.primitives import (
    BOX,
    LEG,
    LOFT,
    OUTER_SKIRT,
    OUTER_SLEEVE,
    SCARF,
    SHELL,
    SHOE,
    SKIN,
    SKIRT,
    SLEEVE,
    Solid,
)
from mmgen.synth.skeleton import BONE, SIDES, SIGN, Proportions, Skeleton

ELBOW_SHARE = 0.98
"""A rolled sleeve ends this share of the way to the elbow."""


def sleeves(identity: Identity, lengths: Proportions, name: str) -> list[Solid]:
    """Sleeve of one arm, or nothing for bare arms; long ones replace the skin, short ones are a shell around it."""
    outfit, bone = identity.outfit, BONE[f"arm_{name}"]
    off, t, s = cloth_thickness_m(identity), limb_scale(identity.build, lengths), lengths.scale
    covered = outfit.outer not in ("none", "vest")
    if outfit.outer == "vest":
        off = TOP_THICKNESS_M[outfit.top]
    region = OUTER_SLEEVE if covered else SLEEVE
    if covered or outfit.sleeve == "long":
        loose = off + 0.004
        cuff = loose + 0.006
        return [
            Solid(bone, region, f"arm_{name}", (0, 0, 0), (0, -lengths.arm, 0),
                  (0.043 * t + 0.7 * off, 0.05 * t + off), (0.04 * t + loose, 0.043 * t + loose)),
            Solid(bone + 1, region, f"arm_{name}", (0, -lengths.forearm - 0.005 * s, 0), (0, 0, 0),
                  (0.027 * t + cuff, 0.031 * t + cuff), (0.041 * t + loose, 0.043 * t + loose), LOFT),
        ]  # fmt: skip
    if outfit.sleeve == "none":
        return []
    end = -(ELBOW_SHARE if outfit.sleeve == "elbow" else 0.45 + 0.25 * outfit.flare) * lengths.arm
    return [
        Solid(bone, region, f"sleeve_{name}", (0, 0, 0), (0, 0.5 * end, 0), (0.045 * t + off, 0.052 * t + off),
              (0.046 * t + off, 0.051 * t + off)),
        Solid(bone, region, f"sleeve_{name}", (0, end, 0), (0, 0.3 * end, 0), (0.054 * t + off, 0.058 * t + off),
              (0.047 * t + off, 0.052 * t + off), LOFT, rounding=0.005),
    ]  # fmt: skip


def upper_is_loose(identity: Identity) -> bool:
    """Whether a shirt or jacket ends in a free edge over the hips."""
    outfit = identity.outfit
    if outfit.outer == "none":
        return not outfit.tucked and outfit.bottom != "dress"
    return outfit.outer in ("jacket", "open_jacket", "vest")


def upper_hem_m(identity: Identity, lengths: Proportions) -> float:
    """Height of that edge over the hip joints, metres (negative)."""
    return (-0.05 if identity.outfit.outer != "none" else -0.045 - 0.025 * identity.outfit.flare) * lengths.scale


def upper_hem(identity: Identity, lengths: Proportions) -> list[Solid]:
    """The lower edge of a shirt or jacket worn over the hips, and a hood."""
    outfit, build, s = identity.outfit, identity.build, lengths.scale
    parts = []
    if upper_is_loose(identity):
        off, t = cloth_thickness_m(identity), build.girth * s
        x, z = 0.148 * build.hips * t + off, 0.1 * t + off
        hem = (lengths.hip + 0.1 * t + 0.7 * off, 0.118 * t + 0.7 * off)
        opening = 0.055 * s if outfit.outer == "open_jacket" else 0.0
        parts.append(Solid(BONE["pelvis"], SHELL, "hem", (0, upper_hem_m(identity, lengths), -0.01 * s),
                           (0, 0.75 * lengths.chest, 0), hem, (0.94 * x, 0.97 * z + 0.6 * build.belly_m), LOFT,
                           slit=opening, rounding=0.004))  # fmt: skip
    if outfit.top == "hoodie" or (outfit.outer in ("jacket", "open_jacket") and identity.index % 4 == 0):
        up = lengths.shoulder_up
        parts.append(
            Solid(
                BONE["chest"],
                SHELL,
                "collar",
                (-0.055 * s, up + 0.045 * s, -0.06 * s),
                (0.055 * s, up + 0.045 * s, -0.06 * s),
                (0.045 * s, 0.045 * s),
                (0.045 * s, 0.045 * s),
            )
        )
        parts.append(
            ellipsoid(BONE["chest"], SHELL, "collar", (0, up - 0.01 * s, -0.09 * s), (0.085 * s, 0.075 * s, 0.045 * s))
        )
    return parts


def scarf(lengths: Proportions, thickness_m: float) -> list[Solid]:
    """A scarf round the neck with one end down the front."""
    s, bone, up = lengths.scale, BONE["chest"], lengths.shoulder_up
    end = (0.04 * s, up - 0.3 * s, 0.1 * s + thickness_m)
    return [
        ellipsoid(bone, SCARF, "collar", (0, up + 0.06 * s, -0.004 * s), (0.098 * s, 0.048 * s, 0.1 * s)),
        Solid(bone, SCARF, "collar", (0.035 * s, up + 0.04 * s, 0.07 * s), end, (0.045 * s, 0.02 * s),
              (0.05 * s, 0.02 * s), cap=0.02 * s),
    ]  # fmt: skip


def trousers(identity: Identity, lengths: Proportions, name: str) -> list[Solid]:
    """One trouser leg with a flat hem above the shoe."""
    t, s, kind = limb_scale(identity.build, lengths), lengths.scale, identity.outfit.bottom
    bone, group = BONE[f"thigh_{name}"], f"leg_{name}"
    knee, hem = {"slim": (0.055, 0.042), "trousers": (0.064, 0.06), "wide": (0.078, 0.098)}[kind]
    extra = {"slim": 0.004, "trousers": 0.009, "wide": 0.014}[kind]
    crop = identity.outfit.crop_m * s
    parts = [
        Solid(bone, LEG, group, (0, 0.01 * s, 0), (0, -lengths.thigh, 0),
              (0.082 * t + extra, 0.089 * t + extra), (knee * t, knee * 1.04 * t)),
        Solid(bone + 1, LEG, group, (0, crop - lengths.shank + (0.005 if kind != "slim" else 0.035) * s, -0.006 * s),
              (0, 0.0, 0), (hem * s, hem * 1.12 * s), (knee * t, knee * 1.04 * t), LOFT, rounding=0.006),
    ]  # fmt: skip
    if crop > 0:
        calf, ankle = (0, -0.55 * lengths.shank, -0.004 * s), (0, -lengths.shank, -0.004 * s)
        thick, thin = (0.044 * t, 0.046 * t), (0.034 * t, 0.038 * t)
        parts.append(Solid(bone + 1, SKIN, f"sleeve_{name}", calf, ankle, thick, thin))
    return parts


def shorts(identity: Identity, lengths: Proportions, name: str) -> list[Solid]:
    """One leg of a pair of shorts, a shell around the bare thigh."""
    t, s = limb_scale(identity.build, lengths), lengths.scale
    end = -lengths.thigh * (0.55 + 0.85 * identity.outfit.bottom_length)
    hem = 0.088 * t - 0.014 * t * identity.outfit.bottom_length
    bone, group = BONE[f"thigh_{name}"], f"leg_{name}"
    return [
        Solid(bone, LEG, group, (0, 0.01 * s, 0), (0, 0.5 * end, 0), (0.088 * t, 0.096 * t), (0.08 * t, 0.086 * t)),
        Solid(bone, LEG, f"sleeve_{name}", (0, end, 0), (0, 0.35 * end, 0), (hem, hem * 1.08), (0.083 * t, 0.09 * t),
              LOFT, rounding=0.005),
    ]  # fmt: skip


def _leg_points(skeleton: Skeleton, pad_m: float) -> np.ndarray:
    """[N, 3] points down the middle of both legs, pelvis frame, with `pad_m` as the legs' radius kept apart."""
    points = []
    for name in SIDES:
        bone = BONE[f"thigh_{name}"]
        hip, knee, ankle = skeleton.origin[bone], skeleton.origin[bone + 1], skeleton.origin[bone + 2]
        for share in np.linspace(0.3, 1.0, 8):
            points += [hip + (knee - hip) * share, knee + (ankle - knee) * share]
    local = (np.array(points) - skeleton.origin[0]) @ skeleton.axes[0].T
    return local[np.argsort(local[:, 1])]


def _cone(skeleton: Skeleton, waist: tuple[float, float, float], hem_y: float, radii: tuple[float, float]) -> tuple:
    """(centre z, radii) of a hem that the legs do not pierce.

    Args:
        waist: Height and radii of the upper end, pelvis frame.
        hem_y: Height of the hem, pelvis frame.
    """
    leg = 0.075 * skeleton.proportions.scale
    points = _leg_points(skeleton, leg)
    points = points[points[:, 1] > hem_y - 0.03]
    down = np.clip((waist[0] - points[:, 1]) / (waist[0] - hem_y), 0.05, 1.0)
    front = ((points[:, 2] + leg - waist[2] * (1 - down)) / down).max()
    back = ((-points[:, 2] + leg - waist[2] * (1 - down)) / down).max()
    side = ((np.abs(points[:, 0]) + leg - waist[1] * (1 - down)) / down).max()
    front, back = max(front, radii[1]), max(back, radii[1])
    return (front - back) / 2, (max(side, radii[0]), (front + back) / 2)


def skirt(identity: Identity, skeleton: Skeleton) -> list[Solid]:
    """Skirt or the lower part of a dress: a cone with pleats and a flat, open hem."""
    outfit, build, lengths = identity.outfit, identity.build, skeleton.proportions
    s, t = lengths.scale, lengths.scale * build.girth
    hem_y = skirt_hem_m(identity, lengths)
    top_y = 0.8 * lengths.chest
    waist = (top_y, 0.128 * build.waist * t, 0.093 * t + 0.6 * build.belly_m)
    widen = 0.045 * s + 0.13 * s * outfit.flare * (0.4 - hem_y) / 0.8
    centre_z, radii = _cone(skeleton, waist, hem_y, (0.135 * build.hips * t + widen, 0.095 * t + widen))
    depth = 0.01 if outfit.outer in ("coat", "open_coat") else 0.015 + 0.045 * outfit.flare
    pleats = (depth, float(8 + identity.index % 7), float(identity.index % 5))
    over_hips = (lengths.hip + 0.094 * t, 0.122 * t)
    return [
        Solid(BONE["pelvis"], SKIRT, "skirt", (0, hem_y, centre_z), (0, top_y, 0), radii, waist[1:], LOFT,
              folds=pleats, hollow=(0.022, 0.05 * s), rounding=0.006),
        Solid(BONE["pelvis"], SKIRT, "skirt", (0, -0.09 * s, -0.008 * s), (0, 0.0, -0.008 * s), over_hips, over_hips,
              cap=0.1 * s),
    ]  # fmt: skip


def skirt_hem_m(identity: Identity, lengths: Proportions) -> float:
    """Height of a skirt's hem over the hip joints, metres (negative)."""
    return -(0.32 + 0.42 * identity.outfit.bottom_length) * lengths.scale


def coat_hem_m(identity: Identity, lengths: Proportions) -> float:
    """Height of a coat's hem over the hip joints, metres (negative)."""
    return -identity.outfit.coat_reach * lengths.thigh


def coat(identity: Identity, skeleton: Skeleton) -> list[Solid]:
    """The part of a coat below the waist: a hollow cone, open in front if worn open."""
    outfit, build, lengths = identity.outfit, identity.build, skeleton.proportions
    s, t, off = lengths.scale, lengths.scale * build.girth, cloth_thickness_m(identity)
    hem_y, top_y = coat_hem_m(identity, lengths), 0.75 * lengths.chest
    waist = (top_y, 0.138 * build.waist * t + off, 0.097 * t + off + 0.6 * build.belly_m)
    widen = (0.03 + 0.05 * outfit.flare + (0.03 if outfit.bottom in ("skirt", "dress") else 0.0)) * s
    centre_z, radii = _cone(skeleton, waist, hem_y, (0.15 * build.hips * t + off + widen, 0.105 * t + off + widen))
    opening = 0.09 * s if outfit.outer == "open_coat" else 0.012 * s
    return [Solid(BONE["pelvis"], OUTER_SKIRT, "skirt", (0, hem_y, centre_z), (0, top_y, 0), radii, waist[1:], LOFT,
                  folds=(0.02, 5.0, float(identity.index % 6)), hollow=(0.024, 0.05 * s),
                  slit=opening)]  # fmt: skip


def shoe(identity: Identity, lengths: Proportions, name: str) -> list[Solid]:
    """Sole, upper and, for boots, a shaft."""
    s, bone, group = lengths.scale, BONE[f"foot_{name}"], f"shoe_{name}"
    sole, inward = -lengths.ankle, -SIGN[name] * 0.006 * s
    parts = [
        Solid(bone, SHOE, group, (0, sole, 0.055 * s), (0, sole + 0.028 * s, 0.055 * s), (0.042 * s, 0.132 * s),
              (0.042 * s, 0.132 * s), BOX, rounding=0.012 * s),
        Solid(bone, SHOE, group, (0, sole + 0.042 * s, -0.032 * s), (inward, sole + 0.03 * s, 0.13 * s),
              (0.039 * s, 0.044 * s), (0.043 * s, 0.03 * s), cap=0.04 * s),
        Solid(bone, SHOE, group, (0, sole + 0.06 * s, -0.012 * s), (0, 0.0, -0.008 * s), (0.043 * s, 0.055 * s),
              (0.04 * s, 0.044 * s)),
    ]  # fmt: skip
    if identity.outfit.shoes == "boots":
        parts.append(
            Solid(
                bone - 1,
                SHOE,
                group,
                (0, -lengths.shank, 0),
                (0, -lengths.shank + identity.outfit.shaft_m * s, -0.004 * s),
                (0.046 * s, 0.052 * s),
                ((0.05 + 0.03 * identity.outfit.shaft_m) * s, (0.054 + 0.05 * identity.outfit.shaft_m) * s),
                LOFT,
            )
        )
    return parts
