"""Photos that end above the feet: at the height that was asked for, with the head and the trunk inside."""

from dataclasses import replace

import numpy as np
import pytest

from mmgen.synth import (
    NEUTRAL,
    BodyMesh,
    CrowdOptions,
    body_mesh,
    identity,
    person_pictures,
    sample_view,
    street_camera,
)
from mmgen.synth.cut import ENDS, cut_view, end_height_m
from mmgen.synth.framing import Sight, projected
from mmgen.synth.skeleton import BONE
from mmgen.synth.streams import stream

WORLD = CrowdOptions(views=4, poses=1, height=48, width=24, step_m=0.03, style="world")


@pytest.fixture(scope="module")
def mesh() -> BodyMesh:
    """A person with an arm held out."""
    return body_mesh(identity(0, "train", 3), replace(NEUTRAL, arm_spread_deg=(90.0, 9.0)), 0.03)


def test_pictures_end_between_shin_and_waist_and_show_head_and_trunk(mesh: BodyMesh) -> None:
    skeleton = mesh.skeleton
    ends = []
    for number in range(40):
        view = sample_view(stream(0, "x", number, "view"), street_camera(0, 1), mesh.height_m)
        cut = cut_view(stream(0, "x", number, "cut"), view, mesh, 0.5)
        sight = Sight(cut.azimuth_deg, cut.elevation_deg, cut.street.focal)
        inner, _ = projected(skeleton.origin[[0, 1, 2]], sight, cut.distance, np.array(cut.offset), 0.5)
        assert np.abs(inner[1:]).max() < 0.99 and inner[2, 1] > 0
        heights = np.linspace(mesh.ground_y, mesh.height_m / 2, 400)
        along = skeleton.origin[0] * [1.0, 0.0, 1.0] + heights[:, None] * [0.0, 1.0, 0.0]
        places, _ = projected(along, sight, cut.distance, np.array(cut.offset), 0.5)
        ends.append(heights[np.abs(places[:, 1] + 1).argmin()])
    lowest, highest = end_height_m(skeleton, "shin") - 0.15, end_height_m(skeleton, "waist") + 0.15
    assert lowest < min(ends) < skeleton.origin[BONE["shank_l"], 1] and skeleton.origin[0, 1] < max(ends) < highest


def test_ends_are_in_the_order_of_the_body(mesh: BodyMesh) -> None:
    heights = [end_height_m(mesh.skeleton, end) for end in ENDS]
    assert heights == sorted(heights) and heights[0] > mesh.ground_y + 0.15


def test_the_share_is_kept_and_other_pictures_stay_as_they_are() -> None:
    whole, some, every = (list(person_pictures(replace(WORLD, cut=cut), "train", 0)) for cut in (0.0, 0.5, 1.0))
    for person in every:
        assert person.picture.mask[-1].any() and person.picture.mask.mean() / 255 > 0.15
    same = [np.array_equal(a.picture.image, b.picture.image) for a, b in zip(whole, some, strict=True)]
    also = [np.array_equal(a.picture.image, b.picture.image) for a, b in zip(every, some, strict=True)]
    assert all(a != b for a, b in zip(same, also, strict=True)) and any(same) and any(also)
