"""How every command talks about a run: progress, remarks, the end of lists, how it ended."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmgen.cli.output import EXIT_ITEMS_FAILED, EXIT_NOTHING_DONE, print_json, say
from mmgen.cli.progress import Reporter, progress
from mmgen.core.listing import display_name
from mmgen.work.callbacks import RunCallbacks

if TYPE_CHECKING:
    from mmgen.core.errors import MmgenError
    from mmgen.work.engine import Ending

SHOWN_REMARKS = 20
STOPPING_PHOTOS = "stopping after the photos at work"
SAVING = "saving after this step"


class Remark(NamedTuple):
    """One line about one item.

    Attributes:
        kind: what became of it, the first words of the line: `failed`, `rejected`, `low confidence`.
    """

    kind: str
    text: str


Describe = Callable[[Any], Sequence[Remark]]


class RunConsole:
    """Shows a run on stderr: one progress display per stage and one line per remark, up to a number.

    Args:
        describe: the remarks on one result; an item counts as failed where one of them has the kind `failed`.
        rest: where the remarks are that are not shown, such as `in manifest.jsonl`.
        stopping: what a signal leads to.
    """

    def __init__(
        self, describe: Describe = lambda result: (), rest: str = "counted only", stopping: str = STOPPING_PHOTOS
    ) -> None:
        self._describe = describe
        self._rest = rest
        self._stopping = stopping
        self._stage = ExitStack()
        self._reporter: Reporter | None = None
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> "RunConsole":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stage.close()

    @property
    def callbacks(self) -> RunCallbacks:
        """What the run is given."""
        return RunCallbacks(self.stage, self.finished, self.advanced, self.note, self.stopping)

    def stage(self, name: str, total: int) -> None:
        """End the progress display of the stage before and begin another."""
        self._stage.close()
        self._reporter = self._stage.enter_context(progress(name, total))

    def finished(self, result: Any) -> None:
        """Count one item and show the remarks on it."""
        remarks = self._describe(result)
        if self._reporter is not None:
            self._reporter.advance(any(remark.kind == "failed" for remark in remarks))
        for remark in remarks:
            self.remark(*remark)

    def advanced(self, count: int) -> None:
        """Count items that have no result of their own."""
        if self._reporter is not None:
            self._reporter.advance(count=count)

    def remark(self, kind: str, text: str) -> None:
        """Show one remark; beyond a number only count it, and say so once."""
        self.counts[kind] += 1
        shown = sum(self.counts.values())
        if shown <= SHOWN_REMARKS:
            self.note(f"{kind}: {text}")
        elif shown == SHOWN_REMARKS + 1:
            self.note(f"further lines like these are {self._rest}")

    def note(self, text: str) -> None:
        """Show a line above the progress display."""
        say(text) if self._reporter is None else self._reporter.note(text)

    def stopping(self) -> None:
        """Say that a signal was heard."""
        say_in_handler(self._stopping)


def say_in_handler(stopping: str) -> None:
    """Tell what a signal leads to. Only a raw write is safe inside a signal handler."""
    os.write(2, f"\n{stopping}; once more stops at once\n".encode())


def failed(name: str, error: Any, kind: str = "failed") -> Remark:
    """The remark on an item with an error: an `MmgenError` or a record, whose code is its field `error`."""
    code = getattr(error, "code", None) or getattr(error, "error", None)
    return Remark(kind, f"{name}{': ' if name else ''}{error.message} ({code}). {error.hint}")


def say_list(lines: Iterable[str], rest: str, most: int = SHOWN_REMARKS) -> None:
    """Tell the first lines, and how many more there are and where."""
    everything = list(lines)
    for line in everything[:most]:
        say(line)
    if len(everything) > most:
        say(f"... and {len(everything) - most} more, {rest}")


def count_of(count: int, one: str, many: str = "") -> str:
    """`1 mesh`, `2 meshes`: a number with its noun; the plural has an s where none is given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counts_text(counts: Mapping[str, int]) -> str:
    """`3 train, 1 test`; `nothing` where there is nothing."""
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"


def error_data(error: "MmgenError") -> dict[str, str]:
    """An error as JSON."""
    return {"error": error.code, "message": error.message, "hint": error.hint}


def say_errors(errors: Iterable["MmgenError"], rest: str = "see --json") -> None:
    """Tell what is wrong with each of some items, and what to do."""
    say_list((f"failed: {error.message}\n  hint: {error.hint}" for error in errors), rest)


def ending_data(ending: "Ending", exit_code: int) -> dict[str, Any]:
    """How a run ended, as JSON."""
    fatal = error_data(ending.fatal) if ending.fatal else None
    return {"interrupted": ending.interrupted, "fatal": fatal, "exit_code": exit_code}


def say_ending(ending: "Ending", left: str = "") -> None:
    """Tell what ended a run early, and what is `left` to do."""
    if ending.fatal is not None:
        say(f"error: {ending.fatal.message}\nhint: {ending.fatal.hint}")
    if left:
        say(f"{left}; the same command goes on from here")


def nothing_written() -> None:
    """The last line of every dry run."""
    say("nothing was written")


def say_plan(text: str, data: Mapping[str, Any], as_json: bool) -> int:
    """Tell what a run would do, and print it where `as_json`; the exit code of a dry run."""
    if as_json:
        print_json(data)
    say(text)
    nothing_written()
    return 0


def items_exit_code(done: int, failures: int) -> int:
    """0 where nothing failed, 3 where something did, 4 where everything did."""
    if not failures:
        return 0
    return EXIT_ITEMS_FAILED if done else EXIT_NOTHING_DONE


def report_files(schema: str, written: Sequence[Path], errors: Sequence["MmgenError"], as_json: bool) -> int:
    """Tell which files were written and what failed; the exit code."""
    say_errors(errors)
    names = [display_name(path) for path in written]
    if as_json:
        print_json({"schema": schema, "outputs": names, "failures": [error_data(error) for error in errors]})
    else:
        for name in names:
            print(name)
    return items_exit_code(len(written), len(errors))
