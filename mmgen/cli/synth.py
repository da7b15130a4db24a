"""`mmgen synth`: a data set of procedural clothed people."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mmgen.cli.options import (
    PATH,
    FiniteRange,
    choice_option,
    chosen_engine,
    report_options,
    seed_option,
    spread_options,
)
from mmgen.cli.output import EXIT_INTERRUPTED, EXIT_NOTHING_DONE, print_json, say
from mmgen.cli.progress import duration
from mmgen.cli.run_report import Remark, RunConsole, failed, items_exit_code, say_ending, say_plan
from mmgen.core.listing import display_name
from mmgen.work.records import Shard

if TYPE_CHECKING:
    from mmgen.core.errors import ItemError
    from mmgen.synth.layout import CrowdPlan, Entry
    from mmgen.work.engine import Ending


@click.command()
@click.argument("out", type=PATH)
@click.option("--identities", type=click.IntRange(1, 9999), default=100, help="Number of people.")
@click.option("--views", type=click.IntRange(1, 200), default=8, help="Pictures of each.")
@click.option("--poses", type=click.IntRange(1, 200), default=2, help="Poses of each; views take turns.")
@click.option(
    "--test-fraction",
    type=FiniteRange(0, 1),
    default=0.2,
    help="Share of people for bounding_box_test and query.",
)
@choice_option(
    "--style",
    ["street", "studio", "world", "market"],
    "studio: other people, clothes, lenses, light and backgrounds, to test how a model takes a shift; "
    "world: any lens from phone-near to tele, -30 to 40 degrees of elevation, any light, camera faults; "
    "market: surveillance cameras and a detector's boxes, as in Market-1501.",
)
@click.option(
    "--bodies",
    type=click.Choice(["capsules", "anny", "avatars", "mixed"]),
    default="capsules",
    help='anny: bodies of the package anny under our clothes; needs pip install "mmgen[crowd]". '
    "avatars: rigged people from --avatars; mixed: half capsules, half avatars.",
)
@click.option("--avatars", type=PATH, help="Folder of rigged people, GLB with textures and a skin, in a T-pose.")
@click.option(
    "--cloth",
    type=PATH,
    help="Folder of photos of garments: weaves and prints for our own people's clothes. Names that begin with dress_, "
    "longsleeve_, outwear_, pants_, shirt_, shorts_, skirt_ or t-shirt_ say what they show.",
)
@click.option(
    "--cut",
    type=FiniteRange(0, 1),
    default=0.0,
    help="Share of pictures that end at the shin, knee, hip or waist, beside what --style market cuts.",
)
@click.option("--height", type=click.IntRange(32, 2048), default=128, help="Image height, pixels.")
@click.option("--width", type=click.IntRange(16, 2048), help="Image width, pixels.  [default: half the height]")
@seed_option
@spread_options
@report_options
def command(out: Path, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Make a data set of people who do not exist, with masks and exact truth.

    OUT gets images in Market-1501 layout, masks/ and truth/ beside them (mesh, colours, camera and light of every
    picture), synth.json with all settings, and contact_sheet.jpg.

    The same arguments give the same bytes. Run it again after an interruption: what is finished is not done again.
    Train and test people are drawn from different random streams and never coincide, whatever the seeds.
    """
    from mmgen.work.engine import default_workers

    plan = _plan(options)
    if plan.options.bodies == "anny":
        from mmgen.synth.anny_body import check_installed

        check_installed()
    workers = options["workers"] or default_workers("cpu")
    if dry_run:
        return _forecast(out, plan, workers, as_json)
    with chosen_engine(options, out):
        return _run(out, plan, _Effort(workers, options["shard"]), as_json)


class _Effort(NamedTuple):
    """Processes, and the part of the identities that they make."""

    workers: int
    shard: Shard

    def share_of(self, people: "list[Entry]") -> "list[Entry]":
        """Those that are this part's to make."""
        return [entry for entry in people if entry.label % self.shard.count == self.shard.index]


def _plan(options: dict[str, Any]) -> "CrowdPlan":
    from mmgen.synth.crowd import CrowdOptions
    from mmgen.synth.layout import make_plan

    views, height = options["views"], options["height"]
    crowd = CrowdOptions(
        seed=options["seed"],
        views=views,
        poses=min(options["poses"], views),
        height=height,
        width=options["width"] or height // 2,
        style=options["style"],
        bodies=options["bodies"],
        avatars=_avatars(options),
        cloth=options["cloth"],
        cut=options["cut"],
    )
    return make_plan(options["identities"], options["test_fraction"], crowd)


