"""What extra data is worth: several ways to train, equal numbers of updates, several seeds, one table."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.core.arrays import read_arrays
from mmgen.core.documents import read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import write_bytes_atomic, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.reid_runs.comparison_manifest import Arm, ComparisonManifest, Protocol
from mmgen.reid_runs.evaluation import SearchTask, evaluate_weights, search_task
from mmgen.reid_runs.manifest import BatchSection, LengthSection, ReidManifest, read_reid_manifest
from mmgen.reid_runs.training import Outcome, TrainOrder, train
from mmgen.work.callbacks import SILENT, RunCallbacks

SCORES, QUERIES = "scores.json", "queries.npz"
HOME = "test"
"""Name of the search in the data set's own gallery."""


@dataclass(frozen=True)
class ComparisonOrder:
    """What to compare, on what.

    Attributes:
        manifest: arms, protocols, seeds, updates.
        folder: folder of the manifest; arms' manifests are relative to it.
        shards: of every protocol's name to its folder of virtual people; "" for all others.
        cross: further data sets that trained networks are tested on, by name.
        out: folder of the comparison.
        device: `cpu` or `cuda:N`.
    """

    manifest: ComparisonManifest
    folder: Path
    data: Path
    shards: Mapping[str, Path]
    out: Path
    cross: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"


@dataclass(frozen=True)
class Run:
    """One training: which protocol, arm and seed, and where."""

    protocol: Protocol
    arm: Arm
    seed: int
    order: TrainOrder

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.protocol.name}/{self.arm.name}/seed-{self.seed}"

    @property
    def is_done(self) -> bool:
        """Whether it was trained and scored."""
        return (self.order.out / SCORES).is_file()


def runs_of(order: ComparisonOrder) -> list[Run]:
    """Every run, seeds outermost, so that an interrupted comparison has whole seeds.

    Raises:
        FatalError: as from `read_reid_manifest`; `no_shards` where an arm needs virtual people.
    """
    plan = order.manifest
    return [
        Run(protocol, arm, seed, _train_order(order, protocol, arm, seed))
        for seed in range(plan.seeds)
        for protocol in plan.protocols.values()
        for arm in plan.arms.values()
    ]


def _train_order(order: ComparisonOrder, protocol: Protocol, arm: Arm, seed: int) -> TrainOrder:
    shards = None
    if arm.virtual:
        shards = order.shards.get(protocol.name, order.shards.get(""))
        if shards is None:
            raise FatalError(
                "no_shards",
                f"arm {arm.name} of protocol {protocol.name} trains on virtual people, and none are given",
                "Add --shards DIR, a folder of `mmgen augment-reid`.",
            )
    manifest = read_reid_manifest(order.folder / arm.manifest, arm.changes)
    return TrainOrder(
        manifest=_fitted(manifest, _steps_of(order, arm, manifest), protocol, arm),
        data=order.data,
        shards=shards,
        out=order.out / "runs" / protocol.name / arm.name / f"seed-{seed}",
        seed=seed,
        device=order.device,
    )


def _steps_of(order: ComparisonOrder, arm: Arm, manifest: ReidManifest) -> int:
    """Updates of an arm: all the same, or as many as show it the real photos that the tested arm sees."""
    plan = order.manifest
    if arm.equal == "updates":
        return plan.steps
    tested = plan.arms[plan.tested]
    batch = read_reid_manifest(order.folder / tested.manifest, tested.changes).batch
    return max(1, round(batch.plan(plan.steps).real_photos(plan.steps) / manifest.batch.photos))


def _fitted(manifest: ReidManifest, steps: int, protocol: Protocol, arm: Arm) -> ReidManifest:
    """The protocol's people; no quota where there is nobody to fill it; so many updates, or its own number where 0."""
    data = replace(manifest.data, identity_share=protocol.identity_share, identity_seed=protocol.identity_seed)
    batch = manifest.batch if arm.virtual else BatchSection(manifest.batch.photos, manifest.batch.per_identity)
    length = LengthSection(steps=steps) if steps else manifest.length
    return replace(manifest, data=data, batch=batch, length=length)


