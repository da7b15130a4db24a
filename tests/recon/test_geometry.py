import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_meshes import tetrahedron, torus

from recon.geometry import (
    build_topology,
    edge_lengths,
    face_area_vectors,
    face_corners,
    face_means,
    face_normals,
    mirror_partners,
    mirrored,
    signed_volume,
    subdivide,
    uniform_laplacian,
    vertex_normals,
)
from recon.template import icosphere

SHEET = torch.tensor([[0, 1, 2], [2, 1, 3]])
"""Two triangles that share the edge 1-2."""


def dense_laplacian(topology, count):
    matrix = -torch.eye(count, dtype=torch.float64)
    linked = torch.zeros_like(matrix)
    for a, b in topology.edges.tolist():
        linked[a, b] = linked[b, a] = 1
    return matrix + linked / linked.sum(dim=1, keepdim=True)


def test_topology_of_a_sheet():
    topology = build_topology(SHEET, 4)
    assert topology.edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert [set(pair) for pair in topology.edge_faces.tolist()] == [{0, -1}, {0, -1}, {0, 1}, {1, -1}, {1, -1}]
    assert (topology.edge_faces[:, 0] >= 0).all(), "what is missing comes last"
    rows = [sorted(row[mask].tolist()) for row, mask in zip(topology.neighbours, topology.neighbour_mask, strict=True)]
    assert rows == [[1, 2], [0, 2, 3], [0, 1, 3], [1, 2]]
    assert topology.neighbours[0][~topology.neighbour_mask[0]].tolist() == [0], "padding points at the vertex itself"
    assert not topology.is_closed


@pytest.mark.parametrize("mesh, euler", [(tetrahedron(), 2), (icosphere(2), 2), (torus(), 0)])
def test_closed_meshes(mesh, euler):
    vertices, faces = mesh
    topology = build_topology(faces, len(vertices))
    assert topology.is_closed
    assert len(vertices) - len(topology.edges) + len(faces) == euler
    for edge, pair in zip(topology.edges.tolist(), topology.edge_faces.tolist(), strict=True):
        assert pair[0] != pair[1]
        assert all(set(edge) <= set(faces[face].tolist()) for face in pair)


def test_three_faces_at_an_edge_are_refused():
    with pytest.raises(ValueError, match="1 edges have more than two faces; the mesh is not a manifold surface"):
        build_topology(torch.tensor([[0, 1, 2], [0, 1, 3], [1, 0, 4]]), 5)


def test_a_mesh_without_faces():
    topology = build_topology(torch.zeros(0, 3, dtype=torch.long), 3)
    assert topology.edges.shape == (0, 2) and topology.neighbours.shape == (3, 0)
    assert torch.equal(uniform_laplacian(torch.ones(1, 3, 2), topology), torch.zeros(1, 3, 2))


