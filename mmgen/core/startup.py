"""Starts and ends of processes: quick, and the same in every surrounding."""

import atexit
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def gc_frozen() -> Iterator[None]:
    """No garbage collection inside the block; what exists at its end is never collected (`gc.freeze`).

    Imports make half a million objects that stay; collecting among them takes a fifth of the start.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def end_without_search() -> None:
    """Skip the garbage collection at the end of this process, which takes half a second where torch is loaded."""
    atexit.register(gc.freeze)


def fill_standard_streams() -> None:
    """Put nothing in the place of a closed stdin, stdout or stderr.

    Otherwise the next file that is opened gets its number, and what a library prints lands in that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def ensure_utf8() -> None:
    """Start this process again in Python's UTF-8 mode where the locale says otherwise: names of files are bytes, and
    records and meshes call them the same in every locale. File names reach the new process unchanged."""
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def temporary_kernel_cache() -> Path | None:
    """Where compiled kernels are kept for this run alone; None where Numba has a better place.

    Numba keeps them beside the sources, or in the user's cache folder; where it may write to neither, as in a read-only
    container without a home, it would fail.
    """
    package = Path(__file__).parents[1]
    if "NUMBA_CACHE_DIR" in os.environ or os.access(package / "core", os.W_OK) or _has_user_cache():
        return None
    folder = Path(tempfile.mkdtemp(prefix="mmgen-kernels-"))  # of this user alone: what is in it gets executed
    os.environ["NUMBA_CACHE_DIR"] = os.fspath(folder)
    return folder


def _has_user_cache() -> bool:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)