def run_comparison(order: ComparisonOrder, listener: RunCallbacks = SILENT) -> bool:
    """Train and score what is not done yet.

    Args:
        listener: told one stage and one line per run.

    Returns:
        False if a signal ended it; the same call goes on.

    Raises:
        FatalError, ReidError: as from `train` and `search_task`.
    """
    tasks = _tasks(order)
    for run in runs_of(order):
        if run.is_done:
            continue
        if not _train_and_score(run, tasks, listener):
            return False
    return True


def _tasks(order: ComparisonOrder) -> dict[str, SearchTask]:
    section = read_reid_manifest(order.folder / next(iter(order.manifest.arms.values())).manifest).data
    places = {HOME: order.data, **order.cross}
    return {name: search_task(place, section) for name, place in places.items()}


def _train_and_score(run: Run, tasks: Mapping[str, SearchTask], listener: RunCallbacks) -> bool:
    order = replace(run.order, resume=(run.order.out / "config.toml").is_file())
    outcome = train(order, replace(listener, stage=lambda name, total: listener.stage(run.name, total)))
    if not outcome.finished:
        return False
    data: dict[str, Any] = {"training": _training_of(order.manifest, outcome), "searches": {}}
    columns: dict[str, Any] = {}
    for name, task in tasks.items():
        result = evaluate_weights(order.weights_path, task, order.device, False, lambda count: None)
        data["searches"][name] = result.as_data()
        scores = result.scores
        columns[f"{name}.rank1"] = scores.within(1)
        columns[f"{name}.map_plain"] = scores.plain_ap
        columns[f"{name}.map_trapezoid"] = scores.trapezoid_ap
        columns[f"{name}.valid"] = scores.valid
        columns[f"{name}.person"] = result.person
    _write_queries(order.out / QUERIES, columns)
    write_text_atomic(order.out / SCORES, json.dumps(data, indent=1) + "\n")
    figures = data["searches"][HOME]["figures"]
    listener.note(f"{run.name}: rank-1 {figures['rank1']:.1%}, mAP {figures['map_plain']:.1%}")
    return True


def _training_of(manifest: ReidManifest, outcome: Outcome) -> dict[str, Any]:
    """What stands in the table beside the figures; in one order for all, virtual people are seen by their share."""
    plan, about = manifest.batch.plan(outcome.steps), outcome.about
    share = 1.0 if plan.separates else 1 - about["virtual_photos"] / about["photos"]
    return {
        "model": manifest.model.name,
        "steps": outcome.steps,
        "real_photos_seen": round(share * plan.real_photos(outcome.steps)),
        "batch_photos": manifest.batch.photos,
        "learning_rate": manifest.optimiser.learning_rate,
        "dropout": manifest.model.dropout,
        "losses": outcome.losses,
        **about,
    }


def _write_queries(path: Path, columns: Mapping[str, Any]) -> None:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    write_bytes_atomic(path, buffer.getvalue())


@dataclass(frozen=True)
class ScoredRun:
    """What one finished run left on disk."""

    run: Run
    data: dict[str, Any]
    columns: dict[str, Any]


def scored_runs(order: ComparisonOrder) -> Iterator[ScoredRun]:
    """Every finished run.

    Raises:
        FatalError: `scores_unreadable`.
    """
    for run in runs_of(order):
        if not run.is_done:
            continue
        try:
            data = read_document(run.order.out / SCORES, dict[str, Any])
            columns = read_arrays(run.order.out / QUERIES)
        except (OSError, ValueError) as error:
            raise FatalError(
                "scores_unreadable",
                f"{display_name(run.order.out)}: its scores cannot be read: {error}"[:300],
                f"Delete {SCORES} there and run the comparison again; only that run is scored anew.",
            ) from error
        yield ScoredRun(run, data, columns)
