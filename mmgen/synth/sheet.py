"""A contact sheet of a generated data set: some people, a row of pictures each."""

from pathlib import Path

import numpy as np

from mmgen.core.files import write_bytes_atomic
from mmgen.core.outputs import image_bytes
from mmgen.synth.dataset import read_picture
from mmgen.synth.layout import CrowdPlan, entries, image_paths

SHEET_NAME = "contact_sheet.jpg"
MAX_PEOPLE, MAX_VIEWS, PEOPLE_PER_ROW, GAP_PX = 24, 8, 2, 4


def write_sheet(out: Path, plan: CrowdPlan) -> None:
    """Write `contact_sheet.jpg` from the images of a finished data set; people are picked evenly over both splits."""
    everyone = entries(plan)
    chosen = [everyone[number] for number in np.unique(np.linspace(0, len(everyone) - 1, MAX_PEOPLE).astype(int))]
    strips = []
    for entry in chosen:
        pictures = [read_picture(out, image) for image in image_paths(plan, entry)[:MAX_VIEWS]]
        strips.append(np.concatenate([_framed(picture) for picture in pictures], axis=1))
    while len(strips) % PEOPLE_PER_ROW:
        strips.append(np.full_like(strips[0], 255))
    rows = [
        np.concatenate(strips[first : first + PEOPLE_PER_ROW], axis=1)
        for first in range(0, len(strips), PEOPLE_PER_ROW)
    ]
    write_bytes_atomic(out / SHEET_NAME, image_bytes(np.concatenate(rows), "JPEG", quality=92, subsampling=0))


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255)
