"""`mmgen reconstruct`: photos to GLB meshes."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.engines import chosen_engine
from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    PixelSizeType,
    device_option,
    dry_run_option,
    engine_options,
    json_option,
    limit_option,
    masks_option,
    out_option,
    overwrite_option,
    seed_option,
    shard_option,
    workers_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import Reporter, duration, progress
from mmgen.core.listing import display_name
from mmgen.work.records import Record, Shard

if TYPE_CHECKING:
    from mmgen.reconstruct.batch import BatchConfig, Summary
    from mmgen.reconstruct.planning import Forecast, Plan

SHOWN_FAILURES = 100
DEFAULT_HEIGHT_M = 1.70
DEFAULT_REFINE_STEPS = {"network": 0, "fit": 75}
DEFAULT_TEXTURE_SIZE = "512x256"


@click.command()
@click.argument("sources", type=PATH, nargs=-1, required=True)
@out_option("meshes", "Folder for the GLBs and the run record; mirrors the inputs' folders.")
@masks_option(f"{MASK_SOURCES}; auto looks for alpha, a mask file, then guesses.")
@click.option("--weights", type=PATH, help="Trained networks (.safetensors).  [default: the bundled ones, if any]")
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
    help="Steps that fit each photo further through the renderer.  [default: "
    + ", ".join(f"{method} {steps}" for method, steps in DEFAULT_REFINE_STEPS.items())
    + "]",
)
@click.option(
    "--height",
    type=click.FloatRange(0.1, 10),
    metavar="METRES",
    help=f"Height of the people where no list says it (key height_m).  [default: {DEFAULT_HEIGHT_M:.2f}, recorded as"
    " assumed]",
)
@click.option(
    "--texture-size",
    type=PixelSizeType(16, 4096),
    help=f"Texture in texels.  [default: {DEFAULT_TEXTURE_SIZE}]",
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
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Put assets whose silhouette fits worse than this into rejected/.",
)
@click.option(
    "--by-identity",
    is_flag=True,
    help="One asset per person from all photos of the person: those named like 0002_c1s1_000451_03.jpg by their number,"
    " others by their folder.",
)
@overwrite_option
@click.option("--retry-failed", is_flag=True, help="Only what failed before.")
@limit_option()
@shard_option
@workers_option
@engine_options
@device_option
@seed_option()
@dry_run_option
@json_option
def command(sources: tuple[Path, ...], out: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Turn photos into GLB meshes.

    SOURCES are folders (with all below them), images, and lists of them (@FILE, *.txt, *.jsonl).

    Run it again after an interruption, new photos or other options: what is finished and unchanged is not done again.
    Every photo has a line in manifest.jsonl; a bad photo costs one line there and nothing else. Where a mask shows
    several whole people apart, each becomes a mesh: NAME-person1.glb and so on, from left to right.
    """
    if options["retry_failed"] and options["overwrite"]:
        raise click.UsageError("--retry-failed and --overwrite exclude each other")
    from mmgen.core.startup import gc_frozen

    with gc_frozen():
        from mmgen.core.devices import resolve_device

        options["device"] = resolve_device(options["device"])
        batch = _batch(sources, out, options)
    if dry_run:
        code = _show_plan(batch, as_json)
    else:
        with chosen_engine(options, out, options["device"]):
            code = _run(batch, as_json)
    click.get_current_context().exit(code)


def _batch(sources: tuple[Path, ...], out: Path, options: Mapping[str, Any]) -> "BatchConfig":
    from functools import partial

    from mmgen.masks import MaskSource
    from mmgen.photos.inputs import list_inputs, select
    from mmgen.reconstruct.batch import BatchConfig
    from mmgen.reconstruct.choose import build_reconstructor
    from mmgen.reconstruct.identities import by_identity
    from mmgen.reconstruct.job import Job
    from mmgen.work.engine import default_workers
    from mmgen.work.locks import STATE_FOLDER

    masks = MaskSource.parse(options["masks"])
    method = _method_options(options)
    arranged = by_identity if method.by_identity else list
    items = list_inputs(sources, out, [masks.folder] if masks.folder else [], arranged)
    shard: Shard = options["shard"]
    job = Job(
        out=out,
        build=partial(build_reconstructor, method),
        options=method.result_options(),
        masks=masks,
        min_iou=options["min_iou"],
        log=out / STATE_FOLDER / f"errors-{shard}.log",
    )
    return BatchConfig(
        items=select(items, shard, options["limit"]),
        job=job,
        shard=shard,
        workers=options["workers"] or default_workers(options["device"]),
        redo="all" if options["overwrite"] else "failed" if options["retry_failed"] else "changed",
    )


