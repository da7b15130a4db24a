"""Evaluation: what must score near 1, what must not, and what must not matter (unit, place, lens of the truth)."""

from dataclasses import replace

import pytest
import torch
from evaluation_scenes import predictions_of
from torch import Tensor

from recon.camera import intrinsics_px, world_to_camera
from recon.evaluation.scores import Scores, score_batch, truth_row
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth, true_drawing, with_photo_colours
from recon.render import render
from recon.structures import Attributes, Camera, Sample, TexturedMesh
from recon.template import Template, ellipsoid_template

SIZE = (96, 48)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(level=3)


def bump_offsets(template: Template) -> Tensor:
    """A person-like asymmetry: a belly in front, one raised shoulder, a narrow waist."""
    x, y, z = template.vertices.unbind(dim=1)
    belly = 0.15 * torch.exp(-8 * (y + 0.1) ** 2) * (z > 0) * z / 0.225
    shoulder = 0.12 * torch.exp(-20 * ((x - 0.3) ** 2 + (y - 0.5) ** 2))
    return torch.stack((-0.3 * x * torch.exp(-6 * y**2), shoulder, belly), dim=1)


def body_colours(points: Tensor) -> Tensor:
    """Green trousers; a red front and a blue back with stripes."""
    x, y, z = points.unbind(dim=-1)
    front = torch.sigmoid(20 * z)
    stripes = 0.5 + 0.3 * torch.sin(14 * y) * torch.cos(6 * x)
    upper = torch.stack((front * stripes + 0.1, 0.1 + 0 * x, (1 - front) * stripes + 0.1), dim=-1)
    lower = torch.stack((0.1 + 0 * x, stripes, 0.1 + 0 * x), dim=-1)
    return torch.where((y > 0)[..., None], upper, lower).clamp(0, 1)


def sphere_texture(height: int = 128, width: int = 64) -> Tensor:
    """`body_colours` of the template's ellipsoid in its own layout."""
    v = 1 - (torch.arange(height) + 0.5) / height
    u = (torch.arange(width) + 0.5) / width
    x = torch.sin((u - 0.5) * torch.pi)[None].expand(height, width)
    ring = torch.cos((u - 0.5) * torch.pi)[None]
    angle = (0.5 - v)[:, None] * 2 * torch.pi
    points = torch.stack((x * 0.45, 0.9 * ring * torch.cos(angle), 0.225 * ring * torch.sin(angle)), dim=-1)
    return body_colours(points).permute(2, 0, 1)


def camera_at(azimuth: float, elevation: float = 8.0) -> Camera:
    return Camera(
        torch.tensor([azimuth]), torch.tensor([elevation]), torch.tensor([2.8]), torch.tensor([[0.05, -0.04]])
    )


def true_scene(template: Template, azimuth: float = 30.0) -> tuple[Attributes, Sample, Truth]:
    """Perfect attributes, the photo they draw, and the truth in vertex colours."""
    attributes = Attributes(camera_at(azimuth), bump_offsets(template)[None], sphere_texture()[None])
    vertices = template.vertices + attributes.offsets
    mesh = TexturedMesh(vertices, template.faces, template.face_uv, attributes.texture)
    drawn = render(mesh, attributes.camera, SIZE)
    grey = torch.full((1, 3, *SIZE), 0.4)
    mask = (drawn.face_index >= 0).float()
    sample = Sample(torch.where(mask[:, None] > 0, drawn.image, grey), mask)
    surface = Surface(vertices[0], template.faces, body_colours(template.vertices)[template.faces])
    return attributes, sample, truth_of(surface, attributes.camera)


def truth_of(surface, camera: Camera) -> Truth:
    return Truth(
        surface=surface,
        azimuth_deg=float(camera.azimuth_deg),
        elevation_deg=float(camera.elevation_deg),
        world_to_camera=world_to_camera(camera)[0],
        intrinsics=intrinsics_px(camera, *SIZE),
        image_size=SIZE,
    )


def scored(attributes: Attributes, sample: Sample, template: Template, truths: list[Truth]) -> Scores:
    columns = dict(score_batch(attributes, sample, template).columns)
    answers = predictions_of(attributes, template)
    for answer, image, mask, truth in zip(answers, sample.image, sample.mask, truths, strict=True):
        for name, value in truth_row(answer, image, mask, truth, template).items():
            columns[name] = (*columns.get(name, ()), value)
    return Scores(columns)


def figures(attributes: Attributes, sample: Sample, template: Template, truth: Truth) -> dict[str, float]:
    return scored(attributes, sample, template, [truth]).summary()


@pytest.fixture(scope="module")
def perfect(template) -> dict[str, float]:
    return figures(*true_scene(template)[:2], template, true_scene(template)[2])


VIEWS = ("novel", "back", "body_near", "body_far")


