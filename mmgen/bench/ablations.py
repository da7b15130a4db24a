"""Ablations: training runs with equal budgets and several seeds, scored on the same held-out people, in one table.

Every run has a folder of its own and a result beside it; what is finished is not done again, what was stopped goes on.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmgen.bench.timing import machine, versions
from mmgen.core.documents import read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.evaluation.photos import list_items
from mmgen.evaluation.running import CHUNK_PHOTOS, summed_up
from mmgen.evaluation.scoring import ItemScore, Scorer, ScoringPlan
from mmgen.evaluation.sources import SourceSpec
from mmgen.training.folder import RunFolder
from mmgen.training.loop import train
from mmgen.training.manifest import Length, Manifest, read_manifest
from mmgen.training.session import TrainOrder
from mmgen.work.callbacks import SILENT, RunCallbacks
from recon.training.config import Interval

SCHEMA = "mmgen.ablations/1"
RESULT, TABLE = "result.json", "ablations.json"
CHECKPOINT_STEPS = 200


@dataclass(frozen=True)
class AblationPlan:
    """What to compare.

    Attributes:
        manifests: one row of the table each; the first is the one that the others are compared with.
        data: data set folder to train on, with test photos and their truth.
        seeds: 0..seeds - 1 for every manifest.
        steps: updates of every run: the same on every machine, however busy.
        photos: test photos that are scored, at equal steps through the split; None: all.
    """

    manifests: tuple[Path, ...]
    data: Path
    out: Path
    seeds: int = 3
    steps: int = 300
    photos: int | None = None
    split: str = "test"

    def runs(self) -> list[tuple[Path, int]]:
        """All (manifest, seed), seed by seed, so that a table of fewer seeds is there early."""
        return [(manifest, seed) for seed in range(self.seeds) for manifest in self.manifests]

    def folder(self, manifest: Path, seed: int) -> Path:
        """Where a run goes."""
        return self.out / f"{manifest.stem}-seed{seed}"

    def is_done(self, manifest: Path, seed: int) -> bool:
        """Whether a run has its result."""
        return (self.folder(manifest, seed) / RESULT).is_file()


def run_ablations(plan: AblationPlan, listener: RunCallbacks = SILENT) -> bool:
    """Train and score everything that is not done yet; False when a signal came.

    Raises:
        FatalError: `same_name` where two manifests would share a folder; as from training and evaluation.
    """
    if len({manifest.stem for manifest in plan.manifests}) < len(plan.manifests):
        raise FatalError("same_name", "two manifests have the same file name", "Rename one; rows are called by it.")
    for manifest, seed in plan.runs():
        if plan.is_done(manifest, seed):
            continue
        listener.note(f"{manifest.stem}, seed {seed}")
        if not _run(plan, manifest, seed, RunCallbacks(stopping=listener.stopping)):
            return False
    return True


def _run(plan: AblationPlan, path: Path, seed: int, listener: RunCallbacks) -> bool:
    manifest = budgeted(read_manifest(path), plan.steps)
    folder = RunFolder(plan.folder(path, seed))
    resume = (folder.path / "config.toml").is_file()
    order = TrainOrder(manifest, plan.data, folder.path, seed=seed, resume=resume)
    outcome = train(order, listener)
    if not outcome.finished:
        return False
    weights = folder.weights_path("last" if manifest.averaging.kind == "off" else "averaged")
    scoring = ScoringPlan(SourceSpec("weights", str(weights)))
    scores = _scores(plan, scoring)
    result = {
        "manifest": path.stem,
        "about": manifest.about,
        "seed": seed,
        "images_per_cpu_second": outcome.images_per_cpu_second,
        "warnings": list(outcome.warnings),
        "photos": sum(score.error is None for score in scores),
        "metrics": summed_up(scores, scoring),
    }
    write_alone(folder.path / RESULT, f"{json.dumps(result, indent=1)}\n".encode())
    return True


def _scores(plan: AblationPlan, scoring: ScoringPlan) -> list[ItemScore]:
    """Score photos at equal steps through the split, the same ones for every run."""
    items, _ = list_items(plan.data, plan.split)
    count = min(plan.photos or len(items), len(items))
    chosen = [items[index * len(items) // count] for index in range(count)]
    scorer = Scorer(scoring)
    chunks = [chosen[start : start + CHUNK_PHOTOS] for start in range(0, count, CHUNK_PHOTOS)]
    return [score for chunk in chunks for _, score in scorer(chunk)]


def budgeted(manifest: Manifest, steps: int) -> Manifest:
    """The manifest with another length, and nothing drawn or validated on the way."""
    never = Interval(epochs=10**9)
    log = replace(manifest.log, validation=never, pictures=never, checkpoint=Interval(steps=CHECKPOINT_STEPS))
    return replace(manifest, length=Length(steps=steps), log=log)


def table(plan: AblationPlan) -> dict[str, Any]:
    """Means, spreads and differences from the first row over the seeds that are done; JSON data."""
    results = {path.stem: _results(plan, path) for path in plan.manifests}
    first = results[plan.manifests[0].stem]
    return {
        "schema": SCHEMA,
        "mmgen": __version__,
        "data": display_name(plan.data),
        "steps": plan.steps,
        "rows": {name: _row(own, first) for name, own in results.items()},
        "machine": machine(),
        "versions": versions("torch", "numba"),
    }


def write_table(plan: AblationPlan) -> dict[str, Any]:
    """Write the table into the output folder; gives it back."""
    data = table(plan)
    write_alone(plan.out / TABLE, f"{json.dumps(data, indent=1)}\n".encode())
    return data


def _results(plan: AblationPlan, path: Path) -> dict[int, dict[str, Any]]:
    done = [seed for seed in range(plan.seeds) if plan.is_done(path, seed)]
    return {seed: read_document(plan.folder(path, seed) / RESULT, dict[str, Any]) for seed in done}


def _row(own: Mapping[int, Mapping[str, Any]], first: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    measures = list(dict.fromkeys(name for result in own.values() for name in result["metrics"]))
    shared = sorted(set(own) & set(first))
    return {
        "seeds": sorted(own),
        "images_per_cpu_second": _spread([result["images_per_cpu_second"] for result in own.values()]),
        "metrics": {
            name: _spread([r["metrics"][name] for r in own.values() if name in r["metrics"]]) for name in measures
        },
        "minus_first": {
            name: _spread([own[seed]["metrics"][name] - first[seed]["metrics"][name] for seed in shared])
            for name in measures
            if all(name in side[seed]["metrics"] for side in (own, first) for seed in shared)
        },
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, and standard deviation of a sample; None without values."""
    if not values:
        return None
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else 0.0}
