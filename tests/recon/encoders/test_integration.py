import pytest
import torch
from torch.nn import functional

from recon.encoders.alignment import IntegratedLinear, neighbour_difference, sampling_matrix, vertex_moments
from recon.geometry import uniform_laplacian
from recon.template import ellipsoid_template


def naive_features(maps, pooled, template, points, aligned):
    """The published order of things: sample all channels at all vertices, concatenate, then the linear layer."""
    batch, vertices = len(maps[0]), template.vertices.to(points.dtype)
    grid = points.expand(batch, -1, -1)[:, :, None]
    local = [
        functional.grid_sample(m, grid, padding_mode="zeros", align_corners=aligned)[..., 0].transpose(1, 2)
        for m in maps
    ]
    neighbour = [uniform_laplacian(x, template.topology) for x in local]
    everywhere = pooled[:, None].expand(-1, len(vertices), -1)
    return torch.cat((*local, *neighbour, everywhere, vertices.expand(batch, -1, -1)), dim=2)


def concatenated_weights(layer):
    halves = [sampled.weight.chunk(2) for sampled in layer.sampled]
    local, neighbour = [h[0] for h in halves], [h[1] for h in halves]
    return torch.cat((*local, *neighbour, layer.overall.weight, layer.own.weight), dim=1)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("per_image", [False, True])
def test_projecting_before_sampling_equals_projecting_after(tiny_template, aligned, per_image):
    torch.manual_seed(0)
    maps = [torch.randn(2, 5, 8, 4, dtype=torch.float64), torch.randn(2, 7, 4, 2, dtype=torch.float64)]
    pooled = torch.randn(2, 7, dtype=torch.float64)
    layer = IntegratedLinear((5, 7), 7, 3, 6).double()
    torch.nn.init.normal_(layer.overall.bias)
    # Some points lie outside the image, where sampling pads with zeros.
    points = torch.rand(2 if per_image else 1, len(tiny_template.vertices), 2, dtype=torch.float64) * 2.6 - 1.3
    matrices = [sampling_matrix(points, *m.shape[2:], aligned) for m in maps]
    vertices = tiny_template.vertices.double()
    fast = layer(maps, pooled, vertices[None], matrices, tiny_template.topology)
    stacked = naive_features(maps, pooled, tiny_template, points, aligned)
    assert stacked.shape[2] == 2 * (5 + 7) + 7 + 3
    slow = functional.linear(stacked, concatenated_weights(layer), layer.overall.bias)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)


def test_integrated_linear_gradients():
    torch.manual_seed(1)
    template = ellipsoid_template(level=0)
    layer = IntegratedLinear((3,), 3, 3, 2).double()
    points = (torch.rand(2, len(template.vertices), 2, dtype=torch.float64) - 0.5).requires_grad_()
    features = torch.randn(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    vertices = template.vertices.double().requires_grad_()

    def run(features, points, vertices):
        matrices = [sampling_matrix(points, 4, 3)]
        return layer([features], features.mean((2, 3)), vertices[None], matrices, template.topology)

    assert torch.autograd.gradcheck(run, (features, points, vertices), fast_mode=True)


def test_neighbour_difference_is_the_laplacian(tiny_template):
    x = torch.randn(3, len(tiny_template.vertices), 5, dtype=torch.float64, requires_grad=True)
    fast, slow = neighbour_difference(x, tiny_template.topology), uniform_laplacian(x, tiny_template.topology)
    torch.testing.assert_close(fast, slow)
    weights = torch.randn_like(fast)
    torch.testing.assert_close(
        torch.autograd.grad((fast * weights).sum(), x)[0], torch.autograd.grad((slow * weights).sum(), x)[0]
    )


def test_vertex_moments_ignore_the_order_of_vertices(tiny_template):
    matrix = torch.rand(len(tiny_template.vertices), 6, dtype=torch.float64)
    rows = torch.randn(2, 6, 4, dtype=torch.float64)
    vertices = tiny_template.vertices.double()
    order = torch.randperm(len(vertices))
    pooled = vertex_moments(matrix, rows, vertices)
    assert pooled.shape == (2, 16)
    torch.testing.assert_close(vertex_moments(matrix[order], rows, vertices[order]), pooled)
    # ... but they do see geometry: other vertices with these features give other moments.
    assert not torch.allclose(vertex_moments(matrix[order], rows, vertices), pooled)


def test_vertex_moments_equal_those_of_the_samples_gradients_included(tiny_template):
    matrix = torch.rand(len(tiny_template.vertices), 6, dtype=torch.float64)
    rows = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    vertices = tiny_template.vertices.double()
    centred = vertices[:, :2] - vertices[:, :2].mean(dim=0)
    weights = centred / centred.abs().sum(dim=0)
    local = matrix @ rows
    expected = torch.cat((local.amax(dim=1), local.mean(dim=1), (weights.T @ local).flatten(1)), dim=1)
    pooled = vertex_moments(matrix, rows, vertices)
    torch.testing.assert_close(pooled, expected)
    direction = torch.randn_like(pooled)
    (gradient,) = torch.autograd.grad(pooled, rows, direction)
    (wanted,) = torch.autograd.grad(expected, rows, direction)
    torch.testing.assert_close(gradient, wanted)
