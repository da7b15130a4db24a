"""Quick starts and ends of processes."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Inside the block nothing is looked through for garbage, and what is there at its end is left alone for good.

    Imports make half a million objects that stay; looking through them again and again takes a fifth of the start.
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
    """Let this process end without a last search for garbage: half a second where torch is loaded."""
    atexit.register(gc.freeze)
