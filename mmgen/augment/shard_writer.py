"""Makes tars out of a settled plan; each is a pure function of plan, photos and weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmgen.augment.capture import JPEG_SUBSAMPLINGS, Compression
from mmgen.augment.drawing import ViewRenderer
from mmgen.augment.plan import ResolvedPlan
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
from mmgen.augment.shards import (
    BuiltShard,
    Kind,
    ShardEntry,
    ShardName,
    built_shard,
    finished_entry,
    index_path,
    write_shard,
)
from mmgen.augment.store import Store, StoreReader
from mmgen.augment.tar import TarBuilder
from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file
from mmgen.core.outputs import image_bytes
from mmgen.models.weights import Weights, load_weights
from mmgen.photos.images import read_image


@dataclass(frozen=True)
class ShardJob:
    """What a process needs to make tars; picklable.

    Attributes:
        removed: people who must not be in them, nor anything that descends from them.
        device: `cpu` or `cuda:N`.
        key: hash of all that decides their bytes.
    """

    settled: ResolvedPlan
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
        entry = finished_entry(self.out, name, self.key)
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
        self._drawer = ViewRenderer(job.settled.plan, StoreReader(job.store), weights)
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
        for virtual in settled.virtual_shards[number]:
            for view in self._drawer.draw(virtual):
                description = describe_view(settled, virtual, view, self._weights.sha256)
                yield view_key(virtual, view), description, jpeg_bytes(view.image, view.compression)

    def _real(self, number: int) -> Iterator[tuple[str, Description, bytes]]:
        settled = self._job.settled
        for index in settled.real_shards[number]:
            photo = settled.plan.photos[index]
            try:
                jpg = jpeg_of_photo(self._job.root / photo.path, Compression(settled.plan.options.look.jpeg_quality))
            except ItemError:
                continue  # the first stage has noted it
            yield f"real/{photo.pid}/{photo.stem}", describe_photo(settled, index), jpg


def jpeg_bytes(image: np.ndarray, compression: Compression) -> bytes:
    """A picture as JPEG."""
    subsampling = JPEG_SUBSAMPLINGS[compression.subsampling]
    return image_bytes(image, "JPEG", quality=compression.quality, subsampling=subsampling)


def jpeg_of_photo(path: Path, compression: Compression) -> bytes:
    """The photo's own bytes where it is an upright JPEG, else the photo as JPEG.

    Raises:
        ItemError: it cannot be read.
    """
    photo = read_image(path)
    data = path.read_bytes()
    is_jpeg = data.startswith(b"\xff\xd8\xff") and photo.orientation == 1
    return data if is_jpeg else jpeg_bytes(photo.rgb, compression)
