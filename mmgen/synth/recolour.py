"""Clothes and hair of rigged people in other colours: their textures say which texels are cloth."""

from dataclasses import dataclass, replace

import numpy as np

from mmgen.synth.palette import HAIRS, Colour, cloth_colour, pick
from mmgen.synth.raster import rasterise
from mmgen.synth.rigged import RiggedPerson

TOP, BOTTOM, SHOES = 1, 2, 3
REGIONS = (TOP, BOTTOM, SHOES)

SKIN_REACH = 0.045
"""Chromaticities this near to that of the hands are skin."""

BELT_M = 0.06
"""Height over the hips' joints where tops begin, if the colours do not say."""

HEMS_M = (-0.3, 0.22)
"""Heights over the hips' joints between which tops end."""

SLICE_M = 0.02
WINDOW = 3
"""Slices above and below a hem whose colours are compared."""

LEAST_CONTRAST = 0.12

_LUMA = np.array([0.299, 0.587, 0.114])
_SKIN_JOINTS = ("Head", "HeadEnd", "Neck", "Hand", "Eye")


@dataclass(frozen=True)
class Dye:
    """How one region is coloured anew.

    Attributes:
        hue_deg: turn of the hue, degrees; for regions that keep their own colours.
        colour: mean colour that the region takes instead; None keeps its own.
        gain: brightness, 1 for as it is.
    """

    hue_deg: float = 0.0
    colour: Colour | None = None
    gain: float = 1.0


def sample_dye(generator: np.random.Generator) -> Dye:
    """A third of clothes stay about as they are, a third change their hue, a third are dyed."""
    kind = generator.random()
    gain = float(generator.uniform(0.8, 1.15))
    if kind < 0.3:
        return Dye(gain=gain)
    if kind < 0.6:
        return Dye(hue_deg=float(generator.uniform(-180, 180)), gain=gain)
    return Dye(colour=cloth_colour(generator, 0.35))


def sample_hair(generator: np.random.Generator) -> Colour | None:
    """Hair of another colour for most, as light as skin for many: backs are taken for fronts by it."""
    if generator.random() < 0.35:
        return None
    red, green, blue = pick(generator, HAIRS)
    lighter = float(generator.uniform(0.9, 1.5))
    return min(red * lighter, 0.95), min(green * lighter, 0.95), min(blue * lighter, 0.95)


def cloth_regions(person: RiggedPerson) -> np.ndarray:
    """[T, Ht, Wt] which texels are tops, bottoms and shoes; 0 for skin, hair and what is not used."""
    regions = np.zeros(person.textures.shape[:3], np.uint8)
    owner = np.take_along_axis(person.bones, person.weights.argmax(axis=1)[:, None], axis=1)[:, 0]
    names = np.array(person.names)[person.bone_nodes[owner]]
    is_skin = np.array([any(word in name for word in _SKIN_JOINTS) for name in names])
    is_foot, is_hand = np.array(["Foot" in n or "Toe" in n for n in names]), np.array(["Hand" in n for n in names])
    is_arm = np.array(["Arm" in name or "Shoulder" in name for name in names])
    for number in range(len(person.textures)):
        if number in person.hair_textures:
            continue
        shown, heights = _texels_of(person, number)
        used, colours = shown >= 0, person.textures[number, :, :, :3] / 255.0
        of_face = {name: flags[person.faces].mean(axis=1) > 0.5 for name, flags in
                   (("skin", is_skin), ("foot", is_foot), ("hand", is_hand), ("arm", is_arm))}  # fmt: skip
        flags = {name: used & found[shown] for name, found in of_face.items()}
        trunk = used & ~flags["skin"] & ~flags["foot"] & ~flags["arm"]
        hem = _hem(heights[trunk], colours[trunk])
        regions[number][used] = np.where(flags["arm"] | (heights > hem), TOP, BOTTOM)[used]
        regions[number][flags["foot"]], regions[number][flags["skin"]] = SHOES, 0
        if flags["hand"].any():
            skin = np.median(_chromaticity(colours[flags["hand"]]), axis=0)
            regions[number][np.linalg.norm(_chromaticity(colours) - skin, axis=2) < SKIN_REACH] = 0
    return regions


