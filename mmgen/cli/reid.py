"""`mmgen reid`: train, evaluate and compare re-identification baselines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    PATH,
    FiniteRange,
    device_option,
    json_option,
    report_options,
    seed_option,
    set_option,
    training_options,
)
from mmgen.cli.output import EXIT_INTERRUPTED, print_json, say
from mmgen.cli.progress import progress
from mmgen.cli.run_report import SAVING, RunConsole, nothing_written, say_plan
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.reid_runs.comparison import ComparisonOrder
    from mmgen.reid_runs.evaluation import SearchResult
    from mmgen.reid_runs.training import Outcome, TrainOrder

data_folder_option = click.option(
    "--data",
    type=PATH,
    required=True,
    help="Market-1501, a folder in its layout, or train/ query/ gallery/ by identity.",
)
shards_folder_option = click.option(
    "--shards", type=PATH, help="Virtual people to train on as well: a folder of `mmgen augment-reid`."
)


@click.group()
def command() -> None:
    """Train, evaluate and compare re-identification baselines."""


@command.command("train")
@click.argument("manifest", type=PATH)
@data_folder_option
@shards_folder_option
@click.option("--out", "-o", type=PATH, help="Run folder.  [default: runs/NAME of the manifest]")
@training_options
@device_option
@seed_option
@report_options
def train_command(manifest: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Train a network as MANIFEST says; see manifests/reid/.

    The run folder gets config.toml, environment.json, metrics.jsonl and checkpoints/last.safetensors, which
    `mmgen reid evaluate` reads. Ctrl-C and SIGTERM save first; --resume goes on.

    Several GPUs: torchrun --nproc-per-node N -m mmgen reid train MANIFEST ...
    """
    from mmgen.core.reid_problems import reid_problems
    from mmgen.core.tables import read_tables

    read_tables(manifest, options["changes"])  # what is no TOML is told before torch is loaded
    from mmgen.reid_runs.manifest import read_reid_manifest
    from mmgen.reid_runs.training import TrainOrder

    order = TrainOrder(
        manifest=read_reid_manifest(manifest, options["changes"]),
        data=options["data"],
        shards=options["shards"],
        out=options["out"] or Path("runs") / manifest.stem,
        seed=options["seed"],
        device=options["device"],
        resume=options["resume"],
        limit_steps=options["limit_steps"],
    )
    with reid_problems():
        return _forecast(order, as_json) if dry_run else _train(order, as_json)


@command.command("evaluate")
@click.option("--weights", type=PATH, required=True, help="checkpoints/last.safetensors of a run, or the run folder.")
@data_folder_option
@click.option("--reranking", is_flag=True, help="Re-rank by k-reciprocal neighbours (k1 20, k2 6, lambda 0.3).")
@click.option("--layout", type=click.Choice(["auto", "market", "folders"]), default="auto", help="Of the data set.")
@click.option("--no-cameras", is_flag=True, help="Cameras are unknown: all photos of the same person are right.")
@device_option
@json_option
def evaluate_command(weights: Path, as_json: bool, **options: Any) -> None:
    """Search the gallery for every query photo and print rank-k, mAP and mINP.

    mAP is printed twice: plain, as most projects report it, and by the trapezoid rule of Market-1501's own code, which
    is lower. Gallery photos of the same person and camera and junk (-1) take no part; distractors (0000) do.
    """
    from mmgen.core.devices import resolve_device
    from mmgen.core.reid_problems import reid_problems
    from mmgen.reid_runs.evaluation import evaluate_weights, search_task
    from mmgen.reid_runs.manifest import DataSection

    section = DataSection(layout=options["layout"], cameras="none" if options["no_cameras"] else "names")
    device = resolve_device(options["device"])
    file = weights / "checkpoints" / "last.safetensors" if weights.is_dir() else weights
    with reid_problems():
        task = search_task(options["data"], section)
        with progress("search", len(task.query) + len(task.gallery)) as reporter:
            result = evaluate_weights(
                file, task, device, options["reranking"], lambda count: reporter.advance(count=count)
            )
    _show_result(result, file, options["reranking"], as_json)


