"""Solids of hair and headwear, in the frame of the head (origin in its middle)."""

from mmgen.synth.body import cloth_thickness_m, ellipsoid, scaled
from mmgen.synth.identity import Identity
from mmgen.synth.primitives import BOX, HAIR, HAT, LOFT, Point, Solid
from mmgen.synth.skeleton import BONE, SIGN, Proportions

SKULL_CAPS: dict[str, tuple[Point, Point]] = {
    "short": ((0, 0.03, -0.014), (0.085, 0.098, 0.099)),
    "cropped": ((0, 0.024, -0.012), (0.08, 0.097, 0.095)),
    "long": ((0, 0.027, -0.014), (0.087, 0.1, 0.1)),
    "bob": ((0, 0.027, -0.014), (0.089, 0.1, 0.101)),
    "bun": ((0, 0.026, -0.012), (0.083, 0.097, 0.096)),
    "ponytail": ((0, 0.026, -0.012), (0.083, 0.097, 0.096)),
    "curly": ((0, 0.042, -0.022), (0.112, 0.108, 0.112)),
    "afro": ((0, 0.05, -0.03), (0.15, 0.138, 0.148)),
    "wavy": ((0, 0.03, -0.016), (0.094, 0.104, 0.106)),
    "draped": ((0, 0.028, -0.014), (0.089, 0.101, 0.102)),
}
"""Centre and half-axes of the hair on the skull, metres on an adult's head."""


def hair(identity: Identity, lengths: Proportions) -> list[Solid]:
    """The hair; none under a headscarf."""
    kind, bone, k = identity.head.hair, BONE["head"], lengths.head[1] / 0.116
    if kind == "bald" or identity.head.headwear in ("headscarf", "hood"):
        return []
    centre, axes = SKULL_CAPS[kind]
    if identity.head.headwear != "none" and kind in ("curly", "afro"):
        centre, axes = SKULL_CAPS["bob"]
    parts = [ellipsoid(bone, HAIR, "hair", scaled(centre, k), scaled(axes, k))]
    if kind in ("long", "bob", "wavy"):
        end = (-0.18 - 0.04 * (identity.index % 6)) if kind != "bob" else -0.1
        parts += _loose_hair(end, k, 1.25 if kind == "wavy" else 1.0)
    elif kind == "draped":
        parts += _loose_hair(-0.15, k, 1.0) + _before_the_shoulders(identity, lengths)
    elif kind == "bun":
        parts.append(ellipsoid(bone, HAIR, "hair", scaled((0, 0.06, -0.112), k), scaled((0.044, 0.042, 0.04), k)))
    elif kind == "ponytail":
        parts += _ponytail(k)
    return parts


def _loose_hair(end: float, k: float, volume: float) -> list[Solid]:
    """A curtain behind the head down to height `end`, and a strand on each side of the face."""
    bone, low = BONE["head"], max(end, -0.16)
    curtain = Solid(bone, HAIR, "hair", scaled((0, end, -0.068), k), scaled((0, 0.03, -0.035), k),
                    (0.078 * volume * k, 0.036 * volume * k), (0.084 * k, 0.068 * k), LOFT,
                    rounding=0.02 * k)  # fmt: skip
    strands = [
        Solid(bone, HAIR, "hair", scaled((sign * 0.068, 0.04, 0.012), k), scaled((sign * 0.078, low, -0.012), k),
              (0.026 * volume * k, 0.034 * volume * k), (0.02 * volume * k, 0.03 * volume * k))
        for sign in SIGN.values()
    ]  # fmt: skip
    return [curtain, *strands]


