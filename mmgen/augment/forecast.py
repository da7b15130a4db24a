"""What a run will cost, measured on a sample of its own photos. Writes nothing to the output folder."""

import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmgen.augment.drawing import ViewRenderer
from mmgen.augment.encoding import EncodingJob
from mmgen.augment.folder import check_folder
from mmgen.augment.plan import Plan, ResolvedPlan, fixed_pairs
from mmgen.augment.running import AugmentConfig, settle
from mmgen.augment.samples import describe_view, index_line, line_bytes, member_bytes, view_key
from mmgen.augment.shard_writer import jpeg_bytes
from mmgen.augment.store import BLOCK_PHOTOS, StoreReader, store_of
from mmgen.augment.tar import TarBuilder
from mmgen.work.engine import one_thread

MEASURED_SETS = 24


@dataclass(frozen=True)
class AugmentForecast:
    """What is left to do, and what it takes.

    Attributes:
        samples_todo: samples to write, as if none were there.
        shards_seconds: seconds that the shards take.
        views_per_second: views drawn and written per second, all workers together.
        store_bytes: bytes of the store of reconstructed photos beside the shards.
        milliseconds: per photo (reconstruct) or per view (draw, jpeg, describe), on one core.
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
    milliseconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def forecast(request: AugmentConfig) -> AugmentForecast:
    """Reconstruct one block and draw some sets of its people, twice (the first time may compile), and multiply.

    Raises:
        FatalError: as from `check_folder`, or `no_usable_photos` in the measured block.
    """
    check_folder(request.out, request.plan, request.weights_sha256, request.overwrite)
    store = store_of(request.plan, request.root, request.out, request.weights_sha256)
    photos_todo = sum(len(store.range_of(block)) for block in store.missing())
    with tempfile.TemporaryDirectory() as folder, one_thread():
        milliseconds, view_bytes, photo_bytes = _measure(request, Path(folder))
    plan, workers = request.plan, request.workers
    pairs = fixed_pairs(plan)
    sets = len(plan.photos) if pairs is None else len(ResolvedPlan(plan, pairs).sets)
    views = sets * len(plan.options.look.turns_deg)
    samples = views + (len(plan.photos) if plan.options.with_real else 0)
    per_view = sum(value for name, value in milliseconds.items() if name != "reconstruct") / 1000
    reconstruct = photos_todo * milliseconds["reconstruct"] / 1000 / workers
    return AugmentForecast(
        photos_todo=photos_todo,
        samples_todo=samples,
        workers=workers,
        seconds=round(reconstruct + views * per_view / workers, 1),
        reconstruct_seconds=round(reconstruct, 1),
        shards_seconds=round(views * per_view / workers, 1),
        views_per_second=round(workers / per_view, 1),
        bytes=round(samples * view_bytes),
        store_bytes=round(len(plan.photos) * photo_bytes),
        milliseconds={name: round(value, 3) for name, value in milliseconds.items()},
    )


def _measure(request: AugmentConfig, folder: Path) -> tuple[dict[str, float], float, float]:
    """Milliseconds per photo or view, bytes per view in the shards, bytes per photo in the store."""
    sample = Plan(replace(request.plan.options, limit=None), _spread(request.plan))
    store = store_of(sample, request.root, folder, request.weights_sha256)
    encoder = EncodingJob(sample, request.root, store, request.weights, request.device)()
    weights = encoder.predict.weights
    for _ in range(2):
        started = time.perf_counter()
        values, notes = encoder.encode(store.range_of(0))
        reconstruct = (time.perf_counter() - started) / len(notes)
    store.write(0, values, notes)
    settled = settle(sample, StoreReader(store))
    drawer = ViewRenderer(sample, StoreReader(store), weights)
    spent, size = {"draw": 0.0, "jpeg": 0.0, "describe": 0.0}, 0
    for _ in range(2):
        spent, size = _draw(settled, drawer, weights.sha256)
    views = min(MEASURED_SETS, len(settled.sets)) * len(sample.options.look.turns_deg)
    per_view = {name: 1000 * seconds / max(1, views) for name, seconds in spent.items()}
    return {"reconstruct": 1000 * reconstruct, **per_view}, size / max(1, views), values.itemsize


def _draw(settled: ResolvedPlan, drawer: ViewRenderer, weights_sha256: str) -> tuple[dict[str, float], int]:
    """Seconds per part of the work on some sets, and bytes of their tar and index."""
    spent, tar, index_bytes = {"draw": 0.0, "jpeg": 0.0, "describe": 0.0}, TarBuilder(), 0
    for virtual in settled.sets[:MEASURED_SETS]:
        began = time.perf_counter()
        views = drawer.draw(virtual)
        drawn = time.perf_counter()
        pictures = [jpeg_bytes(view.image, settled.plan.options.look.jpeg_quality) for view in views]
        encoded = time.perf_counter()
        for view, jpg in zip(views, pictures, strict=True):
            key, description = (
                view_key(virtual, view),
                describe_view(settled, virtual, view, weights_sha256),
            )
            members = tar.add(key, {"cls": b"0", "jpg": jpg, "json": member_bytes(description)})
            index_bytes += len(line_bytes(index_line(key, "", description, members, jpg)))
        described = time.perf_counter()
        for name, seconds in zip(spent, (drawn - began, encoded - drawn, described - encoded), strict=True):
            spent[name] += seconds
    return spent, len(tar.getvalue()) + index_bytes


def _spread(plan: Plan) -> tuple[Any, ...]:
    """One block of photos from all over the data set."""
    step = max(1, len(plan.photos) // BLOCK_PHOTOS)
    return plan.photos[::step][:BLOCK_PHOTOS]
