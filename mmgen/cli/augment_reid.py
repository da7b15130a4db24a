"""`mmgen augment-reid`: a re-id training set several times larger, as WebDataset shards of virtual people."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    MASK_SOURCES,
    PATH,
    FiniteRange,
    ParsedType,
    PixelSizeType,
    choice_option,
    chosen_engine,
    device_option,
    limit_option,
    masks_option,
    overwrite_option,
    pattern_option,
    report_options,
    seed_option,
    spread_options,
    weights_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.progress import duration
from mmgen.cli.run_report import RunConsole, nothing_written, say_ending, say_list
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from mmgen.augment.accounting import Accounting
    from mmgen.augment.options import AugmentOptions
    from mmgen.augment.running import AugmentConfig, Outcome


def _degrees(text: str) -> tuple[int, ...] | None:
    numbers = tuple(int(part) for part in text.split(","))
    return numbers if all(-180 <= number <= 180 for number in numbers) else None


def _share_range(text: str) -> tuple[float, float] | None:
    """A share, or the two ends of a range of shares."""
    low, _, high = text.partition(":")
    ends = (float(low), float(high or low))
    return ends if 0 <= ends[0] <= ends[1] <= 1 else None


def _traits(text: str) -> tuple[str, ...] | None:
    """Names of `CAMERA_TRAITS`, in the order of that list; none of them for "none"."""
    from mmgen.augment.options import CAMERA_TRAITS

    named = set() if text == "none" else set(text.split(","))
    return tuple(trait for trait in CAMERA_TRAITS if trait in named) if named <= set(CAMERA_TRAITS) else None


@click.command()
@click.argument("market", type=PATH, required=False)
@click.option("--out", "-o", type=PATH, help="Folder for the shards.  [default: MARKET with -3d at its end, beside it]")
@weights_option
@masks_option(f"{MASK_SOURCES}; auto takes masks/ where prepared.")
@pattern_option
@choice_option(
    "--partners",
    ["image", "identity"],
    "Mix with the texture of one other photo (as published), or with the mean texture of another person.",
)
@choice_option(
    "--selection",
    ["all", "hardest-half"],
    "One partner per photo; or two draws, keeping the half of the pairs that changes textures most (published).",
)
@choice_option(
    "--mix",
    ["regions", "blend"],
    "Put on the upper or lower clothes of somebody else, or blend whole textures (as published).",
)
@click.option(
    "--own-weight",
    type=ParsedType("W or LOW:HIGH", _share_range, "a share from 0 to 1, or two with a colon, such as 0.3:0.7"),
    default="0.5",
    help="Share of the own texture in a blend; a range is drawn from, set by set.",
)
@click.option(
    "--turns",
    type=ParsedType("N,N,...", _degrees, "a list of whole degrees from -180 to 180, such as -60,-30,0,30,60"),
    default="-60,-30,0,30,60",
    help="Turns of the camera around the body, degrees, against the source pose.",
)
@click.option("--elevation-jitter", type=FiniteRange(0, 30), default=2.0, help="Per view, sigma, degrees.")
@click.option(
    "--distance-jitter",
    type=FiniteRange(0, 1),
    default=0.1,
    help="Per view, sigma; people are about 1.8 high.  (published: 0.5)",
)
@choice_option(
    "--background",
    ["other", "own"],
    "Whose photo stands behind, its person painted out: anyone's, drawn per view, or the shape source's.",
)
@choice_option(
    "--poses",
    ["source", "walk", "mixed"],
    "All views in the pose of the photo (as published), each at another phase of a walk, or one of the two per view.",
)
@click.option(
    "--refine",
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="N",
    help="Steps that fit each photo further through the renderer, as in mmgen reconstruct.",
)
@click.option("--size", type=PixelSizeType(16, 1024), default="128x64", help="Of the pictures.")
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=95,
    help="Of JPEGs that do not take on the compression of the photo behind.",
)
@click.option(
    "--like-camera",
    type=ParsedType("TRAIT,...", _traits, "of light, noise, sharpness and compression some, with commas, or none"),
    default="light,noise,sharpness,compression",
    help="What people take on from the photos that they stand in and come from, as measured there.  (published: none)",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["shards", "folder"]),
    default="shards",
    help="folder: also write real and virtual photos with Market's names, for torchreid and fast-reid.",
)
@click.option("--with-real", is_flag=True, help="Put the real training images into the shards too.")
@click.option(
    "--samples-per-shard",
    "--shard-size",
    type=click.IntRange(1, 1_000_000),
    default=2000,
    help="Samples in one tar. A webdataset loop needs a tar of its own for every rank and every worker.",
)
@click.option(
    "--remove-identity",
    multiple=True,
    metavar="PID",
    help="Take a person and all descendants out of the shards in --out; nothing else is done. May be repeated.",
)
@seed_option
@limit_option("Only the first N photos, in sorted order.")
@click.option(
    "--accepted-only",
    type=PATH,
    metavar="MESHES",
    help="Only photos whose meshes, in this folder of mmgen reconstruct, somebody accepted in mmgen review.",
)
@spread_options
@device_option
@overwrite_option
@report_options
def command(market: Path | None, out: Path | None, remove_identity: tuple[str, ...], **options: Any) -> int:
    """Make virtual people from the training photos of MARKET, a re-id data set.

    Read are Market-1501, DukeMTMC-reID, CUHK03-np, MSMT17, VeRi-776, what `mmgen prepare` wrote, and with --pattern
    others. Every training photo is reconstructed once; its texture is mixed with that of another person, and the mix is
    drawn from several sides into WebDataset shards, with an index, a record of counts and hashes, a data card with the
    accounting of the paper, and a contact sheet. Nobody of query and gallery is ever a source.

    The same arguments give the same bytes, whatever the number of --workers and --shard parts. Run it again after an
    interruption: what is finished is not done again. `mmgen verify OUT` checks the result.
    """
    if out is None:
        if market is None:
            raise click.UsageError("Name a data set: mmgen augment-reid MARKET")
        out = Path(os.path.abspath(market) + "-3d")
    if remove_identity:
        return _remove(out, remove_identity, market, options)
    if market is None:
        raise click.UsageError("Name a data set: mmgen augment-reid MARKET --out OUT")
    return _augment(market, out, options)


def _remove(out: Path, people: tuple[str, ...], market: Path | None, options: dict[str, Any]) -> int:
    from mmgen.augment.removal import remove_people
    from mmgen.augment.sources import find_sources

    photos = None if market is None else find_sources(market, pattern=options["pattern"]).root
    removal = remove_people(out, people, photos, options["dry_run"])
    if options["as_json"]:
        print_json({"schema": "mmgen.augment.removal/1", "out": display_name(out), **removal.to_dict()})
    verb = "would be taken" if options["dry_run"] else "taken"
    say(f"{removal.samples} samples in {removal.shards} tars {verb} out of {display_name(out)}")
    return 0


def _augment(market: Path, out: Path, options: dict[str, Any]) -> int:
    from mmgen.augment.plan import Plan
    from mmgen.augment.sources import find_sources

    chosen = _options(options)
    sources = find_sources(market, chosen.limit, options["pattern"], options["accepted_only"])
    plan = Plan(chosen, sources.photos)
    if options["dry_run"]:
        return _forecast(plan, sources.root, out, options)
    request = _request(plan, sources.root, out, options)
    with chosen_engine(options, out, request.device):
        return _run(request, options, market)


def _options(options: dict[str, Any]) -> "AugmentOptions":
    from mmgen.augment.options import AugmentOptions, MixOptions, RenderOptions

    draw = MixOptions(options["seed"], options["partners"], options["selection"], options["mix"], options["own_weight"])
    look = RenderOptions(
        turns_deg=options["turns"],
        elevation_jitter_deg=options["elevation_jitter"],
        distance_jitter=options["distance_jitter"],
        background=options["background"],
        poses=options["poses"],
        size=options["size"],
        jpeg_quality=options["quality"],
        like_camera=options["like_camera"],
    )
    return AugmentOptions(
        draw,
        look,
        options["masks"],
        options["with_real"],
        options["samples_per_shard"],
        options["limit"],
        options["refine"],
    )


def _request(plan: Any, root: Path, out: Path, options: dict[str, Any]) -> "AugmentConfig":
    from mmgen.augment.running import AugmentConfig
    from mmgen.bundled import required_weights
    from mmgen.core.devices import resolve_device
    from mmgen.core.files import sha256_file
    from mmgen.models.weights import read_config
    from mmgen.work.engine import default_workers

    device = resolve_device(options["device"])
    weights = required_weights(options["weights"])
    read_config(weights)  # says what is wrong with it before any work is done
    return AugmentConfig(
        plan=plan,
        root=root,
        out=out,
        weights=weights,
        weights_sha256=sha256_file(weights),
        device=device,
        workers=options["workers"] or default_workers(device),
        shard=options["shard"],
        overwrite=options["overwrite"],
    )


def _run(request: "AugmentConfig", options: dict[str, Any], market: Path) -> int:
    from mmgen.augment.market_folder import write_market_folder
    from mmgen.augment.running import run_augmentation

    started = time.monotonic()
    with RunConsole(stopping="stopping after the shards at work") as console:
        outcome = run_augmentation(request, console.callbacks)
    seconds = time.monotonic() - started
    say_ending(outcome.ending)
    _tell(request, outcome, seconds)
    data = _as_data(request, outcome, seconds)
    if options["format_"] == "folder" and outcome.record is not None:
        data["market_folder"] = state = write_market_folder(request.out, market, options["pattern"])
        first, count = state["first_virtual_number"], f"{state['virtual_photos']} virtual photos"
        say(f"{count} are in bounding_box_train/ too, numbered from {first} on; virtual.jsonl lists them")
    if options["as_json"]:
        print_json(data)
    return outcome.exit_code


def _tell(request: "AugmentConfig", outcome: "Outcome", seconds: float) -> None:
    say_list((f"unusable: {note.message} ({note.error})" for note in outcome.failures), "see sources.jsonl")
    rate = outcome.views_done / max(1e-9, outcome.stage_seconds.get("shards", 0.0))
    speed = f", {rate:.0f} views/s" if outcome.views_done else ""
    done = f"{outcome.photos_done} photos reconstructed, {outcome.views_done} samples written"
    say(f"{done} in {duration(seconds)}{speed}")
    if outcome.record is None:
        say("the folder is not complete yet; the same command goes on from here")
        return
    from mmgen.augment.accounting import accounting_of

    _print_accounting(accounting_of(outcome.record["accounting"]))
    say(f"shards in {display_name(request.out)}; have a look at {display_name(request.out / 'contact_sheet.jpg')}")


def _print_accounting(accounting: "Accounting") -> None:
    from mmgen.augment.accounting import PUBLISHED

    paper = PUBLISHED.to_dict() if accounting.is_market else {}
    say(f"{'':28}{'this run':>12}{'paper' if paper else '':>12}")
    for key, label, count in accounting.rows():
        shown = "(later)" if count is None else f"{count:,}"
        say(f"{label:28}{shown:>12}" + (f"{paper[key]:>12,}" if paper else ""))


def _as_data(request: "AugmentConfig", outcome: "Outcome", seconds: float) -> dict[str, Any]:
    record = outcome.record or {}
    return {
        "schema": "mmgen.augment.result/1",
        "out": display_name(request.out),
        "complete": outcome.record is not None,
        "samples": record.get("samples"),
        "classes": record.get("classes"),
        "kinds": record.get("kinds"),
        "accounting": record.get("accounting"),
        "unusable_photos": len(outcome.failures),
        "photos_reconstructed": outcome.photos_done,
        "samples_written": outcome.views_done,
        "seconds": round(seconds, 3),
        "stage_seconds": {name: round(value, 3) for name, value in outcome.stage_seconds.items()},
        "exit_code": outcome.exit_code,
    }


def _forecast(plan: Any, root: Path, out: Path, options: dict[str, Any]) -> int:
    from mmgen.augment.accounting import account, account_before
    from mmgen.augment.forecast import forecast
    from mmgen.augment.plan import ResolvedPlan, fixed_pairs
    from mmgen.core.errors import MmgenError

    pairs = fixed_pairs(plan)
    accounting = account_before(plan) if pairs is None else account(ResolvedPlan(plan, pairs))
    _print_accounting(accounting)
    try:
        expected: dict[str, Any] | None = forecast(_request(plan, root, out, options)).to_dict()
    except MmgenError as error:
        expected = None
        say(f"no forecast: {error.message}. {error.hint}")
    if expected is not None:
        _print_forecast(expected)
    if options["as_json"]:
        plain = {"schema": "mmgen.augment.plan/1", "out": display_name(out), "accounting": accounting.to_dict()}
        print_json({**plain, "forecast": expected})
    nothing_written()
    return 0


def _print_forecast(expected: dict[str, Any]) -> None:
    say(
        f"about {duration(expected['seconds'])} with {expected['workers']} workers: "
        f"{duration(expected['reconstruct_seconds'])} to reconstruct {expected['photos_todo']:,} photos, "
        f"{duration(expected['shards_seconds'])} for {expected['samples_todo']:,} samples "
        f"({expected['views_per_second']:.0f} per second); {expected['bytes'] / 1e6:,.0f} MB of shards, "
        f"{expected['store_bytes'] / 1e6:,.0f} MB beside them that may be deleted"
    )
