"""Is a shard folder sound? Every count, every hash, every sample against its index line, nothing of the removed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgen.assets.findings import Finding, Severity
from mmgen.augment.folder import (
    INDEX_NAME,
    PLAN_NAME,
    RECORD_NAME,
    SHARD_SUFFIXES,
    SOURCES_NAME,
    read_plan,
    read_record,
)
from mmgen.augment.samples import descends_from, index_line
from mmgen.augment.shards import SHARDS_FOLDER, ShardName, dali_path, index_path, shard_named
from mmgen.augment.tar import Member, ReadTar, read_tar
from mmgen.core.documents import decode
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_bytes
from mmgen.core.limits import LINE_BYTES

LARGEST_BYTES, LARGEST_STRAY = 1 << 32, 1 << 26
"""Of a file that is read, and of one that has another size than recorded: a sparse tar can claim terabytes."""

MOST_PER_SHARD = 5
"""Findings about single samples of one tar; the rest is counted."""


@dataclass
class ShardVerification:
    """The verdict."""

    path: Path
    shards: int = 0
    samples: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def add(self, rule: str, file: str, message: str, severity: Severity = "error") -> None:
        """Note one finding."""
        self.findings.append(Finding(severity, rule, file[:200], message[:500]))


def is_shard_folder(path: Path) -> bool:
    """Whether this is what `mmgen augment-reid` writes, finished or not."""
    return (path / RECORD_NAME).is_file() or ((path / SHARDS_FOLDER).is_dir() and (path / PLAN_NAME).is_file())


def verify_shards(path: Path) -> ShardVerification:
    """Check a folder of shards; nothing in it is unpickled, unpacked or run."""
    verdict = ShardVerification(path)
    record = read_record(path)
    if record is None:
        verdict.add("complete", RECORD_NAME, "is missing or damaged: the run is not finished; run it again")
        return verdict
    try:
        _check(path, record, verdict)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        verdict.add("record", RECORD_NAME, f"a field is missing or damaged: {type(error).__name__} {error}")
    return verdict


def _check(path: Path, record: Mapping[str, Any], verdict: ShardVerification) -> None:
    origin = _origin(path, record, verdict)
    index = _bytes(path, INDEX_NAME, record["index"], verdict)
    lines = [decode(line, dict[str, Any]) for line in index.splitlines() if _is_short(line)]
    by_shard: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_shard.setdefault(line["shard"], []).append(line)
    names = []
    for entry in record["shards"]:
        name = shard_named(str(entry["name"]))
        if name is None:
            verdict.add("shard_name", str(entry["name"]), "is no name of a shard; it was not opened")
            continue
        names.append(name)
        _check_shard(path, name, entry, by_shard.pop(name.tar, []), origin, verdict)
    for stray in sorted(by_shard):
        verdict.add("index", INDEX_NAME, f"has lines of {stray!r}, which the record does not name")
    verdict.shards = len(names)
    _check_counts(record, lines, verdict)
    _check_people(lines, origin, verdict)
    _check_strays(path, names, verdict)


def _is_short(line: bytes) -> bool:
    if len(line) > LINE_BYTES:
        raise ValueError(f"{INDEX_NAME} has a line of {len(line)} bytes; the limit is {LINE_BYTES}")
    return True


@dataclass(frozen=True)
class _Origin:
    """People by photo, and who must not be in the folder."""

    pid_of: Mapping[str, str]
    removed: Sequence[str]


def _origin(path: Path, record: Mapping[str, Any], verdict: ShardVerification) -> _Origin:
    """Check plan and sources against the record."""
    try:
        plan = read_plan(path)
    except FatalError:
        plan = None
    if plan is None:
        verdict.add("plan", PLAN_NAME, "is missing or damaged")
        return _Origin({}, record["removed"])
    if sha256_bytes(json.dumps(plan["plan"], sort_keys=True).encode()) != record["generator"]["plan_sha256"]:
        verdict.add("plan", PLAN_NAME, "is not the plan that the record was made with")
    if sorted(plan["removed"]) != record["removed"]:
        verdict.add(
            "removed", PLAN_NAME, "names other removed people than the record: a removal was cut off; repeat it"
        )
    sources = path / SOURCES_NAME
    if not sources.is_file() or sha256_bytes(sources.read_bytes()) != record["generator"]["sources_sha256"]:
        verdict.add("sources", SOURCES_NAME, "is missing or does not have the recorded hash")
    return _Origin({photo["path"]: photo["pid"] for photo in plan["plan"]["photos"]}, record["removed"])


def _bytes(path: Path, name: str, entry: Mapping[str, Any], verdict: ShardVerification) -> bytes:
    """A file's bytes, with size and hash checked; empty where it is missing, no file, or far larger than recorded."""
    try:
        size = (path / name).stat().st_size
        largest = LARGEST_BYTES if size == entry["bytes"] else LARGEST_STRAY
        if not (path / name).is_file() or size > largest:
            verdict.add("size", name, f"is no regular file, or has {size} bytes; the record says {entry['bytes']}")
            return b""
        data = (path / name).read_bytes()
    except OSError as error:
        verdict.add("missing", name, f"cannot be read: {error.strerror}")
        return b""
    if len(data) != entry["bytes"]:
        verdict.add("size", name, f"has {len(data)} bytes, the record says {entry['bytes']}")
    elif sha256_bytes(data) != entry["sha256"]:
        verdict.add("hash", name, "does not have the recorded hash: its bytes were changed")
    return data


