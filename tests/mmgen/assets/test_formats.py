"""Formats other than GLB, read back by other code than ours."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from asset_samples import body_asset, grid_asset, split_glb
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from mmgen.assets.formats import FORMATS, ExportOptions, export_files, output_names, reference_stem
from mmgen.assets.glb import read_glb
from mmgen.core.errors import ItemError

PLAIN = ExportOptions()


def write(folder, asset, stem, kind, options=PLAIN):
    files = export_files(asset, stem, kind, options)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def test_stl_is_a_printable_solid_in_millimetres():
    [data] = export_files(body_asset(level=3), "a", "stl", ExportOptions(height_m=1.8)).values()
    mesh = trimesh.load(io.BytesIO(data), file_type="stl")
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    assert len(mesh.vertices) == 642
    assert mesh.extents[2] == pytest.approx(1800, rel=0.005), "z is up"
    assert mesh.bounds[0, 2] == pytest.approx(0, abs=1e-3)
    assert b"millimetres" in data[:80]
    assert not data.startswith(b"solid")


def test_stl_normals_are_those_of_the_faces():
    [data] = export_files(body_asset(), "a", "stl", PLAIN).values()
    rows = np.frombuffer(data[84:], dtype=[("n", "<f4", 3), ("p", "<f4", (3, 3)), ("x", "<u2")])
    a, b, c = rows["p"].astype(np.float64).transpose(1, 0, 2)
    expected = np.cross(b - a, c - a)
    assert_allclose(rows["n"], expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("kind_of_fault", ["open", "inside out", "one face flipped"])
def test_stl_refuses_what_cannot_be_printed(kind_of_fault):
    asset = body_asset()
    faces = asset.faces.copy()
    if kind_of_fault == "open":
        asset = replace(asset, faces=faces[1:], face_uv=asset.face_uv[1:])
    elif kind_of_fault == "inside out":
        asset = replace(asset, faces=faces[:, ::-1], face_uv=asset.face_uv[:, ::-1])
    else:
        faces[0] = faces[0, ::-1]
        asset = replace(asset, faces=faces)
    with pytest.raises(ItemError, match=r"'walker' cannot be printed: \d+ open edges, volume .*Export it as ply"):
        export_files(asset, "a", "stl", PLAIN)


def test_ply_carries_the_colours_of_the_texture():
    asset = body_asset(level=3)
    [data] = export_files(asset, "a", "ply", PLAIN).values()
    mesh = trimesh.load(io.BytesIO(data), file_type="ply", process=False)
    assert_array_equal(mesh.vertices.astype(np.float32), asset.vertices)
    assert_array_equal(mesh.faces, asset.faces)
    assert mesh.is_watertight
    colors = mesh.visual.vertex_colors[:, :3].astype(int)
    red = mesh.vertices[(colors[:, 0] > 200) & (colors[:, 1] < 60)]
    assert len(red) and (red[:, 2] > 0).all() and (red[:, 1] > 0.85).all()
    assert b"units: metres; up: +Y" in data[:200]


@pytest.mark.parametrize(("kind", "metre"), [("ply", 1), ("stl", 1000)])
@pytest.mark.parametrize("up", ["y", "z"])
def test_the_axis_that_is_up_is_the_one_asked_for(kind, metre, up):
    asset = body_asset()
    nose = asset.vertices + np.float32([0, 0, 1]) * (asset.vertices[:, 2:] > 0)  # the front reaches further
    [data] = export_files(replace(asset, vertices=nose), "a", kind, replace(PLAIN, up=up)).values()
    mesh = trimesh.load(io.BytesIO(data), file_type=kind)
    low, high = mesh.bounds / metre
    assert mesh.volume > 0, "turned, not mirrored"
    if up == "z":
        assert low[2] == pytest.approx(0, abs=1e-4) and high[2] == pytest.approx(1.7, abs=1e-3) and low[1] < -1
    else:
        assert low[1] == pytest.approx(0, abs=1e-4) and high[1] == pytest.approx(1.7, abs=1e-3) and high[2] > 1
    assert f"up: +{up.upper()}".encode() in data[:200]


def test_obj_reads_back_with_texture_upright(tmp_path):
    asset = body_asset(level=3)
    mesh = trimesh.load(write(tmp_path, asset, "a", "obj"), process=False, maintain_order=True)
    assert len(mesh.faces) == len(asset.faces)
    assert_allclose(mesh.bounds, [asset.vertices.min(axis=0), asset.vertices.max(axis=0)], atol=1e-6)
    assert mesh.visual.uv[:, 1].max() > 1  # v wraps rather than being cut off
    colors = mesh.visual.to_color().vertex_colors[:, :3].astype(int)
    red = mesh.vertices[(colors[:, 0] > 200) & (colors[:, 1] < 60)]
    assert len(red) and (red[:, 2] > 0).all() and (red[:, 1] > 0.85).all()
    text = (tmp_path / "a.mtl").read_text()
    assert "\nKd 1 1 1\n" in text and text.endswith("\nmap_Kd a.png\n")
    assert "units: metres; up: +Y" in (tmp_path / "a.obj").read_text().splitlines()[0]


def test_obj_corners_name_the_right_coordinates_and_normals(tmp_path):
    asset = body_asset(level=1)
    lines = write(tmp_path, asset, "a", "obj").read_text().splitlines()
    rows = {key: np.array([line.split()[1:] for line in lines if line.split()[0] == key]) for key in ("v", "vt", "vn")}
    corners = np.array(
        [[part.split("/") for part in line.split()[1:]] for line in lines if line.startswith("f ")], dtype=int
    )
    assert_allclose(rows["v"].astype(float)[corners[..., 0] - 1], asset.vertices[asset.faces], atol=1e-7)
    assert_allclose(rows["vt"].astype(float)[corners[..., 1] - 1], asset.face_uv, atol=1e-7)
    outward = rows["v"].astype(float) - [0, 0.85, 0]
    assert ((rows["vn"].astype(float) * outward).sum(axis=1) > 0).all()
    assert_array_equal(corners[..., 2], corners[..., 0])


def test_two_objs_in_one_folder_keep_their_own_textures(tmp_path):
    colors = {"blue": (0, 0, 255), "a b": (255, 0, 0), "ä b": (0, 255, 0)}
    for name, color in colors.items():
        texture = np.full((8, 8, 3), color, np.uint8)
        write(tmp_path, body_asset(name, texture=texture), name, "obj")
    for name, color in colors.items():
        mesh = trimesh.load(tmp_path / f"{name}.obj", process=False)
        assert mesh.visual.material.image.getpixel((3, 3)) == color


def test_gltf_refers_to_its_own_files(tmp_path):
    asset = body_asset(level=3)
    path = write(tmp_path, asset, "ä b", "gltf")
    document = json.loads(path.read_bytes())
    uris = [document["buffers"][0]["uri"], document["images"][0]["uri"]]
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([*uris, "ä b.gltf"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", uri) for uri in uris)
    assert (tmp_path / uris[0]).stat().st_size == document["buffers"][0]["byteLength"]
    assert_array_equal(np.asarray(Image.open(tmp_path / uris[1])), asset.texture)
    [mesh] = trimesh.load(path, process=False).geometry.values()
    assert_allclose(mesh.bounds, [asset.vertices.min(axis=0), asset.vertices.max(axis=0)])


def test_gltf_refuses_provenance_that_is_no_json():
    with pytest.raises(ItemError, match="cannot be written as JSON"):
        export_files(body_asset(provenance={"x": float("nan")}), "a", "gltf", PLAIN)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_repeats_its_bytes_under_the_planned_names(kind):
    if kind == "usdz":
        pytest.importorskip("pxr", reason="needs usd-core: pip install 'mmgen[usd]'")
    options = ExportOptions(texture_size=32, texture_codec="jpeg", height_m=1.6)
    files = export_files(body_asset(), "x.y", kind, options)
    assert files == export_files(body_asset(), "x.y", kind, options)
    assert list(files) == output_names("x.y", kind, "jpeg")
    assert next(iter(files)) == f"x.y.{kind}"


def test_texture_size_and_codec_reach_the_file():
    files = export_files(body_asset(), "a", "obj", ExportOptions(texture_size=32, texture_codec="jpeg"))
    image = Image.open(io.BytesIO(files["a.jpg"]))
    assert (image.format, image.size) == ("JPEG", (16, 32))


def test_open_surfaces_can_be_written_in_formats_that_allow_them():
    for kind in ("glb", "gltf", "obj", "ply"):
        assert export_files(grid_asset(10), "a", kind, PLAIN)


@pytest.mark.parametrize("kind", ["obj", "usdz"])
def test_formats_of_readers_without_webp_refuse_it(kind):
    with pytest.raises(ValueError, match=f"{kind} has no webp textures"):
        export_files(body_asset(level=1), "a", kind, ExportOptions(texture_codec="webp"))


def test_what_an_export_changed_stands_in_its_provenance_and_nothing_else_does(tmp_path):
    plain = read_glb(write(tmp_path, body_asset(level=1), "a", "glb"))
    assert plain.provenance == body_asset().provenance
    changed = read_glb(write(tmp_path, plain, "b", "glb", ExportOptions(material="both")))
    again = read_glb(write(tmp_path, changed, "c", "glb", ExportOptions(texture_codec="jpeg")))
    assert again.provenance["export"] == {"material": "both", "texture_codec": "jpeg"}


def test_webp_is_required_where_it_is_the_only_texture_and_reads_back(tmp_path):
    asset = body_asset(level=1)
    path = write(tmp_path, asset, "a", "glb", ExportOptions(texture_codec="webp"))
    document, _ = split_glb(path.read_bytes())
    assert document["extensionsRequired"] == ["EXT_texture_webp"]
    assert document["images"][0]["mimeType"] == "image/webp" and "source" not in document["textures"][0]
    assert np.abs(read_glb(path).texture.astype(int) - asset.texture).mean() < 8
    [mesh] = trimesh.load(path, process=False).geometry.values()
    assert mesh.visual.material.baseColorTexture.size == (64, 128)


def test_both_looks_share_one_texture_and_unlit_comes_first(tmp_path):
    path = write(tmp_path, body_asset(level=1), "a", "glb", ExportOptions(material="both"))
    document, _ = split_glb(path.read_bytes())
    assert [("KHR_materials_unlit" in m.get("extensions", {})) for m in document["materials"]] == [True, False]
    [primitive] = document["meshes"][0]["primitives"]
    mappings = primitive["extensions"]["KHR_materials_variants"]["mappings"]
    variants = [v["name"] for v in document["extensions"]["KHR_materials_variants"]["variants"]]
    assert {variants[m["variants"][0]]: m["material"] for m in mappings} == {"unlit": 0, "lit": 1}
    assert primitive["material"] == 0 and len(document["images"]) == 1


def test_what_was_seen_reaches_other_readers_and_comes_back(tmp_path):
    asset = body_asset(level=2)
    asset = replace(asset, seen=(asset.vertices[:, 2] > 0).astype(np.float32))
    path = write(tmp_path, asset, "a", "glb")
    [mesh] = trimesh.load(path, process=False).geometry.values()
    assert_array_equal(mesh.vertex_attributes["_SEEN"].ravel(), (mesh.vertices[:, 2] > 0).astype(np.float32))
    assert_array_equal(read_glb(path).seen, asset.seen)


def test_reference_stems_stay_different():
    assert reference_stem("plain-1.x") == "plain-1.x"
    assert len({reference_stem(stem) for stem in ("ä b", "a b", "a_b", "a\tb")}) == 4