def _before_the_shoulders(identity: Identity, lengths: Proportions) -> list[Solid]:
    """Strands from the sides of the neck down the chest, on one side or on both; they stay where the chest is."""
    s, up, build = lengths.scale, lengths.shoulder_up, identity.build
    off = cloth_thickness_m(identity)
    front = 0.094 * build.girth * s + off
    if build.bust_m > 0:
        front = 0.058 * s + 0.95 * (0.045 * s + build.bust_m + off)
    end = up - (0.16 + 0.05 * (identity.index % 4)) * s
    parts = []
    for side, sign in enumerate(SIGN.values()):
        if identity.index % 5 == side:
            continue
        path = [(sign * 0.07 * s, up + 0.1 * s, 0.005 * s), (sign * 0.085 * s, up - 0.01 * s, 0.062 * s + off),
                (sign * 0.088 * s, 0.55 * up, front), (sign * 0.092 * s, end, front)]  # fmt: skip
        wide, deep = (0.03, 0.036, 0.034, 0.02), (0.032, 0.026, 0.017, 0.013)
        radii = [(x * s, z * s) for x, z in zip(wide, deep, strict=True)]
        parts += [
            Solid(BONE["chest"], HAIR, "hair", path[k], path[k + 1], radii[k], radii[k + 1], cap=0.02 * s)
            for k in range(3)
        ]
    return parts


def _ponytail(k: float) -> list[Solid]:
    """Out from the back of the head, then down."""
    bone, root, bend, tip = BONE["head"], (0, 0.055, -0.105), (0, -0.02, -0.135), (0, -0.14, -0.118)
    return [
        Solid(bone, HAIR, "hair", scaled(root, k), scaled(bend, k), (0.026 * k, 0.026 * k), (0.034 * k, 0.03 * k)),
        Solid(bone, HAIR, "hair", scaled(bend, k), scaled(tip, k), (0.034 * k, 0.03 * k), (0.018 * k, 0.016 * k)),
    ]


def headwear(identity: Identity, lengths: Proportions) -> list[Solid]:
    """Cap, beanie, hat or headscarf."""
    kind, bone, k = identity.head.headwear, BONE["head"], lengths.head[1] / 0.116
    if kind == "cap":
        return [
            ellipsoid(bone, HAT, "hat", scaled((0, 0.05, -0.01), k), scaled((0.09, 0.083, 0.106), k)),
            Solid(bone, HAT, "hat", scaled((0, 0.05, 0.115), k), scaled((0, 0.068, 0.115), k), (0.062 * k, 0.06 * k),
                  (0.062 * k, 0.06 * k), BOX, rounding=0.009 * k),
        ]  # fmt: skip
    if kind == "beanie":
        return [ellipsoid(bone, HAT, "hat", scaled((0, 0.058, -0.014), k), scaled((0.092, 0.092, 0.107), k))]
    if kind in ("hat", "wide_hat"):
        wide = 1.0 if kind == "hat" else 1.25 + 0.07 * (identity.index % 4)
        return [
            ellipsoid(bone, HAT, "hat", scaled((0, 0.068, -0.008), k), scaled((0.09, 0.098, 0.105), k)),
            Solid(bone, HAT, "hat", scaled((0, 0.05, -0.004), k), scaled((0, 0.068, -0.004), k),
                  (0.15 * wide * k, 0.162 * wide * k), (0.14 * wide * k, 0.152 * wide * k), LOFT, rounding=0.008 * k),
        ]  # fmt: skip
    if kind == "hood":
        return [
            ellipsoid(bone, HAIR, "hair", scaled((0, 0.016, -0.022), k), scaled((0.1, 0.12, 0.116), k)),
            Solid(bone, HAIR, "hair", scaled((0, -0.14, -0.04), k), scaled((0, -0.04, -0.02), k), (0.1 * k, 0.08 * k),
                  (0.088 * k, 0.09 * k), LOFT, rounding=0.02 * k),
        ]  # fmt: skip
    if kind == "headscarf":
        return [
            ellipsoid(bone, HAIR, "hair", scaled((0, 0.016, -0.016), k), scaled((0.09, 0.11, 0.106), k)),
            Solid(bone, HAIR, "hair", scaled((0, -0.2, -0.02), k), scaled((0, -0.05, -0.01), k), (0.115 * k, 0.1 * k),
                  (0.08 * k, 0.088 * k), LOFT, rounding=0.02 * k),
        ]  # fmt: skip
    return []
