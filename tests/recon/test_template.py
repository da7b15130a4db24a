import math

import pytest
import torch
from small_meshes import tetrahedron, torus

from recon.geometry import build_topology, edge_lengths, mirrored, signed_volume
from recon.template import (
    PERSON_HALF_EXTENTS,
    ellipsoid_template,
    icosphere,
    spherical_face_uv,
    spherical_uv,
    template_from_arrays,
)


@pytest.fixture(scope="module")
def person():
    return ellipsoid_template()


def test_published_template(person):
    assert (len(person.vertices), len(person.topology.edges), len(person.faces)) == (642, 1920, 1280)
    assert person.vertices.amax(dim=0).tolist() == pytest.approx(PERSON_HALF_EXTENTS, abs=1e-6)
    assert person.vertices.amin(dim=0).tolist() == pytest.approx([-0.45, -0.9, -0.225], abs=1e-6)
    assert person.topology.is_closed
    degrees = person.topology.neighbour_mask.sum(dim=1)
    assert (int((degrees == 5).sum()), int((degrees == 6).sum())) == (12, 630)
    assert signed_volume(person.vertices[None], person.faces).item() > 0.9 * 4 / 3 * math.pi * 0.45 * 0.9 * 0.225


def test_symmetry_of_the_published_template(person):
    assert person.mirror_axis == 0
    published = ellipsoid_template(mirror_axis=2)
    for template in (person, published):
        image = mirrored(template.vertices, template.mirror_axis)
        assert torch.equal(image.abs(), template.vertices[template.partners].abs())
        assert (image - template.vertices[template.partners]).abs().max() < 1e-7
        assert torch.equal(template.partners[template.partners], torch.arange(642))
    z = published.vertices[:, 2]
    assert (int((z == 0).sum()), int((z > 0).sum()), int((z < 0).sum())) == (32, 305, 305)


@pytest.mark.parametrize("level, vertices", [(0, 12), (1, 42), (2, 162), (4, 2562)])
def test_other_levels(level, vertices):
    template = ellipsoid_template(level)
    assert len(template.vertices) == vertices
    assert len(template.faces) == 20 * 4**level
    assert template.vertices.amax(dim=0).tolist() == pytest.approx(PERSON_HALF_EXTENTS, abs=1e-6)


def test_other_proportions():
    bird = ellipsoid_template(2, (0.9, 0.9, 0.45))
    assert bird.vertices.amax(dim=0).tolist() == pytest.approx([0.9, 0.9, 0.45], abs=1e-6)


def test_icosphere_is_round_and_even():
    vertices, faces = icosphere(3)
    assert (vertices.norm(dim=1) - 1).abs().max() < 1e-14
    lengths = edge_lengths(vertices[None], build_topology(faces, len(vertices)))
    assert lengths.max() / lengths.min() < 1.2
    assert signed_volume(vertices[None], faces).item() == pytest.approx(4 / 3 * math.pi, rel=0.02)


@pytest.mark.parametrize(
    "direction, expected",
    [
        ((0, 0, 1), (0.5, 0.25)),
        ((0, 1, 0), (0.5, 0.5)),
        ((0, 0, -1), (0.5, 0.75)),
        ((0, -1, 0), (0.5, 0.0)),
        ((1, 0, 0), (1.0, None)),
        ((-1, 0, 0), (0.0, None)),
        ((math.sin(0.3), 0, math.cos(0.3)), (0.5 + 0.3 / math.pi, 0.25)),
        ((0, math.sin(0.3), math.cos(0.3)), (0.5, 0.25 + 0.3 / (2 * math.pi))),
    ],
)
def test_layout_anchors(direction, expected):
    u, v = spherical_uv(torch.tensor([direction], dtype=torch.float64))[0].tolist()
    assert u == pytest.approx(expected[0], abs=1e-12)
    if expected[1] is not None:
        assert min(abs(v - expected[1]), 1 - abs(v - expected[1])) < 1e-12


def assert_no_jumps(face_uv, limit):
    """Corners of a face are neighbours on the map, also where v = 1 joins v = 0."""
    spread = face_uv.amax(dim=1) - face_uv.amin(dim=1)
    assert spread.isfinite().all()
    assert spread[:, 1].max() < limit
    assert face_uv[..., 1].min() >= 0 and face_uv[..., 1].max() < 1.5
    assert face_uv[..., 0].min() >= 0 and face_uv[..., 0].max() <= 1


def test_no_face_jumps_across_the_seam(person):
    assert_no_jumps(person.face_uv, 0.5)
    away_from_poles = ((person.face_uv[..., 0] - 0.5).abs() < 0.4).all(dim=1)
    assert_no_jumps(person.face_uv[away_from_poles], 0.1)
    assert (person.face_uv[..., 1] > 1).any(), "some faces do cross the seam"


