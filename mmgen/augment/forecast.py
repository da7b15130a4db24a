"""What a run will cost: a count, and one timed sample of its own photos. Writes nothing to the output folder."""

import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmgen.augment.encoding import EncodingJob
from mmgen.augment.folder import check_folder
from mmgen.augment.plan import Plan, ResolvedPlan, fixed_pairs
from mmgen.augment.running import AugmentConfig, settle
from mmgen.augment.shard_writer import ShardJob
from mmgen.augment.shards import ShardName
from mmgen.augment.store import BLOCK_PHOTOS, StoreReader, store_of
from mmgen.work.engine import one_thread

MEASURED_SETS = 24


@dataclass(frozen=True)
class AugmentForecast:
    """What is left to do, and what it takes.

    Attributes:
        photos_todo: photos to reconstruct.
        samples_todo: samples to write, as if none were there.
        reconstruct_seconds: of the first stage.
        shards_seconds: of the second.
        views_per_second: of the second, all workers together.
        bytes: of the shards.
        store_bytes: of the reconstructed photos kept beside them.
    """

    photos_todo: int
    samples_todo: int
    workers: int
    seconds: float
    reconstruct_seconds: float
    shards_seconds: float
    views_per_second: float
    bytes: int
    store_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Sample:
    """Seconds per photo and per view on one core; bytes of a view in the shards and of a photo in the store."""

    photo_seconds: float
    view_seconds: float
    view_bytes: float
    photo_bytes: int


def forecast(request: AugmentConfig) -> AugmentForecast:
    """Reconstruct one block, make one small tar of its people, and multiply.

    Raises:
        FatalError: as from `check_folder`, or `no_usable_photos` in the measured block.
    """
    check_folder(request.out, request.plan, request.weights_sha256, request.overwrite)
    store = store_of(request.plan, request.root, request.out, request.weights_sha256)
    photos_todo = sum(len(store.range_of(block)) for block in store.missing())
    with tempfile.TemporaryDirectory() as folder, one_thread():
        sample = _measure(request, Path(folder))
    plan, workers = request.plan, request.workers
    pairs = fixed_pairs(plan)
    sets = len(plan.photos) if pairs is None else len(ResolvedPlan(plan, pairs).sets)
    views = sets * len(plan.options.look.turns_deg)
    samples = views + (len(plan.photos) if plan.options.with_real else 0)
    reconstruct, shards = photos_todo * sample.photo_seconds / workers, views * sample.view_seconds / workers
    return AugmentForecast(
        photos_todo=photos_todo,
        samples_todo=samples,
        workers=workers,
        seconds=round(reconstruct + shards, 1),
        reconstruct_seconds=round(reconstruct, 1),
        shards_seconds=round(shards, 1),
        views_per_second=round(workers / sample.view_seconds, 1),
        bytes=round(samples * sample.view_bytes),
        store_bytes=len(plan.photos) * sample.photo_bytes,
    )


def _measure(request: AugmentConfig, folder: Path) -> _Sample:
    tar_samples = MEASURED_SETS * len(request.plan.options.look.turns_deg)
    options = replace(request.plan.options, limit=None, with_real=False, samples_per_shard=tar_samples)
    plan = Plan(options, _spread(request.plan))
    store = store_of(plan, request.root, folder, request.weights_sha256)
    encoder = EncodingJob(plan, request.root, store, request.weights, request.device)()
    started = time.perf_counter()
    values, notes = encoder.encode(store.range_of(0))
    photo_seconds = (time.perf_counter() - started) / len(notes)
    store.write(0, values, notes)
    settled = settle(plan, StoreReader(store))
    maker = ShardJob(settled, (), request.root, folder, store, request.weights, request.device, key="")()
    started = time.perf_counter()
    built = maker.build(ShardName("virtual", 0))
    views = max(1, built.entry.samples)
    view_seconds = (time.perf_counter() - started) / views
    return _Sample(photo_seconds, view_seconds, (len(built.tar) + len(built.index)) / views, values.itemsize)


def _spread(plan: Plan) -> tuple[Any, ...]:
    """One block of photos from all over the data set."""
    step = max(1, len(plan.photos) // BLOCK_PHOTOS)
    return plan.photos[::step][:BLOCK_PHOTOS]
