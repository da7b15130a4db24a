"""The template of a training run as it changed: its pictures in order of steps."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name
from mmgen.photos.decoding import decode_file
from mmgen.previews.sheet import GAP, INK, MARGIN, PAPER
from mmgen.previews.views import Image8

PICTURE_NAME = re.compile(r"^template-(\d+)\.png$")
PICTURES_FOLDER = "pictures"
FONT_SIZE = 20
LAST_HELD = 6
"""How many times the last picture is shown, so that the eye can rest on it."""


def template_pictures(run: Path) -> list[tuple[int, Path]]:
    """(step, file) of the template's pictures in a training run's folder, in order of steps; empty where none are."""
    folder = run / PICTURES_FOLDER
    found = [(PICTURE_NAME.match(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(match[1]), path) for match, path in found if match)


def evolution_frames(run: Path) -> list[Image8]:
    """The template from eight sides, one frame per picture, with its step above; all frames of one size.

    Raises:
        FatalError: `run_without_pictures`, with fewer than two pictures, or `picture_unreadable`.
    """
    pictures = template_pictures(run)
    if len(pictures) < 2:
        raise FatalError(
            "run_without_pictures",
            f"{display_name(run)} has {len(pictures)} pictures of its template; an animation needs two or more",
            "Train longer, or draw more often: mmgen train ... --set log.pictures.steps=100",
        )
    try:
        read = [(step, _pixels(path)) for step, path in pictures]
    except ItemError as error:
        raise FatalError("picture_unreadable", error.message, error.hint) from error
    size = (max(image.shape[1] for _, image in read), max(image.shape[0] for _, image in read))
    last = read[-1][0]
    frames = [_frame(image, f"step {step:,} of {last:,}", size) for step, image in read]
    return frames + frames[-1:] * (LAST_HELD - 1)


def _pixels(path: Path) -> Image8:
    return np.asarray(decode_file(path).image.convert("RGB"))


def _frame(image: Image8, title: str, size: tuple[int, int]) -> Image8:
    """One picture below its title; `size` is width and height of the largest picture."""
    top = MARGIN + FONT_SIZE + GAP
    sheet = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + top + MARGIN), PAPER)
    ImageDraw.Draw(sheet).text((MARGIN, MARGIN - GAP), title, fill=INK, font=ImageFont.load_default(FONT_SIZE))
    sheet.paste(Image.fromarray(image), (MARGIN, top))
    return np.asarray(sheet)
