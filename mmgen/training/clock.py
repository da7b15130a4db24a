"""How much of a run is done, in steps or in time, and stopping it politely."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmgen.training.manifest import Length


class Clock:
    """Wall and processor seconds of training, over all sessions of a run; validation and the like do not count.

    Args:
        wall_s: seconds of earlier sessions.
        wall: source of wall time, seconds.
        cpu: source of processor time, seconds.
    """

    def __init__(
        self,
        wall_s: float = 0.0,
        cpu_s: float = 0.0,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._wall, self._cpu = wall, cpu
        self._from = (wall() - wall_s, cpu() - cpu_s)
        self._start = (wall_s, cpu_s)
        self._paused: tuple[float, float] | None = None

    def restart(self) -> None:
        """Forget what went by since this object was made: reading photos, compiling."""
        self._from = (self._wall() - self._start[0], self._cpu() - self._start[1])

    @property
    def wall_s(self) -> float:
        """Wall-clock seconds."""
        return self._now()[0] - self._from[0]

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all threads."""
        return self._now()[1] - self._from[1]

    def _now(self) -> tuple[float, float]:
        return self._paused or (self._wall(), self._cpu())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for a while; not to be nested."""
        before = self._paused = (self._wall(), self._cpu())
        try:
            yield
        finally:
            self._paused = None
            self._from = (self._from[0] + self._wall() - before[0], self._from[1] + self._cpu() - before[1])


def progress_of(length: Length, step: int, steps_per_epoch: int, clock: Clock) -> float:
    """Share of the run that is done, 0..1."""
    if length.steps:
        share = step / length.steps
    elif length.epochs:
        share = step / (length.epochs * steps_per_epoch)
    elif length.minutes:
        share = clock.wall_s / (60 * length.minutes)
    else:
        share = clock.cpu_s / (60 * length.cpu_minutes)
    return min(1.0, share)


class StopSignal:
    """Notes SIGINT and SIGTERM for the end of the step, where the state is whole; a second one stops at once.

    Args:
        tell: called inside the handler at the first signal.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.is_set = False
        self._tell = tell
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set = True
        self._tell()
