"""Templates from mesh files: closed, upright, within the budget; everything else is refused with its cure."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from asset_samples import body_asset
from numpy.testing import assert_allclose

from mmgen.assets.formats import ExportOptions, export_files
from mmgen.core.errors import FatalError
from mmgen.templates.mesh_file import load_template
from recon.geometry import signed_volume


def saved(mesh: trimesh.Trimesh, path: Path) -> Path:
    mesh.export(path)
    return path


def volume(template) -> float:
    return float(signed_volume(template.vertices[None], template.faces))


def bumpy_body() -> trimesh.Trimesh:
    """About a person's proportions, no symmetry, 2562 vertices."""
    mesh = trimesh.creation.icosphere(subdivisions=4)
    waves = 1 + 0.2 * np.sin(5 * mesh.vertices[:, :1]) * np.cos(4 * mesh.vertices[:, 1:2])
    mesh.vertices = mesh.vertices * waves * [40, 90, 25] + [7, 300, -5]
    return mesh


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj", "glb", "off"])
def test_any_format_gives_a_closed_template_within_the_budget(tmp_path, suffix):
    source = bumpy_body()
    template = load_template(saved(source, tmp_path / f"body.{suffix}"), vertex_budget=300)
    assert 250 <= len(template.vertices) <= 300
    assert template.topology.is_closed
    vertices = template.vertices.numpy()
    assert np.ptp(vertices[:, 1]) == pytest.approx(1.8, rel=1e-5)
    assert_allclose(vertices.min(axis=0) + vertices.max(axis=0), 0, atol=1e-5)
    scale = 1.8 / source.extents[1]
    assert volume(template) == pytest.approx(source.volume * scale**3, rel=0.03)


def test_a_small_mesh_is_kept_as_it_is_with_its_own_texture_coordinates(tmp_path):
    asset = body_asset()
    [(name, data)] = export_files(asset, "a", "glb", ExportOptions()).items()
    (tmp_path / name).write_bytes(data)
    template = load_template(tmp_path / name)
    assert len(template.vertices) == 162
    placed = template.vertices.numpy()[template.faces.numpy()]
    original = asset.vertices[asset.faces]
    assert_allclose(placed * (1.7 / 1.8) + [0, 0.85, 0], original, atol=1e-5)
    assert_allclose(template.face_uv.numpy(), asset.face_uv, atol=1e-6)


def test_without_texture_coordinates_the_front_gets_the_lower_half(tmp_path):
    template = load_template(saved(trimesh.creation.icosphere(subdivisions=2), tmp_path / "a.stl"))
    uv, faces = template.face_uv.numpy(), template.faces.numpy()
    depth = template.vertices.numpy()[faces][..., 2].mean(axis=1)
    centre = uv[..., 1].mean(axis=1) % 1
    assert (centre[depth > 0.2] < 0.5).all() and (centre[depth < -0.2] > 0.5).all()


def test_texture_coordinates_outside_the_map_are_replaced(tmp_path):
    mesh = trimesh.creation.icosphere(subdivisions=1)
    mesh.visual = trimesh.visual.TextureVisuals(uv=np.full((len(mesh.vertices), 2), 1.5))
    template = load_template(saved(mesh, tmp_path / "a.obj"))
    assert template.face_uv[..., 0].max() <= 1
    assert np.ptp(template.face_uv[..., 0].numpy()) > 0.9


def test_inside_out_meshes_are_turned(tmp_path):
    mesh = trimesh.creation.box()
    mesh.invert()
    assert volume(load_template(saved(mesh, tmp_path / "a.ply"))) > 0


def test_handles_survive_decimation(tmp_path):
    ring = trimesh.creation.torus(1, 0.3, major_sections=64, minor_sections=32)
    template = load_template(saved(ring, tmp_path / "ring.stl"), vertex_budget=200)
    assert len(template.vertices) - len(template.topology.edges) + len(template.faces) == 0
    assert template.topology.is_closed


