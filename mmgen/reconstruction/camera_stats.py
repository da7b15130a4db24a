"""From where the photos of a data set were taken, and how far its people differ from the template."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_glb
from mmgen.assets.tree import GlbFile
from mmgen.core.errors import ItemError
from mmgen.core.listing import display_name, list_images
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.job import ReconstructorLike

BINS = 36
PERCENTILES = {"p5": 5, "median": 50, "p95": 95}
ONE_SIDED = 0.95
"""Mean resultant length of the azimuths from which on they count as nearly one (0 all around, 1 all the same)."""

FIXED_RANGES = {"azimuth_deg": (-180.0, 180.0)}


@dataclass(frozen=True)
class CameraRow:
    """One photo's camera, as it was predicted.

    Attributes:
        azimuth_deg: -180..180; 0 in front of the person, positive towards its left.
        elevation_deg: positive looks down.
        distance: template units; a person is about 1.8 high.
        offset_x: how far the person stands right of the middle, template units.
        offset_y: how far above it.
        mean_shape_offset: mean length of the vertices' offsets from the template, template units: the mean |dS| of the
            paper; nan where the template is not known.
    """

    azimuth_deg: float
    elevation_deg: float
    distance: float
    offset_x: float
    offset_y: float
    mean_shape_offset: float = math.nan


NAMES = tuple(field.name for field in fields(CameraRow))

Prototypes = Mapping[str, NDArray[np.float32]]
"""Vertices of the templates by the hash of the weights that hold them."""


def rows_of_meshes(
    glbs: Iterable[GlbFile], prototypes: Prototypes, on_item: Callable[[ItemError | None], None]
) -> list[CameraRow]:
    """One row per mesh that says how it lies in its photo; `on_item` is called for each, with its error or None."""
    rows = []
    for glb in glbs:
        try:
            rows.append(row_of(read_glb(glb.path), prototypes, display_name(glb.path)))
            on_item(None)
        except ItemError as error:
            on_item(error)
    return rows


def photos_of(source: Path) -> list[InputItem]:
    """The photos of a folder, a list or a single file, in sorted order.

    Raises:
        FatalError: `no_images`, or as from `mmgen.core.listing.list_images`.
    """
    root = source.absolute()
    return [InputItem(file.path, root, file.relative, f"{file.relative}.glb") for file in list_images([source])]


def rows_of_photos(
    items: Iterable[InputItem],
    reconstructor: ReconstructorLike,
    prototypes: Prototypes,
    on_item: Callable[[ItemError | None], None],
) -> list[CameraRow]:
    """One row per person in photos that can be reconstructed; nothing is written."""
    rows = []
    for item in items:
        try:
            for result in reconstructor.reconstruct(list(reconstructor.prepare(item))):
                if isinstance(result, ItemError):
                    raise result
                rows.append(row_of(result.asset, prototypes, item.name))
            on_item(None)
        except ItemError as error:
            on_item(error)
    return rows


def row_of(asset: Asset, prototypes: Prototypes, name: str) -> CameraRow:
    """The camera in an asset's provenance.

    Raises:
        ItemError: `camera_unknown`.
    """
    try:
        camera = asset.provenance["camera"]
        offset = [float(value) for value in camera["offset"]]
        angle_deg = float(camera["azimuth_deg"])
        numbers = (float(camera["elevation_deg"]), float(camera["distance"]), offset[0], offset[1])
        if not all(map(math.isfinite, (angle_deg, *numbers))):
            raise ValueError("a number is not finite")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ItemError(
            "camera_unknown",
            f"{name} does not say from where its photo was taken",
            "Give meshes that `mmgen reconstruct` wrote, or the photos themselves.",
        ) from error
    return CameraRow((angle_deg + 180) % 360 - 180, *numbers, _mean_shape_offset(asset, prototypes))


def _mean_shape_offset(asset: Asset, prototypes: Prototypes) -> float:
    prototype = prototypes.get(str(asset.provenance.get("weights_sha256")))
    placement = asset.provenance.get("placement")
    if prototype is None or len(prototype) != len(asset.vertices) or not isinstance(placement, dict):
        return math.nan
    try:
        scale, pivot = float(placement["height"]) / asset.height_m, np.asarray(placement["pivot"], dtype=np.float64)
        return float(np.linalg.norm(asset.vertices * scale + pivot - prototype, axis=1).mean())
    except (KeyError, TypeError, ValueError):
        return math.nan


def summary(rows: Sequence[CameraRow]) -> dict[str, Any]:
    """JSON values of at least one row: `n`, and per attribute `statistics` and `histograms`, None where unknown.

    Mean and spread of the azimuth are circular; `azimuth_concentration` is the mean resultant length, 0..1, and
    `azimuth_shares` says how many were seen from the front, a side and the back, 0..1.
    """
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in NAMES}
    known = {name: values[np.isfinite(values)] for name, values in columns.items()}
    resultant = complex(np.exp(1j * np.radians(known["azimuth_deg"])).mean())
    statistics = {name: _statistics(values) for name, values in known.items()}
    if statistics["azimuth_deg"] is not None:
        spread_deg = math.degrees(math.sqrt(max(0.0, -2 * math.log(max(abs(resultant), 1e-12)))))
        circular = {"mean": math.degrees(math.atan2(resultant.imag, resultant.real)), "std": spread_deg}
        statistics["azimuth_deg"] |= {name: round(value, 4) for name, value in circular.items()}
    return {
        "n": len(rows),
        "azimuth_concentration": round(abs(resultant), 4),
        "azimuth_shares": _shares(known["azimuth_deg"]),
        "statistics": statistics,
        "histograms": {name: _histogram(name, values) for name, values in known.items()},
    }


def warnings_of(figures: Mapping[str, Any]) -> list[str]:
    """Warnings about a `summary`, such as a collapsed camera."""
    if figures["n"] >= 10 and figures["azimuth_concentration"] > ONE_SIDED:
        mean_deg = figures["statistics"]["azimuth_deg"]["mean"]
        return [
            f"nearly all photos are seen from {mean_deg:.0f} degrees: the data is one-sided, or the camera collapsed"
        ]
    return []


def _shares(azimuth_deg: NDArray[np.float64]) -> dict[str, float]:
    turned_deg = np.abs(azimuth_deg)
    front, back = float((turned_deg <= 45).mean()), float((turned_deg >= 135).mean())
    return {"front": round(front, 4), "sides": round(1 - front - back, 4), "back": round(back, 4)}


def _statistics(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    figures = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    figures |= {name: np.percentile(values, percent) for name, percent in PERCENTILES.items()}
    return {name: round(float(value), 4) for name, value in figures.items()}


def _histogram(name: str, values: NDArray[np.float64]) -> dict[str, list[float]] | None:
    if not len(values):
        return None
    counts, edges = np.histogram(values, BINS, FIXED_RANGES.get(name, _range(values)))
    return {"edges": [round(float(edge), 4) for edge in edges], "counts": [int(count) for count in counts]}


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Widened where it has no width, so that bins have one."""
    low, high = float(values.min()), float(values.max())
    margin = max(0.02 * (high - low), 1e-3 * max(1.0, abs(low)))
    return low - margin, high + margin


def known_prototypes(weights: Sequence[Path]) -> dict[str, NDArray[np.float32]]:
    """The templates inside weights files.

    Raises:
        FatalError: one cannot be read; see `mmgen.models.weights.load_weights`.
    """
    from mmgen.models.weights import load_weights

    loaded = [load_weights(path) for path in weights]
    return {each.sha256: each.encoder.prototype.vertices.detach().cpu().numpy() for each in loaded}
