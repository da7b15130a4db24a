"""Is a GLB, a run folder or a folder of exports sound?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmgen.assets.container import parse_glb
from mmgen.assets.export_record import ExportRecord, record_files
from mmgen.assets.export_record import read_records as read_export_records
from mmgen.assets.findings import Finding
from mmgen.assets.glb import provenance_of, read_file
from mmgen.assets.khronos import KhronosSummary, find_validator, run_validator
from mmgen.assets.rules import check_glb
from mmgen.assets.tree import REJECTED_FOLDER, GlbFile, list_glbs
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import leftovers, sha256_bytes, sha256_or_none
from mmgen.core.listing import path_of_name
from mmgen.work.records import Record, manifest_files, read_records

MOST_PARTS_NAMED = 10
SHARED_HASHES = ("input_sha256", "mask_sha256", "weights_sha256", "options_sha256")
"""Fields that stand in a record and, under the same name, in the mesh's provenance."""


@dataclass(frozen=True)
class CheckedGlb:
    """What the folder checks need to know about one mesh file; None where it could not be read."""

    sha256: str | None
    provenance: Mapping[str, Any]


def check_run(folder: Path, records: Sequence[Record], glbs: Mapping[str, CheckedGlb]) -> Iterator[Finding]:
    """Records against meshes.

    Args:
        records: Newest record of each input.
        glbs: All meshes in the folder by their path below it.
    """
    yield from _missing_parts(folder)
    alone = [one for record in records for one in (record.assets if record.people else (record,))]
    for record in alone:
        if record.output is not None and record.output.endswith(".png"):
            yield from _mask_faults(folder, record)
            continue
        for message in _record_faults(record, glbs):
            yield Finding("error", "record", record.output or record.input, message)
    uses = Counter(record.output for record in alone if record.output)
    for name, count in sorted(uses.items()):
        if count > 1:
            yield Finding("error", "record", name, f"{count} records claim this output")
    for name in sorted(set(glbs) - set(uses)):
        yield Finding("error", "unrecorded", name, "no record knows this mesh")


def check_exports(folder: Path, records: Iterable[ExportRecord]) -> Iterator[Finding]:
    """Every exported file is there with the recorded bytes."""
    for record in records:
        for name, digest in record.outputs.items():
            found = sha256_or_none(folder / path_of_name(name))
            if found is None:
                yield Finding("error", "export_record", name, "recorded as exported and not there")
            elif found != digest:
                yield Finding("error", "export_record", name, "changed since it was exported")


def leftover_files(folder: Path) -> Iterator[Finding]:
    """Temporary files of killed runs; harmless."""
    for path in leftovers(folder):
        what = "leftover of a killed run; the next run of the same command removes it"
        yield Finding("warning", "leftover", path.relative_to(folder).as_posix(), what)


def _mask_faults(folder: Path, record: Record) -> Iterator[Finding]:
    """Of what `mmgen masks` wrote: people correct masks by hand, so another content is no error."""
    name = str(record.output)
    digest = sha256_or_none(folder / name)
    if digest is None:
        yield Finding("error", "record", name, "recorded and not there; mmgen masks makes it again")
    elif digest != record.output_sha256:
        yield Finding("warning", "record", name, "changed since it was written, by hand perhaps; mmgen masks keeps it")


def _record_faults(record: Record, glbs: Mapping[str, CheckedGlb]) -> Iterator[str]:
    if record.status == "failed":
        if not record.error or not record.hint:
            yield "recorded as failed without an error class and a hint"
        return
    for name, value in (("mask_iou", record.mask_iou), ("ssim", record.ssim)):
        if value is not None and value > 1:
            yield f"{name} is {value:g}, not a number up to 1"
    if record.output is None:
        yield "recorded as made, without an output"
        return
    in_rejected = PurePosixPath(record.output).parts[0] == REJECTED_FOLDER
    if record.status == "rejected" and not in_rejected:
        yield f"recorded as rejected and not in {REJECTED_FOLDER}/"
    glb = glbs.get(record.output)
    if glb is None:
        yield "recorded and not there"
    elif glb.sha256 != record.output_sha256:
        yield "its bytes are not the recorded ones; it was changed or damaged since"
    else:
        yield from _provenance_faults(record, glb)


