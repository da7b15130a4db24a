"""What a preparation has finished, so that the next run goes on from there. A cache: losing it costs time only."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mmgen.core.files import sha256_file
from mmgen.datasets.index import IndexRow, check_row
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.record_file import RecordFile

JOURNAL_NAME = "prepare.jsonl"


@dataclass(frozen=True)
class Done:
    """A finished image.

    Attributes:
        source: its `SourceImage.relative`.
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


def read_journal(out: Path) -> dict[str, Done]:
    """Finished images by source; lines that are no longer understood are passed over."""
    return JOURNAL.newest(journal_path(out))


JOURNAL = RecordFile(
    Done,
    key=lambda done: done.source,
    to_line=lambda done: json.dumps(asdict(done)) + "\n",
    check=lambda state, done: check_row(state.parent, done.row),
    is_cache=True,
)
"""How finished images are kept."""
