"""Which photos lend shapes and textures: training people only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.datasets import market
from mmgen.datasets.index import INDEX_NAME, read_index

TEST_SPLITS = frozenset({"query", "gallery", "test"})
FEWEST_IDENTITIES = 2


@dataclass(frozen=True)
class Source:
    """One training photo.

    Attributes:
        path: below the data set folder, with forward slashes.
        pid: its person.
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
        photos: the photos.
    """

    root: Path
    photos: tuple[Source, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """Everyone, sorted."""
        return tuple(sorted({photo.pid for photo in self.photos}))


def find_sources(folder: Path, limit: int | None = None) -> Sources:
    """List the training photos of a data set in Market-1501 layout, or of one that `mmgen prepare` indexed.

    Junk and distractors are nobody and lend nothing. Query and gallery are read only to make sure that nobody in them
    is a source.

    Args:
        folder: the data set.
        limit: only so many photos.

    Raises:
        FatalError: `identity_leak`, `dataset_layout`, `index_invalid`, `no_training_people` with fewer than two people,
            `same_names` where two photos of a person differ only in folder or suffix.
    """
    root, photos = _indexed(folder) if (folder / INDEX_NAME).is_file() else _laid_out(folder)
    chosen = sorted(photos, key=lambda photo: photo.path)[:limit]
    found = Sources(root, tuple(chosen))
    if len(found.identities) < FEWEST_IDENTITIES:
        raise FatalError(
            "no_training_people",
            f"{display_name(folder)} has {len(found.identities)} training identities; mixing needs two",
            "Give a data set with bounding_box_train/, such as Market-1501, or raise --limit.",
        )
    _refuse_same_names(chosen)
    return found


def _indexed(folder: Path) -> tuple[Path, list[Source]]:
    rows = [row for row in read_index(folder).rows if row.identity not in (None, market.JUNK, market.DISTRACTOR)]
    tested = {row.identity for row in rows if row.split in TEST_SPLITS}
    leaked = sorted({str(row.identity) for row in rows if row.split == "train" and row.identity in tested})
    if leaked:
        raise FatalError(
            "identity_leak",
            f"{len(leaked)} identities are in the training set and in query or gallery: {', '.join(leaked[:5])}",
            "The two sides must not share anyone; move their images to one side.",
        )
    return folder, [Source(row.path, str(row.identity), row.camera or -1) for row in rows if row.split == "train"]


def _laid_out(folder: Path) -> tuple[Path, list[Source]]:
    images = market.scan(folder).images
    photos = [
        Source(image.relative, str(image.identity), image.camera or -1)
        for image in images
        if image.split == "train" and image.identity != market.DISTRACTOR
    ]
    if not photos:
        return folder, photos
    first = next(image for image in images if image.relative == photos[0].path)
    return first.path.parents[first.relative.count("/")], photos


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