def test_perfect_prediction_scores_near_one(perfect):
    for name in ("mask_iou", "truth_mask_iou", *(f"{views}_mask_iou" for views in VIEWS)):
        assert perfect[name] > 0.93, name
    for name in ("ssim", "ssim_in_mask", *(f"{views}_ssim" for views in VIEWS)):
        assert perfect[name] > 0.95, name
    assert perfect["volume_iou"] == 1.0
    assert perfect["chamfer"] < 1e-3
    for name in ("azimuth_error_deg_median", "elevation_error_deg", "distance_error", "azimuth_spread_deg"):
        assert perfect[name] == pytest.approx(0.0, abs=0.1), name
    assert perfect["front_back_accuracy"] == perfect["azimuth_within_20_deg"] == 1.0


def test_trivial_answers_score_below(perfect):
    assert perfect["billboard_novel_mask_iou"] < 0.5 < perfect["novel_mask_iou"]
    assert perfect["billboard_volume_iou"] < 0.2
    assert perfect["billboard_chamfer"] > 0.04
    assert perfect["billboard_back_ssim"] < perfect["back_ssim"] - 0.1, "its back shows the front"
    assert 0.5 < perfect["template_novel_mask_iou"] < perfect["novel_mask_iou"] - 0.03
    assert perfect["template_volume_iou"] < 0.95
    assert perfect["template_novel_ssim"] < perfect["novel_ssim"] - 0.05


def scaled(truth: Truth, unit: float, shift: Tensor) -> Truth:
    """The same scene in another unit of length and with another origin."""
    rigid = truth.world_to_camera.clone().double()
    rigid[:3, 3] = unit * rigid[:3, 3] - rigid[:3, :3] @ shift.double()
    vertices = unit * truth.surface.vertices.double() + shift
    return replace(truth, surface=replace(truth.surface, vertices=vertices), world_to_camera=rigid)


def test_unit_and_origin_of_the_truth_do_not_matter(template, perfect):
    attributes, sample, truth = true_scene(template)
    moved = figures(attributes, sample, template, scaled(truth, 100.0, torch.tensor([30.0, 90.0, -20.0])))
    for name, value in perfect.items():
        assert moved[name] == pytest.approx(value, abs=0.004), name


@pytest.mark.slow
def test_vertices_of_the_truth_that_no_face_uses_do_not_matter(template, perfect):
    attributes, sample, truth = true_scene(template)
    vertices = torch.cat((truth.surface.vertices, torch.tensor([[0.0, 9.0, 0.0]])))
    stray = replace(truth, surface=replace(truth.surface, vertices=vertices))
    assert figures(attributes, sample, template, stray) == pytest.approx(perfect, abs=1e-6)


@pytest.mark.slow
def test_resolution_of_the_truth_does_not_matter(template, perfect):
    attributes, sample, truth = true_scene(template)
    finer = replace(truth, intrinsics=intrinsics_px(attributes.camera, 4 * SIZE[0], 4 * SIZE[1]), image_size=(384, 192))
    moved = figures(attributes, sample, template, finer)
    assert moved == pytest.approx(perfect, abs=1e-4)


def test_lens_of_the_truth_does_not_matter(template, perfect):
    """A lens of twice the focal length from twice as far: the photo changes little, the scores hardly."""
    attributes, _, truth = true_scene(template)
    far = replace(attributes.camera, distance=2 * attributes.camera.distance, focal=5.0)
    far_truth = truth_of(truth.surface, far)
    image, mask = true_drawing(far_truth, SIZE)
    scores = figures(attributes, Sample(image[None], mask[None]), template, far_truth)
    assert scores["mask_iou"] > 0.93
    assert scores["distance_error"] < 0.02
    for name in ("novel_mask_iou", "novel_ssim", "back_mask_iou", "back_ssim", "chamfer", "volume_iou"):
        assert scores[name] == pytest.approx(perfect[name], abs=0.01), name


@pytest.mark.slow
def test_front_taken_for_back_is_caught_by_the_camera_alone(template, perfect):
    """A body built back to front under a camera half a turn off explains the photo and every relative view."""
    attributes, sample, truth = true_scene(template)
    turn = torch.tensor([-1.0, 1.0, -1.0])
    vertices = (template.vertices + attributes.offsets) * turn
    reversed_body = replace(attributes, camera=attributes.camera.turned(180.0), offsets=vertices - template.vertices)
    scores = figures(reversed_body, sample, template, truth)
    assert scores["ssim"] == pytest.approx(perfect["ssim"], abs=0.02)
    assert scores["novel_mask_iou"] == pytest.approx(perfect["novel_mask_iou"], abs=0.01)
    assert scores["azimuth_error_deg_median"] == pytest.approx(180.0, abs=0.1)
    assert scores["front_back_accuracy"] == 0.0
    assert scores["volume_iou"] < perfect["volume_iou"] - 0.05, "its own front is not the front"


