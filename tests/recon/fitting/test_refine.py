"""Refinement on bodies whose right answer is known: silhouettes improve, unseen sides and batches stay sound."""

from dataclasses import replace

import pytest
import torch

from recon.camera import in_camera_frame, world_to_camera
from recon.fitting.descent import SurfaceSmoother
from recon.fitting.refine import RefineConfig, refine_shape
from recon.metrics import mask_iou
from recon.render import render
from recon.structures import Attributes, Camera, Sample, TexturedMesh
from recon.template import Template, ellipsoid_template

SIZE = (64, 32)
CONFIG = RefineConfig(steps=30)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(2, (0.3, 0.8, 0.2))


@pytest.fixture(scope="module")
def smoother(template: Template) -> SurfaceSmoother:
    return SurfaceSmoother(template, CONFIG.smoothing)


def cameras(azimuths: tuple[float, ...]) -> Camera:
    like = torch.tensor(azimuths)
    return Camera(like, torch.full_like(like, 5.0), torch.full_like(like, 2.8), torch.zeros(len(like), 2))


def covered(template: Template, offsets: torch.Tensor, camera: Camera) -> torch.Tensor:
    texture = torch.rand(len(offsets), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mesh = TexturedMesh(template.vertices + offsets, template.faces, template.face_uv, texture)
    return (render(mesh, camera, SIZE).face_index >= 0).float()


@pytest.fixture(scope="module")
def scene(template: Template) -> tuple[Attributes, Sample]:
    """Five bodies, wider below and shifted, seen from five sides; the encoder answered with plain ellipsoids."""
    azimuths = (0.0, 70.0, 180.0, -100.0, 30.0)
    true = torch.zeros(5, len(template.vertices), 3)
    for index in range(5):
        wider = 1 + (0.1 + 0.05 * index) * (template.vertices[:, 1:2] < 0).float()
        true[index] = template.vertices * torch.cat((wider, torch.ones_like(wider), wider), 1) - template.vertices
    true_camera = cameras(azimuths)
    true_camera = replace(true_camera, offset=torch.tensor([[0.03, -0.02]]).expand(5, 2).contiguous())
    mask = covered(template, true, true_camera)
    answer = Attributes(cameras(azimuths), torch.zeros_like(true), torch.rand(5, 3, 16, 8), torch.rand(5, 9))
    return answer, Sample(torch.rand(5, 3, *SIZE), mask)


@pytest.fixture(scope="module")
def refined(scene, template, smoother) -> Attributes:
    return refine_shape(*scene, template, CONFIG, smoother)


def test_silhouettes_become_the_masks(scene, refined, template):
    before = mask_iou(covered(template, scene[0].offsets, scene[0].camera), scene[1].mask)
    after = mask_iou(covered(template, refined.offsets, refined.camera), scene[1].mask)
    assert before.max() < 0.9 and after.min() > 0.95


def test_texture_and_light_stay(scene, refined):
    assert refined.texture is scene[0].texture and refined.light is scene[0].light


def test_cameras_move_little(scene, refined):
    before, after = scene[0].camera, refined.camera
    assert (after.azimuth_deg - before.azimuth_deg).abs().max() <= CONFIG.turn_deg
    assert (after.elevation_deg - before.elevation_deg).abs().max() <= CONFIG.tilt_deg
    assert (after.distance / before.distance - 1).abs().max() <= CONFIG.stretch
    assert (after.offset - before.offset).abs().max() <= CONFIG.slide
    assert (after.offset[:, 0] > 0.01).all(), "towards the person"


def test_nothing_moves_along_the_line_of_sight(scene, refined):
    """A silhouette says nothing about depth; what moved, moved across the picture."""
    axis = world_to_camera(scene[0].camera)[:, 2, :3]
    along = (refined.offsets * axis[:, None]).sum(dim=2).square().mean(dim=1).sqrt()
    across = refined.offsets.square().sum(dim=2).mean(dim=1).sqrt()
    assert (along < 0.4 * across).all()


def test_a_result_does_not_depend_on_its_batch(scene, refined, template, smoother):
    """To the last bit: alone, in another order, and beside others."""
    answer, sample = scene
    for chosen in ([3], [4, 3, 0]):
        part = Attributes(
            Camera(*(getattr(answer.camera, name)[chosen] for name in ("azimuth_deg", "elevation_deg", "distance")),
                   answer.camera.offset[chosen]),
            answer.offsets[chosen], answer.texture[chosen],
        )  # fmt: skip
        again = refine_shape(part, Sample(sample.image[chosen], sample.mask[chosen]), template, CONFIG, smoother)
        assert torch.equal(again.offsets, refined.offsets[chosen])
        assert torch.equal(again.camera.azimuth_deg, refined.camera.azimuth_deg[chosen])
        assert torch.equal(again.camera.offset, refined.camera.offset[chosen])


def test_a_perfect_answer_is_kept(template, smoother):
    camera = cameras((20.0,))
    offsets = torch.zeros(1, len(template.vertices), 3)
    sample = Sample(torch.rand(1, 3, *SIZE), covered(template, offsets, camera))
    answer = Attributes(camera, offsets, torch.rand(1, 3, 16, 8))
    assert torch.equal(refine_shape(answer, sample, template, CONFIG, smoother).offsets, offsets)


def test_callers_may_have_switched_gradients_off(scene, template, smoother):
    with torch.no_grad():
        moved = refine_shape(*scene, template, replace(CONFIG, steps=2), smoother)
    assert not torch.equal(moved.offsets, scene[0].offsets) and not moved.offsets.requires_grad


def test_no_steps_change_nothing(scene, template):
    assert refine_shape(*scene, template, replace(CONFIG, steps=0)) is scene[0]


def test_a_look_at_offset_is_the_same_view_in_the_camera_frame():
    world = Camera(
        torch.tensor([0.0, 100.0]), torch.tensor([10.0, -15.0]), torch.tensor([3.0, 2.0]),
        torch.tensor([[0.2, -0.1], [0.3, 0.2]]), offset_frame="world",
    )  # fmt: skip
    same = in_camera_frame(world)
    assert same.offset_frame == "camera"
    torch.testing.assert_close(world_to_camera(same), world_to_camera(world), atol=1e-5, rtol=0)
