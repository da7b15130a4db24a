"""Registration must find large, smooth changes and long steps, and keep correspondence."""

import pytest
import torch

from recon.registration import Registration, _striding
from recon.solid import chamfer
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
