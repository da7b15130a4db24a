"""Pictures for the gallery: the input photo made small, and the still picture of the mesh."""

import math
from pathlib import Path

from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.core.outputs import image_bytes
from mmgen.photos.images import read_image
from mmgen.previews import View, render_cutout
from mmgen.previews.views import FLOOR

POSTER_SIZE = (528, 264)
"""Height and width, pixels; the shape of a person's crop."""

HIGHEST_DEG = 60.0
SHOWN_OF_CROP = 0.95
"""Of a person's crop, each way: so the person is as large in the photo as the mesh in its picture."""

BEYOND = FLOOR
"""Colour of what a crop reaches beyond its photo."""

LARGEST_BOX = 4
"""Times the photo, each way, that a box may have."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in a photo, pixels; it may reach beyond."""


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
    """Still picture of the mesh with a transparent background, from the viewer's first camera."""
    picture = Image.fromarray(render_cutout(asset, view.azimuth_deg, POSTER_SIZE, view.elevation_deg))
    return image_bytes(picture, "WEBP", quality=88, method=2)


def person_box(asset: Asset) -> Box | None:
    """The part of the photo to show beside a mesh: its person, as large as the mesh is drawn.

    The file may say anything; what is no box counts as none.
    """
    crop, size = (asset.provenance.get(name) for name in ("crop_px", "photo_size_px"))
    try:
        left, top, width, height = (float(crop[name]) for name in ("left", "top", "width", "height"))  # type: ignore[index]
        photo_height, photo_width = (int(side) for side in size)  # type: ignore[union-attr]
        rim_x, rim_y = ((1 - SHOWN_OF_CROP) / 2 * side for side in (width, height))
        box = (
            math.floor(left + rim_x),
            math.floor(top + rim_y),
            math.ceil(left + width - rim_x),
            math.ceil(top + height - rim_y),
        )
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    shows_some = 0 <= box[2] and box[0] < photo_width and 0 <= box[3] and box[1] < photo_height
    is_sane = 0 < box[2] - box[0] <= LARGEST_BOX * photo_width and 0 < box[3] - box[1] <= LARGEST_BOX * photo_height
    return box if shows_some and is_sane else None


def photo_jpeg(path: Path, box: Box | None = None) -> bytes:
    """A photo, or a part of it, made small.

    Raises:
        ItemError: it cannot be read.
    """
    image = Image.fromarray(read_image(path).rgb)
    if box is not None and box[0] < image.width and box[1] < image.height:
        window = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), BEYOND)
        window.paste(image, (-box[0], -box[1]))
        image = window
    image.thumbnail((4 * POSTER_SIZE[0], POSTER_SIZE[0]), Image.Resampling.LANCZOS)
    return image_bytes(image, "JPEG", quality=86)
