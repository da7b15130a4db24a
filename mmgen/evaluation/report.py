"""One HTML file to look at, without any network: figures, and the best, median and worst cases from all sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mmgen.core.errors import ItemError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
from mmgen.core.outputs import image_bytes
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.figures import shown, table_of
from mmgen.evaluation.photos import Loaded
from mmgen.evaluation.running import Evaluation
from mmgen.evaluation.scoring import TRUE_AZIMUTH, ItemScore, Scorer, predicted_mask
from mmgen.gallery.pages import data_uri, render
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


CASE_FIGURES = {
    "mask_iou": "MaskIoU",
    "ssim": "SSIM",
    "novel_mask_iou": "MaskIoU ±60°, ±90°",
    "back_mask_iou": "MaskIoU 180°",
    "chamfer": "Chamfer",
    "volume_iou": "Volume IoU",
    "azimuth_error_deg": "Azimuth error, °",
}
SHOWN_FAILURES = 50


@dataclass(frozen=True)
class ReportCard:
    """What the page shows of one photo: its figures and pictures, or what is wrong with it.

    Attributes:
        name: name of the photo.
        problem: error, code and cure; empty where there is none.
        figures: (label, value) pairs.
        photos: (caption, address) of the pictures in the photo's frame.
        strips: (caption, address) of the turntables.
    """

    name: str
    problem: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    photos: tuple[tuple[str, str], ...] = ()
    strips: tuple[tuple[str, str], ...] = ()


def write_report(path: Path, evaluation: Evaluation) -> None:
    """Draw the chosen cases once more and write the page; the same evaluation gives the same bytes."""
    write_alone(path, render_report(evaluation).encode())


def render_report(evaluation: Evaluation) -> str:
    """The page as text, to be written as UTF-8. Every name in it is escaped; it may load nothing and run nothing."""
    measure, groups = chosen_cases(evaluation.scored)
    failed = evaluation.failed
    return render(
        "evaluation/report.html",
        ["evaluation/report.css"],
        title="Evaluation",
        summary=_summary(evaluation),
        figures=table_of(evaluation.metrics),
        azimuths=azimuth_plot([score.row for score in evaluation.scored]),
        cases=_cases(evaluation, groups),
        measure=CASE_FIGURES.get(measure, measure),
        failures=[_problem(score.name, score.error) for score in failed[:SHOWN_FAILURES] if score.error],
        more_failures=max(0, len(failed) - SHOWN_FAILURES),
        turns_deg=TURNS_DEG,
        is_published=evaluation.order.scoring.published,
        seed=evaluation.order.scoring.seed,
    )


def _summary(evaluation: Evaluation) -> str:
    data = evaluation.as_data()
    source = f"{data['source']['kind'].replace('-', ' ')} {data['source']['value']}"
    failed = f" · {data['failed']} failed" if data["failed"] else ""
    truth = f"{data['n_truth']} with truth" if data["n_truth"] else "no truth"
    return f"{source} on {data['data']} ({data['split']}): {data['n']} photos, {truth}{failed}"


def _cases(evaluation: Evaluation, groups: dict[str, list[ItemScore]]) -> dict[str, list[ReportCard]]:
    if not groups:
        return {}
    scorer = Scorer(evaluation.order.scoring)
    items = {item.name: item for item in evaluation.items}

    def card(score: ItemScore) -> ReportCard:
        try:
            return _card(score, draw_case(items[score.name], scorer))
        except ItemError as error:  # the file changed since it was scored
            return _problem(score.name, error)

    return {title: [card(score) for score in scores] for title, scores in groups.items()}


def _card(score: ItemScore, case: Case) -> ReportCard:
    return ReportCard(
        name=display_name(score.name),
        figures=tuple(
            (label, shown(name, score.row[name])) for name, label in CASE_FIGURES.items() if name in score.row
        ),
        photos=tuple((caption, _address(picture)) for caption, picture in case.photos),
        strips=tuple((caption, _address(picture)) for caption, picture in case.turntables),
    )


def _problem(name: str, error: ItemError) -> ReportCard:
    return ReportCard(display_name(name), f"{error.message} ({error.code}). {error.hint}")


def _address(picture: NDArray[np.uint8]) -> str:
    return data_uri("webp", image_bytes(picture, "WEBP", quality=88, method=2))


SIDE, MARGIN = 260, 34
TICKS_DEG = (-180, -90, 0, 90, 180)
MOST_DOTS = 2000


def azimuth_plot(rows: Sequence[Mapping[str, float]]) -> Markup:
    """An inline SVG element; empty where no true azimuth is known."""
    known = [(row[TRUE_AZIMUTH], row["azimuth_deg"]) for row in rows if TRUE_AZIMUTH in row and "azimuth_deg" in row]
    if not known:
        return Markup()
    size = SIDE + MARGIN + 16
    dots = "".join(
        f'<circle cx="{_across(true):.1f}" cy="{_down(predicted):.1f}" r="3"/>' for true, predicted in known[:MOST_DOTS]
    )
    lines = "".join(
        f'<path d="M{_across(tick):.1f} {_down(-180):.1f}V{_down(180):.1f}M{_across(-180):.1f} {_down(tick):.1f}'
        f'H{_across(180):.1f}"/>'
        for tick in TICKS_DEG
    )
    labels = "".join(
        f'<text x="{_across(tick):.1f}" y="{SIDE + 24}" text-anchor="middle">{tick}</text>'
        f'<text x="{MARGIN - 4}" y="{_down(tick) + 4:.1f}" text-anchor="end">{tick}</text>'
        for tick in TICKS_DEG
    )
    corners = f"M{_across(-180):.1f} {_down(-180):.1f}L{_across(180):.1f} {_down(180):.1f}"
    name = "Predicted against true azimuth"
    return Markup(
        f'<figure class="plot"><svg viewBox="0 0 {size} {SIDE + 30}" role="img" aria-label="{name}">'
        f'<g class="grid">{lines}</g><path class="diagonal" d="{corners}"/>'
        f'<g class="dots">{dots}</g><g class="labels">{labels}</g></svg>'
        "<figcaption>Predicted azimuth (up) against the true one (right), degrees. On the line is right; a flat row of "
        "dots is a collapsed camera.</figcaption></figure>"
    )


def _across(azimuth_deg: float) -> float:
    return MARGIN + (_wrapped(azimuth_deg) + 180) / 360 * SIDE


def _down(azimuth_deg: float) -> float:
    return 8 + SIDE - (_wrapped(azimuth_deg) + 180) / 360 * SIDE


def _wrapped(azimuth_deg: float) -> float:
    """Into -180..180, both included."""
    return azimuth_deg if -180 <= azimuth_deg <= 180 else (azimuth_deg + 180) % 360 - 180
