"""`mmgen gallery`: look at meshes in a browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import PATH, accepted_option, dry_run_option, json_option, limit_option, out_option
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import progress
from mmgen.cli.run_report import error_data, items_exit_code, say_errors, say_plan
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.gallery import Gallery

PAGE_SUFFIXES = (".html", ".htm")


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@out_option("gallery.html", "The page to write, an .html file that holds everything.")
@accepted_option
@click.option("--title", help="Heading of the page.  [default: the name of MESHES]")
@limit_option("Only the first N items, in sorted order.")
@json_option
@dry_run_option
def command(
    meshes: Path,
    out: Path,
    accepted_only: bool,
    title: str | None,
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Put MESHES, a folder of GLBs, on one HTML page.

    The page shows every mesh beside its photo, with its figures, and what failed and why; a click opens a view that
    turns and zooms, in which people walk. It is one file that opens from disk in any browser and asks the network for
    nothing.

    For hundreds of meshes, and to correct and decide, there is `mmgen review`.

    Photos, figures and failures come from the run record (manifest.jsonl) in MESHES; GLBs without one are shown too.

    Exit codes: 0 all shown, 3 some meshes could not be read (the page says which), 4 nothing to show.
    """
    from mmgen.assets.tree import check_meshes

    check_meshes(meshes)
    if out.suffix.lower() not in PAGE_SUFFIXES:
        raise click.UsageError(f"--out is a page, an .html file, not {display_name(out)}; a folder is for mmgen review")
    from mmgen.core.files import write_alone
    from mmgen.gallery import build_gallery, collect_items

    items = [item for item in collect_items(meshes) if item.verdict == "accepted" or not accepted_only][:limit]
    if dry_run:
        plan = {"out": display_name(out), "items": [item.name for item in items], "dry_run": True}
        return say_plan(f"would put {len(items)} items on {display_name(out)}", plan, as_json)
    with progress("gallery", len(items)) as reporter:
        gallery = build_gallery(title or display_name(meshes.resolve().name), items, reporter.advance)
    write_alone(out, gallery.page)
    say_errors(gallery.unreadable)
    say(f"{display_name(out)}: {len(gallery.shown)} meshes, {len(gallery.page) / 1e6:.1f} MB; open it in a browser")
    if as_json:
        print_json(_report(out, gallery))
    return items_exit_code(len(gallery.shown), len(gallery.unreadable))


def _report(out: Path, gallery: "Gallery") -> dict[str, Any]:
    return {
        "out": display_name(out),
        "bytes": len(gallery.page),
        "shown": list(gallery.shown),
        "failed": list(gallery.failed),
        "unreadable": [error_data(error) for error in gallery.unreadable],
    }
