"""One image of a published data set to its place in a data set folder: image, mask and index row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes, sha256_file, write_bytes_atomic
from mmgen.core.listing import MASK_FOLDER, display_name
from mmgen.core.version import __version__
from mmgen.datasets import atr, cub
from mmgen.datasets.index import IndexRow
from mmgen.datasets.journal import Done, result_key
from mmgen.datasets.structures import TRUTH_FOLDER, Profile, Skip, SourceImage
from mmgen.datasets.upscaling import enlarged
from mmgen.masks import lookup
from mmgen.masks.finding import find_mask
from mmgen.masks.maskers import masker_title
from mmgen.masks.structures import MaskSource
from mmgen.photos.crops import CropBox
from mmgen.photos.decoding import decode_file
from mmgen.photos.images import Photo, read_image

JPEG_QUALITY = 97
THRESHOLD = 128


@dataclass(frozen=True)
class Settings:
    """What all images have in common.

    Attributes:
        masks: where masks are looked for, for profiles with `found` outlines.
        upscale: 1, or the factor by which images and masks are enlarged (images become PNG).
        upscaler: weights of a network that enlarges images, and their SHA-256; None: Lanczos.
        in_place: the images are in `out` already.
    """

    out: Path
    profile: Profile
    masks: MaskSource = field(default_factory=MaskSource)
    upscale: int = 1
    upscaler: tuple[Path, str] | None = None
    in_place: bool = False

    @property
    def fingerprint(self) -> str:
        """All of it that decides results, as text."""
        sha256 = self.upscaler[1] if self.upscaler else None
        title = masker_title(self.masks)
        masker = () if title is None else (title,)
        return repr((self.profile, self.masks, self.upscale, sha256, self.in_place, __version__, *masker))


@dataclass(frozen=True)
class Outcome:
    """A finished image, or why there is none; `is_old` where an earlier run had done it."""

    done: Done | None = None
    skip: Skip | None = None
    is_old: bool = False


@dataclass(frozen=True)
class _Outline:
    mask: NDArray[np.uint8]
    fraction: float
    source: str
    path: Path | None = None
    quality: float | None = None


class Preparer:
    """Works through chunks of images, as the engine wants it; an image's error never touches its neighbours."""

    def __init__(self, settings: Settings, before: Mapping[str, Done]) -> None:
        self._settings = settings
        self._before = before

    def __call__(self, chunk: Sequence[SourceImage]) -> Iterator[tuple[int, Outcome]]:
        """Yield (position, outcome) per image; the files of a row are whole before it is yielded."""
        for position, image in enumerate(chunk):
            try:
                yield position, self._old(image) or prepare_image(image, self._settings)
            except ItemError as error:
                yield position, Outcome(skip=Skip.failed(display_name(image.relative), image.split, error))

    def _old(self, image: SourceImage) -> Outcome | None:
        done = self._before.get(image.relative)
        if done is None:
            return None
        try:
            key = _key(image, sha256_file(image.path), self._settings)
            is_done = done.key == key and done.is_intact(self._settings.out)
        except OSError:  # doing it again will say what is wrong
            return None
        return Outcome(done, is_old=True) if is_done else None


def prepare_image(image: SourceImage, settings: Settings) -> Outcome:
    """Read, outline, filter and write one image.

    Raises:
        ItemError: as from `read_image` and `find_mask`; `mask_size`, `mask_empty`, `name_not_utf8`.
        FatalError: `out_unwritable`.
    """
    _check_name(image)
    photo = read_image(image.path)
    outline = _OUTLINES[settings.profile.outline](image, photo, settings)
    if image.box is not None:
        photo, outline = _cropped(photo, outline, image)
    keep = settings.profile.keep.get(image.split)
    if keep is not None and not keep.holds(outline.fraction):
        message = (
            f"{image.relative}: {outline.fraction:.2f} of it is person, not within {keep.above:g} and {keep.below:g}"
        )
        hint = "Filtered by rule; see --min-foreground and --max-foreground."
        return Outcome(skip=Skip(image.relative, image.split, "filtered", "foreground", message, hint))
    row = IndexRow(
        path=image.relative,
        mask=None,
        identity=image.identity,
        camera=image.camera,
        split=image.split,
        foreground_fraction=round(outline.fraction, 6),
        width=photo.size[0],
        height=photo.size[1],
        sha256=photo.sha256,
        clean=settings.profile.clean.holds(outline.fraction),
        mask_source=outline.source,
        mask_quality=None if outline.quality is None else round(outline.quality, 4),
    )
    try:
        row = _stored(row, image, photo, outline, settings)
    except OSError as error:
        cause = f"{display_name(settings.out / image.relative)} cannot be written: {error.strerror or error}"
        raise FatalError("out_unwritable", cause, "Free space or check the rights, then run it again.") from error
    mask_sha256 = sha256_file(settings.out / str(row.mask))
    return Outcome(Done(image.relative, _key(image, photo.sha256, settings), mask_sha256, row))


def _key(image: SourceImage, image_sha256: str, settings: Settings) -> str:
    given = image.mask
    if given is None and settings.masks.folder is not None:
        given = lookup.in_tree(settings.masks.folder, PurePath(image.relative))
    elif given is None and settings.masks.kind == "auto":
        given = lookup.beside(image.path)
    own = settings.out / mask_name(_stored_name(image, settings))
    # A mask of ours in its place is a result, not an input; `Done.is_intact` notices when someone corrects it.
    mask_sha256 = None if given is None or given.absolute() == own.absolute() else sha256_file(given)
    return result_key(image_sha256, mask_sha256, settings.fingerprint)


