"""Cloth from photos of garments: a piece of each becomes weave, or the print on a shirt.

Photos whose names begin with what they show (`dress_...`, `pants_...`) become that; if none does, any become anything.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.ndimage import gaussian_filter, minimum_filter, zoom

from mmgen.core.errors import FatalError
from mmgen.core.files import open_regular, read_regular, sha256_file
from mmgen.core.limits import PHOTO_BYTES, PHOTO_PIXELS
from mmgen.core.listing import display_name
from mmgen.synth.identity import Identity
from mmgen.synth.outfit import PHOTO_PRINT, Outfit
from mmgen.synth.palette import Colour, Fabric
from mmgen.synth.streams import stream

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Photos often have another format than their name says; those that Pillow hands to other programs are left out."""

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

MOST_SLENDER = 10
"""The longer side over the shorter: both grow until the shorter has `SIDE_PX` pixels."""

OPAQUE = 250
"""Least alpha, of 255, of what belongs to the garment."""

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
    cure = "Give a folder of JPEG, PNG or WebP photos of garments with --cloth; one in five is for test people."
    try:
        names = sorted(name for name in os.listdir(folder) if Path(name).suffix.lower() in ENDINGS)
    except OSError as error:
        cause = f"the folder of cloth {display_name(folder)} cannot be listed: {error.strerror}"
        raise FatalError("no_cloth", cause, cure) from error
    chosen = tuple(name for name in names if _is_test(name) == (split == "test"))
    if not chosen:
        cause = f"no photos of cloth for {split} people in {display_name(folder)}"
        if names:
            cause += f", which has {len(names)} for the others; train and test people need at least 1 each"
            cure = (
                "Their names decide, and one in five is for test people: add photos, or rename some; "
                "--test-fraction 0 makes no test people, 1 only those."
            )
        raise FatalError("no_cloth", cause, cure)
    return chosen


def _is_test(name: str) -> bool:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[0] % TEST_SHARE == 0


def cloth_digest(folder: Path, splits: tuple[str, ...]) -> str:
    """Names and contents of a folder's photos in sixteen digits.

    Raises:
        FatalError: `no_cloth`; `cloth_unusable`, if one cannot be read: a folder, a pipe, a link to nothing.
    """
    digest = hashlib.sha256()
    for split in splits:
        for name in cloth_photos(folder, split):
            try:
                content = bytes.fromhex(sha256_file(folder / name, PHOTO_BYTES))
            except OSError as error:
                raise _unusable(folder / name, error) from error
            digest.update(name.encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()[:16]


def check_cloth(folder: Path, splits: tuple[str, ...]) -> None:
    """Look at the head of every photo, and at all of those with transparent parts, before people are made.

    Raises:
        FatalError: `no_cloth`; `cloth_unusable`.
    """
    for split in splits:
        photos = cloth_photos(folder, split)
        suited = {kind: frozenset(_of_kind(photos, kind)) for kind in KINDS}
        for name in photos:
            if _may_be_transparent(folder / name):
                for kind in (kind for kind in KINDS if name in suited[kind]):
                    swatch(folder / name, kind)


def _may_be_transparent(path: Path) -> bool:
    try:
        with open_regular(path, PHOTO_BYTES) as descriptor, open(descriptor, "rb", closefd=False) as data:
            with Image.open(data, formats=FORMATS) as file:
                file.draft("RGB", (SIDE_PX, SIDE_PX))
                _check_size(file.width, file.height)
                return file.has_transparency_data
    except Exception as error:  # see `_read`
        raise _unusable(path, error) from error


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
        FatalError: `cloth_unusable`, if the photo cannot be read, or too little of it is opaque.
    """
    photo = _read(path)
    side = min(photo.rgb.shape[:2])
    if kind == "print":
        pieces = _pieces(photo, [(0.0, -0.04 * side)], round(HALF_OF_PRINT * side))
    else:
        half = round((HALF_OF_LEGS if kind == "legs" else HALF) * side)
        pieces = _pieces(photo, [(x * side, y * side) for y in SHIFTS for x in SHIFTS], half)
    if not pieces:
        raise _unusable(path, ValueError("no piece of it is opaque and large enough"))
    return pieces[0] if kind == "print" else _in_even_light(min(pieces, key=_unevenness))


class _Photo(NamedTuple):
    """What a file shows.

    Attributes:
        rgb: [H, W, 3] float64 0..1.
        opaque: [H, W] bool; None where all of it is.
    """

    rgb: np.ndarray
    opaque: np.ndarray | None


def _read(path: Path) -> _Photo:
    try:
        with Image.open(BytesIO(read_regular(path, PHOTO_BYTES)), formats=FORMATS) as file:
            file.draft("RGB", (SIDE_PX, SIDE_PX))
            _check_size(file.width, file.height)
            upright = ImageOps.exif_transpose(file)
            whole = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            photo, alpha = whole.convert("RGB"), whole.getchannel("A") if whole.mode == "RGBA" else None
    except Exception as error:  # a decoder given damaged bytes may raise anything
        raise _unusable(path, error) from error
    share = SIDE_PX / min(photo.size)
    size = (max(SIDE_PX, round(photo.width * share)), max(SIDE_PX, round(photo.height * share)))
    rgb = np.asarray(photo.resize(size, Image.Resampling.BILINEAR)) / 255.0
    if alpha is None or int(np.asarray(alpha).min()) == 255:
        return _Photo(rgb, None)
    return _Photo(rgb, np.asarray(alpha.resize(size, Image.Resampling.BILINEAR)) >= OPAQUE)


def _check_size(width: int, height: int) -> None:
    if width * height > PHOTO_PIXELS:
        raise ValueError(f"{width} x {height} pixels; the limit is {PHOTO_PIXELS / 1e6:g} megapixels")
    if max(width, height) > MOST_SLENDER * min(width, height):
        raise ValueError(f"{width} x {height} pixels; one side may be {MOST_SLENDER} times the other at most")


def _unusable(path: Path, error: Exception) -> FatalError:
    cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        cause = "it is no JPEG, PNG or WebP image"
    return FatalError(
        "cloth_unusable",
        f"photo of cloth {display_name(path)} cannot be used: {cause}",
        "Remove it from the folder that --cloth names.",
    )


def _pieces(photo: _Photo, shifts: Sequence[tuple[float, float]], half: int) -> list[np.ndarray]:
    """Squares of the photo around its middle, moved right and down; opaque ones nearest there, or none at all."""
    height, width = photo.rgb.shape[:2]
    centres = np.array([(round(height / 2 + down), round(width / 2 + right)) for right, down in shifts])
    if photo.opaque is not None:
        fitting = _centres_of_opaque(photo.opaque, half)
        if not len(fitting):  # garments that are cut out may be narrow
            half //= 2
            fitting = _centres_of_opaque(photo.opaque, half)
        if not len(fitting):
            return []
        centres = np.array([fitting[((fitting - centre) ** 2).sum(axis=1).argmin()] for centre in centres])
    return [_piece(photo.rgb, int(row), int(column), half) for row, column in centres]


def _centres_of_opaque(opaque: np.ndarray, half: int) -> np.ndarray:
    """[N, 2] rows and columns around which `_piece` takes opaque pixels only."""
    return np.argwhere(minimum_filter(opaque.astype(np.uint8), 2 * half, mode="constant", cval=0))


def _piece(rgb: np.ndarray, row: int, column: int, half: int) -> np.ndarray:
    """[TEXELS, TEXELS, 3]: a square around a pixel."""
    square = rgb[row - half : row + half, column - half : column + half]
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
