"""How far a surface is stretched beyond its prototype: seen in a fit, and counted afterwards."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.geometry import edge_vectors
from recon.template import Template

STRETCHED = 3.0
"""A triangle with an edge of more than this many times its prototype length is stretched."""

_SLACK = 2.5


class EdgeStretch:
    """Energy of edges that are longer than 2.5 times the prototype's; shorter ones cost nothing.

    Args:
        prototype: whose edges are at rest.
    """

    def __init__(self, prototype: Template) -> None:
        vertices = prototype.vertices
        self._edges = edge_vectors(prototype.topology.edges, len(vertices), vertices.dtype)
        self._rest = self._edges(vertices[None])[0].square().sum(dim=1)

    def energy(self, vertices: Float[Tensor, "B V 3"]) -> Float[Tensor, " B"]:
        """Sum over the edges of the squared excess of their ratio."""
        ratio = (self._edges(vertices).square().sum(dim=2) / self._rest).clamp(min=1e-9).sqrt()
        return torch.relu(ratio - _SLACK).square().sum(dim=1)


def stretched_triangles(vertices: Float[Tensor, "V 3"], prototype: Template) -> int:
    """Triangles with an edge over `STRETCHED` times as long as in the prototype."""
    corners, rest = vertices[prototype.faces], prototype.vertices[prototype.faces]
    ratio = (corners - corners.roll(1, dims=1)).norm(dim=2) / (rest - rest.roll(1, dims=1)).norm(dim=2).clamp(min=1e-9)
    return int((ratio.amax(dim=1) > STRETCHED).sum())