def _avatars(options: dict[str, Any]) -> Path | None:
    """The folder, where people come from it."""
    folder: Path | None = options["avatars"]
    if (options["bodies"] in ("avatars", "mixed")) != (folder is not None):
        raise click.UsageError("--bodies avatars (or mixed) and --avatars DIR go together")
    return folder


def _run(out: Path, plan: "CrowdPlan", effort: "_Effort", as_json: bool) -> int:
    from mmgen.synth.dataset import claim_folder, unfinished, write_index
    from mmgen.synth.sheet import write_sheet
    from mmgen.work.locks import run_lock

    started = time.monotonic()
    claim_folder(out, plan)
    with run_lock(out, effort.shard):
        todo = unfinished(out, plan)
        if len(todo) < plan.identities:
            say(f"{plan.identities - len(todo)} of {plan.identities} identities are there already")
        ending, pictures = _work(out, plan, effort.share_of(todo), effort.workers)
        left = unfinished(out, plan)
        missing = len(left)
        if not missing:
            write_index(out, plan)
            write_sheet(out, plan)
    seconds = time.monotonic() - started
    _tell(out, plan, pictures, missing, seconds)
    code = _exit_code(ending, plan.identities - missing, len(effort.share_of(left)))
    if as_json:
        print_json(_as_data(out, plan, pictures, missing, seconds, code))
    return code


def _work(out: Path, plan: "CrowdPlan", todo: "list[Entry]", workers: int) -> "tuple[Ending, int]":
    from mmgen.core.errors import ItemError
    from mmgen.synth.crowd import compile_once
    from mmgen.synth.dataset import CrowdWriter
    from mmgen.templates import named_template
    from mmgen.work.engine import Callbacks, run_chunks

    if min(workers, len(todo)) > 1:
        compile_once()
    pictures = 0
    with RunConsole(_remarks, stopping="stopping after the people at work") as console:
        console.stage("synth", len(todo))

        def deliver(count: int) -> None:
            nonlocal pictures
            pictures += count
            console.advanced(1)

        def lost(entry: "Entry", error: ItemError) -> None:
            console.finished((entry, error))

        callbacks, template = Callbacks(deliver, lost, console.stopping), named_template("person")
        ending = run_chunks([[entry] for entry in todo], partial(CrowdWriter, out, plan, template), workers, callbacks)
    return ending, pictures


def _remarks(lost: "tuple[Entry, ItemError]") -> list[Remark]:
    entry, error = lost
    return [failed(f"identity {entry.label}", error)]


def _exit_code(ending: "Ending", done: int, missing: int) -> int:
    say_ending(ending)
    if ending.fatal is not None:
        return EXIT_NOTHING_DONE
    return EXIT_INTERRUPTED if ending.interrupted else items_exit_code(done, missing)


def _tell(out: Path, plan: "CrowdPlan", pictures: int, missing: int, seconds: float) -> None:
    rate = f" ({pictures / seconds:.1f} images/s)" if pictures else ""
    say(f"{plan.identities - missing} of {plan.identities} identities in {duration(seconds)}{rate}")
    if missing:
        say(f"{missing} identities are missing; the same command goes on from here")
    else:
        say(f"data set in {display_name(out)}; have a look at {display_name(out / 'contact_sheet.jpg')}")


def _as_data(out: Path, plan: "CrowdPlan", pictures: int, missing: int, seconds: float, code: int) -> dict[str, Any]:
    return {
        "schema": "mmgen.synth.result/1",
        "out": display_name(out),
        "identities": plan.identities,
        "test_identities": plan.test_identities,
        "images": plan.identities * plan.options.views,
        "images_made": pictures,
        "missing_identities": missing,
        "seconds": round(seconds, 3),
        "images_per_second": round(pictures / seconds, 3),
        "exit_code": code,
    }


def _forecast(out: Path, plan: "CrowdPlan", workers: int, as_json: bool) -> int:
    from mmgen.synth.dataset import CrowdWriter
    from mmgen.synth.forecast import forecast
    from mmgen.templates import named_template

    expected = forecast(CrowdWriter(out, plan, named_template("person")), workers)
    text = (
        f"{expected['identities_todo']} identities to make, {expected['images_todo']} images; about "
        f"{expected['bytes'] / 1e6:.0f} MB and {duration(expected['seconds'])} with {workers} workers"
    )
    return say_plan(text, {"schema": "mmgen.synth.plan/1", "out": display_name(out), **expected}, as_json)
