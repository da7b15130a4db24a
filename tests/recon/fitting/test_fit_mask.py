from dataclasses import replace

import pytest
import torch
from drawn_masks import ellipse, segment, stick_figure
from small_meshes import torus

import recon.fitting.descent as descent
from recon.camera import project
from recon.fitting.descent import BestShape, Descent, SurfaceSmoother
from recon.fitting.fit_mask import FitConfig, fit_silhouette, frontal_camera
from recon.fitting.silhouette import bounding_box_ndc
from recon.geometry import mirror_partners, uniform_laplacian
from recon.metrics import mask_iou
from recon.render import RenderSettings, render_silhouette
from recon.template import Template, ellipsoid_template, template_from_arrays

SHORT = FitConfig(align_steps=20, render_steps=25)
"""Few steps, for masks of 64 x 32."""

TOY = replace(SHORT, align_steps=6, render_steps=8)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(2)


@pytest.fixture(scope="module")
def smoother(template: Template) -> SurfaceSmoother:
    return SurfaceSmoother(template, SHORT.smoothing)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(fit, template, size):
    """Hard coverage [B, H, W] of the fitted meshes."""
    ndc, in_camera = project(template.vertices + fit.offsets, fit.camera, *size)
    return (render_silhouette(ndc, in_camera, template.faces, size, RenderSettings())[1] >= 0).float()


def iou_of(masks, fit, template):
    return mask_iou(drawn(fit, template, tuple(masks.shape[1:])), masks)


def figures(count):
    return torch.stack([stick_figure(lean=0.03 * index) for index in range(count)])


# What a fit achieves.


def test_ellipses_are_matched(template, smoother):
    masks = torch.stack([ellipse(0.35, 0.6, (0.05, 0.2)), ellipse(0.15, 0.9)])
    fit = fit_silhouette(masks, template, SHORT, smoother)
    assert iou_of(masks, fit, template).min() > 0.93


def test_limbs_are_matched():
    template = ellipsoid_template(3)
    masks = stick_figure()[None]
    fit = fit_silhouette(masks, template, FitConfig())
    bare = fit_silhouette(masks, template, FitConfig(align_steps=0, render_steps=0))
    assert iou_of(masks, fit, template).item() > 0.7 > 0.6 > iou_of(masks, bare, template).item()


def test_rendering_improves_on_distances_alone(template, smoother):
    masks = torch.stack((ellipse(0.15, 0.9), CUT))
    rough = iou_of(masks, fit_silhouette(masks, template, replace(SHORT, render_steps=0), smoother), template)
    fine = iou_of(masks, fit_silhouette(masks, template, SHORT, smoother), template)
    assert (rough > 0.7).all() and (fine > rough + 0.05).all()


def test_the_result_is_the_best_step_and_not_the_last(template, smoother):
    """With an absurd step size the first step is the best one there is; a fit must not end worse than it began."""
    masks = ellipse()[None]
    wild = fit_silhouette(masks, template, replace(SHORT, align_steps=0, step_size=3.0), smoother)
    start = fit_silhouette(masks, template, replace(SHORT, align_steps=0, render_steps=1), smoother)
    assert iou_of(masks, wild, template) >= iou_of(masks, start, template)


def test_without_any_step_the_template_is_stretched_to_the_box(template, smoother):
    masks = ellipse(0.4, 0.5, (0.05, -0.1))[None]
    fit = fit_silhouette(masks, template, replace(SHORT, align_steps=0, render_steps=0), smoother)
    assert torch.allclose(bounding_box_ndc(drawn(fit, template, (64, 32))), bounding_box_ndc(masks), atol=0.11)
    assert fit.offsets[..., 1:].abs().max() < 1e-6


# The guess of depth.


def test_the_front_stays_in_front(template, smoother):
    """Every vertex of the front half against its partner on the back."""
    masks = torch.cat((figures(1), ellipse()[None]))
    fit = fit_silhouette(masks, template, SHORT, smoother)
    partners = mirror_partners(template.vertices, 2)
    front = template.vertices[:, 2] > 0.02
    for vertices in template.vertices + fit.offsets:
        assert (vertices[front, 2] > vertices[partners[front], 2]).all()


def test_a_thin_template_is_inflated():
    """Depth grows to the share of the inflated silhouette that is asked for."""
    flat = ellipsoid_template(2, (0.45, 0.9, 0.02))
    fit = fit_silhouette(ellipse(0.3, 0.8)[None], flat, replace(SHORT, align_steps=60))
    thickness = (flat.vertices + fit.offsets)[0, :, 2].amax()
    assert SHORT.thinnest * 0.1 < thickness < 1.3 * SHORT.thickness_cap


