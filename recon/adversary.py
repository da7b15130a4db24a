"""Discriminator of images with masks (paper table 10), for the WGAN-GP term."""

from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.blocks import as_head, conv, leaky

_LAYERS = (
    (16, 1, 1),
    (16, 3, 1),
    (32, 3, 2),
    (32, 3, 1),
    (48, 3, 2),
    (48, 3, 1),
    (64, 3, 2),
    (64, 3, 1),
    (64, 3, 2),
    (64, 3, 1),
    (64, 3, 2),
    (64, 3, 1),
    (48, 3, 2),
    (32, 1, 1),
)
"""Output channels, kernel and stride of every convolution but the last."""


class Discriminator(nn.Module):
    """Fifteen convolutions without norm or bias; the score is the mean over what remains of the grid."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 4
        for width, kernel, stride in _LAYERS:
            layers += [conv(channels, width, kernel, stride), leaky()]
            channels = width
        layers.append(as_head(nn.Conv2d(channels, 1, 1, bias=False)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image_and_mask: Float[Tensor, "B 4 H W"]) -> Float[Tensor, " B"]:
        """Scores, unbounded: higher means more like a photo.

        Args:
            image_and_mask: RGB with its background, then the mask, 0..1, not normalised.
        """
        return self.layers(image_and_mask).mean(dim=(1, 2, 3))
