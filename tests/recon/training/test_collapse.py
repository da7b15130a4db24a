import pytest
import torch

from recon.training.collapse import CollapseFigures, collapse_figures, collapse_warnings

SOUND = CollapseFigures(azimuth_spread_deg=80.0, front_share=0.55, mean_offset=0.08, critic_gap=0.3)


def test_figures():
    azimuth_deg = torch.tensor([0.0, 20.0, -20.0, 180.0])
    figures = collapse_figures(azimuth_deg, torch.tensor([0.1, 0.2, 0.3, 0.4]), 1.5)
    assert figures.front_share == 0.75
    assert figures.mean_offset == pytest.approx(0.25)
    assert figures.critic_gap == 1.5
    assert figures.azimuth_spread_deg > 60


def test_a_constant_camera_has_no_spread_wherever_it_looks():
    for azimuth in (0.0, 179.0, -179.0):
        around = torch.tensor([azimuth - 1, azimuth, azimuth + 1])
        assert collapse_figures(around, torch.full((3,), 0.1)).azimuth_spread_deg < 1


def test_a_sound_training_is_not_warned_of():
    assert collapse_warnings(SOUND) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"azimuth_spread_deg": 5.0}, "camera is collapsing"),
        ({"front_share": 1.0}, "taken for a front view"),
        ({"front_share": 0.0}, "taken for a back view"),
        ({"mean_offset": 0.4}, "shapes run away"),
        ({"mean_offset": 0.001}, "shapes do not move"),
        ({"critic_gap": 80.0}, "critic has run away"),
        ({"critic_gap": -80.0}, "critic has run away"),
    ],
)
def test_every_sign_is_named(changes, words):
    (warning,) = collapse_warnings(CollapseFigures(**{**vars(SOUND), **changes}))
    assert words in warning
