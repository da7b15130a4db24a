"""Training of the person network: scenes drawn as they are needed, in stages, with checkpoints to go on from."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmgen.mask_training.scenes import SHARES, Scene, Scenes, Sources
from recon.segmentation import Answers, PersonNetwork, load_trunk, mask_loss, outline_iou

FROZEN_BLOCKS = 3
"""The first blocks of the trunk, which stay as they are while `Stage.is_trunk_whole` is False."""

WARM_STEPS = 60
WEIGHTS = {"rough": 0.3, "quality": 0.1, "person": 0.3, "back": 0.7, "turn": 0.2, "count": 0.08, "cut": 0.15}
PHOTO_FACING = 0.3
"""Weight of the facing of people in photos, nearly all of whom are seen from the front."""


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        height, width: of the scenes.
        batch: scenes per step.
        trunk_rate, rate: highest learning rates of the trunk and of all else; a cosine to a fiftieth over the stage.
        is_trunk_whole: whether the trunk's first blocks learn too.
        decay: of the moving average of the weights.
        shares: how often each kind of scene is drawn; None for `SHARES`.
    """

    steps: int
    height: int
    width: int
    batch: int = 12
    trunk_rate: float = 4e-4
    rate: float = 3e-3
    is_trunk_whole: bool = False
    decay: float = 0.998
    shares: Mapping[str, float] | None = None

    def share_at(self, step: int) -> float:
        """Of the highest learning rates, at a step of this stage."""
        warm = min(1.0, (step + 1) / WARM_STEPS)
        return warm * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * step / self.steps))))


@dataclass(frozen=True)
class Progress:
    """Means since the last report, and CPU seconds since the start of this process."""

    step: int
    figures: dict[str, float]
    cpu_seconds: float


class Batch(NamedTuple):
    """Scenes as tensors; -1 and NaN where a truth is unknown."""

    photos: Tensor
    masks: Tensor
    weights: Tensor
    person: Tensor
    azimuth_deg: Tensor
    back: Tensor
    number: Tensor
    cut: Tensor
    is_photo: Tensor


@dataclass(frozen=True)
class Run:
    """Where a training goes and who is told.

    Attributes:
        checkpoint: written with every report, read at the start where it is there.
        report: told every `report_steps` steps.
        report_steps: steps between.
        seed: random seed of scenes and first weights.
    """

    checkpoint: Path
    report: Callable[[Progress, PersonNetwork], None]
    report_steps: int = 100
    seed: int = 0


def train(sources: Sources, stages: Sequence[Stage], run: Run, trunk: Path | None) -> PersonNetwork:
    """Train, or go on where the checkpoint stands; returns the averaged network.

    Args:
        sources: what scenes are made of.
        stages: one after the other.
        trunk: an EfficientNet-lite0 state to begin with; None begins from nothing.
    """
    torch.manual_seed(run.seed)
    network = PersonNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trunk is not None:
        load_trunk(network, torch.load(trunk, map_location="cpu", weights_only=True))
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = _optimiser(network)
    step = _resume(run.checkpoint, network, average, optimiser)
    found: dict[str, list[float]] = {}
    started = time.process_time()
    ends = np.cumsum([stage.steps for stage in stages])
    while step < ends[-1]:
        number = int(np.searchsorted(ends, step, side="right"))
        stage = stages[number]
        figures = _step(network, optimiser, stage, step - int(ends[number]) + stage.steps,
                        draw_batch(sources, stage, (run.seed, step)))  # fmt: skip
        _averaged(average, network, min(stage.decay, (1 + step) / (10 + step)))
        step += 1
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
        if step % run.report_steps == 0 or step == ends[-1]:
            _save(run.checkpoint, network, average, optimiser, step)
            means = {name: round(float(np.mean(values)), 4) for name, values in found.items()}
            run.report(Progress(step, means, time.process_time() - started), _of(average))
            found = {}
    return _of(average)


def draw_batch(sources: Sources, stage: Stage, seed: tuple[int, int]) -> Batch:
    """The scenes of a step; the seed decides them."""
    generator = np.random.default_rng(seed)
    scenes = Scenes(sources, (stage.height, stage.width), stage.shares or SHARES)
    return stacked([scenes.draw(generator) for _ in range(stage.batch)])


