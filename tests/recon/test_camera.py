import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.camera import (
    camera_centre_world,
    faces,
    intrinsics_px,
    project,
    project_camera,
    project_matrices,
    transform_points,
    turned_round,
    world_to_camera,
)
from recon.structures import Camera

DOUBLE = {"dtype": torch.float64}


def orbit(azimuth=0.0, elevation=0.0, distance=4.0, offset=(0.0, 0.0), frame="camera", focal=2.5):
    values = [torch.tensor([value], **DOUBLE) for value in (azimuth, elevation, distance)]
    return Camera(*values, torch.tensor([offset], **DOUBLE), focal, frame)


def points(*rows):
    return torch.tensor([rows], **DOUBLE)


def ndc_of(point, camera, height=128, width=64):
    return project(points(point), camera, height, width)[0][0, 0]


cameras = st.builds(
    orbit,
    azimuth=st.floats(-720, 720),
    elevation=st.floats(-80, 80),
    distance=st.floats(1.5, 8),
    offset=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    frame=st.sampled_from(["camera", "world"]),
    focal=st.floats(0.5, 5),
)


def test_published_example():
    corner = ndc_of((0.45, 0.9, 0.0), orbit())
    assert torch.allclose(corner, torch.tensor([0.5625, 0.5625], **DOUBLE), atol=1e-12)


def test_field_of_view_is_vertical():
    # focal 1 and distance 1: half of the image height spans one unit, whatever the width.
    for width in (32, 64, 200):
        assert ndc_of((0.0, 1.0, 0.0), orbit(distance=1.0, focal=1.0), 128, width)[1] == pytest.approx(1.0)
        assert ndc_of((1.0, 0.0, 0.0), orbit(distance=1.0, focal=1.0), 128, width)[0] == pytest.approx(128 / width)


@pytest.mark.parametrize(
    "azimuth, elevation, expected",
    [(0, 0, (0, 0, 4)), (90, 0, (4, 0, 0)), (180, 0, (0, 0, -4)), (-90, 0, (-4, 0, 0)), (0, 90, (0, 4, 0))],
)
def test_where_the_camera_stands(azimuth, elevation, expected):
    centre = camera_centre_world(orbit(azimuth, elevation))[0]
    assert torch.allclose(centre, torch.tensor(expected, **DOUBLE), atol=1e-12)


def test_what_each_side_sees():
    """+x is on the right from the front, on the left from behind; from +x the front is on the left."""
    assert ndc_of((0.3, 0, 0), orbit(0))[0] > 0.1
    assert ndc_of((0.3, 0, 0), orbit(180))[0] < -0.1
    assert ndc_of((0, 0, 0.3), orbit(90))[0] < -0.1
    assert ndc_of((0, 0, 0.3), orbit(-90))[0] > 0.1
    _, in_camera = project(points((0, 0, 0.3), (0, 0, -0.3)), orbit(0), 8, 8)
    assert in_camera[0, 0, 2] > in_camera[0, 1, 2], "nearer is larger"


def test_raised_camera_looks_down():
    front_edge = ndc_of((0, 0, 0.5), orbit(elevation=30))
    assert front_edge[1] < -0.05
    assert torch.allclose(ndc_of((0, 0, 0), orbit(elevation=30)), torch.zeros(2, **DOUBLE), atol=1e-12)


@pytest.mark.parametrize("azimuth, sign", [(0, -1), (180, 1)])
def test_world_offset_moves_the_body_as_published(azimuth, sign):
    moved = ndc_of((0, 0, 0), orbit(azimuth, offset=(0.3, 0), frame="world"))[0]
    assert moved * sign > 0.1


def test_world_offset_hardly_moves_it_from_the_side():
    moved = ndc_of((0, 0, 0), orbit(90, offset=(0.3, 0), frame="world"))[0]
    assert abs(moved) < 1e-12


def test_world_offset_is_a_look_at_point():
    camera = orbit(40, 10, offset=(0.2, -0.1), frame="world")
    assert torch.allclose(ndc_of((0.2, -0.1, 0), camera), torch.zeros(2, **DOUBLE), atol=1e-12)
    assert ndc_of((0, 0, 0), orbit(0, offset=(0, 0.3), frame="world"))[1] < -0.1, "looking higher lowers the body"


@given(azimuth=st.floats(-180, 180), x=st.floats(-0.5, 0.5), y=st.floats(-0.5, 0.5))
@settings(max_examples=25, deadline=None)
def test_camera_offset_is_right_and_up_at_any_azimuth(azimuth, x, y):
    moved = ndc_of((0, 0, 0), orbit(azimuth, offset=(x, y)))
    assert torch.allclose(moved, torch.tensor([2.5 * 2 * x / 4, 2.5 * y / 4], **DOUBLE), atol=1e-12)


@given(cameras)
@settings(max_examples=25, deadline=None)
def test_the_transform_is_rigid(camera):
    matrix = world_to_camera(camera)[0]
    rotation = matrix[:3, :3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3, **DOUBLE), atol=1e-9)
    assert torch.linalg.det(rotation) == pytest.approx(1.0)
    assert matrix[3].tolist() == [0, 0, 0, 1]


@given(cameras)
@settings(max_examples=25, deadline=None)
def test_matrices_project_to_the_same_place(camera):
    cloud = torch.linspace(-0.4, 0.4, 15, **DOUBLE).sin().reshape(1, 5, 3)
    expected_ndc, expected_camera = project(cloud, camera, 96, 40)
    rigid, pinhole = world_to_camera(camera), intrinsics_px(camera, 96, 40)[None]
    ndc, in_camera = project_matrices(cloud, rigid, pinhole, 96, 40)
    assert torch.allclose(ndc, expected_ndc, atol=1e-9)
    assert torch.allclose(in_camera, expected_camera, atol=1e-12)


