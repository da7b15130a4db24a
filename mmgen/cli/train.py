"""`mmgen train`: train the reconstructor as a manifest says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import PATH, FiniteRange, device_option, report_options, seed_option, training_options
from mmgen.cli.output import EXIT_INTERRUPTED, print_json, say
from mmgen.cli.run_report import SAVING, RunConsole, say_plan
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.training.loop import Outcome
    from mmgen.training.manifest import Manifest
    from mmgen.training.session import TrainOrder


@click.command()
@click.argument("manifest", type=PATH)
@click.option("--data", type=PATH, help="Data set folder.  [default: data.path of the manifest]")
@click.option("--out", "-o", type=PATH, help="Run folder.  [default: runs/NAME of the manifest]")
@click.option("--init", metavar="FILE|bundled", help="Weights to start from.  [default: random]")
@click.option("--minutes", type=FiniteRange(min=0.01), help="Length of the run in minutes, schedules included.")
@training_options
@device_option
@seed_option
@report_options
def command(manifest: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Train the networks on a data set folder as MANIFEST says; see manifests/.

    The run folder gets config.toml, environment.json, metrics.jsonl, pictures/ and checkpoints/ with weights that
    every command reads. A kill loses what came after the last checkpoint; Ctrl-C and SIGTERM save first.

    Several GPUs: torchrun --nproc-per-node N -m mmgen train MANIFEST ...
    """
    changes = list(options["changes"])
    if options["init"]:
        changes.append(f"pretrained.init={options['init']}")
    from mmgen.core.tables import read_tables

    read_tables(manifest, changes)  # what is no TOML is told before torch is loaded
    from mmgen.training.manifest import read_manifest

    settings = read_manifest(manifest, changes)
    if options["minutes"]:
        settings = _with_minutes(settings, options["minutes"])
    order = _order(settings, manifest, options)
    return _forecast(order, as_json) if dry_run else _run(order, as_json)


def _with_minutes(manifest: "Manifest", minutes: float) -> "Manifest":
    from dataclasses import replace

    from mmgen.training.manifest import Length

    return replace(manifest, length=Length(minutes=minutes))


def _order(manifest: "Manifest", path: Path, options: dict[str, Any]) -> "TrainOrder":
    from mmgen.training.session import TrainOrder

    data = options["data"] or (Path(manifest.data.path) if manifest.data.path else None)
    if data is None:
        raise click.UsageError("give the data set with --data DIR; the manifest names none")
    return TrainOrder(
        manifest=manifest,
        data=data,
        out=options["out"] or Path("runs") / path.stem,
        seed=options["seed"],
        device=options["device"],
        resume=options["resume"],
        limit_steps=options["limit_steps"],
    )


def _run(order: "TrainOrder", as_json: bool) -> int:
    from dataclasses import replace

    from mmgen.training.distributed import joined_processes
    from mmgen.training.loop import PROGRESS_PARTS, train
    from mmgen.work.locks import run_lock
    from mmgen.work.records import Shard

    with joined_processes(order.device) as (device, rank), RunConsole(stopping=SAVING) as console:
        order = replace(order, device=device)
        if rank:
            return EXIT_INTERRUPTED if train(order).interrupted else 0
        done = 0

        def advance(share: float) -> None:
            nonlocal done
            console.advanced(int(share * PROGRESS_PARTS) - done)
            done = int(share * PROGRESS_PARTS)

        with run_lock(order.out, Shard(0, 1)):
            outcome = train(order, replace(console.callbacks, finished=advance))
    return _report(order, outcome, as_json)


def _report(order: "TrainOrder", outcome: "Outcome", as_json: bool) -> int:
    from mmgen.training.folder import RunFolder

    weights = RunFolder(order.out).weights_path(outcome.best)
    state = "finished" if outcome.finished else f"{outcome.progress:.0%} done"
    rate = f"{outcome.images_per_second:.1f} images/s"
    say(f"{state} after {outcome.steps} steps, {rate}; weights: {display_name(weights)}")
    if not outcome.finished:
        say("the same command with --resume goes on from here")
    if as_json:
        data = {name: value for name, value in vars(outcome).items() if name not in ("interrupted", "figures", "best")}
        place = {"out": display_name(order.out), "weights": display_name(weights)}
        print_json({"schema": "mmgen.train/1", **place, **data, "validation": outcome.figures})
    return EXIT_INTERRUPTED if outcome.interrupted else 0


def _forecast(order: "TrainOrder", as_json: bool) -> int:
    from mmgen.core.devices import resolve_device
    from mmgen.training.photos import find_photos, hold_out

    listed, fixed = find_photos(order.data)
    split = hold_out(listed, order.manifest.data.validation_share, fixed)
    length = {name: value for name, value in vars(order.manifest.length).items() if value}
    plan = {
        "schema": "mmgen.train.plan/1",
        "out": display_name(order.out),
        "device": resolve_device(order.device),
        "training_photos": len(split.train),
        "validation_photos": len(split.validation),
        "batch_photos": order.manifest.data.batch_photos,
        "length": length,
    }
    amount = ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in length.items())
    photos = f"{len(split.train)} photos to train on, {len(split.validation)} held out"
    return say_plan(f"{photos}; {amount} on {plan['device']}", plan, as_json)