def test_camera_on_the_wrong_side_is_caught_in_every_view(template, perfect):
    attributes, sample, truth = true_scene(template)
    swapped = replace(attributes, camera=attributes.camera.turned(180.0))
    scores = figures(swapped, sample, template, truth)
    assert scores["front_back_accuracy"] == 0.0
    for name in ("ssim", "novel_ssim", "back_ssim", "novel_mask_iou"):
        assert scores[name] < perfect[name] - 0.05, name
    for name in ("body_near_mask_iou", "body_far_ssim", "template_body_near_mask_iou"):
        assert scores[name] == pytest.approx(perfect[name], abs=1e-4), f"{name}: the body has no part in it"


def test_flat_prediction_fails_from_the_side_only(template, perfect):
    attributes, sample, truth = true_scene(template, azimuth=0.0)
    vertices = (template.vertices + attributes.offsets) * torch.tensor([1.0, 1.0, 0.05])
    flat = replace(attributes, offsets=vertices - template.vertices)
    scores = figures(flat, sample, template, truth)
    assert scores["mask_iou"] > 0.9
    assert scores["novel_mask_iou"] < perfect["novel_mask_iou"] - 0.25


@pytest.mark.slow
def test_distance_error_is_relative(template):
    attributes, sample, truth = true_scene(template)
    camera = replace(attributes.camera, distance=1.1 * attributes.camera.distance)
    scores = figures(replace(attributes, camera=camera), sample, template, truth)
    assert scores["distance_error"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
def test_photo_light_is_fitted_per_channel(template):
    attributes, sample, truth = true_scene(template)
    gain = torch.tensor([0.5, 0.8, 0.9])
    lit = with_photo_colours(truth, sample.image[0] * gain[:, None, None], sample.mask[0])
    ratio = lit.surface.corner_values / with_photo_colours(truth, sample.image[0], sample.mask[0]).surface.corner_values
    torch.testing.assert_close(ratio.amax(dim=(0, 1)), gain, atol=1e-4, rtol=0)
    dark = replace(attributes, texture=attributes.texture * gain[:, None, None])
    scores = figures(dark, replace(sample, image=sample.image * gain[:, None, None]), template, truth)
    assert scores["novel_ssim"] > 0.95


def test_photos_without_truth_have_photo_measures_only(template):
    attributes, sample, truth = true_scene(template)
    plain = score_batch(attributes, sample, template)
    assert set(plain.summary()) == {"mask_iou", "ssim", "ssim_in_mask", "azimuth_spread_deg"}
    joined = Scores.joined([plain, scored(attributes, sample, template, [truth])])
    assert joined.count == 2
    assert len(joined.columns["azimuth_deg"]) == 2 and len(joined.columns["chamfer"]) == 1


@pytest.mark.slow
def test_empty_mask_spoils_no_other_image(template):
    attributes, sample, truth = true_scene(template)
    empty = replace(sample, mask=torch.zeros_like(sample.mask))
    scores = Scores.joined([scored(attributes, s, template, [truth]) for s in (empty, sample)])
    summary = scores.summary()
    assert all(torch.tensor(value).isfinite() for value in summary.values())
    assert len(scores.columns["billboard_chamfer"]) == 1 and len(scores.columns["chamfer"]) == 2
    assert summary["ssim_in_mask"] > 0.95


def test_summary_of_a_collapsed_camera():
    columns = {"azimuth_deg": (3.0, 3.0, 3.0), "azimuth_error_deg": (3.0, 90.0, 177.0)}
    summary = Scores(columns).summary()
    assert summary["azimuth_spread_deg"] == pytest.approx(0.0, abs=1e-3)
    assert summary["azimuth_error_deg_median"] == 90.0
    assert summary["azimuth_error_deg_mean"] == 90.0
    assert summary["azimuth_within_20_deg"] == pytest.approx(1 / 3)


def test_scores_do_not_depend_on_batching(template):
    scenes = [true_scene(template, azimuth) for azimuth in (10.0, 200.0)]
    parts = [scored(a, s, template, [t]) for a, s, t in scenes]
    cameras = [a.camera for a, _, _ in scenes]
    both = Attributes(
        Camera(
            *(
                torch.cat([getattr(c, n) for c in cameras])
                for n in ("azimuth_deg", "elevation_deg", "distance", "offset")
            )
        ),
        torch.cat([a.offsets for a, _, _ in scenes]),
        torch.cat([a.texture for a, _, _ in scenes]),
    )
    sample = Sample(torch.cat([s.image for _, s, _ in scenes]), torch.cat([s.mask for _, s, _ in scenes]))
    whole = scored(both, sample, template, [t for _, _, t in scenes])
    for name, values in Scores.joined(parts).columns.items():
        assert whole.columns[name] == pytest.approx(values, abs=1e-5), name
