"""Loss terms: hand-computed values (which fix every sum and mean), exact gradients, constants that get none."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from recon import losses
from recon.geometry import build_topology, mirrored
from recon.structures import Attributes, Camera
from recon.template import Template, ellipsoid_template

TETRAHEDRON = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(level=1, mirror_axis=2)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attributes(seed: int, batch: int = 2, vertices: int = 12, light: bool = True) -> Attributes:
    values = noise(batch, 6, seed=seed)
    camera = Camera(values[:, 0] * 90, values[:, 1] * 10, values[:, 2].abs() + 3, values[:, 3:5])
    return Attributes(
        camera=camera,
        offsets=0.1 * noise(batch, vertices, 3, seed=seed + 1),
        texture=noise(batch, 3, 4, 2, seed=seed + 2).sigmoid(),
        light=noise(batch, 9, seed=seed + 3) if light else None,
    )


# Images


def test_image_loss_counts_background_as_zero_in_the_mean():
    rendered, image = torch.full((1, 3, 1, 4), 0.9), torch.full((1, 3, 1, 4), 0.5)
    mask = torch.tensor([[[1.0, 0.5, 0.0, 0.0]]])
    torch.testing.assert_close(losses.image_loss(rendered, image, mask), torch.tensor(0.4 * 1.5 / 4))


def test_mask_iou_loss_averages_ratios_not_pixels():
    rendered = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]])
    mask = torch.tensor([[[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]])
    torch.testing.assert_close(losses.mask_iou_loss(rendered, mask), torch.tensor(1 - (0.5 + 1.0) / 2))


def test_contour_loss_sees_edges_and_not_flat_regions():
    flat, single = torch.ones(1, 8, 8), torch.ones(1, 8, 8)
    single[0, 1, 1] = 0.0
    assert losses.contour_loss(flat, flat).item() == 0.0
    # Nearest sampling takes pixel (0, 0) of each 4 x 4 block: only the hole itself differs.
    torch.testing.assert_close(losses.contour_loss(single, flat), torch.tensor(1 / 64))
    corner = torch.ones(1, 8, 8)
    corner[0, 0, 0] = 0.0
    torch.testing.assert_close(losses.contour_loss(corner, flat), torch.tensor(15 / 64))


def test_structure_loss_ignores_what_is_drawn_outside_the_true_mask():
    image = noise(1, 3, 24, 20).sigmoid()
    mask = torch.zeros(1, 24, 20, dtype=torch.float64)
    mask[:, 6:18, 6:14] = 1.0
    painted = torch.where(mask[:, None] > 0, image, torch.zeros_like(image))
    assert losses.structure_loss(painted, image, mask).item() == pytest.approx(0.0, abs=1e-12)
    assert losses.structure_loss(1 - image, image, mask).item() > 0.5


def test_structure_loss_of_an_empty_mask_is_zero_and_finite():
    drawn = torch.rand(1, 3, 12, 12, requires_grad=True)
    loss = losses.structure_loss(drawn, torch.rand(1, 3, 12, 12), torch.zeros(1, 12, 12))
    loss.backward()
    assert loss.item() == 0.0
    assert drawn.grad is not None and drawn.grad.isfinite().all()


def test_identity_loss_is_image_plus_iou():
    rendered, image = noise(2, 3, 6, 4, seed=1).sigmoid(), noise(2, 3, 6, 4, seed=2).sigmoid()
    drawn_mask, mask = noise(2, 6, 4, seed=3).sigmoid(), noise(2, 6, 4, seed=4).sigmoid()
    expected = losses.image_loss(rendered, image, mask) + losses.mask_iou_loss(drawn_mask, mask)
    torch.testing.assert_close(losses.identity_loss(rendered, drawn_mask, image, mask), expected)


def test_image_gradients():
    rendered, image = noise(2, 3, 12, 12, seed=1).sigmoid(), noise(2, 3, 12, 12, seed=2).sigmoid()
    drawn, mask = noise(2, 12, 12, seed=3).sigmoid(), (noise(2, 12, 12, seed=4) > 0).double()
    small = rendered[:1, :1].clone().requires_grad_()
    drawn.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: losses.image_loss(x, image[:1, :1], mask[:1]), small)
    assert torch.autograd.gradcheck(lambda x: losses.structure_loss(x, image[:1, :1], mask[:1]), small)
    assert torch.autograd.gradcheck(lambda x: losses.mask_iou_loss(x, mask), drawn)
    assert torch.autograd.gradcheck(lambda x: losses.contour_loss(x, mask), drawn)
    assert torch.autograd.gradcheck(lambda x: losses.identity_loss(small, x[:1], image[:1, :1], mask[:1]), drawn)


# Adversarial


def test_critic_and_generator_pull_in_opposite_directions():
    fake, real = torch.tensor([1.0, 3.0]), torch.tensor([5.0, 6.0, 7.0])
    assert losses.critic_loss(fake, real).item() == -4.0
    assert losses.generator_loss(fake).item() == -2.0


def test_gradient_penalty_of_a_linear_critic():
    slope = noise(1, 4, 3, 2)

    def critic(x: Tensor) -> Tensor:
        return (x * slope).sum(dim=(1, 2, 3))

    penalty = losses.gradient_penalty(critic, noise(5, 4, 3, 2, seed=1), noise(5, 4, 3, 2, seed=2), generator())
    torch.testing.assert_close(penalty, (slope.norm() - 1) ** 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gradient_penalty_mixes_per_sample_between_real_and_fake():
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(dim=(1, 2, 3))

    real, fake = torch.ones(6, 1, 2, 2), torch.zeros(6, 1, 2, 2)
    losses.gradient_penalty(critic, real, fake, generator())
    share = seen[0].flatten(1)
    assert (share == share[:, :1]).all()
    assert ((share > 0) & (share < 1)).all()
    assert len(share[:, 0].unique()) == 6


def test_gradient_penalty_trains_the_critic_but_not_the_fakes():
    weight = torch.tensor(2.0, requires_grad=True)
    fake = torch.rand(3, 1, 2, 2, requires_grad=True)
    losses.gradient_penalty(
        lambda x: weight * x.square().sum((1, 2, 3)), torch.rand(3, 1, 2, 2), fake, generator()
    ).backward()
    assert weight.grad is not None and weight.grad != 0
    assert fake.grad is None


def test_gradient_penalty_is_twice_differentiable():
    real, fake = noise(2, 1, 2, 2, seed=1), noise(2, 1, 2, 2, seed=2)

    def penalty(weight: Tensor) -> Tensor:
        return losses.gradient_penalty(lambda x: (weight * x).sin().sum((1, 2, 3)), real, fake, generator())

    assert torch.autograd.gradcheck(penalty, noise(2, 2, seed=3).requires_grad_())


# Attribute consistency


def constant_attributes(azimuth: float, distance: float = 3.0, light: float = 0.0) -> Attributes:
    camera = Camera(torch.tensor([azimuth]), torch.zeros(1), torch.tensor([distance]), torch.zeros(1, 2))
    return Attributes(camera, torch.zeros(1, 2, 3), torch.zeros(1, 3, 2, 2), torch.full((1, 9), light))


TWO_POINTS = torch.tensor([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])


def test_consistency_is_zero_for_equal_attributes():
    equal = attributes(0)
    assert losses.attribute_consistency_loss(equal, equal, noise(12, 3)).item() == 0.0


@pytest.mark.parametrize(("predicted", "true"), [(179.0, -179.0), (-180.0, 180.0), (350.0, -10.0)])
def test_consistency_of_azimuth_wraps(predicted, true):
    loss = losses.attribute_consistency_loss(constant_attributes(predicted), constant_attributes(true), TWO_POINTS)
    assert loss.item() < 0.02


def test_consistency_reduces_each_term_over_its_own_elements():
    target = constant_attributes(0.0)

    def loss(**change: object) -> float:
        return losses.attribute_consistency_loss(dataclasses.replace(target, **change), target, TWO_POINTS).item()

    camera = target.camera
    assert loss(camera=camera.turned(90.0)) == pytest.approx((1 + 1) / 2, abs=1e-6)
    assert loss(camera=dataclasses.replace(camera, distance=torch.tensor([3.5]))) == pytest.approx(0.5)
    shifted = dataclasses.replace(camera, offset=torch.tensor([[0.2, -0.6]]))
    assert loss(camera=shifted) == pytest.approx(0.4)
    tilted = dataclasses.replace(camera, elevation_deg=torch.tensor([30.0]))
    assert loss(camera=tilted) == pytest.approx((0.5 + 1 - math.sqrt(0.75)) / 2, abs=1e-6)
    assert loss(texture=torch.full((1, 3, 2, 2), 0.25)) == pytest.approx(0.25)
    assert loss(light=torch.full((1, 9), 0.5)) == pytest.approx(0.05)
    # One of two vertices moved by 0.3: mean of squares 0.045 in each direction, both added.
    assert loss(offsets=torch.tensor([[[0.0, 0.3, 0.0], [0.0, 0.0, 0.0]]])) == pytest.approx(0.09)


def test_consistency_targets_get_no_gradient():
    predicted, target = attributes(0), attributes(10)
    parts = [
        part.requires_grad_() for part in (target.offsets, target.texture, target.light, target.camera.azimuth_deg)
    ]
    own = predicted.offsets.requires_grad_()
    base = noise(12, 3).requires_grad_()
    losses.attribute_consistency_loss(predicted, target, base).backward()
    assert all(part.grad is None for part in parts)
    assert base.grad is None
    assert own.grad is not None and own.grad.abs().sum() > 0


def test_consistency_refuses_half_a_light():
    with pytest.raises(ValueError, match="both or neither of the two attribute sets to have a light"):
        losses.attribute_consistency_loss(attributes(0, light=False), attributes(1), noise(12, 3))


def test_consistency_gradients():
    target, base = attributes(10), noise(12, 3)

    def loss(
        azimuth: Tensor, elevation: Tensor, distance: Tensor, offset: Tensor, shape: Tensor, light: Tensor
    ) -> Tensor:
        camera = Camera(azimuth, elevation, distance, offset)
        predicted = Attributes(camera, shape, target.texture.flip(0), light)
        return losses.attribute_consistency_loss(predicted, target, base)

    own = attributes(20)
    inputs = (
        own.camera.azimuth_deg,
        own.camera.elevation_deg,
        own.camera.distance,
        own.camera.offset,
        own.offsets,
        own.light,
    )
    assert torch.autograd.gradcheck(loss, [value.clone().requires_grad_() for value in inputs])


def test_chamfer_is_asymmetric_in_counts_and_sums_both_directions():
    one, three = torch.tensor([[[0.0, 0.0, 0.0]]]), torch.tensor([[[1.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]]])
    torch.testing.assert_close(losses.chamfer_squared(one, three), torch.tensor([1.0 + (1 + 4 + 16) / 3]))


def test_chamfer_of_coinciding_points_has_finite_gradients():
    points = torch.rand(2, 7, 3, requires_grad=True)
    losses.chamfer_squared(points, points.detach()).sum().backward()
    torch.testing.assert_close(points.grad, torch.zeros(2, 7, 3))


# Shape


def test_mirror_loss_is_zero_exactly_on_symmetric_offsets(template):
    offsets = noise(2, len(template.vertices), 3)
    symmetric = (offsets + mirrored(offsets[:, template.partners], 2)) / 2
    assert losses.mirror_loss(symmetric, template.partners, 2).item() < 1e-15
    assert losses.mirror_loss(offsets, template.partners, 2).item() > 0.5
    assert losses.mirror_loss(symmetric, template.partners, 0).item() > 0.1, "the axis matters"


def test_published_mirror_loss_counts_only_outward_partners():
    # Vertices: front (+z), back (-z), and one on the plane that is its own partner.
    sides = losses.mirror_sides(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), 2)
    assert sides.tolist() == [1.0, -1.0, 0.0]
    partners = torch.tensor([1, 0, 2])
    outward_front = torch.tensor([[[0.0, 0.0, 0.3], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]])
    # Only the back vertex counts: its partner, the front vertex, moved outward.
    torch.testing.assert_close(losses.mirror_loss(outward_front, partners, 2, sides), torch.tensor(0.3 / 3))
    torch.testing.assert_close(losses.mirror_loss(outward_front, partners, 2), torch.tensor((0.3 + 0.3 + 1.0) / 3))
    assert losses.mirror_loss(-outward_front, partners, 2, sides).item() == 0.0


def test_mirror_sides_of_the_published_template():
    sides = losses.mirror_sides(ellipsoid_template(level=3, mirror_axis=2).vertices, 2)
    assert [int((sides == value).sum()) for value in (-1, 0, 1)] == [305, 32, 305]


def test_laplacian_loss_sums_over_vertices():
    topology = build_topology(TETRAHEDRON, 4)
    offsets = torch.zeros(2, 4, 3)
    offsets[0, 0, 1] = 3.0
    # Vertex 0: -3; its three neighbours: +1 each. 9 + 3 in sample 0, nothing in sample 1.
    torch.testing.assert_close(losses.laplacian_loss(offsets, topology), torch.tensor(12.0 / 2))
    torch.testing.assert_close(losses.laplacian_loss(torch.full((1, 4, 3), 5.0), topology), torch.tensor(0.0))


def test_flatten_loss_sums_over_edges():
    tetrahedron = torch.tensor([[[1.0, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]])
    # All six normals pairs of a regular tetrahedron have cosine -1/3.
    topology = build_topology(TETRAHEDRON, 4)
    torch.testing.assert_close(losses.flatten_loss(tetrahedron, topology), torch.tensor(6 * (4 / 3) ** 2))


def test_flatten_loss_is_zero_on_a_plane_and_skips_open_edges():
    topology = build_topology(torch.tensor([[0, 1, 2], [0, 2, 3]]), 4)
    square = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]])
    torch.testing.assert_close(losses.flatten_loss(square, topology), torch.tensor(0.0))


def test_edge_loss_is_a_norm_over_edges():
    topology = build_topology(torch.tensor([[0, 1, 2]]), 3)
    triangle = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
    torch.testing.assert_close(losses.edge_loss(triangle, topology), torch.tensor(math.sqrt(2.0)))


def test_deformation_loss_is_a_mean_of_lengths():
    offsets = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]])
    assert losses.deformation_loss(offsets).item() == 2.5


def test_depth_losses_by_hand():
    vertices = torch.tensor([[[0.5, 1.0, 0.101], [0.0, 0.0, 0.099]]])
    sides = torch.tensor([0.0, -1.0])
    rim = (0.1**2 * math.exp(2 * (0.25 + 0.25)) + 0.1**2) / 2
    torch.testing.assert_close(losses.depth_rim_loss(vertices, sides, 2.0), torch.tensor(rim))
    torch.testing.assert_close(losses.depth_quadratic_loss(vertices, sides, 2.0), torch.tensor(0.01 * 0.5 / 2))


@pytest.mark.parametrize("loss", [losses.depth_rim_loss, losses.depth_quadratic_loss])
def test_depth_losses_push_depth_only(loss):
    vertices = noise(1, 5, 3).requires_grad_()
    loss(vertices, noise(5, seed=1).sign(), 2.0).backward()
    assert (vertices.grad[..., :2] == 0).all()
    assert (vertices.grad[..., 2] != 0).all()


def test_shape_gradients(template):
    topology, partners = template.topology, template.partners
    sides = losses.mirror_sides(template.vertices, 2).double()
    shape = (template.vertices.double() + 0.05 * noise(*template.vertices.shape))[None].requires_grad_()
    fixed = shape.detach().clone()
    terms = [
        lambda x: losses.laplacian_loss(x, topology),
        lambda x: losses.flatten_loss(x, topology),
        lambda x: losses.edge_loss(x, topology),
        losses.deformation_loss,
        lambda x: losses.mirror_loss(x, partners, 2),
        lambda x: losses.mirror_loss(x, partners, 2, sides),
        lambda x: losses.chamfer_squared(x, fixed.flip(1) + 0.1),
        lambda x: losses.depth_rim_loss(torch.cat((fixed[..., :2], x[..., 2:]), -1), sides, 2.0),
        lambda x: losses.depth_quadratic_loss(torch.cat((fixed[..., :2], x[..., 2:]), -1), sides, 2.0),
    ]
    for term in terms:
        assert torch.autograd.gradcheck(term, shape)


@pytest.mark.parametrize("loss", [losses.deformation_loss, lambda x: losses.mirror_loss(x, torch.arange(4), 0)])
def test_norms_have_finite_gradients_at_zero(loss):
    offsets = torch.zeros(1, 4, 3, requires_grad=True)
    loss(offsets).backward()
    assert offsets.grad is not None and offsets.grad.isfinite().all()


# Weights


def test_published_presets_are_the_effective_factors():
    market, atr, cub = (losses.LOSS_PRESETS[name] for name in ("market", "atr", "cub"))
    assert (market.laplacian, market.flatten, market.edge, market.depth_rim) == (0.01, 0.002, 1e-4, 0.15)
    assert (atr.flatten, atr.depth_rim, atr.contour, atr.depth_quadratic) == (0.001, 0.15, 0.0, 0.0)
    assert (cub.contour, cub.depth_rim, cub.depth_quadratic, cub.flatten) == (0.2, 0.0, 0.1, 0.001)
    for weights in (market, atr, cub):
        assert (weights.image, weights.iou, weights.adversarial, weights.gradient_penalty) == (2.0, 2.0, 1e-4, 10.0)
        assert (weights.consistency, weights.mirror, weights.deformation) == (1.0, 0.1, 0.1)


def test_people_preset_has_no_front_back_mirror():
    people = losses.LOSS_PRESETS["people"]
    assert people.mirror == 0.0 and people.symmetry > 0 and people.identity > 0
