"""`mmgen prepare`: a data set as published to a folder that every command reads."""

import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    dry_run_option,
    json_option,
    limit_option,
    masks_option,
    out_option,
    workers_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import Reporter, progress
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.datasets.preparation import PrepareConfig, Summary
    from mmgen.datasets.preparing import Outcome
    from mmgen.datasets.structures import Scan

SHOWN_FAILURES = 20
FRACTION = click.FloatRange(0, 1)


@click.command()
@click.argument("kind", type=click.Choice(["market", "atr", "cub", "folder"]))
@click.argument("source", type=PATH, metavar="SRC")
@out_option(help_text="Data set folder to write; may be SRC itself for market, atr and folder.")
@masks_option(f"market, folder: {MASK_SOURCES}. atr and cub bring their own.")
@click.option("--min-foreground", type=FRACTION, help="Person's share of a training image: more than this.")
@click.option("--max-foreground", type=FRACTION, help="And less than this.  [default: as published; folder: any]")
@click.option(
    "--upscale",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Enlarge by this factor; images become PNG.",
)
@click.option(
    "--upscaler",
    type=PATH,
    help="Weights of a super-resolution network, such as Real-ESRGAN, for --upscale.  [default: Lanczos]",
)
@limit_option("Only the first N images, in sorted order.")
@workers_option
@dry_run_option
@json_option
def command(dry_run: bool, as_json: bool, **options: Any) -> None:
    """Check a data set, find or make its masks, filter it, and write an index.

    Images are copied to OUT in their own layout (cub: cropped), masks go to OUT/masks/, one line per usable image to
    OUT/index.jsonl, and everything left out, with the reason, to OUT/skipped.jsonl. SRC is not changed; where OUT is
    SRC, masks and index are added to it and its images stay as they are. Run it again to go on after an interruption.

    market reads Market-1501, Market-HQ, and what `mmgen synth` writes.
    """
    order = _order(options)
    code = _show_plan(order, as_json) if dry_run else _run(order, as_json)
    click.get_current_context().exit(code)


def _order(options: dict[str, Any]) -> "PrepareConfig":
    from mmgen.datasets.preparation import PrepareConfig
    from mmgen.masks import MaskSource
    from mmgen.work.engine import default_workers

    if options["upscaler"] is not None and options["upscale"] < 2:
        raise click.UsageError("--upscaler needs --upscale 2 or more.")
    masks, workers = MaskSource.parse(options.pop("masks")), options.pop("workers")
    return PrepareConfig(masks=masks, workers=workers or default_workers("cpu"), **options)


def _show_plan(order: "PrepareConfig", as_json: bool) -> int:
    from collections import Counter

    from mmgen.datasets.preparation import plan

    scan = plan(order)
    counts = dict(sorted(Counter(image.split for image in scan.images).items()))
    failed = [skip for skip in scan.skips if skip.status == "failed"]
    if as_json:
        rows = [asdict(skip) for skip in scan.skips]
        print_json({"schema": "mmgen.prepare.plan/1", "images": counts, "skipped": rows, "notes": list(scan.notes)})
    for skip in failed[:SHOWN_FAILURES]:
        say(f"failed: {skip.message} ({skip.code}). {skip.hint}")
    for note in scan.notes:
        say(f"note: {note}")
    say(f"would prepare {_text(counts)}; {len(scan.skips) - len(failed)} left out by rule, {len(failed)} bad")
    say("nothing was written")
    return 3 if failed else 0


def _run(order: "PrepareConfig", as_json: bool) -> int:
    from mmgen.datasets.preparation import RunCallbacks, prepare

    with ExitStack() as stack:
        talk = RunConsole(stack)
        summary = prepare(order, RunCallbacks(talk.planned, talk.finished, talk.stopping))
    if as_json:
        out = display_name(order.out)
        print_json({"schema": "mmgen.prepare/1", "out": out, **summary.as_data(), "exit_code": summary.exit_code})
    _tell(order, summary)
    return summary.exit_code


class RunConsole:
    """Progress and one line per failure, on stderr."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._reporter: Reporter | None = None
        self._failures = 0

    def planned(self, scan: "Scan") -> None:
        self._reporter = self._stack.enter_context(progress("prepare", len(scan.images)))
        for skip in scan.skips:
            if skip.status == "failed":
                self._note(f"{skip.message} ({skip.code}). {skip.hint}")

    def finished(self, outcome: "Outcome") -> None:
        assert self._reporter is not None
        skip = outcome.skip
        is_failure = skip is not None and skip.status == "failed"
        self._reporter.advance(is_failure)
        if skip is not None and is_failure:
            self._note(f"{skip.message} ({skip.code}). {skip.hint}")

    def stopping(self) -> None:
        """Runs inside the signal handler, where only a raw write is safe."""
        os.write(2, b"\nstopping after the images at work; once more stops at once\n")

    def _note(self, text: str) -> None:
        assert self._reporter is not None
        self._failures += 1
        if self._failures <= SHOWN_FAILURES:
            self._reporter.note(f"failed: {text}")
        elif self._failures == SHOWN_FAILURES + 1:
            self._reporter.note("further failures are in skipped.jsonl only")


def _tell(order: "PrepareConfig", summary: "Summary") -> None:
    from mmgen.datasets.index import INDEX_NAME

    for note in summary.notes:
        say(f"note: {note}")
    say(f"usable: {_text(summary.images)}; clean training images: {summary.clean}")
    for what, counts in (
        ("masks", summary.mask_sources),
        ("left out by rule", summary.filtered),
        ("failed", summary.failed),
    ):
        if counts:
            say(f"{what}: {_text(counts)}")
    if summary.ending.fatal is not None:
        say(f"error: {summary.ending.fatal.message}\nhint: {summary.ending.fatal.hint}")
    if summary.ending.interrupted:
        say("interrupted: no index was written; run the same command again")
    else:
        say(f"index: {display_name(order.out / INDEX_NAME)}")


def _text(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
