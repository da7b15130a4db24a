"""Progress on stderr: a bar on a terminal, one plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_INTERVAL_S = 5.0


class Reporter(Protocol):
    """Hears of every finished item."""

    def advance(self, failed: bool = False) -> None:
        """One more item is finished."""

    def note(self, text: str) -> None:
        """Show a line above the bar, or as a line of its own."""


@contextmanager
def progress(
    label: str, total: int, stream: TextIO | None = None, interval_s: float = PLAIN_INTERVAL_S
) -> Iterator[Reporter]:
    """Report on `total` items while the block runs.

    Args:
        label: What is being done, one or two words.
        total: Number of items, >= 0.
        stream: Where to; stderr when None.
        interval_s: Least time between two plain lines.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(stream) as bar:
            yield _BarReporter(bar, bar.add_task(label, total=total, failed=0))
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

    def advance(self, failed: bool = False) -> None:
        self._failed += failed
        self._bar.update(self._task, advance=1, failed=self._failed)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _PlainReporter:
    def __init__(self, label: str, total: int, stream: TextIO, interval_s: float) -> None:
        self._label = label
        self._total = total
        self._stream = stream
        self._interval_s = interval_s
        self._started = self._last_line = time.monotonic()
        self._done = self._failed = self._told = 0

    def advance(self, failed: bool = False) -> None:
        self._done += 1
        self._failed += failed
        if time.monotonic() - self._last_line >= self._interval_s:
            self._tell()

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        if self._done > self._told:
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        rate = self._done / max(now - self._started, 1e-9)
        eta = duration((self._total - self._done) / rate)
        percent = 100 * self._done // max(self._total, 1)
        print(
            f"{self._label}: {self._done}/{self._total} ({percent}%), {rate:.2g}/s, {self._failed} failed, ETA {eta}",
            file=self._stream,
            flush=True,
        )
        self._last_line, self._told = now, self._done
