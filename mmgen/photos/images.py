"""Photos of any format, from files or from memory, as 8-bit sRGB; or one error that names the file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mmgen.core.errors import ItemError
from mmgen.core.limits import PHOTO_PIXELS
from mmgen.core.listing import display_name
from mmgen.photos.decoding import decode_file
from mmgen.photos.pixels import to_rgb_and_alpha

MIN_SIDE = 16
MAX_ASPECT = 20.0

UNIT_TOLERANCE = 1e-3
"""How far float pixels may leave 0..1: resampling overshoots a little."""


@dataclass(frozen=True)
class Photo:
    """A photo, upright and in sRGB.

    Attributes:
        rgb: uint8 [H, W, 3].
        alpha: uint8 [H, W], 255 = opaque; None where the file is opaque everywhere.
        sha256: SHA-256 of the file's bytes.
        stored_size: (width, height) in the file, before the EXIF orientation was applied.
        orientation: the EXIF orientation, 1 (upright) to 8.
        notes: what a user should know, such as "first of 12 frames".
    """

    path: Path
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    sha256: str
    stored_size: tuple[int, int]
    orientation: int = 1
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), upright."""
        return self.rgb.shape[1], self.rgb.shape[0]


def read_image(path: Path, *, max_pixels: int = PHOTO_PIXELS) -> Photo:
    """Read one photo.

    16-bit, integer and float images are scaled (never clipped), CMYK, palette and grey ones become RGB, an embedded
    ICC profile is converted to sRGB, the EXIF orientation is applied, and of several frames the first is taken.

    Args:
        path: the file; its suffix does not matter.
        max_pixels: refuse more than this, going by the header.

    Raises:
        ItemError: with one of the codes of `decoding.decode_file` or `pixels.to_rgb_and_alpha`, or `image_too_small`,
            `image_too_narrow`.
    """
    decoded = decode_file(path, max_pixels=max_pixels)
    name = f"image {display_name(path)}"
    check_shape(decoded.image.size, name)
    rgb, alpha, colour_notes = to_rgb_and_alpha(decoded.image, name)
    notes = decoded.notes + colour_notes
    return Photo(path, rgb, alpha, decoded.sha256, decoded.stored_size, decoded.orientation, notes)


def check_shape(size: tuple[int, int], name: str) -> None:
    """Refuse what is too small or too narrow; raises ItemError."""
    width, height = size
    if min(size) < MIN_SIDE:
        raise ItemError(
            "image_too_small",
            f"{name} has {width} x {height} pixels; at least {MIN_SIDE} are needed each way",
            "Use a larger one.",
        )
    if max(size) > MAX_ASPECT * min(size):
        raise ItemError(
            "image_too_narrow",
            f"{name} has {width} x {height} pixels; that is no photo of a person",
            "Crop it to the person.",
        )


def photo_from_memory(value: Any, name: str) -> Photo:
    """A photo from pixels.

    Args:
        value: a Pillow image of any mode, turned by its EXIF tag; or an array [H, W, 3], [H, W, 4] or [H, W], uint8
            0..255 or float 0..1. A fourth channel is opacity.
        name: what messages and records call it; must not be the path of a file.

    Raises:
        ItemError: `image_type`, `image_shape`, `image_not_finite`, `image_values`, or as from `read_image`.
    """
    image = ImageOps.exif_transpose(value) if isinstance(value, Image.Image) else _as_image(value, name, "image")
    title = f"image {name}"
    check_shape(image.size, title)
    if image.width * image.height > PHOTO_PIXELS:
        what = f"{title} has {image.width} x {image.height} pixels; the limit is {PHOTO_PIXELS / 1e6:g} megapixels"
        raise ItemError("image_too_large", what, "Scale it down; 2000 pixels high is plenty.")
    rgb, alpha, notes = to_rgb_and_alpha(image, title)
    digest = hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes() + (b"" if alpha is None else alpha.tobytes()))
    return Photo(Path(name), rgb, alpha, digest.hexdigest(), (rgb.shape[1], rgb.shape[0]), notes=notes)


def mask_from_memory(value: Any, name: str) -> Image.Image:
    """A mask from pixels, as a mask file would be decoded.

    Args:
        value: a Pillow image; or an array [H, W] or [H, W, 1]: bool, uint8, or float 0..1; above 0 is the person where
            it has two values.
        name: what messages call it.

    Raises:
        ItemError: `mask_type`, `mask_shape`, `mask_not_finite`, `mask_values`.
    """
    if isinstance(value, Image.Image):
        return ImageOps.exif_transpose(value)
    if isinstance(value, np.ndarray) and value.dtype == bool:
        value = value.astype(np.uint8) * np.uint8(255)
    return _as_image(value, name, "mask")


def _as_image(value: Any, name: str, kind: str) -> Image.Image:
    wanted = "[height, width, 3]" if kind == "image" else "[height, width]"
    if not isinstance(value, np.ndarray):
        what = f"{kind} {name} is a {type(value).__name__}"
        raise ItemError(f"{kind}_type", what, f"Give a path, a Pillow image, or a numpy array {wanted}.")
    channels = (1, 3, 4) if kind == "image" else (1,)
    if value.ndim not in (2, 3) or 0 in value.shape or (value.ndim == 3 and value.shape[2] not in channels):
        turned = value.ndim == 3 and value.shape[0] in channels
        hint = "Put the channels last: array.transpose(1, 2, 0)." if turned else f"Give an array {wanted}."
        raise ItemError(f"{kind}_shape", f"{kind} {name} has the shape {list(value.shape)}, not {wanted}", hint)
    pixels = _as_bytes(value, name, kind)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _as_bytes(value: NDArray[Any], name: str, kind: str) -> NDArray[np.uint8]:
    if value.dtype == np.uint8:
        return np.ascontiguousarray(value)
    if value.dtype.kind != "f":
        what = f"{kind} {name} has values of type {value.dtype}"
        raise ItemError(f"{kind}_type", what, "Give uint8 values 0..255 or float values 0..1.")
    if not np.isfinite(value).all():
        raise ItemError(f"{kind}_not_finite", f"{kind} {name} has NaN or infinite values", "Give values 0..1.")
    low, high = float(value.min()), float(value.max())
    if low < -UNIT_TOLERANCE or high > 1 + UNIT_TOLERANCE:
        what = f"{kind} {name} has float values from {low:g} to {high:g}, not 0..1"
        raise ItemError(f"{kind}_values", what, "Divide by 255, or give uint8 values.")
    return np.ascontiguousarray((value * 255).round().clip(0, 255).astype(np.uint8))
