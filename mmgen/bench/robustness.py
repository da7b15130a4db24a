"""Figures of weights under faults of masks and photos: one row per fault, the same photos in each."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmgen.bench.timing import machine, versions
from mmgen.core.errors import ItemError
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.evaluation.photos import Loaded, list_items
from mmgen.evaluation.running import CHUNK_PHOTOS
from mmgen.evaluation.scoring import Scorer, ScoringPlan, photo_row
from mmgen.evaluation.sources import SourceSpec
from recon import metrics
from recon.evaluation.predictions import Prediction, draw_prediction
from recon.predict import PersonCrop

SCHEMA = "mmgen.robustness/1"
CROP_SHARE = 0.15
OCCLUDED_SHARE = 0.10


@dataclass(frozen=True)
class Damaged:
    """A photo after a fault.

    Attributes:
        image: [3, H, W] what is seen.
        mask: [H, W] the mask that the networks are given.
        person: [H, W] where the person is, seen or not.
    """

    image: Tensor
    mask: Tensor
    person: Tensor


Fault = Callable[[Tensor, Tensor], Damaged]


def dilated(pixels: int, image: Tensor, mask: Tensor) -> Damaged:
    """The mask grown, or with a negative number shrunk, by so many pixels."""
    window, sign = 2 * abs(pixels) + 1, 1.0 if pixels > 0 else -1.0
    grown = sign * functional.max_pool2d(sign * mask[None, None], window, stride=1, padding=abs(pixels))[0, 0]
    return Damaged(image, grown, mask)


def blurred(radius: int, image: Tensor, mask: Tensor) -> Damaged:
    """The photo seen through a box of `2 radius + 1` pixels, twice."""
    window = 2 * radius + 1
    for _ in range(2):
        image = functional.avg_pool2d(functional.pad(image[None], [radius] * 4, mode="replicate"), window, stride=1)[0]
    return Damaged(image, mask, mask)


def brightened(factor: float, image: Tensor, mask: Tensor) -> Damaged:
    """The photo times a factor."""
    return Damaged((image * factor).clamp(0, 1), mask, mask)


def cropped(end: str, image: Tensor, mask: Tensor) -> Damaged:
    """The upper or lower 15 % of the person outside of the photo, as when a detector's box is too small."""
    rows = (mask.amax(dim=1) >= 0.5).nonzero()[:, 0]
    first, last = int(rows.min()), int(rows.max()) + 1
    cut = round(CROP_SHARE * (last - first))
    kept = slice(first + cut, len(mask)) if end == "head" else slice(0, last - cut)
    return Damaged(*(_stretched(part, kept, len(mask)) for part in (image, mask, mask)))


def _stretched(part: Tensor, rows: slice, height: int) -> Tensor:
    """Those rows enlarged to the whole height, and the columns as much, about their middle."""
    stack = part if part.ndim == 3 else part[None]
    width = stack.shape[2]
    kept = round(width * (rows.stop - rows.start) / height)
    left = (width - kept) // 2
    window = stack[:, rows, left : left + kept][None]
    result = functional.interpolate(window, (height, width), mode="bilinear", align_corners=False)[0]
    return result if part.ndim == 3 else (result[0] >= 0.5).to(part)


def occluded(image: Tensor, mask: Tensor) -> Damaged:
    """A grey bar over a tenth of the person, a little below the middle, which the mask leaves out."""
    rows = torch.cumsum(mask.sum(dim=1), 0) / mask.sum().clamp(min=1)
    bar = ((rows >= 0.5) & (rows < 0.5 + OCCLUDED_SHARE))[:, None]
    return Damaged(torch.where(bar, torch.full_like(image, 0.5), image), mask * ~bar, mask)


FAULTS: Mapping[str, Fault] = {
    "none": lambda image, mask: Damaged(image, mask, mask),
    **{f"mask dilated {px} px": partial(dilated, px) for px in (1, 2, 4)},
    **{f"mask eroded {px} px": partial(dilated, -px) for px in (1, 2, 4)},
    "blur 3 px": partial(blurred, 1),
    "blur 5 px": partial(blurred, 2),
    "brightness +30 %": partial(brightened, 1.3),
    "brightness -30 %": partial(brightened, 0.7),
    "head cut": partial(cropped, "head"),
    "feet cut": partial(cropped, "feet"),
    "10 % occluded": occluded,
}


def measure(weights: Path, data: Path, split: str = "test", photos: int | None = 120) -> dict[str, Any]:
    """Figures per fault; JSON data. MaskIoU is against the whole person, SSIM against the undamaged photo.

    Args:
        data: data set folder; with truth the error of the azimuth is measured too.
        photos: at most so many, at equal steps through the part.

    Raises:
        FatalError: as from reading data set and weights.
    """
    scorer = Scorer(ScoringPlan(SourceSpec("weights", str(weights))))
    items, _ = list_items(data, split)
    count = min(photos or len(items), len(items))
    loaded = [scorer.load(items[index * len(items) // count]) for index in range(count)]
    return {
        "schema": SCHEMA,
        "mmgen": __version__,
        "weights": display_name(weights),
        "data": display_name(data),
        "photos": count,
        "faults": {name: _row(scorer, loaded, fault) for name, fault in FAULTS.items()},
        "machine": machine(),
        "versions": versions("torch", "numba"),
    }


def _row(scorer: Scorer, photos: Sequence[Loaded], fault: Fault) -> dict[str, float]:
    columns: dict[str, list[float]] = {}
    for start in range(0, len(photos), CHUNK_PHOTOS):
        chunk = photos[start : start + CHUNK_PHOTOS]
        damaged = [fault(photo.image, photo.mask) for photo in chunk]
        crops = [PersonCrop(one.image, one.mask, one.image, one.mask) for one in damaged]
        seen = [replace(photo, crop=crop) for photo, crop in zip(chunk, crops, strict=True)]
        for photo, one, answer in zip(chunk, damaged, scorer.answers(seen), strict=True):
            if isinstance(answer, ItemError):
                continue
            for name, value in _figures(photo, one, answer, fault).items():
                columns.setdefault(name, []).append(value)
    row = {name: statistics.fmean(values) for name, values in columns.items() if name != "azimuth_error_deg"}
    if errors := columns.get("azimuth_error_deg"):
        row["azimuth_error_deg_median"] = statistics.median(errors)
        row["azimuth_within_20_deg"] = statistics.fmean(error < 20 for error in errors)
    return row


@torch.no_grad()
def _figures(photo: Loaded, damaged: Damaged, answer: Prediction, fault: Fault) -> dict[str, float]:
    drawn = draw_prediction(answer, photo.size)
    is_cropped = isinstance(fault, partial) and fault.func is cropped
    clean = damaged.image if is_cropped else photo.image
    row = photo_row(drawn.image, drawn.mask, clean * damaged.person + 1 - damaged.person, damaged.person)
    if photo.truth is not None:
        azimuth = answer.camera.azimuth_deg.double().cpu()
        true = azimuth.new_tensor([photo.truth.azimuth_deg])
        row["azimuth_error_deg"] = float(metrics.azimuth_error_deg(azimuth, true))
    return row
