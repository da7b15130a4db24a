"""Light encoder: nine spherical-harmonic coefficients (paper section 3.3, table 8); background encoder: paints over the
hole that the person leaves (published code; not in the paper).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from recon.encoders.blocks import (
    AttentiveResiduals,
    MixedPool,
    as_head,
    batch_norm_1d,
    conv,
    conv_block,
    linear,
    upsampled,
)
from recon.encoders.config import EncoderConfig
from recon.structures import Sample

LIGHT_CENTRE = (3.0,) + (0.0,) * 8
LIGHT_REACH = (0.5,) + (0.1,) * 8


def _paper_layers(dropout: float) -> nn.Sequential:
    return nn.Sequential(
        *conv_block(4, 32, 5, 2, coordinates=True),
        *conv_block(32, 64, 5, 2, coordinates=True),
        *conv_block(64, 96, 5, 2),
        *conv_block(96, 192, 5, 2),
        *conv_block(192, 96, 5, 2),
        MixedPool(1),
        nn.Flatten(),
        linear(96, 48),
        batch_norm_1d(48),
        nn.Dropout(dropout),
        as_head(nn.Linear(48, 9)),
    )


def _small_layers() -> nn.Sequential:
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        *conv_block(16, 16, 3, 2, coordinates=True),
        *conv_block(16, 32, 3, 2),
        *conv_block(32, 48, 3, 2),
        MixedPool(1),
        nn.Flatten(),
        as_head(nn.Linear(48, 9)),
    )


class LightEncoder(nn.Module):
    """Image to light; starts at plain ambient light (3, 0, ..., 0)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.is_small = config.trunks == "small"
        self.layers = _small_layers() if self.is_small else _paper_layers(config.camera_dropout)

    def forward(self, inputs: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B 9"]:
        """Coefficient 0 in [2.5, 3.5], the others in [-0.1, 0.1]."""
        if self.is_small:
            inputs = functional.avg_pool2d(inputs, 2)
        raw = torch.tanh(self.layers(inputs))
        return raw.new_tensor(LIGHT_CENTRE) + raw * raw.new_tensor(LIGHT_REACH)


CHANNELS = 32


class BackgroundEncoder(nn.Module):
    """Photo without the person to a whole background; starts at mid-grey."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, CHANNELS, stride=2, bias=True), AttentiveResiduals(3, CHANNELS, norm=False)
        )
        self.paint = nn.Sequential(nn.Dropout2d(config.texture_dropout / 2), as_head(nn.Conv2d(CHANNELS, 3, 3, 1, 1)))

    def forward(self, sample: Sample) -> Float[Tensor, "B 3 H W"]:
        """Background colours, 0..1."""
        around = (sample.image * (1 - sample.mask[:, None])).contiguous(memory_format=torch.channels_last)
        return torch.sigmoid(self.paint(upsampled(self.features(around))))