def _run(batch: "BatchConfig", as_json: bool) -> int:
    from mmgen.reconstruct.batch import RunCallbacks, run_batch

    with ExitStack() as stack:
        talk = RunConsole(stack)
        summary = run_batch(batch, RunCallbacks(talk.planned, talk.finished, talk.stopping))
    if as_json:
        print_json(_as_data(batch, summary))
    _tell(batch, summary, talk.doubtful)
    return summary.exit_code


class RunConsole:
    """Progress, and one line per failure and per doubtful mesh, on stderr."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._reporter: Reporter | None = None
        self._shown = 0
        self.doubtful = 0

    def planned(self, plan: "Plan") -> None:
        people = [item for item in plan.todo if item.photos]
        if people:
            say(f"{sum(len(item.photos) for item in people)} photos of {len(people)} people")
        if plan.done:
            say(f"{len(plan.done)} of {len(plan.done) + len(plan.todo) + len(plan.moves)} are done already")
        self._reporter = self._stack.enter_context(progress("reconstruct", len(plan.todo) + len(plan.moves)))

    def finished(self, record: Record) -> None:
        from mmgen.reconstruct.job import low_confidence_reason

        assert self._reporter is not None
        self._reporter.advance(record.status == "failed")
        for photo in record.photos:
            if photo.error is not None:
                self._note(f"left out: {photo.input}: {photo.message} ({photo.error}). {photo.hint}")
        if record.status != "ok":
            self._note(f"{record.status}: {record.input}: {record.message} ({record.error}). {record.hint}")
        doubts = [(asset.output, low_confidence_reason(asset)) for asset in record.assets if asset.status == "ok"]
        for output, why in doubts:
            if why is not None:
                self.doubtful += 1
                self._note(f"doubtful: {output}: {why}")

    def _note(self, line: str) -> None:
        assert self._reporter is not None
        self._shown += 1
        if self._shown <= SHOWN_FAILURES:
            self._reporter.note(line)
        elif self._shown == SHOWN_FAILURES + 1:
            self._reporter.note("further remarks are in the run record only")

    def stopping(self) -> None:
        """Runs inside the signal handler, where only a raw write is safe."""
        os.write(2, b"\nstopping after the photos at work; once more stops at once\n")


def _as_data(batch: "BatchConfig", summary: "Summary") -> dict[str, Any]:
    fatal = summary.ending.fatal
    data = {name: value for name, value in asdict(summary).items() if name not in ("ending", "errors")}
    return {
        "schema": "mmgen.reconstruct/1",
        "out": display_name(batch.job.out),
        "manifest": display_name(batch.job.out / batch.shard.manifest_name),
        **data,
        "errors": [asdict(count) for count in summary.errors],
        "interrupted": summary.ending.interrupted,
        "fatal": {"error": fatal.code, "message": fatal.message, "hint": fatal.hint} if fatal else None,
        "exit_code": summary.exit_code,
    }


def _tell(batch: "BatchConfig", summary: "Summary", doubtful: int) -> None:
    out = display_name(batch.job.out)
    quality = "" if summary.mean_mask_iou is None else f"; mean MaskIoU {summary.mean_mask_iou:.3f}"
    meshes = f", {summary.assets} meshes, as some show several people" if summary.assets > summary.ok else ""
    say(
        f"{summary.ok} ok{meshes} ({summary.skipped} were there already), {summary.rejected} rejected, "
        f"{summary.failed} failed in {duration(summary.seconds)}{quality}"
    )
    if doubtful:
        say(f"{doubtful} of the new meshes are doubtful: look at them, or give masks")
    if summary.left_out:
        say(f"{summary.left_out} photos left out of their person's asset; the run record says why")
    for error in summary.errors:
        say(f"  {error.count} x {error.error}: {error.hint}")
    if summary.ending.fatal is not None:
        say(f"error: {summary.ending.fatal.message}\nhint: {summary.ending.fatal.hint}")
    if summary.untouched:
        say(f"{summary.untouched} not begun; the same command goes on from here")
    if summary.ok + summary.rejected:
        say(f"meshes in {out}, record in {display_name(batch.job.out / batch.shard.manifest_name)}")
        say(f"next: mmgen gallery {out}")


def _show_plan(batch: "BatchConfig", as_json: bool) -> int:
    from mmgen.reconstruct.planning import make_plan, measure, precheck
    from mmgen.work.records import read_records

    reconstructor = batch.job.build()
    records = read_records(batch.job.out)
    plan = make_plan(batch.items, records, batch.job, reconstructor.weights_sha256, batch.redo)
    problems = precheck(plan.todo, batch.job)
    bad = {record.input for record in problems}
    good = [item for item in plan.todo if item.name not in bad]
    forecast = measure(good, batch.job, reconstructor, batch.workers)
    if as_json:
        rows = [{name: getattr(row, name) for name in ("input", "error", "message", "hint")} for row in problems]
        print_json(
            {
                "schema": "mmgen.reconstruct.plan/1",
                "todo": [item.name for item in plan.todo],
                "done": len(plan.done),
                "moves": len(plan.moves),
                "problems": rows,
                "forecast": asdict(forecast),
            }
        )
    _tell_plan(plan, problems, forecast, batch)
    return 3 if problems else 0


def _tell_plan(plan: "Plan", problems: list[Record], forecast: "Forecast", batch: "BatchConfig") -> None:
    for record in problems[:SHOWN_FAILURES]:
        say(f"will fail: {record.input}: {record.message} ({record.error}). {record.hint}")
    say(
        f"to do {len(plan.todo)}, done already {len(plan.done)}, to move {len(plan.moves)}, "
        f"bad as far as one can see {len(problems)}; no two outputs collide"
    )
    if forecast.sampled:
        say(
            f"forecast from {forecast.sampled} photos with {batch.workers} workers: {duration(forecast.seconds)}, "
            f"{forecast.disk_bytes / 1e6:.1f} MB of disk ({forecast.free_disk_bytes / 1e9:.1f} GB free), "
            f"{forecast.memory_bytes / 1e9:.1f} GB of memory"
        )
    say("nothing was written")


def _method_options(options: Mapping[str, Any]) -> Any:
    from mmgen.reconstruct.result import ReconstructOptions

    height = options["height"]
    chosen = {
        "texture_size": options["texture_size"],
        "texture_codec": options["texture_codec"],
        "refine_steps": options["refine"],
        "height_m": height or DEFAULT_HEIGHT_M,
        "height_source": "given" if height else "assumed",
        "seed": options["seed"],
        "device": options["device"],
        "template": options["template"],
        "masks": options["masks"],
        "by_identity": options["by_identity"],
        "weights": _weights(options["method"], options["weights"], options["template"]),
    }
    method = ReconstructOptions(**{name: value for name, value in chosen.items() if value is not None})
    if method.by_identity and method.method == "fit":
        raise click.UsageError("--by-identity needs networks: a template fitted to masks knows no side of anybody")
    return method


def _weights(method: str | None, weights: Path | None, template: str | None) -> Path | None:
    """The networks to use; None to fit the template."""
    from mmgen.bundled import bundled_weights_path, required_weights

    if weights is not None and method == "fit":
        raise click.UsageError("--weights and --method fit exclude each other")
    if template is not None and (weights is not None or method == "network"):
        raise click.UsageError("--template is for --method fit; networks bring their own")
    if method == "fit" or template is not None:
        return None
    return required_weights(weights) if method == "network" else weights or bundled_weights_path()
