"""A training run: its folder, its loop, its checkpoints. An interrupted run goes on bit for bit."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.reid_runs.manifest import ReidManifest
from mmgen.reid_runs.sources import TrainingPhotos, read_dataset, sound_photos, training_photos
from mmgen.reid_runs.weights import read_backbone_tensors, save_reid_weights
from mmgen.training.clock import Clock, StopSignal
from mmgen.training.folder import METRICS, MetricsLog, RunFolder
from mmgen.work.callbacks import SILENT, RunCallbacks
from mmgen.work.prefetch import prefetched
from reid import parallel
from reid.data.batches import BatchMaker
from reid.data.labels import Labels, make_labels
from reid.data.order import BatchOrder, share_of_rank
from reid.data.pixels import PixelStore
from reid.learner import Learner
from reid.models.network import count_parameters, make_network
from reid.models.pretrained import load_backbone

WEIGHTS_NAME = "last"


@dataclass(frozen=True)
class TrainOrder:
    """What to train.

    Attributes:
        shards: folder of virtual people, or None.
        seed: random seed of weights, order, augmentation and dropout.
        device: `cpu` or `cuda:N`.
        resume: go on with the run in `out`.
        limit_steps: stop after so many steps in all; the schedule stays that of the whole run.
    """

    manifest: ReidManifest
    data: Path
    shards: Path | None
    out: Path
    seed: int = 0
    device: str = "cpu"
    resume: bool = False
    limit_steps: int | None = None

    @property
    def weights_path(self) -> Path:
        """Where the weights will be."""
        return RunFolder(self.out).weights_path(WEIGHTS_NAME)


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        finished: whether the run is complete.
        interrupted: whether a signal ended it; the state is saved.
        steps: done in all.
        steps_in_all: number of steps of the whole run.
        losses: means since the last line of the log.
        photos_per_second: photos per second of this and earlier sessions, wall-clock.
    """

    finished: bool
    interrupted: bool
    steps: int
    steps_in_all: int
    losses: dict[str, float]
    photos_per_second: float
    about: dict[str, Any]


@dataclass
class _Session:
    order: TrainOrder
    folder: RunFolder
    chosen: TrainingPhotos
    maker: BatchMaker
    learner: Learner
    steps_in_all: int
    clock: Clock
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    summed: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "learner": self.learner.state_dict(),
            "step": self.step,
            "window": {"sums": self.sums, "steps": self.summed},  # the next line of the log has their means
            "photos": self.chosen.fingerprint(),
            "clock": {"wall_s": self.clock.wall_s, "cpu_s": self.clock.cpu_s},
        }

    def about(self) -> dict[str, Any]:
        return {
            "photos": len(self.chosen.photos),
            "virtual_photos": self.chosen.virtual,
            "real_identities": self.chosen.real_identities,
            "virtual_identities": self.chosen.virtual_identities,
            "classes": len(self.maker.labels.names),
            "parameters": count_parameters(self.learner.network),
        }


def train(order: TrainOrder, listener: RunCallbacks = SILENT) -> Outcome:
    """Train until the run is complete, `limit_steps` are done, or a signal comes.

    Raises:
        FatalError: as from `RunFolder.claim` and `load_state`; `other_photos` where a resumed run finds others.
        ReidError: as from the readers, `make_network` and `Learner.step`.
    """
    folder = RunFolder(order.out)
    listed = training_photos(read_dataset(order.data, order.manifest.data), order.shards, order.manifest.data)
    chosen = sound_photos(listed, listener.note)
    if parallel.rank() == 0:
        folder.claim(order.manifest, order.seed, order.resume)
    parallel.barrier()
    session = _session(order, folder, chosen, listener)
    if order.resume and (state := folder.load_state()) is not None:
        _load(session, state)
        listener.note(f"going on after step {session.step}")
    try:
        return _loop(session, listener)
    finally:
        session.maker.store.close()


def steps_of(manifest: ReidManifest, batches: BatchOrder) -> int:
    """Optimisation steps of a whole run."""
    return manifest.length.steps or manifest.length.epochs * batches.batches_per_pass


def batch_order(manifest: ReidManifest, chosen: TrainingPhotos, seed: int) -> BatchOrder:
    """How batches of these photos are drawn."""
    order = BatchOrder(chosen.photos, manifest.batch.plan(0, seed))
    steps = steps_of(manifest, order)
    plan = manifest.batch.plan(steps, seed)
    for units in sorted({sum(plan.shares_at(step)) for step in range(steps)}):  # refused at the start, not amid a run
        rows = np.zeros(units * (plan.per_identity or 1), np.int64)
        share_of_rank(rows, 0, parallel.world_size(), plan.per_identity)
    return BatchOrder(chosen.photos, plan)


