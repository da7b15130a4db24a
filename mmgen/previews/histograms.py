"""Histograms as a picture: a panel per quantity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mmgen.previews.sheet import INK, MARGIN, PAPER, SOFT_INK

PANEL = (250, 400)
"""Height and width of a panel, pixels."""

PLOT_TOP, PLOT_BOTTOM, PLOT_SIDE = 58, 34, 16
BAR, MIDDLE = (47, 91, 215), (214, 120, 30)
PANELS_PER_ROW = 3


@dataclass(frozen=True)
class Histogram:
    """One panel.

    Attributes:
        title: what is counted, with its unit.
        edges: edges of the bins, one more than counts; empty where nothing is known.
        middle: value to mark, such as the median; None marks nothing.
    """

    title: str
    remark: str
    edges: Sequence[float] = ()
    counts: Sequence[int] = ()
    middle: float | None = None


def histogram_sheet(title: str, panels: Sequence[Histogram]) -> NDArray[np.uint8]:
    """[H, W, 3] uint8: a heading, and panels in rows of three."""
    rows = -(-len(panels) // PANELS_PER_ROW)
    top = MARGIN + 40
    size = (2 * MARGIN + PANELS_PER_ROW * PANEL[1], top + rows * PANEL[0] + MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN + PLOT_SIDE, MARGIN), title, fill=INK, font=ImageFont.load_default(22))
    for index, panel in enumerate(panels):
        row, column = divmod(index, PANELS_PER_ROW)
        _draw_panel(draw, panel, MARGIN + column * PANEL[1], top + row * PANEL[0])
    return np.asarray(sheet)


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Histogram, left: int, top: int) -> None:
    draw.text((left + PLOT_SIDE, top + 8), panel.title, fill=INK, font=ImageFont.load_default(16))
    draw.text((left + PLOT_SIDE, top + 30), panel.remark, fill=SOFT_INK, font=ImageFont.load_default(13))
    x0, x1 = left + PLOT_SIDE, left + PANEL[1] - PLOT_SIDE
    y0, y1 = top + PLOT_TOP, top + PANEL[0] - PLOT_BOTTOM
    draw.line((x0, y1, x1, y1), fill=SOFT_INK)
    if not panel.counts:
        return
    low, high, most = panel.edges[0], panel.edges[-1], max(panel.counts)

    def across(value: float) -> float:
        return x0 + (value - low) / (high - low) * (x1 - x0)

    for start, end, count in zip(panel.edges, panel.edges[1:], panel.counts, strict=False):
        if count:
            height = max(1, round(count / most * (y1 - y0)))
            draw.rectangle(
                (round(across(start)), y1 - height, max(round(across(end)) - 2, round(across(start))), y1 - 1), BAR
            )
    if panel.middle is not None and low <= panel.middle <= high:
        x = round(across(panel.middle))
        draw.line((x, y0, x, y1), fill=MIDDLE, width=2)
    font = ImageFont.load_default(12)
    for value, anchor in ((low, "la"), ((low + high) / 2, "ma"), (high, "ra")):
        draw.text((across(value), y1 + 6), f"{value:.4g}", fill=SOFT_INK, font=font, anchor=anchor)
