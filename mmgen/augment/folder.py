"""The files of a shard folder around its tars: plan, sources, index, record, and who was removed."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mmgen.augment.plan import Plan
from mmgen.augment.shards import SHARDS_FOLDER, ShardEntry, ShardName
from mmgen.augment.store import Store
from mmgen.core.documents import convert, read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_bytes, sha256_file, write_bytes_atomic, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.core.version import __version__

PLAN_NAME, SOURCES_NAME, INDEX_NAME, RECORD_NAME = "plan.json", "sources.jsonl", "index.jsonl", "record.json"
SHARD_SUFFIXES = (".tar", ".jsonl", ".idx")
RECORD_SCHEMA = "mmgen.shards/1"


def read_plan(out: Path) -> dict[str, Any] | None:
    """The content of `plan.json`; None where there is none.

    Raises:
        FatalError: `plan_damaged`.
    """
    path = out / PLAN_NAME
    try:
        content = read_document(path, dict[str, Any])
        content["plan"]["options"], content["weights_sha256"], content["removed"]
        return content
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise FatalError("plan_damaged", f"{display_name(path)} is damaged", "Choose a new --out folder.") from error


def check_folder(out: Path, plan: Plan, weights_sha256: str, overwrite: bool = False) -> tuple[str, ...]:
    """Refuse a folder that the shards must not go to.

    Returns:
        People who were removed from it.

    Raises:
        FatalError: `folder_not_empty`, `other_settings`, `plan_damaged`.
    """
    content = read_plan(out)
    if content is None:
        if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
            raise FatalError(
                "folder_not_empty",
                f"{display_name(out)} is not empty and holds no {PLAN_NAME}",
                "Choose a new --out folder.",
            )
        return ()
    changed = _changes(content, plan, weights_sha256)
    if changed and not overwrite:
        raise FatalError(
            "other_settings",
            f"{display_name(out)} was made with other settings: {', '.join(changed)}",
            "Use those again to go on, choose a new --out folder, or give --overwrite to make it again.",
        )
    return tuple(content["removed"])


def write_plan(out: Path, plan: Plan, weights_sha256: str, removed: Sequence[str]) -> None:
    """Write `plan.json`."""
    write_plan_content(out, {"plan": plan.to_dict(), "weights_sha256": weights_sha256, "removed": sorted(removed)})


def write_plan_content(out: Path, content: Mapping[str, Any]) -> None:
    """Write `plan.json` from what `read_plan` gives."""
    write_text_atomic(out / PLAN_NAME, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _changes(content: Mapping[str, Any], plan: Plan, weights_sha256: str) -> list[str]:
    before, now = _flat(content["plan"]["options"]), _flat(json.loads(json.dumps(plan.options.to_dict())))
    changed = [f"{name} {before.get(name)} (now {value})" for name, value in now.items() if before.get(name) != value]
    if content["plan"]["photos"] != plan.to_dict()["photos"]:
        changed.append("other training photos")
    if content["weights_sha256"] != weights_sha256:
        changed.append("other weights")
    return changed


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        flat.update(_flat(value) if isinstance(value, dict) else {name: value})
    return flat


def write_sources(out: Path, plan: Plan, store: Store, removed: Collection[str]) -> bytes:
    """Write `sources.jsonl`, what became of every training photo of those who are still in; returns its bytes."""
    lines = []
    for photo, note in zip(plan.photos, store.notes(), strict=True):
        if photo.pid in removed:
            continue
        lines.append(json.dumps({**asdict(photo), **asdict(note)}, sort_keys=True))
    data = ("\n".join(lines) + "\n").encode()
    write_bytes_atomic(out / SOURCES_NAME, data)
    return data


def shards_key(plan: Plan, sources: bytes, weights_sha256: str, removed: Sequence[str]) -> str:
    """Hash of all that decides the bytes of the tars."""
    return sha256_bytes(
        repr((plan.sha256, sha256_bytes(sources), weights_sha256, sorted(removed), __version__)).encode()
    )


@dataclass(frozen=True)
class _Index:
    name: Literal["index.jsonl"]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Generator:
    plan_sha256: str
    weights_sha256: str
    sources_sha256: str


@dataclass(frozen=True)
class _Record:
    """What every reader of `record.json` relies on; it has more."""

    schema: Literal["mmgen.shards/1"]
    index: _Index
    shards: list[ShardEntry]
    generator: _Generator
    removed: list[str]
    accounting: dict[str, Any]


def read_record(out: Path) -> dict[str, Any] | None:
    """The content of `record.json`; None where there is none, or none of ours."""
    try:
        content = read_document(out / RECORD_NAME, dict[str, Any])
        convert(content, _Record)
        return content
    except (OSError, ValueError):
        return None


def shard_facts(out: Path) -> dict[str, Any]:
    """What the record of a shard folder says: counts, what they came from, settings.

    Raises:
        FatalError: `unfinished`, where there is no whole record.
    """
    record = read_record(out)
    if record is None:
        raise FatalError(
            "unfinished",
            f"{display_name(out)} has no whole {RECORD_NAME}: the run is not finished",
            "Run mmgen augment-reid again; it goes on from here.",
        )
    shards = record["shards"]
    return {
        "kind": "shards",
        "path": display_name(out),
        "shards": len(shards),
        **{name: value for name, value in record.items() if name not in ("shards", "index")},
    }


def is_finished(out: Path, plan: Plan, weights_sha256: str, removed: Sequence[str]) -> bool:
    """Whether the folder is complete, made of this plan and these weights, and every tar and index has its bytes."""
    record = read_record(out)
    if record is None or record["removed"] != sorted(removed):
        return False
    generator = record["generator"]
    if (generator["plan_sha256"], generator["weights_sha256"]) != (plan.sha256, weights_sha256):
        return False
    files = [(entry["name"], entry["sha256"]) for entry in (record["index"], *record["shards"])]
    return all((out / name).is_file() and sha256_file(out / name) == sha256 for name, sha256 in files)


def drop_record(out: Path) -> None:
    """From here on the folder is incomplete."""
    (out / RECORD_NAME).unlink(missing_ok=True)


def sweep_shards(out: Path, names: Collection[ShardName]) -> None:
    """Remove the files of all tars but these."""
    folder = out / SHARDS_FOLDER
    wanted = {f"{name.stem}{suffix}" for name in names for suffix in SHARD_SUFFIXES}
    for entry in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if entry.startswith(("real-", "virtual-")) and entry not in wanted:
            (folder / entry).unlink()
