"""The store behind every resumable run: a file of JSON lines that only grows while a run works.

One `RecordFile` says what a line is and what two lines about the same thing have in common (`key`); `append` through
its `writer`, `read` newest-last, `compact` at the end to one sorted line per key. A kill costs at most the last line,
which is cut off and written again by the next run. Whether a finished thing may stay is decided by content keys
(hashes of all that decides it) in the rows, by whoever uses the store.

Used by run records (`mmgen.work.records`), exports (`mmgen.assets.export_record`) and preparations
(`mmgen.datasets.journal`). Where many processes finish whole files of their own (shards of `augment-reid`), each has a
`write_state` file in place of a line.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from mmgen.core.documents import DocumentError, convert, decode, read_document
from mmgen.core.files import open_regular, write_text_atomic
from mmgen.core.limits import LINE_BYTES, RECORDS
from mmgen.core.listing import display_name

SYNC_INTERVAL_S = 1.0
MOST_BYTES = 1 << 50

Row = TypeVar("Row")


class DamagedLine(ValueError):
    """One line of a record file is not what it should be.

    Attributes:
        where: file and line number, for people.
    """

    def __init__(self, path: Path, number: int, cause: str) -> None:
        self.where, self.cause = f"{display_name(path)}, line {number}", cause
        super().__init__(f"{self.where}: {cause}")


@dataclass(frozen=True)
class RecordFile(Generic[Row]):
    """What a file of records holds.

    Attributes:
        kind: type of a line, as `mmgen.core.documents.decode` takes it.
        key: what a row is about; the later of two lines with one key counts. Keys must sort.
        to_line: a row as JSON, with its line end.
        check: raises ValueError for rows that must not be used, such as paths that leave the folder; gets the folder
            of the file.
        is_cache: damaged lines are passed over, as the work is merely done again; otherwise they are errors.
        grows: a last line without its end was cut off by a kill and does not count; otherwise it counts like any other.
    """

    kind: type[Row]
    key: Callable[[Row], Any]
    to_line: Callable[[Row], str]
    check: Callable[[Path, Row], None] = lambda folder, row: None
    is_cache: bool = False
    grows: bool = True

    def read(self, path: Path) -> Iterator[Row]:
        """The rows in order of writing; a last line without an end is passed over, a missing file has none.

        Raises:
            DamagedLine: unless `is_cache`.
            OSError: the file is there and cannot be read.
        """
        for number, line in lines_of(path, self.grows):
            try:
                if isinstance(line, DocumentError):
                    raise line
                yield self.parse(path.parent, line)
            except ValueError as error:
                if not self.is_cache:
                    raise DamagedLine(path, number, str(error)) from error

    def parse(self, folder: Path, line: bytes) -> Row:
        """One line of a file in `folder`.

        Raises:
            ValueError: it is not of this kind, or `check` refuses it.
        """
        row = decode(line, self.kind)
        self.check(folder, row)
        return row

    def newest(self, path: Path) -> dict[Any, Row]:
        """The rows by key, the last one of each, sorted by key.

        Raises:
            DamagedLine, OSError: as from `read`.
        """
        rows = {self.key(row): row for row in self.read(path)}
        return {key: rows[key] for key in sorted(rows)}

    def write(self, path: Path, rows: Iterable[Row]) -> None:
        """Replace the file: one line per row, sorted by key; it is left alone where it is so already."""
        text = "".join(self.to_line(row) for row in sorted(rows, key=self.key))
        if not _has_bytes(path, text.encode("utf-8")):
            write_text_atomic(path, text)

    def compact(self, path: Path, dropped: Collection[Any] = ()) -> None:
        """Rewrite the file sorted, with the last row of each key only.

        Args:
            dropped: keys of rows that go.

        Raises:
            DamagedLine, OSError: as from `read`.
        """
        with rewriting_lock(path):
            self.write(path, [row for key, row in self.newest(path).items() if key not in dropped])

    def writer(self, path: Path) -> "RecordWriter[Row]":
        """Appends rows; made if missing, a half-written last line is cut away first. Use it in a `with` block."""
        return RecordWriter(path, self.to_line)


class RecordWriter(Generic[Row]):
    """Appends to one file; every row reaches the disk within about a second, and at the end at the latest."""

    def __init__(self, path: Path, to_line: Callable[[Row], str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_cut_line(path)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._to_line = to_line
        self._last_sync = time.monotonic()

    def __enter__(self) -> "RecordWriter[Row]":
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._sync()
        finally:
            self._file.close()

    def append(self, row: Row) -> None:
        """Add one row; what a full disk took of it is taken back.

        Raises:
            OSError: naming the file.
        """
        data, before = self._to_line(row).encode("utf-8"), os.fstat(self._file.fileno()).st_size
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            os.truncate(self._file.fileno(), before)
            error.filename = self._file.name
            raise
        if time.monotonic() - self._last_sync > SYNC_INTERVAL_S:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._last_sync = time.monotonic()


@contextmanager
def rewriting_lock(path: Path) -> Iterator[None]:
    """Keeps a line that somebody else adds from falling between the reading and the replacing of a record file."""
    state = path.parent / ".mmgen"
    state.mkdir(parents=True, exist_ok=True)
    with (state / "record.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lines_of(path: Path, grows: bool) -> Iterator[tuple[int, bytes | DocumentError]]:
    """Number and bytes of each line of a file, which may be missing; an error in place of one that is too long.

    Args:
        path: the file. Empty lines are passed over.
        grows: without a last line that has no end.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    try:
        with open_regular(path, MOST_BYTES) as descriptor, open(descriptor, "rb", closefd=False) as file:
            for number in range(1, RECORDS + 2):
                line = file.readline(LINE_BYTES + 1)
                is_whole = line.endswith(b"\n")
                if not line or (grows and not is_whole and len(line) <= LINE_BYTES):
                    return
                if len(line) > LINE_BYTES:
                    yield number, DocumentError(f"it is longer than {LINE_BYTES} bytes, the limit for a line")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LINE_BYTES)
                elif number > RECORDS:
                    yield number, DocumentError(f"there are more than {RECORDS} lines")
                elif line.strip():
                    yield number, line
    except FileNotFoundError:
        return


def drop_cut_line(path: Path) -> None:
    """Cut a half-written last line away, so that the next one starts on a line of its own."""
    if not path.is_file() or not (size := path.stat().st_size):
        return
    with path.open("rb+") as file:
        end = size
        while end:
            start = max(0, end - 4096)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            end = start if found < 0 else start + found + 1
            if found >= 0:
                break
        if end < size:
            file.truncate(end)


def write_state(path: Path, key: str, value: Any) -> None:
    """Note in a file of its own that something with this content key is finished.

    Args:
        path: path of the file.
        key: hash of all that decides the result.
    """
    write_text_atomic(path, json.dumps({"key": key, "value": value}, sort_keys=True, allow_nan=False))


@dataclass(frozen=True)
class _State:
    key: str
    value: Any


def read_state(path: Path, key: str, kind: type[Row]) -> Row | None:
    """The value that `write_state` left for this content key; None where there is none."""
    try:
        state = read_document(path, _State, LINE_BYTES)
        return convert(state.value, kind) if state.key == key else None
    except (OSError, DocumentError):
        return None


def _has_bytes(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
