"""A small thread pool for kernels that release the interpreter lock; safe after fork."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch.utils.data import get_worker_info

S = TypeVar("S")
T = TypeVar("T")

_CHUNKS_PER_THREAD = 4
"""Images differ in cost; a few chunks per thread even that out."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Keyed by (process id, threads): a pool inherited over fork has no living threads and would hang."""


def thread_count() -> int:
    """Threads to use: torch's setting, and one inside a DataLoader worker."""
    return 1 if get_worker_info() is not None else torch.get_num_threads()


def in_chunks(task: Callable[[int, int], T], count: int) -> list[T]:
    """Call `task(first, last)` on consecutive ranges that cover `count` items; results in order."""
    threads = min(thread_count(), count)
    if threads <= 1:
        return [task(0, count)] if count else []
    chunks = min(count, _CHUNKS_PER_THREAD * threads)
    edges = [count * k // chunks for k in range(chunks + 1)]
    return list(_pool(threads).map(task, edges[:-1], edges[1:]))


def for_each(task: Callable[[S], T], chunks: Sequence[S]) -> list[T]:
    """Call `task` on every chunk; results in order."""
    threads = min(thread_count(), len(chunks))
    return [task(chunk) for chunk in chunks] if threads <= 1 else list(_pool(threads).map(task, chunks))


def _pool(threads: int) -> ThreadPoolExecutor:
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="mmgen-render")
    return _pools[key]
