"""Pictures as bytes of a file format."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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
