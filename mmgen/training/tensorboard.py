"""TensorBoard events beside metrics.jsonl, where the package is installed.

They are written here and now, as TensorBoard's own thread ends with a traceback when the disk is full. Events are a
convenience, so a disk that takes no more of them is said once and ends nothing.
"""

import io
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

FIRST_EVENT = "brain.Event:2"
"""Every file of events begins with this; see tensorboard.summary.writer.event_file_writer."""


class Board:
    """Writes numbers to a new file of events; does nothing without TensorBoard.

    Args:
        folder: of the events; made with the first of them.
        step: the first of this session; TensorBoard hides what an earlier session wrote from here on.
        tell: told once, in one line, where the events cannot be written.
    """

    def __init__(self, folder: Path, step: int, tell: Callable[[str], None] = lambda text: None) -> None:
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._path, self._step, self._tell = folder / name, step, tell
        self._file: BinaryIO | None = None
        self._is_off = not _has_tensorboard()

    def write(self, values: Mapping[str, Any], step: int, prefix: str) -> None:
        """Write every number of a row."""
        rows = [
            {"tag": f"{prefix}/{name}", "simple_value": value}
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if self._is_off or not rows:
            return
        try:
            if self._file is None:
                self._file = self._begin()
            self._file.write(_records({"step": step, "summary": {"value": rows}}))
            self._file.flush()
        except OSError as error:
            self._is_off = True
            self.close()
            cause = error.strerror or str(error)
            self._tell(f"TensorBoard events cannot be written: {cause}; the training goes on without them")

    def close(self) -> None:
        """Nothing is written any more; everything before is on the disk already."""
        if self._file is not None:
            with suppress(OSError):  # what the full disk did not take
                self._file.close()

    def _begin(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        start = {"status": 1}  # SessionLog.START
        file.write(_records({"file_version": FIRST_EVENT}, {"step": self._step, "session_log": start}))
        return file


def _has_tensorboard() -> bool:
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError:
        return False
    return True


def _records(*events: dict[str, Any]) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    for event in events:
        RecordWriter(buffer).write(Event(wall_time=time.time(), **event).SerializeToString())
    return buffer.getvalue()
