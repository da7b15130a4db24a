"""Is a GLB, a run folder or a folder of exports sound?"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from mmgen.assets.container import parse_glb
from mmgen.assets.export_record import read_records as read_export_records
from mmgen.assets.export_record import record_files
from mmgen.assets.findings import Finding
from mmgen.assets.glb import provenance_of, read_file
from mmgen.assets.khronos import KhronosSummary, find_validator, run_validator
from mmgen.assets.rules import check_glb
from mmgen.assets.run_checks import CheckedGlb, check_exports, check_run, leftover_files
from mmgen.assets.tree import GlbFile, list_glbs
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes
from mmgen.work.records import manifest_files, read_records


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
