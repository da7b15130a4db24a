import torch

from recon.fitting.stretch import EdgeStretch, stretched_triangles
from recon.template import ellipsoid_template


def test_only_what_is_pulled_apart_costs():
    template = ellipsoid_template(level=1)
    stretch = EdgeStretch(template)
    pulled = template.vertices.clone()
    pulled[0] += 3 * (template.vertices[0] - template.vertices.mean(dim=0)) + 1
    batch = torch.stack((template.vertices, 0.5 * template.vertices, pulled)).requires_grad_()
    energy = stretch.energy(batch)
    assert energy[0] == energy[1] == 0 and energy[2] > 0
    (gradient,) = torch.autograd.grad(energy.sum(), batch)
    assert gradient.isfinite().all()
    # Downhill is back towards the neighbours.
    assert stretch.energy((batch - 1e-3 * gradient).detach())[2] < energy[2]


def test_stretched_triangles_are_those_around_the_pulled_vertex():
    template = ellipsoid_template(level=1)
    assert stretched_triangles(template.vertices * 2.9, template) == 0
    pulled = template.vertices.clone()
    pulled[0] += 10
    around = int((template.faces == 0).any(dim=1).sum())
    assert stretched_triangles(pulled, template) == around
