"""The one reader of data set folders: indexed by `mmgen prepare`, in a published re-id layout, or any photos."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import MASK_FOLDER, display_name, list_images
from mmgen.core.reid_problems import reid_problems
from mmgen.datasets.index import INDEX_NAME, read_index
from mmgen.datasets.structures import truth_of
from mmgen.masks import lookup
from reid.data.layouts import JUNK, find_layout, refuse_leak

TRAIN, VALIDATION = "train", "val"
PARTS = {
    "bounding_box_train": TRAIN,
    "bounding_box_test": "gallery",
    "train_all": TRAIN,
    **{name: name for name in (TRAIN, VALIDATION, "test", "query", "gallery")},
    "validation": VALIDATION,
}
"""Folders whose name says which part of a data set they hold."""


@dataclass(frozen=True)
class DataSetPhoto:
    """One photo of a data set, not read yet.

    Attributes:
        name: path relative to the data set folder, with forward slashes.
        mask: file, or None: beside the photo or in its alpha channel, if anywhere.
        split: `train`, `val`, `test`, `query` or `gallery`; None where the data set has no parts.
        identity: label, or None where unknown.
        camera: number from 1, or None where unknown.
        clean: whether the prototype may follow it; None where the data set does not say.
    """

    name: str
    image: Path
    mask: Path | None = None
    truth: Path | None = None
    split: str | None = None
    identity: str | None = None
    camera: int | None = None
    clean: bool | None = None

    @property
    def given_mask(self) -> Path:
        """The mask file of a photo that is known to have one."""
        assert self.mask is not None, f"{self.name} has no mask file"
        return self.mask


@dataclass(frozen=True)
class DataSet:
    """A data set's photos, sorted by name; junk is left out.

    Attributes:
        root: the data set folder itself, which may lie one level below what the user named.
    """

    root: Path
    photos: tuple[DataSetPhoto, ...]


def read_data_set(folder: Path, pattern: str = "", tested: Collection[str] = ("query", "gallery")) -> DataSet:
    """List a data set; nobody may be in the training set and in the splits to search in.

    Args:
        folder: the data set, or for published layouts the folder that holds it.
        pattern: regular expression for file names, see `reid.data.layouts.find_layout`; the index is passed over then.
        tested: splits that share nobody with the training set; `test` may share classes, as of birds.

    Raises:
        FatalError: `data_missing`, `identity_leak`, `no_images`, `pattern_invalid`, `list_invalid`, or as from
            `read_index`.
    """
    if not folder.is_dir():
        raise FatalError("data_missing", f"there is no folder {display_name(folder)}", "Check the path.")
    found = _indexed(folder) if (folder / INDEX_NAME).is_file() and not pattern else _laid_out(folder, pattern)
    sides = [
        [photo.identity for photo in found.photos if photo.identity and photo.split in splits]
        for splits in ((TRAIN,), tested)
    ]
    with reid_problems():
        refuse_leak(*sides)
    return found


def _indexed(folder: Path) -> DataSet:
    index = read_index(folder)
    photos = (
        DataSetPhoto(
            row.path, index.image_path(row), index.mask_path(row), index.truth_path(row), row.split,
            row.identity, row.camera, row.clean,
        )
        for row in index.rows
        if row.identity != JUNK
    )  # fmt: skip
    return DataSet(folder, tuple(photos))


def _laid_out(folder: Path, pattern: str) -> DataSet:
    with reid_problems():
        layout = find_layout(folder, pattern)
    if layout is None:
        return DataSet(folder, tuple(sorted(_parts(folder), key=lambda photo: photo.name)))
    photos = [
        _photo(layout.root, entry.path, entry.relative, entry.part, entry.identity, entry.camera or None)
        for entry in layout.entries
        if entry.identity != JUNK
    ]
    return DataSet(layout.root, tuple(photos))


def _parts(folder: Path) -> Iterator[DataSetPhoto]:
    """Parts by folder names; where there are any, photos outside them (a contact sheet) are none."""
    files = [(file, _part(file.relative.parts[:-1])) for file in list_images([folder])]
    has_parts = any(part for _, part in files)
    for file, part in files:
        if part or not has_parts:
            yield _photo(folder, file.path, file.relative.as_posix(), part)


def _part(folders: tuple[str, ...]) -> str | None:
    return next((PARTS[folder] for folder in folders if folder in PARTS), None)


def _photo(
    root: Path, image: Path, name: str, split: str | None, identity: str | None = None, camera: int | None = None
) -> DataSetPhoto:
    mask = lookup.in_tree(root / MASK_FOLDER, Path(name))
    return DataSetPhoto(name, image, mask, truth_of(root, name), split, identity, camera)
