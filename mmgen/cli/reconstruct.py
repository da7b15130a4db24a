"""`mmgen reconstruct`: photos to GLB meshes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    FiniteRange,
    PixelSizeType,
    chosen_engine,
    device_option,
    limit_option,
    masks_option,
    out_option,
    redo_of,
    redo_options,
    report_options,
    seed_option,
    spread_options,
    weights_option,
)
from mmgen.cli.output import say
from mmgen.cli.photo_runs import photo_remarks, run_photos, say_end, say_mask_sources, show_plan
from mmgen.cli.progress import duration
from mmgen.cli.run_report import count_of
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.reconstruction.batch import BatchConfig
    from mmgen.work.records import Shard

DEFAULT_HEIGHT_M = 1.70
DEFAULT_REFINE_STEPS = {"network": 60, "fit": 75}


@click.command()
@click.argument("sources", type=PATH, nargs=-1, required=True)
@out_option("meshes", "Folder for the GLBs and the run record; mirrors the inputs' folders.")
@masks_option(f"{MASK_SOURCES}; auto looks for alpha, a mask file, then guesses.")
@weights_option
@click.option(
    "--method",
    type=click.Choice(["network", "fit"]),
    help="One pass of trained networks, or a body template fitted to the mask.  [default: network where there are"
    " weights and no --template, else fit]",
)
@click.option(
    "--refine",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Steps that fit each photo further through the renderer; 0 is the fast way, a sketch.  [default: "
    + ", ".join(f"{method} {steps}" for method, steps in DEFAULT_REFINE_STEPS.items())
    + "]",
)
@click.option(
    "--facing",
    type=click.Choice(["auto", "front", "back"]),
    help="Where all people face: towards the camera, or away from it; auto looks at each photo.  [default: auto]",
)
@click.option("--rig", is_flag=True, help="Give every mesh a skeleton in the photo's pose, named as humanoids' joints.")
@click.option(
    "--height",
    type=FiniteRange(0.1, 10),
    metavar="METRES",
    help=f"Height of the people where no list says it (key height_m).  [default: {DEFAULT_HEIGHT_M:.2f}, recorded as"
    " assumed]",
)
@click.option(
    "--texture-size",
    type=PixelSizeType(16, 4096),
    help="Texture in texels.  [default: by the person's height in the photo, 256x128 to 2048x1024]",
)
@click.option(
    "--texture-codec",
    type=click.Choice(["png", "jpeg", "webp"]),
    help="png is exact and three times larger; webp is for viewers that know EXT_texture_webp.  [default: jpeg]",
)
@click.option(
    "--template",
    help="Body to fit: person, ellipsoid, or a closed mesh (glb, gltf, obj, off, ply, stl).  [default: person]",
)
@click.option(
    "--min-iou",
    type=FiniteRange(0, 1),
    default=0.0,
    help="Put assets whose silhouette fits worse than this into rejected/.",
)
@click.option("--strict", is_flag=True, help="Put assets of low confidence into rejected/, too.")
@click.option(
    "--by-identity",
    is_flag=True,
    help="One asset per person from all photos of the person: those named like 0002_c1s1_000451_03.jpg by their number,"
    " others by their folder.",
)
@redo_options
@limit_option()
@spread_options
@device_option
@seed_option
@report_options
def command(sources: tuple[Path, ...], out: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Turn photos into GLB meshes.

    SOURCES are folders (with all below them), images, and lists of them (@FILE, *.txt, *.jsonl).

    Run it again after an interruption, new photos or other options: what is finished and unchanged is not done again.
    Every photo has a line in manifest.jsonl; a bad photo costs one line there and nothing else. Where a mask shows
    several whole people apart, each becomes a mesh: NAME-person1.glb and so on, from left to right.
    """
    redo = redo_of(options)
    from mmgen.core.startup import gc_frozen

    with gc_frozen():
        batch = _batch(sources, out, redo, options)
    if dry_run:
        return show_plan(batch, sources, as_json, is_timed=True)
    with chosen_engine(options, out, options["device"]):
        return _run(batch, as_json)


