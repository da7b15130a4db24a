"""Options that several commands share, under the names that scripts rely on.

Each public name that ends in `_option` is a decorator, or makes one where the default or the help differs.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name
from mmgen.work.records import Shard

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

DEVICE_NAME = re.compile(r"^(auto|cpu|cuda(:\d+)?)$")


class _NamedPath(click.Path):
    """A path that has a name: "$FOLDER" with a variable that is not set must not mean the folder that we are in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does it; raises a usage error for an empty word."""
        if value == "":
            self.fail("the path is empty; for this very folder write .", param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A range without NaN, which no bound keeps out."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does it; raises a usage error for NaN."""
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is no number", param, ctx)
        return number


PATH = _NamedPath(path_type=Path)


class ParsedType(click.ParamType):
    """Values that a function reads from text.

    Args:
        name: how `--help` calls the value.
        parse: reads it; None or a ValueError says that it cannot.
        expected: the end of the message about a wrong value: `'x' is not ...`.
    """

    def __init__(self, name: str, parse: Callable[[str], Any], expected: str) -> None:
        self.name = name
        self._parse = parse
        self._expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one value; click shows the error as wrong usage."""
        if not isinstance(value, str):
            return value
        try:
            parsed = self._parse(value)
        except ValueError:  # also of numbers with thousands of digits
            parsed = None
        if parsed is None:
            self.fail(f"'{value}' is not {self._expected}", param, ctx)
        return parsed


class PixelSizeType(ParsedType):
    """`HEIGHTxWIDTH`, or one number for a square, as (height, width) in pixels."""

    def __init__(self, smallest: int, largest: int) -> None:
        def parse(text: str) -> tuple[int, int] | None:
            match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
            size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            return size if all(smallest <= side <= largest for side in size) else None

        super().__init__("HxW", parse, f"HEIGHTxWIDTH in pixels, {smallest} to {largest} each")


def _shard(text: str) -> Shard | None:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    return Shard(int(match[1]), int(match[2])) if match and int(match[1]) < int(match[2]) else None


def _device(text: str) -> str | None:
    """The spelling alone; whether there is such a device is seen when it is used."""
    return text if DEVICE_NAME.match(text) else None


def out_option(default: str | None = None, help_text: str = "Folder to write to; made if missing.") -> Decorator[Any]:
    """`--out PATH` as `out: Path`; required when there is no default."""
    return click.option("--out", "-o", type=PATH, default=default, required=default is None, help=help_text)


MASK_SOURCES = "auto, alpha, network, grabcut, rembg, an installed masker, an ONNX file, or a folder like the photos'"


def masks_option(help_text: str, name: str = "--masks") -> Decorator[Any]:
    """`--masks TEXT` as `masks: str`, default `auto`; what the values mean stands in the help text."""
    return click.option(name, default="auto", callback=_check_masks, help=help_text)


def _check_masks(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A name that nobody knows, or a masker that is not installed, is wrong for every photo: refused at once."""
    if value == "auto" or os.path.exists(value):
        return value
    from mmgen.masks.maskers import installed_maskers, load_masker
    from mmgen.masks.structures import NAMED_KINDS, MaskSource

    known = (*NAMED_KINDS, *installed_maskers())
    if value not in known:
        what = f"{display_name(value)!r} is no folder, no file and no masker (there are {', '.join(known)})"
        raise click.BadParameter(what, ctx, param)
    if value not in NAMED_KINDS:
        try:
            load_masker(MaskSource("masker", name=value))
        except ItemError as error:
            raise FatalError(error.code, error.message, error.hint) from error
    return value


seed_option = click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Seed of all randomness.")


pattern_option = click.option(
    "--pattern",
    default="",
    metavar="REGEX",
    help="For other file names: a regular expression for whole names with the groups identity and camera.",
)


def limit_option(help_text: str = "Only the first N inputs, in sorted order.") -> Decorator[Any]:
    """`--limit N` as `limit: int | None`."""
    return click.option("--limit", type=click.IntRange(min=1), metavar="N", help=help_text)


weights_option = click.option(
    "--weights", type=PATH, metavar="FILE", help="Weights file (.safetensors), or bundled.  [default: bundled]"
)
"""`--weights FILE|bundled` as `weights: Path | None`, for `mmgen.bundled.required_weights`."""

