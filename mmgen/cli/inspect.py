"""`mmgen inspect`: what is in a GLB, a folder or a weights file."""

from pathlib import Path
from typing import Any

import click

from mmgen.cli.options import PATH, json_option
from mmgen.cli.output import print_json
from mmgen.core.files import is_weights_file


@click.command()
@click.argument("path", type=PATH)
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show what is in PATH.

    PATH is a .glb file, a folder that `mmgen reconstruct` or `augment-reid` wrote, any folder of meshes, or a weights
    file.

    A mesh: counts, size, texture, material, where it comes from. A run: how many worked, what failed, quality, time.
    Shards: what their record says. Weights: networks, prototype, metrics, how they were trained.
    """
    facts = _facts(path)
    if as_json:
        print_json({"schema": "mmgen.inspect/1"} | facts)
        return
    for line in _lines(facts):
        print(line)


def _facts(path: Path) -> dict[str, Any]:
    from mmgen.augment.verification import is_shard_folder

    if is_weights_file(path):
        from mmgen.models.weights import load_weights, weights_facts

        return weights_facts(path, load_weights(path, any_numbers=True))
    if is_shard_folder(path):
        from mmgen.augment.folder import shard_facts

        return shard_facts(path)
    from mmgen.assets.inspection import inspect

    return inspect(path)


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
