"""Before the work: what is to do, what is done already, and what it will cost."""

import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file, sha256_or_none
from mmgen.core.listing import display_name
from mmgen.masks import lookup
from mmgen.photos.inputs import InputItem, UsageError
from mmgen.reconstruction.job import Job, apply_quality_gate, failure_record, photos_digest, stamped
from mmgen.reconstruction.standing import may_be_of
from mmgen.work.records import Record

Redo = Literal["changed", "failed", "all"]
"""`changed`: what is new, changed or failed; `failed`: only what failed; `all`: everything."""

SAMPLE_ITEMS = 2


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        todo: Items to work on, in order.
        moves: (old record, new record) of results that only change place, because `min_iou` changed.
    """

    todo: tuple[InputItem, ...]
    done: tuple[Record, ...]
    moves: tuple[tuple[Record, Record], ...]


@dataclass(frozen=True)
class Forecast:
    """What the work will cost, measured on a few items.

    Attributes:
        seconds: For all of `todo` with the given number of workers.
        disk_bytes: For all of `todo`.
        memory_bytes: Peak of this process times the number of workers.
    """

    sampled: int
    seconds: float
    disk_bytes: int
    free_disk_bytes: int
    memory_bytes: int


def make_plan(items: Sequence[InputItem], records: Mapping[str, Record], job: Job, redo: Redo) -> Plan:
    """Decide by content: an item is done if its key is the recorded one and its file has the recorded hash.

    Raises:
        UsageError: `output_taken`: a result in the output folder was made from another folder's photo of that name.
    """
    todo: list[InputItem] = []
    done: list[Record] = []
    moves: list[tuple[Record, Record]] = []
    leaving: set[str | None] = set()
    for item in items:
        record = records.get(item.name)
        if redo == "failed" and (record is None or record.status != "failed"):
            continue
        if redo == "all" or record is None or not _is_up_to_date(item, record, job):
            todo.append(item)
            continue
        new, places = apply_quality_gate(record, item, job), {asset.output for asset in record.assets}
        if [asset.output for asset in new.assets] == [asset.output for asset in record.assets]:
            done.append(record)
        elif leaving & places or not all(may_be_of(record, str(place)) for place in places):
            todo.append(item)  # its record claims the asset of another photo
        else:
            leaving |= places
            moves.append((record, stamped(new, record.seconds)))
    return Plan(tuple(todo), tuple(done), tuple(moves))


def _is_up_to_date(item: InputItem, record: Record, job: Job) -> bool:
    if record.status == "failed" or record.output is None or not (item.photos or os.path.isfile(item.path)):
        return False
    try:
        input_sha256 = _input_sha256(item)
        outputs_are_right = all(_is_right(job.out / str(asset.output), asset) for asset in record.assets)
        if outputs_are_right and _is_taken(item, record, input_sha256):
            raise UsageError(
                "output_taken",
                f"{display_name(item.path)} would replace {record.output}, which was made from "
                f"{record.input} in {record.root}",
                "Choose another --out, or allow it with --overwrite.",
            )
        return outputs_are_right and job.content_key(item, input_sha256) == record.key
    except OSError:
        return False  # the work itself says what cannot be read


def _is_right(path: Path, asset: Record) -> bool:
    return path.is_file() and sha256_file(path) == asset.output_sha256


def _is_taken(item: InputItem, record: Record, input_sha256: str) -> bool:
    """Whether another folder's photo, or photos, gave the result that this item would replace."""
    if display_name(item.root) == record.root:
        return False
    if item.photos:
        return not {photo.input_sha256 for photo in record.photos} & {sha256_or_none(one.path) for one in item.photos}
    return input_sha256 != record.input_sha256


def _input_sha256(item: InputItem) -> str:
    """Of the photo, or `photos_digest`; raises OSError where the only photo cannot be read."""
    if not item.photos:
        return sha256_file(item.path)
    return photos_digest([sha256_or_none(photo.path) for photo in item.photos])


def precheck(items: Sequence[InputItem], job: Job) -> list[Record]:
    """Failures that show without decoding a photo: unreadable headers, missing masks."""
    problems = []
    for item in items:
        errors = [_header_problem(photo.path) or _mask_problem(photo, job) for photo in item.sources]
        if errors[0] is not None and all(errors):  # one good photo of a person is enough
            problems.append(failure_record(job, item, errors[0], None))
    return problems


def _header_problem(path: Path) -> ItemError | None:
    from PIL import Image

    from mmgen.photos.images import read_image

    try:
        if path.is_file():  # opening a pipe would wait for ever
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                Image.open(path).close()
                return None
    except Exception:  # something is odd; the real reader knows what, or that it is not
        pass
    try:
        read_image(path)
    except ItemError as error:
        return error
    return None


def _mask_problem(item: InputItem, job: Job) -> ItemError | None:
    folder = job.masks.folder
    if folder is None or lookup.in_tree(folder, item.relative):
        return None
    what = f"image {display_name(item.path)} has no mask in {display_name(folder)}"
    return ItemError("mask_missing", what, "The folder mirrors the photos' tree; names differ only in their suffix.")


def measure(todo: Sequence[InputItem], job: Job, workers: int) -> Forecast:
    """Do a few items for real, in a temporary folder, and scale up; the first pays for starting and is not timed."""
    from mmgen.reconstruction.conversion import Converter

    seconds, sizes = [], []
    with tempfile.TemporaryDirectory(prefix="mmgen-forecast-") as folder:
        converter = Converter(replace(job, out=Path(folder), log=Path(folder, "log")))
        for item in todo[:SAMPLE_ITEMS]:
            started = time.perf_counter()
            for _, record in converter([item]):
                if record.assets:
                    sizes.append(sum(Path(folder, str(asset.output)).stat().st_size for asset in record.assets))
            seconds.append(time.perf_counter() - started)
    steady = seconds[1:] or seconds
    per_item = sum(steady) / len(steady) if steady else 0.0
    size = sum(sizes) / len(sizes) if sizes else 0.0
    return Forecast(
        sampled=len(seconds),
        seconds=per_item * len(todo) / max(1, min(workers, len(todo))),
        disk_bytes=round(size * len(todo)),
        free_disk_bytes=shutil.disk_usage(_existing(job.out)).free,
        memory_bytes=peak_memory_bytes() * workers,
    )


def _existing(path: Path) -> Path:
    path = Path(os.path.abspath(path))
    return next(folder for folder in (path, *path.parents) if folder.exists())


def peak_memory_bytes() -> int:
    """Most memory that this process has used so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
