"""The photos of one part of a data set folder, and one of them read: photo, mask and truth in the frame of scoring."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import MASK_FOLDER, display_name
from mmgen.datasets.reading import TRAIN, DataSetPhoto, read_data_set
from mmgen.datasets.truth_file import read_truth
from mmgen.masks import lookup
from mmgen.masks.finding import people_of_mask, read_mask
from mmgen.photos.images import Photo, read_image
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.prepare import Framing, cut_out
from mmgen.training.manifest import DataSection
from mmgen.training.photos import find_photos, hold_out
from recon.evaluation.truth import Truth
from recon.predict import PersonCrop

ALIASES = {"validation": ("val",), "test": ("test", "query", "gallery")}
LONGEST_SIDE = 256
SHORTEST_SIDE = 16
THRESHOLD = 128


@dataclass(frozen=True)
class Loaded:
    """One photo, ready to be scored.

    Attributes:
        item: where it comes from.
        image: [3, H, W], 0..1.
        mask: [H, W], 0 or 1.
        truth: what is known about it, in the frame of image and mask.
        photo_size: (height, width) of the file.
        crop: the person as networks want it, where they are what is scored.
    """

    item: DataSetPhoto
    image: Tensor
    mask: Tensor
    truth: Truth | None
    photo_size: tuple[int, int]
    crop: PersonCrop | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of scoring."""
        return self.mask.shape[0], self.mask.shape[1]


def list_items(data: Path, split: str | None) -> tuple[list[DataSetPhoto], str]:
    """Find the photos of one part, sorted by name.

    Args:
        data: a data set folder: with an index, in Market-1501 layout, with folders named after parts, or plain.
        split: a part; "test" includes query and gallery, "all" is everything; "validation" is
            "val", or what training holds out by default. None: "test", or
            everything where there is only one part.

    Returns:
        The photos, and the name of the part.

    Raises:
        FatalError: `split_missing`, or as from `read_data_set`.
    """
    items = list(read_data_set(data).photos)
    parts = sorted({item.split for item in items if item.split is not None})
    if split is None:
        split = "all" if len(parts) < 2 and "test" not in parts else "test"
    if split == "all":
        return items, split
    wanted = ALIASES.get(split, (split,))
    chosen = [item for item in items if item.split in wanted]
    if not chosen and "val" in (split, *wanted):
        chosen = _held_out(data, items)
    if not chosen:
        raise FatalError(
            "split_missing",
            f"{display_name(data)} has no part {split!r}; it has: {', '.join(parts) or 'no parts'}",
            "Choose one with --split, or --split all.",
        )
    return chosen, split


def _held_out(data: Path, items: Sequence[DataSetPhoto]) -> list[DataSetPhoto]:
    """What training holds out of its photos where the data set has no validation part of its own."""
    if not any(item.split == TRAIN for item in items):
        return []
    held = {photo.name for photo in hold_out(find_photos(data)[0], DataSection.validation_share).validation}
    return [item for item in items if item.name in held]


def load(item: DataSetPhoto, size: tuple[int, int] | None = None) -> Loaded:
    """Read photo, mask and truth; the whole photo is scored.

    Args:
        size: (height, width) of scoring; None is the photo's own, down to 256 pixels along its longest side.

    Raises:
        ItemError: as from `read_image` and `read_truth`; `mask_missing`, `mask_empty`, `mask_size` and others.
    """
    photo = read_image(item.image)
    given = _mask_of(item, photo)
    values = read_mask(given, photo) if isinstance(given, Path) else given
    mask = np.where(values >= THRESHOLD, np.uint8(255), np.uint8(0))
    if not mask.any():
        raise ItemError("mask_empty", f"the mask of {display_name(item.image)} marks nobody", "Leave the photo out.")
    width, height = photo.size
    truth = _truth(item, (height, width), (0.0, 0.0, float(width), float(height)))
    image, resized = _resampled(photo.rgb, mask, size or own_size(height, width))
    return Loaded(item, image, resized, truth, (height, width))


def load_person(item: DataSetPhoto, framing: Framing) -> Loaded:
    """Read photo, mask and truth and cut the person out as `mmgen reconstruct` does; the crop is scored.

    Of several people that the mask tells apart the largest counts.

    Raises:
        ItemError: as from `load`, and as reconstructing the photo with this mask would.
    """
    photo = read_image(item.image)
    found = max(people_of_mask(photo, _mask_of(item, photo)), key=lambda one: one.area_fraction)
    source = InputItem(item.image, item.image.parent, PurePath(item.name), f"{item.name}.glb")
    prepared = cut_out(source, photo, found, framing)
    box, crop = prepared.box, prepared.tensors()
    truth = _truth(item, prepared.photo_size, (box.left, box.top, box.width, box.height))
    return Loaded(item, crop.image, crop.mask, truth, prepared.photo_size, crop)


def _truth(item: DataSetPhoto, photo_size: tuple[int, int], box: tuple[float, float, float, float]) -> Truth | None:
    return None if item.truth is None else read_truth(item.truth, photo_size, box)


def own_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) at which a photo of this size is scored where nothing else decides."""
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(SHORTEST_SIDE, round(height * scale)), max(SHORTEST_SIDE, round(width * scale))


def _mask_of(item: DataSetPhoto, photo: Photo) -> Path | NDArray[np.uint8]:
    """The file, or the alpha channel; nothing is guessed."""
    path = item.mask or lookup.beside(item.image)
    if path is not None:
        return path
    if photo.alpha is not None:
        return photo.alpha
    wanted = f"{MASK_FOLDER}/{PurePosixPath(item.name).with_suffix('.png')}"
    raise ItemError(
        "mask_missing",
        f"image {display_name(item.image)} has no mask; looked for {display_name(wanted)} in the data set folder",
        "Scores need given masks; `mmgen prepare` finds or makes them.",
    )


def _resampled(rgb: NDArray[np.uint8], mask: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bicubic colours, nearest mask; pixels of the right size are not touched."""
    pictures: Sequence[Image.Image] = (Image.fromarray(rgb), Image.fromarray(mask))
    if mask.shape != size:
        kernels = (Image.Resampling.BICUBIC, Image.Resampling.NEAREST)
        pictures = [one.resize((size[1], size[0]), kernel) for one, kernel in zip(pictures, kernels, strict=True)]
    image, outline = (torch.from_numpy(np.array(picture)) for picture in pictures)
    return image.permute(2, 0, 1).float() / 255, (outline >= THRESHOLD).float()


def mirrored(root: Path, name: str) -> Path | None:
    """The file of an image below a folder that mirrors the data set, or a part of it; image suffixes may differ."""
    parts = PurePosixPath(name).parts
    for start in range(len(parts)):
        found = lookup.in_tree(root, Path(*parts[start:]))
        if found is not None:
            return found
    return None
