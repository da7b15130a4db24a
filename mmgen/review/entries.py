"""What the wall shows: every asset and every failure of a run folder, and photos that wait for their turn."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mmgen.gallery.cards import GOOD_MASK_IOU
from mmgen.gallery.items import GalleryItem, items_of
from mmgen.work.records import Record, Review, read_records

State = Literal["ok", "rejected", "failed", "waiting", "working"]
KEY_LENGTH = 16


@dataclass(frozen=True)
class Entry:
    """One card.

    Attributes:
        key: short hash of input and person; stands in addresses in place of names.
        input: as in the run's record, or as its record will call it.
        state: status of the record, or `waiting` and `working` while a job is at it.
        record: the run's record; None for a photo that has none yet.
        person: number from the left where the photo shows several.
        item: figures, files and words as in the gallery.
        doing: what a job is doing with it, in words.
    """

    key: str
    input: str
    name: str
    state: State
    record: Record | None = None
    person: int | None = None
    item: GalleryItem | None = None
    doing: str = ""

    @property
    def review(self) -> Review | None:
        """What a person decided."""
        if self.record is None:
            return None
        if self.person is None:
            return self.record.review
        return next((one.review for one in self.record.people if one.number == self.person), None)

    @property
    def version(self) -> str:
        """Changes whenever what is shown changes; the condition under which a change is taken."""
        text = "" if self.record is None else self.record.to_line()
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LENGTH]

    def as_json(self) -> dict[str, Any]:
        """What the page needs for a card."""
        review, item = self.review, self.item
        return {
            "key": self.key,
            "name": self.name,
            "state": self.state,
            "doing": self.doing,
            "version": self.version,
            "review": None if review is None else asdict(review),
            "facing": None if self.record is None else self.record.facing,
            "mesh": item is not None and item.glb is not None,
            "photo": item is not None and item.photo is not None,
            **({} if item is None else _figures(item)),
        }


def _figures(item: GalleryItem) -> dict[str, Any]:
    return {
        "confidence": item.confidence,
        "mask_iou": item.mask_iou,
        "ssim": item.ssim,
        "is_weak": item.mask_iou is not None and item.mask_iou < GOOD_MASK_IOU,
        "why": [] if item.low_confidence is None else [item.low_confidence],
        "error": item.error,
        "message": item.message,
        "hint": item.hint,
        "mask_source": item.mask_source,
        "seconds": item.seconds,
    }


@dataclass
class Folder:
    """The records of a run folder, read again only when a record file changed."""

    meshes: Path
    _stamp: tuple[Any, ...] = ()
    _records: dict[str, Record] = field(default_factory=dict)

    def records(self) -> dict[str, Record]:
        """By input.

        Raises:
            FatalError: `manifest_damaged`.
        """
        stamp = self.stamp()
        if stamp != self._stamp:
            self._records = read_records(self.meshes)
            self._stamp = stamp
        return self._records

    def stamp(self) -> tuple[Any, ...]:
        """Differs once a record file was written."""
        files = [(path.name, path.stat()) for path in sorted(self.meshes.glob("manifest*.jsonl"))]
        return tuple((name, status.st_mtime_ns, status.st_size, status.st_ino) for name, status in files)


def key_of(name: str, person: int | None) -> str:
    """What an asset is called in addresses."""
    return hashlib.sha256(json.dumps([name, person]).encode()).hexdigest()[:KEY_LENGTH]


def entries_of(
    meshes: Path, records: Mapping[str, Record], waiting: Iterable[str], doing: Mapping[str, tuple[State, str]]
) -> dict[str, Entry]:
    """All cards by key, sorted by name.

    Args:
        records: records of it, by input.
        waiting: names of photos without a record.
        doing: by input: the state that a job gives it, and words.
    """
    found = []
    for record in records.values():
        state, words = doing.get(record.input, (record.status, ""))
        for item, person in items_of(record, meshes):
            key = key_of(record.input, person)
            found.append(Entry(key, record.input, item.name, state, record, person, item, words))
    for name in waiting:
        state, words = doing.get(name, ("waiting", ""))
        shown = PurePosixPath(name).with_suffix("").as_posix()
        found.append(Entry(key_of(name, None), name, shown, state, doing=words))
    return {entry.key: entry for entry in sorted(found, key=lambda entry: entry.name)}
