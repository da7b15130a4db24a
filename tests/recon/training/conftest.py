"""A tiny learner, tiny photos, and one step."""

import pytest
from tiny import ellipse_photos, tiny_learner

from recon.losses import LossWeights
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import Learner
from recon.training.step import Batch, TrainProgress, train_step


@pytest.fixture(scope="session")
def ellipses() -> Batch:
    return ellipse_photos()


@pytest.fixture
def make_tiny():
    """A function: a learner of tiny networks."""
    return tiny_learner


@pytest.fixture
def step(ellipses):
    """A function: one step with the given loss weights and settings."""

    def run(learner: Learner, weights: LossWeights, number: int = 0, in_epoch: int | None = None, **changes: object):
        config = StepConfig(losses=weights, **changes)
        moment = TrainProgress(number, number if in_epoch is None else in_epoch, 0.5)
        return train_step(learner, ellipses, config, OptimiserConfig(warmup_steps=0), moment)

    return run
