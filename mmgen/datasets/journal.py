"""What a preparation has finished, so that the next run goes on from there. A cache: losing it costs time only."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file, write_text_atomic
from mmgen.datasets.index import IndexRow, row_from_json
from mmgen.work.locks import STATE_FOLDER

JOURNAL_NAME = "prepare.jsonl"


@dataclass(frozen=True)
class Done:
    """A finished image.

    Attributes:
        source: its `SourceImage.relative`.
        key: hash of all that decides the result.
        mask_sha256: of the mask in the data set folder.
        row: of the index.
    """

    source: str
    key: str
    mask_sha256: str
    row: IndexRow

    def is_intact(self, out: Path) -> bool:
        """Whether image and mask are still there, unchanged, and the truth, if any, is there."""
        image, mask = out / self.row.path, out / (self.row.mask or "")
        return (
            (self.row.truth is None or (out / self.row.truth).is_file())
            and image.is_file()
            and mask.is_file()
            and sha256_file(mask) == self.mask_sha256
            and sha256_file(image) == self.row.sha256
        )


def result_key(image_sha256: str, mask_sha256: str | None, settings: str) -> str:
    """One hash of an image, the mask file it was given (if any), and the settings."""
    return hashlib.sha256("\0".join((image_sha256, mask_sha256 or "-", settings)).encode()).hexdigest()


def journal_path(out: Path) -> Path:
    """Where the journal of a data set folder is."""
    return out / STATE_FOLDER / JOURNAL_NAME


def journal_line(done: Done) -> str:
    """One JSON line, with its line end."""
    return json.dumps(asdict(done)) + "\n"


def read_journal(out: Path) -> dict[str, Done]:
    """Finished images by source; lines that are no longer understood are passed over."""
    path = journal_path(out)
    if not path.is_file():
        return {}
    entries = (_parsed(line) for line in path.read_text(encoding="utf-8", errors="replace").split("\n"))
    return {entry.source: entry for entry in entries if entry is not None}


def write_journal(out: Path, entries: Iterable[Done]) -> None:
    """Replace the journal, sorted."""
    lines = [journal_line(entry) for entry in sorted(entries, key=lambda entry: entry.source)]
    write_text_atomic(journal_path(out), "".join(lines))


def _parsed(line: str) -> Done | None:
    try:
        data: dict[str, Any] = json.loads(line)
        row = row_from_json(data["row"], "journal")
        return Done(str(data["source"]), str(data["key"]), str(data["mask_sha256"]), row)
    except (ValueError, KeyError, TypeError, FatalError):
        return None
