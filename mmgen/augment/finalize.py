"""The last step of a run or a removal: index, contact sheet, data card, and the record that says all is there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgen.augment.card import write_card
from mmgen.augment.folder import INDEX_NAME, RECORD_NAME, RECORD_SCHEMA, sweep_shards
from mmgen.augment.shards import ShardEntry, ShardName, index_path
from mmgen.augment.sheet import write_sheet
from mmgen.core.documents import decode
from mmgen.core.files import sha256_bytes, write_bytes_atomic, write_text_atomic


@dataclass(frozen=True)
class ShardProvenance:
    """Where the samples of a folder come from.

    Attributes:
        options: as plain JSON values.
        accounting: counts as in the paper.
        generator: version and hashes.
        removed: people who were taken out.
        photos: the data set folder, for pictures of parents; None where it is not at hand.
    """

    options: Mapping[str, Any]
    accounting: Mapping[str, int | None]
    generator: Mapping[str, str]
    removed: Sequence[str]
    photos: Path | None


def close_folder(out: Path, entries: Mapping[ShardName, ShardEntry], origin: ShardProvenance) -> dict[str, Any]:
    """Join the index of all tars, and write everything around them, the record last; returns its content."""
    kept = {name: entry for name, entry in sorted(entries.items()) if entry.samples}
    sweep_shards(out, list(kept))
    index = b"".join(index_path(out, name).read_bytes() for name in kept)
    write_bytes_atomic(out / INDEX_NAME, index)
    lines = [decode(line, dict[str, Any]) for line in index.splitlines()]
    record = _record(lines, kept, index, origin)
    write_sheet(out, lines, origin.photos)
    write_card(out, lines, origin.options, record)
    write_text_atomic(out / RECORD_NAME, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return record


def _record(
    lines: Sequence[Mapping[str, Any]], entries: Mapping[ShardName, ShardEntry], index: bytes, origin: ShardProvenance
) -> dict[str, Any]:
    return {
        "schema": RECORD_SCHEMA,
        "complete": True,
        "samples": len(lines),
        "classes": len({line["cls"] for line in lines}),
        "kinds": _kinds(lines, entries),
        "index": {"name": INDEX_NAME, "samples": len(lines), "bytes": len(index), "sha256": sha256_bytes(index)},
        "shards": [asdict(entry) for entry in entries.values()],
        "accounting": dict(origin.accounting),
        "generator": dict(origin.generator),
        "removed": sorted(origin.removed),
    }


def _kinds(lines: Sequence[Mapping[str, Any]], entries: Mapping[ShardName, ShardEntry]) -> dict[str, dict[str, int]]:
    kinds: dict[str, dict[str, int]] = {}
    for kind in sorted({name.kind for name in entries}):
        own = [line["cls"] for line in lines if line["kind"] == kind]
        shards = sum(name.kind == kind for name in entries)
        kinds[kind] = {"samples": len(own), "classes": len(set(own)), "shards": shards}
    return kinds
