"""Turning people round: only those whose camera says otherwise, and to the mirrored depth."""

from dataclasses import replace

import pytest
import torch

from recon.facing import faces, turned_round
from recon.structures import Camera


def cameras(*azimuths: float) -> Camera:
    return replace(Camera.frontal(len(azimuths)), azimuth_deg=torch.tensor(azimuths))


def test_who_faces_elsewhere_is_mirrored_in_depth() -> None:
    camera, wrong = turned_round(cameras(10.0, 170.0, -160.0, 30.0, 30.0), ["front", "front", "front", "back", None])
    assert camera.azimuth_deg.tolist() == [10.0, 10.0, -20.0, 150.0, 30.0]
    assert wrong == [1, 2, 3]


def test_sideways_people_are_mirrored_left_to_right() -> None:
    camera, wrong = turned_round(cameras(80.0, 80.0), ["left", "right"])
    assert camera.azimuth_deg.tolist() == [80.0, -80.0] and wrong == [1]


@pytest.mark.parametrize(("azimuth", "facing"), [(-89.0, "front"), (350.0, "front"), (180.0, "back")])
def test_azimuths_have_a_facing(azimuth: float, facing: str) -> None:
    other = {"front": "back", "back": "front"}[facing]
    assert faces(azimuth, facing) and not faces(azimuth, other)