def _check_shard(
    path: Path,
    name: ShardName,
    entry: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    origin: _Origin,
    verdict: ShardVerification,
) -> None:
    data = _bytes(path, name.tar, entry, verdict)
    if not data:
        return
    if len(lines) != entry["samples"]:
        verdict.add("count", INDEX_NAME, f"has {len(lines)} samples of {name.tar}, the record says {entry['samples']}")
    try:
        tar = read_tar(data)
    except ValueError as error:
        verdict.add("tar", name.tar, str(error))
        return
    verdict.samples += len(tar.samples)
    if len(tar.samples) != entry["samples"]:
        verdict.add("count", name.tar, f"holds {len(tar.samples)} samples, the record says {entry['samples']}")
    wrong = [message for message in _differences(tar.samples, lines, name, origin) if message]
    for message in wrong[:MOST_PER_SHARD]:
        verdict.add("sample", name.tar, message)
    if len(wrong) > MOST_PER_SHARD:
        verdict.add("sample", name.tar, f"{len(wrong) - MOST_PER_SHARD} more samples are wrong")
    _check_companions(path, name, entry, tar, verdict)


Sample = tuple[str, dict[str, bytes], dict[str, Member]]


def _differences(
    found: Sequence[Sample], lines: Sequence[Mapping[str, Any]], name: ShardName, origin: _Origin
) -> Iterator[str]:
    """What is wrong with single samples."""
    expected = {line["key"]: line for line in lines}
    for key, parts, places in found:
        line = expected.pop(key, None)
        if line is None:
            yield f"{key} is not in the index, or comes twice"
        else:
            yield _difference(key, parts, places, line, name, origin)
    for key in expected:
        yield f"{key} is in the index but not in the tar"


def _difference(
    key: str,
    parts: Mapping[str, bytes],
    places: Mapping[str, Member],
    line: Mapping[str, Any],
    name: ShardName,
    origin: _Origin,
) -> str:
    """What is wrong with one sample; empty if nothing is."""
    try:
        description = decode(parts["json"], dict[str, Any])
        made = index_line(key, name.tar, description, places, parts["jpg"])
        label = int(parts["cls"])
        of_removed = descends_from(description, origin.removed, origin.pid_of)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{key}: its json or cls member is damaged"
    changed = sorted(field for field in {*made, *line} if made.get(field) != line.get(field))
    if changed:
        return f"{key} differs from its index line in {', '.join(changed)}"
    if label != line["cls"]:
        return f"{key}: its cls member says {label}, the index {line['cls']}"
    if line["kind"] == "virtual" and len(set(line["parents"])) != 2:
        return f"{key} does not have two different parents"
    return f"{key} descends from someone who was removed" if of_removed else ""


