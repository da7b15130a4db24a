"""Speed of `mmgen reconstruct` on procedural people: one process, several, and the cost of more photos."""

import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.bench.timing import file_hashes, machine, versions
from mmgen.core.version import __version__
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import CHUNK_ITEMS, BatchConfig, Summary, run_batch
from mmgen.reconstruction.options import ReconstructOptions, default_options, job_of
from mmgen.reconstruction.planning import peak_memory_bytes
from mmgen.synth.crowd import CrowdOptions, people
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Record

PHOTO_SIZE = (256, 128)
TEXTURE_SIZE = (256, 128)
DIFFERENT_PEOPLE = 64
"""Larger folders hold these photos again and again, under other names; nothing is kept from one photo to the next."""


@dataclass
class Run:
    """One run as it went; CPU seconds are those of this process, so they count where it does the work itself.

    Attributes:
        wall: seconds on the wall clock when each came.
        cpu: CPU seconds of this process when each came.
        started: seconds on the wall clock when the run began.
    """

    started: float = field(default_factory=time.perf_counter)
    summary: Summary | None = None
    records: list[Record] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def hear(self, record: Record) -> None:
        """A photo is done."""
        self.records.append(record)
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def steady(self, clock: Sequence[float], workers: int) -> float:
        """Seconds per photo, without start-up: from when every process has had a chunk to the end."""
        first = min(workers * CHUNK_ITEMS, len(clock) // 2)
        return (clock[-1] - clock[first - 1]) / (len(clock) - first)

    def chunk_seconds(self) -> list[float]:
        """CPU seconds per photo of each whole chunk but the first, which pays for loading."""
        ends = self.cpu[CHUNK_ITEMS - 1 :: CHUNK_ITEMS]
        return [(end - start) / CHUNK_ITEMS for start, end in pairwise(ends)]


def measure(photos: Sequence[int], workers: int, device: str = "cpu") -> dict[str, Any]:
    """Reconstruct procedural people with one process and with `workers`; JSON data.

    Several processes get the photos in reverse order, so that each has other company and another place in its batch;
    `same_bytes` says that neither changed a single byte.

    Args:
        photos: numbers of photos, ascending, each >= 32; with one process only the first one is run.
        device: `cpu` or `cuda:N`.
    """
    with tempfile.TemporaryDirectory(prefix="mmgen-bench-") as name:
        folder = Path(name)
        write_photos(folder / "photos", photos[0])
        alone = _run(folder / "photos", folder / "one", 1, device)
        together = _run(folder / "photos", folder / "many", workers, device)
        same = file_hashes(folder / "one", ".glb") == file_hashes(folder / "many", ".glb")
        sizes = [path.stat().st_size for path in (folder / "one").rglob("*.glb")]
        curve = [_point(together, workers)]
        for count in photos[1:]:
            write_photos(folder / f"photos-{count}", count)
            curve.append(_point(_run(folder / f"photos-{count}", folder / f"out-{count}", workers, device), workers))
            shutil.rmtree(folder / f"out-{count}")
    rates = {count: 1 / run.steady(run.wall, count) for count, run in ((1, alone), (workers, together))}
    return {
        "bench": "reconstruct",
        "mmgen": __version__,
        "photos": photos[0],
        "photo_size": PHOTO_SIZE,
        "options": dict(_options(device).result_options()),
        "warm_up": f"the first {CHUNK_ITEMS} photos of each process",
        "start_up_seconds": alone.wall[0] - alone.started,
        "cpu_ms_per_photo": _spread([1e3 * seconds for seconds in alone.chunk_seconds()]),
        "photos_per_second": {str(count): rate for count, rate in rates.items()},
        "speedup": rates[workers] / rates[1],
        "failed": sum(run.summary.failed for run in (alone, together) if run.summary is not None),
        "same_bytes": same,
        "mean_mask_iou": statistics.fmean(record.mask_iou or 0.0 for record in alone.records),
        "mean_ssim": statistics.fmean(record.ssim or 0.0 for record in alone.records),
        "glb_bytes": statistics.median(sizes) if sizes else None,
        "curve": curve,
        "machine": machine(),
        "versions": versions("torch", "numba", "numpy", "pillow"),
    }


def write_photos(folder: Path, count: int) -> None:
    """`count` photos of procedural people as PNG files with their masks as alpha channel; at most 64 different ones."""
    folder.mkdir(parents=True)
    height, width = PHOTO_SIZE
    options = CrowdOptions(views=1, poses=1, height=height, width=width)
    for number, person in enumerate(people("test", min(count, DIFFERENT_PEOPLE), options)):
        rgba = np.dstack([person.picture.image, person.picture.mask])
        Image.fromarray(rgba).save(folder / f"{number:05}.png")
    for number in range(DIFFERENT_PEOPLE, count):
        shutil.copyfile(folder / f"{number % DIFFERENT_PEOPLE:05}.png", folder / f"{number:05}.png")


def _options(device: str) -> ReconstructOptions:
    """One pass of the networks, as measured from the beginning."""
    return default_options(device=device, masks="alpha", texture_size=TEXTURE_SIZE, refine_steps=0)


def _run(photos: Path, out: Path, workers: int, device: str) -> Run:
    options = _options(device)
    run = Run()
    items = list_inputs([photos], out)
    batch = BatchConfig(items if workers == 1 else items[::-1], job_of(options, out), workers=workers)
    run.summary = run_batch(batch, RunCallbacks(finished=run.hear))
    return run


def _point(run: Run, workers: int) -> dict[str, Any]:
    """One point of the cost curve; peaks are of the largest process so far, so numbers must ascend."""
    return {
        "photos": len(run.records),
        "workers": workers,
        "seconds": run.wall[-1] - run.started,
        "photos_per_second": 1 / run.steady(run.wall, workers),
        "driver_peak_memory_bytes": peak_memory_bytes(),
        "worker_peak_memory_bytes": _worker_peak_memory_bytes(),
    }


def _worker_peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
