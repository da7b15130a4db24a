"""`mmgen masks`: masks on their own, to check and correct by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    chosen_engine,
    limit_option,
    masks_option,
    out_option,
    redo_of,
    redo_options,
    report_options,
    spread_options,
)
from mmgen.cli.output import say
from mmgen.cli.photo_runs import run_photos, say_end, show_plan
from mmgen.cli.progress import duration
from mmgen.cli.run_report import Remark, failed
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.reconstruction.batch import BatchConfig
    from mmgen.work.records import Record


@click.command()
@click.argument("sources", type=PATH, nargs=-1, required=True)
@out_option("masks", "Folder for the masks and the run record; mirrors the inputs' folders.")
@masks_option(f"{MASK_SOURCES}; auto looks for alpha, a mask file, then asks the bundled network.", "--method")
@redo_options
@limit_option()
@spread_options
@report_options
def command(sources: tuple[Path, ...], out: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Find or guess the masks of photos and write them as PNG, white on black.

    SOURCES are folders (with all below them), images, and lists of them (@FILE, *.txt, *.jsonl).

    Look at the masks, correct those that are wrong, and give the folder to `mmgen reconstruct --masks`. Run it again
    after an interruption or with new photos: finished masks are not made again, and masks that you corrected stay
    (--overwrite replaces them). manifest.jsonl has a line per photo: source, quality of a guess, or what is wrong.
    """
    if options["method"] == "none":
        raise click.UsageError("--method none leaves nothing to do")
    batch = _batch(sources, out, redo_of(options), options)
    if dry_run:
        return show_plan(batch, sources, as_json, is_timed=False)
    with chosen_engine(options, out):
        return _run(batch, as_json)


def _batch(sources: tuple[Path, ...], out: Path, redo: Any, options: dict[str, Any]) -> "BatchConfig":
    from mmgen.masks.structures import MaskSource
    from mmgen.reconstruction.mask_run import MaskOrder, mask_batch
    from mmgen.work.engine import default_workers

    method, workers = MaskSource.parse(options["method"]), options["workers"] or default_workers("cpu")
    return mask_batch(MaskOrder(sources, out, method, options["shard"], options["limit"], workers, redo))


def _run(batch: "BatchConfig", as_json: bool) -> int:
    summary, counts = run_photos(batch, _remarks, as_json)
    out = display_name(batch.job.out)
    say(
        f"{summary.ok} masks ({summary.skipped} were there already, {counts['low confidence']} of the new ones with "
        f"low confidence), {summary.failed} failed in {duration(summary.seconds)}"
    )
    say_end(summary, f"{out}/{batch.shard.manifest_name}")
    if summary.ok:
        say(f"masks in {out}; look at them, then: mmgen reconstruct ... --masks {out}")
    return summary.exit_code


def _remarks(record: "Record") -> list[Remark]:
    from mmgen.masks.structures import LOW_CONFIDENCE_QUALITY

    if record.status == "failed":
        return [failed(record.input, record)]
    if record.mask_quality is not None and record.mask_quality < LOW_CONFIDENCE_QUALITY:
        return [Remark("low confidence", f"{record.output}: quality {record.mask_quality:.2f}")]
    return []
