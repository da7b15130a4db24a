"""The process behind the desk: reconstructs one photo at a time into the run folder, as `mmgen reconstruct` does."""

import os
import signal
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path, PurePath

from mmgen.core.errors import FatalError, ItemError
from mmgen.photos.inputs import InputItem, UsageError, item_of
from mmgen.reconstruction.batch import BatchConfig, RunCallbacks, run_batch
from mmgen.reconstruction.identities import person_of
from mmgen.reconstruction.job import ReconstructorLike
from mmgen.reconstruction.options import build_reconstructor, default_options, job_of
from mmgen.review.jobs import Job, Setting


def worker_main(pipe: Connection, setting: Setting) -> None:
    """Take jobs from the pipe until it ends; answer each with None, or with what went wrong in words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this process
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            _reconstruct(job, setting)
            pipe.send(None)
        except (FatalError, ItemError, UsageError) as error:
            pipe.send(f"{error.message}. {error.hint}")


def _reconstruct(job: Job, setting: Setting) -> None:
    """One run of one item; the record, names and keys are those of the command.

    Raises:
        FatalError: another run is writing to the folder, or it takes no more files.
        UsageError: the asset would replace one of another photo.
    """
    by_identity = len(job.relatives) > 1
    options = default_options(device=setting.device, by_identity=by_identity)
    run = replace(
        job_of(options, setting.meshes, log_name="errors-review.log"),
        build=lambda: _reconstructor(setting.device, by_identity),
    )
    summary = run_batch(BatchConfig([_item(job)], run), RunCallbacks())
    if summary.ending.fatal is not None:
        raise summary.ending.fatal


@cache
def _reconstructor(device: str, by_identity: bool) -> ReconstructorLike:
    """Kept between jobs: loading networks takes longer than one photo."""
    return build_reconstructor(default_options(device=device, by_identity=by_identity))


def _item(job: Job) -> InputItem:
    photos = tuple(item_of(job.root, relative) for relative in job.relatives)
    return photos[0] if len(photos) == 1 else person_of(PurePath(job.name), photos)


def photo_name(root: Path, relative: str) -> str:
    """How the run's record calls a photo."""
    return item_of(root, relative).name