def stacked(scenes: Sequence[Scene]) -> Batch:
    """Scenes as tensors."""
    photos = torch.from_numpy(np.stack([scene.rgb for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    return Batch(
        photos,
        torch.from_numpy(np.stack([scene.mask for scene in scenes])).float() / 255,
        torch.tensor([float(scene.is_mask_known) for scene in scenes]),
        torch.tensor([scene.person for scene in scenes]),
        torch.tensor([scene.azimuth_deg for scene in scenes]),
        torch.tensor([scene.back for scene in scenes]),
        torch.tensor([scene.count for scene in scenes]),
        torch.tensor([scene.cut for scene in scenes]),
        torch.tensor([scene.source in ("photo", "moved", "several") for scene in scenes]),
    )


def losses(answers: Answers, batch: Batch) -> dict[str, Tensor]:
    """Every loss by name, not yet weighted."""
    rough_masks = functional.interpolate(batch.masks[:, None], size=answers.rough.shape[1:], mode="area")[:, 0]
    overlap = outline_iou(answers.mask.detach(), batch.masks)
    target = torch.where(batch.person == 1, overlap, 0.0)
    angle = torch.deg2rad(batch.azimuth_deg)
    known = torch.isfinite(angle) & (batch.person == 1)
    turn = torch.stack((torch.cos(angle), torch.sin(angle)), dim=1)
    facing = torch.where(batch.is_photo, PHOTO_FACING, 1.0)
    off = (answers.turn - torch.nan_to_num(turn)).square().sum(dim=1)
    quality = functional.binary_cross_entropy_with_logits(answers.quality, target, reduction="none")
    return {
        "mask": mask_loss(answers.mask, batch.masks, batch.weights),
        "rough": mask_loss(answers.rough, rough_masks, batch.weights),
        "quality": (quality * batch.weights).mean(),
        "person": _binary(answers.person, batch.person, torch.ones_like(answers.person)),
        "back": _binary(answers.back, torch.where(batch.person == 1, batch.back, -1), facing),
        "turn": (off * known * facing).sum() / max(int(known.sum()), 1),
        "count": _classes(answers.number, batch.number),
        "cut": _classes(answers.cut, batch.cut),
    }


def _step(
    network: PersonNetwork, optimiser: torch.optim.Optimizer, stage: Stage, step: int, batch: Batch
) -> dict[str, float]:
    network.train()
    for layer in (network.stem, *network.blocks[:FROZEN_BLOCKS]):
        layer.requires_grad_(stage.is_trunk_whole)
    for group, rate in zip(optimiser.param_groups, (stage.trunk_rate, stage.rate), strict=True):
        group["lr"] = rate * stage.share_at(step)
    answers = network(batch.photos)
    each = losses(answers, batch)
    total = each["mask"] + sum(weight * each[name] for name, weight in WEIGHTS.items())
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimiser.step()
    is_photo = batch.is_photo & (batch.person == 1) & (batch.weights > 0)
    figures = {name: float(value.detach()) for name, value in each.items()}
    if bool(is_photo.any()):
        figures["photo_iou"] = float(outline_iou(answers.mask.detach(), batch.masks)[is_photo].mean())
    return figures


def _binary(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    known = (truth >= 0).float() * weights
    each = functional.binary_cross_entropy_with_logits(logits, truth.clamp(min=0).float(), reduction="none")
    return (each * known).sum() / len(truth)


def _classes(logits: Tensor, truth: Tensor) -> Tensor:
    each = functional.cross_entropy(logits, truth.clamp(min=0), reduction="none")
    return (each * (truth >= 0)).sum() / len(truth)


def _optimiser(network: PersonNetwork) -> torch.optim.Optimizer:
    trunk = [*network.stem.parameters(), *network.blocks.parameters()]
    inside = {id(value) for value in trunk}
    others = [value for value in network.parameters() if id(value) not in inside]
    return torch.optim.AdamW([{"params": trunk}, {"params": others}], weight_decay=1e-3)


def _averaged(average: dict[str, Tensor], network: PersonNetwork, decay: float) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _of(average: dict[str, Tensor]) -> PersonNetwork:
    network = PersonNetwork()
    network.load_state_dict(average)
    return network.eval()


def _save(
    path: Path, network: PersonNetwork, average: dict[str, Tensor], optimiser: torch.optim.Optimizer, step: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    state = {"network": network.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, temp)
    os.replace(temp, path)


def _resume(path: Path, network: PersonNetwork, average: dict[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
