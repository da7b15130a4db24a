"""A photo made ready for reconstruction: read, masked, and cut out around the person."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.core.listing import display_name
from mmgen.masks.finding import find_people
from mmgen.masks.network import PERSON_CHANCE, facing_said, signs_of
from mmgen.masks.structures import MaskResult, MaskSource, Signs
from mmgen.photos.crops import CropBox, apply_crop, person_crop
from mmgen.photos.images import Photo, read_image
from mmgen.photos.inputs import InputItem, with_person
from mmgen.work.records import Facing
from recon.predict import PersonCrop
from recon.texturing.fill import push_pull

FINEST_CROP = 4
"""Rows of a crop per row of the photo at most; more would only cost time and memory."""

TINY_CROP = 64
"""Rows of a photo's crop below which even the usual texture is too fine."""


@dataclass(frozen=True)
class Framing:
    """Which crops a method wants; all show the same box, with square pixels.

    Attributes:
        small_size: (height, width) of the photo that networks see and figures are measured on, pixels.
        outline_size: (height, width) of the silhouette that is fitted, a multiple of `small_size`; None for none.
        texture_size: (height, width) of the texture that the finest crop is for; None goes by the person's height.
        facing: where everybody faces; `auto` asks the person network, None nobody.
    """

    small_size: tuple[int, int]
    outline_size: tuple[int, int] | None
    texture_size: tuple[int, int] | None
    facing: Facing | Literal["auto"] | None = None

    @property
    def aspect(self) -> float:
        """Height over width."""
        return self.small_size[0] / self.small_size[1]


@dataclass(frozen=True)
class Prepared:
    """One photo, read and cut out around the person.

    Attributes:
        crop: uint8 [h, w, 3] to take colours from; without the background where that would mix in.
        mask: uint8 [h, w] of that crop.
        outline: uint8 [*outline_size], the silhouette to fit; None where none was wanted.
        small_image: uint8 [*small_size, 3].
        small_mask: uint8 [*small_size].
        box: what was cut out, in the photo's pixels.
        photo_size: (height, width).
        texture_size: (height, width) of the texture to make, texels.
        person: number, from the left, of how many people; (1, 1) for the only one.
        facing: where the person faces, if anybody said.
        signs: what the person network says of them; None where it was not asked.
    """

    item: InputItem
    crop: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    outline: NDArray[np.uint8] | None
    small_image: NDArray[np.uint8]
    small_mask: NDArray[np.uint8]
    box: CropBox
    photo_size: tuple[int, int]
    texture_size: tuple[int, int]
    input_sha256: str
    found: MaskResult
    notes: tuple[str, ...]
    person: tuple[int, int] = (1, 1)
    facing: Facing | None = None
    signs: Signs | None = None

    @property
    def name(self) -> str:
        """What the asset is called."""
        stem = self.item.path.stem
        return stem if self.person[1] == 1 else with_person(stem, self.person[0])

    def tensors(self) -> PersonCrop:
        """Both crops as networks and textures want them."""
        return PersonCrop(
            as_unit(self.small_image).permute(2, 0, 1),
            (as_unit(self.small_mask) > 0.5).float(),
            as_unit(self.crop).permute(2, 0, 1),
            as_unit(self.mask),
            self.facing,
            self.texture_size,
        )


def prepare_people(item: InputItem, masks: MaskSource, framing: Framing) -> tuple[Prepared, ...]:
    """Read the photo and its mask and cut out its people, from left to right.

    The boxes have the shape of the framing, whatever the shape of the photo: nothing is stretched, so a body that is
    drawn into the crops has its true proportions.

    Raises:
        ItemError: what is wrong with the photo or the mask.
    """
    photo = read_image(item.path)
    return prepare_photo(item, photo, find_people(photo, masks, item.relative), framing)


