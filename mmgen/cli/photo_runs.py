"""What `mmgen reconstruct` and `mmgen masks` have in common: a batch run over photos with a record line for each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.cli.output import EXIT_ITEMS_FAILED, print_json, say
from mmgen.cli.progress import duration
from mmgen.cli.run_report import (
    Describe,
    Remark,
    RunConsole,
    ending_data,
    failed,
    nothing_written,
    say_ending,
    say_list,
)
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.reconstruction.batch import BatchConfig, Summary
    from mmgen.reconstruction.planning import Forecast
    from mmgen.work.records import Record

SHOWN_ERRORS = 5
MASK_PLACES = {
    "alpha": "in the photos' alpha channels",
    "sibling": "in files found beside the photos",
    "folder": "in the folder of --masks",
    "network": "guessed by the bundled network",
    "grabcut": "guessed by GrabCut",
}
FILE_USES = {
    "photo": "photos to work on",
    "mask": "masks; used for the photos of their names where --masks is auto or this folder",
    "not read": "not read; no photo format (JPEG and PNG are the safest)",
}


def run_photos(batch: "BatchConfig", describe: Describe, as_json: bool) -> "tuple[Summary, Counter[str]]":
    """Do the work, show it, and print its result where `as_json`.

    Returns:
        The summary, and how many remarks of each kind there were.
    """
    from mmgen.reconstruction.batch import run_batch

    manifest = display_name(batch.job.out / batch.shard.manifest_name)
    with RunConsole(describe, f"in {manifest} only") as console:
        summary = run_batch(batch, console.callbacks)
    if as_json:
        data = {name: value for name, value in asdict(summary).items() if name != "ending"}
        ending = ending_data(summary.ending, summary.exit_code)
        out = display_name(batch.job.out)
        print_json({"schema": f"mmgen.{batch.label}/1", "out": out, "manifest": manifest, **data, **ending})
    return summary, console.counts


def say_mask_sources(batch: "BatchConfig") -> None:
    """Where the masks of a run's photos came from."""
    from mmgen.work.records import read_records

    records = read_records(batch.job.out)
    found = (records[item.name].mask_source for item in batch.items if item.name in records)
    counts = Counter(source for source in found if source is not None)
    if counts:
        told = (f"{count} {MASK_PLACES.get(source, f'guessed by {source}')}" for source, count in counts.most_common())
        say(f"masks: {', '.join(told)}")


def say_end(summary: "Summary", manifest: str) -> None:
    """The classes of errors, the most frequent first, and what ended the run early."""
    say_list(
        (f"  {error.count} x {error.error}: {error.hint}" for error in summary.errors),
        f"see {manifest}",
        SHOWN_ERRORS,
    )
    say_ending(summary.ending, f"{summary.untouched} not begun" if summary.untouched else "")


def photo_remarks(record: "Record") -> list[Remark]:
    """What to tell of one photo: photos of a person that were left out, its error, and meshes of low confidence."""
    from mmgen.reconstruction.job import low_confidence_reason

    remarks = [failed(photo.input, photo, "left out") for photo in record.photos if photo.error is not None]
    if record.status != "ok":
        remarks.append(failed(record.input, record, record.status))
    for asset in record.assets:
        why = low_confidence_reason(asset) if asset.status == "ok" else None
        remarks += [Remark("low confidence", f"{asset.output}: {why}")] if why is not None else []
    return remarks


def show_plan(batch: "BatchConfig", sources: Sequence[Path], as_json: bool, is_timed: bool) -> int:
    """Tell what a run would do and which photos would fail; write nothing.

    Args:
        batch: the run.
        sources: the folders and files that were given, to tell what happens to each kind of file in them.
        as_json: print it too.
        is_timed: do two photos for real, in a temporary folder, and tell what all would cost.

    Returns:
        The exit code: 3 where photos would fail.
    """
    from mmgen.photos.file_kinds import file_kinds
    from mmgen.reconstruction.planning import make_plan, measure, precheck
    from mmgen.work.records import read_records

    plan = make_plan(batch.items, read_records(batch.job.out), batch.job, batch.redo)
    problems = precheck(plan.todo, batch.job)
    bad = {record.input for record in problems}
    good = [item for item in plan.todo if item.name not in bad]
    photos = [photo.path for item in batch.items for photo in item.sources]
    kinds = file_kinds(sources, photos, batch.job.out)
    forecast = measure(good, batch.job, batch.workers) if is_timed else None
    if as_json:
        data: dict[str, Any] = {
            "schema": f"mmgen.{batch.label}.plan/1",
            "todo": [item.name for item in plan.todo],
            "done": len(plan.done),
            "moves": len(plan.moves),
            "files": [asdict(kind) for kind in kinds],
            "problems": [
                {name: getattr(row, name) for name in ("input", "error", "message", "hint")} for row in problems
            ],
        }
        print_json(data | ({"forecast": asdict(forecast)} if forecast else {}))
    for kind in kinds:
        say(f"{kind.count} {kind.suffix or 'without suffix'}: {FILE_USES[kind.use]}")
    say_list((f"will fail: {failed(record.input, record).text}" for record in problems), "see --json")
    say(
        f"to do {len(plan.todo)}, done already {len(plan.done)}, to move {len(plan.moves)}, "
        f"bad as far as one can see {len(problems)}; no two outputs collide"
    )
    if forecast and forecast.sampled:
        _say_forecast(forecast, batch.workers)
    nothing_written()
    return EXIT_ITEMS_FAILED if problems else 0


def _say_forecast(forecast: "Forecast", workers: int) -> None:
    say(
        f"forecast from {forecast.sampled} photos with {workers} workers: {duration(forecast.seconds)}, "
        f"{forecast.disk_bytes / 1e6:.1f} MB of disk ({forecast.free_disk_bytes / 1e9:.1f} GB free), "
        f"{forecast.memory_bytes / 1e9:.1f} GB of memory"
    )
