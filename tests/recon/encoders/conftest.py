"""A tiny template and tiny photos."""

import pytest
import torch

from recon.encoders import EncoderConfig
from recon.structures import Sample
from recon.template import Template, ellipsoid_template


@pytest.fixture(scope="session")
def tiny_template() -> Template:
    return ellipsoid_template(level=1)


@pytest.fixture
def photos():
    """A function: photos of `batch` people for a configuration, always the same ones."""

    def make(config: EncoderConfig, batch: int = 3) -> Sample:
        generator = torch.Generator().manual_seed(7)
        image = torch.rand(batch, 3, config.height, config.width, generator=generator)
        mask = torch.zeros(batch, config.height, config.width)
        mask[:, config.height // 8 : -config.height // 8, config.width // 4 : -config.width // 4] = 1
        return Sample(image, mask)

    return make
