"""Small photos and masks on disk for the mask tests."""

from pathlib import Path, PurePath

import numpy as np
from bad_files import encoded, noise
from PIL import Image

from mmgen.masks.finding import find_mask
from mmgen.masks.structures import MaskResult, MaskSource
from mmgen.photos.images import read_image

AUTO = MaskSource("auto")


def person(height: int = 80, width: int = 40) -> np.ndarray:
    """An outline that differs from all its turned and mirrored forms: body, one arm, head off the middle."""
    mask = np.zeros((height, width), bool)
    mask[height // 5 : height - 6, width // 3 : width // 2 + 4] = True
    mask[height // 3 : height // 3 + 4, width // 2 : width - 5] = True
    mask[height // 10 : height // 5, width // 3 : width // 3 + 5] = True
    return mask


BODY = person()


def shades(mask: np.ndarray, high: int = 255) -> Image.Image:
    return Image.fromarray(np.where(mask, high, 0).astype(np.uint8))


def photo_file(folder: Path, name: str = "a.png", size: tuple[int, int] = (40, 80), **options: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(noise(*size), "JPEG" if path.suffix == ".jpg" else "PNG", **options))
    return path


def save(path: Path, image: Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def find(path: Path, source: MaskSource = AUTO, relative: PurePath | None = None) -> MaskResult:
    return find_mask(read_image(path), source, relative)


def with_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
