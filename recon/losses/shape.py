"""Regularisers of shapes and offsets. Lengths in template units; "published code" terms are not in the paper."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.geometry import MeshTopology, edge_lengths, face_normals, mirrored, uniform_laplacian

DEPTH_MARGIN = 0.001
"""Half the gap that the depth terms leave between front and back, template units."""

ON_PLANE = 1e-6
"""Vertices nearer to a mirror plane than this belong to neither side, template units."""


def mirror_sides(template_vertices: Float[Tensor, "V 3"], axis: int) -> Float[Tensor, " V"]:
    """Side of the plane through the origin with normal `axis` that each vertex is on: -1, 0 (on it) or 1.

    Take it once from the first template: later prototypes drift across the plane.
    """
    coordinate = template_vertices[:, axis]
    return torch.where(coordinate.abs() < ON_PLANE, torch.zeros_like(coordinate), coordinate.sign())


def mirror_loss(
    offsets: Float[Tensor, "B V 3"],
    partners: Int[Tensor, " V"],
    axis: int,
    sides: Float[Tensor, " V"] | None = None,
) -> Float[Tensor, ""]:
    """Mean length of `offset_v - mirror(offset_partner(v))` over samples and vertices (paper section 3, flip loss).

    Without `sides` every vertex counts: with axis 0 this is the left/right symmetry of people. With `sides` only
    vertices whose partner's offset points outward count (`offset_partner[axis] * side_partner > 0`), as in the
    published code with axis 2; vertices on the plane never do. The mean is over all vertices either way.

    Args:
        offsets: vertex offsets from the template.
        partners: mirror partner of each vertex.
        axis: normal of the mirror plane.
        sides: `mirror_sides` of the first template, or None.
    """
    of_partner = offsets[:, partners]
    difference = (offsets - mirrored(of_partner, axis)).norm(dim=-1)
    if sides is not None:
        difference = difference * (of_partner[..., axis].detach() * sides[partners] > 0)
    return difference.mean()


def laplacian_loss(offsets: Float[Tensor, "B V 3"], topology: MeshTopology) -> Float[Tensor, ""]:
    """Squared uniform Laplacian of the offsets, **summed** over vertices, mean over samples (paper section 3)."""
    return uniform_laplacian(offsets, topology).square().sum(dim=(1, 2)).mean()


def flatten_loss(vertices: Float[Tensor, "B V 3"], topology: MeshTopology) -> Float[Tensor, ""]:
    """`(cos - 1)^2` of the angle between neighbouring normals, **summed** over edges, mean over samples (paper)."""
    inner = topology.edge_faces[(topology.edge_faces >= 0).all(dim=1)]
    first, second = face_normals(vertices, topology.faces)[:, inner].unbind(dim=2)
    return ((first * second).sum(dim=-1) - 1).square().sum(dim=1).mean()


def edge_loss(vertices: Float[Tensor, "B V 3"], topology: MeshTopology) -> Float[Tensor, ""]:
    """Euclidean norm of the edge lengths' deviations from their mean, mean over samples (published code)."""
    lengths = edge_lengths(vertices, topology)
    return (lengths - lengths.mean(dim=1, keepdim=True)).norm(dim=1).mean()


def deformation_loss(offsets: Float[Tensor, "B V 3"]) -> Float[Tensor, ""]:
    """Mean length of the offsets over samples and vertices (paper section 3)."""
    return offsets.norm(dim=-1).mean()


def depth_rim_loss(
    vertices: Float[Tensor, "B V 3"], sides: Float[Tensor, " V"], aspect: float, sharpness: float = 2.0
) -> Float[Tensor, ""]:
    """`mean (z -+ 0.001)^2 exp(t (x^2 + (y / aspect)^2))`: flattens the rim of people (published code, "depth-R").

    Args:
        vertices: shapes; no gradient reaches x and y.
        sides: `mirror_sides` of the first template for axis 2; side 0 counts as front.
        aspect: image height / width.
    """
    return (_depth_squared(vertices, sides) * (sharpness * _squared_radius(vertices, aspect)).exp()).mean()


def depth_quadratic_loss(
    vertices: Float[Tensor, "B V 3"], sides: Float[Tensor, " V"], aspect: float
) -> Float[Tensor, ""]:
    """As `depth_rim_loss` with the weight `x^2 + (y / aspect)^2`, for birds (published code, "depth-C")."""
    return (_depth_squared(vertices, sides) * _squared_radius(vertices, aspect)).mean()


def _depth_squared(vertices: Tensor, sides: Tensor) -> Tensor:
    margin = torch.where(sides >= 0, DEPTH_MARGIN, -DEPTH_MARGIN)
    return (vertices[..., 2] - margin).square()


def _squared_radius(vertices: Tensor, aspect: float) -> Tensor:
    x, y = vertices[..., 0].detach(), vertices[..., 1].detach()
    return x.square() + (y / aspect).square()
