"""A table of everyone in everyone's clothes as one picture."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mmgen.assets.asset import Asset
from mmgen.previews.sheet import GAP, INK, MARGIN, PAPER, SOFT_INK, shortened
from mmgen.previews.views import render_asset

CELLS = ((4, (312, 195), 17), (10, (208, 130), 14), (64, (112, 70), 11))
"""Up to so many assets: height and width of one view in pixels, and the font's size."""

LARGEST_GRID = CELLS[-1][0]
FRONT_AND_BACK_DEG = (0.0, 180.0)
OWN_FRAME = (47, 91, 215)
BODY_OF, IN_CLOTHES_OF = "body of", "in the clothes of"


def exchange_grid(
    names: Sequence[str],
    pair: Callable[[int, int], Asset],
    azimuths_deg: Sequence[float] = (0.0,),
    on_cell: Callable[[], None] = lambda: None,
) -> NDArray[np.uint8]:
    """A table of pictures: who is in the row, whose clothes are in the column; framed where both are one.

    Args:
        names: names of the assets, 1 to `LARGEST_GRID`.
        pair: (row, column) to the asset to draw.
        azimuths_deg: views that share a cell, side by side.

    Returns:
        [H, W, 3] uint8.
    """
    if not 1 <= len(names) <= LARGEST_GRID:
        raise ValueError(f"a grid takes 1 to {LARGEST_GRID} assets, not {len(names)}")
    size, font_size = next((size, font_size) for most, size, font_size in CELLS if len(names) <= most)
    font = ImageFont.load_default(font_size)
    cell_width = size[1] * len(azimuths_deg)
    header = 2 * font_size + 12
    left = MARGIN + 2 * GAP + min(cell_width, max(round(font.getlength(text)) for text in (BODY_OF, *names)))
    step_x, step_y = cell_width + GAP, size[0] + GAP
    height = MARGIN + header + len(names) * step_y - GAP + MARGIN
    sheet = Image.new("RGB", (left + len(names) * step_x - GAP + MARGIN, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _headings(draw, font, names, (left, MARGIN + header), (step_x, step_y))
    for row in range(len(names)):
        for column in range(len(names)):
            corner = (left + column * step_x, MARGIN + header + row * step_y)
            asset = pair(row, column)
            views = [render_asset(asset, azimuth_deg, size) for azimuth_deg in azimuths_deg]
            sheet.paste(Image.fromarray(np.concatenate(views, axis=1)), corner)
            if row == column:
                box = (corner[0] - 3, corner[1] - 3, corner[0] + cell_width + 2, corner[1] + size[0] + 2)
                draw.rectangle(box, outline=OWN_FRAME, width=3)
            on_cell()
    return np.asarray(sheet)


def _headings(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    names: Sequence[str],
    corner: tuple[int, int],
    step: tuple[int, int],
) -> None:
    """Whose body down the left side, whose clothes along the top."""
    line = 1.25 * getattr(font, "size", 12)
    draw.text((MARGIN, corner[1] - line - 6), BODY_OF, fill=SOFT_INK, font=font)
    draw.text((corner[0], corner[1] - 2 * line - 6), IN_CLOTHES_OF, fill=SOFT_INK, font=font)
    for index, name in enumerate(names):
        across, down = corner[0] + index * step[0], corner[1] + index * step[1]
        draw.text((across, corner[1] - line - 6), shortened(name, font, step[0] - GAP), fill=INK, font=font)
        draw.text((MARGIN, down), shortened(name, font, corner[0] - MARGIN - 2 * GAP), fill=INK, font=font)
