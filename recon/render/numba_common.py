"""What the CPU kernels share: compiler settings, the pixel range of every face's box, and threads (safe after fork).

numba's cache watches the file of a kernel, not the files of its helpers: after a change here, also save the files that
import this one, or clear `__pycache__`.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, no_type_check

import numpy as np
import torch
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from torch.utils.data import get_worker_info

log = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")

_CHUNKS_PER_THREAD = 4
"""Images differ in cost; a few chunks per thread even that out."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Keyed by (process id, threads): a pool inherited over fork has no living threads and would hang."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel at its first call and keep the machine code on disk, beside this package or in the user's cache.

    No fused multiply-add: then two faces that share an edge compute opposite edge functions, and no crack opens.
    Helpers are inlined by LLVM. Loops that matter are written so that it vectorises them: one or two arrays, unsigned
    indices, selections in place of branches.
    """
    compiler = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
    try:
        return compiler(function)
    except RuntimeError:  # numba finds no folder that it may write to
        log.info("neither the package nor the home folder is writable; compiled code goes to the temporary folder")
        config.CACHE_DIR = private_cache_folder()  # type: ignore[attr-defined]
        return compiler(function)


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call: without entry points for Python, which take long to compile."""
    compiler: Any = njit  # its stubs leave two options out
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return compiler(nogil=True, error_model="numpy", boundscheck=False, **wrappers)(function)


def private_cache_folder() -> str:
    """A folder for machine code under the temporary folder that nobody else could have prepared."""
    folder = Path(tempfile.gettempdir()) / f"mmgen-numba-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077 and status.st_uid == os.getuid():
            return str(folder)
    except (OSError, AttributeError):
        pass
    return tempfile.mkdtemp(prefix="mmgen-numba-")


RANGE_BIAS = np.float32(0.25)
"""Any number in (0, 1) far above rounding: an estimated count of pixels is then right or one too small."""


def padded_centres(count: int) -> np.ndarray:
    """NDC coordinates of `count` pixel centres, ascending, with -inf and +inf at the ends: [count + 2] float32."""
    centres = (2 * np.arange(count, dtype=np.float64) + 1 - count) / count
    return np.concatenate(([-np.inf], centres, [np.inf])).astype(np.float32)


@intrinsic
@no_type_check
def trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@helper
@no_type_check
def face_ranges(corners, margin, width, height, ranges):
    """Half-open pixel ranges [4 F] (first column, end column, first row, end row) of every face's box; corners [6 F].

    The box is enlarged by `margin`. A pixel centre (x, y) is in it when x_min <= x < x_max and y_min <= y < y_max.
    Faces with a coordinate that is not finite get empty ranges.
    """
    half, zero, two = np.float32(0.5), np.float32(0.0), np.float32(2.0)
    one, none = np.int32(1), np.int32(0)
    columns, rows = np.float32(width), np.float32(height)
    x_shift, y_shift = (columns - 1) * half + RANGE_BIAS, (rows - 1) * half + RANGE_BIAS
    x_low, y_low = np.float32(1.0) - columns, np.float32(1.0) - rows
    for f in range(np.uint64(corners.shape[0] // 6)):
        k, r = np.uint64(6) * f, np.uint64(4) * f
        ax, ay = corners[k], corners[k + np.uint64(1)]
        bx, by = corners[k + np.uint64(2)], corners[k + np.uint64(3)]
        cx, cy = corners[k + np.uint64(4)], corners[k + np.uint64(5)]
        total = ax + ay + bx + by + cx + cy
        finite = total - total == zero
        low, high = ax if ax < bx else bx, bx if ax < bx else ax
        left, right = (low if low < cx else cx) - margin, (high if high > cx else cx) + margin
        low, high = ay if ay < by else by, by if ay < by else ay
        top, bottom = -((high if high > cy else cy) + margin), margin - (low if low < cy else cy)
        t = left * (columns * half) + x_shift
        j0 = np.int32(max(min(t, columns), zero))
        t = right * (columns * half) + x_shift
        j1 = np.int32(max(min(t, columns), zero))
        t = top * (rows * half) + y_shift
        i0 = np.int32(max(min(t, rows), zero))
        t = bottom * (rows * half) + y_shift
        i1 = np.int32(max(min(t, rows), zero))
        j0 += one if (two * np.float32(j0) + x_low) / columns < left else none
        j1 += one if (two * np.float32(j1) + x_low) / columns < right else none
        i0 += one if (two * np.float32(i0) + y_low) / rows <= top else none
        i1 += one if (two * np.float32(i1) + y_low) / rows <= bottom else none
        ranges[r] = j0
        ranges[r + np.uint64(1)] = (j1 if j1 < width else np.int32(width)) if finite else none
        ranges[r + np.uint64(2)] = i0
        ranges[r + np.uint64(3)] = (i1 if i1 < height else np.int32(height)) if finite else none


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
