"""A whole run: reconstruct every photo once, choose pairs, write tars, record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgen.augment.accounting import account
from mmgen.augment.encoding import BlockReport, EncodingJob
from mmgen.augment.finalize import ShardProvenance, close_folder
from mmgen.augment.folder import (
    check_folder,
    drop_record,
    is_finished,
    read_record,
    shards_key,
    write_plan,
    write_sources,
)
from mmgen.augment.mixing import texture_changes
from mmgen.augment.plan import Plan, ResolvedPlan, choose_hardest_half, fixed_pairs
from mmgen.augment.poses import check_joints
from mmgen.augment.shard_writer import ShardJob
from mmgen.augment.shards import ShardEntry, ShardName
from mmgen.augment.store import PhotoNote, Store, StoreReader, store_of
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes
from mmgen.core.version import __version__
from mmgen.models.weights import load_weights
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.engine import Callbacks, Ending, run_chunks
from mmgen.work.locks import run_lock
from mmgen.work.pool import kept_processes
from mmgen.work.records import Shard

FINISHED = Ending()
WHOLE = Shard()


@dataclass(frozen=True)
class AugmentConfig:
    """What to run.

    Attributes:
        device: `cpu` or `cuda:N`.
        overwrite: make shards again, and replace those of other settings.
    """

    plan: Plan
    root: Path
    out: Path
    weights: Path
    weights_sha256: str
    device: str
    workers: int = 1
    shard: Shard = WHOLE
    overwrite: bool = False


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        record: content of `record.json`; None while parts are missing.
        stage_seconds: wall time per stage.
        shards_missing: tars that are still to make, by any part.
    """

    ending: Ending = FINISHED
    record: dict[str, Any] | None = None
    failures: tuple[PhotoNote, ...] = ()
    photos_done: int = 0
    views_done: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    shards_missing: int = 0

    @property
    def exit_code(self) -> int:
        """0 all good, 3 some photos could not be used, 4 nothing could be done, 130 interrupted."""
        if self.ending.interrupted:
            return 130
        if self.ending.fatal is not None:
            return 4
        return 3 if self.failures else 0


def run_augmentation(request: AugmentConfig, listener: RunCallbacks) -> Outcome:
    """Do what is left to do of this part, and finish the folder where nothing is left of any part.

    The bytes of the folder are the same whatever the workers, the parts and the interruptions.

    Raises:
        FatalError: the folder holds something else, another run works in it, no photo can be used, or the mesh has no
            joints for the poses that are asked for.
    """
    if request.plan.options.look.poses != "source":
        check_joints(load_weights(request.weights).encoder.prototype, request.plan.options.look.poses)
    with run_lock(request.out, request.shard), kept_processes():
        removed = check_folder(request.out, request.plan, request.weights_sha256, request.overwrite)
        write_plan(request.out, request.plan, request.weights_sha256, removed)
        outcome = Outcome()
        if not request.overwrite and is_finished(request.out, request.plan, request.weights_sha256, removed):
            outcome.record = read_record(request.out)
            return outcome
        store = store_of(request.plan, request.root, request.out, request.weights_sha256)
        outcome.ending = _encode(request, store, listener, outcome)
        if store.missing() or outcome.ending != FINISHED:
            return outcome
        store.sweep()
        outcome.failures = tuple(note for note in store.notes() if note.error)
        sources = write_sources(request.out, request.plan, store, removed)
        job = _job(request, store, sources, removed)
        outcome.ending = _write(request, job, listener, outcome)
        if outcome.ending == FINISHED:
            _finish(request, job, sources, outcome)
    return outcome


def settle(plan: Plan, reader: StoreReader) -> ResolvedPlan:
    """Choose the pairs and drop unusable photos.

    Raises:
        FatalError: `no_usable_photos`.
    """
    usable = reader.usable()
    if not usable.any():
        raise FatalError(
            "no_usable_photos",
            "none of the training photos could be reconstructed",
            "sources.jsonl says why; most often masks are missing: see --masks.",
        )
    pairs = fixed_pairs(plan)
    if pairs is None:
        pairs = choose_hardest_half(plan, texture_changes(plan, reader))
    return ResolvedPlan(plan, pairs, frozenset(index for index, good in enumerate(usable) if not good))


def _encode(request: AugmentConfig, store: Store, listener: RunCallbacks, outcome: Outcome) -> Ending:
    missing = store.missing()
    part = request.shard
    own = [block for block in missing if block % part.count == part.index]
    others = [block for block in reversed(missing) if block % part.count != part.index]
    listener.stage("reconstruct", sum(len(store.range_of(block)) for block in missing))

    def deliver(report: BlockReport) -> None:
        outcome.photos_done += report.photos if report.is_new else 0
        listener.advanced(report.photos)

    started = time.monotonic()
    encode = EncodingJob(request.plan, request.root, store, request.weights, request.device)
    callbacks: Callbacks[int, BlockReport] = Callbacks(deliver, _lost, listener.stopping)
    ending = run_chunks([[block] for block in own + others], encode, request.workers, callbacks)
    outcome.stage_seconds["reconstruct"] = time.monotonic() - started
    return ending


def _job(request: AugmentConfig, store: Store, sources: bytes, removed: Sequence[str]) -> ShardJob:
    settled = settle(request.plan, StoreReader(store))
    key = shards_key(request.plan, sources, request.weights_sha256, removed)
    return ShardJob(settled, tuple(removed), request.root, request.out, store, request.weights, request.device, key)


def _write(request: AugmentConfig, job: ShardJob, listener: RunCallbacks, outcome: Outcome) -> Ending:
    part = request.shard
    own = [name for position, name in enumerate(job.names) if position % part.count == part.index]
    todo = [name for name in own if request.overwrite or job.finished(name) is None]
    if todo:
        drop_record(request.out)
    listener.stage("shards", sum(job.planned_samples(name) for name in todo))

    def deliver(entry: ShardEntry) -> None:
        outcome.views_done += entry.samples
        listener.advanced(entry.samples)

    started = time.monotonic()
    callbacks: Callbacks[ShardName, ShardEntry] = Callbacks(deliver, _lost, listener.stopping)
    ending = run_chunks([[name] for name in todo], job, request.workers, callbacks)
    outcome.stage_seconds["shards"] = time.monotonic() - started
    return ending


def _finish(request: AugmentConfig, job: ShardJob, sources: bytes, outcome: Outcome) -> None:
    entries: dict[ShardName, ShardEntry] = {}
    for name in job.names:
        entry = job.finished(name)
        if entry is None:
            outcome.shards_missing += 1
        else:
            entries[name] = entry
    if outcome.shards_missing:
        return
    generator = {
        "mmgen": __version__,
        "weights_sha256": request.weights_sha256,
        "plan_sha256": request.plan.sha256,
        "sources_sha256": sha256_bytes(sources),
    }
    options, accounting = request.plan.options.to_dict(), account(job.settled).to_dict()
    origin = ShardProvenance(options, accounting, generator, job.removed, request.root)
    outcome.record = close_folder(request.out, entries, origin)


def _lost(item: object, error: ItemError) -> None:
    raise FatalError(error.code, f"block or shard {item}: {error.message}", error.hint)