def test_corners_agree_with_their_vertex(person):
    """All corners at one vertex have its coordinates, up to a whole turn of v; poles keep u alone."""
    normalised = person.vertices.double() / torch.tensor(PERSON_HALF_EXTENTS)
    expected = spherical_uv(torch.nn.functional.normalize(normalised, dim=1))[person.faces]
    assert (person.face_uv[..., 0] - expected[..., 0]).abs().max() < 1e-3
    pole = (person.face_uv[..., 0] - 0.5).abs() > 0.4999
    turn = (person.face_uv[..., 1] - expected[..., 1])[~pole]
    assert (turn - turn.round()).abs().max() < 5e-3


def test_poles_take_the_middle_of_their_face(person):
    pole = (person.face_uv[..., 0] - 0.5).abs() > 0.4999
    assert int(pole.any(dim=1).sum()) == 12, "six faces at each pole"
    for face, is_pole in zip(person.face_uv[pole.any(dim=1)], pole[pole.any(dim=1)], strict=True):
        assert face[is_pole][0, 1].item() == pytest.approx(face[~is_pole][:, 1].mean().item(), abs=1e-6)


def test_front_is_the_lower_half_of_the_map(person):
    z = person.vertices[person.faces].mean(dim=1)[:, 2]
    v = torch.remainder(person.face_uv[..., 1].mean(dim=1), 1)
    assert ((v < 0.5) == (z > 0))[z.abs() > 0.03].all()
    y = person.vertices[person.faces].mean(dim=1)[:, 1]
    front = (z > 0.05) & ((person.face_uv[..., 0].mean(dim=1) - 0.5).abs() < 0.2)
    assert torch.corrcoef(torch.stack((y[front], v[front])))[0, 1] > 0.95, "head up on the front"


@pytest.mark.parametrize("mesh", [tetrahedron(), torus(), icosphere(1)])
def test_any_closed_mesh(mesh):
    vertices, faces = mesh
    template = template_from_arrays(vertices, faces)
    assert torch.equal(template.vertices, vertices.float())
    assert torch.equal(template.faces, faces)
    assert template.topology.is_closed
    assert_no_jumps(template.face_uv, 0.7)


def test_torus_partners_are_exact():
    vertices, faces = torus()
    for axis in (0, 1, 2):
        template = template_from_arrays(vertices, faces, mirror_axis=axis)
        assert (mirrored(template.vertices, axis) - template.vertices[template.partners]).abs().max() < 1e-6


def test_inside_out_meshes_are_turned_with_their_coordinates():
    vertices, faces = tetrahedron()
    face_uv = torch.rand(4, 3, 2, dtype=torch.float64)
    inward = template_from_arrays(vertices, faces.flip(1), face_uv.flip(1))
    assert torch.equal(inward.faces, faces)
    assert torch.equal(inward.face_uv, face_uv.float())
    assert signed_volume(inward.vertices[None], inward.faces).item() > 0


def test_own_coordinates_are_kept():
    vertices, faces = tetrahedron()
    face_uv = torch.rand(4, 3, 2, dtype=torch.float64)
    assert torch.equal(template_from_arrays(vertices, faces, face_uv).face_uv, face_uv.float())


def test_flat_directions_do_not_break_spherical_coordinates():
    vertices, faces = torus(tube=1e-12)
    assert template_from_arrays(vertices, faces).face_uv.isfinite().all()


def test_face_of_poles_only_has_finite_coordinates():
    directions = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0]], dtype=torch.float64)
    assert spherical_face_uv(directions, torch.tensor([[0, 1, 2]])).isfinite().all()


def test_moved_prototype_keeps_everything_else(person):
    moved = person.with_vertices(person.vertices * 2)
    assert torch.equal(moved.vertices, 2 * person.vertices)
    assert moved.topology is person.topology and moved.partners is person.partners
    assert moved.mirror_axis == person.mirror_axis


def test_every_part_follows_to_a_device(person):
    there = person.to("meta")
    assert {there.vertices.device.type, there.face_uv.device.type, there.partners.device.type} == {"meta"}
    for name in ("faces", "edges", "edge_faces", "neighbours", "neighbour_mask"):
        assert getattr(there.topology, name).device.type == "meta", name
    assert there.mirror_axis == 0


def test_meshes_that_are_no_template():
    vertices, faces = tetrahedron()
    with pytest.raises(ValueError, match="open edges; a template must be closed"):
        template_from_arrays(vertices, faces[:3])
    with pytest.raises(ValueError, match="more than two faces"):
        template_from_arrays(vertices, torch.cat((faces, faces[:1])))


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="icosphere level must be 0 to 7, not 8"):
        ellipsoid_template(8)
    with pytest.raises(ValueError, match="half_extents must be three positive lengths"):
        ellipsoid_template(1, (0.4, 0.0, 0.2))
    with pytest.raises(ValueError, match="half_extents must be three positive lengths"):
        ellipsoid_template(1, (0.4, 0.2))
    with pytest.raises(ValueError, match="mirror_axis must be 0, 1 or 2, not 3"):
        ellipsoid_template(1, mirror_axis=3)


def test_two_builds_are_equal():
    first, second = ellipsoid_template(2), ellipsoid_template(2)
    assert torch.equal(first.vertices, second.vertices) and torch.equal(first.face_uv, second.face_uv)
    assert torch.equal(first.faces, build_topology(second.faces, 162).faces)
