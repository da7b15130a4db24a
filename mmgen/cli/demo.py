"""`mmgen demo`: the whole tour on bundled photos."""

from dataclasses import asdict
from pathlib import Path

import click

from mmgen.cli.options import out_option, report_options, workers_option
from mmgen.cli.output import print_json, say
from mmgen.cli.photo_runs import photo_remarks
from mmgen.cli.run_report import RunConsole, say_plan
from mmgen.core.listing import display_name


@click.command()
@out_option("demo", "Folder for the photos, meshes, contact sheet, turntable and gallery.")
@workers_option
@report_options
def command(out: Path, workers: int | None, dry_run: bool, as_json: bool) -> int:
    """Turn bundled photos into textured 3D people, and show them.

    Needs no network and no GPU. The photos show procedural people who do not exist.
    """
    if dry_run:
        text = f"would reconstruct the bundled photos into {display_name(out)}"
        return say_plan(text, {"schema": "mmgen.demo/1", "dry_run": True, "out": display_name(out)}, as_json)
    say("mmgen demo: about half a minute, and some ten seconds more the first time, to compile the renderer")
    from mmgen.demo import run_demo
    from mmgen.work.engine import default_workers

    with RunConsole(photo_remarks) as console:
        result = run_demo(out, workers or default_workers("cpu"), console.callbacks)
    files = {name: display_name(getattr(result, name)) for name in ("meshes", "contact_sheet", "turntable", "gallery")}
    if as_json:
        summary = result.summary
        print_json({"schema": "mmgen.demo/1", **files, "ok": summary.ok, "mean_mask_iou": summary.mean_mask_iou,
                    "seconds": summary.seconds, "errors": [asdict(error) for error in summary.errors]})  # fmt: skip
    say(f"{result.summary.ok} meshes in {files['meshes']}, all views in {files['contact_sheet']}")
    say(f"open {files['gallery']} in a browser")
    return result.summary.exit_code
