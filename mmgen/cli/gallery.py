"""`mmgen gallery`: look at meshes in a browser."""

from pathlib import Path

import click

from mmgen.cli import EXIT_ITEMS_FAILED
from mmgen.cli.options import PATH, dry_run_option, json_option, limit_option, out_option
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import progress
from mmgen.listing import display_name


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@out_option("gallery.html", help_text="The HTML file to write; replaced if it is there.")
@click.option("--title", help="Heading of the page.  [default: the name of MESHES]")
@limit_option("Only the first N items, in sorted order.")
@json_option
@dry_run_option
def command(meshes: Path, out: Path, title: str | None, limit: int | None, as_json: bool, dry_run: bool) -> None:
    """Put MESHES, a folder of GLBs, on one HTML page.

    The page shows every mesh beside its photo, with its figures, and what failed and why; a click opens a view that
    turns and zooms. It is one file that opens from disk in any browser and asks the network for nothing.

    Photos, figures and failures come from the run record (manifest.jsonl) in MESHES; GLBs without one are shown too.

    Exit codes: 0 all shown, 3 some meshes could not be read (the page says which), 4 nothing to show.
    """
    from mmgen.files import write_bytes_atomic
    from mmgen.gallery import build_gallery, collect_items

    items = collect_items(meshes)[:limit]
    if dry_run:
        say(f"would put {len(items)} items on {display_name(out)}")
        if as_json:
            print_json({"out": display_name(out), "items": [item.name for item in items], "dry_run": True})
        return
    heading = title or display_name(meshes.resolve().name)
    with progress("gallery", len(items)) as reporter:
        gallery = build_gallery(heading, items, reporter.advance)
    write_bytes_atomic(out, gallery.page)
    for error in gallery.unreadable:
        say(f"error: {error.message}\nhint: {error.hint}")
    say(f"{display_name(out)}: {len(gallery.shown)} meshes, {len(gallery.page) / 1e6:.1f} MB; open it in a browser")
    if as_json:
        print_json(
            {
                "out": display_name(out),
                "bytes": len(gallery.page),
                "shown": list(gallery.shown),
                "failed": list(gallery.failed),
                "unreadable": [{"error": error.code, "message": error.message} for error in gallery.unreadable],
            }
        )
    if gallery.unreadable:
        raise SystemExit(EXIT_ITEMS_FAILED)