@command.command("compare")
@click.argument("manifest", type=PATH)
@data_folder_option
@click.option(
    "--shards",
    multiple=True,
    metavar="[PROTOCOL=]DIR",
    help="Virtual people of `mmgen augment-reid`, for all protocols or for the one named.",
)
@click.option("--cross", multiple=True, metavar="NAME=DIR", help="Also test on another data set.")
@click.option("--out", "-o", type=PATH, help="Folder of the comparison.  [default: runs/NAME of the manifest]")
@set_option
@device_option
@report_options
def compare_command(manifest: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Train every arm of MANIFEST with several seeds and equal numbers of updates, and print what the extra data gains.

    Beside Original and Original+3D stands a control: the settings of +3D on the original data, so that a gain from
    settings is not taken for one from data. Gains come with 95 % intervals from resampled queries and seeds, and from
    resampled people. Run it again after an interruption: it goes on. --set changes the comparison, e.g. seeds=5.
    """
    from mmgen.core.devices import resolve_device
    from mmgen.core.reid_problems import reid_problems
    from mmgen.reid_runs.comparison import ComparisonOrder
    from mmgen.reid_runs.comparison_manifest import read_comparison

    order = ComparisonOrder(
        manifest=read_comparison(manifest, options["changes"]),
        folder=manifest.parent,
        data=options["data"],
        shards=_named_folders(options["shards"], "--shards"),
        cross=_named_folders(options["cross"], "--cross"),
        out=options["out"] or Path("runs") / manifest.stem,
        device=resolve_device(options["device"]),
    )
    if "" in order.cross:
        raise click.UsageError("--cross needs a name: --cross NAME=DIR")
    with reid_problems():
        return _plan_comparison(order, as_json) if dry_run else _compare(order, as_json)


@command.command("tables")
@click.argument("page", type=PATH)
@json_option
def tables_command(page: Path, as_json: bool) -> None:
    """Make the tables of a Markdown PAGE from the comparisons that it names.

    Between <!-- results: FILE --> and <!-- end of results --> everything is written anew from FILE, the compare.json of
    `mmgen reid compare`, relative to PAGE.
    """
    from mmgen.reid_runs.result_pages import update_page

    blocks = update_page(page)
    say(f"{blocks} blocks of results in {display_name(page)}")
    if as_json:
        print_json({"schema": "mmgen.reid.tables/1", "page": display_name(page), "blocks": blocks})


@command.command("subset")
@click.option("--data", type=PATH, required=True, help="Market-1501, or a folder in its layout.")
@click.option("--share", type=FiniteRange(0, 1, min_open=True), required=True, help="Of the training identities.")
@click.option("--out", "-o", type=PATH, required=True, help="New folder; photos and masks are linked into it.")
@seed_option
@report_options
def subset_command(data: Path, share: float, out: Path, seed: int, dry_run: bool, as_json: bool) -> None:
    """Write the training photos of some identities as a data set of their own, to make virtual people from.

    These are the identities that `mmgen reid compare` takes for the same share and seed.
    """
    from mmgen.core.reid_problems import reid_problems
    from mmgen.reid_runs.subset import choose_subset, write_subset

    with reid_problems():
        subset = choose_subset(data, share, seed)
    counts = {"identities": len(subset.identities), "photos": len(subset.photos)}
    say(f"{counts['photos']} photos of {counts['identities']} identities")
    if dry_run:
        nothing_written()
    else:
        counts["masks"] = write_subset(subset, out)
    if as_json:
        print_json({"schema": "mmgen.reid.subset/1", "out": display_name(out), **counts})


def _named_folders(values: tuple[str, ...], option: str) -> dict[str, Path]:
    """`NAME=DIR` or `DIR`, which has the name ""."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        name, folder = (name, folder) if equals else ("", value)
        if name in found or not folder:
            raise click.UsageError(f"{option} {value}: give every name once, as NAME=DIR")
        found[name] = Path(folder)
    return found


def _plan_comparison(order: "ComparisonOrder", as_json: bool) -> int:
    from mmgen.reid_runs.comparison import runs_of

    runs = runs_of(order)
    todo = [run.name for run in runs if not run.is_done]
    text = f"{len(todo)} of {len(runs)} runs to do, {order.manifest.steps or 'their own numbers of'} updates each"
    plan = {"schema": "mmgen.reid.compare.plan/1", "runs": [run.name for run in runs], "to_do": todo}
    return say_plan(text, plan, as_json)


def _compare(order: "ComparisonOrder", as_json: bool) -> int:
    from mmgen.reid_runs.comparison import run_comparison, runs_of
    from mmgen.reid_runs.comparison_table import write_result
    from mmgen.work.locks import run_lock
    from mmgen.work.records import Shard

    runs = runs_of(order)
    say(f"{sum(not run.is_done for run in runs)} of {len(runs)} runs to do")
    with run_lock(order.out, Shard(0, 1)), RunConsole(stopping=SAVING) as console:
        finished = run_comparison(order, console.callbacks)
    data, lines = write_result(order)
    if as_json:
        print_json(data)
    else:
        print("\n".join(lines))
    if not finished:
        say("interrupted: the same command goes on from here")
    return 0 if finished else EXIT_INTERRUPTED


def _show_result(result: "SearchResult", weights: Path, reranking: bool, as_json: bool) -> None:
    data = result.as_data()
    if as_json:
        print_json(
            {"schema": "mmgen.reid.evaluate/1", "weights": display_name(weights), "reranking": reranking, **data}
        )
        return
    figures = data["figures"]
    print(f"rank-1 {figures['rank1']:.2%}   rank-5 {figures['rank5']:.2%}   rank-10 {figures['rank10']:.2%}")
    print(f"mAP {figures['map_plain']:.2%} (plain)   {figures['map_trapezoid']:.2%} (trapezoid)")
    print(f"mINP {figures['minp']:.2%}")
    missing = data["queries"] - data["queries_with_an_answer"]
    say(f"{data['queries']} queries, {missing} without a right answer in the gallery")
    if data["queries_with_ties"]:
        say(f"warning: in {data['queries_with_ties']} queries right and wrong answers are equally near")


def _train(order: "TrainOrder", as_json: bool) -> int:
    from dataclasses import replace

    from mmgen.reid_runs.training import train
    from mmgen.training.distributed import joined_processes
    from mmgen.work.locks import run_lock
    from mmgen.work.records import Shard

    with joined_processes(order.device) as (device, rank), RunConsole(stopping=SAVING) as console:
        order = replace(order, device=device)
        if rank:
            return EXIT_INTERRUPTED if train(order).interrupted else 0
        with run_lock(order.out, Shard(0, 1)):
            outcome = train(order, console.callbacks)
    return _report(order, outcome, as_json)


def _report(order: "TrainOrder", outcome: "Outcome", as_json: bool) -> int:
    state = "finished" if outcome.finished else "stopped"
    weights = display_name(order.weights_path)
    say(f"{state} after {outcome.steps} of {outcome.steps_in_all} steps, {outcome.photos_per_second:.0f} photos/s")
    if not outcome.finished:
        say("the same command with --resume goes on from here")
    say(f"weights: {weights}")
    if as_json:
        data = {name: value for name, value in vars(outcome).items() if name not in ("interrupted", "about")}
        place = {"out": display_name(order.out), "weights": weights}
        print_json({"schema": "mmgen.reid.train/1", **place, **data, **outcome.about})
    return EXIT_INTERRUPTED if outcome.interrupted else 0


def _forecast(order: "TrainOrder", as_json: bool) -> int:
    from mmgen.core.devices import resolve_device
    from mmgen.reid_runs.sources import read_dataset, training_photos
    from mmgen.reid_runs.training import batch_order, steps_of

    chosen = training_photos(read_dataset(order.data, order.manifest.data), order.shards, order.manifest.data)
    steps = steps_of(order.manifest, batch_order(order.manifest, chosen, order.seed))
    plan = {
        "schema": "mmgen.reid.train.plan/1",
        "out": display_name(order.out),
        "device": resolve_device(order.device),
        "photos": len(chosen.photos),
        "virtual_photos": chosen.virtual,
        "real_identities": chosen.real_identities,
        "virtual_identities": chosen.virtual_identities,
        "steps": steps,
        "batch_photos": order.manifest.batch.photos,
    }
    text = (
        f"{len(chosen.photos) - chosen.virtual} real photos of {chosen.real_identities} identities, {chosen.virtual} "
        f"virtual ones of {chosen.virtual_identities}; {steps} steps of {order.manifest.batch.photos} photos"
    )
    return say_plan(text, plan, as_json)
