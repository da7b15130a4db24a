import math

import pytest
import torch

from recon.camera import project
from recon.encoders import CAMERA_RANGES, CameraRanges
from recon.encoders.alignment import image_points, mean_camera, published_points, view_code, view_of
from recon.structures import Camera
from recon.template import icosphere


def test_image_points_follow_the_camera_and_point_down(tiny_template):
    vertices = tiny_template.vertices[None]
    head, feet = int(vertices[0, :, 1].argmax()), int(vertices[0, :, 1].argmin())
    points = image_points(vertices, mean_camera(CAMERA_RANGES["market"], vertices), 128, 64)
    assert points[0, head, 1] < -0.5 < 0.5 < points[0, feet, 1]
    published = published_points(vertices[0])
    assert published[0, head, 1] > 0 > published[0, feet, 1]

    turned = Camera.frontal(1).turned(90.0)
    ndc, _ = project(vertices, turned, 128, 64)
    torch.testing.assert_close(image_points(vertices, turned, 128, 64)[..., 0], ndc[..., 0])


def test_mean_camera_stands_mid_range():
    camera = mean_camera(CAMERA_RANGES["cub"], torch.zeros(1))
    assert (camera.elevation_deg.item(), camera.distance.item(), camera.azimuth_deg.item()) == (15.0, 4.5, 0.0)


@pytest.mark.parametrize("azimuth_deg", [0.0, 90.0, -135.0])
def test_facing_is_one_towards_the_camera(azimuth_deg):
    vertices, faces = icosphere(2)
    camera = Camera.frontal(1, 4.0, dtype=torch.float64).turned(azimuth_deg)
    seen = view_of(vertices[None], faces, camera, CAMERA_RANGES["market"], (128, 64))
    angle = math.radians(azimuth_deg)
    direction = torch.tensor([[math.sin(angle), 0, math.cos(angle)]], dtype=torch.float64)
    torch.testing.assert_close(seen.facing[0], vertices @ direction.T, atol=0.04, rtol=0)
    torch.testing.assert_close(seen.points, image_points(vertices[None], camera, 128, 64))


def test_view_code_spans_the_ranges():
    ranges = CameraRanges((0.0, 30.0), (2.0, 6.0))
    camera = Camera(
        torch.tensor([0.0, 90.0]),
        torch.tensor([0.0, 30.0]),
        torch.tensor([6.0, 4.0]),
        torch.tensor([[0.1, 0], [0, -1]]),
    )
    expected = torch.tensor([[1, 0, -1, 1, 0.1, 0], [0, 1, 1, 0, 0, -1]])
    torch.testing.assert_close(view_code(camera, ranges), expected, atol=1e-6, rtol=0)
