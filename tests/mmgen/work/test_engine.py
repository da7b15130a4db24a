"""The process engine, with work that is nothing but numbers."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from mmgen.core.errors import FatalError, ItemError
from mmgen.work import engine, pool
from mmgen.work.engine import Callbacks, Ending, default_workers, into_chunks, run_chunks

KILLER, FATAL, BUG, INTERRUPT, SLOW = -1, -2, -3, -4, -5


class Squares:
    """Squares numbers; negative ones are accidents."""

    def __call__(self, chunk: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
        for position, number in enumerate(chunk):
            if number == KILLER:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == FATAL:
                raise FatalError("full", "no room", "make room")
            if number == BUG:
                raise ValueError("squares are round")
            if number == SLOW:
                time.sleep(30)
            yield position, (number * number, os.getpid())


def broken_build() -> Squares:
    os._exit(7)


class Run:
    """One run and everything it told."""

    def __init__(
        self,
        chunks: Sequence[Sequence[int]],
        workers: int,
        build: Callable[[], Squares] = Squares,
        on_result: Callable[[int], None] = lambda square: None,
    ) -> None:
        self.squares: list[int] = []
        self.processes: set[int] = set()
        self.lost: list[tuple[int, ItemError]] = []
        self.stops = 0
        self._on_result = on_result
        callbacks = Callbacks(self._deliver, lambda item, error: self.lost.append((item, error)), self._stopping)
        self.ending = run_chunks(chunks, build, workers, callbacks)

    def _deliver(self, result: tuple[int, int]) -> None:
        self.squares.append(result[0])
        self.processes.add(result[1])
        self._on_result(result[0])

    def _stopping(self) -> None:
        self.stops += 1


def test_one_worker_works_here_and_in_order() -> None:
    run = Run([[1, 2], [3]], workers=1)
    assert run.squares == [1, 4, 9]
    assert run.processes == {os.getpid()}
    assert run.ending == Ending()


def test_two_workers_share_the_chunks() -> None:
    run = Run([[1, 2], [3, 4], [5, 6], [7, 8]], workers=2)
    assert sorted(run.squares) == [1, 4, 9, 16, 25, 36, 49, 64]
    assert len(run.processes) == 2 and os.getpid() not in run.processes


class Cubes(Squares):
    """Other work."""

    def __call__(self, chunk: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
        for position, number in enumerate(chunk):
            yield position, (number**3, os.getpid())


def test_kept_processes_do_other_work_next_and_end_with_the_block() -> None:
    chunks = [[1, 2], [3, 4], [5, 6], [7, 8]]
    with pool.kept_processes():
        first, second = Run(chunks, workers=2), Run(chunks, workers=2, build=Cubes)
        third = Run([[1], [KILLER, 2], [3]], workers=2)
    assert sorted(second.squares) == [1, 8, 27, 64, 125, 216, 343, 512]
    assert first.processes == second.processes and len(first.processes) == 2
    assert sorted(third.squares) == [1, 4, 9] and [item for item, _ in third.lost] == [KILLER]
    assert not multiprocessing.active_children()
    assert Run(chunks, workers=2).processes.isdisjoint(first.processes)


def test_a_death_costs_only_the_item_that_causes_it() -> None:
    run = Run([[1, KILLER, 2], [3], [4]], workers=2)
    assert sorted(run.squares) == [1, 4, 9, 16]
    [(item, error)] = run.lost
    assert item == KILLER and error.code == "worker_died"
    assert error.message == "the process that worked on it died twice (killed by signal 9)"


def test_results_before_a_death_are_not_made_again() -> None:
    run = Run([[1, 2, KILLER], [3]], workers=2)
    assert sorted(run.squares) == [1, 4, 9]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fatal_error_ends_the_run_and_keeps_the_results(workers: int) -> None:
    run = Run([[1, FATAL], [SLOW] if workers == 2 else [2]], workers)
    assert run.squares == [1]
    assert run.ending.fatal is not None and run.ending.fatal.code == "full"


def test_a_bug_in_a_worker_shows_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)a worker process failed.*squares are round"):
        Run([[BUG], [1]], workers=2)


def test_workers_that_cannot_start_end_the_run() -> None:
    run = Run([[1], [2], [3], [4]], workers=2, build=broken_build)
    assert run.squares == [] and run.lost == []
    assert run.ending.fatal is not None
    assert run.ending.fatal.message == "worker processes die while they start (exit code 7)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_chunk_here(number: int) -> None:
    before = signal.getsignal(number)
    run = Run([[1, 2], [3]], workers=1, on_result=lambda square: os.kill(os.getpid(), number) if square == 1 else None)
    assert run.squares == [1, 4]
    assert run.ending == Ending(interrupted=True)
    assert run.stops == 1
    assert signal.getsignal(number) is before


def test_the_first_signal_finishes_the_chunks_of_the_workers() -> None:
    chunks = [[number, number + 1] for number in range(1, 60, 2)]
    signals = iter([signal.SIGINT])

    def interrupt_once(square: int) -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    run = Run(chunks, workers=2, on_result=interrupt_once)
    assert run.ending == Ending(interrupted=True)
    assert 2 <= len(run.squares) < 60
    numbers = {round(square**0.5) for square in run.squares}
    assert all(number + (1 if number % 2 else -1) in numbers for number in numbers)


def test_an_echo_of_the_signal_is_no_second_one() -> None:
    def twice(square: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    run = Run([[1, 2], [3]], workers=1, on_result=twice)
    assert run.squares == [1, 4] and run.stops == 1


def test_the_second_signal_drops_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ECHO_S", -1.0)

    def twice(square: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    run = Run([[1, SLOW], [SLOW]], workers=2, on_result=twice)
    assert run.squares == [1]
    assert run.ending.interrupted
    assert time.monotonic() - started < 10


def test_workers_leave_interrupts_to_the_driver_and_end_with_it(tmp_path: Path) -> None:
    member = pool._Member()
    member.prepare(partial(Squares))
    member.give(pool.Task([1]))
    assert member.pipe.recv() == ("ready", None)
    pid = member._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    kind, (position, (square, _)) = member.pipe.recv()
    assert (kind, position, square) == ("result", 0, 1)
    member.pipe.close()
    member._process.join(10)
    assert member._process.exitcode == 0


def test_chunks_are_smaller_where_workers_would_idle() -> None:
    assert into_chunks(list(range(20)), workers=2, largest=8) == [list(range(8)), list(range(8, 16)), [16, 17, 18, 19]]
    assert into_chunks([1, 2, 3], workers=2, largest=8) == [[1, 2], [3]]
    assert into_chunks([], workers=2, largest=8) == []


def test_default_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_usable_cpus", lambda: 64)
    assert default_workers("cpu") == 16
    assert default_workers("cuda:0") == 1
    monkeypatch.undo()
    assert 1 <= default_workers("cpu") <= 16
