"""Contact sheets: photo, reconstruction in the photo's view, and turns, one row per asset."""

from collections.abc import Sequence
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
