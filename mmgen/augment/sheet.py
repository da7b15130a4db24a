"""Contact sheet of virtual people beside their parents."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmgen.core.errors import ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.outputs import image_bytes
from mmgen.core.places import check_relative, place_below
from mmgen.photos.images import read_image

SHEET_NAME = "contact_sheet.jpg"
PEOPLE, PEOPLE_PER_ROW = 20, 2
CELL_HEIGHT, GAP, HEAD, FONT_SIZE = 192, 4, 20, 13
PAPER, INK = (255, 255, 255), (60, 58, 55)


def write_sheet(out: Path, lines: Sequence[Mapping[str, Any]], photos: Path | None) -> None:
    """Write `contact_sheet.jpg` from the shards: 20 virtual people, spread evenly over the folder.

    Args:
        photos: data set folder, where the parents are; their places stay empty where it is None.
    """
    people = _people(lines)
    chosen = [
        people[number] for number in np.unique(np.linspace(0, len(people) - 1, min(PEOPLE, len(people))).astype(int))
    ]
    if not chosen:
        (out / SHEET_NAME).unlink(missing_ok=True)
        return
    strips = [_strip(out, photos, views) for views in chosen]
    width, height = max(strip.width for strip in strips), strips[0].height
    rows = -(-len(strips) // PEOPLE_PER_ROW)
    sheet = Image.new("RGB", (PEOPLE_PER_ROW * (width + 3 * GAP), rows * (height + GAP)), PAPER)
    for number, strip in enumerate(strips):
        row, column = divmod(number, PEOPLE_PER_ROW)
        sheet.paste(strip, (column * (width + 3 * GAP) + GAP, row * (height + GAP) + GAP))
    write_bytes_atomic(out / SHEET_NAME, image_bytes(sheet, "JPEG", quality=92, subsampling=0))


def _people(lines: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The views of every virtual set, in order of the index."""
    sets: dict[int, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line["kind"] == "virtual":
            sets.setdefault(line["set"], []).append(line)
    return list(sets.values())


def _strip(out: Path, photos: Path | None, lines: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Both parents, then all views."""
    first = lines[0]
    titles = [*first["parents"], *(f"{line['view']['turn_deg']:+d}°" for line in lines)]
    cells = [_fitted(picture) for picture in (*_parents(photos, first), *(_view(out, line) for line in lines))]
    strip = Image.new("RGB", (sum(cell.width + GAP for cell in cells) + GAP, CELL_HEIGHT + HEAD), PAPER)
    draw, font, left = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE), 0
    for number, (cell, title) in enumerate(zip(cells, titles, strict=True)):
        strip.paste(cell, (left, HEAD))
        draw.text((left + 2, 2), title, fill=INK, font=font)
        left += cell.width + (3 * GAP if number == 1 else GAP)
    return strip


def _parents(photos: Path | None, line: Mapping[str, Any]) -> Iterator[Image.Image]:
    for path in line["sources"][:2]:
        try:
            if photos is None:
                raise FileNotFoundError(path)
            check_relative(path)
            yield Image.fromarray(read_image(photos / path).rgb)
        except (OSError, ValueError, ItemError):  # the photo is not at hand; its place stays empty
            yield Image.new("RGB", (1, 2), PAPER)


def _view(out: Path, line: Mapping[str, Any]) -> Image.Image:
    offset, size = line["jpg"]
    with place_below(out, line["shard"]).open("rb") as file:
        file.seek(offset)
        return Image.open(io.BytesIO(file.read(size))).convert("RGB")


def _fitted(picture: Image.Image) -> Image.Image:
    width = max(1, round(picture.width * CELL_HEIGHT / picture.height))
    return picture.resize((width, CELL_HEIGHT), Image.Resampling.LANCZOS)