def _session(order: TrainOrder, folder: RunFolder, chosen: TrainingPhotos, listener: RunCallbacks) -> _Session:
    manifest = order.manifest
    labels = make_labels(chosen.photos, manifest.data.virtual_labels)
    batches = batch_order(manifest, chosen, order.seed)
    maker = BatchMaker(
        store=PixelStore(chosen.photos, manifest.model.size, int(manifest.data.memory_gb * 2**30)),
        labels=labels,
        order=batches,
        augmentation=manifest.augmentation,
        seed=order.seed,
        rank=parallel.rank(),
        processes=parallel.world_size(),
        per_identity=manifest.batch.per_identity,
        with_second_look=manifest.data.virtual_labels == "unlabeled",
    )
    learner = _learner(order, labels, listener)
    return _Session(order, folder, chosen, maker, learner, steps_of(manifest, batches), Clock())


def _learner(order: TrainOrder, labels: Labels, listener: RunCallbacks) -> Learner:
    manifest = order.manifest
    network = make_network(manifest.model, len(labels.names), order.seed)
    if manifest.pretrained.backbone:
        path = Path(manifest.pretrained.backbone)
        report = load_backbone(network.backbone, read_backbone_tensors(path), display_name(path))
        listener.note(f"{display_name(path)}: {report}")
    device = torch.device(order.device)
    if device.type == "cuda" and parallel.world_size() > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return Learner(network, manifest.learning(), order.seed, device)


def _load(session: _Session, state: dict[str, Any]) -> None:
    if state.get("photos") != session.chosen.fingerprint():
        raise FatalError(
            "other_photos",
            f"{display_name(session.order.out)} was started with other photos",
            "Resume with the same data set and shards, or choose another --out.",
        )
    try:
        session.learner.load_state_dict(state["learner"])
        session.step = state["step"]
        window = state.get("window", {"sums": {}, "steps": 0})  # older versions kept none
        session.sums, session.summed = dict(window["sums"]), int(window["steps"])
        session.clock = Clock(**state["clock"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FatalError(
            "state_unreadable",
            f"{display_name(session.folder.state_path)} does not fit this run: {error}"[:300],
            "Start the run again in another folder.",
        ) from error


def _loop(session: _Session, listener: RunCallbacks) -> Outcome:
    order, log = session.order, session.order.manifest.log
    end = min(session.steps_in_all, order.limit_steps or session.steps_in_all)
    listener.stage("train", end - session.step)
    writer = _Writer(session)
    session.clock.restart()
    made = map(session.maker.make, count(session.step))
    with StopSignal(listener.stopping) as stop, prefetched(made) as batches:
        stopping = False
        while session.step < end and not stopping:
            terms = session.learner.step(next(batches), session.step, session.step / session.steps_in_all)
            session.step += 1
            writer.add(terms)
            if session.step % log.steps == 0:
                writer.line()
            stopping = parallel.mean_over_processes(float(stop.is_set)) > 0
            if stopping or session.step % log.checkpoint_steps == 0 or session.step == end:
                writer.checkpoint()
            listener.advanced(1)
    finished = session.step >= session.steps_in_all
    photos = session.step * order.manifest.batch.photos
    return Outcome(
        finished=finished,
        interrupted=stopping and not finished,
        steps=session.step,
        steps_in_all=session.steps_in_all,
        losses=writer.last,
        photos_per_second=photos / max(session.clock.wall_s, 1e-9),
        about=session.about(),
    )


class _Writer:
    """Log lines and checkpoints; only process 0 writes, the others keep step."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._writes = parallel.rank() == 0
        self.last: dict[str, float] = {}
        self._log: MetricsLog | None = None
        if self._writes:
            session.folder.write_environment({"device": str(session.learner.device), **session.about()})
            self._log = MetricsLog(session.folder.path / METRICS, session.step)

    def add(self, terms: dict[str, Tensor]) -> None:
        """Count one step."""
        session = self._session
        for name, value in terms.items():
            session.sums[name] = session.sums.get(name, torch.zeros(())) + value.double().cpu()
        session.summed += 1

    def line(self) -> None:
        """Write the means since the last line."""
        session = self._session
        self.last = {name: float(total) / max(session.summed, 1) for name, total in session.sums.items()}
        session.sums, session.summed = {}, 0
        if self._log is not None:
            rate = session.learner.optimiser.param_groups[0]["lr"]
            seconds = round(session.clock.wall_s, 3)
            self._log.write("step", session.step, learning_rate=rate, losses=self.last, seconds=seconds)

    def checkpoint(self) -> None:
        """Save the weights to search with, and the state."""
        session = self._session
        with session.clock.paused():
            parallel.share_statistics(session.learner.network)
            if self._writes:
                manifest = session.order.manifest
                training = {"seed": session.order.seed, "step": session.step, **session.about()}
                about = {"training": training, "manifest": manifest.to_tables()}
                path = session.folder.weights_path(WEIGHTS_NAME)
                save_reid_weights(path, session.learner.searcher(), manifest.model, about)
                session.folder.save_state(session.state())
            parallel.barrier()