def _check_companions(
    path: Path, name: ShardName, entry: Mapping[str, Any], tar: ReadTar, verdict: ShardVerification
) -> None:
    """The tar's own index lines, and the index for DALI."""
    own, dali = index_path(path, name), dali_path(path, name)
    if not own.is_file() or sha256_bytes(own.read_bytes()) != entry["index_sha256"]:
        verdict.add("hash", f"{SHARDS_FOLDER}/{own.name}", "is missing or does not have the recorded hash")
    if not dali.is_file() or dali.read_bytes() != tar.dali:
        verdict.add("dali", f"{SHARDS_FOLDER}/{dali.name}", "is missing or does not fit its tar")


def _check_counts(record: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], verdict: ShardVerification) -> None:
    kinds = {kind: [line["cls"] for line in lines if line["kind"] == kind] for kind in record["kinds"]}
    pairs = [
        ("samples", record["samples"], len(lines)),
        ("samples of the shards", sum(entry["samples"] for entry in record["shards"]), len(lines)),
        ("classes", record["classes"], len({line["cls"] for line in lines})),
        ("keys", len(lines), len({line["key"] for line in lines})),
    ]
    for kind, labels in kinds.items():
        counts = record["kinds"][kind]
        pairs += [(f"{kind} samples", counts["samples"], len(labels))]
        pairs += [(f"{kind} classes", counts["classes"], len(set(labels)))]
    for what, recorded, counted in pairs:
        if recorded != counted:
            verdict.add("count", RECORD_NAME, f"says {recorded} {what}, there are {counted}")


def _check_people(lines: Sequence[Mapping[str, Any]], origin: _Origin, verdict: ShardVerification) -> None:
    """One person number is one outfit on one body, and is made of its parents' numbers in that order."""
    wrong = list(_wrong_people([line for line in lines if line["kind"] == "virtual"], origin.pid_of))
    for message in wrong[:MOST_PER_SHARD]:
        verdict.add("person", INDEX_NAME, message)
    if len(wrong) > MOST_PER_SHARD:
        verdict.add("person", INDEX_NAME, f"{len(wrong) - MOST_PER_SHARD} more samples have a wrong person number")


def _wrong_people(lines: Sequence[Mapping[str, Any]], pid_of: Mapping[str, str]) -> Iterator[str]:
    worn: dict[str, tuple[Any, ...]] = {}
    width = max(map(len, pid_of.values()), default=0)
    for line in lines:
        key, pid, parents, outfit = line["key"], line["pid"], line["parents"], (line["parents"], line["mix"])
        first, *others = (pid_of.get(source) for source in line["sources"])
        if worn.setdefault(pid, outfit) != outfit:
            yield f"{key}: person {pid} has another body or other clothes in another sample"
        elif pid != "".join(parent.zfill(width) for parent in parents):
            yield f"{key}: person {pid} is not numbered by {' and '.join(parents)}"
        elif pid_of and (first != parents[0] or set(others) != {parents[1]}):
            yield f"{key}: its sources are not photos of {' and '.join(parents)}"


def _check_strays(path: Path, names: Sequence[ShardName], verdict: ShardVerification) -> None:
    wanted = {f"{name.stem}{suffix}" for name in names for suffix in SHARD_SUFFIXES}
    folder = path / SHARDS_FOLDER
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name not in wanted:
            verdict.add("stray", f"{SHARDS_FOLDER}/{file.name}", "belongs to no shard of the record", "warning")
