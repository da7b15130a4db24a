"""Photos as bright as those that networks were trained on; bright ones drive convolutions out of their range."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.structures import Attributes, Sample

BRIGHT_SHARE = 0.95
BRIGHTEST = 0.7
"""Grey value, 0..1, that 95 % of the person's pixels must not exceed; four of five procedural people stay below."""


def exposure_gain(sample: Sample) -> Float[Tensor, " B"]:
    """By what each photo is to be multiplied, at most 1, so that its person is not too bright."""
    gains = []
    for image, mask in zip(sample.image, sample.mask, strict=True):
        person = image.mean(dim=0)[mask > 0.5]
        bright = torch.quantile(person, BRIGHT_SHARE) if len(person) else person.new_zeros(())
        gains.append(BRIGHTEST / bright.clamp(min=BRIGHTEST))
    return torch.stack(gains)


def exposed(sample: Sample, gain: Float[Tensor, " B"]) -> Sample:
    """The photos in their new exposure."""
    return replace(sample, image=sample.image * gain[:, None, None, None])


def unexposed(attributes: Attributes, gain: Float[Tensor, " B"]) -> Attributes:
    """Textures and backgrounds that networks painted from darkened photos, as bright as the photos really are."""
    back = gain[:, None, None, None]
    background = None if attributes.background is None else (attributes.background / back).clamp(0, 1)
    return replace(attributes, texture=(attributes.texture / back).clamp(0, 1), background=background)
