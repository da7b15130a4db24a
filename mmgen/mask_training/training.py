"""Training of the mask network: scenes drawn as they are needed, and checkpoints to go on from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmgen.core.files import replacing
from mmgen.mask_training.scenes import Scenes
from mmgen.masks.network import read_network
from recon.segmentation import MaskNetwork, MaskNetworkConfig, judge_loss, mask_loss, outline_iou
from recon.training.precision import has_bfloat16

NETWORK_SUFFIX = ".safetensors"
JUDGE_WEIGHT = 0.1
WARM_STEPS = 25


@dataclass(frozen=True)
class Course:
    """How to train.

    Attributes:
        steps: in all.
        batch: scenes per step.
        learning_rate: highest; reached after `WARM_STEPS`, then a cosine to zero.
        weight_decay: of AdamW.
        seed: of scenes and first weights.
        checkpoint_steps: steps between checkpoints.
    """

    steps: int
    batch: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    seed: int = 0
    checkpoint_steps: int = 25

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        warm = min(1.0, (step + 1) / WARM_STEPS)
        return self.learning_rate * warm * 0.5 * (1 + float(np.cos(np.pi * step / self.steps)))


@dataclass(frozen=True)
class Progress:
    """After `step` steps: mean loss and IoU since the last report."""

    step: int
    loss: float
    iou: float


def train(
    scenes: Scenes,
    config: MaskNetworkConfig,
    course: Course,
    checkpoint: Path,
    report: Callable[[Progress], None],
    init: Path | None = None,
) -> MaskNetwork:
    """Train, or go on where the checkpoint stands; the same arguments give the same network.

    Args:
        scenes: what to learn from.
        config: of a new network.
        course: how.
        checkpoint: written every `course.checkpoint_steps` steps, read at the start where it is there.
        report: told at every checkpoint.
        init: what to take the weights from: a checkpoint of another course, or a finished network, which goes on
            without batch norms and wants a lower rate.
    """
    torch.manual_seed(course.seed)
    network = _network(config, init)
    batches = _Batches(scenes, course)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=course.weight_decay)
    start = _resume(checkpoint, network, optimizer)
    losses, overlaps = [], []
    is_quick = has_bfloat16(torch.device("cpu"))
    network.train()
    for step in range(start, course.steps):
        for group in optimizer.param_groups:
            group["lr"] = course.rate_at(step)
        photos, masks = batches.at(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_quick):
            logits, apply_quality_gate = network(photos)
        loss = mask_loss(logits, masks) + JUDGE_WEIGHT * judge_loss(apply_quality_gate, logits, masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        overlaps.append(float(outline_iou(logits.detach(), masks).mean()))
        if (step + 1) % course.checkpoint_steps == 0 or step + 1 == course.steps:
            _save(checkpoint, network, optimizer, step + 1)
            report(Progress(step + 1, float(np.mean(losses)), float(np.mean(overlaps))))
            losses, overlaps = [], []
    return network.eval()


def _network(config: MaskNetworkConfig, init: Path | None) -> MaskNetwork:
    if init is not None and init.suffix == NETWORK_SUFFIX:
        return read_network(init)
    network = MaskNetwork(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if init is not None:
        network.load_state_dict(torch.load(init, weights_only=True)["network"])
    return network


class _Batches:
    """Photos [B, 3, H, W] and soft masks [B, H, W], 0..1, by step; seed and step decide them.

    Every scene comes twice, the second time mirrored: drawing them is a third of the cost.
    """

    def __init__(self, scenes: Scenes, course: Course) -> None:
        self._scenes = scenes
        self._course = course
        self._pair = -1
        self._drawn: tuple[Tensor, Tensor] | None = None

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        pair, is_mirrored = divmod(step, 2)
        if self._drawn is None or pair != self._pair:
            self._pair, self._drawn = pair, self._draw(np.random.default_rng((self._course.seed, pair)))
        photos, masks = self._drawn
        return (photos.flip(3), masks.flip(2)) if is_mirrored else (photos, masks)

    def _draw(self, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        drawn = [self._scenes.draw(generator) for _ in range(self._course.batch)]
        photos = torch.from_numpy(np.stack([scene.rgb for scene in drawn])).permute(0, 3, 1, 2).float() / 255
        return photos, torch.from_numpy(np.stack([scene.mask for scene in drawn])).float() / 255


def _save(path: Path, network: MaskNetwork, optimizer: torch.optim.Optimizer, step: int) -> None:
    with replacing(path) as temp:
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, temp)


def _resume(path: Path, network: MaskNetwork, optimizer: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
