"""`mmgen masks`: masks on their own, to check and correct by hand."""

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.engines import chosen_engine
from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    dry_run_option,
    engine_options,
    json_option,
    limit_option,
    masks_option,
    out_option,
    overwrite_option,
    shard_option,
    workers_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import Reporter, duration, progress
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.reconstruct.batch import BatchConfig, Summary
    from mmgen.reconstruct.planning import Plan
    from mmgen.work.records import Record

SHOWN_FAILURES = 100


@click.command()
@click.argument("sources", type=PATH, nargs=-1, required=True)
@out_option("masks", "Folder for the masks and the run record; mirrors the inputs' folders.")
@masks_option(f"{MASK_SOURCES}; auto looks for alpha, a mask file, then asks the bundled network.", "--method")
@overwrite_option
@click.option("--retry-failed", is_flag=True, help="Only what failed before.")
@limit_option()
@shard_option
@workers_option
@engine_options
@dry_run_option
@json_option
def command(sources: tuple[Path, ...], out: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Find or guess the masks of photos and write them as PNG, white on black.

    SOURCES are folders (with all below them), images, and lists of them (@FILE, *.txt, *.jsonl).

    Look at the masks, correct those that are wrong, and give the folder to `mmgen reconstruct --masks`. Run it again
    after an interruption or with new photos: finished masks are not made again, and masks that you corrected stay
    (--overwrite replaces them). manifest.jsonl has a line per photo: source, quality of a guess, or what is wrong.
    """
    if options["retry_failed"] and options["overwrite"]:
        raise click.UsageError("--retry-failed and --overwrite exclude each other")
    if options["method"] == "none":
        raise click.UsageError("--method none leaves nothing to do")
    batch = _batch(sources, out, options)
    if dry_run:
        code = _show_plan(batch, as_json)
    else:
        with chosen_engine(options, out):
            code = _run(batch, as_json)
    click.get_current_context().exit(code)


def _batch(sources: tuple[Path, ...], out: Path, options: dict[str, Any]) -> "BatchConfig":
    from mmgen.masks import MaskSource
    from mmgen.reconstruct.mask_run import MaskOrder, mask_batch
    from mmgen.work.engine import default_workers

    return mask_batch(
        MaskOrder(
            sources=sources,
            out=out,
            method=MaskSource.parse(options["method"]),
            shard=options["shard"],
            limit=options["limit"],
            workers=options["workers"] or default_workers("cpu"),
            redo="all" if options["overwrite"] else "failed" if options["retry_failed"] else "changed",
        )
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
    """Progress, and one line per failure and per doubtful mask, on stderr."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._reporter: Reporter | None = None
        self._shown = 0
        self.doubtful = 0

    def planned(self, plan: "Plan") -> None:
        if plan.done:
            say(f"{len(plan.done)} of {len(plan.done) + len(plan.todo)} are done already")
        self._reporter = self._stack.enter_context(progress("masks", len(plan.todo)))

    def finished(self, record: "Record") -> None:
        from mmgen.masks.structures import DOUBTFUL_QUALITY

        assert self._reporter is not None
        self._reporter.advance(record.status == "failed")
        if record.status == "failed":
            self._note(f"failed: {record.input}: {record.message} ({record.error}). {record.hint}")
        elif record.mask_quality is not None and record.mask_quality < DOUBTFUL_QUALITY:
            self.doubtful += 1
            self._note(f"doubtful: {record.output}: quality {record.mask_quality:.2f}")

    def stopping(self) -> None:
        """Runs inside the signal handler, where only a raw write is safe."""
        os.write(2, b"\nstopping after the photos at work; once more stops at once\n")

    def _note(self, text: str) -> None:
        assert self._reporter is not None
        self._shown += 1
        if self._shown <= SHOWN_FAILURES:
            self._reporter.note(text)
        elif self._shown == SHOWN_FAILURES + 1:
            self._reporter.note("further remarks are in the run record only")


def _as_data(batch: "BatchConfig", summary: "Summary") -> dict[str, Any]:
    fatal = summary.ending.fatal
    return {
        "schema": "mmgen.masks/1",
        "out": display_name(batch.job.out),
        "manifest": display_name(batch.job.out / batch.shard.manifest_name),
        "ok": summary.ok,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "untouched": summary.untouched,
        "seconds": summary.seconds,
        "errors": [asdict(count) for count in summary.errors],
        "interrupted": summary.ending.interrupted,
        "fatal": {"error": fatal.code, "message": fatal.message, "hint": fatal.hint} if fatal else None,
        "exit_code": summary.exit_code,
    }


def _tell(batch: "BatchConfig", summary: "Summary", doubtful: int) -> None:
    out = display_name(batch.job.out)
    say(
        f"{summary.ok} masks ({summary.skipped} were there already, {doubtful} of the new ones doubtful), "
        f"{summary.failed} failed in {duration(summary.seconds)}"
    )
    for error in summary.errors:
        say(f"  {error.count} x {error.error}: {error.hint}")
    if summary.ending.fatal is not None:
        say(f"error: {summary.ending.fatal.message}\nhint: {summary.ending.fatal.hint}")
    if summary.untouched:
        say(f"{summary.untouched} not begun; the same command goes on from here")
    if summary.ok:
        say(f"masks in {out}; look at them, then: mmgen reconstruct ... --masks {out}")


def _show_plan(batch: "BatchConfig", as_json: bool) -> int:
    from mmgen.reconstruct.planning import make_plan, precheck
    from mmgen.work.records import read_records

    records = read_records(batch.job.out)
    plan = make_plan(batch.items, records, batch.job, batch.job.build().weights_sha256, batch.redo)
    problems = precheck(plan.todo, batch.job)
    if as_json:
        rows = [{name: getattr(row, name) for name in ("input", "error", "message", "hint")} for row in problems]
        todo = [item.name for item in plan.todo]
        print_json({"schema": "mmgen.masks.plan/1", "todo": todo, "done": len(plan.done), "problems": rows})
    for record in problems[:SHOWN_FAILURES]:
        say(f"will fail: {record.input}: {record.message} ({record.error}). {record.hint}")
    say(f"to do {len(plan.todo)}, done already {len(plan.done)}, bad as far as one can see {len(problems)}")
    say("nothing was written")
    return 3 if problems else 0
