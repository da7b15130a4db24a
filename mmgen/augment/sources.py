"""Which photos lend shapes and textures: training people only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name, path_of_name
from mmgen.datasets.reading import TRAIN, read_data_set
from mmgen.work.records import read_records
from reid.data.layouts import DISTRACTOR

FEWEST_IDENTITIES = 2


@dataclass(frozen=True)
class Source:
    """One training photo.

    Attributes:
        path: below the data set folder, with forward slashes.
        camid: number of its camera, from 1; -1 where unknown.
    """

    path: str
    pid: str
    camid: int

    @property
    def stem(self) -> str:
        """File name up to the first dot."""
        return self.path.rpartition("/")[2].partition(".")[0]


@dataclass(frozen=True)
class Sources:
    """A data set's training photos, sorted by path.

    Attributes:
        root: the data set folder itself, which may lie one level below what the user named.
    """

    root: Path
    photos: tuple[Source, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """Everyone, sorted."""
        return tuple(sorted({photo.pid for photo in self.photos}))


def find_sources(folder: Path, limit: int | None = None, pattern: str = "", accepted: Path | None = None) -> Sources:
    """List the training photos of a published re-id data set, or of one that `mmgen prepare` indexed.

    Junk and distractors are nobody and lend nothing. Query and gallery are read only to make sure that nobody in them
    is a source.

    Args:
        pattern: regular expression for file names, see `reid.data.layouts.find_layout`.
        accepted: run folder of `mmgen reconstruct` over these photos; only those that somebody accepted in its review
            lend anything.

    Raises:
        FatalError: `no_training_people` with fewer than two people; `same_names` where two photos of a person differ
            only in folder or suffix; as from `read_data_set`.
    """
    data = read_data_set(folder, pattern, tested=("query", "gallery", "test"))
    photos = [
        Source(photo.name, str(photo.identity), photo.camera or -1)
        for photo in data.photos
        if photo.split == TRAIN and photo.identity not in (None, DISTRACTOR)
    ]
    if accepted is not None:
        good = _accepted_photos(accepted)
        photos = [photo for photo in photos if os.path.realpath(data.root / photo.path) in good]
    chosen = photos[:limit]
    found = Sources(data.root, tuple(chosen))
    if len(found.identities) < FEWEST_IDENTITIES:
        raise FatalError(
            "no_training_people",
            f"{display_name(folder)} has {len(found.identities)} training identities; mixing needs two",
            "Give a data set with bounding_box_train/, raise --limit, or accept more photos in mmgen review.",
        )
    _refuse_same_names(chosen)
    return found


def _accepted_photos(meshes: Path) -> set[str]:
    """Real paths of the photos all of whose people somebody accepted."""
    records = [record for record in read_records(meshes).values() if record.assets]
    return {
        os.path.realpath(Path(path_of_name(record.root), path_of_name(record.input)))
        for record in records
        if all(asset.is_accepted for asset in record.assets)
    }


def _refuse_same_names(photos: Sequence[Source]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for photo in photos:
        other = seen.setdefault((photo.pid, photo.stem), photo.path)
        if other != photo.path:
            raise FatalError(
                "same_names",
                f"{display_name(other)} and {display_name(photo.path)} would get the same key in the shards",
                "Remove or rename one of them.",
            )
