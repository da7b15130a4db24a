"""The contract of DIB-R in hand-written scenes, for every backend: who wins a pixel, what the mask sees, odd input."""

import math

import pytest
import torch
from render_samples import CHOICES, NAMES, Corners, body, draw_hard, triangles, values_and_gradients

from recon.render.api import dibr_rasterization, dibr_soft_mask, rasterize

ALL_OVER = ((-9.0, -9.0, -2.0), (9.0, -9.0, -2.0), (0.0, 9.0, -2.0))
LEFT_HALF = ((-9.0, -9.0, -1.0), (0.0, -9.0, -1.0), (0.0, 9.0, -1.0))
each_backend = pytest.mark.parametrize("choice", CHOICES, ids=NAMES)


@each_backend
def test_the_same_face_twice_is_won_by_the_lower_index(choice):
    _, index = draw_hard(triangles(ALL_OVER, ALL_OVER, ALL_OVER), (4, 4), choice)
    assert (index == 0).all()


@each_backend
def test_larger_z_is_nearer_whatever_the_order(choice):
    _, index = draw_hard(triangles(ALL_OVER, LEFT_HALF, ALL_OVER), (4, 4), choice)
    assert index[0].tolist() == [[1, 1, 0, 0]] * 4


@each_backend
def test_either_winding_is_drawn_and_the_normal_sign_culls(choice):
    scene = triangles(ALL_OVER[::-1], ALL_OVER)
    scene.normals_z[0] = torch.tensor([-1e-9, 0.0])
    assert (draw_hard(scene, (2, 3), choice)[1] == 1).all()
    scene.normals_z[0] = torch.tensor([0.0, 1.0])
    assert (draw_hard(scene, (2, 3), choice)[1] == 0).all()


@each_backend
def test_boxes_are_half_open(choice):
    # Pixel centres of a 4 x 4 image: -.75, -.25, .25, .75. The square reaches from centre to centre.
    low, high = -0.25, 0.75
    square = triangles(
        ((low, low, -1.0), (high, low, -1.0), (high, high, -1.0)),
        ((low, low, -1.0), (high, high, -1.0), (low, high, -1.0)),
    )
    covered = (draw_hard(square, (4, 4), choice)[1] >= 0)[0]
    # x from -0.25 (kept) to 0.75 (left out); y up, so rows 1 (0.25) and 2 (-0.25), and row 0 (0.75) is left out.
    assert covered.tolist() == [[False] * 4, [False, True, True, False], [False, True, True, False], [False] * 4]


@each_backend
def test_interpolation_is_affine_on_the_screen(choice):
    scene = triangles(((-4.0, -4.0, -1.0), (12.0, -4.0, -100.0), (-4.0, 12.0, -1.0)))
    features = torch.zeros(1, 1, 3, 1, dtype=torch.float64)
    features[0, 0, 1] = 16.0  # a ramp of one unit per NDC unit in x, zero at x = -4, whatever the depths
    drawn, _ = draw_hard(Corners(scene.z, scene.xy, features, scene.normals_z), (2, 4), choice)
    expected = torch.tensor([-0.75, -0.25, 0.25, 0.75], dtype=torch.float64) + 4
    assert drawn[0, 0, :, 0].double().tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@each_backend
def test_no_pixel_is_lost_on_shared_edges(choice):
    # A fan around a pixel centre whose spokes run through other centres.
    ring = [(math.cos(k * math.pi / 4) * 3, math.sin(k * math.pi / 4) * 3, -1.0) for k in range(8)]
    fan = triangles(*(((0.125, 0.125, -1.0), ring[k], ring[(k + 1) % 8]) for k in range(8)))
    assert (draw_hard(fan, (8, 8), choice)[1] >= 0).all()


@each_backend
def test_soft_mask_takes_the_first_faces_by_index(choice):
    backend, dtype = choice
    # One uncovered pixel at the origin; the near face comes third.
    far, near = 0.5, 0.01
    points = [((d, -9.0, -1.0), (d + 1, -9.0, -1.0), (d, 9.0, -1.0)) for d in (far, far, near)]
    scene = triangles(*points)
    nothing = torch.full((1, 1, 1), -1)

    def mask(knum: int) -> float:
        return float(dibr_soft_mask(scene.xy.to(dtype), nothing, 3.0, 2.0, knum, backend=backend))

    far_p, near_p = math.exp(-3 * far**2), math.exp(-3 * near**2)
    assert mask(0) == 0
    assert mask(1) == pytest.approx(far_p, rel=1e-5)
    assert mask(2) == pytest.approx(1 - (1 - far_p) ** 2, rel=1e-5)
    assert mask(3) == pytest.approx(1 - (1 - far_p) ** 2 * (1 - near_p), rel=1e-5)


@each_backend
def test_soft_mask_counts_faces_that_look_away_and_ends_at_the_box(choice):
    backend, dtype = choice
    scene = triangles(((0.3, -0.9, -1.0), (0.9, -0.9, -1.0), (0.3, 0.9, -1.0)))
    nothing = torch.full((1, 1, 20), -1)
    columns = (2 * torch.arange(20) - 19) / 20
    mask = dibr_soft_mask(scene.xy.to(dtype), nothing, 100.0, 0.2, backend=backend)[0, 0].double()
    expected = torch.where(columns < 0.1, 0.0, torch.exp(-100 * (columns - 0.3) ** 2))
    left = columns < 0.3
    assert torch.allclose(mask[left], expected[left].double(), atol=1e-5)
    assert (mask[left] > 0).sum() == 2


