"""`export.jsonl`: one line per exported mesh and format, by which a second run knows what is up to date."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgen.files import sha256_file, write_text_atomic

RECORD_NAME = "export.jsonl"


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


def read_records(out: Path) -> RecordTable:
    """The records of a folder by mesh, format and level; lines that are cut off or not ours are passed over."""
    try:
        lines = (out / RECORD_NAME).read_text("utf-8", "replace").splitlines()
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


def append_record(out: Path, record: ExportRecord) -> None:
    """Add one line at once, so that a killed run keeps what it finished."""
    with (out / RECORD_NAME).open("a", encoding="utf-8") as file:
        file.write(_line(record))


def write_records(out: Path, table: RecordTable) -> None:
    """Replace the file by one line per mesh, format and level, sorted."""
    write_text_atomic(out / RECORD_NAME, "".join(_line(table[key]) for key in sorted(table, key=_rank)))


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
