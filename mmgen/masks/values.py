"""Mask files of every habit to one: uint8, 255 = person, in the frame of the upright photo."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks.cleaning import THRESHOLD
from mmgen.photos.images import Photo
from mmgen.photos.pixels import is_deep, scale_to_8bit

Mask = NDArray[np.uint8]

MAX_LABEL = 63
"""Grey values up to this are class labels (18 in ATR, 20 in Pascal), not shades: a real mask has something brighter."""

_GREY_SPREAD = 12
_JPEG_BLACK = 32
_LARGEST_FACTOR = 16
_ROUNDING = 0.01
_CLEARLY = 1.1
"""Times stronger edges than along the other outline."""
_TURNED = {2: np.s_[:, ::-1], 3: np.s_[::-1, ::-1], 4: np.s_[::-1, :]}


def mask_values(image: Image.Image, name: str) -> Mask:
    """Read a mask's meaning, whatever its mode.

    {0, 1}, {0, 255}, shades of grey, 16 bits, floats, label maps (every label but 0), palettes (everything but black,
    or but entry 0 where no black is used), colour label maps (everything but black), or the alpha channel if it varies.

    Args:
        image: decoded, upright.

    Returns:
        uint8 [H, W], 0..255.

    Raises:
        ItemError: `mask_not_finite`, `mask_values`, `mask_not_supported`.
    """
    if is_deep(image):
        return _deep_values(np.asarray(image), name)
    try:
        if image.mode in ("LA", "RGBA", "PA") or (image.mode != "P" and "transparency" in image.info):
            alpha = np.asarray(image.convert("RGBA").getchannel("A"))
            if alpha.min() != alpha.max():
                return _grey_values(alpha)
        if image.mode == "P":
            return _palette_values(image)
        if image.mode in ("1", "L"):
            return _grey_values(np.asarray(image.convert("L")))
        return _colour_values(np.asarray(image.convert("RGB")), is_lossy=image.format in ("JPEG", "MPO"))
    except (ValueError, OSError) as error:
        raise ItemError(
            "mask_not_supported", f"{name} is of a kind not known ({image.mode})", "Save it as PNG."
        ) from error


def _deep_values(values: NDArray[np.generic], name: str) -> Mask:
    if np.issubdtype(values.dtype, np.integer) and 0 <= int(values.min()) and int(values.max()) <= 255:
        return _grey_values(values.astype(np.uint8))
    return _grey_values(scale_to_8bit(values, name, "mask")[0])


def _grey_values(values: NDArray[np.uint8]) -> Mask:
    """Labels and two-valued masks become 0 and 255; shades stay."""
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    if present[-1] <= MAX_LABEL or (len(present) == 2 and present[0] == 0):
        return np.where(values > 0, np.uint8(255), np.uint8(0))
    return np.array(values)


def _palette_values(image: Image.Image) -> Mask:
    labels = np.asarray(image)
    used = np.unique(labels)
    palette = np.zeros((256, 3), np.uint8)
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[: len(colours)] = colours
    if (np.ptp(palette[used].astype(int), axis=1) == 0).all():
        return _grey_values(palette[labels, 0])
    is_black = (palette == 0).all(axis=1)
    person = ~is_black[labels] if is_black[used].any() else labels != 0
    return np.where(person, np.uint8(255), np.uint8(0))


def _colour_values(rgb: NDArray[np.uint8], is_lossy: bool) -> Mask:
    brightest, darkest = rgb.max(axis=2), rgb.min(axis=2)
    if (brightest.astype(int) - darkest).max() <= _GREY_SPREAD:
        return _grey_values(rgb[..., 1])
    return np.where(brightest > (_JPEG_BLACK if is_lossy else 0), np.uint8(255), np.uint8(0))


def fit_to_photo(values: Mask, photo: Photo, name: str, is_upright: bool) -> tuple[Mask, tuple[str, ...]]:
    """Bring a mask into the frame of the upright photo.

    A mask may have been made before or after the photo was turned by its EXIF tag: it is taken for whichever frame it
    fits, and where it fits both for the one in which its outline follows the photo's edges better. A mask of another
    size is resized where its shape is the photo's but for a pixel or one per cent.

    Args:
        values: uint8 [H, W].
        is_upright: the mask file had an orientation of its own, so it can only mean the upright frame.

    Returns:
        The mask at the photo's size, and notes.

    Raises:
        ItemError: `mask_size`, `mask_orientation`.
    """
    size = (values.shape[1], values.shape[0])
    fits_upright = _is_scaled(size, photo.size)
    fits_stored = photo.orientation != 1 and not is_upright and _is_scaled(size, photo.stored_size)
    if not fits_upright and not fits_stored:
        raise ItemError("mask_size", f"{name} has {_text(size)} pixels, {_expected(photo)}", "Make them the same size.")
    as_is = _resized(values, photo.size) if fits_upright else None
    turned = _resized(turn(values, photo.orientation), photo.size) if fits_stored else None
    notes = () if size in (photo.size, photo.stored_size) else (f"mask resized from {_text(size)} pixels",)
    if as_is is None or (turned is not None and _follows_better(turned, as_is, photo, name)):
        assert turned is not None
        return turned, ("mask turned like its photo", *notes)
    return as_is, notes


def turn(values: Mask, orientation: int) -> Mask:
    """Apply an EXIF orientation, 1 to 8, to [H, W]."""
    if orientation in _TURNED:
        return np.ascontiguousarray(values[_TURNED[orientation]])
    quarter_turns = {5: values.T, 6: values.T[:, ::-1], 7: values.T[::-1, ::-1], 8: values.T[::-1, :]}
    return np.ascontiguousarray(quarter_turns.get(orientation, values))


def _is_scaled(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Whether one size is the other, larger or smaller, but for rounding: a pixel of the smaller, or one per cent."""
    small, large = sorted((size, wanted))
    across, down = large[0] / small[0], large[1] / small[1]
    is_rounded = abs(small[0] - large[0] / down) <= 1 or abs(small[1] - large[1] / across) <= 1
    is_alike = abs(across / down - 1) <= _ROUNDING or is_rounded
    return is_alike and 1 / _LARGEST_FACTOR <= across <= _LARGEST_FACTOR


