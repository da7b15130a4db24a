"""What a data set will cost, measured on its first identity."""

import time
from typing import TypedDict

from mmgen.synth.dataset import CrowdWriter, check_folder, unfinished
from mmgen.synth.layout import entries


class Forecast(TypedDict):
    """What is left to do, and what it takes."""

    identities_todo: int
    images_todo: int
    bytes: int
    seconds: float


def forecast(writer: CrowdWriter, workers: int) -> Forecast:
    """Draw one identity in memory, twice (the first time may compile), and multiply. Writes nothing.

    Args:
        writer: What is to be written, and where; what is finished there is not counted.

    Raises:
        FatalError: as from `dataset.check_folder`.
    """
    out, plan = writer.out, writer.plan
    check_folder(out, plan)
    todo = len(unfinished(out, plan))
    entry = entries(plan)[0]
    size, seconds = 0, 0.0
    for _ in range(2):
        started = time.perf_counter()
        size = sum(len(data) for files in writer.files(entry) for data in files.values())
        seconds = time.perf_counter() - started
    return Forecast(
        identities_todo=todo,
        images_todo=todo * plan.options.views,
        bytes=todo * size,
        seconds=round(todo * seconds / workers, 1),
    )
