"""How many pictures an image file holds, and how much work it asks for: read from its blocks, nothing is decoded.

Pillow counts by going through all of them, which takes minutes for files that are made for it.
"""

import struct
from collections.abc import Iterator
from itertools import islice

GIF_IMAGE, GIF_EXTENSION = 0x2C, 0x21


def count_frames(data: bytes, most: int) -> int:
    """Images of a GIF or directories of a TIFF, at most `most`; 1 for other formats and where the first is broken."""
    frames: Iterator[int] = iter(())
    if data[:4] == b"GIF8":
        frames = _gif_images(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        frames = _tiff_directories(data)
    try:
        return max(1, sum(1 for _ in islice(frames, most)))
    except (IndexError, struct.error):
        return 1


def jpeg_scans(data: bytes) -> int:
    """Passes over the picture of a JPEG: a few, also in progressive ones; 0 for other formats."""
    return data.count(b"\xff\xda") if data[:2] == b"\xff\xd8" else 0


def _gif_images(data: bytes) -> Iterator[int]:
    """Where each image begins. GIF89a, sections 15 to 26."""
    at = 13 + _gif_table_bytes(data[10])
    while at < len(data):
        if data[at] == GIF_IMAGE:
            yield at
            at += 11 + _gif_table_bytes(data[at + 9])
        elif data[at] == GIF_EXTENSION:
            at += 2
        else:
            return
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1


def _gif_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff_directories(data: bytes) -> Iterator[int]:
    """Where each directory begins. TIFF 6.0, section 2, and BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = b"+" in data[2:4]
    offset, count, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    while at:
        (entries,) = struct.unpack_from(order + count, data, at)
        yield at
        (at,) = struct.unpack_from(order + offset, data, at + struct.calcsize(count) + entries * entry)