def test_the_surface_stays_smooth(template, smoother):
    masks = figures(1)
    fit = fit_silhouette(masks, template, SHORT, smoother)
    rough = uniform_laplacian(fit.offsets, template.topology).norm(dim=2)
    assert rough.mean() < 0.1 * fit.offsets.norm(dim=2).mean()


# One image must not see another.


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_a_fit_does_not_depend_on_its_batch(template, smoother, batch):
    masks = figures(batch)
    together = fit_silhouette(masks, template, TOY, smoother)
    for index in {0, batch - 1}:
        alone = fit_silhouette(masks[index : index + 1], template, TOY, smoother)
        assert torch.equal(alone.offsets[0], together.offsets[index])
        assert torch.equal(alone.camera.distance[0], together.camera.distance[index])
        assert torch.equal(alone.camera.offset[0], together.camera.offset[index])


def test_stopping_early_does_not_depend_on_the_batch(template, smoother):
    """The ellipse is done long before the figure, which keeps the batch alive; its result must be frozen by then."""
    config = replace(SHORT, align_steps=10, render_steps=30, patience=1)
    masks = torch.stack((ellipse(0.3, 0.8), stick_figure(), ellipse(0.2, 0.5)))
    together = fit_silhouette(masks, template, config, smoother)
    for index in range(3):
        alone = fit_silhouette(masks[index : index + 1], template, config, smoother)
        assert torch.equal(alone.offsets[0], together.offsets[index])


def test_early_stop_stops(template, smoother, monkeypatch):
    steps = []
    monkeypatch.setattr(descent.Descent, "direction", counted(descent.Descent.direction, steps))
    fit_silhouette(ellipse()[None], template, replace(SHORT, align_steps=10, render_steps=500, patience=2), smoother)
    assert 10 < len(steps) < 200


def counted(method, calls):
    def wrapper(*args):
        calls.append(1)
        return method(*args)

    return wrapper


def test_two_runs_are_equal(template):
    first, second = (fit_silhouette(figures(2), template, TOY) for _ in range(2))
    assert torch.equal(first.offsets, second.offsets)


def test_the_order_of_a_batch_does_not_matter(template, smoother):
    masks = figures(3)
    forward = fit_silhouette(masks, template, TOY, smoother)
    backward = fit_silhouette(masks.flip(0), template, TOY, smoother)
    assert torch.equal(forward.offsets, backward.offsets.flip(0))


# Strange input.

BORDER = torch.ones(64, 32)
THIN = torch.zeros(64, 32)
THIN[5:60, 16] = 1
PIXEL = torch.zeros(64, 32)
PIXEL[30, 10] = 1
FLAT = torch.zeros(64, 32)
FLAT[30, 2:30] = 1
RING = ellipse(0.45, 0.45) - ellipse(0.3, 0.3)
TWO = torch.maximum(ellipse(0.1, 0.6, (-0.3, 0)), ellipse(0.1, 0.6, (0.3, 0)))
CUT = segment((0.0, 0.4), (0.0, -3.0), 0.2)
LYING = segment((-0.35, -0.5), (0.35, -0.5), 0.1)
CHECKER = ((torch.arange(64)[:, None] + torch.arange(32)) % 2).float()


@pytest.mark.parametrize(
    "mask", [BORDER, THIN, PIXEL, FLAT, RING, TWO, CUT, LYING, CHECKER],
    ids=["full", "thin", "pixel", "flat", "ring", "two", "cut", "lying", "checker"],
)  # fmt: skip
def test_extreme_masks_give_finite_shapes(template, smoother, mask):
    fit = fit_silhouette(mask[None], template, SHORT, smoother)
    assert fit.offsets.isfinite().all()
    assert fit.camera.distance.isfinite().all() and fit.camera.offset.isfinite().all()


@pytest.mark.parametrize("mask, floor", [(BORDER, 0.97), (CUT, 0.95), (LYING, 0.95), (THIN, 0.9), (RING, 0.5)])
def test_what_extreme_masks_reach(template, smoother, mask, floor):
    fit = fit_silhouette(mask[None], template, SHORT, smoother)
    assert iou_of(mask[None], fit, template).item() > floor


def test_lying_people_are_not_rolled_out(template, smoother):
    """Four times as wide as high: the body is made lower as well as wider, so that its depth stays in proportion."""
    fit = fit_silhouette(LYING[None], template, SHORT, smoother)
    width, height, depth = (template.vertices + fit.offsets)[0].amax(dim=0) - (template.vertices + fit.offsets)[0].amin(
        dim=0
    )
    assert width / height == pytest.approx(4.5, rel=0.15)
    assert 0.3 < depth / height < 2


