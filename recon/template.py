"""Template (prototype): the closed mesh, with texture coordinates and mirror partners, that every shape deforms.

The default is the paper's: an icosphere squeezed to an ellipsoid (642 vertices at level 3). Any other closed mesh works
through `template_from_arrays`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.geometry import MeshTopology, build_topology, mirror_partners, signed_volume, subdivide
from recon.skinning import Skin
from recon.structures import TensorRecord

PERSON_HALF_EXTENTS = (0.45, 0.90, 0.225)
"""Semi-axes of the published people template (x, y, z)."""


@dataclass(frozen=True)
class Template(TensorRecord):
    """A deformable prototype.

    Attributes:
        vertices: [V, 3] world frame, template units.
        face_uv: [F, 3, 2] texture coordinates per face corner (structures.py "Texture").
        mirror_axis: normal of the mirror plane: 0 for people (left/right), 2 as published (front/back).
        partners: [V] mirror partner of each vertex in that plane.
        skin: the skeleton that moves the vertices; one joint where the mesh has none.
    """

    vertices: Float[Tensor, "V 3"]
    face_uv: Float[Tensor, "F 3 2"]
    topology: MeshTopology
    mirror_axis: int
    partners: Int[Tensor, " V"]
    skin: Skin

    @property
    def faces(self) -> Int[Tensor, "F 3"]:
        """[F, 3] vertex indices, counter-clockwise from outside."""
        return self.topology.faces

    def with_vertices(self, vertices: Float[Tensor, "V 3"]) -> "Template":
        """The same topology, coordinates and partners over other vertex positions (a moved prototype)."""
        return replace(self, vertices=vertices)


def icosphere(level: int) -> tuple[Float[Tensor, "V 3"], Int[Tensor, "F 3"]]:
    """Unit icosphere, `10 * 4**level + 2` vertices, float64, outward counter-clockwise faces.

    Each subdivision round is re-projected to the sphere, as in the published template.
    """
    if not 0 <= level <= 7:
        raise ValueError(f"icosphere level must be 0 to 7, not {level}")
    golden = (1 + math.sqrt(5)) / 2
    corners = []
    for first in (-1.0, 1.0):
        for second in (-golden, golden):
            corners += [(0.0, second, first), (second, first, 0.0), (first, 0.0, second)]
    vertices = torch.nn.functional.normalize(torch.tensor(corners, dtype=torch.float64), dim=1)
    faces = _convex_faces(vertices)
    for _ in range(level):
        vertices, faces = subdivide(vertices, faces)
        vertices = torch.nn.functional.normalize(vertices, dim=1)
    return vertices, faces


def _convex_faces(vertices: Tensor) -> Tensor:
    """Faces of the icosahedron: all triples of mutually nearest vertices, wound outward."""
    distances = torch.cdist(vertices, vertices)
    edge = distances[distances > 1e-6].min() * 1.01
    linked = (distances < edge) & (distances > 1e-6)
    count = len(vertices)
    triples = [
        (a, b, c)
        for a in range(count)
        for b in range(a + 1, count)
        if linked[a, b]
        for c in range(b + 1, count)
        if linked[a, c] and linked[b, c]
    ]
    faces = torch.tensor(triples)
    a, b, c = vertices[faces].unbind(dim=1)
    inward = (torch.linalg.cross(b - a, c - a) * (a + b + c)).sum(dim=1) < 0
    faces[inward] = faces[inward].flip(1)
    return faces


def ellipsoid_template(
    level: int = 3,
    half_extents: Sequence[float] = PERSON_HALF_EXTENTS,
    mirror_axis: int = 0,
) -> Template:
    """The paper's template: a subdivided icosahedron, min-max normalised per axis, scaled to `half_extents`.

    Args:
        level: subdivision level; 3 gives 642 vertices and 1280 faces.
        half_extents: semi-axes in x, y, z; (0.9, 0.9, 0.45) for birds as published.
        mirror_axis: 0 (people) or 2 (as published).
    """
    if len(half_extents) != 3 or min(half_extents) <= 0:
        raise ValueError(f"half_extents must be three positive lengths, not {tuple(half_extents)}")
    sphere, faces = icosphere(level)
    normalised = sphere / sphere.abs().amax(dim=0)
    vertices = normalised * torch.tensor(half_extents, dtype=torch.float64)
    return _assemble(vertices, faces, spherical_face_uv(sphere, faces), mirror_axis)


def template_from_arrays(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    face_uv: Float[Tensor, "F 3 2"] | None = None,
    mirror_axis: int = 0,
    skin: Skin | None = None,
) -> Template:
    """A template from any closed mesh, already in template units and facing +z.

    Args:
        faces: vertex indices; turned to face outward if they all face inward.
        face_uv: the mesh's own texture coordinates; None makes spherical ones about the centre of the bounding box.
        mirror_axis: normal of the mirror plane.
        skin: skeleton, if there is one.

    Raises:
        ValueError: not manifold, not closed, or a skin for other vertices.
    """
    vertices = vertices.to(torch.float64)
    if not build_topology(faces, len(vertices)).is_closed:
        raise ValueError("the mesh has open edges; a template must be closed")
    if float(signed_volume(vertices[None], faces)) < 0:
        faces = faces.flip(1)
        face_uv = None if face_uv is None else face_uv.flip(1)
    if face_uv is None:
        low, high = vertices.amin(dim=0), vertices.amax(dim=0)
        centred = (2 * vertices - low - high) / (high - low).clamp(min=1e-9)
        face_uv = spherical_face_uv(torch.nn.functional.normalize(centred, dim=1), faces)
    return _assemble(vertices, faces, face_uv, mirror_axis, skin)


def _assemble(vertices: Tensor, faces: Tensor, face_uv: Tensor, mirror_axis: int, skin: Skin | None = None) -> Template:
    if mirror_axis not in (0, 1, 2):
        raise ValueError(f"mirror_axis must be 0, 1 or 2, not {mirror_axis}")
    skin = skin or Skin.rigid(len(vertices))
    if len(skin.weights) != len(vertices) or not 0 <= int(skin.bones.min()) <= int(skin.bones.max()) < len(skin.names):
        raise ValueError(f"a skin of {len(skin.names)} joints and {len(skin.weights)} vertices does not fit the mesh")
    return Template(
        vertices=vertices.float(),
        face_uv=face_uv.float(),
        topology=build_topology(faces, len(vertices)),
        mirror_axis=mirror_axis,
        partners=mirror_partners(vertices, mirror_axis),
        skin=skin,
    )


def spherical_uv(directions: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 2"]:
    """Texture coordinates of unit directions: u = 1/2 + asin(x)/pi, v = 1/2 - atan2(z, y)/(2 pi) (published layout).

    v is 0.25 at the front (+z), 0.5 on top (+y), 0.75 at the back, and 0 = 1 at the bottom (-y).
    """
    x, y, z = directions.unbind(dim=-1)
    u = 0.5 + torch.asin(x.clamp(-1, 1)) / math.pi
    v = torch.remainder(0.5 - torch.atan2(z, y) / (2 * math.pi), 1.0)
    return torch.stack((u, v), dim=-1)


def spherical_face_uv(directions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "F 3 2"]:
    """Spherical coordinates per face corner without jumps.

    Corners across the seam get v + 1; poles, where v means nothing, the mean v of their face.
    """
    face_uv = spherical_uv(directions)[faces]
    v = face_uv[..., 1]
    pole = directions[faces][..., 0].abs() > 1 - 1e-9
    reference = torch.where(pole, torch.full_like(v, float("nan")), v)
    spans_seam = reference.nan_to_num(-1.0).amax(dim=1) - reference.nan_to_num(2.0).amin(dim=1) > 0.5
    v = torch.where(spans_seam[:, None] & (v < 0.5), v + 1.0, v)
    others = (~pole).sum(1, keepdim=True).clamp(min=1)
    mean_of_others = torch.where(pole, torch.zeros_like(v), v).sum(1, keepdim=True) / others
    return torch.stack((face_uv[..., 0], torch.where(pole, mean_of_others, v)), dim=-1)
