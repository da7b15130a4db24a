"""`mmgen camera-stats`: from where photos were taken, as histograms."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmgen.cli.options import (
    PATH,
    device_option,
    limit_option,
    masks_option,
    out_option,
    report_options,
    weights_option,
)
from mmgen.cli.output import print_json, say
from mmgen.cli.run_report import items_exit_code, say_errors, say_plan
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmgen.assets.tree import GlbFile
    from mmgen.core.errors import ItemError
    from mmgen.photos.inputs import InputItem
    from mmgen.reconstruction.camera_stats import CameraRow

TITLES = {
    "azimuth_deg": ("Azimuth, degrees (0 = front)", "front {front:.0%}, sides {sides:.0%}, back {back:.0%}"),
    "elevation_deg": ("Elevation, degrees", "median {median:.1f}, {p5:.1f} to {p95:.1f}"),
    "distance": ("Distance, template units", "median {median:.2f}, {p5:.2f} to {p95:.2f}"),
    "offset_x": ("Offset to the right", "median {median:.3f}, {p5:.3f} to {p95:.3f}"),
    "offset_y": ("Offset upwards", "median {median:.3f}, {p5:.3f} to {p95:.3f}"),
    "mean_shape_offset": ("Mean |dS|, template units", "median {median:.3f}, {p5:.3f} to {p95:.3f}"),
}


@click.command()
@click.argument("source", type=PATH, default="meshes")
@out_option("camera-stats.png", help_text="The picture to write.")
@weights_option
@masks_option("For photos, as in mmgen reconstruct.")
@device_option
@limit_option()
@report_options
def command(
    source: Path,
    out: Path,
    weights: Path | None,
    masks: str,
    device: str,
    limit: int | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Show how the cameras of SOURCE are spread: azimuth, elevation, distance, offsets, and the mean |dS|.

    SOURCE is a folder that `mmgen reconstruct` wrote (default: meshes/), or photos, which are then put through the
    networks. The mean |dS|, how far bodies differ from the template, needs the weights that made the meshes.

    One peak in the azimuths where people were seen from everywhere is a collapsed camera.

    Exit codes: 0 all good, 3 some items were left out, 4 nothing could be done.
    """
    from mmgen.bundled import bundled_weights_path, required_weights
    from mmgen.cli.progress import progress
    from mmgen.reconstruction.camera_stats import known_prototypes, rows_of_meshes, rows_of_photos, summary

    glbs, photos = _contents(source, limit)
    if dry_run:
        count = len(glbs) or len(photos)
        text = f"would read {count} {'meshes' if glbs else 'photos'} and write {display_name(out)}"
        return say_plan(text, {"schema": "mmgen.camera_stats/1", "dry_run": True, "n": count}, as_json)
    named = None if weights is None else required_weights(weights)
    prototypes = known_prototypes([path for path in {named, bundled_weights_path()} if path is not None])
    failures: list[ItemError] = []
    with progress("cameras", len(glbs) or len(photos)) as reporter:

        def hear(error: "ItemError | None") -> None:
            if error is not None:
                failures.append(error)
            reporter.advance(failed=error is not None)

        if glbs:
            rows = rows_of_meshes(glbs, prototypes, hear)
        else:
            rows = rows_of_photos(photos, _reconstructor(weights, masks, device), prototypes, hear)
    say_errors(failures, "left out of the figures")
    if rows:
        _finish(rows, summary(rows), out, source, as_json)
    return items_exit_code(len(rows), len(failures))


def _contents(source: Path, limit: int | None) -> "tuple[list[GlbFile], list[InputItem]]":
    """Meshes where there are some, else photos."""
    from mmgen.assets.tree import list_glbs
    from mmgen.core.errors import FatalError
    from mmgen.reconstruction.camera_stats import photos_of

    if source.suffix.lower() == ".glb" or not source.is_file():
        try:
            return list_glbs(source, with_rejected=True)[:limit], []
        except FatalError as error:
            if error.code != "no_meshes":
                raise
    return [], photos_of(source)[:limit]


def _reconstructor(weights: Path | None, masks: str, device: str) -> Any:
    from mmgen.bundled import required_weights
    from mmgen.core.devices import resolve_device
    from mmgen.reconstruction.options import build_reconstructor, default_options

    chosen = {} if weights is None else {"weights": required_weights(weights)}
    return build_reconstructor(default_options(masks=masks, device=resolve_device(device), refine_steps=0, **chosen))


def _finish(rows: "list[CameraRow]", figures: "Mapping[str, Any]", out: Path, source: Path, as_json: bool) -> None:
    from mmgen.core.files import write_alone
    from mmgen.core.outputs import image_bytes
    from mmgen.previews.histograms import Histogram, histogram_sheet
    from mmgen.reconstruction.camera_stats import warnings_of

    panels = []
    for name, (title, remark) in TITLES.items():
        statistics, bins = figures["statistics"][name], figures["histograms"][name]
        if statistics is None:
            panels.append(Histogram(title, "not known: the weights that made the meshes are not here"))
            continue
        middle = None if name == "azimuth_deg" else statistics["median"]  # around a circle there is no median
        text = remark.format(**statistics, **figures["azimuth_shares"])
        panels.append(Histogram(title, text, bins["edges"], bins["counts"], middle))
    picture = histogram_sheet(f"Cameras of {len(rows):,} photos: {display_name(source.name)}", panels)
    write_alone(out, image_bytes(picture, "PNG"))
    warnings = warnings_of(figures)
    for warning in warnings:
        say(f"warning: {warning}")
    if as_json:
        print_json({"schema": "mmgen.camera_stats/1", "out": display_name(out), **figures, "warnings": warnings})
    else:
        for name, (title, remark) in TITLES.items():
            statistics = figures["statistics"][name]
            values = statistics and {**statistics, **figures["azimuth_shares"]}
            print(f"{title}: {remark.format(**values) if values else 'not known'}")
        print(display_name(out))
