"""`mmgen gallery`: look at meshes in a browser."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import PATH, dry_run_option, json_option, limit_option
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import progress
from mmgen.cli.run_report import error_data, items_exit_code, nothing_written, say_errors
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.gallery import Gallery
    from mmgen.gallery.items import GalleryItem

PAGE_SUFFIXES = (".html", ".htm")


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@click.option(
    "--out",
    "-o",
    type=PATH,
    help="An .html file that holds everything, or a folder to serve.  [default: gallery.html; gallery/ with --serve]",
)
@click.option("--serve", is_flag=True, help="Serve the folder on 127.0.0.1, to this machine only, until Ctrl-C.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port of --serve.  [default: any free one]"
)
@click.option("--title", help="Heading of the page.  [default: the name of MESHES]")
@limit_option("Only the first N items, in sorted order.")
@json_option
@dry_run_option
def command(
    meshes: Path,
    out: Path | None,
    serve: bool,
    port: int,
    title: str | None,
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Put MESHES, a folder of GLBs, on one HTML page.

    The page shows every mesh beside its photo, with its figures, and what failed and why; a click opens a view that
    turns and zooms. It is one file that opens from disk in any browser and asks the network for nothing.

    From some hundred meshes on a folder suits better: with --serve, or an --out that is no .html, pictures and meshes
    are files of their own that the browser loads as they come into view.

    Photos, figures and failures come from the run record (manifest.jsonl) in MESHES; GLBs without one are shown too.

    Exit codes: 0 all shown, 3 some meshes could not be read (the page says which), 4 nothing to show.
    """
    from mmgen.gallery import collect_items

    out = out or Path("gallery" if serve else "gallery.html")
    is_page = out.suffix.lower() in PAGE_SUFFIXES
    if serve and is_page:
        raise click.UsageError(f"--serve needs a folder; {display_name(out)} is a single page, which opens from disk")
    items = collect_items(meshes)[:limit]
    if dry_run:
        say(f"would put {len(items)} items on {display_name(out)}")
        if as_json:
            print_json({"out": display_name(out), "items": [item.name for item in items], "dry_run": True})
        nothing_written()
        return 0
    gallery = _write(out, is_page, title or display_name(meshes.resolve().name), items)
    say_errors(gallery.unreadable)
    size = f", {len(gallery.page) / 1e6:.1f} MB" if is_page else ""
    what_next = "" if serve else "; open it in a browser" if is_page else "; serve it with: mmgen gallery --serve"
    say(f"{display_name(out)}: {len(gallery.shown)} meshes{size}{what_next}")
    if serve:
        _serve(out, port, _report(out, gallery) if as_json else None)
    elif as_json:
        print_json(_report(out, gallery))
    return items_exit_code(len(gallery.shown), len(gallery.unreadable))


def _write(out: Path, is_page: bool, heading: str, items: "list[GalleryItem]") -> "Gallery":
    from mmgen.core.files import write_bytes_atomic
    from mmgen.gallery import build_gallery, write_gallery_folder

    with progress("gallery", len(items)) as reporter:
        if not is_page:
            return write_gallery_folder(out, heading, items, reporter.advance)
        gallery = build_gallery(heading, items, reporter.advance)
    write_bytes_atomic(out, gallery.page)
    return gallery


def _serve(folder: Path, port: int, report: dict[str, Any] | None) -> None:
    """Until an interrupt, which is the ordinary way to end it."""
    from mmgen.gallery.server import GalleryServer

    with GalleryServer(folder, port) as server:
        if report is None:
            print(server.address, flush=True)
        else:
            print_json({**report, "address": server.address})
            sys.stdout.flush()
        say("serving; end with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")


def _report(out: Path, gallery: "Gallery") -> dict[str, Any]:
    return {
        "out": display_name(out),
        "bytes": len(gallery.page),
        "shown": list(gallery.shown),
        "failed": list(gallery.failed),
        "unreadable": [error_data(error) for error in gallery.unreadable],
    }
