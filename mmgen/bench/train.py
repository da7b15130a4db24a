"""Speed of training: the small self-supervised step at 128 x 64, batch 16, and what its parts cost."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmgen.bench.timing import machine, versions
from mmgen.core.version import __version__
from mmgen.synth.crowd import CrowdOptions, people
from mmgen.training.batches import BatchPlan, PhotoStore, make_batch
from mmgen.training.loop import flushed_denormals
from recon.encoders import small_config
from recon.losses import LOSS_PRESETS
from recon.template import ellipsoid_template
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import Learner, make_learner
from recon.training.schedule import render_settings
from recon.training.step import Batch, TrainProgress, draw, train_step
from recon.training.terms import data_terms, mirror_terms, shape_terms, weighted_sum

BATCH = 16
WARM_UP_STEPS = 8
"""Steps before anything is timed: they compile the renderer and choose convolution kernels."""

PROGRESS = 0.5

Seconds = tuple[float, float]


def measure(steps: int, threads: Sequence[int] = (1, 2)) -> dict[str, Any]:
    """Time whole steps, then the parts of a step, on procedural people.

    Args:
        steps: timed steps per number of threads; every 4th has the attribute-consistency pass.

    Returns:
        JSON data; `wall` seconds are disturbed by other programs, `cpu` seconds, summed over threads, hardly.
    """
    store = make_store()
    config = StepConfig(losses=LOSS_PRESETS["small"])
    runs = {}
    for number in threads:
        with _threads(number):
            runs[str(number)] = _run(_learner(config), store, config, steps)
    return {
        "bench": "train",
        "mmgen": __version__,
        "step": {
            "networks": "small",
            "height": store.packed.shape[1],
            "width": store.packed.shape[2],
            "batch": BATCH,
            "consistency_every": config.consistency_every,
            "consistency_share": config.consistency_share,
        },
        "threads": runs,
        "images_per_second": {number: run["images_per_second"]["wall"] for number, run in runs.items()},
        "machine": machine(),
        "versions": versions("torch", "numba", "numpy"),
    }


def make_store() -> PhotoStore:
    """One batch of procedural people in memory."""
    drawn = [person.picture for person in people("train", BATCH // 4, CrowdOptions(views=4, poses=1))]
    packed = np.stack([np.dstack([picture.image, picture.mask]) for picture in drawn])
    return PhotoStore(packed, np.arange(BATCH) // 4, np.ones(BATCH, dtype=bool))


def _learner(config: StepConfig) -> Learner:
    template, optimiser = ellipsoid_template(), OptimiserConfig()
    encoder = small_config(back="mirrored")
    return make_learner(encoder, template, optimiser, seed=0, offset_smoothing=config.offset_smoothing)


def _run(learner: Learner, store: PhotoStore, config: StepConfig, steps: int) -> dict[str, Any]:
    """Rates and parts with one number of threads.

    Whole steps and parts take turns, so that a slow spell of the machine meets all of them; medians count.
    """
    plan = BatchPlan(BATCH, "flip")
    batch = make_batch(store, np.arange(BATCH), plan, 0, 0)
    whole = _round_task(learner, batch, config)
    for _ in range(WARM_UP_STEPS // config.consistency_every):
        whole()
    tasks = {
        "encoders": _encoder_task(learner, batch),
        "render": _render_task(learner, batch, config),
        "losses": _loss_task(learner, batch, config),
        "optimiser": _optimiser_task(learner),
        "data": lambda: make_batch(store, np.arange(BATCH), plan, 0, 0),
    }
    for task in tasks.values():
        task()
    rounds = max(1, steps // config.consistency_every)
    times = [{name: _timed(task) for name, task in {"step": whole, **tasks}.items()} for _ in range(rounds)]
    wall, cpu = ({name: statistics.median(turn[name][kind] for turn in times) for name in times[0]} for kind in (0, 1))
    images = BATCH * config.consistency_every
    return {
        "images_per_second": {"wall": images / wall["step"], "cpu": images / cpu["step"]},
        "fastest_images_per_second_wall": images / min(turn["step"][0] for turn in times),
        "parts": _parts(cpu, config),
    }


def _round_task(learner: Learner, batch: Batch, config: StepConfig) -> Callable[[], None]:
    """As many steps as there are from one consistency pass to the next."""
    numbers = count()

    def task() -> None:
        for _ in range(config.consistency_every):
            train_step(learner, batch, config, OptimiserConfig(), TrainProgress(next(numbers), 0, PROGRESS))

    return task


def _parts(cpu: dict[str, float], config: StepConfig) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time per step, and share of the step; batches are prepared beside it."""
    step = cpu["step"] / config.consistency_every
    # The consistency pass encodes and draws part of a batch again.
    again = 1 + config.consistency_share / config.consistency_every
    factors = {"encoders": again, "render": again}
    parts = {name: factors.get(name, 1.0) * value for name, value in cpu.items() if name != "step"}
    parts["other"] = max(0.0, step - sum(value for name, value in parts.items() if name != "data"))
    return {name: {"ms": 1e3 * value, "share": value / step} for name, value in parts.items()}


def _encoder_task(learner: Learner, batch: Batch) -> Callable[[], object]:
    def task() -> None:
        parts = [part for part in learner.encoder(batch.sample).tensors() if part.requires_grad]
        torch.stack([part.square().mean() for part in parts]).sum().backward()

    return task


def _render_task(learner: Learner, batch: Batch, config: StepConfig) -> Callable[[], object]:
    fixed = learner.encoder(batch.sample).mapped(_leaf)
    settings = render_settings(config.soft_mask, PROGRESS, config.shade_background)

    def task() -> None:
        drawn = draw(fixed, learner.encoder.prototype, batch.sample, settings)
        (drawn.image.mean() + drawn.mask.mean()).backward()

    return task


def _loss_task(learner: Learner, batch: Batch, config: StepConfig) -> Callable[[], object]:
    fixed = learner.encoder(batch.sample).mapped(_leaf)
    template = learner.encoder.prototype
    with torch.no_grad():
        flat = draw(fixed, template, batch.sample)
    drawn = type(flat)(flat.image.requires_grad_(), flat.mask.requires_grad_(), flat.face_index)

    def task() -> None:
        terms = data_terms(drawn, batch.sample, config.losses)
        terms |= shape_terms([fixed.offsets], template, learner.frame, config.losses)
        terms |= mirror_terms([fixed.offsets], learner.frame, config.losses)
        weighted_sum(terms, config.losses).backward()

    return task


def _optimiser_task(learner: Learner) -> Callable[[], object]:
    for parameter in learner.encoder.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)

    def task() -> None:
        nn.utils.clip_grad_norm_(learner.encoder.parameters(), 5.0)
        learner.optimiser.step()

    return task


def _leaf(values: Tensor) -> Tensor:
    """A constant that collects gradients."""
    return values.detach().clone().requires_grad_()


def _timed(task: Callable[[], object]) -> Seconds:
    """Wall-clock and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    task()
    return time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with flushed_denormals():
            yield
    finally:
        torch.set_num_threads(before)
