"""The process behind the desk: reconstructs one photo at a time into the run folder, as `mmgen reconstruct` does."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path, PurePath
from typing import Any

from mmgen.assets.container import parse_glb
from mmgen.assets.glb import provenance_of, read_file
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import path_of_name
from mmgen.masks.maskers import installed_maskers
from mmgen.photos.inputs import InputItem, UsageError, item_of
from mmgen.reconstruction.batch import BatchConfig, RunCallbacks, run_batch
from mmgen.reconstruction.identities import person_of
from mmgen.reconstruction.job import ReconstructorLike
from mmgen.reconstruction.options import ReconstructOptions, build_reconstructor, default_options, job_of
from mmgen.reconstruction.rerun import NEEDED, options_of
from mmgen.review.jobs import Job, Setting
from mmgen.work.records import Record, read_records


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
    records = read_records(setting.meshes)
    record = records.get(job.name) or records.get(photo_name(job.root, job.relatives[0]))
    made = {} if record is None else _provenance(setting.meshes, record)
    masks = "auto" if record is None else masks_of(record)
    options = options_of(made, masks) if made else default_options(masks=masks)
    options = replace(options, device=setting.device, by_identity=len(job.relatives) > 1)
    run = replace(
        job_of(options, setting.meshes, log_name="errors-review.log"),
        build=lambda: _reconstructor(options),
    )
    summary = run_batch(BatchConfig([_item(job, made)], run), RunCallbacks())
    if summary.ending.fatal is not None:
        raise summary.ending.fatal


def masks_of(record: Record) -> str:
    """Where an asset's mask is to be looked for, as `--masks` says it: where the run did, unless it was corrected."""
    if record.review is not None and "mask" in record.review.corrected:
        return "auto"
    if record.mask_root:
        return path_of_name(record.mask_root)
    return record.mask_source if record.mask_source in installed_maskers() else "auto"


def _provenance(meshes: Path, record: Record) -> Mapping[str, Any]:
    """How the asset of a record was made; empty where there is none, or it does not say."""
    for asset in record.assets:
        path = meshes / str(asset.output)
        if path.is_file():
            made = provenance_of(parse_glb(read_file(path)))
            if all(name in made for name in NEEDED):
                return made
    return {}


@lru_cache(maxsize=2)
def _reconstructor(options: ReconstructOptions) -> ReconstructorLike:
    """Kept between jobs: loading networks takes longer than one photo."""
    return build_reconstructor(options)


def _item(job: Job, made: Mapping[str, Any]) -> InputItem:
    """The photos, with the height that their list gave them where it differs from the run's."""
    height_m = made.get("height_m")
    own_height_m = None if not made or height_m == made["options"]["height_m"] else height_m
    photos = tuple(replace(item_of(job.root, relative), height_m=own_height_m) for relative in job.relatives)
    return photos[0] if len(photos) == 1 else person_of(PurePath(job.name), photos)


def photo_name(root: Path, relative: str) -> str:
    """How the run's record calls a photo."""
    return item_of(root, relative).name
