"""A few training steps on all photos or, as one of two processes, on half of them: python one_of_two.py RANK STORE OUT.

Batch norm stays in evaluation mode: on the CPU every process would have batch statistics of its own. Random mixes
differ between processes by design, so the consistency term is off.
"""

import sys
from dataclasses import replace

import torch
from tiny import ellipse_photos, tiny_learner
from torch import distributed

from recon.losses import LOSS_PRESETS
from recon.structures import Sample
from recon.training import parallel
from recon.training.config import OptimiserConfig, PrototypeLoop, StepConfig
from recon.training.learner import Learner
from recon.training.loops import move_prototype
from recon.training.step import Batch, TrainProgress, train_step

STEPS = 4
WEIGHTS = replace(LOSS_PRESETS["small"], consistency=0.0)


def half(rank: int) -> Batch:
    photos, part = ellipse_photos().sample, slice(2 * rank, 2 * rank + 2)
    return Batch(Sample(photos.image[part], photos.mask[part]))


def woken(learner: Learner) -> Learner:
    """With weights far enough from the start for gradients to stand out from rounding, which Adam would enlarge."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter += 0.03 * torch.randn(parameter.shape, generator=generator)
    return learner


def trained(learner: Learner, batch: Batch) -> dict[str, object]:
    """Losses of every step, gradient norm of the first one, and the end state."""
    learner.encoder.eval()
    config, optimiser = StepConfig(losses=WEIGHTS), OptimiserConfig(warmup_steps=0)
    losses, norms = [], []
    for number in range(STEPS):
        report = train_step(learner, batch, config, optimiser, TrainProgress(number, 1 + number, 0.5))
        losses.append(parallel.mean_over_processes(float(report.loss)))
        norms.append(float(report.gradient_norm))
    moved = move_prototype(learner, PrototypeLoop(), [], warmup_steps=0, step=STEPS)
    return {"losses": losses, "norms": norms, "moved": moved, "encoder": learner.encoder.state_dict()}


def main(rank: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    learner = woken(tiny_learner(seed=rank))  # other weights per process, until the first one's are copied
    parallel.copy_from_first(learner.encoder)
    torch.save(trained(learner, half(rank)), out)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
