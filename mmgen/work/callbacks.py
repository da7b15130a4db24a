"""What a long run reports while it works; the same for every command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunCallbacks:
    """Functions that a run calls from the process and thread that started it. The default ones do nothing.

    Attributes:
        stage: a stage of the work begins: its name and its number of items, 0 where nobody knows it.
        finished: one item is done; gets its result, whose type is the run's own (a record, an outcome, a score, or the
            share 0..1 of a training that is done).
        advanced: so many items are done that have no result of their own.
        note: one line of text for people.
        stopping: a signal asked for the end. Called inside the signal handler, so it must do next to nothing.
    """

    stage: Callable[[str, int], None] = lambda name, total: None
    finished: Callable[[Any], None] = lambda result: None
    advanced: Callable[[int], None] = lambda count: None
    note: Callable[[str], None] = lambda text: None
    stopping: Callable[[], None] = lambda: None


SILENT = RunCallbacks()