def _follows_better(turned: Mask, as_is: Mask, photo: Photo, name: str) -> bool:
    """Whether the outline of the turned mask lies on stronger edges of the photo.

    Raises:
        ItemError: `mask_orientation` where neither does.
    """
    edges = np.hypot(*np.gradient(photo.rgb.astype(np.float32).mean(axis=2)))
    strengths = [_strength(mask, edges) for mask in (turned, as_is)]
    if max(strengths) < _CLEARLY * min(strengths):
        raise ItemError(
            "mask_orientation",
            f"{name} fits the photo both as stored and as turned by its EXIF tag",
            "Save the photo upright, without the tag, or give the mask the same tag.",
        )
    return strengths[0] > strengths[1]


def _strength(mask: Mask, edges: NDArray[np.float32]) -> float:
    """Mean of the photo's edges along a mask's outline."""
    from scipy.ndimage import binary_erosion

    inside = mask >= THRESHOLD
    outline = inside & ~binary_erosion(inside)
    return float(edges[outline].mean()) if outline.any() else 0.0


def _resized(values: Mask, size: tuple[int, int]) -> Mask:
    if (values.shape[1], values.shape[0]) == size:
        return values
    grows = size[0] > values.shape[1]
    return np.array(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR if grows else Image.Resampling.BOX))


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _expected(photo: Photo) -> str:
    if photo.stored_size == photo.size:
        return f"its photo {_text(photo.size)}"
    return f"its photo {_text(photo.size)} ({_text(photo.stored_size)} before its EXIF tag turned it)"
