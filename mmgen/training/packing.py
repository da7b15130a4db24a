"""Photos resized once and packed into one file that every later run maps into memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import replacing
from mmgen.datasets.reading import DataSetPhoto
from mmgen.masks.values import mask_values
from mmgen.photos.decoding import decode_file
from mmgen.photos.images import read_image
from mmgen.training.manifest import Fit
from mmgen.work.locks import STATE_FOLDER

PACK_VERSION = 1
MASK_THRESHOLD = 127

Packed = NDArray[np.uint8]


def pack(
    photos: Sequence[DataSetPhoto],
    size: tuple[int, int],
    fit: Fit,
    folder: Path,
    advance: Callable[[], None] = lambda: None,
) -> Packed:
    """RGB and mask of every photo at one size, [N, H, W, 4] uint8, mapped from a file that is made where needed.

    Args:
        size: height and width, pixels.
        fit: "stretch" to the size, or "pad" with black and an empty mask to its shape first.
        folder: where the file is kept, below `.mmgen/`.

    Raises:
        FatalError: `photo_unusable` for a photo or mask that cannot be read; `pack_unwritable`.
    """
    path = folder / STATE_FOLDER / f"packed-{_key(photos, size, fit)}.npy"
    shape = (len(photos), *size, 4)
    if not path.is_file():
        _write(path, photos, shape, fit, advance)
    packed = np.load(path, mmap_mode="r", allow_pickle=False)
    if packed.shape != shape or packed.dtype != np.uint8:
        raise FatalError("pack_damaged", f"{path} is damaged", "Delete it; it is made again.")
    return packed


def foreground_fractions(packed: Packed) -> NDArray[np.float64]:
    """[N] share of every image that is person."""
    return np.array([(image[..., 3] > 0).mean() for image in packed])


def _key(photos: Sequence[DataSetPhoto], size: tuple[int, int], fit: Fit) -> str:
    digest = hashlib.sha256(repr((PACK_VERSION, size, fit)).encode())
    for photo in photos:
        for file in (photo.image, photo.given_mask):
            status = file.stat()
            digest.update(repr((photo.name, file.name, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()[:16]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temp file to write inside the block, renamed at its end: a killed run leaves nothing that looks whole.

    Raises:
        FatalError: `pack_unwritable`.
    """
    try:
        with replacing(path) as temp:
            yield temp
    except OSError as error:
        raise FatalError(
            "pack_unwritable",
            f"{path} cannot be written: {error.strerror or error}",
            "Free space, or make the data set folder writable.",
        ) from error


def _write(
    path: Path, photos: Sequence[DataSetPhoto], shape: tuple[int, ...], fit: Fit, advance: Callable[[], None]
) -> None:
    with whole_file(path) as temp:
        packed = np.lib.format.open_memmap(temp, mode="w+", dtype=np.uint8, shape=shape)
        for index, photo in enumerate(photos):
            packed[index] = _resized(photo, (shape[1], shape[2]), fit)
            advance()
        packed.flush()
        del packed


def _resized(photo: DataSetPhoto, size: tuple[int, int], fit: Fit) -> Packed:
    try:
        rgb = Image.fromarray(read_image(photo.image).rgb)
        name = f"mask of {photo.name}"
        mask = Image.fromarray(mask_values(decode_file(photo.given_mask, kind="mask").image, name))
        if mask.size != rgb.size:
            raise ItemError("mask_size", f"{name} has another size than its photo", "Make them the same size.")
    except ItemError as error:
        raise FatalError(
            "photo_unusable", f"{photo.name}: {error.message}", "Repair or remove it, or prepare the data set again."
        ) from error
    if fit == "pad":
        rgb, mask = _padded(rgb, size), _padded(mask, size)
    height, width = size
    small = rgb.resize((width, height), Image.Resampling.BICUBIC)
    outline = mask.resize((width, height), Image.Resampling.NEAREST)
    person = np.where(np.asarray(outline) > MASK_THRESHOLD, np.uint8(255), np.uint8(0))
    return np.dstack([np.asarray(small), person])


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image in the middle of a black one of the shape of `size`."""
    height, width = size
    scale = max(image.width / width, image.height / height)
    canvas = Image.new(image.mode, (max(image.width, round(width * scale)), max(image.height, round(height * scale))))
    canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
    return canvas
