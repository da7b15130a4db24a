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
    from mmgen.augment.realism import Realism
    from mmgen.augment.verification import ShardVerification


@click.command()
@click.argument("path", type=PATH)
@click.option("--rerun", is_flag=True, help="Also make every mesh again from its own provenance and compare bytes.")
@click.option(
    "--realism",
    is_flag=True,
    help="Of shards, with --photos: also compare virtual with real photos (sharpness, colours, a classifier's AUC) and "
    "write that into the data card.",
)
@click.option(
    "--photos",
    type=PATH,
    help="For --rerun: where the photos are now.  [default: as the run record says]  For --realism: the data set.",
)
@click.option("--masks", type=PATH, help="For --rerun: folder of the masks, or the ONNX file, if they came from one.")
@click.option("--weights", type=PATH, help="For --rerun: weights file.  [default: the bundled ones]")
@click.option("--template", help="For --rerun: mesh that was fitted, if it was a file of your own.")
@json_option
def command(path: Path, rerun: bool, realism: bool, as_json: bool, **whereabouts: Any) -> int:
    """Check that PATH is sound: a .glb file, a folder that `reconstruct`, `export` or `augment-reid` wrote, or weights.

    Meshes are checked by mmgen's own rules (format, geometry, texture, material, feet on the ground, provenance),
    folders against their records (files there, hashes equal, nothing half-written). Where node and the npm package
    gltf-validator are installed, the Khronos validator looks at every mesh too. Of shards, every count and hash is
    checked, and every sample against the index; of weights, that header, tensors and template fit together and all
    numbers are finite. Exit code 3 if there are errors.

    With --rerun every mesh is also reconstructed again, from the photo, mask, weights and options that its provenance
    names, and must have the same bytes.
    """
    if not (rerun or realism) and any(value is not None for value in whereabouts.values()):
        raise click.UsageError("--photos, --masks, --weights and --template are for --rerun")
    from mmgen.assets.verification import verify
    from mmgen.augment.verification import is_shard_folder, verify_shards

    is_shards, is_weights = is_shard_folder(path), is_weights_file(path)
    if rerun and (is_shards or is_weights):
        raise click.UsageError("--rerun is for meshes; shards and weights are checked against their own records")
    if realism and (rerun or whereabouts["photos"] is None or not is_shards):
        raise click.UsageError("--realism is for a folder of shards, and needs --photos, the data set")
    if is_shards:
        shards = verify_shards(path)
        judged = _realism(path, whereabouts["photos"]) if realism and not shards.findings else None
        return _show_shards(shards, judged, as_json)
    if is_weights:
        return _show_weights(path, as_json)
    verdict = verify(path)
    if rerun:
        verdict = _rerun(verdict, whereabouts)
    return _show_meshes(verdict, as_json)


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


def _show(path: Path, findings: "Sequence[Finding]", facts: dict[str, Any], counted: str, as_json: bool) -> int:
    """Print findings and what was counted; the exit code: 3 where a finding is an error."""
    from dataclasses import asdict

    counts = {f"{severity}s": sum(one.severity == severity for one in findings) for severity in ("error", "warning")}
    shown = display_name(path)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        ok = not counts["errors"]
        print_json({"schema": "mmgen.verify/1", "path": shown, "ok": ok, **facts, **counts, "findings": rows})
    else:
        for one in findings:
            print(f"{one.severity}: {display_name(one.file)}: {one.message} [{one.rule}]")
        print(f"{shown}: {counted}; {counts['errors']} errors, {counts['warnings']} warnings")
    return EXIT_ITEMS_FAILED if counts["errors"] else 0


def _show_weights(path: Path, as_json: bool) -> int:
    from mmgen.assets.findings import Finding
    from mmgen.models.weights import load_weights, weights_facts, weights_faults

    weights = load_weights(path, any_numbers=True)
    findings = [Finding("error", "weights", path.name, fault) for fault in weights_faults(weights)]
    facts = weights_facts(path, weights)
    counted = f"weights of {facts['parameters']['all']} parameters"
    return _show(path, findings, {"sha256": facts["sha256"]}, counted, as_json)


def _realism(path: Path, photos: Path) -> "Realism":
    from mmgen.augment.card import write_realism
    from mmgen.augment.realism import EPOCHS, SPLITS, judge_realism
    from mmgen.augment.sources import find_sources
    from mmgen.cli.progress import progress

    with progress("judge", SPLITS * EPOCHS) as reporter:
        judged = judge_realism(path, find_sources(photos).root, advance=lambda _: reporter.advance())
    write_realism(path, judged.lines())
    return judged


def _show_shards(verdict: "ShardVerification", realism: "Realism | None", as_json: bool) -> int:
    facts: dict[str, Any] = {"shards": verdict.shards, "samples": verdict.samples}
    if realism is not None:
        facts["realism"] = realism.to_dict()
    counted = f"{verdict.samples} samples in {verdict.shards} shards"
    code = _show(verdict.path, verdict.findings, facts, counted, as_json)
    if realism is not None and not as_json:
        print("\n".join(realism.lines()))
    return code


def _show_meshes(verdict: "Verification", as_json: bool) -> int:
    from dataclasses import asdict

    khronos = asdict(verdict.khronos) if verdict.khronos else None
    facts = {"glb_files": verdict.glb_files, "records": verdict.records, "khronos": khronos}
    records = ", ".join(f"{count} {status}" for status, count in verdict.records.items())
    counted = f"{verdict.glb_files} GLBs{', records: ' + records if records else ''}"
    code = _show(verdict.path, verdict.findings, {**facts, "rerun_same": verdict.rerun_same}, counted, as_json)
    if as_json:
        return code
    if verdict.rerun_same is not None:
        print(f"made again: {verdict.rerun_same} of {verdict.glb_files} with the same bytes")
    if khronos is None:
        say(
            "Checked by mmgen's own rules. For the Khronos validator too (optional): npm install gltf-validator,"
            " and name that folder in MMGEN_GLTF_VALIDATOR"
        )
    else:
        totals = "{errors} errors, {warnings} warnings, {infos} infos, {hints} hints in {files} files"
        print(f"Khronos validator: {totals.format(**khronos)}")
    return code
