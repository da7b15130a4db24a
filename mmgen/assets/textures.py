"""Textures of assets: encode, decode with limits, resize without seams, sample."""

import io
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.core.outputs import image_bytes

TextureCodec = Literal["png", "jpeg", "webp"]
MIME_TYPES: dict[TextureCodec, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
SUFFIXES: dict[TextureCodec, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
CODEC_OPTIONS: dict[TextureCodec, dict[str, int]] = {
    "png": {"compress_level": 4},
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 90, "method": 4},
}
"""Of Pillow's writers. PNG at level 6 takes nearly twice as long and saves 2 %; 9 takes eight times as long for 4 %."""

MAX_TEXTURE_SIDE = 16384
MAX_TEXELS = 1 << 26


@dataclass(frozen=True)
class EncodedTexture:
    """An encoded texture."""

    codec: TextureCodec
    data: bytes


def encode_texture(texture: NDArray[np.uint8], codec: TextureCodec) -> bytes:
    """[H, W, 3] uint8 sRGB to PNG (exact), JPEG (quality 92, full colour resolution) or WebP (quality 90) bytes.

    The same bytes every time.
    """
    return image_bytes(np.ascontiguousarray(texture), codec.upper(), **CODEC_OPTIONS[codec])


def stored_texture(data: bytes) -> EncodedTexture:
    """Bytes that `decode_texture` reads, with their codec."""
    if data[:4] == b"\x89PNG":
        return EncodedTexture("png", data)
    return EncodedTexture("webp" if data[8:12] == b"WEBP" else "jpeg", data)


def decode_texture(data: bytes) -> NDArray[np.uint8]:
    """PNG, JPEG or WebP bytes to [H, W, 3] uint8.

    Raises:
        ItemError: `texture_unreadable` or `texture_too_large`; the size is checked before any pixel is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own, lower limit is checked below
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
                if max(image.size) > MAX_TEXTURE_SIDE or image.width * image.height > MAX_TEXELS:
                    raise _too_large(f"the texture has {image.width} x {image.height} texels")
                return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except Image.DecompressionBombError as error:
        raise _too_large(f"the texture is too large: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ItemError(
            "texture_unreadable", f"the texture is no readable PNG, JPEG or WebP: {error}", "Make the mesh again."
        ) from error


def _too_large(message: str) -> ItemError:
    hint = f"Make the mesh again with a texture of at most {MAX_TEXTURE_SIDE} texels a side, {MAX_TEXELS} in all."
    return ItemError("texture_too_large", message, hint)


def resize_texture(texture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize to powers of two whose longer side is `side`, the shape kept as nearly as they allow.

    Rows wrap around (v repeats) and columns do not, so no seam appears where the soles join.

    Args:
        texture: [H, W, 3] uint8.
        side: Texels of the longer side, a power of two.
    """
    height, width = texture.shape[:2]
    shorter = min(side, max(1, round_to_power_of_two(side * min(height, width) / max(height, width))))
    new_height, new_width = (side, shorter) if height >= width else (shorter, side)
    if (new_height, new_width) == (height, width):
        return texture
    wrapped = Image.fromarray(np.ascontiguousarray(np.tile(texture, (3, 1, 1))))
    resized = wrapped.resize((new_width, 3 * new_height), Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.uint8)[new_height : 2 * new_height]


def round_to_power_of_two(value: float) -> int:
    """The power of two that is nearest on a logarithmic scale, at least 1."""
    return 1 << max(0, round(float(np.log2(value))))


def sample_texture(texture: NDArray[np.uint8], uv: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Bilinear colours at texture coordinates.

    Args:
        texture: [H, W, 3] uint8.
        uv: [..., 2]; u right and clamped, v up and wrapped.

    Returns:
        [..., 3] in 0..255, sRGB.
    """
    height, width = texture.shape[:2]
    column = np.clip(uv[..., 0] * width - 0.5, 0, width - 1)
    row = (1 - uv[..., 1]) * height - 0.5
    left, top = np.floor(column).astype(np.int64), np.floor(row).astype(np.int64)
    right = np.minimum(left + 1, width - 1)
    along_u, along_v = (column - left)[..., None], (row - top)[..., None]
    upper = texture[top % height, left] * (1 - along_u) + texture[top % height, right] * along_u
    lower = texture[(top + 1) % height, left] * (1 - along_u) + texture[(top + 1) % height, right] * along_u
    return np.asarray(upper * (1 - along_v) + lower * along_v)
