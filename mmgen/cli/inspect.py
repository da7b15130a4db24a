"""`mmgen inspect`: what is in a GLB or a folder."""

from pathlib import Path
from typing import Any

import click

from mmgen.cli.options import PATH, json_option
from mmgen.cli.output import print_json


@click.command()
@click.argument("path", type=PATH)
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show what is in PATH: a .glb file, a folder that `mmgen reconstruct` wrote, or any folder of meshes.

    A mesh: counts, size, texture, material, where it comes from. A run: how many worked, what failed, quality, time.
    """
    from mmgen.assets.inspection import inspect

    facts = inspect(path)
    if as_json:
        print_json({"schema": "mmgen.inspect/1"} | facts)
        return
    for line in _lines(facts):
        print(line)


def _lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    width = max((len(key) for key in facts), default=0)
    lines = []
    for key, value in facts.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{_text(key)}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{_text(key):<{width}}  {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if value is None or value == {}:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(_text(item) for item in value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
