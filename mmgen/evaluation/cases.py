"""Representative photos and their pictures: the photo, the prediction on it, and both bodies from all sides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mmgen.core.errors import ItemError
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.photos import Loaded
from mmgen.evaluation.scoring import ItemScore, Scorer, predicted_mask
from recon.evaluation.predictions import Prediction, draw_prediction
from recon.evaluation.surfaces import Surface, draw
from recon.evaluation.truth import VIEW_DISTANCE, VIEW_FOCAL, beside_truth, comparison_cameras, with_photo_colours
from recon.structures import Camera

PER_GROUP = 3
TURNS_DEG = (-120.0, -90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0, 120.0, 180.0)
VIEW_SIZE = (224, 124)
"""Height and width of one picture of a turntable, pixels."""

PHOTO_HEIGHT = 224
SUPERSAMPLE = 2

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """Pictures of one photo with their captions, [H, W, 3] uint8.

    Attributes:
        photos: in the photo's frame.
        turntables: strips of views at `TURNS_DEG` from the photo's view; none where only masks are scored.
    """

    photos: tuple[tuple[str, Picture], ...]
    turntables: tuple[tuple[str, Picture], ...] = ()


def chosen_cases(scores: Sequence[ItemScore]) -> tuple[str, dict[str, list[ItemScore]]]:
    """The measure that decides, and the worst, median and best photos by it; nobody comes twice.

    Other views decide where truth is known, else the photo's own.
    """
    measure = "novel_mask_iou" if any("novel_mask_iou" in score.row for score in scores) else "mask_iou"
    ranked = sorted((score for score in scores if measure in score.row), key=lambda score: score.row[measure])
    if not ranked:
        return measure, {}
    if len(ranked) <= 3 * PER_GROUP:
        return measure, {"All, best first": ranked[::-1]}
    start = (len(ranked) - PER_GROUP) // 2
    middle = ranked[start : start + PER_GROUP]
    return measure, {
        "Best": ranked[-PER_GROUP:][::-1],
        "Median": middle[::-1],
        "Worst": ranked[:PER_GROUP],
    }


@torch.no_grad()
def draw_case(item: DataSetPhoto, scorer: Scorer) -> Case:
    """All pictures of one photo; raises ItemError where a file has changed since it was scored."""
    if scorer.masks is not None:
        predicted, photo = predicted_mask(item, scorer.masks)
        return Case((_photo(photo), ("Mask", _enlarged(_overlay(photo, predicted)))))
    photo = scorer.load(item)
    answer = scorer.answers([photo])[0]
    if isinstance(answer, ItemError):
        raise answer
    drawn = draw_prediction(answer, photo.size)
    same_view = ("Same view", _enlarged(drawn.image))
    silhouette = ("Silhouette", _enlarged(_overlay(photo, drawn.mask)))
    return Case((_photo(photo), same_view, silhouette), _turntables(photo, answer))


def _photo(photo: Loaded) -> tuple[str, Picture]:
    return "Photo", _enlarged(photo.image)


def _turntables(photo: Loaded, answer: Prediction) -> tuple[tuple[str, Picture], ...]:
    turns = torch.tensor(TURNS_DEG)
    if photo.truth is None:
        own = answer.camera
        cameras = Camera(
            own.azimuth_deg + turns,
            own.elevation_deg.expand_as(turns),
            torch.full_like(turns, VIEW_DISTANCE),
            torch.zeros(len(turns), 2),
            VIEW_FOCAL,
        )
        return (("Turned from the photo's view", _strip(answer.surface.canonical(), cameras)),)
    cameras = comparison_cameras(photo.truth, turns)
    true = with_photo_colours(photo.truth, photo.image, photo.mask).surface.canonical()
    own_body = beside_truth(answer.surface, answer.camera, photo.truth)
    return ("Scored, turned from the photo's view", _strip(own_body, cameras)), ("Truth", _strip(true, cameras))


def _strip(surface: Surface, cameras: Camera) -> Picture:
    """All views side by side."""
    height, width = VIEW_SIZE
    views = draw(surface, cameras, (height * SUPERSAMPLE, width * SUPERSAMPLE)).image
    views = functional.avg_pool2d(views, SUPERSAMPLE)
    return _pixels(views.permute(1, 2, 0, 3).reshape(3, height, width * len(views)))


def _overlay(photo: Loaded, mask: Tensor) -> Tensor:
    """[3, H, W]: grey where both agree, red where the answer misses the person, blue where it is too large."""
    grey = photo.image.mean(dim=0).expand(3, -1, -1) * 0.35 + 0.6
    missing = (photo.mask * (1 - mask))[None] * torch.tensor([0.85, 0.15, 0.1])[:, None, None]
    surplus = ((1 - photo.mask) * mask)[None] * torch.tensor([0.15, 0.35, 0.9])[:, None, None]
    agreed = (photo.mask * mask)[None] * 0.45
    outside = ((1 - photo.mask) * (1 - mask))[None] * grey
    return missing + surplus + agreed + outside


def _enlarged(image: Tensor) -> Picture:
    """At the height of the turntables; single pixels stay visible."""
    picture = Image.fromarray(_pixels(image))
    width = max(1, round(picture.width * PHOTO_HEIGHT / picture.height))
    kernel = Image.Resampling.NEAREST if picture.height < PHOTO_HEIGHT else Image.Resampling.LANCZOS
    return np.asarray(picture.resize((width, PHOTO_HEIGHT), kernel))


def _pixels(image: Tensor) -> Picture:
    return np.ascontiguousarray((image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
