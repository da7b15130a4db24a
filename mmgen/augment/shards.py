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
    pid           "0002"; virtual: both parents, the smaller number first: "00020007"
    cls           0..classes-1: the real identities of the training set in sorted order first (all of them, whether
                  or not their images are here), then the virtual ones in sorted order. After a removal numbers stay
                  and leave gaps
    camid         1.. of real images as in the file name; -1 of virtual ones
    parents       ["0002"] of real images, ["0002", "0007"] of virtual ones: first who lent shape, camera and light,
                  second who lent texture
    sources       paths in the data set: the photo itself; virtual: the shape source first, then all texture sources
    set           number of the set (one pair of sources, all its views); -1 of real images
    mix           null, or {"mode": "blend", "own_weight": 0.5} (weight of the first parent's texture), or
                  {"mode": "regions", "swapped": "upper"} (that part of the clothing is the second parent's)
    view          null, or {"turn_deg": -60, "azimuth_deg", "elevation_deg", "distance"}: turn against the source pose,
                  then the camera that was used
    background    null, or {"mode": "own" or "other", "source": path}: a photo with its person painted out
    seed          null, or the set's seed
    quality       null, or {"mask_area": 0..1 of the image, "folded": 0..1 share of faces turned inside out,
                  "source_iou": 0..1 overlap of the shape source's silhouette with its mask,
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

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mmgen.augment.drawing import SetDrawer
from mmgen.augment.plan import SettledPlan
from mmgen.augment.samples import (
    Description,
    descends_from,
    describe_photo,
    describe_view,
    index_line,
    line_bytes,
    member_bytes,
    view_key,
)
from mmgen.augment.store import Store, StoreReader
from mmgen.augment.tar import TarBuilder
from mmgen.errors import ItemError
from mmgen.files import sha256_bytes, sha256_file, write_bytes_atomic, write_text_atomic
from mmgen.images import read_image
from mmgen.locks import STATE_FOLDER
from mmgen.weights import Weights, load_weights

SHARDS_FOLDER = "shards"
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


@dataclass(frozen=True)
class ShardJob:
    """What a process needs to make tars; picklable.

    Attributes:
        settled: what goes into them.
        removed: people who must not be in them, nor anything that descends from them.
        root: of the data set.
        out: folder of the shards.
        store: where the photos' attributes are.
        weights: file.
        device: `cpu` or `cuda:N`.
        key: hash of all that decides their bytes.
    """

    settled: SettledPlan
    removed: tuple[str, ...]
    root: Path
    out: Path
    store: Store
    weights: Path
    device: str
    key: str

    def __call__(self) -> "ShardMaker":
        """Load mesh and attributes."""
        return ShardMaker(self, load_weights(self.weights, self.device))

    @property
    def names(self) -> tuple[ShardName, ...]:
        """Every tar of the folder."""
        settled = self.settled
        kinds: tuple[tuple[Kind, int], ...] = (
            ("real", len(settled.real_shards)),
            ("virtual", len(settled.virtual_shards)),
        )
        return tuple(ShardName(kind, number) for kind, count in kinds for number in range(count))

    def planned_samples(self, name: ShardName) -> int:
        """Samples of a tar if nobody is removed and every photo can be read."""
        if name.kind == "real":
            return len(self.settled.real_shards[name.number])
        return len(self.settled.virtual_shards[name.number]) * len(self.settled.plan.options.look.turns_deg)

    def finished(self, name: ShardName) -> ShardEntry | None:
        """The entry of a tar that was made with this very key and still has its bytes; else None."""
        entry = read_state(self.out, name, self.key)
        if entry is None or entry.samples == 0:
            return entry
        try:
            same = sha256_file(self.out / entry.name) == entry.sha256
            return entry if same and sha256_file(index_path(self.out, name)) == entry.index_sha256 else None
        except OSError:
            return None


class ShardMaker:
    """Makes tars; each is a pure function of the settled plan, the photos and the weights."""

    def __init__(self, job: ShardJob, weights: Weights) -> None:
        self._job = job
        self._weights = weights
        self._drawer = SetDrawer(job.settled.plan, StoreReader(job.store), weights)
        self._pid_of = {photo.path: photo.pid for photo in job.settled.plan.photos}

    def __call__(self, names: Sequence[ShardName]) -> Iterator[tuple[int, ShardEntry]]:
        """Make and write tars."""
        for position, name in enumerate(names):
            built = self.build(name)
            write_shard(self._job.out, name, built, self._job.key)
            yield position, built.entry

    def build(self, name: ShardName) -> BuiltShard:
        """One tar in memory."""
        samples = self._real(name.number) if name.kind == "real" else self._virtual(name.number)
        tar, lines = TarBuilder(), []
        for key, description, jpg in samples:
            if descends_from(description, self._job.removed, self._pid_of):
                continue
            parts = {"cls": str(description["cls"]).encode(), "jpg": jpg, "json": member_bytes(description)}
            lines.append(line_bytes(index_line(key, name.tar, description, tar.add(key, parts), jpg)))
        return built_shard(name, tar, b"".join(lines))

    def _virtual(self, number: int) -> Iterator[tuple[str, Description, bytes]]:
        settled = self._job.settled
        quality = settled.plan.options.look.jpeg_quality
        for virtual in settled.virtual_shards[number]:
            drawing = self._drawer.draw(virtual)
            for view in drawing.views:
                description = describe_view(settled, virtual, drawing.mix, view, self._weights.sha256)
                yield view_key(virtual, view), description, jpeg_bytes(view.image, quality)

    def _real(self, number: int) -> Iterator[tuple[str, Description, bytes]]:
        settled = self._job.settled
        for index in settled.real_shards[number]:
            photo = settled.plan.photos[index]
            try:
                jpg = jpeg_of_photo(self._job.root / photo.path, settled.plan.options.look.jpeg_quality)
            except ItemError:
                continue  # the first stage has noted it
            yield f"real/{photo.pid}/{photo.stem}", describe_photo(settled, index), jpg


def jpeg_bytes(image: np.ndarray, quality: int) -> bytes:
    """A picture as JPEG, colours at half resolution as cameras write them."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def jpeg_of_photo(path: Path, quality: int) -> bytes:
    """The photo's own bytes where it is an upright JPEG, else the photo as JPEG.

    Raises:
        ItemError: it cannot be read.
    """
    photo = read_image(path)
    data = path.read_bytes()
    is_jpeg = data.startswith(b"\xff\xd8\xff") and photo.orientation == 1
    return data if is_jpeg else jpeg_bytes(photo.rgb, quality)


def built_shard(name: ShardName, tar: TarBuilder, index: bytes) -> BuiltShard:
    """A tar with its index and entry."""
    data = tar.getvalue()
    entry = ShardEntry(name.tar, name.kind, len(tar.samples), len(data), sha256_bytes(data), sha256_bytes(index))
    return BuiltShard(entry, data, index, tar.dali_index())


def write_shard(out: Path, name: ShardName, built: BuiltShard, key: str) -> None:
    """Write the files of a tar; its state comes last and says that they are whole."""
    paths = (out / name.tar, dali_path(out, name), index_path(out, name))
    for path, data in zip(paths, (built.tar, built.dali, built.index), strict=True):
        if built.entry.samples:
            write_bytes_atomic(path, data)
        else:
            path.unlink(missing_ok=True)
    state = {"key": key, "entry": asdict(built.entry)}
    write_text_atomic(state_path(out, name), json.dumps(state, sort_keys=True))


def read_state(out: Path, name: ShardName, key: str) -> ShardEntry | None:
    """The entry that `write_shard` left for this key."""
    try:
        state: dict[str, Any] = json.loads(state_path(out, name).read_text(encoding="utf-8"))
        return ShardEntry(**state["entry"]) if state["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def index_path(out: Path, name: ShardName) -> Path:
    """The index lines of a tar."""
    return out / SHARDS_FOLDER / f"{name.stem}.jsonl"


def dali_path(out: Path, name: ShardName) -> Path:
    """The text index of a tar."""
    return out / SHARDS_FOLDER / f"{name.stem}.idx"


def state_path(out: Path, name: ShardName) -> Path:
    """Which key a tar was made with."""
    return out / STATE_FOLDER / SHARDS_FOLDER / f"{name.stem}.json"
