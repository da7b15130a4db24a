"""The files of a shard folder around its tars: plan, sources, index, record, and who was removed."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmgen.augment.accounting import account
from mmgen.augment.plan import Plan
from mmgen.augment.shards import ShardEntry, ShardJob, ShardName, index_path
from mmgen.augment.store import Store
from mmgen.errors import FatalError
from mmgen.files import sha256_bytes, write_bytes_atomic, write_text_atomic
from mmgen.listing import display_name
from mmgen.version import __version__

PLAN_NAME, SOURCES_NAME, INDEX_NAME, RECORD_NAME = "plan.json", "sources.jsonl", "index.jsonl", "record.json"
RECORD_SCHEMA = "mmgen.shards/1"


def read_plan(out: Path) -> dict[str, Any] | None:
    """The content of `plan.json`; None where there is none.

    Raises:
        FatalError: `plan_damaged`.
    """
    path = out / PLAN_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["plan"]["options"], content["weights_sha256"], content["removed"]
        return content
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
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
    content = {"plan": plan.to_dict(), "weights_sha256": weights_sha256, "removed": sorted(removed)}
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


def write_sources(out: Path, plan: Plan, store: Store) -> bytes:
    """Write `sources.jsonl`, what became of every training photo; returns its bytes."""
    lines = []
    for photo, note in zip(plan.photos, store.notes(), strict=True):
        lines.append(json.dumps({**asdict(photo), **asdict(note)}, sort_keys=True))
    data = ("\n".join(lines) + "\n").encode()
    write_bytes_atomic(out / SOURCES_NAME, data)
    return data


def shards_key(plan: Plan, sources: bytes, weights_sha256: str, removed: Sequence[str]) -> str:
    """Hash of all that decides the bytes of the tars."""
    return sha256_bytes(
        repr((plan.sha256, sha256_bytes(sources), weights_sha256, sorted(removed), __version__)).encode()
    )


def write_record(
    job: ShardJob, entries: Mapping[ShardName, ShardEntry], sources: bytes, weights_sha256: str
) -> dict[str, Any]:
    """Join the index of all tars, and write the record; returns its content.

    Args:
        job: the folder.
        entries: of all tars.
        sources: content of `sources.jsonl`.
        weights_sha256: of the weights.
    """
    kept = {name: entry for name, entry in sorted(entries.items()) if entry.samples}
    index = b"".join(index_path(job.out, name).read_bytes() for name in kept)
    write_bytes_atomic(job.out / INDEX_NAME, index)
    lines = [json.loads(line) for line in index.splitlines()]
    content = {
        "schema": RECORD_SCHEMA,
        "complete": True,
        "samples": len(lines),
        "classes": len({line["cls"] for line in lines}),
        "kinds": _kinds(lines, kept),
        "index": {"name": INDEX_NAME, "samples": len(lines), "bytes": len(index), "sha256": sha256_bytes(index)},
        "shards": [asdict(entry) for entry in kept.values()],
        "accounting": account(job.settled).to_dict(),
        "generator": {
            "mmgen": __version__,
            "weights_sha256": weights_sha256,
            "plan_sha256": job.settled.plan.sha256,
            "sources_sha256": sha256_bytes(sources),
        },
        "removed": sorted(job.removed),
    }
    write_text_atomic(job.out / RECORD_NAME, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return content


def drop_record(out: Path) -> None:
    """From here on the folder is incomplete."""
    (out / RECORD_NAME).unlink(missing_ok=True)


def _kinds(lines: Sequence[Mapping[str, Any]], entries: Mapping[ShardName, ShardEntry]) -> dict[str, dict[str, int]]:
    kinds: dict[str, dict[str, int]] = {}
    for kind in sorted({name.kind for name in entries}):
        own = [line["cls"] for line in lines if line["kind"] == kind]
        kinds[kind] = {
            "samples": len(own),
            "classes": len(set(own)),
            "shards": sum(name.kind == kind for name in entries),
        }
    return kinds


def sweep_shards(job: ShardJob) -> None:
    """Remove tars, and their companions, that an earlier plan left over."""
    folder = job.out / "shards"
    wanted = {f"{name.stem}{suffix}" for name in job.names for suffix in (".tar", ".jsonl", ".idx")}
    for entry in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if entry.startswith(("real-", "virtual-")) and entry not in wanted:
            (folder / entry).unlink()
