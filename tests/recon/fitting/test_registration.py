"""Registration must find large, smooth changes and long steps, and keep correspondence."""

import numpy as np
import pytest
import torch

from recon.evaluation.solid import chamfer
from recon.fitting.registration import Registration, _evenly_spread, _nearest, _striding
from recon.template import ellipsoid_template


@pytest.fixture(scope="module")
def registration():
    return Registration(ellipsoid_template())


def bent(vertices):
    """Wider hips, a lean, and a shift: what no rigid motion undoes."""
    x, y, z = vertices.unbind(dim=1)
    return torch.stack((x * (1.15 - 0.2 * y), y, z + 0.12 * y + 0.05), dim=1)


def test_a_bent_template_is_found_vertex_by_vertex(registration):
    template = ellipsoid_template()
    target = bent(template.vertices)
    found = registration(target, template.faces, torch.Generator().manual_seed(0))
    assert float((found - target).norm(dim=1).mean()) < 0.05
    before = float((template.vertices - target).norm(dim=1).mean())
    assert before > 0.08
    distance = chamfer(found, template.faces, target, template.faces, torch.Generator().manual_seed(0))
    assert distance < 0.01


def test_the_same_surface_gives_the_same_bits(registration):
    template = ellipsoid_template()
    target = bent(template.vertices)
    first, second = (registration(target, template.faces, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second)


def test_a_stride_moves_the_two_sides_apart_and_leaves_the_upper_half():
    template = ellipsoid_template()
    moved = _striding(template, 0.3) - template.vertices
    x, y, _ = template.vertices.unbind(dim=1)
    assert (moved[y >= 0] == 0).all()
    assert (moved[(y < -0.1) & (x > 0.01), 2] > 0).all()
    assert (moved[(y < -0.1) & (x < -0.01), 2] < 0).all()
    assert torch.equal(moved[:, :2], torch.zeros_like(moved[:, :2]))


def test_even_points_are_means_of_samples_that_face_the_same_way():
    points = np.array([[0.01, 0.01, 0.01], [0.03, 0.05, 0.01], [0.02, 0.02, 0.02], [0.2, 0.01, 0.01]])
    normals = np.array([[0.6, 0.8, 0.0], [0.8, 0.6, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    spread = _evenly_spread(points, normals, 0.06)
    side = 0.5**0.5
    expected = [[0.02, 0.02, 0.02, -1, 0, 0], [0.02, 0.03, 0.01, side, side, 0], [0.2, 0.01, 0.01, 1, 0, 0]]
    assert np.allclose(sorted(spread.tolist()), sorted(expected), atol=1e-6)


def test_nearest_points_are_those_of_all_pairs():
    generator = np.random.default_rng(0)
    queries, targets = (generator.normal(size=(count, 6)).astype(np.float32) for count in (300, 171))
    distances = np.linalg.norm(queries[:, None] - targets, axis=2)
    assert (_nearest(queries, targets) == distances.argmin(axis=1)).all()
