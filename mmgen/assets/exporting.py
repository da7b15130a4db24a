"""Export of whole folders: plan, refuse collisions, skip what is up to date, keep going past bad files."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mmgen.assets.export_record import (
    EXPORTS,
    RECORD_NAME,
    ExportRecord,
    RecordKey,
    RecordTable,
    is_up_to_date,
    read_record_file,
    read_records,
    record_file,
    record_files,
)
from mmgen.assets.formats import ExportFormat, ExportOptions, export_glb, output_names
from mmgen.assets.glb import naming, read_file
from mmgen.assets.tree import GlbFile
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import collision_key, sha256_bytes, sha256_or_none
from mmgen.core.listing import display_name, path_of_name
from mmgen.core.outputs import write_output
from mmgen.core.version import __version__
from mmgen.work.engine import Callbacks, into_chunks, run_chunks
from mmgen.work.locks import run_lock
from mmgen.work.records import Shard
from recon.template import Template

Outcome = Literal["done", "skipped", "failed"]
CHUNK_JOBS = 16


@dataclass(frozen=True)
class Job:
    """One mesh in one format.

    Attributes:
        outputs: Paths below the output folder, the main file first.
        lod: Level of detail; None where levels were not asked for.
    """

    source: GlbFile
    kind: ExportFormat
    outputs: tuple[PurePosixPath, ...]
    lod: int | None = None

    @property
    def key(self) -> RecordKey:
        """Names the job among the records."""
        return self.name, self.kind, -1 if self.lod is None else self.lod

    @property
    def name(self) -> str:
        """The mesh, as records name it."""
        return display_name(self.source.relative)

    @property
    def stem(self) -> str:
        """Name of the main file without its suffix."""
        return self.outputs[0].name[: -len(self.kind) - 1]


@dataclass(frozen=True)
class Result:
    """How one job ended."""

    outcome: Outcome
    record: ExportRecord


@dataclass(frozen=True)
class ExportRun:
    """What all jobs of a run have in common.

    Attributes:
        overwrite: Write everything again, and replace files that no export wrote.
        template: Whose skeleton rigged meshes get.
    """

    out: Path
    options: ExportOptions
    overwrite: bool = False
    table: RecordTable = field(default_factory=dict)
    shard: Shard = field(default_factory=Shard)
    template: Template | None = None

    @property
    def stamp(self) -> dict[str, Any]:
        """What changes the bytes, as records say it."""
        return asdict(self.options) | {"mmgen": __version__}


def plan_jobs(
    sources: Sequence[GlbFile], kinds: Iterable[ExportFormat], options: ExportOptions, out: Path, lods: int = 0
) -> list[Job]:
    """Every mesh in every format, outputs mirroring the tree.

    Args:
        lods: Simpler levels of detail to write beside the full one, as `name_lod0`, `name_lod1` and so on; 0 for the
            full one alone, under the mesh's own name.

    Raises:
        FatalError: `output_collision` if two meshes would write the same file on some file system, or one would
            overwrite a mesh that is read.
    """
    unique_kinds = list(dict.fromkeys(kinds))
    jobs = []
    for source in sources:
        folder, stem = source.relative.parent, source.relative.name[: -len(source.relative.suffix) or None]
        for lod in range(lods + 1) if lods else (None,):
            for kind in unique_kinds:
                names = output_names(stem if lod is None else f"{stem}_lod{lod}", kind, options.texture_codec)
                jobs.append(Job(source, kind, tuple(folder / name for name in names), lod))
    _refuse_collisions(jobs, out)
    return jobs


def run_jobs(
    jobs: Sequence[Job], run: ExportRun, on_result: Callable[[Result], None], workers: int = 1
) -> list[Result]:
    """Write the files of all jobs; one bad mesh spoils only its own.

    Args:
        jobs: From `plan_jobs`.
        run: What they have in common; its folder is made if missing.
        on_result: Told of every finished job, here and in any order.

    Returns:
        The results in the order of the jobs.

    Raises:
        FatalError: The output folder cannot be written (full disk, no permission), and finished jobs are kept; or
            another run works in it.
        KeyboardInterrupt: A signal asked for the end; finished jobs are kept.
    """
    with run_lock(run.out, run.shard):
        return _run_locked(jobs, replace(run, table=read_records(run.out)), on_result, workers)


def _run_locked(jobs: Sequence[Job], run: ExportRun, on_result: Callable[[Result], None], workers: int) -> list[Result]:
    own_file = record_file(run.out, run.shard)
    table = dict(run.table) if run.shard.count == 1 else _own_records(own_file, jobs, run.table)
    results: dict[RecordKey, Result] = {}

    with EXPORTS.writer(own_file) as writer:

        def deliver(result: Result) -> None:
            if result.outcome != "skipped":
                table[result.record.key] = result.record
                writer.append(result.record)
            results[result.record.key] = result
            on_result(result)

        def lose(job: Job, error: ItemError) -> None:
            deliver(Result("failed", _failure(job, error, None, run.stamp)))

        chunks = into_chunks(jobs, workers, CHUNK_JOBS)
        ending = run_chunks(chunks, partial(Exporter, run), workers, Callbacks(deliver, lose), Exporter(run))
    EXPORTS.write(own_file, table.values())
    if run.shard.count == 1:  # the parts of earlier runs are in the table, and no part is at work
        for path in record_files(run.out):
            if path != own_file:
                path.unlink()
    if ending.fatal is not None:
        raise ending.fatal
    if ending.interrupted:
        raise KeyboardInterrupt
    return [results[job.key] for job in jobs]


def _own_records(own_file: Path, jobs: Sequence[Job], known: RecordTable) -> RecordTable:
    """What a part keeps in its file: its own jobs, and what it alone, or it last, recorded before."""
    before = {key for key, record in read_record_file(own_file).items() if known[key] == record}
    return {key: known[key] for key in known if key in before | {job.key for job in jobs}}


def part_of(jobs: Sequence[Job], shard: Shard) -> list[Job]:
    """The jobs of one part of a run: every `count`-th mesh with all that is made of it."""
    sources = {path: number for number, path in enumerate(dict.fromkeys(job.source.relative for job in jobs))}
    return [job for job in jobs if sources[job.source.relative] % shard.count == shard.index]


class Exporter:
    """What one process does: jobs to files."""

    def __init__(self, run: ExportRun) -> None:
        self._run = run
        self._ours: dict[str, set[str]] = {}
        for record in run.table.values():
            for name, digest in record.outputs.items():
                self._ours.setdefault(path_of_name(name), set()).add(digest)

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result); the files are whole before it is yielded.

        Raises:
            FatalError: The output folder takes no more files.
        """
        for position, job in enumerate(jobs):
            yield position, self._export(job)

    def _export(self, job: Job) -> Result:
        run, known = self._run, self._run.table.get(job.key)
        digest = None
        try:
            data = read_file(job.source.path)
            digest = sha256_bytes(data)
            if not run.overwrite and known is not None and is_up_to_date(known, digest, run.stamp, run.out):
                return Result("skipped", known)
            files = _convert(job, data, run)
            if not run.overwrite:
                _refuse_foreign(run.out, files, self._ours)
            for name, content in files.items():
                write_output(run.out / name, content)
        except ItemError as error:
            return Result("failed", _failure(job, error, digest, run.stamp))
        hashes = {display_name(name): sha256_bytes(content) for name, content in files.items()}
        record = ExportRecord(job.name, job.kind, "done", None, None, None, digest, run.stamp, hashes, job.lod)
        return Result("done", record)