@pytest.mark.parametrize("row, column", [(0, 0), (0, 63), (127, 0), (100, 17)])
def test_intrinsics_and_ndc_name_the_same_pixel_centre(row, column):
    """NDC ((2j + 1 - W) / W, (H - 1 - 2i) / H) is the point (j + 0.5, i + 0.5) of the pixel frame."""
    height, width = 128, 64
    x, y = (2 * column + 1 - width) / width, (height - 1 - 2 * row) / height
    direction = torch.tensor([x * width / height / 2.5, y / 2.5, -1.0], **DOUBLE) * 3
    assert torch.allclose(
        project_camera(direction[None, None], 2.5, height, width)[0, 0], torch.tensor([x, y], **DOUBLE), atol=1e-12
    )
    matrix = intrinsics_px(orbit(), height, width)
    pixel = matrix @ (direction * torch.tensor([1.0, -1.0, -1.0], **DOUBLE))
    assert torch.allclose(pixel[:2] / pixel[2], torch.tensor([column + 0.5, row + 0.5], **DOUBLE), atol=1e-9)


def test_intrinsics_with_a_shifted_principal_point():
    """Cameras of other renderers need not be centred: 10 px to the right are 20 / W in NDC."""
    pinhole = intrinsics_px(orbit(), 128, 64)[None].clone()
    pinhole[0, 0, 2] += 10
    ndc, _ = project_matrices(points((0, 0, 0)), world_to_camera(orbit()), pinhole, 128, 64)
    assert ndc[0, 0].tolist() == pytest.approx([20 / 64, 0.0])


def test_every_image_has_its_own_camera():
    camera = Camera(torch.tensor([0.0, 90.0]), torch.tensor([0.0, 20.0]), torch.tensor([4.0, 2.0]), torch.zeros(2, 2))
    cloud = torch.rand(2, 7, 3, generator=torch.Generator().manual_seed(0))
    together, _ = project(cloud, camera, 64, 64)
    for index in range(2):
        alone, _ = project(cloud[index : index + 1], camera.at(index), 64, 64)
        assert torch.equal(alone[0], together[index])


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_gradients_of_the_whole_chain(frame):
    cloud = points((0.1, 0.7, 0.2), (-0.3, -0.5, 0.1)).requires_grad_()
    values = [torch.tensor([value], **DOUBLE).requires_grad_() for value in (37.0, -11.0, 3.0)]
    offset = torch.tensor([[0.1, -0.2]], **DOUBLE).requires_grad_()

    def chain(cloud, azimuth, elevation, distance, offset):
        camera = Camera(azimuth, elevation, distance, offset, offset_frame=frame)
        return torch.cat([part.flatten() for part in project(cloud, camera, 96, 40)])

    assert torch.autograd.gradcheck(chain, (cloud, *values, offset))


def test_gradients_of_matrix_projection():
    cloud = points((0.1, 0.7, 0.2), (-0.3, -0.5, 0.1)).requires_grad_()
    rigid = world_to_camera(orbit(30, 10)).requires_grad_()
    pinhole = intrinsics_px(orbit(), 96, 40)[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: project_matrices(*args, 96, 40)[0], (cloud, rigid, pinhole))


def test_turning_the_camera_is_turning_the_body_the_other_way():
    angle = math.radians(50)
    cloud = points((0.1, 0.7, 0.2), (-0.3, -0.5, 0.1))
    turn = torch.eye(4, **DOUBLE)[None].clone()
    turn[0, 0, 0] = turn[0, 2, 2] = math.cos(angle)
    turn[0, 0, 2], turn[0, 2, 0] = -math.sin(angle), math.sin(angle)
    start = orbit(20, 15, offset=(0.1, 0.2))
    expected, _ = project(transform_points(cloud, turn), start, 64, 64)
    turned, _ = project(cloud, start.turned(50.0), 64, 64)
    assert torch.allclose(turned, expected, atol=1e-12)


def test_turned_takes_one_angle_per_camera_and_keeps_the_rest():
    camera = replace(Camera.frontal(2, distance=3.0), focal=1.5, offset_frame="world")
    turned = camera.turned(torch.tensor([10.0, -20.0]))
    assert turned.azimuth_deg.tolist() == [10.0, -20.0]
    assert (turned.focal, turned.offset_frame) == (1.5, "world")
    assert torch.equal(turned.distance, camera.distance)
    assert camera.azimuth_deg.tolist() == [0.0, 0.0]


def test_at_is_a_batch_of_one_with_the_same_lens():
    camera = Camera(
        torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([5.0, 6.0]), torch.ones(2, 2), 1.7, "world"
    )
    last = camera.at(1)
    assert len(camera) == 2 and len(last) == 1
    assert (last.azimuth_deg.item(), last.elevation_deg.item(), last.distance.item()) == (2, 4, 6)
    assert (last.focal, last.offset_frame) == (1.7, "world")


def test_frontal_cameras_look_straight_and_share_no_memory():
    camera = Camera.frontal(3, distance=2.0, dtype=torch.float64)
    assert camera.distance.dtype == torch.float64
    assert camera.distance.tolist() == [2.0] * 3
    camera.azimuth_deg[0] = 7.0
    assert camera.elevation_deg.tolist() == [0.0] * 3 and camera.offset.abs().sum() == 0


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