def mask_name(relative: str) -> str:
    """Where the mask of an image goes, relative to the data set folder."""
    return f"{MASK_FOLDER}/{PurePosixPath(relative).with_suffix('.png')}"


def _check_name(image: SourceImage) -> None:
    try:
        image.relative.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ItemError(
            "name_not_utf8", f"{display_name(image.relative)} is no UTF-8 name; an index cannot hold it", "Rename it."
        ) from error


def _found_outline(image: SourceImage, photo: Photo, settings: Settings) -> _Outline:
    found = find_mask(photo, settings.masks, PurePath(image.relative))
    return _Outline(found.mask, found.area_fraction, found.source, found.path, found.quality)


def _label_outline(image: SourceImage, photo: Photo, settings: Settings) -> _Outline:
    mask = atr.outline(_own_mask(image, photo))
    return _Outline(mask, float((mask > 0).mean()), "labels", image.mask)


def _vote_outline(image: SourceImage, photo: Photo, settings: Settings) -> _Outline:
    """The fraction counts every pixel with a vote, as published; the mask needs more than `cub.MIN_VOTE`."""
    votes = _own_mask(image, photo)
    return _Outline(votes.astype(np.uint8), float((votes > 0).mean()), "labels", image.mask)


_OUTLINES = {"found": _found_outline, "labels": _label_outline, "votes": _vote_outline}


def _own_mask(image: SourceImage, photo: Photo) -> NDArray[np.integer]:
    """Values of the layout's own label map."""
    assert image.mask is not None
    name = f"mask {display_name(image.mask)}"
    decoded = decode_file(image.mask, kind="mask").image
    if decoded.mode not in ("P", "L", "1"):
        decoded = decoded.convert("L")
    if decoded.size != photo.size:
        wanted = f"{photo.size[0]} x {photo.size[1]}"
        raise ItemError(
            "mask_size", f"{name} has {decoded.width} x {decoded.height} pixels, its photo {wanted}", "Copy it again."
        )
    values = np.asarray(decoded).astype(np.int64)
    if not values.any():
        raise ItemError("mask_empty", f"{name} marks nothing", "Leave the image out.")
    return values


def _cropped(photo: Photo, outline: _Outline, image: SourceImage) -> tuple[Photo, _Outline]:
    assert image.box is not None
    rows, columns = _inside(image.box, photo.size)
    votes = outline.mask[rows, columns]
    if not (votes > cub.MIN_VOTE).any():
        raise ItemError("mask_empty", f"mask {display_name(image.relative)} marks nothing in its box", "Leave it out.")
    mask = np.where(votes > cub.MIN_VOTE, np.uint8(255), np.uint8(0))
    cut = replace(photo, rgb=np.ascontiguousarray(photo.rgb[rows, columns]))
    return cut, replace(outline, mask=mask, fraction=float((votes > 0).mean()))


def _inside(box: CropBox, size: tuple[int, int]) -> tuple[slice, slice]:
    top, bottom = (min(max(round(y), 0), size[1]) for y in (box.top, box.bottom))
    left, right = (min(max(round(x), 0), size[0]) for x in (box.left, box.right))
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def _stored(row: IndexRow, image: SourceImage, photo: Photo, outline: _Outline, settings: Settings) -> IndexRow:
    out = settings.out
    rgb, mask = photo.rgb, outline.mask
    if settings.upscale > 1:
        size = (photo.size[0] * settings.upscale, photo.size[1] * settings.upscale)
        rgb = enlarged(rgb, settings.upscale, settings.upscaler[0] if settings.upscaler else None)
        mask = np.array(Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR))
        row = replace(row, path=_stored_name(image, settings), width=size[0], height=size[1])
    if settings.upscale > 1 or image.box is not None:
        data = _encoded(rgb, row.path)
        row = replace(row, sha256=sha256_bytes(data))
        write_bytes_atomic(out / row.path, data)
    elif not settings.in_place:
        write_bytes_atomic(out / row.path, image.path.read_bytes())
    row = replace(row, mask=mask_name(row.path), truth=_copy_truth(image, settings))
    assert row.mask is not None
    target = out / row.mask
    if outline.path is None or outline.path.absolute() != target.absolute():
        write_bytes_atomic(target, _encoded(mask, row.mask))
    return row


def _copy_truth(image: SourceImage, settings: Settings) -> str | None:
    """Truth is about the image as it is: an enlarged or cropped one has none."""
    if image.truth is None or settings.upscale > 1 or image.box is not None:
        return None
    name = f"{TRUTH_FOLDER}/{PurePosixPath(image.relative).with_suffix('.npz')}"
    if not settings.in_place:
        write_bytes_atomic(settings.out / name, image.truth.read_bytes())
    return name


def _stored_name(image: SourceImage, settings: Settings) -> str:
    """Its own place; enlarged, `a.jpg` becomes `a.jpg.png`, as in Market-HQ."""
    is_png = image.relative.lower().endswith(".png")
    return image.relative if settings.upscale == 1 or is_png else f"{image.relative}.png"


def _encoded(pixels: NDArray[np.uint8], name: str) -> bytes:
    stream = BytesIO()
    if name.lower().endswith((".jpg", ".jpeg")):
        Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