def _texels_of(person: RiggedPerson, number: int) -> tuple[np.ndarray, np.ndarray]:
    """[Ht, Wt] face that shows each texel of a texture, -1 for none, and its height at rest over the hips' joints."""
    chosen = np.flatnonzero(person.face_texture == number)
    high, wide = person.textures.shape[1:3]
    texels = (person.uv % 1.0) * [wide, high]
    both = np.concatenate([person.faces[chosen], person.faces[chosen][:, ::-1]])
    shown = rasterise(texels, np.ones(len(texels)), both, high, wide)
    shown = np.where(shown >= 0, chosen[shown % len(chosen)], -1)
    rows, columns = np.nonzero(shown >= 0)
    a, b, c = (texels[person.faces[shown[rows, columns], corner]] for corner in range(3))
    first, second, at = b - a, c - a, np.stack([columns + 0.5, rows + 0.5], axis=1) - a
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    v = (at[:, 0] * second[:, 1] - at[:, 1] * second[:, 0]) / area
    w = (first[:, 0] * at[:, 1] - first[:, 1] * at[:, 0]) / area
    corners = person.posed({}).vertices[person.faces[shown[rows, columns]], 1]
    heights = np.zeros(shown.shape)
    heights[rows, columns] = (corners * np.stack([1 - v - w, v, w], axis=1)).sum(axis=1)
    return shown, heights - person.rest[person.node("LeftUpLeg"), 1, 3]


def _hem(heights: np.ndarray, colours: np.ndarray) -> float:
    """Height where the colours of the trunk change most."""
    edges = np.arange(HEMS_M[0] - WINDOW * SLICE_M, HEMS_M[1] + WINDOW * SLICE_M, SLICE_M)
    slices = np.digitize(heights, edges)
    means = np.stack([np.median(colours[slices == k], axis=0) if (slices == k).any() else np.full(3, np.nan)
                      for k in range(1, len(edges))])  # fmt: skip
    sums = np.stack([means[k : k + WINDOW].mean(axis=0) for k in range(len(means) - WINDOW + 1)])
    contrast = np.linalg.norm(sums[WINDOW:] - sums[:-WINDOW], axis=1)
    if np.isnan(contrast).all() or np.nanmax(contrast) < LEAST_CONTRAST:
        return BELT_M
    return float(edges[int(np.nanargmax(contrast)) + WINDOW])


def _chromaticity(colours: np.ndarray) -> np.ndarray:
    return colours[..., :2] / np.maximum(colours.sum(axis=-1, keepdims=True), 0.05)


def recoloured(person: RiggedPerson, regions: np.ndarray, dyes: dict[int, Dye], hair: Colour | None) -> RiggedPerson:
    """The same person in other colours.

    Args:
        regions: see `cloth_regions`.
        hair: mean colour, or None for their own.
    """
    if hair is not None:
        person = person.with_hair(np.array(hair) * 255)
    textures = person.textures.copy()
    for region, dye in dyes.items():
        chosen = regions == region
        if chosen.any():
            textures[chosen, :3] = np.clip(_dyed(textures[chosen, :3] / 255.0, dye) * 255, 0, 255).astype(np.uint8)
    return replace(person, textures=textures)


def _dyed(colours: np.ndarray, dye: Dye) -> np.ndarray:
    """[N, 3] colours of a region, 0..1, dyed."""
    luma = colours @ _LUMA
    if dye.colour is not None:
        shades = np.clip(luma / max(float(luma.mean()), 0.08), 0.3, 1.7)
        return np.asarray(shades[:, None] * np.array(dye.colour))
    return np.asarray((luma[:, None] + (colours - luma[:, None]) @ _hue_turn(dye.hue_deg).T) * dye.gain)


def _hue_turn(angle_deg: float) -> np.ndarray:
    """[3, 3] rotation of colours about the grey axis (Rodrigues' formula)."""
    angle, axis = np.deg2rad(angle_deg), np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
