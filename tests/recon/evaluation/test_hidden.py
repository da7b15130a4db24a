from dataclasses import replace

import pytest
import torch

from recon.camera import intrinsics_px, world_to_camera
from recon.evaluation.hidden import hidden_row
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth
from recon.structures import Camera
from recon.template import ellipsoid_template


@pytest.fixture(scope="module")
def scene() -> tuple[Surface, Camera, Truth]:
    template = ellipsoid_template(2)
    torch.manual_seed(0)
    texture = torch.nn.functional.interpolate(torch.rand(1, 3, 32, 16), (128, 64))
    surface = Surface(template.vertices.double(), template.faces, template.face_uv, texture)
    camera = Camera.frontal(1)
    rigid, intrinsics = world_to_camera(camera)[0].double(), intrinsics_px(camera, 64, 32).double()
    return surface, camera, Truth(surface, 0.0, 0.0, rigid, intrinsics, (64, 32))


def row(scene, texture: torch.Tensor) -> dict[str, float]:
    surface, camera, truth = scene
    return hidden_row(replace(surface, texture=texture), camera, truth, surface.canonical())


def test_the_truth_itself_is_perfect(scene):
    measured = row(scene, scene[0].texture)
    assert measured["hidden_colour_error"] < 1e-5
    assert measured["hidden_sharpness"] == pytest.approx(1, abs=1e-4)
    assert measured["hidden_seam"] == pytest.approx(1, abs=1e-4)
    assert measured["hidden_ssim"] > 0.999


def test_fog_is_not_sharp_and_noise_is_too_sharp(scene):
    texture = scene[0].texture
    fog = row(scene, texture.mean(dim=(2, 3), keepdim=True).expand_as(texture))
    assert fog["hidden_sharpness"] < 0.1 and fog["hidden_colour_error"] > 0.01
    noise = row(scene, (texture + 0.3 * (torch.rand_like(texture) - 0.5)).clamp(0, 1))
    assert noise["hidden_sharpness"] > 1.2


def test_what_the_photo_shows_has_no_part(scene):
    texture = scene[0].texture.clone()
    texture[:, :, 76:116] = 0.0
    assert row(scene, texture)["hidden_colour_error"] < 0.01


def test_a_step_at_the_border_of_the_seen_half_is_a_seam(scene):
    texture = scene[0].texture.mean(dim=(2, 3), keepdim=True).expand_as(scene[0].texture).clone()
    even = row(scene, texture)["hidden_seam"]
    texture[:, :, 64:] = 0.0
    assert row(scene, texture)["hidden_seam"] > even + 0.2
