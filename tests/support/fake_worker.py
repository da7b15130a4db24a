"""A desk's worker process with a reconstructor that costs nothing."""

from functools import partial
from multiprocessing.connection import Connection

from fakes import FakeReconstructor

from mmgen.masks import MaskSource
from mmgen.photos.inputs import item_of
from mmgen.reconstruct.batch import BatchConfig, RunCallbacks, run_batch
from mmgen.reconstruct.job import Job as RunJob
from mmgen.review.jobs import Setting


def fake_main(pipe: Connection, setting: Setting) -> None:
    """As `mmgen.review.worker.worker_main`."""
    out = setting.meshes
    while True:
        job = pipe.recv()
        run = RunJob(out, partial(FakeReconstructor, 0.0), {}, MaskSource("auto"), 0.0, out / ".mmgen" / "errors.log")
        run_batch(BatchConfig([item_of(job.root, relative) for relative in job.relatives], run), RunCallbacks())
        pipe.send(None)
