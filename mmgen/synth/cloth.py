"""Cloth from photos of garments: a piece of each becomes weave, or the print on a shirt.

Photos whose names begin with what they show (`dress_...`, `pants_...`) become that; if none does, any become anything.
"""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter, zoom

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.synth.identity import Identity
from mmgen.synth.outfit import PHOTO_PRINT, Outfit
from mmgen.synth.palette import Colour, Fabric
from mmgen.synth.streams import stream

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")

KINDS = {
    "top": ("t-shirt", "longsleeve", "shirt"),
    "dress": ("dress", "skirt"),
    "outer": ("outwear",),
    "legs": ("pants", "shorts"),
    "print": ("t-shirt",),
}
"""What the names of photos begin with, by what they can become."""

SHARES = {"top": 0.45, "dress": 0.6, "outer": 0.4, "legs": 0.35, "print": 0.45}
"""How often a piece has cloth of a photo; prints: of shirts with anything on them."""

TEST_SHARE = 5
"""One photo in so many is for test people."""

SIDE_PX = 384
"""Photos are read so that the shorter side has this many pixels."""

TEXELS = 96
"""Of a piece of cloth, along each side."""

HALF, HALF_OF_LEGS, HALF_OF_PRINT = 0.16, 0.1, 0.2
"""Half the side of a piece over the photo's shorter side."""

SHIFTS = (-0.13, 0.0, 0.13)
"""Where pieces are looked for, from the middle of the photo, over its shorter side."""

PLAIN_SHARE, AMONG = 0.35, 4
"""The share of cloth that is any; the rest is the most patterned among so many."""

PERIOD_M = (0.17, 0.34)
LEAST_CONTRAST = 0.1
"""Of what is on a shirt, against the shirt around it."""


@lru_cache(maxsize=4)
def cloth_photos(folder: Path, split: str) -> tuple[str, ...]:
    """Names of a folder's photos that are for a split, sorted.

    Raises:
        FatalError: `no_cloth`, if there is none.
    """
    names = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in ENDINGS) if folder.is_dir() else []
    chosen = tuple(name for name in names if _is_test(name) == (split == "test"))
    if not chosen:
        raise FatalError(
            "no_cloth",
            f"no photos of cloth for {split} people in {display_name(folder)}",
            "Give a folder of JPEG, PNG or WebP photos of garments with --cloth; one in five is for test people.",
        )
    return chosen


def _is_test(name: str) -> bool:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[0] % TEST_SHARE == 0


def cloth_digest(folder: Path, splits: tuple[str, ...]) -> str:
    """Names and contents of a folder's photos in sixteen digits.

    Raises:
        FatalError: `no_cloth`.
    """
    digest = hashlib.sha256()
    for split in splits:
        for name in cloth_photos(folder, split):
            digest.update(
                name.encode("utf-8", "surrogateescape") + hashlib.sha256((folder / name).read_bytes()).digest()
            )
    return digest.hexdigest()[:16]


def in_cloth(who: Identity, seed: int, folder: Path) -> Identity:
    """The same person, some of their clothes of the cloth that photos show.

    Raises:
        FatalError: `no_cloth`; `cloth_unusable`.
    """
    generator = stream(seed, who.split, who.index, "cloth")
    photos = cloth_photos(folder, who.split)
    outfit = who.outfit
    if outfit.bottom == "dress":
        fabric = _drawn(generator, folder, photos, "dress", outfit.top_fabric)
        outfit = replace(outfit, top_fabric=fabric, sleeve_fabric=fabric, bottom_fabric=fabric)
    else:
        top = _drawn(generator, folder, photos, "top", outfit.top_fabric)
        same = outfit.sleeve_fabric == outfit.top_fabric
        legs = "dress" if outfit.bottom == "skirt" else "legs"
        outfit = replace(outfit, top_fabric=top, sleeve_fabric=top if same else outfit.sleeve_fabric,
                         bottom_fabric=_drawn(generator, folder, photos, legs, outfit.bottom_fabric))  # fmt: skip
    outfit = replace(outfit, outer_fabric=_drawn(generator, folder, photos, "outer", outfit.outer_fabric))
    return replace(who, outfit=_printed(generator, folder, photos, outfit))


