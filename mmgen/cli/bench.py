"""`mmgen bench`: this machine's figures. One subcommand per subject."""

from typing import Any

import click

from mmgen.cli.options import json_option
from mmgen.cli.output import print_json, say


@click.group()
def command() -> None:
    """Measure this machine; figures as JSON with --json."""


@command.command("render")
@click.option("--quick", is_flag=True, help="Only the first scene.")
@json_option
def bench_render(quick: bool, as_json: bool) -> None:
    """Speed of the differentiable renderer, against its pure-torch version and against DEODR where installed.

    CPU time per image on one thread, so that other programs disturb the figures little. Takes about a minute.
    """
    from mmgen.bench.render import measure
    from mmgen.bench.scenes import SCENES

    say("measuring the renderer; about a minute")
    result = measure(SCENES[:1] if quick else SCENES)
    if as_json:
        print_json(result)
        return
    for scene in result["scenes"]:
        print(_summary(scene))


def _summary(scene: dict[str, Any]) -> str:
    name = f"{scene['name']} ({scene['vertices']} vertices, batch {scene['batch']})"
    lines = [f"{name}: forward + backward"]
    for backend, times in scene["ms_per_image"].items():
        lines.append(f"  {backend:6} {times['forward_backward']:8.3f} ms per image")
    lines.append(f"  {scene['speedup_vs_reference']:.1f} times as fast as pure torch")
    if scene["speedup_vs_deodr"] is not None:
        lines.append(f"  {scene['speedup_vs_deodr']:.2f} times as fast as DEODR")
    lines.append(f"  {scene['times_the_limit']:.1f} times the estimated limit of this scene")
    return "\n".join(lines)
