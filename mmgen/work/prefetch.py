"""Prefetching: a thread makes the next items while the caller uses the last one."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

AHEAD = 3
"""Items made in advance."""


@contextmanager
def prefetched(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same items in the same order; the thread ends with the block, its errors are raised where they are met."""
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        waiting = deque(thread.submit(next, items) for _ in range(AHEAD))

        def ready() -> Iterator[T]:
            while True:
                waiting.append(thread.submit(next, items))
                try:
                    yield waiting.popleft().result()
                except StopIteration:
                    return

        try:
            yield ready()
        finally:
            thread.shutdown(cancel_futures=True)