@each_backend
def test_covered_pixels_are_exactly_one_without_gradient(choice):
    backend, dtype = choice
    scene = body(1, 1, (24, 16))
    xy = scene.xy.to(dtype).requires_grad_()
    _, mask, index = dibr_rasterization(
        24, 16, scene.z.to(dtype), xy, scene.features.to(dtype), scene.normals_z.to(dtype), rast_backend=backend
    )
    assert (mask[index >= 0] == 1).all()
    (grad,) = torch.autograd.grad(mask[index >= 0].sum(), xy)
    assert not grad.any()


@each_backend
def test_depth_has_no_gradient_and_a_constant_feature_moves_nothing(choice):
    backend, dtype = choice
    scene = body(1, 1, (24, 16))
    z, xy = scene.z.to(dtype).requires_grad_(), scene.xy.to(dtype).requires_grad_()
    drawn, index = rasterize(24, 16, z, xy, torch.ones(*z.shape, 1, dtype=dtype), backend=backend)
    grad_z, grad_xy = torch.autograd.grad(drawn.sum(), (z, xy), allow_unused=True)
    assert grad_z is None or not grad_z.any()
    assert (index >= 0).any()
    assert grad_xy.abs().max() < 1e-4


@each_backend
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_faces_that_are_not_finite_do_not_exist(choice, bad):
    size = (24, 16)
    scene = body(1, 1, size)
    spoilt = scene.xy.clone()
    spoilt[0, 3, 1, 0] = bad
    without = [face for face in range(80) if face != 3]
    rest = Corners(*(part[:, without] for part in (scene.z, scene.xy, scene.features, scene.normals_z)))
    found = values_and_gradients(Corners(scene.z, spoilt, scene.features, scene.normals_z), size, choice)
    expected = values_and_gradients(rest, size, choice)
    assert torch.equal(found["features"], expected["features"])
    assert torch.equal(found["mask"], expected["mask"])
    for name in ("xy", "corner features", "mask to xy"):
        assert not found[name][0, 3].any()
        assert torch.allclose(
            found[name][:, without], expected[name], rtol=1e-5, atol=1e-5 * float(expected[name].max())
        )


@each_backend
def test_faces_without_area_behind_the_camera_and_far_away_stay_finite(choice):
    point = ((0.1, 0.1, -1.0),) * 3
    line = ((-0.9, 0.0, -1.0), (0.0, 0.0, -1.0), (0.9, 0.0, -1.0))
    huge = ((-1e7, -2e7, 3.0), (1e7, -1e7, 3.0), (0.0, 3e7, 3.0))
    off_screen = ((5.0, 5.0, -1.0), (6.0, 5.0, -1.0), (5.0, 6.0, -1.0))
    found = values_and_gradients(triangles(point, line, huge, off_screen), (5, 5), choice)
    assert all(value.isfinite().all() for value in found.values())
    assert (found["index"] != 3).all() and (found["index"] == 2).sum() > 15


@each_backend
def test_empty_and_full_images(choice):
    nothing = Corners(
        *(torch.zeros(shape, dtype=torch.float64) for shape in ((2, 0, 3), (2, 0, 3, 2), (2, 0, 3, 4), (2, 0)))
    )
    found = values_and_gradients(nothing, (3, 5), choice)
    assert (found["index"] == -1).all() and not found["mask"].any() and found["features"].shape == (2, 3, 5, 4)
    full = values_and_gradients(triangles(ALL_OVER), (3, 5), choice)
    assert (full["mask"] == 1).all() and not full["mask to xy"].any() and (full["features"] - 1).abs().max() < 1e-6
    no_images = Corners(*(part[:0] for part in body(1, 1, (4, 4)).__dict__.values()))
    assert values_and_gradients(no_images, (4, 4), choice)["mask"].shape == (0, 4, 4)


@each_backend
def test_features_as_a_list_in_any_layout_and_width(choice):
    backend, dtype = choice
    scene = body(1, 2, (16, 12), depth=16)
    z, xy = scene.z.to(dtype), scene.xy.to(dtype)
    base = scene.features.to(dtype).permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0).requires_grad_()
    parts = [base[..., :1], base[..., 1:3], base[..., 3:]]
    shuffled_xy = xy.flip(3).flip(3).transpose(2, 3).contiguous().transpose(2, 3)
    drawn, index = rasterize(16, 12, z, shuffled_xy, parts, scene.normals_z >= 0, backend=backend)
    assert isinstance(drawn, tuple) and [part.shape[-1] for part in drawn] == [1, 2, 13]
    whole, whole_index = rasterize(16, 12, z, xy, base, scene.normals_z >= 0, backend=backend)
    assert torch.equal(torch.cat(drawn, dim=-1), whole) and torch.equal(index, whole_index)
    (expanded,) = torch.autograd.grad(drawn[1].sum(), base)  # an expanded gradient, None for the other parts
    weight = torch.zeros(16, dtype=dtype)
    weight[1:3] = 1
    (plain,) = torch.autograd.grad((whole * weight).sum(), base)
    assert torch.allclose(expanded, plain)
