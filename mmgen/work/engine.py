"""Batch engines: chunks of items to processes, results back as they come, nothing lost when one dies.

Processes of this machine do the work, unless `use_engine` names another engine. Engines know nothing about photos. A
`Work` turns a chunk into (position in the chunk, result) pairs; it is built once in each process by a picklable
function. Results must not depend on how items are cut into chunks.
"""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from mmgen.core.errors import FatalError
from mmgen.work.pool import Callbacks, Item, Pool, Result, Task, Work, one_thread

__all__ = ["Callbacks", "Ending", "Engine", "Work", "default_workers", "into_chunks", "run_chunks", "use_engine"]

MAX_DEFAULT_WORKERS = 16
ECHO_S = 0.5
"""Two signals within this time are one: `timeout`, shells and schedulers signal a process and its group."""


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        interrupted: A signal asked for the end; some items may not have been touched.
        fatal: What made it impossible to go on; None if nothing did.
    """

    interrupted: bool = False
    fatal: FatalError | None = None


class Engine(Protocol):
    """Runs tasks elsewhere than in processes of this machine; see `mmgen.work.ray_engine.RayEngine`."""

    def connect(self, workers: int) -> None:
        """Connect to the machines; calling it again does nothing."""

    def run(
        self,
        queue: deque[Task[Any]],
        build: Callable[[], Work[Any, Any]],
        callbacks: Callbacks[Any, Any],
        is_stopping: Callable[[], bool],
    ) -> None:
        """As `mmgen.work.pool.Pool.run`."""

    def close(self) -> None:
        """Release the machines."""


_ELSEWHERE: ContextVar[Engine | None] = ContextVar("elsewhere", default=None)


@contextmanager
def use_engine(engine: Engine | None) -> Iterator[None]:
    """Inside the block every `run_chunks` uses this engine; None stands for processes of this machine."""
    token = _ELSEWHERE.set(engine)
    try:
        yield
    finally:
        _ELSEWHERE.reset(token)
        if engine is not None:
            engine.close()


@dataclass
class _Stop:
    requested: bool = False
    since: float = 0.0


def default_workers(device: str) -> int:
    """Processes to use when the user names no number: one per CPU that we may use, one for a GPU."""
    return 1 if device.startswith("cuda") else min(_usable_cpus(), MAX_DEFAULT_WORKERS)


def into_chunks(items: Sequence[Item], workers: int, largest: int) -> list[list[Item]]:
    """Cut into chunks of at most `largest`, smaller where some worker would otherwise have nothing to do."""
    size = max(1, min(largest, -(-len(items) // workers)))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def run_chunks(
    chunks: Iterable[Sequence[Item]],
    build: Callable[[], Work[Item, Result]],
    workers: int,
    callbacks: Callbacks[Item, Result],
    ready_work: Work[Item, Result] | None = None,
) -> Ending:
    """Work through all chunks.

    Args:
        chunks: In the order in which they are handed out.
        build: Makes a `Work`; picklable, as it runs in each process.
        workers: Processes; with 1, or a single chunk, this very process does the work. Other engines have their own.
        ready_work: Used in this process instead of building another.

    Returns:
        How it ended. Everything that was delivered is finished work, whatever the ending. The first SIGINT or SIGTERM
        lets the chunks at work finish and hands out no more; the second drops them.

    Raises:
        RuntimeError: the work raised something other than FatalError: a bug.
    """
    queue = deque(Task(list(chunk)) for chunk in chunks)
    size, elsewhere = min(workers, len(queue)), _ELSEWHERE.get()
    try:
        if elsewhere is not None and queue:
            elsewhere.connect(workers)  # before our signal handlers are set: Ray sets its own
    except FatalError as error:
        return Ending(fatal=error)
    with _signals(callbacks.stopping) as stop:
        try:
            if elsewhere is not None and queue:
                elsewhere.run(queue, build, callbacks, lambda: stop.requested)
            elif size <= 1:
                _run_here(queue, ready_work or build(), callbacks.deliver, stop)
            else:
                Pool(build, size, callbacks, lambda: stop.requested).run(queue)
        except FatalError as error:
            return Ending(stop.requested, error)
        except KeyboardInterrupt:
            return Ending(interrupted=True)
    return Ending(stop.requested)


def _run_here(
    queue: deque[Task[Item]], work: Work[Item, Result], deliver: Callable[[Result], None], stop: _Stop
) -> None:
    with one_thread():
        for task in queue:
            for _, result in work(task.items):
                deliver(result)
            if stop.requested:
                return


@contextmanager
def _signals(stopping: Callable[[], None]) -> Iterator[_Stop]:
    """While the block runs, the first SIGINT or SIGTERM asks for a stop and the second interrupts."""
    stop = _Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not stop.requested:
            stop.requested, stop.since = True, now
            stopping()
        elif now - stop.since > ECHO_S:
            raise KeyboardInterrupt

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are someone else's business
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _usable_cpus() -> int:
    """CPUs that this process may use: affinity and, in containers, the quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count
