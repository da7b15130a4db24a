"""Solids: frames, samples, distances and volumes against closed forms, and rays that hit vertices and edges."""

import math

import pytest
import torch
from torch import Tensor

from recon.evaluation import solid
from recon.evaluation.solid import VoxelGrid
from recon.geometry import sample_surface, signed_volume, subdivide
from recon.template import icosphere

BOX_FACES = torch.tensor(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Tensor:
    """Corner k has bit 0 = x, bit 1 = y, bit 2 = z."""
    bounds = torch.tensor([low, high], dtype=torch.float64)
    return torch.stack([bounds[[k & 1, k >> 1 & 1, k >> 2 & 1], [0, 1, 2]] for k in range(8)])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_test_box_is_closed_and_outward():
    assert signed_volume(box((0, 0, 0), (1, 2, 3))[None], BOX_FACES).item() == pytest.approx(6.0)


def test_canonical_frame_removes_unit_and_place():
    vertices = box((1, 10, -3), (2, 14, -1))
    canonical = solid.canonical_frame(vertices, BOX_FACES)
    torch.testing.assert_close(canonical.amax(dim=0), torch.tensor([0.125, 0.5, 0.25], dtype=torch.float64))
    torch.testing.assert_close(canonical.amin(dim=0), -canonical.amax(dim=0))
    torch.testing.assert_close(solid.canonical_frame(vertices * 37.0 + 5.0, BOX_FACES), canonical)


def test_an_arm_held_out_does_not_move_the_body():
    body = box((-1, -5, -1), (1, 5, 1))
    arm = box((-0.1, 0, 1), (0.1, 0.2, 4))
    both = torch.cat((body, arm))
    faces = torch.cat((BOX_FACES, BOX_FACES + len(body)))
    shift = (solid.canonical_frame(both, faces)[:8] - solid.canonical_frame(body, BOX_FACES)).abs().max()
    assert 0 < float(shift) < 0.02  # the bounding box would move by 0.15


def test_canonical_frame_refuses_what_has_no_height():
    with pytest.raises(ValueError, match="needs an extent along y"):
        solid.canonical_frame(torch.zeros(4, 3), BOX_FACES[:0])
    with pytest.raises(ValueError, match="needs finite vertices"):
        solid.canonical_frame(torch.full((4, 3), math.nan), BOX_FACES[:0])
    with pytest.raises(ValueError, match="needs finite vertices"):
        solid.canonical_frame(torch.zeros(0, 3), BOX_FACES[:0])


def test_samples_are_uniform_by_area_and_lie_on_their_face():
    vertices = box((0, 0, 0), (1, 1, 4))
    points, owner = sample_surface(vertices, BOX_FACES, 3000, generator())
    on_ends = ((points[:, 2] < 1e-9) | (points[:, 2] > 4 - 1e-9)).double().mean()
    assert on_ends.item() == pytest.approx(2 / 18, abs=0.002)
    assert solid.triangle_distance(points, vertices[BOX_FACES[owner]]).max() < 1e-12
    sides = points[points[:, 0] < 1e-9]
    assert sides[:, 1].mean().item() == pytest.approx(0.5, abs=0.03)
    assert sides[:, 2].std().item() == pytest.approx(4 / math.sqrt(12), abs=0.05)


def test_samples_depend_on_the_generator_alone():
    vertices = box((0, 0, 0), (1, 1, 1))
    first, again, other = (sample_surface(vertices, BOX_FACES, 50, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.2, 0.2, 3.0), 3.0),  # above the inside
        ((-1.0, 0.5, 0.0), 1.0),  # beside an edge
        ((2.0, -1.0, 0.0), math.sqrt(2)),  # at a corner
        ((1.0, 1.0, 0.0), math.sqrt(0.5)),  # beyond the long edge
        ((0.25, 0.25, 0.0), 0.0),
    ],
)
def test_triangle_distance(point, expected):
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    for order in ([0, 1, 2], [2, 1, 0]):
        distance = solid.triangle_distance(torch.tensor([point], dtype=torch.float64), corners[order][None])
        assert distance.item() == pytest.approx(expected, abs=1e-12)


def test_distance_to_a_triangle_without_area():
    corners = torch.tensor([[[0.0, 0, 0], [2, 0, 0], [1, 0, 0]]])
    assert solid.triangle_distance(torch.tensor([[1.0, 3.0, 4.0]]), corners).item() == pytest.approx(5.0)


def test_chamfer_of_concentric_spheres_is_the_gap():
    inner, faces = icosphere(4)
    outer, coarse = icosphere(3)
    distance = solid.chamfer(inner, faces, 1.1 * outer, coarse, generator())
    assert distance == pytest.approx(0.1, abs=0.004)


