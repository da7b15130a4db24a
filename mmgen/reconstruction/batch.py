"""A whole batch run: plan, work, records, summary."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import path_of_name
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.conversion import Converter
from mmgen.reconstruction.job import Job, failure_record
from mmgen.reconstruction.planning import Plan, Redo, make_plan
from mmgen.reconstruction.standing import is_ours, is_removable
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.engine import Callbacks, Ending, Work, into_chunks, run_chunks
from mmgen.work.locks import run_lock
from mmgen.work.record_file import RecordWriter
from mmgen.work.records import MANIFEST, PhotoRecord, Record, Review, Shard, compact_manifest, read_records

CHUNK_ITEMS = 8
WHOLE = Shard()
FINISHED = Ending()


@dataclass(frozen=True)
class BatchConfig:
    """What to run.

    Attributes:
        items: This part's inputs, sorted.
        chunk_items: Most items that one worker takes at once.
        label: What the progress display calls the work.
        worker: Makes what a process does with its chunks, from the job; picklable.
    """

    items: Sequence[InputItem]
    job: Job
    shard: Shard = WHOLE
    workers: int = 1
    redo: Redo = "changed"
    chunk_items: int = CHUNK_ITEMS
    worker: Callable[[Job], Work[InputItem, Record]] = Converter
    label: str = "reconstruct"


@dataclass(frozen=True)
class ErrorCount:
    """How often one class of error came, with an example's words."""

    error: str
    count: int
    hint: str


@dataclass(frozen=True)
class Summary:
    """What became of a run's items.

    Attributes:
        ok: Photos with an asset in place, old and new.
        rejected: Photos with assets in `rejected/` only, old and new.
        failed: Inputs without an asset.
        skipped: How many of `ok` and `rejected` were there already.
        untouched: Inputs that an early end left over.
        left_out: Photos that have no part in the asset of their person.
        mean_mask_iou: Over `ok` and `rejected`; None if there are none.
        seconds: Wall time.
        assets: Meshes in place; more than `ok` where photos show several people.
        errors: The most frequent classes first.
    """

    ok: int
    rejected: int
    failed: int
    skipped: int
    untouched: int
    mean_mask_iou: float | None
    seconds: float
    assets: int = 0
    errors: tuple[ErrorCount, ...] = ()
    ending: Ending = FINISHED
    left_out: int = 0

    @property
    def exit_code(self) -> int:
        """0 all good, 3 some items failed or were rejected, 4 nothing could be done, 130 interrupted."""
        if self.ending.interrupted:
            return 130
        if self.ok + self.rejected == 0 and (self.failed or self.ending.fatal is not None):
            return 4
        return 3 if self.failed or self.rejected or self.left_out or self.ending.fatal else 0


def run_batch(batch: BatchConfig, listener: RunCallbacks) -> Summary:
    """Work on all items that are not done, and write a record for every item.

    Results and records are the same, times aside, whatever the number of workers, the parts and the interruptions.

    Raises:
        UsageError: a result of another run would be replaced.
        FatalError: another run works in the folder, its record is damaged, or the reconstructor cannot be made.
    """
    started = time.monotonic()
    out = batch.job.out
    with run_lock(out, batch.shard):
        records = read_records(out)
        items = [_with_choices(item, records.get(item.name)) for item in batch.items]
        batch = replace(batch, job=replace(batch.job, replaces_foreign=batch.redo == "all"))
        plan = make_plan(items, records, batch.job, batch.redo)
        ready = batch.worker(batch.job) if plan.todo else None
        people = [item for item in plan.todo if item.photos]
        if people:
            listener.note(f"{sum(len(item.photos) for item in people)} photos of {len(people)} people")
        if plan.done:
            listener.note(f"{len(plan.done)} of {len(plan.done) + len(plan.todo) + len(plan.moves)} are done already")
        taken = {item.output for item in items}
        gone = [record for record in records.values() if record.output not in taken and _has_no_photo(record)]
        if gone:
            listener.note(f"{len(gone)} older results stay whose photos are gone or renamed, such as {gone[0].output}")
        listener.stage(batch.label, len(plan.todo) + len(plan.moves))
        run = _Run(batch, listener, records)
        ending = run.work(plan, ready)
        _compact(out / batch.shard.manifest_name, ending, run.superseded())
    return run.summary(plan, ending, time.monotonic() - started)


def _has_no_photo(record: Record) -> bool:
    """Whether a result stands there, and none of the photos that it was made of do any more."""
    sources: tuple[Record | PhotoRecord, ...] = record.photos or (record,)
    places = [Path(path_of_name(one.root), path_of_name(one.input)) for one in sources if one.root]
    return bool(record.assets and places) and not any(place.exists() for place in places)


