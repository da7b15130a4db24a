import numpy as np
import pytest
import torch
import trimesh

from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.templates import TEMPLATE_NAMES, named_template, template_digest
from mmgen.templates.build_person import (
    HEIGHT,
    PERSON_FILE,
    body_distance,
    build,
)
from recon.geometry import edge_lengths, face_area_vectors, mirrored, signed_volume, vertex_normals
from recon.texturing.texels import map_texels


@pytest.fixture(scope="module")
def person():
    return named_template("person")


def test_the_bundled_body_is_closed_and_symmetric(person):
    assert 1200 <= len(person.vertices) <= 1400
    assert person.topology.is_closed
    euler = len(person.vertices) - len(person.topology.edges) + len(person.faces)
    assert euler == 2, "one piece without handles: arms and legs do not touch"
    assert torch.equal(person.partners[person.partners], torch.arange(len(person.vertices)))
    assert (mirrored(person.vertices, 0) - person.vertices[person.partners]).abs().max() < 1e-6


def test_the_bundled_body_stands_upright_and_faces_forward(person):
    low, high = person.vertices.amin(dim=0), person.vertices.amax(dim=0)
    assert high[1] - low[1] == pytest.approx(HEIGHT, abs=1e-5) and high[1] == pytest.approx(HEIGHT / 2, abs=1e-5)
    assert 0.6 < high[0] - low[0] < 1.0 and 0.2 < high[2] - low[2] < 0.4
    feet = person.vertices[person.vertices[:, 1] < low[1] + 0.06]
    assert feet[:, 2].max() > 0.08 > -feet[:, 2].min(), "toes to +z"
    assert 0.05 < signed_volume(person.vertices[None], person.faces).item() < 0.12


def test_the_bundled_bodys_triangles_are_even(person):
    lengths = edge_lengths(person.vertices[None], person.topology)
    assert lengths.max() < 0.2 and lengths.min() > 0.003
    areas = face_area_vectors(person.vertices[None], person.faces)[0].norm(dim=1) / 2
    assert areas.min() > 1e-6


def test_front_and_back_have_their_half_of_the_map(person):
    normal_z = face_area_vectors(person.vertices[None], person.faces)[0, :, 2]
    v = person.face_uv[..., 1]
    assert (v[normal_z > 0] < 0.5).all() and (v[normal_z < 0] > 0.5).all()
    assert person.face_uv.min() > 0 and person.face_uv.max() < 1, "nothing crosses the border"


def test_both_views_stand_as_the_layout_says(person):
    """Front: head up, u to the right. Back: feet up, u still with x."""
    centres = person.vertices[person.faces].mean(dim=1)
    uv = person.face_uv.mean(dim=1)
    front = face_area_vectors(person.vertices[None], person.faces)[0, :, 2] > 0
    for part, sign in ((front, 1), (~front, -1)):
        assert torch.corrcoef(torch.stack((centres[part, 0], uv[part, 0])))[0, 1] > 0.99
        assert torch.corrcoef(torch.stack((centres[part, 1], uv[part, 1])))[0, 1] * sign > 0.99


def test_every_part_of_the_body_has_texels(person):
    texels = map_texels(person, 512, 256)
    owned = torch.bincount(texels.face_index[texels.on_layout], minlength=len(person.faces))
    normals = vertex_normals(person.vertices[None], person.faces)[0]
    seen = (normals[person.faces].mean(dim=1)[:, 2].abs() > 0.3).nonzero()[:, 0]
    assert (owned[seen] > 0).float().mean() > 0.97
    assert texels.on_layout.float().mean() > 0.2


def test_building_it_again_gives_the_bundled_file():
    arrays = build()
    with np.load(PERSON_FILE, allow_pickle=False) as bundled:
        assert sorted(bundled.files) == sorted(arrays)
        assert np.array_equal(bundled["faces"], arrays["faces"])
        np.testing.assert_allclose(bundled["vertices"], arrays["vertices"], atol=1e-5)
        np.testing.assert_allclose(bundled["face_uv"], arrays["face_uv"], atol=1e-5)


def test_inside_is_negative():
    inside = np.array([[0.0, 1.2, 0.0], [0.0, 1.68, 0.0], [0.1, 0.7, 0.0]])
    outside = np.array([[0.0, 0.3, 0.0], [0.5, 1.0, 0.0], [0.0, 1.2, 0.5], [0.0, 2.0, 0.0]])
    assert (body_distance(inside) < -0.02).all() and (body_distance(outside) > 0.05).all()


def test_named_templates():
    assert TEMPLATE_NAMES == ("person", "ellipsoid")
    assert len(named_template("ellipsoid").vertices) == 642
    assert [template_digest(name) for name in TEMPLATE_NAMES] == ["person", "ellipsoid"]


def test_files_as_templates(tmp_path):
    path = tmp_path / "ball.obj"
    trimesh.creation.icosphere(subdivisions=2).export(path)
    assert len(named_template(str(path)).vertices) == 162
    assert template_digest(str(path)) == sha256_file(path)


def test_a_misspelt_name_is_a_missing_file():
    for use in (named_template, template_digest):
        with pytest.raises(FatalError, match="template persom is neither person nor ellipsoid nor a file") as caught:
            use("persom")
        assert caught.value.code == "template_missing" and "closed mesh" in caught.value.hint