def test_the_same_file_gives_the_same_template(tmp_path):
    path = saved(bumpy_body(), tmp_path / "a.stl")
    first, second = load_template(path, 300), load_template(path, 300)
    assert first.vertices.equal(second.vertices) and first.faces.equal(second.faces)


def test_nearly_coincident_seam_vertices_are_welded(tmp_path):
    mesh = trimesh.creation.icosphere(subdivisions=2)
    soup = mesh.triangles.reshape(-1, 3) + np.random.default_rng(0).normal(0, 1e-8, (3 * len(mesh.faces), 3))
    loose = trimesh.Trimesh(soup, np.arange(len(soup)).reshape(-1, 3), process=False)
    assert len(load_template(saved(loose, tmp_path / "a.ply")).vertices) == 162


def faulty(kind: str) -> trimesh.Trimesh:
    box = trimesh.creation.icosphere(subdivisions=1)
    if kind == "open":
        box.update_faces(np.arange(len(box.faces)) > 0)
    elif kind == "flipped":
        faces = box.faces.copy()
        faces[3] = faces[3][::-1]
        box = trimesh.Trimesh(box.vertices, faces, process=False)
    elif kind == "parts":
        box = trimesh.util.concatenate([box, box.copy().apply_translation([5, 0, 0])])
    elif kind == "walls":
        # two boxes that share an edge: four faces meet there
        other = trimesh.creation.box().apply_translation([1, 1, 0])
        box = trimesh.util.concatenate([trimesh.creation.box(), other])
    return box


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("open", r"a\.ply has 3 open edges; a template must be closed \(template_open\)\. Close the holes"),
        ("flipped", r"a\.ply has faces of both orientations .*Recalculate the normals"),
        ("parts", r"a\.ply has 2 separate parts .*Join them to one surface"),
        ("walls", r"a\.ply has 1 edges with more than two faces .*Remove inner walls"),
    ],
)
def test_surfaces_that_are_no_template(tmp_path, kind, text):
    with pytest.raises(FatalError, match=text):
        load_template(saved(faulty(kind), tmp_path / "a.ply"))


def test_files_that_are_no_mesh(tmp_path):
    with pytest.raises(FatalError, match=r"none\.obj cannot be read as a mesh: .*Check that the file opens"):
        load_template(tmp_path / "none.obj")
    (tmp_path / "bad.glb").write_bytes(b"glTF\2\0\0\0" + b"\xff" * 40)
    with pytest.raises(FatalError, match=r"bad\.glb cannot be read as a mesh"):
        load_template(tmp_path / "bad.glb")
    with pytest.raises(FatalError, match=r"a\.fbx is of no mesh format .*Use one of \.glb \.gltf \.obj"):
        load_template(tmp_path / "a.fbx")
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    with pytest.raises(FatalError, match=r"empty\.obj encloses no space .*Take a mesh with a volume"):
        load_template(tmp_path / "empty.obj")
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 1 3 2\n")
    with pytest.raises(FatalError, match=r"flat\.obj encloses no space"):
        load_template(tmp_path / "flat.obj")
    (tmp_path / "nan.obj").write_text("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(FatalError, match=r"nan\.obj has vertices that are no finite numbers .*Export it again"):
        load_template(tmp_path / "nan.obj")


def test_a_budget_that_cannot_be_met_is_said(tmp_path, monkeypatch):
    ring = trimesh.creation.torus(1, 0.3, major_sections=16, minor_sections=8)
    path = saved(ring, tmp_path / "ring.stl")
    monkeypatch.setattr("fast_simplification.simplify", lambda points, faces, **_: (points[:3], faces[:0]))
    with pytest.raises(
        FatalError, match=r"ring\.stl has 128 vertices and does not stay closed at 20 .*allow more vertices"
    ):
        load_template(path, vertex_budget=20)
    with pytest.raises(ValueError, match="vertex_budget must be at least 12, not 3"):
        load_template(path, vertex_budget=3)
