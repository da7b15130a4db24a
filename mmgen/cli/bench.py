"""`mmgen bench`: this machine's figures. One subcommand per subject."""

from typing import Any

import click

from mmgen.cli.options import device_option, json_option, workers_option
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


@command.command("reconstruct")
@click.option(
    "--photos", type=click.IntRange(2), default=16, show_default=True, help="Procedural people to reconstruct."
)
@workers_option
@device_option
@json_option
def bench_reconstruct(photos: int, workers: int | None, device: str, as_json: bool) -> None:
    """Speed of `mmgen reconstruct`: one process, then several; also checks that their bytes are equal."""
    from mmgen.bench.reconstruct import measure
    from mmgen.devices import resolve_device
    from mmgen.engine import default_workers

    device = resolve_device(device)
    say(f"reconstructing {photos} procedural people twice")
    result = measure(photos, workers or default_workers(device), device)
    if as_json:
        print_json(result)
        return
    seconds = result["seconds_per_photo"]
    print(f"{seconds['median']:.2f} s per photo ({seconds['lowest']:.2f} to {seconds['highest']:.2f}), one process")
    for count, rate in result["photos_per_minute"].items():
        print(f"  {rate:.1f} photos per minute with {count} processes, start-up included")
    print(f"  MaskIoU {result['mean_mask_iou']:.3f}, SSIM {result['mean_ssim']:.3f}")
    print(f"  bytes are {'equal' if result['same_bytes'] else 'NOT equal'} for one and several processes")


@command.command("train")
@click.option("--steps", type=click.IntRange(4), default=40, show_default=True, help="Timed steps per thread count.")
@json_option
def bench_train(steps: int, as_json: bool) -> None:
    """Speed of training: the small self-supervised step on the CPU, with one and two threads, and its parts."""
    from mmgen.bench.train import measure

    say("training on procedural people; about a minute")
    result = measure(steps)
    if as_json:
        print_json(result)
        return
    for threads, run in result["threads"].items():
        rate = run["images_per_second"]
        print(f"{threads} threads: {rate['wall']:.1f} images/s ({rate['cpu']:.1f} per processor second)")
        for part, cost in run["parts"].items():
            print(f"  {part:9} {cost['ms']:7.1f} ms  {cost['share']:6.1%}")


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
