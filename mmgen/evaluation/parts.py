"""Parts of an evaluation: each writes its scores to the output folder, the last one joins them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.core.arrays import read_arrays
from mmgen.core.documents import decode
from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_bytes, sha256_file, write_bytes_atomic
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.running import EvaluateConfig, Evaluation, plan, summed_up
from mmgen.evaluation.scoring import ItemScore
from mmgen.work.engine import Ending
from mmgen.work.records import Shard

PARTS_FOLDER = "parts"
HEADER = "header"


@dataclass(frozen=True)
class _Score:
    name: str
    row: dict[str, float | None]
    error: tuple[str, str, str] | None
    features: list[str]


@dataclass(frozen=True)
class _Header:
    order: str
    scores: list[_Score]


def write_part(out: Path, evaluation: Evaluation) -> None:
    """Keep the scores of a finished part: figures to the last bit, and the features that Frechet distances need."""
    order = evaluation.order
    items, _ = plan(replace(order, shard=Shard()))
    scores = evaluation.scores
    rows = [
        _Score(
            score.name,
            {name: None if np.isnan(value) else float(value) for name, value in score.row.items()},
            (score.error.code, score.error.message, score.error.hint) if score.error else None,
            sorted(score.features),
        )
        for score in scores
    ]
    header = asdict(_Header(_fingerprint(order, items), rows))
    arrays = {
        f"{index}.{name}": values for index, score in enumerate(scores) for name, values in score.features.items()
    }
    stream = BytesIO()
    np.savez(stream, **{HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    write_bytes_atomic(_path(out, order.shard), stream.getvalue())


def put_together(out: Path, order: EvaluateConfig) -> Evaluation | list[Shard]:
    """The evaluation as one run would have given it, or the parts that are not there yet.

    Parts of other photos, sources or options do not count.
    """
    whole = replace(order, shard=Shard())
    items, split = plan(whole)
    wanted = _fingerprint(order, items)
    shards = [Shard(index, order.shard.count) for index in range(order.shard.count)]
    parts = {shard: _read(_path(out, shard), wanted) for shard in shards}
    scores: list[ItemScore] = []
    for part in parts.values():
        if part is None:
            return [shard for shard in shards if parts[shard] is None]
        scores += part
    scores.sort(key=lambda score: score.name)
    return Evaluation(whole, split, tuple(items), tuple(scores), summed_up(scores, order.scoring), Ending())


def _path(out: Path, shard: Shard) -> Path:
    return out / PARTS_FOLDER / f"{shard}.npz"


def _read(path: Path, wanted: str) -> list[ItemScore] | None:
    """None where there is no such part of this evaluation."""
    try:
        arrays = read_arrays(path)
        header = decode(arrays[HEADER].tobytes(), _Header)
        if header.order != wanted:
            return None
        return [
            ItemScore(
                row.name,
                {name: np.nan if value is None else value for name, value in row.row.items()},
                {name: arrays[f"{index}.{name}"] for name in row.features},
                row.error and ItemError(*row.error),
            )
            for index, row in enumerate(header.scores)
        ]
    except (OSError, ValueError, KeyError):
        return None


def _fingerprint(order: EvaluateConfig, items: Sequence[DataSetPhoto]) -> str:
    """Equal for parts of the same evaluation."""
    scoring = order.scoring
    source = Path(scoring.source.value)
    facts: dict[str, Any] = {
        "mmgen": __version__,
        "parts": order.shard.count,
        "items": [display_name(item.name) for item in items],
        "source": [scoring.source.kind, scoring.source.value, scoring.source.refine_steps],
        "source_sha256": sha256_file(source) if source.is_file() else None,
        "scoring": [scoring.size, scoring.seed, scoring.published, str(scoring.inception)],
    }
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())
