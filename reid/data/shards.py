"""Virtual (and real) people in shards: plain tars with an index of byte offsets. Nothing in them is unpickled or run.

The folder holds `record.json` (counts and hashes), `index.jsonl` (one line per sample) and the tars that it names; the
format is that of `mmgen augment-reid`. Images are read at their offsets, so that any order costs the same.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reid.data.photos import Photo
from reid.data.pixels import LARGEST_BYTES
from reid.errors import ReidError

RECORD, INDEX = "record.json", "index.jsonl"
SCHEMA = "mmgen.shards/1"
SHARD_NAME = re.compile(r"shards/[A-Za-z0-9_-]+\.tar")
"""Everything else is refused: absolute paths, `..`, and `pipe:` commands above all."""

LONGEST_LINE = 1 << 20
MOST_CLASSES = 10_000_000

_STRANGE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a line of strangers may raise."""


def read_shards(root: Path) -> tuple[Photo, ...]:
    """List the samples of a shard folder, in the order of its index.

    Raises:
        ReidError: `shards_missing`, `shards_incomplete`, `shards_damaged`, `shard_name`.
    """
    record = _record(root)
    text = _index_bytes(root, record)
    sizes: dict[str, int] = {}
    photos = []
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LONGEST_LINE:
            raise _damaged(root, f"line {number} of {INDEX} has {len(line):,} bytes")
        try:
            photos.append(_photo(root, json.loads(line), sizes))
        except _STRANGE as error:
            raise _damaged(root, f"line {number} of {INDEX} is no sample ({type(error).__name__}: {error})") from error
    if len(photos) != record["samples"]:
        raise _damaged(root, f"{INDEX} lists {len(photos)} samples, {RECORD} {record['samples']}")
    return tuple(photos)


def is_shard_folder(root: Path) -> bool:
    """Whether there is a record or an index of shards."""
    return (root / RECORD).is_file() or (root / INDEX).is_file()


def _record(root: Path) -> dict[str, Any]:
    try:
        record = json.loads(_read_file(root / RECORD))
    except FileNotFoundError as error:
        if (root / INDEX).is_file() or (root / "shards").is_dir():
            raise _incomplete(root) from error
        raise ReidError(
            "shards_missing", f"{root} holds no {RECORD}", "Give a folder that `mmgen augment-reid` wrote."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(root, f"{RECORD} cannot be read: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise _damaged(root, f"{RECORD} is not of schema {SCHEMA}")
    if not isinstance(record.get("index"), dict) or not isinstance(record.get("samples"), int):
        raise _damaged(root, f"{RECORD} lacks the number of samples, or the hash of {INDEX}")
    if record.get("complete") is not True:
        raise _incomplete(root)
    return record


def _read_file(path: Path) -> bytes:
    """A regular file; reading a pipe would wait for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    return path.read_bytes()


def _index_bytes(root: Path, record: Mapping[str, Any]) -> bytes:
    try:
        data = _read_file(root / INDEX)
    except OSError as error:
        raise _damaged(root, f"{INDEX} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != record["index"].get("sha256"):
        raise _damaged(root, f"{INDEX} is not the one that {RECORD} was written for")
    return data


def _photo(root: Path, line: Mapping[str, Any], sizes: dict[str, int]) -> Photo:
    shard = line["shard"]
    if not isinstance(shard, str) or not SHARD_NAME.fullmatch(shard):
        raise ReidError("shard_name", f"{root / INDEX} names the shard {shard!r}", "Do not use this folder.")
    path = os.path.join(root, *shard.split("/"))
    if path not in sizes:
        try:
            sizes[path] = os.stat(path).st_size
        except OSError as error:
            raise _damaged(root, f"{shard} is missing") from error
    offset, size = (int(value) for value in line["jpg"])
    if offset < 0 or size <= 0 or offset + size > sizes[path]:
        raise _damaged(root, f"{shard} is shorter than {INDEX} says")
    if size > LARGEST_BYTES:
        raise ValueError(f"an image of {size:,} bytes")
    label = line.get("cls", 0)
    if type(label) is not int or not 0 <= label < MOST_CLASSES:
        raise ValueError(f"cls is {str(label)[:40]!r}, no class number")
    is_virtual = line["kind"] == "virtual"
    parents = tuple(str(parent) for parent in line["parents"])
    camera = int(line["camid"])
    return Photo(
        identity=str(line["pid"]),
        camera=camera,
        path=path,
        offset=offset,
        size=size,
        kind="virtual" if is_virtual else "real",
        parents=parents if is_virtual else (),
        parent_weights=_weights(line["mix"], len(parents)) if is_virtual else (),
        group=f"set {line['set']}" if is_virtual else f"camera {camera}",
        quality={name: float(value) for name, value in (line["quality"] or {}).items()},
        sha256=str(line["jpg_sha256"]),
    )


def _weights(mix: Mapping[str, Any] | None, parents: int) -> tuple[float, ...]:
    """Shares of the parents; a swapped region counts as half."""
    if parents == 2 and mix and "own_weight" in mix:
        own = float(mix["own_weight"])
        return (own, 1 - own)
    return (1 / parents,) * parents


def _incomplete(root: Path) -> ReidError:
    return ReidError(
        "shards_incomplete", f"the shards in {root} are not finished", "Run `mmgen augment-reid` again; it goes on."
    )


def _damaged(root: Path, reason: str) -> ReidError:
    return ReidError(
        "shards_damaged", f"the shards in {root} are damaged: {reason}", "See `mmgen verify` of that folder."
    )