def test_laplacian_is_the_dense_matrix():
    vertices, faces = icosphere(1)
    topology = build_topology(faces, len(vertices))
    x = torch.rand(3, len(vertices), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(uniform_laplacian(x, topology), dense_laplacian(topology, len(vertices)) @ x, atol=1e-12)


def test_laplacian_keeps_constants_and_loose_vertices():
    topology = build_topology(SHEET, 6)  # vertices 4 and 5 belong to no face
    constant = torch.full((2, 6, 3), 7.0)
    assert uniform_laplacian(constant, topology).abs().max() < 1e-6
    x = torch.rand(1, 6, 3)
    assert torch.equal(uniform_laplacian(x, topology)[:, 4:], torch.zeros(1, 2, 3))


def test_laplacian_gradients_with_uneven_degrees():
    topology = build_topology(SHEET, 5)
    x = torch.rand(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: uniform_laplacian(x, topology), (x,))
    assert torch.autograd.gradgradcheck(lambda x: uniform_laplacian(x, topology).square(), (x,))


@pytest.mark.parametrize("batch", [1, 2, 8, 17])
def test_laplacian_rows_do_not_depend_on_the_batch(batch):
    vertices, faces = icosphere(2)
    topology = build_topology(faces, len(vertices))
    x = torch.rand(batch, len(vertices), 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(uniform_laplacian(x, topology)[-1:], uniform_laplacian(x[-1:], topology))


def test_face_means():
    vertices, faces = torus()
    means = face_means(faces, len(vertices), torch.float64)
    x = torch.rand(2, len(vertices), 2, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(means(x), face_corners(x, faces).mean(dim=2), atol=1e-12)
    small = face_means(SHEET, 4, torch.float64)
    assert torch.autograd.gradcheck(small, (x[:, :4],))


def test_normals_point_out():
    vertices, faces = icosphere(2)
    normals = vertex_normals(vertices[None], faces)[0]
    assert (normals * vertices).sum(dim=1).min() > 0.999
    centres = vertices[faces].mean(dim=1)
    assert (face_normals(vertices[None], faces)[0] * centres).sum(dim=1).min() > 0.9
    assert (face_normals(vertices[None], faces)[0].norm(dim=1) - 1).abs().max() < 1e-12


def test_vertex_normals_are_weighted_by_area():
    """A large face along z and a small one along x meet at vertex 0: their areas are 4 to 1."""
    vertices = torch.tensor([[[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 2, 0.5], [0, 0, 0.5]]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 3, 4]])
    area = face_area_vectors(vertices, faces)[0]
    assert area.tolist() == [[0, 0, 8], [1, 0, 0]], "twice the areas"
    assert torch.allclose(vertex_normals(vertices, faces)[0, 0] * 65**0.5, torch.tensor([1.0, 0, 8]).double())


def test_flat_and_pointlike_faces_have_no_normal_and_finite_gradients():
    vertices = torch.zeros(1, 3, 3, requires_grad=True)
    faces = torch.tensor([[0, 1, 2]])
    assert torch.equal(face_normals(vertices, faces), torch.zeros(1, 1, 3))
    assert torch.equal(vertex_normals(vertices, faces), torch.zeros(1, 3, 3))
    (vertex_normals(vertices, faces).sum() + face_normals(vertices, faces).sum()).backward()
    assert vertices.grad is not None and vertices.grad.isfinite().all()


def test_gradients_of_normals_volume_and_lengths():
    vertices, faces = tetrahedron()
    topology = build_topology(faces, 4)
    x = (vertices + 0.1 * torch.rand(2, 4, 3, dtype=torch.float64)).requires_grad_()
    for function in (
        lambda x: face_normals(x, faces),
        lambda x: vertex_normals(x, faces),
        lambda x: signed_volume(x, faces),
        lambda x: edge_lengths(x, topology),
    ):
        assert torch.autograd.gradcheck(function, (x,))


def test_volume_is_signed_and_does_not_depend_on_the_place():
    vertices, faces = tetrahedron()
    moved = torch.stack((vertices, vertices + torch.tensor([5.0, -3.0, 2.0]), 2 * vertices))
    assert signed_volume(moved, faces).tolist() == pytest.approx([1 / 6, 1 / 6, 8 / 6])
    assert signed_volume(moved, faces.flip(1)).tolist() == pytest.approx([-1 / 6, -1 / 6, -8 / 6])


def test_edge_lengths():
    vertices, faces = tetrahedron()
    topology = build_topology(faces, 4)
    assert edge_lengths(vertices[None], topology)[0].tolist() == pytest.approx([1, 1, 1, 2**0.5, 2**0.5, 2**0.5])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring(axis):
    point = torch.tensor([[1.0, 2.0, 3.0]])
    expected = point.clone()
    expected[0, axis] *= -1
    assert torch.equal(mirrored(point, axis), expected)
    assert torch.equal(mirrored(mirrored(point, axis), axis), point)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirror_partners_are_exact_on_symmetric_meshes(axis):
    vertices, _ = icosphere(3)
    partners = mirror_partners(vertices, axis)
    assert torch.equal(partners[partners], torch.arange(len(vertices)))
    assert (mirrored(vertices, axis) - vertices[partners]).abs().max() < 1e-15


def test_mirror_partner_is_the_nearest_where_none_is_exact():
    vertices = torch.tensor([[1.0, 0, 0], [-0.9, 0.1, 0], [5.0, 0, 0]])
    assert mirror_partners(vertices, 0).tolist() == [1, 0, 1]


def test_mirror_partners_beyond_one_chunk():
    vertices, _ = icosphere(4)
    partners = mirror_partners(vertices, 0)
    assert len(partners) == 2562
    assert (mirrored(vertices, 0) - vertices[partners]).abs().max() < 1e-14


@given(st.sampled_from([tetrahedron(), torus(6, 4), icosphere(0)]), st.integers(1, 2))
@settings(max_examples=6, deadline=None)
def test_subdivision(mesh, rounds):
    vertices, faces = mesh
    finer, split = vertices, faces
    for _ in range(rounds):
        finer, split = subdivide(finer, split)
    assert torch.equal(finer[: len(vertices)], vertices), "old vertices stay where they are"
    assert len(split) == 4**rounds * len(faces)
    topology = build_topology(split, len(finer))
    assert topology.is_closed
    before = build_topology(faces, len(vertices))
    assert len(finer) - len(topology.edges) + len(split) == len(vertices) - len(before.edges) + len(faces)
    assert signed_volume(finer[None], split).item() == pytest.approx(signed_volume(vertices[None], faces).item())
    assert (
        face_area_vectors(finer[None], split).norm(dim=2).max()
        < face_area_vectors(vertices[None], faces).norm(dim=2).max()
    )


def test_subdividing_an_open_mesh_puts_vertices_at_midpoints():
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 2, 0]])
    finer, faces = subdivide(vertices, SHEET)
    assert finer[4:].tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0], [1, 2, 0]]
    assert torch.allclose(face_area_vectors(finer[None], faces)[0, :, 2].abs(), torch.ones(8))