data_option = click.option("--data", type=PATH, required=True, help="Data set folder.")
"""`--data DIR` as `data: Path`."""

device_option = click.option(
    "--device",
    type=ParsedType("auto|cpu|cuda:N", _device, "auto, cpu or cuda:N"),
    default="auto",
    help="Where to compute: auto, cpu, cuda or cuda:N.",
)
"""`--device NAME` as `device: str`."""

workers_option = click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N", help="Processes.  [default: from the CPU count]"
)
"""`--workers N` as `workers: int | None`."""

shard_option = click.option(
    "--shard",
    type=ParsedType("i/n", _shard, "i/n with 0 <= i < n, such as 0/4"),
    default="0/1",
    help="Do part i of n; run all parts, anywhere, and the result is that of one run.",
)
"""`--shard i/n` as `shard: Shard`."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on stdout.")
"""`--json` as `as_json: bool`."""

accepted_option = click.option(
    "--accepted-only", is_flag=True, help="Only meshes that somebody accepted in `mmgen review`."
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
"""`--dry-run` as `dry_run: bool`."""

overwrite_option = click.option("--overwrite", is_flag=True, help="Redo what is already done.")
"""`--overwrite` as `overwrite: bool`."""

set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting, such as loss.image=2.0.",
)
"""`--set KEY=VALUE` as `changes: tuple[str, ...]`; may be repeated."""


def stacked(*decorators: Decorator[Any]) -> Decorator[Any]:
    """Several options as one decorator, in the order in which `--help` lists them."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def choice_option(name: str, choices: Sequence[str], help_text: str) -> Decorator[Any]:
    """An option with a few words as values, the first of them the default."""
    return click.option(name, type=click.Choice(choices), default=choices[0], help=help_text)


engine_options = stacked(
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help='Processes of this machine, or tasks of a Ray cluster (pip install "mmgen[ray]").',
    ),
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Ray cluster to join, or `auto`.  [default: RAY_ADDRESS, or else a Ray of --workers on this machine]",
    ),
)
"""`--engine local|ray` as `engine: str` and `--ray-address HOST:PORT` as `ray_address: str | None`."""

spread_options = stacked(shard_option, workers_option, engine_options)
"""Where the work is done: `--shard`, `--workers`, `--engine` and `--ray-address`."""

report_options = stacked(dry_run_option, json_option)
"""`--dry-run` and `--json`."""

redo_options = stacked(overwrite_option, click.option("--retry-failed", is_flag=True, help="Only what failed before."))
"""`--overwrite` and `--retry-failed`; `redo_of` reads them."""

training_options = stacked(
    click.option("--resume", is_flag=True, help="Go on with the run in --out, bit for bit."),
    set_option,
    click.option(
        "--limit-steps", type=click.IntRange(min=1), metavar="N", help="Stop after N steps in all; schedules stay."
    ),
)
"""`--resume`, `--set` and `--limit-steps`."""


def redo_of(options: Mapping[str, Any]) -> Literal["changed", "failed", "all"]:
    """What a run does again.

    Raises:
        UsageError: both options are given.
    """
    if options["retry_failed"] and options["overwrite"]:
        raise click.UsageError("--retry-failed and --overwrite exclude each other")
    return "all" if options["overwrite"] else "failed" if options["retry_failed"] else "changed"


@contextmanager
def chosen_engine(options: Mapping[str, Any], shared: Path | None, device: str = "cpu") -> Iterator[None]:
    """Inside the block, work goes to the engine of `engine_options`.

    Args:
        options: the command's, with `engine` and `ray_address`.
        shared: the output folder; None where nothing is written.
        device: `cpu` or `cuda:N`; tasks of a cluster ask for a GPU each where it is not `cpu`.

    Raises:
        UsageError: an address without `--engine ray`.
    """
    from mmgen.work.engine import use_engine

    if options["engine"] == "local":
        if options["ray_address"]:
            raise click.UsageError("--ray-address goes with --engine ray")
        yield
        return
    from mmgen.work.ray_engine import RayEngine

    with use_engine(RayEngine(shared, options["ray_address"], device.startswith("cuda"))):
        yield
