"""`mmgen turntable`: meshes from all sides, as animations."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from mmgen.cli import EXIT_ITEMS_FAILED, EXIT_NOTHING_DONE
from mmgen.cli.options import PATH, PixelSizeType, dry_run_option, json_option, limit_option, out_option
from mmgen.cli.output import print_json, say
from mmgen.listing import display_name

if TYPE_CHECKING:
    from mmgen.errors import ItemError

KINDS = ("gif", "webp", "mp4")


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@out_option("turntables", help_text="Folder to write to; for a single mesh also a file that ends in the format's name.")
@click.option("--format", "kind", type=click.Choice(KINDS), help="mp4 needs ffmpeg on PATH.  [default: gif]")
@click.option("--frames", type=click.IntRange(2, 720), default=36, show_default=True, help="Pictures in one turn.")
@click.option("--fps", type=click.FloatRange(1, 50), default=18.0, show_default=True, help="Pictures per second.")
@click.option(
    "--size", type=PixelSizeType(16, 2048), default="480x320", show_default=True, help="Height and width, pixels."
)
@click.option(
    "--elevation",
    "elevation_deg",
    type=click.FloatRange(-89, 89),
    default=5.0,
    show_default=True,
    help="Degrees that the camera looks down.",
)
@limit_option("Only the first N meshes, in sorted order.")
@json_option
@dry_run_option
def command(
    meshes: Path,
    out: Path,
    kind: str | None,
    frames: int,
    fps: float,
    size: tuple[int, int],
    elevation_deg: float,
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Render MESHES (a folder of GLBs, or one .glb file; default: meshes/) from all sides, the front first.

    Outputs mirror the folder tree.

    Exit codes: 0 all good, 3 some meshes failed (the others are written), 4 nothing could be done.
    """
    from mmgen.assets.tree import list_glbs
    from mmgen.cli.progress import progress
    from mmgen.errors import ItemError

    sources = list_glbs(meshes)[:limit]
    targets = _targets([source.relative for source in sources], out, kind, meshes.is_file())
    if dry_run:
        _report(targets, [], as_json)
        return
    from mmgen.assets.glb import read_glb
    from mmgen.previews import check_animation, save_animation, turntable_frames

    check_animation(targets[0])
    failures = []
    with progress("turntable", len(sources)) as reporter:
        for source, target in zip(sources, targets, strict=True):
            try:
                save_animation(target, turntable_frames(read_glb(source.path), frames, size, elevation_deg), fps)
            except ItemError as error:
                failures.append((target, error))
            reporter.advance(failed=bool(failures) and failures[-1][0] == target)
    failed = {target for target, _ in failures}
    _report([target for target in targets if target not in failed], [error for _, error in failures], as_json)
    if failures:
        click.get_current_context().exit(EXIT_NOTHING_DONE if len(failures) == len(sources) else EXIT_ITEMS_FAILED)


def _targets(sources: list[PurePosixPath], out: Path, kind: str | None, is_single: bool) -> list[Path]:
    if is_single and out.suffix[1:].lower() in KINDS:
        if kind not in (None, out.suffix[1:].lower()):
            raise click.UsageError(f"--format {kind} and --out {display_name(out)} contradict each other")
        return [out]
    return [out / source.with_suffix(f".{kind or KINDS[0]}") for source in sources]


def _report(written: list[Path], failures: list["ItemError"], as_json: bool) -> None:
    for error in failures:
        say(f"failed: {error.message}\n  hint: {error.hint}")
    if as_json:
        rows = [{"error": error.code, "message": error.message, "hint": error.hint} for error in failures]
        print_json(
            {"schema": "mmgen.turntable/1", "outputs": [display_name(path) for path in written], "failures": rows}
        )
    else:
        for path in written:
            print(display_name(path))