def test_chamfer_of_equal_surfaces_is_zero_for_any_triangulation():
    vertices = box((0, 0, 0), (1, 1, 1))
    finer = subdivide(*subdivide(vertices, BOX_FACES))
    assert solid.chamfer(vertices, BOX_FACES, *finer, generator()) < 5e-4
    sphere, faces = icosphere(3)
    assert solid.chamfer(sphere, faces, sphere, faces, generator()) < 1e-3


def test_chamfer_averages_both_directions():
    small, big = box((0, 0, 0), (1, 1, 1)), torch.cat((box((0, 0, 0), (1, 1, 1)), box((9, 0, 0), (10, 1, 1))))
    two_boxes = torch.cat((BOX_FACES, BOX_FACES + 8))
    # One direction is 0; in the other half of the points are 8 to 9 away, 8.5 on average.
    distance = solid.chamfer(small, BOX_FACES, big, two_boxes, generator())
    assert distance == pytest.approx(8.5 / 4, abs=0.03)


def test_box_occupancy_is_exact_with_rays_through_vertices_and_edges():
    # Every voxel column through x or y = 0, 1, 2 runs along edges, diagonals or vertices of the box.
    grid = VoxelGrid(origin=(-1.0, -1.0, -1.0), pitch=0.5, shape=(9, 9, 9))
    inside = solid.occupancy(box((0, 0, 0), (2, 2, 2)), BOX_FACES, grid)
    assert int(inside.sum()) == 4**3, "half-open: one of each pair of opposite sides counts"
    assert inside.any(dim=2).sum() == inside.any(dim=0).sum() == 16
    lattice = VoxelGrid(origin=(-0.75, -0.75, -0.75), pitch=0.5, shape=(7, 7, 7))
    expected = torch.zeros(7, 7, 7, dtype=torch.bool)
    expected[2:6, 2:6, 2:6] = True
    assert torch.equal(solid.occupancy(box((0, 0, 0), (2, 2, 2)), BOX_FACES, lattice), expected)


def test_no_ray_leaks_through_a_sphere_with_vertices_on_columns():
    vertices, faces = icosphere(3)
    vertices = (vertices * 8).round() / 8  # many vertices exactly on columns, some triangles without area
    grid = VoxelGrid(origin=(-1.25, -1.25, -1.25), pitch=1 / 16, shape=(41, 41, 41))
    inside = solid.occupancy(vertices, faces, grid)
    assert not inside[:, :, -1].any(), "every ray leaves what it entered"
    volume = float(inside.sum()) / 16**3
    assert volume == pytest.approx(signed_volume(vertices[None], faces).item(), rel=0.03)


@pytest.mark.parametrize("turned", [False, True])
def test_sphere_volume_whichever_way_the_faces_look(turned):
    vertices, faces = icosphere(3)
    faces = faces.flip(1) if turned else faces
    grid = VoxelGrid.around(0.04, vertices)
    assert float(solid.occupancy(vertices, faces, grid).sum()) * 0.04**3 == pytest.approx(4.15, abs=0.04)


def test_overlapping_parts_count_as_their_union():
    vertices = torch.cat((box((0, 0, 0), (2, 1, 1)), box((1, 0, 0), (3, 1, 1))))
    faces = torch.cat((BOX_FACES, BOX_FACES + 8))
    grid = VoxelGrid.around(0.1, vertices)
    assert int(solid.occupancy(vertices, faces, grid).sum()) == 3000


def test_volume_iou_of_shifted_boxes():
    first, second = box((0, 0, 0), (2, 1, 1)), box((1, 0, 0), (3, 1, 1))
    assert solid.volume_iou(first, BOX_FACES, second, BOX_FACES, pitch=0.05) == pytest.approx(1 / 3)
    assert solid.volume_iou(first, BOX_FACES, first, BOX_FACES) == 1.0
    assert solid.volume_iou(first, BOX_FACES, first + 5, BOX_FACES, pitch=0.5) == 0.0


def test_volume_iou_of_a_mesh_without_volume_is_zero():
    flat = box((0, 0, 0), (1, 1, 0))
    assert solid.volume_iou(flat, BOX_FACES, flat, BOX_FACES) == 0.0


def test_separate_copies_of_a_vertex_do_not_open_the_mesh():
    vertices, faces = icosphere(2)
    soup = vertices[faces].reshape(-1, 3)
    soup_faces = torch.arange(len(soup)).reshape(-1, 3)
    assert solid.volume_iou(vertices, faces, soup, soup_faces, pitch=0.05) == 1.0
