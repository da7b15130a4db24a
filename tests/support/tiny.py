"""Tiny networks and tiny photos, for tests and for the processes that tests start."""

from dataclasses import replace

import torch

from recon.encoders import EncoderConfig, small_config
from recon.structures import Sample
from recon.template import ellipsoid_template
from recon.training.config import OptimiserConfig
from recon.training.learner import Learner, make_learner
from recon.training.step import Batch

HEIGHT, WIDTH = 32, 32


def tiny_config(**changes: object) -> EncoderConfig:
    return replace(small_config(height=HEIGHT, width=WIDTH, back="mirrored", offset_rank=4), **changes)


def tiny_learner(seed: int = 0, with_critic: bool = False, smoothing: float = 0.0, **changes: object) -> Learner:
    return make_learner(
        tiny_config(**changes),
        ellipsoid_template(level=1),
        OptimiserConfig(warmup_steps=0),
        seed=seed,
        with_critic=with_critic,
        offset_smoothing=smoothing,
    )


def ellipse_photos() -> Batch:
    """Four photos: coloured ellipses of two identities on noise."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.linspace(-1, 1, HEIGHT)[:, None]
    columns = torch.linspace(-1, 1, WIDTH)[None]
    halves = torch.tensor([[0.8, 0.5], [0.7, 0.6], [0.9, 0.4], [0.75, 0.55]])
    mask = torch.stack([((rows / h) ** 2 + (columns / w) ** 2 < 1).float() for h, w in halves])
    image = torch.rand(4, 3, HEIGHT, WIDTH, generator=generator)
    image = torch.where(mask[:, None] > 0, image[:, :, :1, :1], image)
    return Batch(Sample(image, mask, torch.tensor([0, 0, 1, 1])))
