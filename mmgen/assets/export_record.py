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

from mmgen.core.files import sha256_file, write_text_atomic
from mmgen.work.records import Shard

RECORD_NAME = "export.jsonl"
_NAMES = re.compile(r"^export(-\d+-of-\d+)?\.jsonl$")


@dataclass(frozen=True)
class ExportRecord:
    """What became of one mesh in one format.

    Attributes:
        source: Path below the meshes folder, with `/`.
        format: Format name.
        status: `done` or `failed`.
        error: Error class, or None.
        message: What went wrong, or None.
        hint: What to do about it, or None.
        source_sha256: Hash of the mesh file; None if it could not be read.
        options: What changes the result: texture size and codec, height, material, version of mmgen.
        outputs: Path below the output folder to SHA-256, the main file first.
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
        """Mesh, format and level of detail."""
        return self.source, self.format, self.lod


RecordKey = tuple[str, str, int | None]
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
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    table: RecordTable = {}
    for line in lines:
        try:
            record = ExportRecord(**json.loads(line))
        except (ValueError, TypeError):
            continue  # a run that was killed while it wrote; the item is done again
        if isinstance(record.outputs, dict):
            table[record.key] = record
    return table


def append_record(path: Path, record: ExportRecord) -> None:
    """Add one line at once, so that a killed run keeps what it finished."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(record))


def write_records(path: Path, table: RecordTable) -> None:
    """Replace the file by one line per mesh, format and level, sorted."""
    write_text_atomic(path, "".join(_line(table[key]) for key in sorted(table, key=_rank)))


def is_up_to_date(record: ExportRecord | None, source_sha256: str, options: Mapping[str, Any], out: Path) -> bool:
    """Whether exporting again would give what is there: same source, same options, same output bytes as recorded."""
    if record is None or record.status != "done":
        return False
    if record.source_sha256 != source_sha256 or record.options != dict(options):
        return False
    return all((out / name).is_file() and sha256_file(out / name) == digest for name, digest in record.outputs.items())


def _line(record: ExportRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def _rank(key: RecordKey) -> tuple[str, str, int]:
    source, kind, lod = key
    return source, kind, -1 if lod is None else lod