def _provenance_faults(record: Record, glb: CheckedGlb) -> Iterator[str]:
    for name in SHARED_HASHES:
        stated = glb.provenance.get(name)
        if stated is not None and stated != getattr(record, name):
            yield f"{name} is {stated!r:.80} in the mesh and {getattr(record, name)!r:.80} in the record"


def _missing_parts(folder: Path) -> Iterator[Finding]:
    """A run in n parts is whole when all n record files are there."""
    parts: dict[int, set[int]] = {}
    for path in manifest_files(folder):
        words = path.stem.split("-")
        if len(words) == 4:
            parts.setdefault(int(words[3]), set()).add(int(words[1]))
    for count, present in sorted(parts.items()):
        missing = sorted(set(range(count)) - present)
        if missing:
            text = ", ".join(f"{index}/{count}" for index in missing[:MOST_PARTS_NAMED])
            text += f" and {len(missing) - MOST_PARTS_NAMED} more" if len(missing) > MOST_PARTS_NAMED else ""
            yield Finding("error", "parts", "manifest.jsonl", f"parts of this run are missing: --shard {text}")


@dataclass(frozen=True)
class Verification:
    """The verdict.

    Attributes:
        records: Number of records by status, `export ...` for export records; empty without records.
        khronos: The Khronos validator's totals; None where it is not installed or there is no GLB.
        rerun_same: How many of the GLBs had the same bytes when they were made again; None where nobody tried.
    """

    path: Path
    glb_files: int
    records: dict[str, int]
    findings: tuple[Finding, ...]
    khronos: KhronosSummary | None
    rerun_same: int | None = None

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def verify(path: Path) -> Verification:
    """Check one GLB, or everything in a folder, by our own rules and by the Khronos validator where it is installed.

    Raises:
        FatalError: There is nothing to check.
    """
    files = _files(path)
    checked, findings = {}, []
    for file in files:
        glb, found = _check_glb(file)
        checked[str(file.relative)] = glb
        findings += found
    counts: Counter[str] = Counter()
    if path.is_dir():
        findings += leftover_files(path)
        findings += _check_records(path, checked, counts)
    khronos, found = _khronos(files)
    return Verification(path, len(files), dict(sorted(counts.items())), tuple(findings + found), khronos)


def _files(path: Path) -> list[GlbFile]:
    try:
        return list_glbs(path, with_rejected=True)
    except FatalError:
        if path.is_dir() and (manifest_files(path) or record_files(path)):
            return []  # every photo failed, or other formats were exported
        raise


def _check_glb(file: GlbFile) -> tuple[CheckedGlb, list[Finding]]:
    name = str(file.relative)
    try:
        data = read_file(file.path)
    except ItemError as error:
        return CheckedGlb(None, {}), [Finding("error", "readable", name, error.message)]
    try:
        provenance = provenance_of(parse_glb(data))
    except ItemError:
        provenance = {}  # check_glb reports it
    return CheckedGlb(sha256_bytes(data), provenance), check_glb(data, name)


def _check_records(folder: Path, checked: dict[str, CheckedGlb], counts: Counter[str]) -> list[Finding]:
    """Check run and export records against the folder; `counts` gains the number of records by status."""
    findings: list[Finding] = []
    if manifest_files(folder):
        try:
            records = list(read_records(folder).values())
        except FatalError as error:
            return [Finding("error", "record", manifest_files(folder)[0].name, f"{error.message}; {error.hint}")]
        counts.update(record.status for record in records)
        findings += check_run(folder, records, checked)
    exports = list(read_export_records(folder).values())
    counts.update(f"export {record.status}" for record in exports)
    return findings + list(check_exports(folder, exports))


def _khronos(files: list[GlbFile]) -> tuple[KhronosSummary | None, list[Finding]]:
    validator = find_validator() if files else None
    if validator is None:
        return None, []
    try:
        summary, findings = run_validator(validator, [file.path for file in files])
    except FatalError as error:  # an optional tool that is broken must not spoil the verdict
        return None, [Finding("warning", "khronos", str(validator), f"{error.message}; {error.hint}")]
    names = {str(file.path): str(file.relative) for file in files}
    return summary, [replace(finding, file=names[finding.file]) for finding in findings]
