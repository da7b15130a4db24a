"""What a data set will cost, measured on its first identity."""

import time
from pathlib import Path
from typing import TypedDict

from mmgen.synth.archive import Member
from mmgen.synth.crowd import person_pictures
from mmgen.synth.dataset import check_folder, picture_files, unfinished
from mmgen.synth.layout import CrowdPlan, entries, image_paths


class Forecast(TypedDict):
    """What is left to do, and what it takes."""

    identities_todo: int
    images_todo: int
    bytes: int
    seconds: float


def forecast(out: Path, plan: CrowdPlan, workers: int) -> Forecast:
    """Draw one identity in memory, twice (the first time may compile), and multiply. Writes nothing.

    Args:
        out: Data set folder; what is finished there is not counted.

    Raises:
        FatalError: as from `dataset.check_folder`.
    """
    check_folder(out, plan)
    todo = len(unfinished(out, plan))
    entry = entries(plan)[0]
    size, seconds = 0, 0.0
    for _ in range(2):
        started, shared = time.perf_counter(), dict[int, list[Member]]()
        pictures = person_pictures(plan.options, entry.split, entry.index)
        files = [picture_files(*pair, shared) for pair in zip(pictures, image_paths(plan, entry), strict=True)]
        seconds = time.perf_counter() - started
        size = sum(len(data) for group in files for data in group.values())
    return Forecast(
        identities_todo=todo,
        images_todo=todo * plan.options.views,
        bytes=todo * size,
        seconds=round(todo * seconds / workers, 1),
    )
