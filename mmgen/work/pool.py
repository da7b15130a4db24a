"""Spawned processes, each with its own pipe, so that the items of a process that dies are known."""

import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.startup import gc_frozen

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Iterable[tuple[int, Result]]]
"""Handles one chunk: yields a (position in the chunk, result) per item, in any order; FatalError ends the whole run."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
MAX_FAILED_STARTS = 3
POLL_S = 0.5
PATIENCE_S = 10.0


@dataclass
class Task(Generic[Item]):
    """A chunk on its way; `is_retry` marks a single item whose process died once already."""

    items: list[Item]
    is_retry: bool = False
    finished: set[int] = field(default_factory=set)

    def unfinished(self) -> list[Item]:
        """Items without a result."""
        return [item for position, item in enumerate(self.items) if position not in self.finished]


@dataclass(frozen=True)
class Callbacks(Generic[Item, Result]):
    """Functions that the engine calls, always in the calling process.

    Attributes:
        deliver: One result is there.
        lost: This item killed its process twice; says why.
        stopping: The first signal came; called inside the signal handler.
    """

    deliver: Callable[[Result], None]
    lost: Callable[[Item, ItemError], None]
    stopping: Callable[[], None] = field(default=lambda: None)


class Pool(Generic[Item, Result]):
    """Works through a queue of tasks."""

    def __init__(
        self,
        build: Callable[[], Work[Item, Result]],
        size: int,
        callbacks: Callbacks[Item, Result],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._build = build
        self._size = size
        self._callbacks = callbacks
        self._is_stopping = is_stopping
        self._kept = _KEPT.get()
        self._members: list[_Member[Item]] = []
        self._failed_starts = 0

    def run(self, queue: deque[Task[Item]]) -> None:
        """Until the queue is empty and every process idle, or, when stopping, until every process is idle.

        Raises:
            FatalError: as raised by the work, or `workers_die` if process after process dies before its first task.
            RuntimeError: the work raised anything else; holds the traceback of the process.
        """
        try:
            while any(member.task for member in self._members) or (queue and not self._is_stopping()):
                if not self._is_stopping():
                    self._fill(queue)
                self._listen(queue)
        finally:
            for member in self._members:
                if self._kept is not None and member.task is None and member.is_ready:
                    self._kept.append(member)
                else:
                    member.end()

    def _fill(self, queue: deque[Task[Item]]) -> None:
        idle = [member for member in self._members if member.task is None]
        while queue and (idle or len(self._members) < self._size):
            if not idle:
                idle.append(self._kept.pop() if self._kept else _Member())
                idle[-1].prepare(self._build)
                self._members.append(idle[-1])
            idle.pop().give(queue.popleft())

    def _listen(self, queue: deque[Task[Item]]) -> None:
        ready = connection.wait([member.pipe for member in self._members], timeout=POLL_S)
        for member in [member for member in self._members if member.pipe in ready]:
            try:
                kind, content = member.pipe.recv()
            except (EOFError, OSError):
                self._on_worker_death(member, queue)
            else:
                self._on_message(member, kind, content)

    def _on_message(self, member: "_Member[Item]", kind: str, content: Any) -> None:
        if kind == "fatal":
            raise content
        if kind == "bug":
            raise RuntimeError(f"a worker process failed:\n{content}")
        if kind == "ready":
            member.is_ready = True
            self._failed_starts = 0
        elif kind == "done":
            member.task = None
        else:
            assert member.task is not None
            position, result = content
            member.task.finished.add(position)
            self._callbacks.deliver(result)

    def _on_worker_death(self, member: "_Member[Item]", queue: deque[Task[Item]]) -> None:
        """A process is gone: its unfinished items get one more try, each alone; a second death is the item's fault."""
        self._members.remove(member)
        exit_code = member.end()
        task = member.task
        if task is None or self._is_stopping():
            return
        if not member.is_ready:
            self._count_failed_start(exit_code)
            queue.appendleft(task)
        elif task.is_retry:
            for item in task.unfinished():
                self._callbacks.lost(item, _worker_died(exit_code))
        else:
            queue.extendleft(Task([item], is_retry=True) for item in reversed(task.unfinished()))

    def _count_failed_start(self, exit_code: int | None) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise FatalError(
                "workers_die",
                f"worker processes die while they start ({_how_it_ended(exit_code)})",
                "Often too little memory: use fewer --workers; --workers 1 starts none and shows what goes wrong.",
            )


class _Member(Generic[Item]):
    """One process and the task it has."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.task: Task[Item] | None = None
        self.is_ready = False
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, build: Callable[[], Work[Item, Any]]) -> None:
        """Have it make its work, in place of what it may have done before."""
        self.is_ready = False
        self._send(("build", build))

    def give(self, task: Task[Item]) -> None:
        self.task = task
        self._send(("task", task.items))

    def _send(self, message: tuple[str, Any]) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            pass  # it died while idle; the next `wait` sees the closed pipe

    def end(self) -> int | None:
        """Stop the process, without ceremony if it is busy (files are whole or absent), and return its exit code."""
        self.pipe.close()
        if self.task is None:
            self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        return self._process.exitcode


_KEPT: ContextVar[list[_Member[Any]] | None] = ContextVar("kept", default=None)


@contextmanager
def kept_processes() -> Iterator[None]:
    """Inside the block processes go from one pool to the next: what they have imported took seconds."""
    kept: list[_Member[Any]] = []
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        for member in kept:
            member.end()


def _serve(pipe: Connection) -> None:
    """Main function of a worker process; ends when the pipe closes, also when the driver was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ.update({name: "1" for name in THREAD_VARIABLES})
    work: Work[Any, Any] | None = None
    try:
        while True:
            kind, content = pipe.recv()
            if kind == "build":
                work = None  # its networks go before others come
                with gc_frozen():
                    work = content()
                pipe.send(("ready", None))
                continue
            assert work is not None
            with one_thread():
                for pair in work(content):
                    pipe.send(("result", pair))
            pipe.send(("done", None))
    except FatalError as error:
        pipe.send(("fatal", error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception:
        pipe.send(("bug", traceback.format_exc()))


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread while the block runs: rounding must not depend on the number of threads."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _how_it_ended(exit_code: int | None) -> str:
    return f"killed by signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"


def _worker_died(exit_code: int | None) -> ItemError:
    return ItemError(
        "worker_died",
        f"the process that worked on it died twice ({_how_it_ended(exit_code)})",
        "Often too little memory: use fewer --workers or a smaller photo, then --retry-failed.",
    )
