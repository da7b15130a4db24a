"""Pictures for the gallery: the input photo made small, and the still picture of the mesh."""

import math
from pathlib import Path

from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.core.pictures import image_bytes
from mmgen.photos.images import read_image
from mmgen.previews import View, render_cutout

POSTER_SIZE = (528, 330)
"""Height and width, pixels."""

PHOTO_HEIGHT = 528
HIGHEST_DEG = 60.0
ROOM = 0.2
"""Beside, above and below a person, as shares of their crop."""
WORTH_CROPPING = 0.5
"""Photos of which a person takes a smaller part than this are shown in part."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in a photo, pixels."""


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
    """The part of the photo to show beside a mesh: its person with some room, where the photo is much larger than that.

    The file may say anything; what is no box counts as none.
    """
    crop, size = (asset.provenance.get(name) for name in ("crop_px", "photo_size_px"))
    try:
        left, top, width, height = (float(crop[name]) for name in ("left", "top", "width", "height"))  # type: ignore[index]
        photo_height, photo_width = (int(side) for side in size)  # type: ignore[union-attr]
        room_x, room_y = ROOM * width, ROOM * height
        box = (
            max(math.floor(left - room_x), 0),
            max(math.floor(top - room_y), 0),
            min(math.ceil(left + width + room_x), photo_width),
            min(math.ceil(top + height + room_y), photo_height),
        )
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    area = (box[2] - box[0]) * (box[3] - box[1])
    is_part = box[2] > box[0] and box[3] > box[1] and area < WORTH_CROPPING * photo_width * photo_height
    return box if is_part else None


def photo_jpeg(path: Path, box: Box | None = None) -> bytes:
    """A photo, or a part of it, made small.

    Raises:
        ItemError: it cannot be read.
    """
    image = Image.fromarray(read_image(path).rgb)
    if box is not None and box[0] < image.width and box[1] < image.height:
        image = image.crop((*box[:2], min(box[2], image.width), min(box[3], image.height)))
    image.thumbnail((4 * PHOTO_HEIGHT, PHOTO_HEIGHT), Image.Resampling.LANCZOS)
    return image_bytes(image, "JPEG", quality=86)
