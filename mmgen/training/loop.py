"""The training loop: photos, step, prototype, average, records."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from mmgen.training.batches import Drawn, batches_per_epoch, draw_batches
from mmgen.training.clock import StopSignal, progress_of
from mmgen.training.folder import RunFolder
from mmgen.training.recorder import Recorder
from mmgen.training.session import Session, TrainOrder, clean_batches, initialised, make_session, reseed
from mmgen.work.callbacks import SILENT, RunCallbacks
from mmgen.work.prefetch import prefetched
from recon.training import parallel
from recon.training.loops import join_average, move_prototype
from recon.training.step import TrainProgress
from recon.training.supervised import training_step

PROGRESS_PARTS = 1000
"""Steps of the progress display; a training may be as long as a number of minutes, so it is told shares."""


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        interrupted: whether a signal ended it; the state is saved.
        progress: share of the run, 0..1.
        figures: figures of the last validation; empty without held-out photos.
        best: weights that validation chose: `last`, `best` or `averaged`.
        images_per_second: over the whole run, wall-clock, all processes.
        images_per_cpu_second: likewise over the processor time of this process.
    """

    finished: bool
    interrupted: bool
    steps: int
    progress: float
    figures: dict[str, Any]
    best: str
    warnings: tuple[str, ...]
    images_per_second: float
    images_per_cpu_second: float


def train(order: TrainOrder, listener: RunCallbacks = SILENT) -> Outcome:
    """Train until the run is complete, `limit_steps` are done, or a signal comes.

    Raises:
        FatalError: as from `initialised`, `RunFolder.claim`, `make_session` and `RunFolder.load_state`.
    """
    order = initialised(order)
    folder = RunFolder(order.out)
    if parallel.rank() == 0:
        folder.claim(order.manifest, order.seed, order.resume)
    parallel.barrier()
    listener.stage("read photos", 0)
    session = make_session(order, folder, partial(listener.advanced, 1))
    if order.resume and (state := folder.load_state()) is not None:
        session.load_state_dict(state)
        if parallel.rank():
            reseed(session.learner, order.seed, session.step)
        listener.note(f"going on after step {session.step}")
    listener.stage("train", PROGRESS_PARTS)
    with flushed_denormals(), Recorder(session, listener) as recorder:
        return _loop(session, recorder, listener)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take denormal numbers for zero inside the block.

    The heads start at weights of 1e-5; gradients and Adam's squares of them become denormal, on which a CPU is tens of
    times slower.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _loop(session: Session, recorder: Recorder, listener: RunCallbacks) -> Outcome:
    manifest, learner = session.manifest, session.learner
    per_epoch = batches_per_epoch(session.store, session.plan)
    batches = draw_batches(session.store, session.plan, session.epoch, session.number, session.replayed)
    session.clock.restart()
    with StopSignal(listener.stopping) as stop, prefetched(batches) as ready:
        progress = _progress(session, per_epoch)
        while progress < 1 and not _is_limited(session):
            # a batch, prepared by another thread while the last step ran
            drawn = next(ready)
            batch = drawn.batch.to(learner.device)

            # one step
            moment = TrainProgress(session.step, drawn.number, progress)
            session.window.add(training_step(learner, batch, manifest.step, manifest.optimiser, moment))
            if drawn.replay is not None:
                replay = drawn.replay.to(learner.device)
                session.window.add(training_step(learner, replay, manifest.step, manifest.optimiser, moment))
            session.stepped(drawn)
            progress = _progress(session, per_epoch)

            # prototype and average
            _between_steps(session, recorder, drawn, progress)

            # records
            due = (session.step, session.epoch, drawn.is_last)
            if session.step % manifest.log.steps == 0:
                recorder.losses(progress)
            if manifest.log.validation.is_due(*due):
                recorder.validation()
            if manifest.log.pictures.is_due(*due):
                recorder.pictures()
            stopping = _any_process(stop.is_set)
            if stopping or manifest.log.checkpoint.is_due(*due):
                recorder.checkpoint()
            listener.finished(progress)
            if stopping:
                return _outcome(session, recorder, progress, interrupted=True)
    if progress < 1:
        recorder.checkpoint()
    else:
        recorder.finish()
    return _outcome(session, recorder, progress)


def _between_steps(session: Session, recorder: Recorder, drawn: Drawn, progress: float) -> None:
    """Move the prototype and grow the average where it is time to."""
    manifest, learner = session.manifest, session.learner
    due = (session.step, session.epoch, drawn.is_last)
    prototype, averaging = manifest.prototype, manifest.averaging
    is_free = prototype.kind != "off" and progress <= 1 - prototype.frozen_share
    if is_free and prototype.every.is_due(*due):
        warmup_steps = manifest.optimiser.warmup_steps
        moved = move_prototype(learner, prototype, clean_batches(session), warmup_steps, session.step)
        recorder.event("prototype", moved=moved)
    if averaging.kind != "off" and progress >= averaging.start_share and averaging.every.is_due(*due):
        join_average(learner, averaging)


def _progress(session: Session, per_epoch: int) -> float:
    own = progress_of(session.manifest.length, session.step, per_epoch, session.clock)
    return parallel.mean_over_processes(own)


def _is_limited(session: Session) -> bool:
    limit = session.order.limit_steps
    return limit is not None and session.step >= limit


def _any_process(flag: bool) -> bool:
    return parallel.mean_over_processes(float(flag)) > 0


def _outcome(session: Session, recorder: Recorder, progress: float, interrupted: bool = False) -> Outcome:
    photos = session.step * session.plan.size * session.plan.processes
    return Outcome(
        finished=progress >= 1 and not interrupted,
        interrupted=interrupted,
        steps=session.step,
        progress=progress,
        figures=recorder.figures,
        best=recorder.best,
        warnings=recorder.warnings,
        images_per_second=photos / max(session.clock.wall_s, 1e-9),
        images_per_cpu_second=photos / max(session.clock.cpu_s, 1e-9),
    )