def _drawn(generator: np.random.Generator, folder: Path, photos: tuple[str, ...], kind: str, fabric: Fabric) -> Fabric:
    """A fabric of the cloth of a photo, or the one that was there."""
    takes, count = generator.random(), 1 if generator.random() < PLAIN_SHARE else AMONG
    numbers = generator.integers(2**31, size=AMONG)[:count]
    period, phase = float(generator.uniform(*PERIOD_M)), float(generator.random())
    if takes >= SHARES[kind]:
        return fabric
    suited = _of_kind(photos, kind)
    names = [suited[int(number) % len(suited)] for number in numbers]
    name = max(names, key=lambda name: float(swatch(folder / name, kind).std(axis=(0, 1)).sum()))
    colour = _colour(swatch(folder / name, kind))
    return Fabric("photo", colour, colour, period, phase, name)


def _printed(generator: np.random.Generator, folder: Path, photos: tuple[str, ...], outfit: Outfit) -> Outfit:
    """A shirt with what is on a shirt of a photo, instead of its logo."""
    takes, number = generator.random(), int(generator.integers(2**31))
    size = float(generator.uniform(0.1, 0.16))
    if outfit.logo == "none" or takes >= SHARES["print"]:
        return outfit
    name = _of_kind(photos, "print")[number % len(_of_kind(photos, "print"))]
    texels = swatch(folder / name, "print")
    around = _colour(np.concatenate([texels[:4], texels[-4:]]))
    if np.abs(texels - around).mean() < LEAST_CONTRAST:
        return outfit
    fabric = Fabric("plain", around, around)
    sleeves = fabric if outfit.sleeve_fabric == outfit.top_fabric else outfit.sleeve_fabric
    return replace(outfit, top_fabric=fabric, sleeve_fabric=sleeves, logo=PHOTO_PRINT, logo_colour=around,
                   logo_size_m=size, logo_photo=name)  # fmt: skip


def _of_kind(photos: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """Photos that can become a piece of a kind; all of them if none says so."""
    return tuple(name for name in photos if name.split("_")[0] in KINDS[kind]) or photos


def _colour(texels: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in np.median(texels.reshape(-1, 3), axis=0))
    return red, green, blue


@lru_cache(maxsize=64)
def swatch(path: Path, kind: str) -> np.ndarray:
    """[TEXELS, TEXELS, 3] float64 0..1, top row first: a piece of what a photo shows, in even light.

    Args:
        kind: one of `KINDS`; prints are the middle of the photo, all others its most even piece near the middle.

    Raises:
        FatalError: `cloth_unusable`, if the photo cannot be read.
    """
    photo = _read(path)
    side = min(photo.shape[:2])
    if kind == "print":
        return _piece(photo, (0.0, -0.04 * side), round(HALF_OF_PRINT * side))
    half = round((HALF_OF_LEGS if kind == "legs" else HALF) * side)
    pieces = [_piece(photo, (x * side, y * side), half) for y in SHIFTS for x in SHIFTS]
    return _in_even_light(min(pieces, key=_unevenness))


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as file:
            file.draft("RGB", (SIDE_PX, SIDE_PX))
            photo = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise FatalError(
            "cloth_unusable",
            f"photo of cloth {display_name(path)} cannot be used: {error}",
            "Remove it from the folder that --cloth names.",
        ) from error
    share = SIDE_PX / min(photo.size)
    size = (max(SIDE_PX, round(photo.width * share)), max(SIDE_PX, round(photo.height * share)))
    return np.asarray(photo.resize(size, Image.Resampling.BILINEAR)) / 255.0


def _piece(photo: np.ndarray, shift: tuple[float, float], half: int) -> np.ndarray:
    """A square of the photo around its middle, moved right and down."""
    row, column = round(photo.shape[0] / 2 + shift[1]), round(photo.shape[1] / 2 + shift[0])
    square = photo[row - half : row + half, column - half : column + half]
    return np.clip(zoom(square, (TEXELS / square.shape[0], TEXELS / square.shape[1], 1), order=1), 0.0, 1.0)


def _unevenness(piece: np.ndarray) -> float:
    """How much the colours of the piece's sixteen parts differ: seams, gaps and the ground do not belong to cloth."""
    parts = piece.reshape(4, TEXELS // 4, 4, TEXELS // 4, 3).mean(axis=(1, 3))
    return float(parts.std(axis=(0, 1)).sum())


def _in_even_light(piece: np.ndarray) -> np.ndarray:
    """Without the folds and shadows of the photo, which the generator makes itself."""
    light = gaussian_filter(piece.mean(axis=2), TEXELS / 5, mode="nearest")
    gain = np.clip(light.mean() / np.maximum(light, 0.02), 0.6, 1.7) ** 0.8
    return np.clip(piece * gain[:, :, None], 0.0, 1.0)
