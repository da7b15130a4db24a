"""`export.jsonl`: one line per exported mesh and format, by which a second run knows what is up to date.

Part i of n of a run writes `export-<i>-of-<n>.jsonl`; readers take all of a folder together, and a whole run puts them
into one again.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgen.core.files import sha256_or_none
from mmgen.core.listing import path_of_name
from mmgen.core.places import place_below
from mmgen.work.record_file import RecordFile
from mmgen.work.records import Shard

RECORD_NAME = "export.jsonl"
_NAMES = re.compile(r"^export(-\d{1,6}-of-\d{1,6})?\.jsonl$")


@dataclass(frozen=True)
class ExportRecord:
    """What became of one mesh in one format.

    Attributes:
        source: Path below the meshes folder, as `mmgen.core.listing.display_name` writes it.
        status: `done` or `failed`.
        error: Error class, or None.
        message: What went wrong, or None.
        hint: What to do about it, or None.
        source_sha256: Hash of the mesh file; None if it could not be read.
        options: What changes the result: texture size and codec, height, material, version of mmgen.
        outputs: Path below the output folder, written as `source` is, to SHA-256; the main file first.
        lod: Level of detail; None where levels were not asked for.
    """

    source: str
    format: str
    status: str
    error: str | None
    message: str | None
    hint: str | None
    source_sha256: str | None
    options: dict[str, Any]
    outputs: dict[str, str]
    lod: int | None = None

    @property
    def key(self) -> "RecordKey":
        """Mesh, format and level of detail, -1 where there are no levels."""
        return self.source, self.format, -1 if self.lod is None else self.lod


RecordKey = tuple[str, str, int]
RecordTable = dict[RecordKey, ExportRecord]


def record_file(out: Path, shard: Shard) -> Path:
    """Where one part of a run writes."""
    return out / (RECORD_NAME if shard.count == 1 else f"export-{shard}.jsonl")


def record_files(out: Path) -> list[Path]:
    """The record files of a folder, the last one written last; empty where nothing was exported."""
    if not out.is_dir():
        return []
    files = [out / name for name in sorted(os.listdir(out)) if _NAMES.match(name)]
    return sorted(files, key=lambda path: path.stat().st_mtime_ns)


def read_records(out: Path) -> RecordTable:
    """All records of a folder by mesh, format and level; the one written last where there are several."""
    return {key: record for path in record_files(out) for key, record in read_record_file(path).items()}


def read_record_file(path: Path) -> RecordTable:
    """The records of one file, which may be missing; lines that are cut off or not ours are passed over."""
    return EXPORTS.newest(path)


def is_up_to_date(record: ExportRecord | None, source_sha256: str, options: Mapping[str, Any], out: Path) -> bool:
    """Whether exporting again would give what is there: same source, same options, same output bytes as recorded."""
    if record is None or record.status != "done":
        return False
    if record.source_sha256 != source_sha256 or record.options != dict(options):
        return False
    return all(sha256_or_none(out / path_of_name(name)) == digest for name, digest in record.outputs.items())


def _check(folder: Path, record: ExportRecord) -> None:
    """Raises ValueError where an output must not be followed."""
    for name in record.outputs:
        place_below(folder, path_of_name(name))


EXPORTS = RecordFile(
    ExportRecord,
    key=lambda record: record.key,
    to_line=lambda record: json.dumps(asdict(record)) + "\n",
    check=_check,
    is_cache=True,
)
"""How records of exports are kept: where a line is damaged, its export is done again."""
