"""`mmgen swap`: clothes of one mesh on the body of another."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mmgen.cli.options import PATH, ParsedType, limit_option, out_option, report_options
from mmgen.cli.output import say
from mmgen.cli.run_report import report_files

if TYPE_CHECKING:
    from mmgen.assets.stances import Stance, StanceKind
    from mmgen.assets.swap import Wearer
    from mmgen.assets.tree import GlbFile
    from mmgen.cli.progress import Reporter
    from mmgen.core.errors import ItemError

PICTURE = "swap.png"
SCHEMA = "mmgen.swap/1"

POSES = ("body", "clothes", "rest", "walk")


def _read_pose(text: str) -> tuple[str, float] | None:
    """What and which phase; raises ValueError for a phase that is no number."""
    word, colon, phase = text.partition(":")
    value = float(phase) if colon else 0.0
    fits = word in POSES and 0 <= value <= 1 and (not colon or word == "walk")
    return (word, value) if fits else None


POSE = ParsedType("POSE", _read_pose, "body, clothes, rest, walk or walk:PHASE with a phase from 0 to 1, as walk:0.25")


@click.command()
@click.argument("meshes", type=PATH, nargs=-1, required=True, metavar="MESHES...")
@out_option("swaps", help_text="Folder to write to; made if missing.")
@click.option("--glbs/--no-glbs", default=None, help="Write the meshes too.  [default: for two meshes only]")
@click.option(
    "--pose",
    type=POSE,
    default="body",
    help="Stand as in the photo of the body, or of the clothes; rest: arms a little out; walk:0.25: a quarter of a "
    "stride after the left heel's strike. All but body are for whole meshes of people.",
)
@limit_option("Only the first N meshes; a grid has N x N pictures.")
@report_options
def command(
    meshes: tuple[Path, ...],
    out: Path,
    glbs: bool | None,
    pose: tuple[str, float],
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Exchange clothes between MESHES: two or more .glb files or folders that `mmgen reconstruct` wrote.

    Two meshes A and B give A_in_B.glb (the body of A in the clothes of B), B_in_A.glb and swap.png, which shows both
    from the front and from the back beside their own selves. More give the whole table of everyone in everyone's
    clothes as swap.png, and with --glbs each of its meshes.

    All must have the same template, so that a place of the texture is the same place of the body on all of them. With
    --pose everybody is brought into another pose by the skeleton that `mmgen export --rig` gives them.

    Exit codes: 0 all good, 3 some meshes were left out, 4 nothing could be done.
    """
    from mmgen.assets.tree import check_meshes

    for one in meshes:
        check_meshes(one)
    from mmgen.assets.swap import list_wearers
    from mmgen.previews.sheet import LARGEST_GRID

    listed = list_wearers(meshes, limit)
    if len(listed) > LARGEST_GRID:
        raise click.UsageError(
            f"{len(listed)} meshes would give {len(listed) ** 2:,} pictures; add --limit {LARGEST_GRID}"
        )
    writes_glbs = len(listed) == 2 if glbs is None else glbs
    names = [name for name, _ in listed]
    if dry_run:
        return report_files(SCHEMA, [out / name for name in _file_names(names, writes_glbs)], [], as_json)
    from mmgen.assets.stances import Stance
    from mmgen.assets.swap import doubt_of_weights
    from mmgen.cli.progress import progress

    stance = None if pose[0] == "body" else Stance(cast("StanceKind", pose[0]), pose[1])
    wearers, failures = _read(listed, with_rigs=stance is not None)
    if len(wearers) < 2:
        return report_files(SCHEMA, [], failures, as_json)
    doubt = doubt_of_weights(wearers)
    if doubt is not None:
        say(f"note: {doubt}")
    with progress("swap", len(wearers) ** 2) as reporter:
        written = _write(wearers, stance, out, writes_glbs, reporter)
    return report_files(SCHEMA, written, failures, as_json)


def _file_names(names: list[str], writes_glbs: bool) -> list[str]:
    from mmgen.assets.swap import swap_name

    pairs = [(body, clothes) for body in names for clothes in names if body != clothes] if writes_glbs else []
    return [*(f"{swap_name(*pair)}.glb" for pair in pairs), PICTURE]


def _read(listed: "list[tuple[str, GlbFile]]", with_rigs: bool) -> "tuple[list[Wearer], list[ItemError]]":
    from mmgen.assets.swap import check_layout, read_wearer
    from mmgen.core.errors import ItemError
    from mmgen.templates import named_template

    template = named_template("person") if with_rigs else None
    wearers: list[Wearer] = []
    failures: list[ItemError] = []
    for name, file in listed:
        try:
            wearer = read_wearer(name, file.path, template)
            if wearers:
                check_layout(wearer, wearers[0])
            wearers.append(wearer)
        except ItemError as error:
            failures.append(error)
    return wearers, failures


def _write(
    wearers: "list[Wearer]", stance: "Stance | None", out: Path, writes_glbs: bool, reporter: "Reporter"
) -> list[Path]:
    from mmgen.assets.asset import Asset
    from mmgen.assets.glb import glb_bytes
    from mmgen.assets.swap import dressed, standing
    from mmgen.core.files import write_alone
    from mmgen.core.outputs import image_bytes
    from mmgen.previews.sheet import FRONT_AND_BACK_DEG, exchange_grid

    written = []

    def pair(row: int, column: int) -> Asset:
        if row == column:
            return standing(wearers[row], stance)
        asset = dressed(wearers[row], wearers[column], stance)
        if writes_glbs:
            written.append(out / f"{asset.name}.glb")
            write_alone(written[-1], glb_bytes(asset))
        return asset

    views = FRONT_AND_BACK_DEG if len(wearers) == 2 else FRONT_AND_BACK_DEG[:1]
    picture = exchange_grid([wearer.name for wearer in wearers], pair, views, reporter.advance)
    write_alone(out / PICTURE, image_bytes(picture, "PNG"))
    return [*written, out / PICTURE]
