"""Pictures for the gallery as data URIs: the input photo and the still picture of the mesh."""

import base64
import io
from pathlib import Path

from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.errors import ItemError
from mmgen.images import read_image
from mmgen.previews import render_cutout

POSTER_SIZE = (528, 330)
"""Height and width, pixels."""

PHOTO_HEIGHT = 528


def poster_uri(asset: Asset) -> str:
    """The mesh from the front, see-through around it, as the page's viewer draws it first."""
    picture = Image.fromarray(render_cutout(asset, azimuth_deg=0.0, size=POSTER_SIZE))
    return _data_uri(picture, "WEBP", quality=88, method=2)


def photo_uri(path: Path | None) -> str | None:
    """A photo made small; None where there is none, or none that can be read (the run's record says why)."""
    if path is None:
        return None
    try:
        image = Image.fromarray(read_image(path).rgb)
    except ItemError:
        return None
    image.thumbnail((4 * PHOTO_HEIGHT, PHOTO_HEIGHT), Image.Resampling.LANCZOS)
    return _data_uri(image, "JPEG", quality=86)


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
