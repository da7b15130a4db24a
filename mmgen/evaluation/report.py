"""One HTML file to look at, without any network: figures, and the best, median and worst cases from all sides."""

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.core.files import write_text_atomic
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.evaluation.azimuth_plot import azimuth_plot
from mmgen.evaluation.cases import TURNS_DEG, Case, chosen_cases, draw_case
from mmgen.evaluation.figures import HEADINGS, lines_of, shown
from mmgen.evaluation.running import Evaluation
from mmgen.evaluation.scoring import ItemScore, Scorer

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


def write_report(path: Path, evaluation: Evaluation) -> None:
    """Draw the chosen cases once more and write the page; the same evaluation gives the same bytes."""
    write_text_atomic(path, render_report(evaluation))


def render_report(evaluation: Evaluation) -> str:
    """The page as text, to be written as UTF-8. Every name in it is escaped; it may load nothing and run nothing."""
    template = resources.files("mmgen.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    style = template.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    parts = {
        "POLICY": policy,
        "GENERATOR": html.escape(f"mmgen {__version__}"),
        "SUMMARY": html.escape(_summary(evaluation)),
        "FIGURES": _figures(evaluation),
        "AZIMUTHS": azimuth_plot([score.row for score in evaluation.scored]),
        "CASES": _cases(evaluation),
        "FAILURES": _failures(evaluation.failed),
        "FOOTER": html.escape(_footer(evaluation)),
    }
    # one pass, so that nothing inside an inserted part is taken for a place to fill
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: parts[match[1]], template)


def _summary(evaluation: Evaluation) -> str:
    data = evaluation.as_data()
    source = f"{data['source']['kind'].replace('-', ' ')} {data['source']['value']}"
    failed = f" · {data['failed']} failed" if data["failed"] else ""
    truth = f"{data['n_truth']} with truth" if data["n_truth"] else "no truth"
    return f"{source} on {data['data']} ({data['split']}): {data['n']} photos, {truth}{failed}"


def _figures(evaluation: Evaluation) -> str:
    lines = lines_of(evaluation.metrics)
    columns = [index for index in range(3) if any(line.cells and line.cells[index] for line in lines)]
    heads = "".join(f"<th>{html.escape(HEADINGS[1 + index])}</th>" for index in columns)
    rows = [f"<tr><th></th>{heads}</tr>"]
    for line in lines:
        if line.is_heading:
            rows.append(f'<tr class="group"><th colspan="{1 + len(columns)}">{html.escape(line.label)}</th></tr>')
        else:
            cells = "".join(f"<td>{html.escape(line.cells[index])}</td>" for index in columns)
            rows.append(f"<tr><th>{html.escape(line.label)}</th>{cells}</tr>")
    return f"<div><table>{''.join(rows)}</table></div>"


def _cases(evaluation: Evaluation) -> str:
    measure, groups = chosen_cases(evaluation.scored)
    scorer = Scorer(evaluation.order.scoring) if groups else None
    items = {item.name: item for item in evaluation.items}
    sections = []
    for title, scores in groups.items():
        cards = []
        for score in scores:
            assert scorer is not None
            try:
                cards.append(_card(score, draw_case(items[score.name], scorer)))
            except ItemError as error:  # the file changed since it was scored
                cards.append(_problem(score.name, error))
        label = CASE_FIGURES.get(measure, measure)
        sections.append(f"<h2>{html.escape(title)} <small>by {html.escape(label)}</small></h2>{''.join(cards)}")
    return "".join(sections)


def _card(score: ItemScore, case: Case) -> str:
    figures = "".join(
        f"<div><dt>{html.escape(label)}</dt><dd>{shown(name, score.row[name])}</dd></div>"
        for name, label in CASE_FIGURES.items()
        if name in score.row
    )
    photos = "".join(_figure(caption, picture) for caption, picture in case.photos)
    strips = "".join(_figure(caption, picture) for caption, picture in case.turntables)
    if strips:
        turns = "".join(f"<span>{turn:+.0f}°</span>" if turn else "<span>0°</span>" for turn in TURNS_DEG)
        strips = f'<div class="strips">{strips}<div class="turns">{turns}</div></div>'
    name = html.escape(display_name(score.name))
    pictures = f'<div class="pictures"><div class="photos">{photos}</div>{strips}</div>'
    return f"<article><h3>{name}</h3><dl>{figures}</dl>{pictures}</article>"


def _figure(caption: str, picture: NDArray[np.uint8]) -> str:
    text = html.escape(caption)
    return f'<figure><img src="{_data_uri(picture)}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _problem(name: str, error: ItemError) -> str:
    text = f"{error.message} ({error.code}). {error.hint}"
    return f"<article><h3>{html.escape(display_name(name))}</h3><p>{html.escape(text)}</p></article>"


def _failures(failed: Sequence[ItemScore]) -> str:
    if not failed:
        return ""
    cards = "".join(_problem(score.name, score.error) for score in failed[:SHOWN_FAILURES] if score.error)
    more = f"<p>and {len(failed) - SHOWN_FAILURES} more in per_item.jsonl</p>" if len(failed) > SHOWN_FAILURES else ""
    return f"<h2>Failed</h2>{cards}{more}"


def _footer(evaluation: Evaluation) -> str:
    protocol = " Drawn through JPEG files of quality 100, as published." if evaluation.order.scoring.published else ""
    return (
        f"Made by mmgen {__version__}.{protocol} MaskIoU takes the soft silhouette, SSIM the person over white. Other "
        "views turn the body from the photo's view by the stated angle and compare it with the true body turned by the "
        "same angle, both brought to one height. The trivial answers see the photo's mask and need no learning. "
        f"Seed {evaluation.order.scoring.seed}."
    )


def _data_uri(picture: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=88, method=2)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
