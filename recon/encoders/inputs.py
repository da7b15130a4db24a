"""What the networks see: four normalised channels; and what the texture is copied from."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.encoders.config import InputBackground
from recon.structures import Sample

CHANNEL_MEAN = (0.485, 0.456, 0.406, 0.5)
CHANNEL_STD = (0.229, 0.224, 0.225, 1.0)


def over_white(image: Float[Tensor, "B 3 H W"], mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B 3 H W"]:
    """The person on white."""
    return image * mask[:, None] + (1 - mask[:, None])


def network_input(sample: Sample, background: InputBackground) -> Float[Tensor, "B 4 H W"]:
    """RGB and mask, normalised per channel as for ImageNet; the mask becomes -0.5 or 0.5.

    Args:
        background: outside the mask, "real" keeps the photo, "white" paints it white, "grey" the channel mean (zero
            after normalisation).
    """
    image = over_white(sample.image, sample.mask) if background == "white" else sample.image
    stacked = torch.cat((image, sample.mask[:, None]), dim=1)
    normalised = (stacked - stacked.new_tensor(CHANNEL_MEAN)[:, None, None]) / stacked.new_tensor(CHANNEL_STD)[
        :, None, None
    ]
    if background == "grey":
        normalised = torch.cat((normalised[:, :3] * sample.mask[:, None], normalised[:, 3:]), dim=1)
    return normalised
