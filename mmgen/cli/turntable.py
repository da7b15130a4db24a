"""`mmgen turntable`: meshes under a moving camera, and templates under training, as animations."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from mmgen.cli.options import PATH, FiniteRange, PixelSizeType, limit_option, out_option, report_options
from mmgen.cli.run_report import report_files
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmgen.assets.asset import Asset
    from mmgen.assets.tree import GlbFile
    from mmgen.core.errors import ItemError
    from mmgen.previews.views import Image8, Sweep

SCHEMA = "mmgen.turntable/1"
KINDS = ("gif", "webp", "mp4")
SWEEPS = ("azimuth", "elevation", "distance", "x", "y")


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@out_option("turntables", help_text="Folder to write to; for a single mesh also a file that ends in the format's name.")
@click.option(
    "--sweep",
    type=click.Choice(SWEEPS),
    default="azimuth",
    help="What moves: around the mesh, up and down, near and far, or the mesh sideways (x) or up and down (y).",
)
@click.option("--walk", is_flag=True, help="People walk on the spot meanwhile; whole meshes of the person template.")
@click.option("--format", "kind", type=click.Choice(KINDS), help="mp4 needs ffmpeg on PATH.  [default: gif]")
@click.option("--frames", type=click.IntRange(2, 720), default=36, help="Pictures in one turn.")
@click.option("--fps", type=FiniteRange(1, 50), default=18.0, help="Pictures per second.")
@click.option("--size", type=PixelSizeType(16, 2048), default="480x320", help="Height and width, pixels.")
@click.option(
    "--azimuth",
    "azimuth_deg",
    type=float,
    default=0.0,
    help="Degrees to the side that the camera starts from; 0 sees the front.",
)
@click.option(
    "--elevation",
    "elevation_deg",
    type=FiniteRange(-89, 89),
    default=5.0,
    help="Degrees that the camera looks down.",
)
@limit_option("Only the first N meshes, in sorted order.")
@report_options
def command(
    meshes: Path,
    out: Path,
    sweep: "Sweep",
    walk: bool,
    kind: str | None,
    frames: int,
    fps: float,
    size: tuple[int, int],
    azimuth_deg: float,
    elevation_deg: float,
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Animate MESHES (a folder of GLBs, or one .glb file; default: meshes/): from all sides, the front first.

    With --sweep something else moves instead, there and back. With --walk they also walk, as `mmgen export --animation
    walk` makes them, as many whole strides as there is time for. Outputs mirror the folder tree.

    MESHES may also be the folder of a training run: then its template is shown as it came to its shape, one picture
    after the other (--fps 4 suits it); only --out, --format and --fps count.

    Exit codes: 0 all good, 3 some meshes failed (the others are written), 4 nothing could be done.
    """
    from mmgen.assets.tree import check_meshes, list_glbs

    check_meshes(meshes)
    from mmgen.previews.animation import template_pictures

    if template_pictures(meshes):
        target = _targets([PurePosixPath("template")], out, kind, is_single=True)[0]
        if not dry_run:
            _animate_training(meshes, target, fps)
        return report_files(SCHEMA, [target], [], as_json)
    sources = list_glbs(meshes)[:limit]
    targets = _targets([source.relative for source in sources], out, kind, meshes.is_file())
    if dry_run:
        return report_files(SCHEMA, targets, [], as_json)
    from mmgen.assets.motions import walked
    from mmgen.assets.rig import rigged
    from mmgen.previews import View, sweep_frames
    from mmgen.templates import named_template

    template = named_template("person") if walk else None

    def pictures(asset: "Asset") -> "list[Image8]":
        poses = None if template is None else walked(asset, rigged(asset, template), frames, fps)
        return list(sweep_frames(asset, sweep, View(azimuth_deg, elevation_deg), frames, size, poses))

    failures = _animate(sources, targets, pictures, fps)
    return report_files(SCHEMA, [one for one in targets if one not in failures], list(failures.values()), as_json)


def _animate(
    sources: "list[GlbFile]", targets: list[Path], pictures: "Callable[[Asset], list[Image8]]", fps: float
) -> "dict[Path, ItemError]":
    from mmgen.assets.glb import naming, read_glb
    from mmgen.cli.progress import progress
    from mmgen.core.errors import ItemError
    from mmgen.previews import check_animation, save_animation

    check_animation(targets[0])
    failures: dict[Path, ItemError] = {}
    with progress("turntable", len(sources)) as reporter:
        for source, target in zip(sources, targets, strict=True):
            try:
                asset = read_glb(source.path)
                with naming(source.path):
                    shown = pictures(asset)
                save_animation(target, shown, fps)
            except ItemError as error:
                failures[target] = error
            reporter.advance(failed=target in failures)
    return failures


def _animate_training(run: Path, target: Path, fps: float) -> None:
    from mmgen.previews import check_animation, save_animation
    from mmgen.previews.animation import evolution_frames

    check_animation(target)
    save_animation(target, evolution_frames(run), fps)


def _targets(sources: list[PurePosixPath], out: Path, kind: str | None, is_single: bool) -> list[Path]:
    if is_single and out.suffix[1:].lower() in KINDS:
        if kind not in (None, out.suffix[1:].lower()):
            raise click.UsageError(f"--format {kind} and --out {display_name(out)} contradict each other")
        return [out]
    return [out / source.with_suffix(f".{kind or KINDS[0]}") for source in sources]
