"""`mmgen verify`: is a GLB, a folder or a weights file sound?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import PATH, json_option
from mmgen.cli.output import EXIT_ITEMS_FAILED, print_json, say
from mmgen.core.files import is_weights_file
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.assets.findings import Finding
    from mmgen.assets.verification import Verification
    from mmgen.augment.verification import ShardVerification


@click.command()
@click.argument("path", type=PATH)
@click.option("--rerun", is_flag=True, help="Also make every mesh again from its own provenance and compare bytes.")
@click.option("--photos", type=PATH, help="For --rerun: where the photos are now.  [default: as the run record says]")
@click.option("--masks", type=PATH, help="For --rerun: folder of the masks, or the ONNX file, if they came from one.")
@click.option("--weights", type=PATH, help="For --rerun: weights file.  [default: the bundled ones]")
@click.option("--template", help="For --rerun: mesh that was fitted, if it was a file of your own.")
@json_option
def command(path: Path, rerun: bool, as_json: bool, **whereabouts: Any) -> None:
    """Check that PATH is sound: a .glb file, a folder that `reconstruct`, `export` or `augment-reid` wrote, or weights.

    Meshes are checked by mmgen's own rules (format, geometry, texture, material, feet on the ground, provenance),
    folders against their records (files there, hashes equal, nothing half-written). Where node and the npm package
    gltf-validator are installed, the Khronos validator looks at every mesh too. Of shards, every count and hash is
    checked, and every sample against the index; of weights, that header, tensors and template fit together and all
    numbers are finite. Exit code 3 if there are errors.

    With --rerun every mesh is also reconstructed again, from the photo, mask, weights and options that its provenance
    names, and must have the same bytes.
    """
    if not rerun and any(value is not None for value in whereabouts.values()):
        raise click.UsageError("--photos, --masks, --weights and --template are for --rerun")
    from mmgen.assets.verification import verify
    from mmgen.augment.verification import is_shard_folder, verify_shards

    if is_shard_folder(path):
        if rerun:
            raise click.UsageError("--rerun is for meshes; shards are checked against their own records")
        _finish(_show_shards(verify_shards(path), as_json))
        return

    if is_weights_file(path):
        if rerun:
            raise click.UsageError("--rerun is for meshes; weights are trained, not made again")
        _finish(_show_weights(path, as_json))
        return

    verdict = verify(path)
    if rerun:
        verdict = _rerun(verdict, whereabouts)
    if as_json:
        _print_json(verdict)
    else:
        _print_text(verdict)
    _finish(verdict.count("error"))


def _rerun(verdict: "Verification", whereabouts: dict[str, Any]) -> "Verification":
    """The verdict with what making every mesh again has shown."""
    from dataclasses import replace

    from mmgen.assets.findings import Finding
    from mmgen.assets.tree import list_glbs
    from mmgen.cli.progress import progress
    from mmgen.core.errors import ItemError
    from mmgen.reconstruction.rerun import Rerunner, Whereabouts

    rerunner = Rerunner(Whereabouts(**whereabouts))
    files = list_glbs(verdict.path, with_rejected=True) if verdict.glb_files else []
    findings = []
    with progress("rerun", len(files)) as reporter:
        for file in files:
            try:
                difference = rerunner.difference(file)
                problem = difference and f"made again it has other bytes: {difference}"
            except ItemError as error:
                problem = f"cannot be made again: {error.message} [{error.code}]. {error.hint}"
            if problem:
                findings.append(Finding("error", "rerun", str(file.relative), problem))
            reporter.advance(failed=bool(problem))
    same = len(files) - len(findings)
    return replace(verdict, findings=(*verdict.findings, *findings), rerun_same=same)


def _finish(errors: int) -> None:
    if errors:
        click.get_current_context().exit(EXIT_ITEMS_FAILED)


def _show_weights(path: Path, as_json: bool) -> int:
    """Print the verdict on weights; returns the number of errors."""
    from dataclasses import asdict

    from mmgen.assets.findings import Finding
    from mmgen.models.weights import load_weights
    from mmgen.models.weights_report import weights_facts, weights_faults

    weights = load_weights(path, any_numbers=True)
    findings = [Finding("error", "weights", path.name, fault) for fault in weights_faults(weights)]
    facts = weights_facts(path, weights)
    if as_json:
        verdict = {"ok": not findings, "errors": len(findings), "findings": [asdict(finding) for finding in findings]}
        print_json({"schema": "mmgen.verify/1", "path": facts["path"], "sha256": facts["sha256"], **verdict})
    else:
        _print_findings(findings)
        print(f"{facts['path']}: weights of {facts['parameters']['all']} parameters; {len(findings)} errors")
    return len(findings)


def _show_shards(verdict: "ShardVerification", as_json: bool) -> int:
    """Print the verdict on shards; returns the number of errors."""
    from dataclasses import asdict

    errors, warnings = verdict.count("error"), verdict.count("warning")
    if as_json:
        counts = {"shards": verdict.shards, "samples": verdict.samples, "errors": errors, "warnings": warnings}
        findings = [asdict(finding) for finding in verdict.findings]
        path = display_name(verdict.path)
        print_json({"schema": "mmgen.verify/1", "path": path, "ok": not errors, **counts, "findings": findings})
        return errors
    _print_findings(verdict.findings)
    print(
        f"{display_name(verdict.path)}: {verdict.samples} samples in {verdict.shards} shards; "
        f"{errors} errors, {warnings} warnings"
    )
    return errors


def _print_json(verdict: "Verification") -> None:
    from dataclasses import asdict

    print_json(
        {
            "schema": "mmgen.verify/1",
            "path": display_name(verdict.path),
            "ok": verdict.count("error") == 0,
            "glb_files": verdict.glb_files,
            "records": verdict.records,
            "errors": verdict.count("error"),
            "warnings": verdict.count("warning"),
            "khronos": asdict(verdict.khronos) if verdict.khronos else None,
            "rerun_same": verdict.rerun_same,
            "findings": [asdict(finding) for finding in verdict.findings],
        }
    )


def _print_findings(findings: "Sequence[Finding]") -> None:
    for finding in findings:
        print(f"{finding.severity}: {display_name(finding.file)}: {finding.message} [{finding.rule}]")


def _print_text(verdict: "Verification") -> None:
    _print_findings(verdict.findings)
    records = ", ".join(f"{count} {status}" for status, count in verdict.records.items())
    print(
        f"{display_name(verdict.path)}: {verdict.glb_files} GLBs{', records: ' + records if records else ''}; "
        f"{verdict.count('error')} errors, {verdict.count('warning')} warnings"
    )
    if verdict.rerun_same is not None:
        print(f"made again: {verdict.rerun_same} of {verdict.glb_files} with the same bytes")
    if verdict.khronos is None:
        say("Checked by mmgen's own rules. For the Khronos validator too (optional): npm install gltf-validator")
    else:
        totals = verdict.khronos
        print(
            f"Khronos validator: {totals.errors} errors, {totals.warnings} warnings, {totals.infos} infos, "
            f"{totals.hints} hints in {totals.files} files"
        )
