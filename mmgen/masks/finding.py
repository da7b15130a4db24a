"""One photo in, its mask out: alpha channel, file, or a guess by the mask network, by GrabCut or by a masker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

import mmgen.masks.grabcut as grabcut
import mmgen.masks.lookup as lookup
import mmgen.masks.maskers as maskers
import mmgen.masks.network as network
from mmgen.core.errors import ItemError
from mmgen.core.listing import display_name
from mmgen.masks.cleaning import CleanMask, clean_mask, clean_people
from mmgen.masks.structures import LOW_CONFIDENCE_QUALITY, MaskResult, MaskSource, Signs
from mmgen.masks.values import fit_to_photo, mask_values
from mmgen.photos.decoding import decode_file
from mmgen.photos.images import Photo

_CURES = "Give masks with --masks DIR, photos with an alpha channel, or let them be guessed with --masks auto."


@dataclass(frozen=True)
class _Raw:
    values: NDArray[np.uint8]
    source: str
    name: str
    path: Path | None = None
    sha256: str | None = None
    quality: float | None = None
    masker: str | None = None
    notes: tuple[str, ...] = ()
    signs: Signs | None = None


def find_mask(photo: Photo, source: MaskSource, relative: PurePath | None = None) -> MaskResult:
    """Find, read, check and clean the mask of a photo's main person.

    Args:
        photo: as read by `read_image`.
        relative: the photo's place below its input root, for mirrored trees; its bare name by default.

    Raises:
        ItemError: `mask_missing` with what was looked for, `mask_none`, `mask_size`, `mask_orientation`, `mask_empty`,
            `mask_full`, `mask_inverted`, `mask_too_small`, `mask_unusable` (a bad guess), `grabcut_missing`,
            `masker_missing`, `masker_broken`, or `mask_...` for a file that cannot be read.
        FatalError: `mask_network_unusable`.
    """
    found = _look(photo, source, relative or PurePath(photo.path.name))
    return max((_result(raw, clean_mask(raw.values, raw.name)) for raw in found), key=lambda one: one.area_fraction)


def find_people(photo: Photo, source: MaskSource, relative: PurePath | None = None) -> tuple[MaskResult, ...]:
    """The masks of all people in a photo who are whole, upright and of a size, from left to right; at least one.

    Args:
        photo, source, relative: as for `find_mask`.

    Raises:
        ItemError, FatalError: as from `find_mask`, about the main person.
    """
    found = _look(photo, source, relative or PurePath(photo.path.name))
    if len(found) > 1:
        return tuple(_result(raw, clean_mask(raw.values, raw.name)) for raw in found)
    return tuple(_result(raw, clean) for raw in found for clean in clean_people(raw.values, raw.name))


def people_of_mask(photo: Photo, mask: Path | NDArray[np.uint8]) -> tuple[MaskResult, ...]:
    """`find_people` in a mask that is at hand: its file, or its values uint8 [H, W] at the photo's size.

    Raises:
        ItemError: as from `find_mask`.
    """
    if isinstance(mask, Path):
        raw = _from_file(mask, photo, "file")
    else:
        raw = _Raw(mask, "given", f"the mask of {display_name(photo.path)}")
    return tuple(_result(raw, clean) for clean in clean_people(raw.values, raw.name))


def _result(raw: _Raw, clean: CleanMask) -> MaskResult:
    return MaskResult(
        mask=clean.mask,
        source=raw.source,
        path=raw.path,
        sha256=raw.sha256 or hashlib.sha256(raw.values.tobytes()).hexdigest(),
        area_fraction=clean.area_fraction,
        parts=clean.parts,
        quality=raw.quality,
        masker=raw.masker,
        notes=raw.notes + clean.notes,
        signs=raw.signs,
    )


def _look(photo: Photo, source: MaskSource, relative: PurePath) -> list[_Raw]:
    """What the source says: one mask of everybody, or one for each person."""
    if source.kind == "network":
        return _from_network(photo)
    return _automatic(photo) if source.kind == "auto" else [_from_one(photo, source, relative)]


def _from_one(photo: Photo, source: MaskSource, relative: PurePath) -> _Raw:
    if source.kind == "alpha":
        return _from_alpha(photo)
    if source.kind == "folder":
        assert source.folder is not None
        return _from_folder(photo, source.folder, relative)
    if source.kind == "grabcut":
        return _from_grabcut(photo)
    if source.kind in ("masker", "onnx"):
        return _from_masker(photo, source)
    raise ItemError(
        "mask_none", f"image {display_name(photo.path)} has no outline of its person with --masks none", _CURES
    )


def _automatic(photo: Photo) -> list[_Raw]:
    if photo.alpha is not None:
        return [_from_alpha(photo)]
    path = lookup.beside(photo.path)
    return [_from_file(path, photo, "sibling")] if path is not None else _from_network(photo)


def _from_alpha(photo: Photo) -> _Raw:
    name = f"the alpha channel of {display_name(photo.path)}"
    if photo.alpha is None:
        raise ItemError("mask_missing", f"image {display_name(photo.path)} has no alpha channel", _CURES)
    return _Raw(photo.alpha, "alpha", name)


def _from_folder(photo: Photo, folder: Path, relative: PurePath) -> _Raw:
    path = lookup.in_tree(folder, relative)
    if path is None:
        wanted = display_name((folder / relative).with_suffix(".png"))
        raise ItemError(
            "mask_missing",
            f"image {display_name(photo.path)} has no mask {wanted}",
            "The folder mirrors the photos' tree; names differ only in their suffix.",
        )
    if path.resolve() == photo.path.resolve():
        raise ItemError(
            "mask_is_photo",
            f"the mask of {display_name(photo.path)} would be that photo: --masks names the photos' own folder",
            "Name the masks' folder, or leave --masks out: masks beside their photos are found without it.",
        )
    return _from_file(path, photo, "folder")


def read_mask(path: Path, photo: Photo) -> NDArray[np.uint8]:
    """uint8 [H, W] at the photo's size, as drawn: neither cleaned nor thresholded.

    Raises:
        ItemError: as from `decode_file` and `mask_values`; `mask_size`, `mask_orientation`.
    """
    return _from_file(path, photo, "file").values


def _from_file(path: Path, photo: Photo, source: str) -> _Raw:
    name = f"mask {display_name(path)}"
    decoded = decode_file(path, kind="mask")
    values = mask_values(decoded.image, name)
    values, notes = fit_to_photo(values, photo, name, is_upright=decoded.orientation != 1)
    return _Raw(values, source, name, path, decoded.sha256, notes=decoded.notes + notes)


def _from_network(photo: Photo) -> list[_Raw]:
    name = f"the guessed mask of {display_name(photo.path)}"
    found = []
    for guess in network.guess_people(photo.rgb, name):
        note = _guess_note("the mask network", guess.quality)
        found.append(_Raw(guess.mask, "network", name, quality=guess.quality, notes=(note,), signs=guess.signs))
    return found


def _from_grabcut(photo: Photo) -> _Raw:
    name = f"the GrabCut mask of {display_name(photo.path)}"
    guess = grabcut.guess_mask(photo.rgb, name)
    note = f"mask guessed by GrabCut, quality {guess.quality:.2f}"
    return _Raw(guess.mask, "grabcut", name, quality=guess.quality, notes=(note,))


def _from_masker(photo: Photo, source: MaskSource) -> _Raw:
    masker = maskers.load_masker(source)
    name = f"the {masker.source} mask of {display_name(photo.path)}"
    guess = maskers.guess_mask(masker, photo.rgb, name)
    note = _guess_note(masker.source, guess.quality)
    return _Raw(guess.mask, masker.source, name, quality=guess.quality, masker=masker.title, notes=(note,))


def _guess_note(who: str, quality: float) -> str:
    note = f"mask guessed by {who}, quality {quality:.2f}"
    return f"{note}: look at it, or give a better one" if quality < LOW_CONFIDENCE_QUALITY else note
