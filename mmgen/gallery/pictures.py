"""Pictures for the gallery: the input photo made small, and the still picture of the mesh."""

import io
import math
from pathlib import Path

from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.images import read_image
from mmgen.previews import View, render_cutout

POSTER_SIZE = (528, 330)
"""Height and width, pixels."""

PHOTO_HEIGHT = 528
HIGHEST_DEG = 60.0


def home_view(asset: Asset, has_photo: bool) -> View:
    """How a card shows its mesh: as the photo beside it does where the file knows that, else from the front.

    The file may say anything; what is no camera counts as none.
    """
    camera = asset.provenance.get("camera")
    if not has_photo or not isinstance(camera, dict):
        return View()
    azimuth_deg, elevation_deg = (_angle(camera.get(name)) for name in ("azimuth_deg", "elevation_deg"))
    if azimuth_deg is None or elevation_deg is None:
        return View()
    turned_deg = (azimuth_deg + 180) % 360 - 180
    return View(round(turned_deg, 1), round(max(-HIGHEST_DEG, min(HIGHEST_DEG, elevation_deg)), 1))


def _angle(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def poster_webp(asset: Asset, view: View) -> bytes:
    """The mesh, see-through around it, as the page's viewer draws it first."""
    picture = Image.fromarray(render_cutout(asset, view.azimuth_deg, POSTER_SIZE, view.elevation_deg))
    return _encoded(picture, "WEBP", quality=88, method=2)


def photo_jpeg(path: Path) -> bytes:
    """A photo made small.

    Raises:
        ItemError: it cannot be read.
    """
    image = Image.fromarray(read_image(path).rgb)
    image.thumbnail((4 * PHOTO_HEIGHT, PHOTO_HEIGHT), Image.Resampling.LANCZOS)
    return _encoded(image, "JPEG", quality=86)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