def _convert(job: Job, data: bytes, run: ExportRun) -> dict[str, bytes]:
    """Output path below the output folder to content."""
    with naming(job.source.path):
        files = export_glb(data, job.stem, job.kind, run.options, job.lod, run.template)
    return {str(job.outputs[0].parent / name): content for name, content in files.items()}


def _failure(job: Job, error: ItemError, digest: str | None, stamp: dict[str, Any]) -> ExportRecord:
    return ExportRecord(job.name, job.kind, "failed", error.code, error.message, error.hint, digest, stamp, {}, job.lod)


def _refuse_foreign(out: Path, files: Mapping[str, bytes], ours: Mapping[str, Collection[str]]) -> None:
    """Files that an export wrote may be replaced, also cut off; anything else is the user's."""
    for name, content in files.items():
        path, known = out / name, ours.get(name, ())
        if not os.path.lexists(path) or sha256_or_none(path) in (*known, sha256_bytes(content)):
            continue
        if known and path.stat().st_size < len(content) and content.startswith(read_file(path)):
            continue
        cause = f"was changed since {RECORD_NAME} was written" if known else f"is not recorded in {RECORD_NAME}"
        raise ItemError(
            "output_exists",
            f"{display_name(path)} exists and {cause}",
            "Move it away, choose another --out, or replace it with --overwrite.",
        )


def _refuse_collisions(jobs: Sequence[Job], out: Path) -> None:
    writers: dict[str, Job] = {}
    for job in jobs:
        for output in job.outputs:
            other = writers.setdefault(collision_key(str(output)), job)
            if other is not job:
                raise FatalError(
                    "output_collision",
                    f"{display_name(job.source.path)} and {display_name(other.source.path)} would both write "
                    f"{display_name(output)}",
                    "Rename one of the two meshes.",
                )
    read = {job.source.path.resolve(): job for job in jobs}
    for job in jobs:
        clash = read.get((out / job.outputs[0]).resolve())
        if clash is not None:
            raise FatalError(
                "output_collision",
                f"the export would overwrite the mesh {display_name(clash.source.path)}",
                "Choose another folder with --out.",
            )
