"""The shard folder that `mmgen augment-reid` writes: the contract between writer, `mmgen verify` and readers.

    market-3d/
      shards/virtual-000000.tar   plain USTAR; all views of one set stand together
      shards/virtual-000000.jsonl the lines of `index.jsonl` that belong to this tar
      shards/virtual-000000.idx   the same offsets as text for NVIDIA DALI (wds2idx v1.2)
      shards/real-000000.tar      the real training images, byte for byte; absent where not asked for
      index.jsonl                 one line per sample, in the order of `record.json`'s shards, then of offsets
      record.json                 counts and hashes; written last: where it is, the folder is complete
      plan.json                   options, photos, weights: what makes the same bytes again
      sources.jsonl               every training photo: hashes of image and mask, or what made it unusable
      README.md                   data card
      contact_sheet.jpg           virtual people beside their parents

**Tar members.** Per sample, adjacent and in this order: `KEY.cls`, `KEY.jpg`, `KEY.json`. Regular files, mode 0444,
mtime 0, uid and gid 0. A key is ASCII without dots, unique in the folder, relative, without `..`:
`virtual/00020007/0002_c1s1_000451_03+0007_c3s1_000551_02-000017-az-060` (pid, shape source, texture source, number of
the set, turn) or `real/0002/0002_c1s1_000451_03`. `cls` is the class number as decimal text. Nothing else is in a
tar, and nothing in it needs unpickling.

**Index line and `json` member.** JSON, sorted keys. The `json` member has these fields:

    schema        "mmgen.sample/1"
    kind          "real" or "virtual"
    pid           "0002"; virtual: who lends the body, then who lends clothes: "00020007" and "00070002" are two
                  people. All samples of a pid have the same parents and the same `mix`
    cls           0..classes-1: the real identities of the training set in sorted order first (all of them, whether
                  or not their images are here), then the virtual ones in sorted order. After a removal numbers stay
                  and leave gaps
    camid         1.. of real images as in the file name; -1 of virtual ones
    parents       ["0002"] of real images, ["0002", "0007"] of virtual ones: first who lent shape and camera,
                  second who lent texture
    sources       paths in the data set: the photo itself; virtual: the shape source first, then all texture sources
    set           number of the set (one pair of sources, all its views); -1 of real images
    mix           null, or {"mode": "blend", "own_weight": 0.5} (weight of the first parent's texture), or
                  {"mode": "regions", "swapped": "upper"} (that part of the clothing is the second parent's)
    view          null, or {"turn_deg": -60, "azimuth_deg", "elevation_deg", "distance"}: turn against the source pose,
                  then the camera that was used; "phase": 0..1 of the gait where it is not the photo's pose
    background    null, or {"mode": "own" or "other", "source": path}: a photo with its person painted out
    seed          null, or the set's seed
    quality       null, or {"mask_area": 0..1 of the image, "folded": 0..1 share of faces turned inside out,
                  "source_iou": 0..1 overlap of the shape source's soft silhouette with its mask,
                  "view_consistency": 0..1, the higher the more alike the clothes of all views}. Nothing is dropped when
                  written: thresholds belong to training
    generator     {"mmgen": version, "weights_sha256": hex}; null of real images

The index line has all of these but `generator` and `schema`, and in addition:

    key           the sample's key
    shard         "shards/virtual-000000.tar"
    jpg, json     [offset, size] of the member's data in the tar, in bytes: read them with `seek` and `read`
    jpg_sha256    of the image's bytes

**record.json.**

    schema        "mmgen.shards/1"
    complete      true
    samples, classes                 totals
    kinds         {"virtual": {"samples", "classes", "shards"}, "real": {...}}
    index         {"name": "index.jsonl", "samples", "bytes", "sha256"}
    shards        [{"name": "shards/virtual-000000.tar", "kind", "samples", "bytes", "sha256", "index_sha256"}, ...]
    accounting    images, identities, pairs, same-identity skips, sets, views, ... as in the data card
    generator     {"mmgen", "weights_sha256", "plan_sha256", "sources_sha256"}
    removed       identities taken out later by `--remove-identity`, sorted

Every tar is a pure function of plan, seed and weights; a reader needs `record.json` and `index.jsonl` only.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mmgen.augment.tar import TarBuilder
from mmgen.core.files import sha256_bytes, write_bytes_atomic
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.record_file import read_state, write_state

SHARDS_FOLDER = "shards"
TAR_NAME = re.compile(r"shards/(real|virtual)-([0-9]{6})\.tar")
"""The only names that are read: relative, no `pipe:`, no folders above."""

Kind = Literal["real", "virtual"]


@dataclass(frozen=True, order=True)
class ShardName:
    """One tar of a folder."""

    kind: Kind
    number: int

    @property
    def stem(self) -> str:
        """Of its files."""
        return f"{self.kind}-{self.number:06d}"

    @property
    def tar(self) -> str:
        """As records name it."""
        return f"{SHARDS_FOLDER}/{self.stem}.tar"


@dataclass(frozen=True)
class ShardEntry:
    """What `record.json` says about a tar; `samples` 0: there is no file, everyone in it was removed."""

    name: str
    kind: Kind
    samples: int
    bytes: int
    sha256: str
    index_sha256: str


@dataclass(frozen=True)
class BuiltShard:
    """The files of one tar, in memory, and its entry."""

    entry: ShardEntry
    tar: bytes
    index: bytes
    dali: bytes


def built_shard(name: ShardName, tar: TarBuilder, index: bytes) -> BuiltShard:
    """A tar with its index and entry."""
    data = tar.getvalue()
    entry = ShardEntry(name.tar, name.kind, len(tar.samples), len(data), sha256_bytes(data), sha256_bytes(index))
    return BuiltShard(entry, data, index, tar.dali_index())


def write_shard(out: Path, name: ShardName, built: BuiltShard, key: str) -> None:
    """Write the files of a tar; its state comes last and says that they are whole."""
    write_shard_files(out, name, built)
    write_state(state_path(out, name), key, asdict(built.entry))


def write_shard_files(out: Path, name: ShardName, built: BuiltShard) -> None:
    """Write a tar and its companions, or remove them where no sample is left."""
    paths = (out / name.tar, dali_path(out, name), index_path(out, name))
    for path, data in zip(paths, (built.tar, built.dali, built.index), strict=True):
        if built.entry.samples:
            write_bytes_atomic(path, data)
        else:
            path.unlink(missing_ok=True)


def finished_entry(out: Path, name: ShardName, key: str) -> ShardEntry | None:
    """The entry that `write_shard` left for this key."""
    return read_state(state_path(out, name), key, ShardEntry)


def index_path(out: Path, name: ShardName) -> Path:
    """The index lines of a tar."""
    return out / SHARDS_FOLDER / f"{name.stem}.jsonl"


def dali_path(out: Path, name: ShardName) -> Path:
    """The text index of a tar."""
    return out / SHARDS_FOLDER / f"{name.stem}.idx"


def state_path(out: Path, name: ShardName) -> Path:
    """Which key a tar was made with."""
    return out / STATE_FOLDER / SHARDS_FOLDER / f"{name.stem}.json"


def shard_named(tar: str) -> ShardName | None:
    """The shard of a name in a record; None for any name that we do not write."""
    match = TAR_NAME.fullmatch(tar)
    return None if match is None else ShardName("real" if match[1] == "real" else "virtual", int(match[2]))
