"""`mmgen evaluate`: figures of weights, meshes or masks on a data set."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    PATH,
    PixelSizeType,
    chosen_engine,
    data_option,
    device_option,
    limit_option,
    report_options,
    seed_option,
    spread_options,
    weights_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.run_report import Remark, RunConsole, failed, say_ending, say_plan
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.evaluation.running import EvaluateConfig, Evaluation
    from mmgen.evaluation.scoring import ItemScore
    from mmgen.work.callbacks import RunCallbacks
import sys
from typing import TYPE_CHECKING

from mmgen.evaluation.figures import FigureTable, table_of

if TYPE_CHECKING:
    from mmgen.evaluation.running import Evaluation


SOURCES = ("weights", "meshes", "predicted-masks", "trivial")


@click.command()
@data_option
@click.option(
    "--split",
    help="Part of the data set: train, validation, test, query, gallery, all.  [default: test; all where there is one]",
)
@weights_option
@click.option(
    "--refine",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="With --weights: refinement steps per photo.  [default: as mmgen reconstruct]",
)
@click.option("--meshes", type=PATH, help="Score the GLBs in this output folder of `mmgen reconstruct`.")
@click.option(
    "--expected",
    type=PATH,
    help="With --meshes: a CSV file with the columns name, facing (front, back or empty) and bad (yes or empty), by"
    " somebody who looked at the photos; the curve of confidence counts it.",
)
@click.option("--predicted-masks", type=PATH, help="Score the masks of any method in this folder, which mirrors DATA.")
@click.option("--trivial", type=click.Choice(["template", "billboard"]), help="Score an answer that needs no learning.")
@click.option("--out", "-o", type=PATH, help="Folder for metrics.json, per_item.jsonl, report.html.  [default: none]")
@click.option("--size", type=PixelSizeType(16, 2048), help="Size of scoring.  [default: the weights' or the photo's]")
@click.option("--published-protocol", is_flag=True, help="Through JPEGs of quality 100, as the paper's code does.")
@click.option("--inception", type=PATH, help="torch-fidelity's Inception-v3 weights file; gives FIDs.")
@limit_option("Only the first N photos, in sorted order.")
@spread_options
@device_option
@seed_option
@report_options
def command(out: Path | None, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Score weights, meshes or masks on the photos and masks of a data set; the bundled weights where none are named.

    DATA is what `mmgen synth` or `mmgen prepare` wrote, or any folder with photos, masks/ and, where known, truth/.
    Networks see every person cut out as `mmgen reconstruct` does, and are scored in that crop.

    MaskIoU and SSIM of the photo's own view are printed always. They say nothing about the other sides of a body:
    where truth is known, camera errors, views from the side and from behind, Chamfer distance (share of the height) and
    volume IoU stand beside them, with the same figures for two trivial answers: the mean template and the photo as a
    cardboard cut-out.

    With --meshes, how many of the bad assets (MaskIoU below 0.75, wrong way round, expected to be bad) and of the good
    ones have a confidence below each limit.
    """
    if options["shard"].count > 1 and out is None:
        raise click.UsageError("--shard needs --out: the parts are put together there")
    order = _order(options)
    if dry_run:
        return _show_plan(order, as_json)
    with chosen_engine(options, out, order.scoring.device):
        return _run(order, out, as_json)


def _source(options: dict[str, Any]) -> tuple[str, str]:
    """Kind and value of what is scored; wrong usage is told before anything slow is loaded."""
    from mmgen.bundled import BUNDLED

    given = [name for name in SOURCES if options[name.replace("-", "_")] is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join('--' + name for name in given)} exclude each other")
    kind = given[0] if given else "weights"
    if options["refine"] is not None and kind != "weights":
        raise click.UsageError("--refine is for --weights; meshes were refined, or not, when they were made")
    if options["expected"] is not None and kind != "meshes":
        raise click.UsageError("--expected is for --meshes: nothing else has a confidence")
    if kind == "weights" and options["size"]:
        raise click.UsageError("--size and --weights exclude each other; networks have their own size")
    return kind, str(options[kind.replace("-", "_")] or BUNDLED)


def _order(options: dict[str, Any]) -> "EvaluateConfig":
    kind, value = _source(options)
    from mmgen.bundled import required_weights
    from mmgen.core.devices import resolve_device
    from mmgen.core.errors import FatalError
    from mmgen.evaluation.calibration import read_expected
    from mmgen.evaluation.running import EvaluateConfig
    from mmgen.evaluation.scoring import ScoringPlan
    from mmgen.evaluation.sources import SourceSpec
    from mmgen.reconstruction.options import DEFAULT_REFINE_STEPS
    from mmgen.work.engine import default_workers

    refine = 0
    if kind == "weights":
        value = str(required_weights(value))
        refine = DEFAULT_REFINE_STEPS["network"] if options["refine"] is None else options["refine"]
    elif kind == "predicted-masks" and not Path(value).is_dir():
        raise FatalError("masks_missing", f"there is no folder {display_name(value)}", "Check the path.")
    source, device = SourceSpec(kind, value, refine), resolve_device(options["device"])  # type: ignore[arg-type]
    scoring = ScoringPlan(
        source, options["size"], options["seed"], device, options["published_protocol"], options["inception"]
    )
    workers, expected = options["workers"] or default_workers(device), options["expected"]
    if expected is not None:
        read_expected(expected)
    return EvaluateConfig(
        options["data"], options["split"], options["limit"], workers, scoring, options["shard"], expected
    )


