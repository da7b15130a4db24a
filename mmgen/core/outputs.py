"""Finished files of batch runs: pictures encoded, and which failures end the run and which cost one item."""

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.listing import display_name

_STORAGE_ENDS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def write_output(path: Path, data: bytes) -> None:
    """Write a finished file.

    Raises:
        FatalError: `out_unwritable` where the folder takes no more files.
        ItemError: `output_unwritable` where this one is at fault.
    """
    try:
        write_bytes_atomic(path, data)
    except OSError as error:
        cause = f"{display_name(path)} cannot be written: {error.strerror or error}"
        if error.errno in _STORAGE_ENDS:
            hint = "Free space or check the rights there, then run the same command again; finished files are kept."
            raise FatalError("out_unwritable", cause, hint) from error
        raise ItemError("output_unwritable", cause, "Rename the input, or choose another --out.") from error


def image_bytes(picture: NDArray[np.uint8] | NDArray[np.bool_] | Image.Image, kind: str, **options: Any) -> bytes:
    """Encode [H, W] or [H, W, C] uint8 pixels, or a Pillow image; the same bytes every time.

    Args:
        picture: what to encode.
        kind: Pillow's name of the format: `PNG`, `JPEG` or `WEBP`.
        options: options of Pillow's writer, such as `quality`.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
