"""`mmgen export`: meshes to other formats."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    PATH,
    FiniteRange,
    ParsedType,
    accepted_option,
    choice_option,
    chosen_engine,
    limit_option,
    out_option,
    overwrite_option,
    report_options,
    spread_options,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.run_report import items_exit_code, say_list
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.assets.exporting import ExportRun, Job, Result
    from mmgen.assets.formats import ExportOptions
    from recon.template import Template

FORMATS = ("glb", "gltf", "obj", "ply", "stl", "usdz")


WORTH_PROCESSES = 100
"""Fewer files are written before another process has started."""


def _texture_size(text: str) -> int | None:
    size = int(text)
    return size if 16 <= size <= 8192 and size & (size - 1) == 0 else None


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("glb",),
    help="Format to write; repeat it for several. stl is in millimetres, the others in metres; usdz needs usd-core.",
)
@out_option("exports")
@click.option(
    "--texture-size",
    type=ParsedType("texels", _texture_size, "a power of two from 16 to 8192, such as 512"),
    help="Texels of the texture's longer side, a power of two.  [default: as it is]",
)
@click.option(
    "--texture-codec",
    type=click.Choice(("png", "jpeg", "webp")),
    help="png is exact; jpeg and webp are several times smaller. webp is for glb, gltf and viewers that know"
    " EXT_texture_webp: there is no second texture for others.  [default: as it is in glb and usdz, png in others]",
)
@click.option(
    "--height",
    "height_m",
    type=FiniteRange(0.01, 100),
    metavar="METRES",
    help="Scale every mesh to this height.  [default: as it is]",
)
@choice_option(
    "--material",
    ("unlit", "lit", "both"),
    "How viewers of glTF shade it: as in the photo, by their own light, or both as KHR_materials_variants.",
)
@click.option(
    "--lod",
    "lods",
    type=click.IntRange(1, 3),
    metavar="N",
    help="Also write N simpler levels, each of a quarter of the faces: x_lod0 (full), x_lod1, ...",
)
@click.option(
    "--compress",
    type=click.Choice(("meshopt", "draco")),
    help="Compress the geometry of glb with gltf-transform (or gltfpack), which must be on PATH; viewers need the"
    " codec's decoder.",
)
@click.option(
    "--rig",
    is_flag=True,
    help="Give glb and gltf a skeleton with the joint names of humanoids; the mesh stays in the photo's pose.",
)
@click.option(
    "--animation",
    type=click.Choice(("walk", "turn", "idle")),
    help="Also a loop that viewers and engines can play; implies --rig.",
)
@click.option(
    "--up",
    type=click.Choice(("y", "z")),
    help="The axis that is up in ply and stl; the other formats fix it.  [default: y in ply, z in stl]",
)
@spread_options
@limit_option("Only the first N meshes, in sorted order.")
@accepted_option
@overwrite_option
@report_options
def command(
    meshes: Path,
    formats: tuple[str, ...],
    out: Path,
    limit: int | None,
    accepted_only: bool,
    lods: int | None,
    overwrite: bool,
    as_json: bool,
    dry_run: bool,
    **others: Any,
) -> int:
    """Convert MESHES (a folder that `mmgen reconstruct` wrote, or one .glb file; default: meshes/) to other formats.

    Outputs mirror the folder tree. A second run skips what is up to date: same mesh, same options, untouched outputs.
    Meshes in MESHES/rejected are left out unless you name that folder.
    """
    from mmgen.assets.exporting import ExportRun, part_of, plan_jobs
    from mmgen.assets.formats import ExportOptions
    from mmgen.assets.tree import list_glbs, only_accepted

    place = {name: others.pop(name) for name in ("shard", "workers", "engine", "ray_address")}
    others["rig"] = others["rig"] or others["animation"] is not None
    options = ExportOptions(**others)
    _check_formats(formats, options)
    files = only_accepted(meshes) if accepted_only else list_glbs(meshes)
    jobs = plan_jobs(files[:limit], formats, options, out, lods or 0)  # type: ignore[arg-type]
    jobs = part_of(jobs, place["shard"])
    if dry_run:
        _show_plan(jobs, out, as_json)
        return 0
    with chosen_engine(place, out):
        run = ExportRun(out, options, overwrite, shard=place["shard"], template=_skeleton(options))
        return _run(jobs, run, place["workers"], as_json)


def _run(jobs: "list[Job]", run: "ExportRun", workers: int | None, as_json: bool) -> int:
    from mmgen.assets.exporting import run_jobs
    from mmgen.cli.progress import progress
    from mmgen.work.engine import default_workers

    started = time.monotonic()
    with progress("export", len(jobs)) as reporter:
        results = run_jobs(
            jobs,
            run,
            lambda result: reporter.advance(failed=result.outcome == "failed"),
            workers or (default_workers("cpu") if len(jobs) >= WORTH_PROCESSES else 1),
        )
    return _report(results, run.out, time.monotonic() - started, as_json)


def _check_formats(formats: tuple[str, ...], options: "ExportOptions") -> None:
    from mmgen.assets.compression import find_tool
    from mmgen.assets.formats import RIGGED, WITH_AXES, WITHOUT_WEBP
    from mmgen.assets.usdz import require_usd

    refusing = [kind for kind in formats if kind in WITHOUT_WEBP]
    if options.texture_codec == "webp" and refusing:
        raise click.UsageError(
            f"--texture-codec webp is not for {' and '.join(refusing)}: their readers know png and jpeg"
        )
    still = [kind for kind in formats if kind not in RIGGED]
    if options.rig and still:
        raise click.UsageError(f"--rig is for {' and '.join(RIGGED)}, not for {' and '.join(still)}")
    fixed = [kind for kind in formats if kind not in WITH_AXES]
    if options.up is not None and fixed:
        raise click.UsageError(f"--up is for {' and '.join(WITH_AXES)}; {' and '.join(fixed)} is +Y up by its standard")
    others = [kind for kind in formats if kind != "glb"]
    if options.compress is not None and others:
        raise click.UsageError(f"--compress is for glb, not for {' and '.join(others)}")
    if options.compress is not None:
        find_tool(options.compress)
    if "usdz" in formats:
        require_usd()


def _skeleton(options: "ExportOptions") -> "Template | None":
    if not options.rig:
        return None
    from mmgen.templates import named_template

    return named_template("person")


def _show_plan(jobs: "list[Job]", out: Path, as_json: bool) -> None:
    rows = [
        {"source": str(job.source.relative), "format": job.kind, "outputs": [str(name) for name in job.outputs]}
        for job in jobs
    ]
    if as_json:
        print_json({"schema": "mmgen.export/1", "dry_run": True, "out": str(out), "items": rows})
        return
    for job in jobs:
        print(f"{display_name(job.source.path)} -> {', '.join(display_name(out / name) for name in job.outputs)}")


def _report(results: "list[Result]", out: Path, seconds: float, as_json: bool) -> int:
    from dataclasses import asdict

    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in ("done", "skipped", "failed")}
    failures = [result.record for result in results if result.outcome == "failed"]
    lines = dict.fromkeys(f"failed: {record.message}\n  hint: {record.hint}" for record in failures)
    say_list(lines, "see --json")
    if as_json:
        items = [asdict(result.record) | {"status": result.outcome} for result in results]
        print_json(
            {"schema": "mmgen.export/1", "out": str(out), **counts, "seconds": round(seconds, 3), "items": items}
        )
    else:
        done, skipped, failed = counts.values()
        print(f"{done} exported, {skipped} up to date, {failed} failed -> {display_name(out)}")
        say(f"{len(results) / seconds:.1f} files a second, {seconds:.1f} s in all")
    return items_exit_code(len(results) - counts["failed"], counts["failed"])
