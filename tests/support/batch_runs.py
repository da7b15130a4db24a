"""Batch runs with a reconstructor that costs nothing."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fakes import FakeReconstructor

from mmgen.core.files import sha256_file
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import list_inputs, select
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.job import Job
from mmgen.reconstruction.planning import Redo
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Record, Shard


def make_job(
    out: Path, options: Mapping[str, Any] | None = None, min_iou: float = 0.0, fake: FakeReconstructor | None = None
) -> Job:
    fake = fake or FakeReconstructor()
    build = partial(FakeReconstructor, fake.seconds, fake.marks)
    return Job(out, build, options or {}, MaskSource("auto"), min_iou, out / ".mmgen" / "errors.log")


def run(
    source: Path,
    job: Job,
    workers: int = 1,
    shard: Shard = Shard(),  # noqa: B008
    redo: Redo = "changed",
    chunk_items: int = 2,
) -> tuple[Summary, list[Record]]:
    seen: list[Record] = []
    items = select(list_inputs([source], job.out), shard, None)
    summary = run_batch(BatchConfig(items, job, shard, workers, redo, chunk_items), RunCallbacks(finished=seen.append))
    return summary, seen


def tree(out: Path) -> dict[str, str]:
    """Every file that is a result, with its hash."""
    return {
        path.relative_to(out).as_posix(): sha256_file(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.parent.name != ".mmgen" and not path.name.startswith("manifest")
    }
