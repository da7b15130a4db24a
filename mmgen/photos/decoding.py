"""Decodes untrusted image files to upright Pillow images, or raises one error that names the file."""

import errno
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.core.files import read_regular
from mmgen.core.limits import PHOTO_BYTES, PHOTO_FRAMES, PHOTO_PIXELS, PHOTO_SCANNED_PIXELS
from mmgen.core.listing import UNREAD_PHOTO_SUFFIXES, display_name
from mmgen.photos.frames import count_frames, jpeg_scans

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
# Formats that Pillow reads by running another program (EPS) or by guessing (TGA) are left out on purpose.

_SAVE_AS = "Save it as JPEG or PNG."
_STARTS_OF_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"II*\0", b"MM\0*", b"GIF8", b"\0\0\0\x0cjP")
_STARTS_OF_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"<!doctype html", "a web page, perhaps a failed download"),
    (b"<html", "a web page, perhaps a failed download"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file"),
    (b"pk\x03\x04", "a zip archive"),
    (b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Decoded:
    """An image file after decoding.

    Attributes:
        image: all pixels loaded, turned upright, in the mode that Pillow chose.
        orientation: the EXIF tag, 1 (upright) to 8.
        stored_size: (width, height) before it was turned, as decoded.
        sha256: SHA-256 of the file's bytes.
        notes: what a user should know, such as "first of 12 frames".
    """

    image: Image.Image
    orientation: int
    stored_size: tuple[int, int]
    sha256: str
    notes: tuple[str, ...]


def decode_file(path: Path, *, max_pixels: int = PHOTO_PIXELS, kind: str = "image") -> Decoded:
    """Read the file once, hash it and decode it from memory.

    Args:
        max_pixels: refuse more, going by the header, before anything is decoded; JPEG files are decoded smaller.
        kind: "image" or "mask"; the first word of every error code and message.

    Raises:
        ItemError: codes `<kind>_missing`, `_unreadable`, `_not_a_file`, `_empty`, `_not_an_image`, `_not_supported`,
            `_truncated`, `_damaged`, `_too_large`; `folder_unreadable` for a folder that may not be listed.
    """
    data = _read_bytes(path, kind)
    name = f"{kind} {display_name(path)}"
    # Pillow warns about odd metadata and big files; both are judged here, whatever the caller's warning filters.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data, name, kind)
        _check_scans(data, image, name, kind)  # of the whole picture: drafts read all of it too
        notes = _drafted(image, max_pixels)
        _check_header(image, name, kind, max_pixels)
        stored_size, early_orientation = _stored(image)
        notes += _frame_notes(image, data)
        _load(image, name, kind)
        orientation = _orientation(image)
    if orientation in _TURNS:
        image = _keep_info(image.transpose(_TURNS[orientation]), image)
    return Decoded(image, max(orientation, early_orientation), stored_size, hashlib.sha256(data).hexdigest(), notes)


def _read_bytes(path: Path, kind: str) -> bytes:
    name = f"{kind} {display_name(path)}"
    try:
        data = read_regular(path, PHOTO_BYTES)
    except FileNotFoundError as error:
        raise ItemError(
            f"{kind}_missing", f"{name} does not exist", "Check the path; it may be a broken link."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _unread(path, name, kind, error) from error
    if not data:
        raise ItemError(f"{kind}_empty", f"{name} has no bytes", "Copy or download it again.")
    return data


def _unread(path: Path, name: str, kind: str, error: OSError | ValueError) -> ItemError:
    cause = getattr(error, "strerror", None) or str(error)
    if isinstance(error, IsADirectoryError):
        return _folder_error(path, kind)
    if getattr(error, "errno", None) == errno.EINVAL:
        return ItemError(f"{kind}_not_a_file", f"{name}: {cause}", "Give a file or a folder of files.")
    if getattr(error, "errno", None) == errno.EFBIG:
        return ItemError(f"{kind}_too_large", f"{name}: {cause}", "Save it smaller.")
    return ItemError(
        f"{kind}_unreadable", f"{name} cannot be read: {cause}", "Check its path and its rights (chmod u+r)."
    )


def _folder_error(path: Path, kind: str) -> ItemError:
    try:
        next(path.iterdir(), None)
    except OSError as error:
        return ItemError(
            "folder_unreadable",
            f"folder {display_name(path)} cannot be listed: {error.strerror}",
            "Check its rights (chmod u+rx).",
        )
    return ItemError(f"{kind}_not_a_file", f"{kind} {display_name(path)} is a folder", "Give a file.")


@cache
def _formats() -> tuple[str, ...]:
    """Those of `_FORMATS` that this build of Pillow has; naming another makes it fail on every file."""
    Image.init()
    # Pillow also logs what it raises; without any handler Python would print that on stderr.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _open(data: bytes, name: str, kind: str) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise _too_large(name, kind, str(error)) from error
    except Exception as error:  # a decoder given hostile bytes may raise anything
        raise _not_opened(data, name, kind) from error
    if image.format == "TIFF" and Path(name).suffix.lower() in UNREAD_PHOTO_SUFFIXES:
        raise _of_unread_kind(name, kind)  # a raw photo, of which Pillow would read the thumbnail
    return image


def _of_unread_kind(name: str, kind: str) -> ItemError:
    suffix = Path(name).suffix.lower()
    return ItemError(f"{kind}_not_supported", f"{name} is a photo of a kind that is not read ({suffix})", _SAVE_AS)


def _not_opened(data: bytes, name: str, kind: str) -> ItemError:
    start = data[:64].lstrip().lower()
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        return ItemError(f"{kind}_not_supported", f"{name} is a HEIC photo", _SAVE_AS)
    if Path(name).suffix.lower() in UNREAD_PHOTO_SUFFIXES:
        return _of_unread_kind(name, kind)
    for magic, what in _STARTS_OF_OTHERS:
        if start.startswith(magic):
            return ItemError(f"{kind}_not_an_image", f"{name} is not an image but {what}", "Take it out of the inputs.")
    if data.startswith(_STARTS_OF_IMAGES) or data[4:12] == b"ftypavif":
        return ItemError(f"{kind}_truncated", f"{name} ends or breaks in its header", "Copy or download it again.")
    return ItemError(
        f"{kind}_not_an_image", f"{name} is in no image format known here", "Take it out, or save it as JPEG or PNG."
    )


def _too_large(name: str, kind: str, detail: str) -> ItemError:
    return ItemError(
        f"{kind}_too_large", f"{name} is too large: {detail}", "Scale it down; 2000 pixels high is plenty."
    )


def _drafted(image: Image.Image, max_pixels: int) -> tuple[str, ...]:
    """Have a JPEG with too many pixels decoded at a half, a quarter or an eighth of its size, which its format can."""
    width, height = image.size
    least = next((share for share in (1, 2, 4, 8) if width * height <= max_pixels * share**2), 8)
    if image.format == "JPEG" and least > 1:
        image.draft(None, (width // least, height // least))  # Pillow listens to the first call alone
    is_whole = image.size == (width, height)
    return () if is_whole else (f"{width} x {height} pixels, decoded at {image.width} x {image.height}",)


def _check_header(image: Image.Image, name: str, kind: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, kind, f"{width} x {height} pixels; the limit is {max_pixels / 1e6:g} megapixels")
    if width < 1 or height < 1:
        raise ItemError(f"{kind}_damaged", f"{name} says it has {width} x {height} pixels", "Save it again.")


def _load(image: Image.Image, name: str, kind: str) -> None:
    try:
        with _quiet_libtiff() if image.format == "TIFF" else nullcontext():
            image.load()
    except Image.DecompressionBombError as error:
        raise _too_large(name, kind, str(error)) from error
    except MemoryError as error:
        raise _too_large(name, kind, "no memory left to decode it") from error
    except Exception as error:  # see _open
        cause = " ".join(str(error).split()) or type(error).__name__
        if any(word in cause.lower() for word in ("truncated", "eof", "incomplete", "unexpected end", "not enough")):
            raise ItemError(f"{kind}_truncated", f"{name} is cut off: {cause}", "Copy or download it again.") from error
        raise ItemError(
            f"{kind}_damaged", f"{name} cannot be decoded: {cause}", "Save it again as PNG or JPEG."
        ) from error


@contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Silence libtiff, which writes to file descriptor 2 by itself; Pillow raises the same errors."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no stderr at all
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _stored(image: Image.Image) -> tuple[tuple[int, int], int]:
    """Size and orientation before Pillow's TIFF reader, alone among them all, turns the pixels by itself."""
    if image.format != "TIFF":
        return image.size, 1
    tags = image.tag_v2  # type: ignore[attr-defined]
    orientation = tags.get(_ORIENTATION_TAG, 1)
    return (
        int(tags.get(256, image.width)),
        int(tags.get(257, image.height)),
    ), orientation if orientation in _TURNS else 1


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF says nothing about the pixels
        return 1
    return value if value in _TURNS else 1


def _check_scans(data: bytes, image: Image.Image, name: str, kind: str) -> None:
    scans = jpeg_scans(data)
    if scans * image.width * image.height > PHOTO_SCANNED_PIXELS:
        cause = f"{scans} scans of {image.width} x {image.height} pixels"
        raise ItemError(f"{kind}_too_large", f"{name} would take minutes to decode: {cause}", "Save it again.")


def _frame_notes(image: Image.Image, data: bytes) -> tuple[str, ...]:
    if image.format == "MPO":  # a phone's photo with its own preview or depth map behind it
        return ()
    if image.format in ("GIF", "TIFF"):
        count = count_frames(data, PHOTO_FRAMES)
        return (f"first of {count}{' or more' if count == PHOTO_FRAMES else ''} frames",) if count > 1 else ()
    try:
        count = getattr(image, "n_frames", 1)
        image.seek(0)
    except Exception:  # later frames are broken; the first is read all the same
        return ("first of several frames",)
    return (f"first of {count} frames",) if count > 1 else ()


def _keep_info(turned: Image.Image, original: Image.Image) -> Image.Image:
    turned.info = dict(original.info)
    turned.format = original.format
    return turned
