"""Fair timing on a shared machine: CPU time of one thread, competitors interleaved, medians with their spread."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mmgen.core.files import sha256_file
from mmgen.core.version import installed_version

Task = Callable[[], object]


def interleaved(tasks: Mapping[str, Task], repeats: Mapping[str, int]) -> dict[str, list[float]]:
    """CPU seconds of every task, all tasks in turn per round, so that a slow spell of the machine meets all of them.

    Every task runs once before, without a clock.

    Args:
        repeats: timed runs per name; a task drops out of later rounds when it has had its runs.
    """
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(max(repeats[name] for name in tasks)):
        for name, task in tasks.items():
            if turn < repeats[name]:
                start = time.process_time()
                task()
                seconds[name].append(time.process_time() - start)
    return seconds


def per_item_ms(seconds: Sequence[float], items: int) -> dict[str, float]:
    """Median, lowest and highest milliseconds per item."""
    ms = [1e3 * value / items for value in seconds]
    return {"median": statistics.median(ms), "lowest": min(ms), "highest": max(ms)}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load_average_1min": load,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def versions(*packages: str) -> dict[str, str | None]:
    """Versions of Python and of packages; None where one is not installed."""
    return {"python": sys.version.split()[0]} | {package: installed_version(package) for package in packages}


def file_hashes(folder: Path, suffix: str) -> dict[str, str]:
    """SHA-256 of all files of a kind below a folder, by name."""
    return {path.name: sha256_file(path) for path in sorted(folder.rglob(f"*{suffix}"))}


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"
