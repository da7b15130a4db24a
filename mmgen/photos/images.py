"""Reads photos of any format as 8-bit sRGB, or raises one error that names the file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import ItemError
from mmgen.core.limits import PHOTO_PIXELS
from mmgen.core.listing import ImageFile, display_name, list_images
from mmgen.photos.decoding import decode_file
from mmgen.photos.pixels import to_rgb_and_alpha

__all__ = ["MIN_SIDE", "ImageFile", "Photo", "display_name", "list_images", "read_image"]

MIN_SIDE = 16
MAX_ASPECT = 20.0


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
