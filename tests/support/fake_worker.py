"""A desk's worker process with a reconstructor that costs nothing."""

from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from fakes import FakeReconstructor

from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import item_of
from mmgen.reconstruction.batch import BatchConfig, RunCallbacks, run_batch
from mmgen.reconstruction.job import Job as RunJob
from mmgen.review.jobs import Setting


def fake_main(pipe: Connection, setting: Setting) -> None:
    """As `mmgen.review.worker.worker_main`."""
    while True:
        job = pipe.recv()
        reconstruct_here(setting.meshes, job.root, job.relatives)
        pipe.send(None)


def reconstruct_here(out: Path, root: Path, relatives: Sequence[str]) -> None:
    """What the process does, without one."""
    run = RunJob(out, partial(FakeReconstructor, 0.0), {}, MaskSource("auto"), 0.0, out / ".mmgen" / "errors.log")
    run_batch(BatchConfig([item_of(root, relative) for relative in relatives], run), RunCallbacks())
