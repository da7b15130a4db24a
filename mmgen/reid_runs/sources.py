"""The photos of a run: a data set folder, shards of virtual people, and what the manifest selects of them."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmgen.reid_runs.manifest import DataSection
from reid.data.folders import read_folders
from reid.data.layouts import find_layout
from reid.data.market import dataset_of, read_market
from reid.data.photos import Dataset, Photo, identities
from reid.data.pixels import fault
from reid.data.selection import good_enough, identity_subset, of_identities, refuse_tested_parents
from reid.data.shards import read_shards
from reid.errors import ReidError

SHOWN_FAULTS = 10


@dataclass(frozen=True)
class TrainingPhotos:
    """What is trained on.

    Attributes:
        photos: real ones first, each kind sorted.
    """

    photos: tuple[Photo, ...]
    real_identities: int
    virtual_identities: int

    @property
    def virtual(self) -> int:
        """Number of virtual photos."""
        return sum(photo.kind == "virtual" for photo in self.photos)

    def fingerprint(self) -> str:
        """Changes with the photos, not with where they are."""
        digest = hashlib.sha256()
        for photo in self.photos:
            name = photo.sha256 or Path(photo.path).name
            digest.update(f"{photo.kind} {photo.identity} {photo.camera} {name}\n".encode())
        return digest.hexdigest()


def read_dataset(root: Path, section: DataSection) -> Dataset:
    """The data set in a folder.

    Raises:
        ReidError: as from `read_market` and `read_folders`.
    """
    if section.layout == "folders":
        return read_folders(root, section.cameras)
    layout = find_layout(root, section.pattern)
    if layout is not None:
        return dataset_of(layout, section.cameras)
    is_market = section.layout == "market" or not (root / "train").is_dir()
    return read_market(root, section.pattern, section.cameras) if is_market else read_folders(root, section.cameras)


def training_photos(dataset: Dataset, shards: Path | None, section: DataSection) -> TrainingPhotos:
    """Real photos and virtual people that the manifest selects.

    Args:
        shards: folder with virtual people; real photos in it are passed over.

    Raises:
        ReidError: `no_training_photos`, `parent_leak`, `score_unknown`, and as from `read_shards`.
    """
    if not dataset.train:
        raise ReidError("no_training_photos", "the data set has no training photos", "Check the folder.")
    everyone = frozenset(identities(dataset.train))
    virtual: tuple[Photo, ...] = ()
    if shards is not None:
        virtual = tuple(photo for photo in read_shards(shards) if photo.kind == "virtual")
        refuse_tested_parents(virtual, everyone)
    photos = _gated((*dataset.train, *virtual), section)
    if section.identity_share < 1:
        chosen = identity_subset(dataset.train, section.identity_share, section.identity_seed)
        photos = of_identities(photos, chosen)
    return _counted(photos)


def sound_photos(chosen: TrainingPhotos, note: Callable[[str], None]) -> TrainingPhotos:
    """Without photos that cannot be read, so that one of them does not end a run after hours.

    Args:
        note: hears of the first few that are left out, and how many there are.

    Raises:
        ReidError: `no_training_photos` where none is left.
    """
    with ThreadPoolExecutor() as pool:
        faults = list(pool.map(fault, chosen.photos))
    bad = [f"{photo.name}: {reason}" for photo, reason in zip(chosen.photos, faults, strict=True) if reason]
    for line in bad[:SHOWN_FAULTS]:
        note(f"left out: {line}")
    if len(bad) > SHOWN_FAULTS:
        note(f"left out: {len(bad)} photos in all cannot be read")
    left = tuple(photo for photo, reason in zip(chosen.photos, faults, strict=True) if not reason)
    if not left:
        raise ReidError("no_training_photos", f"no photo can be read; {bad[0]}", "Check the folder.")
    return _counted(left) if bad else chosen


def _counted(photos: tuple[Photo, ...]) -> TrainingPhotos:
    made = [photo for photo in photos if photo.kind == "virtual"]
    real = [photo for photo in photos if photo.kind == "real"]
    return TrainingPhotos(photos, len(identities(real)), len(identities(made)))


def _gated(photos: tuple[Photo, ...], section: DataSection) -> tuple[Photo, ...]:
    lowest = {"mask_area": section.lowest_mask_area, "view_consistency": section.lowest_view_consistency}
    highest = {"folded": section.largest_folded_share}
    return good_enough(
        photos,
        {name: value for name, value in lowest.items() if value > 0},
        {name: value for name, value in highest.items() if value < 1},
    )
