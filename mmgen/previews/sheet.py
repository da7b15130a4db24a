"""Contact sheets: photo, reconstruction in the photo's view, and turns, one row per asset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mmgen.assets.asset import Asset
from mmgen.previews.views import FLOOR, render_asset

TURNS_DEG = (-60.0, -30.0, 0.0, 30.0, 60.0, 90.0, 180.0)
CELL = (288, 180)
"""Height and width of one picture, pixels."""

GAP, MARGIN, TITLE_HEIGHT, CAPTION_HEIGHT = 8, 24, 34, 34
PAPER, INK, SOFT_INK = (255, 255, 255), (29, 28, 26), (109, 106, 100)
FONT_SIZE = 15


@dataclass(frozen=True)
class SheetRow:
    """One row.

    Attributes:
        photo: [H, W, 3] uint8 RGB, or None.
    """

    caption: str
    asset: Asset
    photo: NDArray[np.uint8] | None = None
    azimuth_deg: float = 0.0
    elevation_deg: float = 5.0


def contact_sheet(rows: Sequence[SheetRow], turns_deg: Sequence[float] = TURNS_DEG) -> NDArray[np.uint8]:
    """A picture with a row per asset: photo, the same view rendered, then views at `turns_deg` degrees of azimuth.

    Args:
        turns_deg: Azimuths around the asset, 0 = its front.

    Returns:
        [H, W, 3] uint8.
    """
    titles = ["photo", "same view", *(_turn_title(turn) for turn in turns_deg)]
    step_x, step_y = CELL[1] + GAP, CELL[0] + CAPTION_HEIGHT + GAP
    width = 2 * MARGIN + len(titles) * step_x - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + TITLE_HEIGHT + len(rows) * step_y - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for column, title in enumerate(titles):
        draw.text((MARGIN + column * step_x, MARGIN), title, fill=SOFT_INK, font=font)
    for index, row in enumerate(rows):
        top = MARGIN + TITLE_HEIGHT + index * step_y
        for column, picture in enumerate(_row_pictures(row, turns_deg)):
            sheet.paste(picture, (MARGIN + column * step_x, top))
        caption = shortened(row.caption, font, width - 2 * MARGIN)
        draw.text((MARGIN, top + CELL[0] + 6), caption, fill=INK, font=font)
    return np.asarray(sheet)


def _row_pictures(row: SheetRow, turns_deg: Sequence[float]) -> list[Image.Image]:
    views = [(row.azimuth_deg, row.elevation_deg), *((turn, 5.0) for turn in turns_deg)]
    rendered = [Image.fromarray(render_asset(row.asset, azimuth, CELL, elevation)) for azimuth, elevation in views]
    return [_photo_cell(row.photo), *rendered]


def _photo_cell(photo: NDArray[np.uint8] | None) -> Image.Image:
    cell = Image.new("RGB", (CELL[1], CELL[0]), FLOOR)
    if photo is not None:
        image = Image.fromarray(photo)
        scale = min(CELL[1] / image.width, CELL[0] / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
        cell.paste(image, ((CELL[1] - size[0]) // 2, (CELL[0] - size[1]) // 2))
    return cell


def _turn_title(turn_deg: float) -> str:
    names = {0.0: "front", 180.0: "back"}
    return names.get(turn_deg, f"{turn_deg:+.0f}°")


def shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or its beginning with dots, so that it fits; characters that the font lacks become `?`."""
    text = text.encode("latin-1", "replace").decode("latin-1")
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


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
