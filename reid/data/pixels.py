"""Decoded photos of one size: read where they lie, kept in memory as long as there is room."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reid.data.photos import Photo
from reid.errors import ReidError

FORMATS = ("JPEG", "PNG")
JPEG_END, PNG_END, TAIL_BYTES = b"\xff\xd9", b"IEND", 4096
LARGEST_PIXELS = 64 << 20
LARGEST_BYTES = 64 << 20
"""Of an encoded image: a damaged index must not make us read a disk."""

DRAFT_FACTOR = 4
"""A JPEG that is more than so many times larger than needed is decoded at a fraction of its size."""

DEFAULT_MEMORY_BYTES = 2 << 30


def read_bytes(photo: Photo) -> bytes:
    """The encoded image.

    Raises:
        ReidError: `photo_unreadable`.
    """
    try:
        if not os.path.isfile(photo.path):
            raise OSError("it is no file")
        with open(photo.path, "rb") as file:
            file.seek(photo.offset)
            data = file.read(LARGEST_BYTES + 1 if photo.size is None else photo.size)
    except OSError as error:
        raise _unreadable(photo, error.strerror or str(error)) from error
    if photo.size is not None and len(data) != photo.size:
        raise _unreadable(photo, "the file ends before the image does")
    if len(data) > LARGEST_BYTES:
        raise _unreadable(photo, f"it has more than {LARGEST_BYTES >> 20} MB")
    return data


def decode(photo: Photo, size: tuple[int, int] | None = None) -> Image.Image:
    """The image in RGB.

    Args:
        size: height and width that are needed, pixels; a far larger JPEG may come smaller. None: as it is.

    Raises:
        ReidError: `photo_unreadable`.
    """
    try:
        with Image.open(io.BytesIO(read_bytes(photo)), formats=FORMATS) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise _unreadable(photo, f"{image.width} x {image.height} pixels are too many")
            if size is not None:
                image.draft("RGB", (DRAFT_FACTOR * size[1], DRAFT_FACTOR * size[0]))
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
                return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(photo, f"{type(error).__name__}: {error}") from error


def fault(photo: Photo) -> str | None:
    """Why a photo cannot be trained on, by its header and its last bytes alone; None where nothing is wrong."""
    try:
        data = read_bytes(photo)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > LARGEST_PIXELS:
                return f"{image.width} x {image.height} pixels are too many"
            end = JPEG_END if image.format == "JPEG" else PNG_END
        return None if end in data[-TAIL_BYTES:] else "it is cut off"
    except ReidError as error:
        return error.message.partition(" cannot be read: ")[2]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"{type(error).__name__}: {error}"


def _unreadable(photo: Photo, reason: str) -> ReidError:
    return ReidError("photo_unreadable", f"{photo.name} cannot be read: {reason}", "Repair or remove it.")


class PixelStore:
    """Photos as uint8 tensors of one size, decoded by threads.

    Args:
        photos: in the order that rows mean.
        size: height and width, pixels; photos of another size are stretched (bicubic).
        memory_bytes: decoded photos are kept if all of them fit, otherwise decoded anew every time.
        threads: that decode; from the CPU count when None.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        size: tuple[int, int],
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        threads: int | None = None,
    ) -> None:
        self._photos = photos
        self._size = size
        fits = len(photos) * size[0] * size[1] * 3 <= memory_bytes
        self._kept: NDArray[np.uint8] | None = np.empty((len(photos), *size, 3), np.uint8) if fits else None
        self._is_kept = np.zeros(len(photos), bool)
        self._pool = ThreadPoolExecutor(threads or min(16, os.cpu_count() or 1), "decode")

    def __len__(self) -> int:
        return len(self._photos)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """[N, 3, H, W] uint8.

        Raises:
            ReidError: `photo_unreadable`.
        """
        numbers = [int(row) for row in rows]
        pixels = np.stack(list(self._pool.map(self._pixels, numbers)))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        if self._kept is not None and self._is_kept[row]:
            return self._kept[row]
        height, width = self._size
        image = decode(self._photos[row], self._size)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(image)
        if self._kept is not None:
            self._kept[row] = pixels
            self._is_kept[row] = True
        return pixels

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
