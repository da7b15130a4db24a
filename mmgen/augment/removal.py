"""Take people, and all that descends from them, out of a shard folder: shapes, textures, and the places behind."""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmgen.augment.finalize import ShardProvenance, close_folder
from mmgen.augment.folder import SOURCES_NAME, drop_record, read_plan, read_record, write_plan_content
from mmgen.augment.market_folder import drop_market_folder
from mmgen.augment.samples import descends_from, index_line, line_bytes
from mmgen.augment.shards import (
    BuiltShard,
    ShardEntry,
    ShardName,
    built_shard,
    shard_named,
    write_shard_files,
)
from mmgen.augment.tar import TarBuilder, read_tar
from mmgen.core.documents import decode, read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_bytes, write_bytes_atomic, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.work.locks import STATE_FOLDER, run_lock
from mmgen.work.records import Shard

JOURNAL_NAME = "removal.json"
"""In the state folder while a removal is under way: the record before it. Whoever finds it goes on from there."""


@dataclass(frozen=True)
class Removal:
    """What a removal took out.

    Attributes:
        shards: tars that were written anew, or went.
    """

    people: tuple[str, ...]
    samples: int
    shards: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def remove_people(out: Path, people: Collection[str], photos: Path | None, dry_run: bool = False) -> Removal:
    """Remove every sample that has anything of these people, and their photos' cached attributes.

    What stays keeps its bytes, its key and its class number. An interrupted removal goes on when it is asked for again.

    Args:
        photos: the data set folder, for the contact sheet; None where it is not at hand.

    Raises:
        FatalError: `shards_missing` where there is no finished folder, `identity_unknown`, `shard_damaged`.
    """
    with run_lock(out, Shard()) if out.is_dir() else _nothing_there(out):
        plan, before = read_plan(out), _record_before(out)
        if plan is None or before is None:
            _nothing_there(out)
        assert plan is not None and before is not None
        pid_of = {photo["path"]: photo["pid"] for photo in plan["plan"]["photos"]}
        unknown = sorted(set(people) - set(pid_of.values()))
        if unknown:
            raise FatalError(
                "identity_unknown",
                f"{display_name(out)} has no identity {', '.join(unknown)}",
                "Give labels as they stand in the file names, such as 0002.",
            )
        gone = sorted({*plan["removed"], *people})
        if not dry_run:
            _begin(out, plan, before, gone)
        entries, samples, shards = _rewrite(out, before, gone, pid_of, dry_run)
        if not dry_run:
            _end(out, plan, before, gone, entries, photos)
    return Removal(tuple(sorted(people)), samples, shards)


def _nothing_there(out: Path) -> Any:
    raise FatalError(
        "shards_missing",
        f"{display_name(out)} is no finished folder of shards",
        "Name it with --out; where a run was interrupted, finish it first.",
    )


def _record_before(out: Path) -> dict[str, Any] | None:
    try:
        return read_document(out / STATE_FOLDER / JOURNAL_NAME, dict[str, Any])
    except (OSError, ValueError):
        return read_record(out)


def _begin(out: Path, plan: Mapping[str, Any], before: Mapping[str, Any], gone: list[str]) -> None:
    write_text_atomic(out / STATE_FOLDER / JOURNAL_NAME, json.dumps(before, sort_keys=True))
    write_plan_content(out, {**plan, "removed": gone})
    drop_record(out)
    drop_market_folder(out)
    for cache in ("sources", "shards"):
        shutil.rmtree(out / STATE_FOLDER / cache, ignore_errors=True)


def _rewrite(
    out: Path, before: Mapping[str, Any], gone: Collection[str], pid_of: Mapping[str, str], dry_run: bool
) -> tuple[dict[ShardName, ShardEntry], int, int]:
    """Entries of all tars, and how many samples and tars changed."""
    entries, samples, shards = {}, 0, 0
    for old in before["shards"]:
        name = shard_named(old["name"])
        if name is None:
            raise FatalError("shard_damaged", f"the record names a shard {old['name']!r}", "Make the shards again.")
        built = _without(out, name, gone, pid_of)
        entries[name] = built.entry
        if built.entry.sha256 != old["sha256"]:
            samples += old["samples"] - built.entry.samples
            shards += 1
            if not dry_run:
                write_shard_files(out, name, built)
    return entries, samples, shards


def _without(out: Path, name: ShardName, gone: Collection[str], pid_of: Mapping[str, str]) -> BuiltShard:
    """A tar without the samples that descend from some people."""
    tar, lines = TarBuilder(), []
    try:
        data = (out / name.tar).read_bytes() if (out / name.tar).exists() else TarBuilder().getvalue()
        for key, parts, _ in read_tar(data).samples:
            description = decode(parts["json"], dict[str, Any])
            if not descends_from(description, gone, pid_of):
                lines.append(line_bytes(index_line(key, name.tar, description, tar.add(key, parts), parts["jpg"])))
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(
            "shard_damaged", f"{display_name(out / name.tar)}: {error}", "Delete it and run mmgen augment-reid again."
        ) from error
    return built_shard(name, tar, b"".join(lines))


def _end(
    out: Path,
    plan: Mapping[str, Any],
    before: Mapping[str, Any],
    gone: list[str],
    entries: Mapping[ShardName, ShardEntry],
    photos: Path | None,
) -> None:
    lines = (out / SOURCES_NAME).read_bytes().splitlines(keepends=True)
    sources = b"".join(line for line in lines if decode(line, dict[str, Any])["pid"] not in gone)
    write_bytes_atomic(out / SOURCES_NAME, sources)
    generator = {**before["generator"], "sources_sha256": sha256_bytes(sources)}
    close_folder(out, entries, ShardProvenance(plan["plan"]["options"], before["accounting"], generator, gone, photos))
    (out / STATE_FOLDER / JOURNAL_NAME).unlink(missing_ok=True)
