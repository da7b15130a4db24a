"""From any Pillow mode to 8-bit sRGB and alpha: scaled, never clipped."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mmgen.core.errors import ItemError

_DEEP_MODES = ("I", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


def to_rgb_and_alpha(
    image: Image.Image, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, tuple[str, ...]]:
    """Convert a loaded image of any mode.

    Args:
        image: loaded pixels; its info may hold an ICC profile and transparency.

    Returns:
        rgb uint8 [H,W,3] in sRGB; alpha uint8 [H,W], or None where the image is opaque everywhere; notes.

    Raises:
        ItemError: `image_not_finite`, `image_values` for numbers with no sensible scale, `image_not_supported`.
    """
    notes: list[str] = []
    if is_deep(image):
        image = _shallow(image, name, notes)
    try:
        has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
        flat = image.convert("RGBA") if has_alpha else image
        alpha = np.asarray(flat.getchannel("A")) if has_alpha else None
        colour = _to_srgb(image, flat, notes)
    except (ValueError, OSError) as error:
        raise ItemError(
            "image_not_supported",
            f"{name} has colours of a kind that cannot be converted ({image.mode})",
            "Save it as RGB.",
        ) from error
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return np.array(colour), None if alpha is None else np.array(alpha), tuple(notes)


def is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than 8 bits; Pillow's own conversions clip these."""
    return image.mode in _DEEP_MODES or image.mode.startswith("I;16")


def scale_to_8bit(values: NDArray[np.generic], name: str, kind: str = "image") -> tuple[NDArray[np.uint8], str]:
    """Scale deep values to 0..255 by the range that they evidently use.

    Floats up to 1 count as 0..1, anything up to 255 as 8 bits, anything up to 65535 as 16 bits.

    Returns:
        uint8 values, and the note that says what was assumed.

    Raises:
        ItemError: `<kind>_not_finite`, or `<kind>_values` for numbers below 0 or above 65535.
    """
    if not np.isfinite(values).all():
        raise ItemError(f"{kind}_not_finite", f"{name} holds infinite values or NaN", "Save it as 8-bit PNG.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        raise ItemError(
            f"{kind}_values", f"{name} has values from {low:g} to {high:g}", "Save it as 8-bit or 16-bit PNG."
        )
    if np.issubdtype(values.dtype, np.floating) and high <= 1:
        top = 1
    elif values.dtype != np.uint16 and high <= 255:
        top = 255
    else:
        top = 65535
    scaled = np.rint(values.astype(np.float32) * (255 / top)).astype(np.uint8)
    return scaled, f"values 0..{top} scaled to 8 bits"


def _shallow(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    scaled, note = scale_to_8bit(np.asarray(image), name)
    notes.append(note)
    shallow = Image.fromarray(scaled)
    if "icc_profile" in image.info:
        shallow.info["icc_profile"] = image.info["icc_profile"]
    return shallow


def _to_srgb(image: Image.Image, flat: Image.Image, notes: list[str]) -> Image.Image:
    """Through the embedded profile where there is a usable one that is not sRGB already."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            mode = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space]
            if mode == "CMYK" and image.mode != "CMYK":
                raise ValueError("a CMYK profile on other colours")
            if mode == "RGB" and "srgb" in (source.profile.profile_description or "").lower():
                return flat.convert("RGB")
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(flat.convert(mode), source, target, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, KeyError, ValueError, OSError, TypeError):
            notes.append("its colour profile is unusable and was ignored")
    return flat.convert("RGB")
