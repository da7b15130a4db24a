"""Small pictures of assets, made once and kept beside the run's state."""

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_glb
from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file, write_bytes_atomic
from mmgen.core.outputs import image_bytes
from mmgen.core.version import __version__
from mmgen.gallery.pictures import home_view, person_box, photo_jpeg
from mmgen.photos.images import read_image
from mmgen.previews import render_cutout
from mmgen.work.locks import STATE_FOLDER

Kind = Literal["photo", "same", "back", "fitted"]
KINDS: tuple[Kind, ...] = ("photo", "same", "back", "fitted")
CARD_SIZE = (320, 200)
"""Height and width of the turned views, pixels."""

LONGEST_SIDE = 1400
"""Of the photo that a fitted view is laid over, pixels."""


def still(meshes: Path, glb: Path | None, photo: Path | None, kind: Kind) -> bytes:
    """One picture; drawn at the first call for these files, read from disk afterwards.

    `photo`: the person cut out of the photo. `same`: the mesh from the photo's side. `back`: the mesh turned by 180
    degrees. `fitted`: the mesh alone, see-through around it, in the frame of the whole photo.

    Args:
        meshes: run folder; the pictures go to its state folder.
        glb: the mesh; None where there is none.
        photo: the input photo; None where it is gone.

    Raises:
        ItemError: a file cannot be read, or there is none for this picture.
    """
    source = glb if kind != "photo" else photo
    if source is None:
        raise ItemError("still_missing", f"there is nothing to draw for {kind}", "Reconstruct the photo first.")
    parts = [__version__, kind, *(sha256_file(path) for path in (glb, photo) if path is not None)]
    path = meshes / STATE_FOLDER / "stills" / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.webp"
    if path.is_file():
        return path.read_bytes()
    picture = _drawn(glb, photo, kind)
    data = image_bytes(picture, "WEBP", quality=86, method=2)
    write_bytes_atomic(path, data)
    return data


def _drawn(glb: Path | None, photo: Path | None, kind: Kind) -> Image.Image:
    asset = None if glb is None else read_glb(glb)
    if kind == "photo":
        assert photo is not None
        return Image.open(io.BytesIO(photo_jpeg(photo, None if asset is None else person_box(asset))))
    assert asset is not None
    if kind == "fitted":
        return _fitted(asset)
    view = home_view(asset, has_photo=photo is not None)
    azimuth_deg = view.azimuth_deg + (180 if kind == "back" else 0)
    return Image.fromarray(render_cutout(asset, azimuth_deg, CARD_SIZE, view.elevation_deg))


def _fitted(asset: Asset) -> Image.Image:
    """The mesh where its photo shows the person, under the camera that it was made with."""
    from mmgen.evaluation.mesh_predictions import answer_of
    from recon.evaluation.predictions import draw_prediction

    height, width = photo_size(asset)
    drawn = draw_prediction(answer_of(asset, (height, width)), (height, width))
    rgb = drawn.image.permute(1, 2, 0).clamp(0, 1).numpy()
    alpha = (drawn.mask > 0.5).numpy()[..., None]
    return Image.fromarray((np.concatenate((rgb, alpha), axis=2) * 255).round().astype(np.uint8), "RGBA")


def photo_size(asset: Asset) -> tuple[int, int]:
    """Height and width of an asset's photo, brought down to what a page shows.

    Raises:
        ItemError: `asset_camera_missing`.
    """
    size = asset.provenance.get("photo_size_px")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)):
        raise ItemError("asset_camera_missing", "its photo's size is not known", "Make it with `mmgen reconstruct`.")
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def page_photo(photo: Path) -> bytes:
    """The whole photo, upright, as large as a page shows it: JPEG.

    Raises:
        ItemError: it cannot be read.
    """
    image = Image.fromarray(read_image(photo).rgb)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image_bytes(image, "JPEG", quality=88)