def _run(order: "EvaluateConfig", out: Path | None, as_json: bool) -> int:
    from mmgen.evaluation.report import write_report
    from mmgen.evaluation.running import REPORT_NAME, evaluate, write_results

    with RunConsole(_remarks) as console:
        run = evaluate if order.shard.count == 1 else partial(_part, out)
        evaluation = run(order, console.callbacks)
    is_whole = evaluation.order.shard.count == 1
    if out is not None and is_whole:
        write_results(out, evaluation)
        write_report(out / REPORT_NAME, evaluation)
    if as_json:
        print_json(evaluation.as_data())
    else:
        table(evaluation)
        print("\n".join(_curve_lines(evaluation.as_data().get("confidence_curve"))), end="")
    _tell(evaluation, out if is_whole else None)
    return evaluation.exit_code


def _curve_lines(curve: dict[str, Any] | None) -> list[str]:
    if curve is None:
        return []

    def percent(share: float | None) -> str:
        return "-" if share is None else f"{share:.1%}"

    lines = [f"Confidence: flagged of {curve['bad']} bad and {curve['good']} good assets"]
    for point in curve["points"]:
        lines.append(f"below {point['below']}  {percent(point['bad_flagged']):>6}  {percent(point['good_flagged']):>6}")
    return [*lines, ""]


def _part(out: Path | None, order: "EvaluateConfig", listener: "RunCallbacks") -> "Evaluation":
    """Score one part; the whole evaluation where all others are there."""
    from mmgen.evaluation.parts import put_together, write_part
    from mmgen.evaluation.running import evaluate
    from mmgen.work.locks import run_lock

    assert out is not None
    with run_lock(out, order.shard):
        evaluation = evaluate(order, listener)
        if evaluation.ending.interrupted or evaluation.ending.fatal is not None:
            return evaluation
        write_part(out, evaluation)
    whole = put_together(out, order)
    if isinstance(whole, list):
        say(f"these are the figures of part {order.shard}; not there yet: {', '.join(map(str, whole))}")
        return evaluation
    say(f"all {order.shard.count} parts are there; these are the figures of the whole")
    return whole


def _remarks(score: "ItemScore") -> list[Remark]:
    return [] if score.error is None else [failed(display_name(score.name), score.error)]


def _tell(evaluation: "Evaluation", out: Path | None) -> None:
    from mmgen.evaluation.running import REPORT_NAME

    data = evaluation.as_data()
    say(f"{data['n']} photos scored, {data['n_truth']} of them against truth, {data['failed']} failed")
    for code, count in data["errors"].items():
        say(f"  {count} x {code}")
    say_ending(evaluation.ending)
    if evaluation.ending.interrupted:
        say(f"interrupted: {len(evaluation.items) - len(evaluation.scores)} photos were not looked at")
    if out is not None:
        say(f"report: {display_name(out / REPORT_NAME)}")


def _show_plan(order: "EvaluateConfig", as_json: bool) -> int:
    from mmgen.evaluation.running import plan

    items, split = plan(order)
    with_mask, with_truth = sum(item.mask is not None for item in items), sum(item.truth is not None for item in items)
    found = {"images": len(items), "mask_files": with_mask, "truth_files": with_truth}
    text = f"would score {len(items)} photos ({split}); {with_mask} have a mask file, {with_truth} have truth"
    return say_plan(text, {"schema": "mmgen.evaluate.plan/1", "split": split, **found}, as_json)


def table(evaluation: "Evaluation") -> None:
    """Print the table on stdout."""
    figures = table_of(evaluation.metrics)
    if not sys.stdout.isatty():
        print(plain(figures), end="")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(*figures.headings, title=f"{len(evaluation.scored)} photos")
    for column in shown.columns[1:]:
        column.justify = "right"
    for line in figures.lines:
        shown.add_row(f"[bold]{line.label}[/bold]" if line.is_heading else line.label, *line.cells)
    Console().print(shown)


def plain(figures: FigureTable) -> str:
    """Columns padded with blanks, no trailing ones."""
    rows = [figures.headings, *((line.label, *line.cells) for line in figures.lines)]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(figures.headings))]
    text = ""
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False)]
        text += "  ".join([row[0].ljust(widths[0]), *numbers]).rstrip() + "\n"
    return text
