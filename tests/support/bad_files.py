"""A folder full of files that are no photos, each bad in its own way, with the error code that each must give."""

import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    """An image file as bytes."""
    stream = BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def noise(width: int = 40, height: int = 80) -> Image.Image:
    """Seeded noise: no codec makes it small, so that half of the file is half of the picture."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A well-formed PNG that claims a size and has hardly any data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _damaged_png() -> bytes:
    data = bytearray(encoded(noise(), "PNG"))
    data[data.index(b"IDAT") + 30] ^= 0xFF
    return bytes(data)


def _zip() -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("photo.txt", "nothing")
    return stream.getvalue()


def _float_tiff(low: float, high: float) -> bytes:
    values = np.linspace(low, high, 32 * 32, dtype=np.float32).reshape(32, 32)
    return encoded(Image.fromarray(values), "TIFF")


def _nan_tiff() -> bytes:
    values = np.zeros((32, 32), np.float32)
    values[3, 4] = np.nan
    return encoded(Image.fromarray(values), "TIFF")


def _half(format_name: str) -> bytes:
    data = encoded(noise(), format_name)
    return data[: len(data) // 2]


KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty.jpg": ("image_empty", lambda: b""),
    "cut.jpg": ("image_truncated", lambda: _half("JPEG")),
    "cut.png": ("image_truncated", lambda: _half("PNG")),
    "cut.webp": ("image_truncated", lambda: _half("WEBP")),
    "cut.gif": ("image_truncated", lambda: _half("GIF")),
    "cut.tif": ("image_truncated", lambda: _half("TIFF")),
    "header.jpg": ("image_truncated", lambda: encoded(noise(), "JPEG")[:20]),
    "damaged.png": ("image_damaged", _damaged_png),
    "text.jpg": ("image_not_an_image", lambda: b"this is no picture\n" * 20),
    "page.jpg": ("image_not_an_image", lambda: b"<!DOCTYPE html><html><body>404</body></html>"),
    "archive.png": ("image_not_an_image", _zip),
    "pickle.png": ("image_not_an_image", lambda: pickle.dumps({"a": list(range(99))})),
    "drawing.jpg": ("image_not_an_image", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n"),
    "pointer.jpg": ("image_not_an_image", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    "phone.jpg": ("image_not_supported", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)),
    "huge.png": ("image_too_large", lambda: png_header(12000, 9000)),
    "bomb.png": ("image_too_large", lambda: png_header(100_000, 100_000)),
    "tiny.png": ("image_too_small", lambda: encoded(noise(15, 40), "PNG")),
    "one.png": ("image_too_small", lambda: encoded(noise(1, 1), "PNG")),
    "narrow.png": ("image_too_narrow", lambda: encoded(noise(16, 400), "PNG")),
    "nan.tif": ("image_not_finite", _nan_tiff),
    "negative.tif": ("image_values", lambda: _float_tiff(-3, 3)),
    "astronomic.tif": ("image_values", lambda: _float_tiff(0, 1e9)),
}
"""File name to (error code, maker of its bytes)."""


def make_bad_files(folder: Path) -> dict[str, str]:
    """Fill `folder` (made if missing) with bad files.

    Returns:
        File name to the code of the ItemError that reading it must raise: `KINDS`, plus a broken link, a link to itself
        and a named pipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, make) in KINDS.items():
        (folder / name).write_bytes(make())
    (folder / "broken_link.jpg").symlink_to("nowhere.jpg")
    (folder / "own_link.jpg").symlink_to("own_link.jpg")
    os.mkfifo(folder / "pipe.jpg")
    codes = {name: code for name, (code, _) in KINDS.items()}
    return codes | {
        "broken_link.jpg": "image_missing",
        "own_link.jpg": "image_unreadable",
        "pipe.jpg": "image_not_a_file",
    }
