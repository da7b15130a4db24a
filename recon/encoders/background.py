"""Background encoder: paints over the hole that the person leaves (published code; not in the paper)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.blocks import AttentiveResiduals, as_head, conv, upsampled
from recon.encoders.config import EncoderConfig
from recon.structures import Sample

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
