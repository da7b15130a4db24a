"""The market's views: boxes that cut and miss, seen from above, with no more detail than a frame holds."""

from dataclasses import replace

import numpy as np
import pytest

from mmgen.synth import NEUTRAL, BodyMesh, View, body_mesh, identity, render_view, street_camera
from mmgen.synth.framing import Place, Sight, framed, projected
from mmgen.synth.market import sample_market_view
from mmgen.synth.streams import stream
from mmgen.synth.view import Frame


@pytest.fixture(scope="module")
def mesh() -> BodyMesh:
    """A person at ease."""
    return body_mesh(identity(0, "train", 3, "market"), NEUTRAL, 0.03)


@pytest.fixture(scope="module")
def views(mesh: BodyMesh) -> list[View]:
    """Many views of that person."""
    return [
        sample_market_view(stream(0, "x", n, "view"), street_camera(0, n % 6 + 1, "market"), mesh, 0.5)
        for n in range(120)
    ]


@pytest.mark.parametrize("sight", [Sight(0.0, 0.0, 2.5), Sight(140.0, 24.0, 6.0), Sight(-70.0, -25.0, 1.4)])
@pytest.mark.parametrize("place", [Place(-0.8, 0.9, 0.0), Place(-1.4, 0.85, 0.4), Place(-0.2, 0.9, -0.5)])
def test_points_lie_where_they_should(sight: Sight, place: Place, mesh: BodyMesh) -> None:
    distance, offset = framed(mesh.vertices, sight, place, 0.5)
    places, depth = projected(mesh.vertices, sight, distance, np.array(offset), 0.5)
    low, high = places.min(axis=0), places.max(axis=0)
    np.testing.assert_allclose(
        [low[1], high[1], (low[0] + high[0]) / 2], [place.low, place.high, place.across], atol=0.03
    )
    assert depth.min() > 0.1


def test_boxes_fit_cut_feet_and_add_ground(views: list[View], mesh: BodyMesh) -> None:
    ends = []
    for view in views:
        sight = Sight(view.azimuth_deg, view.elevation_deg, view.street.focal)
        places, _ = projected(mesh.vertices, sight, view.distance, np.array(view.offset), 0.5)
        ends.append((places[:, 1].max(), places[:, 1].min()))
    heads, feet = np.array(ends).T
    assert 0.1 < np.mean(feet < -1.02) < 0.4 and feet.min() > -1.55, "feet are cut, knees at most"
    assert 0.05 < np.mean(feet > -0.72) < 0.3, "ground below"
    assert np.mean(heads > 1) < 0.15 and heads.max() < 1.15


def test_cameras_look_down_through_long_lenses(views: list[View]) -> None:
    assert all(view.elevation_deg > 0 and view.street.focal >= 4 for view in views)
    assert len({view.street.focal for view in views}) > 2
    assert {view.behind for view in views} >= {"street", "passers_by"}


def test_a_small_frame_holds_less_detail(views: list[View], mesh: BodyMesh) -> None:
    sharp = replace(views[0], frame=None, street=replace(views[0].street, noise=0.0))
    detail = []
    for frame in (None, Frame(100, 90, 0.0), Frame(40, 90, 0.0), Frame(40, 90, 4.0)):
        image = render_view(mesh, replace(sharp, frame=frame), 128, 64).image.astype(float)
        assert image.shape == (128, 64, 3)
        detail.append(np.abs(np.diff(image, axis=1)).mean())
    assert detail == sorted(detail, reverse=True) and detail[3] < 0.7 * detail[0]


def test_the_same_view_gives_the_same_bytes(views: list[View], mesh: BodyMesh) -> None:
    first, second = (render_view(mesh, views[1], 64, 32).image for _ in range(2))
    assert np.array_equal(first, second)
