"""Speed of `mmgen reconstruct` on procedural people: one process, then several, and that their bytes are equal."""

import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mmgen.batch import CHUNK_ITEMS, Batch, Listener, Summary, run_batch
from mmgen.bench.timing import machine, versions
from mmgen.files import sha256_file
from mmgen.inputs import list_inputs
from mmgen.job import Job
from mmgen.masks import MaskSource
from mmgen.planning import peak_memory_bytes
from mmgen.reconstruction import build_reconstructor, default_options
from mmgen.runs import Record
from mmgen.synth.crowd import CrowdOptions, people
from mmgen.version import __version__

PHOTO_SIZE = (256, 128)


class Batching(NamedTuple):
    """Processes, and photos that one takes at once."""

    workers: int
    chunk_items: int


def measure(photos: int, workers: int, device: str = "cpu") -> dict[str, Any]:
    """Reconstruct `photos` procedural people twice, with one process and with `workers`; JSON data, wall-clock seconds.

    The two runs also cut the photos into chunks differently; `same_bytes` says that neither changed a single byte.

    Args:
        photos: How many, >= 2; the first one pays for compiling and is counted apart.
        workers: Processes of the second run.
        device: `cpu` or `cuda:N`.
    """
    with tempfile.TemporaryDirectory(prefix="mmgen-bench-") as name:
        folder = Path(name)
        write_photos(folder / "photos", photos)
        alone, records = _run(folder / "one", Batching(1, CHUNK_ITEMS), device)
        together, _ = _run(folder / "many", Batching(workers, CHUNK_ITEMS // 2 + 1), device)
        same = _hashes(folder / "one") == _hashes(folder / "many")
        sizes = [path.stat().st_size for path in (folder / "one").rglob("*.glb")]
    return {
        "bench": "reconstruct",
        "mmgen": __version__,
        "photos": photos,
        "photo_size": PHOTO_SIZE,
        "options": dict(default_options(device=device).result_options()),
        "first_photo_seconds": records[0].seconds,
        "seconds_per_photo": _spread([record.seconds or 0.0 for record in records[1:]]),
        "photos_per_minute": {"1": _per_minute(alone), str(workers): _per_minute(together)},
        "failed": alone.failed + together.failed,
        "same_bytes": same,
        "mean_mask_iou": alone.mean_mask_iou,
        "mean_ssim": statistics.fmean(record.ssim or 0.0 for record in records),
        "glb_bytes": statistics.median(sizes) if sizes else None,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": machine(),
        "versions": versions("torch", "numba", "numpy"),
    }


def write_photos(folder: Path, count: int) -> None:
    """`count` procedural people as PNG files with their masks as alpha channel."""
    folder.mkdir(parents=True)
    height, width = PHOTO_SIZE
    options = CrowdOptions(views=1, poses=1, height=height, width=width)
    for number, person in enumerate(people("test", count, options)):
        rgba = np.dstack([person.picture.image, person.picture.mask])
        Image.fromarray(rgba).save(folder / f"{number:04}.png")


def _run(out: Path, batching: Batching, device: str) -> tuple[Summary, list[Record]]:
    options = default_options(device=device, masks="alpha")
    job = Job(
        out=out,
        build=partial(build_reconstructor, options),
        options=options.result_options(),
        masks=MaskSource("alpha"),
        min_iou=0.0,
        log=out / "errors.log",
    )
    records: list[Record] = []
    items = list_inputs([out.with_name("photos")], out)
    batch = Batch(items, job, workers=batching.workers, chunk_items=batching.chunk_items)
    summary = run_batch(batch, Listener(finished=records.append))
    return summary, records


def _hashes(out: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(out.rglob("*.glb"))}


def _per_minute(summary: Summary) -> float:
    return 60 * summary.ok / summary.seconds


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "lowest": min(seconds), "highest": max(seconds)}
