"""`mmgen bench`: this machine's figures. One subcommand per subject."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mmgen.cli.options import (
    PATH,
    data_option,
    device_option,
    json_option,
    limit_option,
    out_option,
    report_options,
    weights_option,
    workers_option,
)
from mmgen.cli.output import EXIT_INTERRUPTED, print_json, say
from mmgen.cli.run_report import SAVING, RunConsole, nothing_written

ROBUSTNESS_MEASURES = ("mask_iou", "ssim", "azimuth_error_deg_median", "azimuth_within_20_deg")
ABLATION_MEASURES = (
    *("mask_iou", "ssim", "azimuth_error_deg_median", "novel_mask_iou", "novel_ssim", "back_ssim", "chamfer"),
)


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
    _show(result, as_json, "\n".join(map(_summary, result["scenes"])))


@command.command("reconstruct")
@click.option(
    "--photos",
    type=click.IntRange(32),
    multiple=True,
    default=(96,),
    show_default=True,
    help="Photos to reconstruct; several numbers give a cost curve.",
)
@workers_option
@device_option
@json_option
def bench_reconstruct(photos: tuple[int, ...], workers: int | None, device: str, as_json: bool) -> None:
    """Speed of `mmgen reconstruct`: one process, then several; also checks that their bytes are equal.

    Procedural people of 256 x 128 pixels to GLBs with textures of 256 x 128 texels, by the bundled networks.
    """
    from mmgen.bench.reconstruct import measure
    from mmgen.core.devices import resolve_device
    from mmgen.work.engine import default_workers

    device = resolve_device(device)
    say(f"reconstructing {min(photos)} procedural people twice")
    result = measure(sorted(set(photos)), workers or default_workers(device), device)
    cost = result["cpu_ms_per_photo"]
    lines = [f"{cost['median']:.0f} ms of CPU per photo ({cost['lowest']:.0f} to {cost['highest']:.0f}), one process"]
    for count, rate in result["photos_per_second"].items():
        lines.append(f"  {rate:.1f} photos per second with {count} processes, start-up apart")
    for point in result["curve"]:
        memory = point["driver_peak_memory_bytes"] / 1e6, point["worker_peak_memory_bytes"] / 1e6
        lines.append(
            f"  {point['photos']} photos: {point['seconds']:.1f} s, {point['photos_per_second']:.1f} photos per second,"
            f" at most {memory[0]:.0f} MB in the driver and {memory[1]:.0f} MB in each worker"
        )
    lines.append(f"  MaskIoU {result['mean_mask_iou']:.3f}, SSIM {result['mean_ssim']:.3f}")
    _show(result, as_json, "\n".join([*lines, _same_bytes(result)]))


@command.command("augment")
@click.option("--identities", type=click.IntRange(2), default=32, help="Procedural people.")
@workers_option
@device_option
@json_option
def bench_augment(identities: int, workers: int | None, device: str, as_json: bool) -> None:
    """Speed of `mmgen augment-reid`: one process, then several; also checks that their bytes are equal."""
    from mmgen.bench.augment import measure
    from mmgen.core.devices import resolve_device
    from mmgen.work.engine import default_workers

    device = resolve_device(device)
    say(f"augmenting {identities} procedural people twice")
    result = measure(identities, workers or default_workers(device), device)
    lines = [f"{result['cpu_ms_per_photo']:.0f} ms of CPU per photo, {result['cpu_ms_per_view']:.1f} ms per view"]
    lines += [
        f"  {rates['photos_per_second']:.1f} photos reconstructed and {rates['views_per_second']:.0f} views written"
        f" per second with {count} processes, loading included"
        + ("" if rates["steady_views_per_second"] is None else f"; {rates['steady_views_per_second']:.0f} without")
        for count, rates in result["stages"].items()
    ]
    _show(result, as_json, "\n".join([*lines, _same_bytes(result)]))


@command.command("train")
@click.option("--steps", type=click.IntRange(4), default=40, help="Timed steps per thread count.")
@json_option
def bench_train(steps: int, as_json: bool) -> None:
    """Speed of training: the small self-supervised step on the CPU, with one and two threads, and its parts."""
    from mmgen.bench.train import measure

    say("training on procedural people; about a minute")
    result = measure(steps)
    lines = []
    for threads, run in result["threads"].items():
        rate = run["images_per_second"]
        lines.append(f"{threads} threads: {rate['wall']:.1f} images/s ({rate['cpu']:.1f} per processor second)")
        lines += [f"  {part:9} {cost['ms']:7.1f} ms  {cost['share']:6.1%}" for part, cost in run["parts"].items()]
    _show(result, as_json, "\n".join(lines))


@command.command("ablations")
@click.argument("manifests", type=PATH, nargs=-1, required=True)
@data_option
@out_option()
@click.option("--seeds", type=click.IntRange(1, 100), default=3, help="Runs of each manifest.")
@click.option("--steps", type=click.IntRange(min=1), default=300, help="Updates of each run.")
@click.option("--split", default="test", help="Part of the data set that is scored.")
@limit_option("Score only N test photos, at equal steps through all.")
@report_options
def bench_ablations(manifests: tuple[Path, ...], dry_run: bool, as_json: bool, **options: Any) -> int:
    """Train MANIFESTS with equal budgets and several seeds, score them on held-out people, print the table.

    The first manifest is the one the others are compared with; naming one twice does no harm. Run it again after an
    interruption: it goes on.
    """
    from mmgen.bench.ablations import AblationPlan, run_ablations, write_table
    from mmgen.work.pool import one_thread

    plan = AblationPlan(
        manifests=tuple(dict.fromkeys(manifests)),
        data=options["data"],
        out=options["out"],
        seeds=options["seeds"],
        steps=options["steps"],
        photos=options["limit"],
        split=options["split"],
    )
    todo = [run for run in plan.runs() if not plan.is_done(*run)]
    say(f"{len(todo)} of {len(plan.runs())} runs of {plan.steps} updates to do")
    if dry_run:
        nothing_written()
        return 0
    with one_thread(), RunConsole(stopping=SAVING) as console:
        finished = run_ablations(plan, console.callbacks)
    result = write_table(plan)

    def cell(row: dict[str, Any], measure: str) -> str:
        value = row["metrics"].get(measure)
        return "-" if value is None else f"{value['mean']:.3f} ±{value['std']:.3f}"

    _show(result, as_json, _table(ABLATION_MEASURES, result["rows"], cell))
    return 0 if finished else EXIT_INTERRUPTED


@command.command("robustness")
@data_option
@weights_option
@click.option("--split", default="test", help="Part of the data set that is scored.")
@limit_option("At most N photos, at equal steps through all.  [default: 120]")
@json_option
def bench_robustness(data: Path, weights: Path | None, split: str, limit: int | None, as_json: bool) -> None:
    """Figures of networks when masks are wrong, photos blurred, dark, cropped or occluded."""
    from mmgen.bench.robustness import measure
    from mmgen.bundled import required_weights

    result = measure(required_weights(weights), data, split, limit or 120)

    def cell(row: dict[str, float], measure: str) -> str:
        return f"{row[measure]:.3f}" if measure in row else "-"

    _show(result, as_json, _table(ROBUSTNESS_MEASURES, result["faults"], cell))


def _show(result: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print_json(result)
    else:
        print(text)


def _table(measures: Sequence[str], rows: Mapping[str, Any], cell: Callable[[Any, str], str]) -> str:
    """Aligned text: a line per row, a column per measure."""
    heads = "".join(f"{measure.replace('azimuth_error_deg_median', 'azimuth_deg'):>22}" for measure in measures)
    lines = [f"{name:24}" + "".join(f"{cell(row, measure):>22}" for measure in measures) for name, row in rows.items()]
    return "\n".join([f"{'':24}{heads}", *lines])


def _same_bytes(result: Mapping[str, Any]) -> str:
    return f"  bytes are {'equal' if result['same_bytes'] else 'NOT equal'} for one and several processes"


def _summary(scene: dict[str, Any]) -> str:
    name = f"{scene['name']} ({scene['vertices']} vertices, batch {scene['batch']})"
    lines = [f"{name}: forward + backward"]
    for backend, times in scene["ms_per_image"].items():
        lines.append(f"  {backend:6} {times['forward_backward']:8.3f} ms per image")
    lines.append(f"  {scene['speedup_vs_reference']:.1f} times as fast as pure torch")
    if scene["speedup_vs_deodr"] is not None:
        lines.append(f"  {scene['speedup_vs_deodr']:.2f} times as fast as DEODR")
    return "\n".join(lines)
