"""One HTML file to look at, without any network: figures, and the best, median and worst cases from all sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import ItemError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
from mmgen.core.pictures import image_bytes
from mmgen.evaluation.azimuth_plot import azimuth_plot
from mmgen.evaluation.cases import TURNS_DEG, Case, chosen_cases, draw_case
from mmgen.evaluation.figures import shown, table_of
from mmgen.evaluation.running import Evaluation
from mmgen.evaluation.scoring import ItemScore, Scorer
from mmgen.gallery.pages import data_uri, render

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