def _batch(sources: tuple[Path, ...], out: Path, redo: Any, options: dict[str, Any]) -> "BatchConfig":
    """What to run; wrong usage is told before anything slow is loaded."""
    from mmgen.core.devices import resolve_device
    from mmgen.masks.structures import MaskSource
    from mmgen.photos.inputs import list_inputs, select
    from mmgen.reconstruction.identities import by_identity

    chosen = _chosen(options)
    masks = MaskSource.parse(options["masks"])
    arranged = by_identity if options["by_identity"] else list
    items = list_inputs(sources, out, [masks.folder] if masks.folder else [], arranged)
    options["device"] = resolve_device(options["device"])

    from mmgen.reconstruction.batch import BatchConfig
    from mmgen.reconstruction.options import ReconstructOptions, job_of
    from mmgen.work.engine import default_workers

    shard: Shard = options["shard"]
    method = ReconstructOptions(**chosen, device=options["device"])
    return BatchConfig(
        items=select(items, shard, options["limit"]),
        job=job_of(method, out, options["min_iou"], f"errors-{shard}.log", strict=options["strict"]),
        shard=shard,
        workers=options["workers"] or default_workers(options["device"]),
        redo=redo,
    )


def _run(batch: "BatchConfig", as_json: bool) -> int:
    summary, counts = run_photos(batch, photo_remarks, as_json)
    out, manifest = display_name(batch.job.out), display_name(batch.job.out / batch.shard.manifest_name)
    quality = "" if summary.mean_mask_iou is None else f"; mean MaskIoU {summary.mean_mask_iou:.3f}"
    meshes = f", {summary.assets} meshes, as some show several people" if summary.assets > summary.ok else ""
    say(
        f"{summary.ok} ok{meshes} ({summary.skipped} were there already), {summary.rejected} rejected, "
        f"{summary.failed} failed in {duration(summary.seconds)}{quality}"
    )
    unsure = counts["low confidence"]
    if unsure:
        say(f"{count_of(unsure, 'new mesh has', 'new meshes have')} low confidence: look at them, or give masks")
    if summary.left_out:
        say(f"{count_of(summary.left_out, 'photo')} left out of their person's asset; the run record says why")
    say_mask_sources(batch)
    say_end(summary, manifest)
    if summary.ok + summary.rejected:
        say(f"meshes in {out}, record in {manifest}")
        say(f"next: mmgen gallery {out}")
    return summary.exit_code


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `ReconstructOptions` that differ from its defaults, the device apart."""
    weights, height = _weights(options["method"], options["weights"], options["template"]), options["height"]
    if options["by_identity"] and weights is None:
        raise click.UsageError("--by-identity needs networks: a template fitted to masks knows no side of anybody")
    chosen = {
        "texture_size": options["texture_size"],
        "texture_codec": options["texture_codec"],
        "refine_steps": options["refine"],
        "height_m": height or DEFAULT_HEIGHT_M,
        "height_source": "given" if height else "assumed",
        "seed": options["seed"],
        "template": options["template"],
        "masks": options["masks"],
        "by_identity": options["by_identity"],
        "facing": options["facing"],
        "rig": options["rig"],
        "weights": weights,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _weights(method: str | None, weights: Path | None, template: str | None) -> Path | None:
    """The networks to use; None to fit the template."""
    from mmgen.bundled import bundled_weights_path, required_weights

    if weights is not None and method == "fit":
        raise click.UsageError("--weights and --method fit exclude each other")
    if template is not None and (weights is not None or method == "network"):
        raise click.UsageError("--template is for --method fit; networks bring their own")
    if method == "fit" or template is not None:
        return None
    return required_weights(weights) if method == "network" or weights is not None else bundled_weights_path()