class _Run:
    def __init__(self, batch: BatchConfig, listener: RunCallbacks, before: Mapping[str, Record]) -> None:
        self._batch = batch
        self._listener = listener
        self._before = before
        self._claims = Counter(asset.output for record in before.values() for asset in record.assets)
        self._records: list[Record] = []

    def work(self, plan: Plan, ready: Work[InputItem, Record] | None) -> Ending:
        batch = self._batch
        with MANIFEST.writer(batch.job.out / batch.shard.manifest_name) as writer:
            deliver = partial(self._deliver, writer)
            for old, new in plan.moves:
                deliver(new if self._move(old, new) else old)
            chunks = into_chunks(plan.todo, batch.workers, batch.chunk_items)
            callbacks = Callbacks(deliver, partial(self._lose, deliver), self._listener.stopping)
            if ready is None:
                return FINISHED
            return run_chunks(chunks, partial(batch.worker, batch.job), batch.workers, callbacks, ready)

    def summary(self, plan: Plan, ending: Ending, seconds: float) -> Summary:
        everything = [*plan.done, *self._records]
        statuses = Counter(record.status for record in everything)
        overlaps = [record.mask_iou for record in everything if record.mask_iou is not None]
        return Summary(
            ok=statuses["ok"],
            rejected=statuses["rejected"],
            failed=statuses["failed"],
            skipped=len(plan.done),
            untouched=len(plan.todo) + len(plan.moves) - len(self._records),
            mean_mask_iou=sum(overlaps) / len(overlaps) if overlaps else None,
            seconds=seconds,
            assets=sum(asset.status == "ok" for record in everything for asset in record.assets),
            errors=_count_errors(everything),
            ending=ending,
            left_out=sum(photo.error is not None for record in everything for photo in record.photos),
        )

    def superseded(self) -> set[str]:
        """Inputs of an earlier run whose photos are gone, such as renamed, and whose places have new results."""
        places = {asset.output for record in self._records for asset in record.assets}
        before = self._before.keys() - {record.input for record in self._records}
        return {
            name
            for name in before
            if places.issuperset(asset.output for asset in self._before[name].assets)
            and _has_no_photo(self._before[name])
        }

    def _deliver(self, writer: RecordWriter[Record], record: Record) -> None:
        record = with_review_kept(record, self._before.get(record.input))
        try:
            writer.append(record)
        except OSError as error:
            hint = "Free space or check the rights there, then run the same command again; finished files are kept."
            raise FatalError(
                "out_unwritable", f"the run record cannot be written: {error.strerror or error}", hint
            ) from error
        self._records.append(record)
        self._drop_old_place(record)
        self._listener.finished(record)

    def _drop_old_place(self, record: Record) -> None:
        """Remove the asset of an older run from the other place: `rejected/`, or outside it."""
        old, out = self._before.get(record.input), self._batch.job.out
        if old is None or not record.assets:
            return
        here = {asset.output for asset in record.assets}
        for asset in old.assets:
            path = out / str(asset.output)
            if asset.output in here or not path.exists():
                continue
            if is_removable(out, asset) and self._claims[asset.output] == 1:
                path.unlink(missing_ok=True)
            else:
                self._listener.note(f"{asset.output} stays: it is not, or not only, what was made of {record.input}")

    def _move(self, old: Record, new: Record) -> bool:
        """Whether the assets could go to their new places: nothing of the user's, or of another photo, is there."""
        out = self._batch.job.out
        pairs = [(one.output, other.output) for one, other in zip(old.assets, new.assets, strict=True)]
        pairs = [(before, after) for before, after in pairs if before != after]
        for before, after in pairs:
            if self._claims[after] or not is_ours(out / str(after)):
                self._listener.note(f"{before} stays where it is: another file has the place {after}")
                return False
        for before, after in pairs:
            target = out / str(after)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(out / str(before), target)
        return True

    def _lose(self, deliver: Callable[[Record], None], item: InputItem, error: ItemError) -> None:
        deliver(failure_record(self._batch.job, item, error, None))


def _with_choices(item: InputItem, record: Record | None) -> InputItem:
    """The item with what a person chose for it in an earlier review."""
    return item if record is None or record.review is None else replace(item, choices=record.review.choices)


def with_review_kept(record: Record, before: Record | None) -> Record:
    """A new record with the review of the old one; a verdict is kept only for the same mesh."""
    if before is None:
        return record
    old = {person.number: person for person in before.people}
    people = tuple(
        replace(
            person, review=_kept(old[person.number].review, person.output_sha256 == old[person.number].output_sha256)
        )
        if person.number in old
        else person
        for person in record.people
    )
    is_same = record.output_sha256 == before.output_sha256 and record.output_sha256 is not None
    return replace(record, people=people, review=_kept(before.review, is_same))


def _kept(review: Review | None, is_same: bool) -> Review | None:
    return review if review is None or is_same else replace(review, verdict=None)


def _count_errors(records: Sequence[Record]) -> tuple[ErrorCount, ...]:
    bad = [(record.error, record.hint or "") for record in records if record.error]
    bad += [(photo.error, photo.hint or "") for record in records for photo in record.photos if photo.error]
    hints = dict(reversed(bad))
    counts = Counter(error for error, _ in bad)
    return tuple(ErrorCount(error, count, hints[error]) for error, count in counts.most_common())


def _compact(path: Path, ending: Ending, superseded: set[str]) -> None:
    try:
        compact_manifest(path, superseded)
    except OSError:
        if ending.fatal is None:  # on a full disk the uncompacted record is as good
            raise
