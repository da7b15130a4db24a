import pytest
import torch

from recon.predict import BRIGHTEST, exposed, exposure_gain, unexposed
from recon.structures import Attributes, Camera, Sample


def sample(person: float, around: float = 1.0) -> Sample:
    mask = torch.zeros(1, 32, 16)
    mask[:, 4:28, 4:12] = 1
    image = torch.where(mask[:, None] > 0, person, around).expand(1, 3, 32, 16)
    return Sample(image.contiguous(), mask)


def test_bright_people_are_darkened_and_others_left_alone():
    """The background has no say in it."""
    assert exposure_gain(sample(0.6)).item() == 1 and exposure_gain(sample(BRIGHTEST)).item() == 1
    assert exposure_gain(sample(1.0, around=0.0)).item() == pytest.approx(BRIGHTEST)


def test_a_few_highlights_do_not_matter():
    one = sample(0.5)
    one.image[:, :, 10, 6:9] = 1.0
    assert exposure_gain(one).item() == 1


def test_photos_of_different_exposure_look_alike_and_colours_come_back():
    bright = sample(0.9)
    gain = exposure_gain(bright)
    seen = exposed(bright, gain)
    assert seen.image[0, 0, 10, 6].item() == pytest.approx(BRIGHTEST)
    painted = Attributes(Camera.frontal(1), torch.zeros(1, 4, 3), torch.full((1, 3, 4, 2), BRIGHTEST))
    torch.testing.assert_close(unexposed(painted, gain).texture, torch.full((1, 3, 4, 2), 0.9))
    assert unexposed(painted, gain / 2).texture.max() == 1


def test_an_empty_mask_is_left_alone():
    assert exposure_gain(Sample(torch.ones(1, 3, 8, 8), torch.zeros(1, 8, 8))).item() == 1
