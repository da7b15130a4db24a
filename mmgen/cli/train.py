"""`mmgen train`: train the reconstructor as a manifest says."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import PATH, device_option, dry_run_option, json_option, seed_option
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import PLAIN_INTERVAL_S, progress
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.training.loop import Outcome
    from mmgen.training.manifest import Manifest
    from mmgen.training.session import TrainOrder

EXIT_INTERRUPTED = 130
PROGRESS_PARTS = 1000


@click.command()
@click.argument("manifest", type=PATH)
@click.option("--data", type=PATH, help="Data set folder.  [default: data.path of the manifest]")
@click.option("--out", "-o", type=PATH, help="Run folder.  [default: runs/NAME of the manifest]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, bit for bit.")
@click.option("--init", metavar="FILE|bundled", help="Weights to start from.  [default: random]")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting, e.g. loss.image=2.0.")
@click.option("--minutes", type=click.FloatRange(min=0.01), help="Length of the run in minutes, schedules included.")
@click.option(
    "--limit-steps", type=click.IntRange(min=1), metavar="N", help="Stop after N steps in all; schedules stay."
)
@device_option
@seed_option()
@dry_run_option
@json_option
def command(manifest: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train the networks on a data set folder as MANIFEST says; see manifests/.

    The run folder gets config.toml, environment.json, metrics.jsonl, pictures/ and checkpoints/ with weights that
    every command reads. A kill loses what came after the last checkpoint; Ctrl-C and SIGTERM save first.

    Several GPUs: torchrun --nproc-per-node N -m mmgen train MANIFEST ...
    """
    changes = list(options["changes"])
    if options["init"]:
        changes.append(f"pretrained.init={options['init']}")
    from mmgen.training.manifest import read_manifest

    settings = read_manifest(manifest, changes)
    if options["minutes"]:
        settings = _with_minutes(settings, options["minutes"])
    order = _order(settings, manifest, options)
    click.get_current_context().exit(_forecast(order, as_json) if dry_run else _run(order, as_json))


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
    from mmgen.training.distributed import joined_processes
    from mmgen.training.loop import train
    from mmgen.training.recorder import RunCallbacks
    from mmgen.work.locks import run_lock
    from mmgen.work.records import Shard

    with ExitStack() as stack:
        device, rank = stack.enter_context(joined_processes(order.device))
        order = _on(order, device)
        if rank:
            return EXIT_INTERRUPTED if train(order).interrupted else 0
        stack.enter_context(run_lock(order.out, Shard(0, 1)))
        reporter = stack.enter_context(progress("train", PROGRESS_PARTS))
        done = 0

        def advance(share: float) -> None:
            nonlocal done
            while done < int(share * PROGRESS_PARTS):
                done += 1
                reporter.advance()

        listener = RunCallbacks(reporter.note, advance, _PackedCount(reporter.note), _stopping)
        outcome = train(order, listener)
    return _report(order, outcome, as_json)


class _PackedCount:
    """Says every few seconds how many photos were read: reading truth takes minutes the first time."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._count = 0
        self._said = time.monotonic()

    def __call__(self) -> None:
        self._count += 1
        if time.monotonic() - self._said >= PLAIN_INTERVAL_S:
            self._said = time.monotonic()
            self._note(f"preparing: {self._count} photos read")


def _on(order: "TrainOrder", device: str) -> "TrainOrder":
    from dataclasses import replace

    return replace(order, device=device)


def _stopping() -> None:
    """Runs inside the signal handler, where only a raw write is safe."""
    os.write(sys.stderr.fileno(), b"\nsaving after this step; once more stops at once\n")


def _report(order: "TrainOrder", outcome: "Outcome", as_json: bool) -> int:
    from mmgen.training.folder import RunFolder

    weights = RunFolder(order.out).weights_path(outcome.best)
    state = "finished" if outcome.finished else f"{outcome.progress:.0%} done"
    rate = f"{outcome.images_per_second:.1f} images/s"
    say(f"{state} after {outcome.steps} steps, {rate}; weights: {display_name(weights)}")
    if not outcome.finished:
        say("the same command with --resume goes on from here")
    if as_json:
        print_json(
            {
                "schema": "mmgen.train/1",
                "out": display_name(order.out),
                "weights": display_name(weights),
                "finished": outcome.finished,
                "steps": outcome.steps,
                "progress": outcome.progress,
                "images_per_second": outcome.images_per_second,
                "images_per_cpu_second": outcome.images_per_cpu_second,
                "validation": outcome.figures,
                "warnings": list(outcome.warnings),
            }
        )
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
    if as_json:
        print_json(plan)
    amount = ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in length.items())
    say(f"{len(split.train)} photos to train on, {len(split.validation)} held out; {amount} on {plan['device']}")
    say("nothing was written")
    return 0
