"""`mmgen bench`: this machine's figures. One subcommand per subject."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    PATH,
    data_option,
    device_option,
    dry_run_option,
    json_option,
    limit_option,
    out_option,
    weights_option,
    workers_option,
)
from mmgen.cli.output import EXIT_INTERRUPTED, print_json, say
from mmgen.cli.run_report import SAVING, RunConsole

if TYPE_CHECKING:
    from mmgen.bench.ablations import AblationPlan


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
    if as_json:
        print_json(result)
        return
    cost = result["cpu_ms_per_photo"]
    print(f"{cost['median']:.0f} ms of CPU per photo ({cost['lowest']:.0f} to {cost['highest']:.0f}), one process")
    for count, rate in result["photos_per_second"].items():
        print(f"  {rate:.1f} photos per second with {count} processes, start-up apart")
    for point in result["curve"]:
        memory = point["driver_peak_memory_bytes"] / 1e6, point["worker_peak_memory_bytes"] / 1e6
        print(
            f"  {point['photos']} photos: {point['seconds']:.1f} s, {point['photos_per_second']:.1f} photos per second,"
            f" at most {memory[0]:.0f} MB in the driver and {memory[1]:.0f} MB in each worker"
        )
    print(f"  MaskIoU {result['mean_mask_iou']:.3f}, SSIM {result['mean_ssim']:.3f}")
    print(f"  bytes are {'equal' if result['same_bytes'] else 'NOT equal'} for one and several processes")


@command.command("augment")
@click.option("--identities", type=click.IntRange(2), default=32, show_default=True, help="Procedural people.")
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
    if as_json:
        print_json(result)
        return
    print(f"{result['cpu_ms_per_photo']:.0f} ms of CPU per photo, {result['cpu_ms_per_view']:.1f} ms per view")
    for count, rates in result["stages"].items():
        print(
            f"  {rates['photos_per_second']:.1f} photos reconstructed and {rates['views_per_second']:.0f} views written"
            f" per second with {count} processes, loading included"
        )
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


@command.command("ablations")
@click.argument("manifests", type=PATH, nargs=-1, required=True)
@data_option
@out_option()
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs of each manifest.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Updates of each run.")
@click.option("--split", default="test", show_default=True, help="Part of the data set that is scored.")
@limit_option("Score only N test photos, at equal steps through all.")
@dry_run_option
@json_option
def bench_ablations(manifests: tuple[Path, ...], dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train MANIFESTS with equal budgets and several seeds, score them on held-out people, print the table.

    The first manifest is the one the others are compared with; naming one twice does no harm. Run it again after an
    interruption: it goes on.
    """
    from mmgen.bench.ablations import AblationPlan, write_table

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
        say("nothing was written")
        return
    finished = _train_all(plan)
    result = write_table(plan)
    if as_json:
        print_json(result)
    else:
        _print_ablations(result)
    if not finished:
        click.get_current_context().exit(EXIT_INTERRUPTED)


@command.command("robustness")
@data_option
@weights_option
@click.option("--split", default="test", show_default=True, help="Part of the data set that is scored.")
@limit_option("At most N photos, at equal steps through all.  [default: 120]")
@json_option
def bench_robustness(data: Path, weights: Path | None, split: str, limit: int | None, as_json: bool) -> None:
    """Figures of networks when masks are wrong, photos blurred, dark, cropped or occluded."""
    from mmgen.bench.robustness import measure
    from mmgen.bundled import required_weights

    result = measure(required_weights(weights), data, split, limit or 120)
    if as_json:
        print_json(result)
        return
    measures = ("mask_iou", "ssim", "azimuth_error_deg_median", "azimuth_within_20_deg")
    print(f"{'':20}" + "".join(f"{name.replace('azimuth_error_deg_median', 'azimuth_deg'):>24}" for name in measures))
    for name, row in result["faults"].items():
        print(
            f"{name:20}" + "".join(f"{row[measure]:24.3f}" if measure in row else f"{'-':>24}" for measure in measures)
        )


def _train_all(plan: "AblationPlan") -> bool:
    from mmgen.bench.ablations import run_ablations
    from mmgen.bench.timing import one_thread

    with one_thread():
        return run_ablations(plan, RunConsole(stopping=SAVING).callbacks)


def _print_ablations(result: dict[str, Any]) -> None:
    measures = ("mask_iou", "ssim", "azimuth_error_deg_median", "novel_mask_iou", "novel_ssim", "back_ssim", "chamfer")
    print(f"{'':24}" + "".join(f"{name.replace('azimuth_error_deg_median', 'azimuth_deg'):>18}" for name in measures))
    for name, row in result["rows"].items():
        cells = [row["metrics"].get(measure) for measure in measures]
        shown = ["-" if cell is None else f"{cell['mean']:.3f} ±{cell['std']:.3f}" for cell in cells]
        print(f"{name:24}" + "".join(f"{cell:>18}" for cell in shown))


def _summary(scene: dict[str, Any]) -> str:
    name = f"{scene['name']} ({scene['vertices']} vertices, batch {scene['batch']})"
    lines = [f"{name}: forward + backward"]
    for backend, times in scene["ms_per_image"].items():
        lines.append(f"  {backend:6} {times['forward_backward']:8.3f} ms per image")
    lines.append(f"  {scene['speedup_vs_reference']:.1f} times as fast as pure torch")
    if scene["speedup_vs_deodr"] is not None:
        lines.append(f"  {scene['speedup_vs_deodr']:.2f} times as fast as DEODR")
    return "\n".join(lines)
