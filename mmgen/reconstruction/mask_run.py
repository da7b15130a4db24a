"""Masks of many photos as files. What is finished stays, and so does what somebody corrected by hand."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_bytes, sha256_file
from mmgen.core.listing import display_name
from mmgen.core.outputs import image_bytes, write_output
from mmgen.masks.finding import find_people
from mmgen.masks.structures import MaskSource
from mmgen.photos.images import read_image
from mmgen.photos.inputs import InputItem, list_inputs, refuse_collisions, select
from mmgen.reconstruction.batch import WHOLE, BatchConfig
from mmgen.reconstruction.conversion import guarded
from mmgen.reconstruction.job import Job, ReconstructorLike, failure_record, rounded_quality, stamped
from mmgen.reconstruction.planning import Redo
from mmgen.reconstruction.standing import CORRECTED
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.records import Record, Shard, read_records

CHUNK_ITEMS = 16


@dataclass(frozen=True)
class MaskOrder:
    """What to make masks of, and how.

    Attributes:
        out: folder of the masks; mirrors the sources.
        limit: only the first so many photos.
        redo: what to do again; with `all`, corrected masks are replaced too.
    """

    sources: tuple[Path, ...]
    out: Path
    method: MaskSource
    shard: Shard = WHOLE
    limit: int | None = None
    workers: int = 1
    redo: Redo = "changed"


class MaskMaker:
    """Turns chunks of photos into mask files and records. An item's error never touches its neighbours.

    Args:
        job: what the items have in common.
        replaces_corrected: write over files that are not as they were written.
    """

    def __init__(self, job: Job, replaces_corrected: bool = False) -> None:
        self._job = job
        self._replaces_corrected = replaces_corrected
        self._written = {name: record.output_sha256 for name, record in read_records(job.out).items()}

    def __call__(self, chunk: Sequence[InputItem]) -> Iterator[tuple[int, Record]]:
        """Yield (position, record) for every item; the file of a record is whole before the record is yielded."""
        for position, item in enumerate(chunk):
            started = time.perf_counter()
            record = guarded(item, partial(self._made, item), self._job.log)
            if isinstance(record, ItemError):
                record = self._kept(item, None) or failure_record(self._job, item, record, None)
            yield position, stamped(record, time.perf_counter() - started)

    def _made(self, item: InputItem) -> Record:
        photo = read_image(item.path)
        people = find_people(photo, self._job.masks, item.relative)
        found = max(people, key=lambda one: one.area_fraction)
        data = image_bytes(np.max([one.mask for one in people], axis=0), "PNG", optimize=True)
        kept = self._kept(item, data)
        if kept is not None:
            return replace(kept, key=self._key(item, photo.sha256), input_sha256=photo.sha256)
        write_output(self._job.out / item.output, data)
        return replace(
            self._blank(item),
            mask_source=found.source,
            mask_quality=rounded_quality(found.quality),
            key=self._key(item, photo.sha256),
            input_sha256=photo.sha256,
            mask_sha256=found.sha256,
            output_sha256=sha256_bytes(data),
            notes=photo.notes + found.notes + ((f"{len(people)} people",) if len(people) > 1 else ()),
        )

    def _kept(self, item: InputItem, data: bytes | None) -> Record | None:
        """The record of a file that stands there and that nobody but a person can have made; None if there is none."""
        path = self._job.out / item.output
        if self._replaces_corrected or not os.path.isfile(path):  # a name may be too long for `Path.is_file`
            return None
        digest = sha256_file(path)
        if digest == self._written.get(item.name) or (data is not None and digest == sha256_bytes(data)):
            return None
        notes = (f"{display_name(item.output)} was corrected by hand and stays; --overwrite replaces it",)
        return replace(self._blank(item), mask_source=CORRECTED, output_sha256=digest, mask_sha256=digest, notes=notes)

    def _key(self, item: InputItem, input_sha256: str) -> str:
        return self._job.content_key(item, input_sha256)

    def _blank(self, item: InputItem) -> Record:
        return Record(
            input=item.name,
            status="ok",
            output=item.output,
            options_sha256=self._job.options_sha256,
            root=display_name(item.root),
        )


def mask_batch(order: MaskOrder) -> BatchConfig:
    """The run that an order asks for; do it with `mmgen.reconstruction.batch.run_batch`.

    Raises:
        UsageError, FatalError: as from `mmgen.photos.inputs.list_inputs`.
    """
    folders = [order.method.folder] if order.method.folder else []
    items = [_as_png(item) for item in list_inputs(order.sources, order.out, folders)]
    refuse_collisions(items, order.out)
    log = order.out / STATE_FOLDER / f"errors-{order.shard}.log"
    options: dict[str, Any] = {"result": "mask"}
    return BatchConfig(
        items=select(items, order.shard, order.limit),
        job=Job(order.out, _no_networks, options, order.method, 0.0, log),
        shard=order.shard,
        workers=order.workers,
        redo=order.redo,
        chunk_items=CHUNK_ITEMS,
        label="masks",
        worker=partial(MaskMaker, replaces_corrected=order.redo == "all"),
    )


def _no_networks() -> ReconstructorLike:
    raise AssertionError("masks ask no reconstructor")


def _as_png(item: InputItem) -> InputItem:
    return replace(item, output=item.output.removesuffix(".glb") + ".png")
