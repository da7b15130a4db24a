"""Triangle meshes: normals, topology, uniform Laplacian, mirror partners, subdivision. Conventions: structures.py."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.structures import TensorRecord


@dataclass(frozen=True)
class MeshTopology(TensorRecord):
    """Topology that follows from the faces alone.

    Attributes:
        faces: [F, 3] vertex indices.
        edges: [E, 2] undirected edges, lower index first, sorted.
        edge_faces: [E, 2] the two faces at each edge; -1 where an open mesh has only one.
        neighbours: [V, K] vertex neighbours, padded with the vertex itself.
        neighbour_mask: [V, K] True where `neighbours` is not padding.
    """

    faces: Int[Tensor, "F 3"]
    edges: Int[Tensor, "E 2"]
    edge_faces: Int[Tensor, "E 2"]
    neighbours: Int[Tensor, "V K"]
    neighbour_mask: Bool[Tensor, "V K"]

    @property
    def is_closed(self) -> bool:
        """True when every edge has two faces."""
        return bool((self.edge_faces >= 0).all())


def build_topology(faces: Int[Tensor, "F 3"], vertex_count: int) -> MeshTopology:
    """Topology of a manifold triangle mesh (at most two faces at an edge).

    Raises:
        ValueError: an edge has more than two faces.
    """
    corners = torch.cat((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    owner = torch.arange(len(faces), device=faces.device).repeat(3)
    ordered = corners.sort(dim=1).values
    key = ordered[:, 0] * vertex_count + ordered[:, 1]
    keys, edge_of_corner, counts = torch.unique(key, return_inverse=True, return_counts=True)
    edges = torch.stack((keys // vertex_count, keys % vertex_count), dim=1)
    if counts.numel() and int(counts.max()) > 2:
        raise ValueError(
            f"{int((counts > 2).sum())} edges have more than two faces; the mesh is not a manifold surface"
        )
    edge_faces = torch.full((len(edges), 2), -1, dtype=torch.long, device=faces.device)
    order = torch.argsort(edge_of_corner, stable=True)
    first = torch.cumsum(counts, 0) - counts
    edge_faces[:, 0] = owner[order[first]]
    paired = counts == 2
    edge_faces[paired, 1] = owner[order[first[paired] + 1]]
    neighbours, mask = _neighbour_table(edges, vertex_count)
    return MeshTopology(faces, edges, edge_faces, neighbours, mask)


def _neighbour_table(edges: Tensor, vertex_count: int) -> tuple[Tensor, Tensor]:
    directed = torch.cat((edges, edges.flip(1)))
    directed = directed[torch.argsort(directed[:, 0] * vertex_count + directed[:, 1])]
    degree = torch.bincount(directed[:, 0], minlength=vertex_count)
    width = int(degree.max()) if degree.numel() else 0
    slot = torch.arange(len(directed), device=edges.device) - (torch.cumsum(degree, 0) - degree)[directed[:, 0]]
    table = torch.arange(vertex_count, device=edges.device)[:, None].repeat(1, width)
    mask = torch.zeros_like(table, dtype=torch.bool)
    table[directed[:, 0], slot] = directed[:, 1]
    mask[directed[:, 0], slot] = True
    return table, mask


class _WeightedGather(torch.autograd.Function):
    """y_i = sum_k w_ik x_n(i,k), slot by slot in a fixed order, so that a row never depends on what is in the batch.

    Its transpose is again a gather, so neither pass needs a scatter.
    """

    @staticmethod
    def forward(ctx, x, index, weights, transposed_index, transposed_weights):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(index, weights, transposed_index, transposed_weights)
        batch, count, channels = x.shape
        rows = x.transpose(0, 1).reshape(count, batch * channels)
        total = rows.new_zeros(len(index), batch * channels)
        for slot in range(index.shape[1]):
            total += rows[index[:, slot]] * weights[:, slot, None]
        return total.view(len(index), batch, channels).transpose(0, 1).contiguous()

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        index, weights, transposed_index, transposed_weights = ctx.saved_tensors
        back = _WeightedGather.apply(gradient, transposed_index, transposed_weights, index, weights)
        return back, None, None, None, None


@dataclass(frozen=True)
class SparseMap:
    """A fixed linear map from M rows to N rows with few entries each; quick in both directions.

    Attributes:
        index: [N, K] rows of the input that each row of the output adds up.
        weights: [N, K] with what weight; 0 for padding.
        transposed_index: [M, L] the same map read the other way.
        transposed_weights: [M, L].
    """

    index: Int[Tensor, "N K"]
    weights: Float[Tensor, "N K"]
    transposed_index: Int[Tensor, "M L"]
    transposed_weights: Float[Tensor, "M L"]

    def __call__(self, x: Float[Tensor, "B M C"]) -> Float[Tensor, "B N C"]:
        """Apply the map to every image and channel (differentiable, also twice)."""
        return _WeightedGather.apply(x, self.index, self.weights, self.transposed_index, self.transposed_weights)


def uniform_laplacian(x: Float[Tensor, "B V C"], topology: MeshTopology) -> Float[Tensor, "B V C"]:
    """Mean over the neighbours minus the vertex itself; zero on constant fields (the paper's mesh regularisers)."""
    mask = topology.neighbour_mask.to(x.dtype)
    inverse_degree = 1 / mask.sum(dim=1).clamp(min=1)
    weights = mask * inverse_degree[:, None]
    transposed = mask * inverse_degree[topology.neighbours]
    has_neighbours = topology.neighbour_mask.any(dim=1).to(x.dtype)[:, None]
    return SparseMap(topology.neighbours, weights, topology.neighbours, transposed)(x) - x * has_neighbours


def face_means(faces: Int[Tensor, "F 3"], vertex_count: int, dtype: torch.dtype = torch.float32) -> SparseMap:
    """The map from vertex values to their means over faces."""
    return _row_map(faces, torch.full_like(faces, 1 / 3, dtype=dtype), vertex_count)


def edge_vectors(edges: Int[Tensor, "E 2"], vertex_count: int, dtype: torch.dtype = torch.float32) -> SparseMap:
    """The map from vertices to the vectors along edges."""
    return _row_map(
        edges, torch.tensor([-1.0, 1.0], dtype=dtype, device=edges.device).expand(len(edges), 2), vertex_count
    )


def _row_map(index: Int[Tensor, "N K"], weights: Float[Tensor, "N K"], count: int) -> SparseMap:
    """The map whose rows are weighted sums of K of `count` rows, with its transpose."""
    used = index.flatten()
    order = torch.argsort(used, stable=True)
    uses = torch.bincount(used, minlength=count)
    slot = torch.arange(len(order), device=index.device) - (torch.cumsum(uses, 0) - uses)[used[order]]
    owner = torch.zeros(count, int(uses.max()), dtype=torch.long, device=index.device)
    back = torch.zeros_like(owner, dtype=weights.dtype)
    owner[used[order], slot] = order // index.shape[1]
    back[used[order], slot] = weights.flatten()[order]
    return SparseMap(index, weights.contiguous(), owner, back)


def face_corners(vertices: Float[Tensor, "B V C"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "B F 3 C"]:
    """Vertex attributes gathered per face corner."""
    return vertices[:, faces]


def face_normals(vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "B F 3"]:
    """Unit normals of counter-clockwise faces; zero for faces without area."""
    return torch.nn.functional.normalize(face_area_vectors(vertices, faces), dim=-1, eps=1e-12)


def face_area_vectors(vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "B F 3"]:
    """Normals scaled by twice the face area."""
    a, b, c = face_corners(vertices, faces).unbind(dim=2)
    return torch.linalg.cross(b - a, c - a)


def vertex_normals(vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "B V 3"]:
    """Area-weighted unit vertex normals."""
    # Whole rows are added up: along an inner dimension `index_add` takes six times as long.
    by_face = face_area_vectors(vertices, faces).transpose(0, 1).flatten(1)
    total = by_face.new_zeros(vertices.shape[1], by_face.shape[1])
    for corner in range(3):
        total = total.index_add(0, faces[:, corner], by_face)
    total = total.unflatten(1, (len(vertices), 3)).transpose(0, 1)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-12)


def signed_volume(vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, " B"]:
    """Enclosed volume; positive when faces are counter-clockwise seen from outside."""
    a, b, c = face_corners(vertices, faces).unbind(dim=2)
    return (a * torch.linalg.cross(b, c)).sum(dim=(1, 2)) / 6


def edge_lengths(vertices: Float[Tensor, "B V 3"], topology: MeshTopology) -> Float[Tensor, "B E"]:
    """Lengths of all edges."""
    ends = vertices[:, topology.edges]
    return (ends[:, :, 1] - ends[:, :, 0]).norm(dim=-1)


def mirrored(points: Float[Tensor, "*N 3"], axis: int) -> Float[Tensor, "*N 3"]:
    """Reflect points (or offsets) in the coordinate plane whose normal is `axis` (0 = x, 1 = y, 2 = z)."""
    sign = points.new_ones(3)
    sign[axis] = -1.0
    return points * sign


def mirror_partners(vertices: Float[Tensor, "V 3"], axis: int) -> Int[Tensor, " V"]:
    """Index of the vertex nearest to each vertex's mirror image; exact partners on symmetric templates."""
    reflected = mirrored(vertices, axis)
    return torch.cat([torch.cdist(chunk, vertices).argmin(dim=1) for chunk in reflected.split(2048)])


def sample_surface(
    vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "N 3"], Int[Tensor, " N"]]:
    """Points spread uniformly over the surface, and the face each lies on.

    Area is served evenly (one point per equal share of area), so small sets cover the whole surface.
    """
    corners = vertices[faces]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
    cumulative = torch.cumsum(area, 0)
    random = torch.rand(3, count, generator=generator, dtype=torch.float64, device=generator.device).to(vertices)
    share = (torch.arange(count).to(vertices) + random[0]) / count
    owner = torch.searchsorted(cumulative, share * cumulative[-1]).clamp(max=len(faces) - 1)
    root = random[1].sqrt()
    weights = torch.stack((1 - root, root * (1 - random[2]), root * random[2]), dim=1)
    return (corners[owner] * weights[:, :, None]).sum(dim=1), owner


def subdivide(
    vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]
) -> tuple[Float[Tensor, "V2 3"], Int[Tensor, "F4 3"]]:
    """Split every triangle in four at its edge midpoints; old vertices keep their indices, new ones follow in order."""
    topology = build_topology(faces, len(vertices))
    midpoints = vertices[topology.edges].mean(dim=1)
    key = topology.edges[:, 0] * len(vertices) + topology.edges[:, 1]

    def midpoint_index(first: Tensor, second: Tensor) -> Tensor:
        wanted = torch.minimum(first, second) * len(vertices) + torch.maximum(first, second)
        return len(vertices) + torch.searchsorted(key, wanted)

    a, b, c = faces.unbind(dim=1)
    ab, bc, ca = midpoint_index(a, b), midpoint_index(b, c), midpoint_index(c, a)
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return torch.cat((vertices, midpoints)), torch.cat([torch.stack(q, dim=1) for q in quarters])
