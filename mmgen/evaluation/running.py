"""A whole evaluation: list the photos, score them in processes, sum up, write."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmgen.core.errors import ItemError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.calibration import confidence_curve, read_expected
from mmgen.evaluation.photos import list_items
from mmgen.evaluation.scoring import TRUE_AZIMUTH, ItemScore, Scorer, ScoringPlan, finite_or_none
from mmgen.work.callbacks import SILENT, RunCallbacks
from mmgen.work.engine import Callbacks, Ending, run_chunks
from mmgen.work.records import Shard
from recon.evaluation.scores import Scores
from recon.metrics import feature_statistics, frechet_distance

SCHEMA = "mmgen.evaluate/1"
METRICS_NAME, ITEMS_NAME, REPORT_NAME = "metrics.json", "per_item.jsonl", "report.html"
CHUNK_PHOTOS = 4
PHOTOS_PER_PROCESS = 32
"""Another process takes as long to start as it takes to score about so many photos."""

DIGITS = 6


@dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate.

    Attributes:
        split: part of it; see `list_items`.
        limit: only so many photos, in sorted order.
        workers: processes at most.
        expected: what somebody who looked at the photos says; see `calibration.read_expected`.
    """

    data: Path
    split: str | None
    limit: int | None
    workers: int
    scoring: ScoringPlan
    shard: Shard = field(default_factory=Shard)
    expected: Path | None = None


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        order: what was asked for.
        scores: one per photo that was looked at, sorted by name.
        metrics: measure -> figure over all photos that have it.
    """

    order: EvaluateConfig
    split: str
    items: tuple[DataSetPhoto, ...]
    scores: tuple[ItemScore, ...]
    metrics: Mapping[str, float]
    ending: Ending

    @property
    def scored(self) -> list[ItemScore]:
        """Those with figures."""
        return [score for score in self.scores if score.error is None]

    @property
    def failed(self) -> list[ItemScore]:
        """Those without."""
        return [score for score in self.scores if score.error is not None]

    @property
    def exit_code(self) -> int:
        """0 all scored, 3 some failed, 4 nothing could be scored, 130 interrupted."""
        if self.ending.interrupted:
            return 130
        if self.ending.fatal is not None or (self.items and not self.scored):  # a part may have no photos
            return 4
        return 3 if self.failed else 0

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        plan, fatal, expected = self.order.scoring, self.ending.fatal, self.order.expected
        curve = confidence_curve(self.scores, read_expected(expected) if expected else {})
        return {
            "schema": SCHEMA,
            "metrics": dict(self.metrics),
            "n": len(self.scored),
            "n_truth": sum("chamfer" in score.row for score in self.scored),
            **({} if curve is None else {"confidence_curve": curve}),
            "failed": len(self.failed),
            "errors": dict(sorted(Counter(score.error.code for score in self.failed if score.error).items())),
            "data": display_name(self.order.data),
            "split": self.split,
            **({} if self.order.shard.count == 1 else {"part": str(self.order.shard)}),
            "source": {
                "kind": plan.source.kind,
                "value": display_name(plan.source.value),
                "refine_steps": plan.source.refine_steps,
            },
            "size": None if plan.size is None else list(plan.size),
            "seed": plan.seed,
            "protocol": "published" if plan.published else "corrected",
            "interrupted": self.ending.interrupted,
            "fatal": {"error": fatal.code, "message": fatal.message, "hint": fatal.hint} if fatal else None,
            "exit_code": self.exit_code,
        }


def evaluate(order: EvaluateConfig, listener: RunCallbacks = SILENT) -> Evaluation:
    """Score a part of a data set. The same order gives the same figures, however many processes work.

    Raises:
        FatalError: as from `list_items`; the source is missing or cannot be read.
    """
    items, split = plan(order)
    items = [item for chunk in _chunks(items)[order.shard.index :: order.shard.count] for item in chunk]
    listener.stage("evaluate", len(items))
    scores: list[ItemScore] = []

    def deliver(score: ItemScore) -> None:
        scores.append(score)
        listener.finished(score)

    def lose(item: DataSetPhoto, error: ItemError) -> None:
        deliver(ItemScore(item.name, error=error))

    chunks = _chunks(items)
    callbacks = Callbacks(deliver, lose, listener.stopping)
    workers = min(order.workers, 1 + len(items) // PHOTOS_PER_PROCESS)
    ending = run_chunks(chunks, partial(Scorer, order.scoring), workers, callbacks)
    if ending.fatal is not None and not scores:
        raise ending.fatal
    scores.sort(key=lambda score: score.name)
    return Evaluation(order, split, tuple(items), tuple(scores), summed_up(scores, order.scoring), ending)


def _chunks(items: Sequence[DataSetPhoto]) -> list[list[DataSetPhoto]]:
    """Of one size whatever the workers and the parts: rounding in networks may depend on the batch."""
    return [list(items[start : start + CHUNK_PHOTOS]) for start in range(0, len(items), CHUNK_PHOTOS)]


def plan(order: EvaluateConfig) -> tuple[list[DataSetPhoto], str]:
    """The photos that all parts together would score, and the name of their part; raises as `list_items` does."""
    items, split = list_items(order.data, order.split)
    return items[: order.limit], split


def summed_up(scores: Sequence[ItemScore], plan: ScoringPlan) -> dict[str, float]:
    """Figures over all photos: those of `recon.evaluation.scores.Scores.summary`, and Frechet distances."""
    rows = [score.row for score in scores if score.error is None]
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != TRUE_AZIMUTH]
    columns = {name: tuple(row[name] for row in rows if name in row) for name in names}
    figures = Scores(columns).summary() | _distances(scores, "fid" if plan.inception else "frechet_colour_edge")
    return {name: round(value, DIGITS) + 0.0 for name, value in figures.items() if np.isfinite(value)}


def _distances(scores: Sequence[ItemScore], prefix: str) -> dict[str, float]:
    """`<prefix>_recon`, `_novel` and `_90`: drawings against the photos; none for fewer than two photos."""
    sets = [score.features for score in scores if score.features]
    if len(sets) < 2:
        return {}
    reference, *others = (
        feature_statistics(torch.from_numpy(np.concatenate([one[name] for one in sets])))
        for name in ("reference", "recon", "novel", "90")
    )
    names = ("recon", "novel", "90")
    return {f"{prefix}_{name}": frechet_distance(reference, one) for name, one in zip(names, others, strict=True)}


def write_results(out: Path, evaluation: Evaluation) -> None:
    """Write `metrics.json` and `per_item.jsonl`: one line per photo, sorted, with its figures or its error."""
    lines = "".join(json.dumps(_record(score), allow_nan=False) + "\n" for score in evaluation.scores)
    write_alone(out / ITEMS_NAME, lines.encode())
    metrics = json.dumps(evaluation.as_data(), indent=2, allow_nan=False) + "\n"
    write_alone(out / METRICS_NAME, metrics.encode())


def _record(score: ItemScore) -> dict[str, Any]:
    error = score.error
    return {
        "input": display_name(score.name),
        "status": "ok" if error is None else "failed",
        "error": error and error.code,
        "message": error and error.message,
        "hint": error and error.hint,
        **{name: finite_or_none(round(value, DIGITS)) for name, value in score.row.items()},
    }