def prepare_photo(
    item: InputItem, photo: Photo, people: Sequence[MaskResult], framing: Framing
) -> tuple[Prepared, ...]:
    """`prepare_people` for a photo that was read, and its people's masks from left to right."""
    return tuple(
        cut_out(item, photo, found, framing, (number, len(people))) for number, found in enumerate(people, start=1)
    )


def cut_out(
    item: InputItem, photo: Photo, found: MaskResult, framing: Framing, person: tuple[int, int] = (1, 1)
) -> Prepared:
    """Cut one person out of a photo that was read, by a mask that was found.

    Raises:
        ItemError: `mask_empty`.
    """
    box = person_crop(found.mask, framing.aspect, name=f"the mask of {display_name(item.path)}")
    texture_size = framing.texture_size or texture_size_for(box.height)
    size = _crop_size(box, framing, texture_size[0])
    width, height = photo.size
    outline_size = framing.outline_size
    signs = (found.signs or signs_of(photo.rgb, found.mask)) if framing.facing == "auto" else None
    return Prepared(
        item=item,
        crop=apply_crop(_person_only(photo.rgb, found.mask, box, size), box, size),
        mask=apply_crop(found.mask, box, size, beyond="zero"),
        outline=None if outline_size is None else apply_crop(found.mask, box, outline_size, beyond="zero"),
        small_image=apply_crop(photo.rgb, box, framing.small_size),
        small_mask=apply_crop(found.mask, box, framing.small_size, beyond="zero"),
        box=box,
        photo_size=(height, width),
        texture_size=texture_size,
        input_sha256=photo.sha256,
        found=found,
        notes=photo.notes + found.notes + (() if signs is None else _remarks(signs)),
        person=person,
        facing=framing.facing if framing.facing != "auto" else facing_said(signs, box.height) if signs else None,
        signs=signs,
    )


def _remarks(signs: Signs) -> tuple[str, ...]:
    """What a user should know of a photo that shows nobody, or not all of somebody."""
    if signs.person < PERSON_CHANCE:
        return ("no person is seen in this photo; the given mask says that there is one",)
    return (
        () if signs.cut == "none" else (f"the photo cuts the person off at the {signs.cut}: what is below is a guess",)
    )


def as_unit(image: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 to 0..1 float32."""
    return torch.from_numpy(image).float() / 255


ROWS_PER_CROP_ROW = 1.2


def texture_size_for(crop_height: float) -> tuple[int, int]:
    """(height, width) of the texture of somebody whose crop is so high, pixels.

    Front and back lie below each other, so that two rows to a row of the photo would keep all it shows; they would
    also cost five times as much on a photo of 830 rows (0.9 s and 1.8 GB for 0.2 s and 0.8 GB).
    """
    if crop_height < TINY_CROP:
        return 256, 128
    rows = 512
    while rows < min(ROWS_PER_CROP_ROW * crop_height, 2048):
        rows *= 2
    return rows, rows // 2


def _crop_size(box: CropBox, framing: Framing, texture_rows: int) -> tuple[int, int]:
    """As fine as the texture, but not much finer than the photo."""
    least = (framing.outline_size or framing.small_size)[0]
    rows = max(least, min(texture_rows, FINEST_CROP * math.ceil(box.height)))
    rows += rows % 2
    return rows, round(rows / framing.aspect)


def _person_only(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], box: CropBox, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The photo with the person's colours continued into the background, where a crop of `size` enlarges it.

    Enlarging spreads every pixel over its neighbours, and with it the background over the edge of the person.
    """
    if box.height > size[0]:
        return rgb
    rows = slice(max(0, math.floor(box.top)), math.ceil(box.bottom))
    columns = slice(max(0, math.floor(box.left)), math.ceil(box.right))
    trust = (2 * as_unit(mask[rows, columns]) - 1).clamp(min=0)
    filled = push_pull(as_unit(rgb[rows, columns]).permute(2, 0, 1), trust).permute(1, 2, 0)
    person = rgb.copy()
    person[rows, columns] = (filled * 255).round().clamp(0, 255).byte().numpy()
    return person
