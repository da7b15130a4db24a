"""Speed of `mmgen augment-reid` on procedural people: photos reconstructed, views written, one process and several."""

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmgen.augment.options import AugmentOptions
from mmgen.augment.plan import Plan
from mmgen.augment.running import AugmentConfig, Outcome, run_augmentation
from mmgen.augment.sources import find_sources
from mmgen.bench.timing import file_hashes, machine, versions
from mmgen.bundled import required_weights
from mmgen.core.files import sha256_file
from mmgen.core.version import __version__
from mmgen.synth.crowd import CrowdOptions
from mmgen.synth.dataset import CrowdWriter, claim_folder, write_index
from mmgen.synth.layout import entries, make_plan
from mmgen.templates import named_template
from mmgen.work.callbacks import RunCallbacks

VIEWS = 4
SAMPLES_PER_SHARD = 64
"""Small shards, so that every process has some."""


def measure(identities: int, workers: int, device: str = "cpu") -> dict[str, Any]:
    """Augment a procedural data set with one process and with `workers`; JSON data.

    A first, small run compiles kernels and is not counted. Both timed runs load the networks, as any run does.

    Args:
        identities: people, each with four photos of 128 x 64 pixels.
        workers: processes of the second run.
        device: `cpu` or `cuda:N`.
    """
    with tempfile.TemporaryDirectory(prefix="mmgen-bench-") as name:
        folder = Path(name)
        _people(folder / "warm", 2)
        _augment(folder / "warm", folder / "warm-3d", 1, device)
        _people(folder / "market", identities)
        one, alone = _augment(folder / "market", folder / "one", 1, device)
        many, together = _augment(folder / "market", folder / "many", workers, device)
        same = file_hashes(folder / "one", ".tar") == file_hashes(folder / "many", ".tar")
        size = sum(path.stat().st_size for path in (folder / "one").rglob("*.tar"))
    return {
        "bench": "augment",
        "mmgen": __version__,
        "photos": alone.photos_done,
        "views": alone.views_done,
        "warm_up": "a run of two people",
        "stages": {
            str(count): _rates(outcome) | {"steady_views_per_second": clock.steady_rate(count)}
            for count, outcome, clock in ((1, alone, one), (workers, together, many))
        },
        "cpu_ms_per_photo": 1e3 * one.cpu_seconds("reconstruct") / alone.photos_done,
        "cpu_ms_per_view": 1e3 * one.cpu_seconds("shards") / alone.views_done,
        "bytes_per_view": size / alone.views_done,
        "same_bytes": same,
        "machine": machine(),
        "versions": versions("torch", "numba", "numpy", "pillow"),
    }


def _people(folder: Path, identities: int) -> None:
    plan = make_plan(identities, 0.0, CrowdOptions(views=VIEWS, poses=1))
    claim_folder(folder, plan)
    for _ in CrowdWriter(folder, plan, named_template("person"))(entries(plan)):
        pass
    write_index(folder, plan)


@dataclass
class _Clock:
    """When the stages of a run began, in CPU seconds of this process, and when which tars came, in wall seconds."""

    started: dict[str, float] = field(default_factory=dict)
    arrived: list[tuple[float, int]] = field(default_factory=list)

    def stage(self, name: str, total: int) -> None:
        self.started[name] = time.process_time()
        self.arrived.clear()

    def advanced(self, count: int) -> None:
        self.arrived.append((time.perf_counter(), count))

    def ended(self) -> None:
        self.started["end"] = time.process_time()

    def cpu_seconds(self, stage: str) -> float:
        """They count where this process did the work itself."""
        names = list(self.started)
        return self.started[names[names.index(stage) + 1]] - self.started[stage]

    def steady_rate(self, workers: int) -> float | None:
        """Views per second from when every process has made a tar; None where there are too few for that."""
        first = min(workers, len(self.arrived) // 2)
        if first == 0:
            return None
        views = sum(count for _, count in self.arrived[first:])
        return views / (self.arrived[-1][0] - self.arrived[first - 1][0])


def _augment(market: Path, out: Path, workers: int, device: str) -> tuple[_Clock, Outcome]:
    options = AugmentOptions(samples_per_shard=SAMPLES_PER_SHARD)
    sources = find_sources(market)
    weights = required_weights(None)
    clock = _Clock()
    request = AugmentConfig(
        plan=Plan(options, sources.photos),
        root=sources.root,
        out=out,
        weights=weights,
        weights_sha256=sha256_file(weights),
        device=device,
        workers=workers,
    )

    outcome = run_augmentation(request, RunCallbacks(stage=clock.stage, advanced=clock.advanced))
    clock.ended()
    return clock, outcome


def _rates(outcome: Outcome) -> dict[str, float]:
    seconds = outcome.stage_seconds
    return {
        "photos_per_second": outcome.photos_done / seconds["reconstruct"],
        "views_per_second": outcome.views_done / seconds["shards"],
    }
