"""Progress on stderr: a bar on a terminal, one plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_INTERVAL_S = 5.0
FIRST_RESULTS_S = 0.5
"""Results within this time of the first good one belong to it: they were made while processes started."""


class Reporter(Protocol):
    """Shows how far the work is."""

    def advance(self, failed: bool = False, count: int = 1) -> None:
        """So many more items are finished."""

    def note(self, text: str) -> None:
        """Show a line above the bar, or as a line of its own."""


@contextmanager
def progress(
    label: str, total: int, stream: TextIO | None = None, interval_s: float = PLAIN_INTERVAL_S
) -> Iterator[Reporter]:
    """Report on `total` items while the block runs.

    Args:
        total: Number of items; 0 where nobody knows it.
        stream: Where to; stderr when None.
        interval_s: Least time between two plain lines.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(stream) as bar:
            yield _BarReporter(bar, bar.add_task(label, total=total or None, failed=0))
        return
    reporter = _PlainReporter(label, total, stream, interval_s)
    yield reporter
    reporter.close()


def duration(seconds: float) -> str:
    """A length of time as people say it: `4s`, `3m05s`, `2h10m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def rate_text(per_second: float) -> str:
    """A speed without exponents: `231/s`, `4.2/s`, and below one per second `8.3s each`."""
    if per_second < 1:
        seconds = 1 / per_second
        return f"{seconds:.1f}s each" if seconds < 60 else f"{duration(seconds)} each"
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:.0f}/s"


class Speed:
    """Items per second since the first good results came; what was before them is start-up and not counted."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._base = self._last = (0.0, 0)

    def add(self, now_s: float, done: int, failed: bool) -> None:
        """So many items are done at this time; whether the last one failed, which takes no time."""
        if self._first_s is None and not failed:
            self._first_s = now_s
        if self._first_s is None or now_s - self._first_s <= FIRST_RESULTS_S:
            self._base = (now_s, done)
        self._last = (now_s, done)

    @property
    def per_second(self) -> float | None:
        """None until there are results beyond the first ones."""
        seconds, count = self._last[0] - self._base[0], self._last[1] - self._base[1]
        return count / seconds if count > 0 and seconds > 0 else None


def _bar(stream: TextIO) -> "Progress":
    from rich import progress as parts
    from rich.console import Console

    return parts.Progress(
        parts.TextColumn("{task.description}"),
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TimeRemainingColumn(),
        parts.TextColumn("[red]{task.fields[failed]} failed"),
        console=Console(file=stream),
    )


class _BarReporter:
    def __init__(self, bar: "Progress", task: "TaskID") -> None:
        self._bar = bar
        self._task = task
        self._failed = 0

    def advance(self, failed: bool = False, count: int = 1) -> None:
        self._failed += count if failed else 0
        self._bar.update(self._task, advance=count, failed=self._failed)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _PlainReporter:
    def __init__(self, label: str, total: int, stream: TextIO, interval_s: float) -> None:
        self._label = label
        self._total = total
        self._stream = stream
        self._interval_s = interval_s
        self._speed = Speed()
        self._last_line = time.monotonic()
        self._done = self._failed = self._told = 0

    def advance(self, failed: bool = False, count: int = 1) -> None:
        self._done += count
        self._failed += count if failed else 0
        now = time.monotonic()
        self._speed.add(now, self._done, failed)
        if now - self._last_line >= self._interval_s:
            self._tell()

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        if self._done > self._told:
            self._tell()

    def _tell(self) -> None:
        of_total = f"/{self._total} ({100 * self._done // self._total}%)" if self._total else ""
        parts = [f"{self._label}: {self._done}{of_total}"]
        rate, left = self._speed.per_second, self._total - self._done
        parts += [rate_text(rate)] if rate else []
        parts += [f"{self._failed} failed"] if self._failed else []
        parts += [f"ETA {duration(left / rate)}"] if rate and left > 0 else []
        self.note(", ".join(parts))
        self._last_line, self._told = time.monotonic(), self._done
