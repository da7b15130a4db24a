"""One run at a time in an output folder; different parts (`--shard`) of one run may work side by side."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mmgen.core.documents import DocumentError, decode
from mmgen.core.errors import FatalError
from mmgen.core.files import sweep_temp_files
from mmgen.core.listing import display_name
from mmgen.work.records import STATE_FOLDER as STATE_FOLDER
from mmgen.work.records import Shard

LARGEST_LOCK_BYTES = 4096
LOCK_NAME = re.compile(r"^lock-\d{1,6}-of-(\d{1,6})$")


@dataclass(frozen=True)
class _Holder:
    pid: int
    host: str


@contextmanager
def run_lock(folder: Path, shard: Shard) -> Iterator[None]:
    """Hold the lock of one part of a run in `folder` (made if missing).

    The operating system drops the lock when its process ends, however it ends, so a killed run never blocks the next.
    What killed writers left half-written in the folder and below is removed, before and after the block.

    Raises:
        FatalError: `run_locked`, if the same part is being worked on, or a run that is split otherwise.
    """
    state = folder / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        own = state / f"lock-{shard}"
        file = _take(own)
        stack.callback(file.close)
        for path in sorted(state.iterdir()):
            match = LOCK_NAME.match(path.name)
            if match and int(match[1]) != shard.count:
                _take(path).close()
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        file.flush()
        sweep_temp_files(folder)
        try:
            yield
        finally:
            sweep_temp_files(folder)


def _take(path: Path) -> BinaryIO:
    import fcntl

    file = path.open("ab+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = _describe(file.read(LARGEST_LOCK_BYTES))
        file.close()
        raise FatalError(
            "run_locked",
            f"another run is writing to {display_name(path.parent.parent)} ({holder})",
            "Wait for it or stop it; parts of one run may work at once only if all have the same n in --shard i/n.",
        ) from error
    return file


def _describe(content: bytes) -> str:
    try:
        holder = decode(content, _Holder)
        return f"process {holder.pid} on {holder.host}"
    except DocumentError:
        return "it has just started"
