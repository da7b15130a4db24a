"""Work that the page asks for: a queue, and one process that does it, so that the page stays alive.

The process is thrown away to cancel what it does, or when it dies: a run folder stands every kill.
"""

import itertools
import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from mmgen.core.errors import ItemError
from mmgen.review import limits

Doing = Literal["waiting", "working"]


@dataclass(frozen=True)
class Job:
    """One photo to reconstruct, or several photos of one person.

    Attributes:
        number: unique in this run of the desk.
        root: folder of the photos.
        relatives: places of the photos below it; the first names the asset.
        name: as in the run's record.
    """

    number: int
    root: Path
    relatives: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Setting:
    """What the worker process needs; picklable.

    Attributes:
        device: `cpu` or `cuda:N`.
    """

    meshes: Path
    device: str


@dataclass
class Workshop:
    """The queue and its worker process.

    Args:
        changed: called from a thread of its own with a job's name and, where it went wrong, words for a person.
        main: what the process runs; `worker_main` but in tests.
    """

    setting: Setting
    changed: Callable[[str, str | None], None]
    main: Callable[[Connection, Setting], None]
    _queue: list[Job] = field(default_factory=list)
    _busy: Job | None = None
    _lock: threading.Condition = field(default_factory=threading.Condition)
    _process: Any = None
    _pipe: Any = None
    _is_closed: bool = False

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, root: Path, relatives: tuple[str, ...], name: str) -> Job:
        """Put a job at the end of the queue; one for the same asset that still waits is replaced.

        Raises:
            ItemError: `queue_full`.
        """
        with self._lock:
            if len(self._queue) >= limits.QUEUED_JOBS:
                raise ItemError("queue_full", f"{len(self._queue)} photos are waiting", "Wait until some are done.")
            job = Job(next(self._numbers), root, relatives, name)
            self._queue = [one for one in self._queue if one.name != name] + [job]
            self._lock.notify()
        self.changed(name, None)
        return job

    def cancel(self, name: str) -> bool:
        """Forget a job that waits, or stop the one at work; whether there was one."""
        with self._lock:
            waiting = [one for one in self._queue if one.name == name]
            self._queue = [one for one in self._queue if one.name != name]
            is_busy = self._busy is not None and self._busy.name == name
            if is_busy and self._process is not None:
                self._process.kill()
        if waiting:
            self.changed(name, None)
        return bool(waiting) or is_busy

    def doing(self) -> dict[str, Doing]:
        """Name of every job that waits or runs, with `waiting` or `working`."""
        with self._lock:
            found: dict[str, Doing] = {job.name: "waiting" for job in self._queue}
            if self._busy is not None:
                found[self._busy.name] = "working"
            return found

    def close(self) -> None:
        """Stop the process; what it did so far is kept."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            if self._process is not None:
                self._process.kill()
            self._lock.notify()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            with self._lock:
                while not self._queue and not self._is_closed:
                    self._lock.wait()
                if self._is_closed:
                    return
                job = self._busy = self._queue.pop(0)
            self.changed(job.name, None)
            trouble = self._done(job)
            with self._lock:
                self._busy = None
            self.changed(job.name, trouble)

    def _done(self, job: Job) -> str | None:
        """Let the process do one job; words where it could not."""
        try:
            if self._process is None or not self._process.is_alive():
                self._start()
            self._pipe.send(job)
            answer = self._pipe.recv()
            return str(answer) if answer is not None else None
        except (EOFError, OSError):
            self._process.join()
            return None if self._is_closed else "stopped"

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self.main, args=(theirs, self.setting), daemon=True)
        self._process.start()
        theirs.close()