def test_an_empty_mask_is_refused(template, smoother):
    with pytest.raises(ValueError, match="has no bounding box"):
        fit_silhouette(torch.stack((ellipse(), torch.zeros(64, 32))), template, SHORT, smoother)


def test_templates_need_not_stand_in_the_origin(smoother, template):
    moved = template.with_vertices(template.vertices + torch.tensor([0.3, -0.5, 0.0]))
    masks = ellipse(0.3, 0.7, (0.1, 0.1))[None]
    config = replace(SHORT, align_steps=0, render_steps=0)
    assert iou_of(masks, fit_silhouette(masks, moved, config, smoother), moved) > 0.85


def test_a_template_with_a_hole():
    vertices, faces = torus()
    ring = template_from_arrays(vertices, faces)
    masks = (ellipse(0.45, 0.45) - ellipse(0.22, 0.22))[None]
    fit = fit_silhouette(masks, ring, SHORT)
    assert iou_of(masks, fit, ring).item() > 0.85


# The parts.


def test_frontal_cameras_frame_the_mask(template):
    masks = torch.stack((ellipse(0.2, 0.5, (0.1, 0.3)), ellipse()))
    camera = frontal_camera(masks, template)
    poles = torch.tensor([[0.0, 0.9, 0.0], [0.0, -0.9, 0.0]]).expand(2, -1, -1)
    ndc, _ = project(poles, camera, 64, 32)
    box = bounding_box_ndc(masks)
    assert torch.allclose(ndc[:, 0, 1], box[:, 3], atol=1e-5) and torch.allclose(ndc[:, 1, 1], box[:, 1], atol=1e-5)
    assert torch.allclose(ndc[:, 0, 0], (box[:, 0] + box[:, 2]) / 2, atol=1e-5)
    assert camera.azimuth_deg.abs().max() == 0 and camera.elevation_deg.abs().max() == 0


def test_smoother_is_the_filter_it_says(template):
    strengths = (30.0, 5.0, 0.3)
    smoother = SurfaceSmoother(template, strengths)
    count = len(template.vertices)
    linked = torch.zeros(count, count, dtype=torch.float64)
    for a, b in template.topology.edges.tolist():
        linked[a, b] = linked[b, a] = 1
    laplacian = torch.diag(linked.sum(dim=1)) - linked
    field = torch.randn(2, count, 3, generator=torch.Generator().manual_seed(0))
    for share, strength in ((0.0, 30.0), (0.5, 5.0), (0.999, 0.3), (1.0, 0.3)):
        inverse = torch.linalg.inv(torch.eye(count, dtype=torch.float64) + strength * laplacian)
        exact = (inverse @ inverse @ field.double()).float()
        assert (smoother(field, share) - exact).norm() < 0.01 * field.norm()
    constant = torch.ones(1, count, 3)
    assert torch.allclose(smoother(constant, 0.0), constant, atol=1e-4), "a motion of the whole body passes"


def test_descent_steps_are_as_long_as_the_longest_gradient_says():
    gradient = torch.zeros(2, 4, 3)
    gradient[0, 1, 0], gradient[0, 2, 1], gradient[1, 3, 2] = 5.0, -2.5, 1e-3
    state = Descent.start(torch.zeros(2, 4, 3))
    for _ in range(3):
        state = state.after(gradient)
        step = state.direction()
        assert step[0, 1].tolist() == pytest.approx([-1, 0, 0], abs=1e-5)
        assert step[0, 2].tolist() == pytest.approx([0, 0.5, 0], abs=1e-5)
        assert step[1, 3].tolist() == pytest.approx([0, 0, -1], abs=1e-5), "whatever the gradients' size"


def test_descent_without_gradient_stands_still():
    state = Descent.start(torch.zeros(1, 4, 3)).after(torch.zeros(1, 4, 3))
    assert torch.equal(state.direction(), torch.zeros(1, 4, 3))


def test_best_shape_is_kept_and_frozen():
    def apply_quality_gate(best, qualities, step):
        shape = torch.full((2, 1, 3), float(step))
        return best.updated(shape, torch.tensor(qualities), step, patience=2)

    best = BestShape.start(torch.full((2, 1, 3), -1.0))
    best = apply_quality_gate(best, [0.5, 0.1], 0)
    best = apply_quality_gate(best, [0.4, 0.2], 1)
    best = apply_quality_gate(best, [0.5, 0.3], 2)  # not better than before
    assert best.step.tolist() == [0, 2] and not best.final.any()
    best = apply_quality_gate(best, [0.9, 0.3], 3)  # too late for the first
    assert best.final.tolist() == [True, False]
    best = apply_quality_gate(best, [1.0, 0.4], 4)
    assert best.quality.tolist() == pytest.approx([0.5, 0.4])
    assert best.vertices[:, 0, 0].tolist() == [0, 4]
