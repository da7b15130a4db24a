"""A tiny learner, tiny photos of ellipses, and one step."""

from dataclasses import replace

import pytest
import torch

from recon.encoders import EncoderConfig, small_config
from recon.losses import LossWeights
from recon.structures import Sample
from recon.template import ellipsoid_template
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import Learner, make_learner
from recon.training.step import Batch, Moment, train_step

HEIGHT, WIDTH = 32, 32


@pytest.fixture(scope="session")
def tiny_encoder() -> EncoderConfig:
    return small_config(height=HEIGHT, width=WIDTH, back="mirrored", offset_rank=4)


@pytest.fixture(scope="session")
def ellipses() -> Batch:
    """Four photos: coloured ellipses of two identities on noise."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.linspace(-1, 1, HEIGHT)[:, None]
    columns = torch.linspace(-1, 1, WIDTH)[None]
    halves = torch.tensor([[0.8, 0.5], [0.7, 0.6], [0.9, 0.4], [0.75, 0.55]])
    mask = torch.stack([((rows / h) ** 2 + (columns / w) ** 2 < 1).float() for h, w in halves])
    image = torch.rand(4, 3, HEIGHT, WIDTH, generator=generator)
    image = torch.where(mask[:, None] > 0, image[:, :, :1, :1], image)
    return Batch(Sample(image, mask, torch.tensor([0, 0, 1, 1])))


@pytest.fixture
def make_tiny(tiny_encoder):
    """A function: a learner of tiny networks."""

    def make(seed: int = 0, with_critic: bool = False, smoothing: float = 0.0, **changes: object) -> Learner:
        return make_learner(
            replace(tiny_encoder, **changes),
            ellipsoid_template(level=1),
            OptimiserConfig(warmup_steps=0),
            seed=seed,
            with_critic=with_critic,
            offset_smoothing=smoothing,
        )

    return make


@pytest.fixture
def step(ellipses):
    """A function: one step with the given loss weights and settings."""

    def run(learner: Learner, weights: LossWeights, number: int = 0, in_epoch: int | None = None, **changes: object):
        config = StepConfig(losses=weights, **changes)
        moment = Moment(number, number if in_epoch is None else in_epoch, 0.5)
        return train_step(learner, ellipses, config, OptimiserConfig(warmup_steps=0), moment)

    return run
