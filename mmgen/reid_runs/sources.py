"""The photos of a run: a data set folder, shards of virtual people, and what the manifest selects of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mmgen.reid_runs.manifest import DataSection
from reid.data.folders import read_folders
from reid.data.market import looks_like_market, read_market
from reid.data.photos import Dataset, Photo, identities
from reid.data.selection import good_enough, identity_subset, of_identities, refuse_tested_parents
from reid.data.shards import read_shards
from reid.errors import ReidError


@dataclass(frozen=True)
class TrainingPhotos:
    """What is trained on.

    Attributes:
        photos: real ones first, each kind sorted.
        real_identities: how many.
        virtual_identities: how many.
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
    layout = section.layout
    if layout == "auto":
        layout = "market" if looks_like_market(root) or not (root / "train").is_dir() else "folders"
    return read_market(root) if layout == "market" else read_folders(root, section.cameras)


def training_photos(dataset: Dataset, shards: Path | None, section: DataSection) -> TrainingPhotos:
    """Real photos and virtual people that the manifest selects.

    Args:
        dataset: real photos.
        shards: folder with virtual people; real photos in it are passed over.
        section: which of them.

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
