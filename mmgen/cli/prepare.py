"""`mmgen prepare`: a data set as published to a folder that every command reads."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    FiniteRange,
    limit_option,
    masks_option,
    out_option,
    pattern_option,
    report_options,
    workers_option,
)
from mmgen.cli.output import EXIT_ITEMS_FAILED, print_json, say
from mmgen.cli.run_report import Remark, RunConsole, counts_text, failed, nothing_written, say_ending, say_list
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.datasets.preparation import PrepareConfig
    from mmgen.datasets.preparing import Outcome

FRACTION = FiniteRange(0, 1)


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
    help="Enlarge by this factor; images become PNG.",
)
@click.option(
    "--upscaler",
    type=PATH,
    help="Weights of a super-resolution network, such as Real-ESRGAN, for --upscale.  [default: Lanczos]",
)
@pattern_option
@limit_option("Only the first N images, in sorted order.")
@workers_option
@report_options
def command(dry_run: bool, as_json: bool, **options: Any) -> int:
    """Check a data set, find or make its masks, filter it, and write an index.

    Images are copied to OUT in their own layout (cub: cropped), masks go to OUT/masks/, one line per usable image to
    OUT/index.jsonl, and everything left out, with the reason, to OUT/skipped.jsonl. SRC is not changed; where OUT is
    SRC, masks and index are added to it and its images stay as they are. Run it again to go on after an interruption.

    market reads Market-1501, Market-HQ, DukeMTMC-reID, CUHK03-np, MSMT17, VeRi-776, and what `mmgen synth` writes.
    """
    order = _order(options)
    return _show_plan(order, as_json) if dry_run else _run(order, as_json)


def _order(options: dict[str, Any]) -> "PrepareConfig":
    from mmgen.datasets.preparation import PrepareConfig
    from mmgen.masks.structures import MaskSource
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
    failures = [skip for skip in scan.skips if skip.status == "failed"]
    if as_json:
        rows = [asdict(skip) for skip in scan.skips]
        print_json({"schema": "mmgen.prepare.plan/1", "images": counts, "skipped": rows, "notes": list(scan.notes)})
    say_list((f"failed: {skip.message} ({skip.code}). {skip.hint}" for skip in failures), "see --json")
    for note in scan.notes:
        say(f"note: {note}")
    say(f"would prepare {counts_text(counts)}; {len(scan.skips) - len(failures)} left out by rule, {len(failures)} bad")
    nothing_written()
    return EXIT_ITEMS_FAILED if failures else 0


def _run(order: "PrepareConfig", as_json: bool) -> int:
    from mmgen.datasets.index import INDEX_NAME
    from mmgen.datasets.preparation import prepare

    with RunConsole(_remarks, "in skipped.jsonl only", "stopping after the images at work") as console:
        summary = prepare(order, console.callbacks)
    if as_json:
        out = display_name(order.out)
        print_json({"schema": "mmgen.prepare/1", "out": out, **summary.as_data(), "exit_code": summary.exit_code})
    for note in summary.notes:
        say(f"note: {note}")
    say(f"usable: {counts_text(summary.images)}; for the mean body shape: {summary.clean}")
    groups = {"masks": summary.mask_sources, "left out by rule": summary.filtered, "failed": summary.failed}
    for what, counts in groups.items():
        if counts:
            say(f"{what}: {counts_text(counts)}")
    say_ending(summary.ending, "interrupted: no index was written" if summary.ending.interrupted else "")
    if not summary.ending.interrupted:
        say(f"index: {display_name(order.out / INDEX_NAME)}")
    return summary.exit_code


def _remarks(outcome: "Outcome") -> list[Remark]:
    is_failure = outcome.skip is not None and outcome.skip.status == "failed"
    return [failed("", outcome.skip)] if is_failure else []
