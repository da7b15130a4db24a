"""GLB files: what is written, what other readers make of it, what comes back."""

import io
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import trimesh
from asset_samples import BLUE_UV, RED_UV, body_asset, grid_asset, split_glb
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from mmgen.assets.asset import Asset, place_on_ground, with_height
from mmgen.assets.glb import asset_from_glb, glb_bytes, read_glb
from mmgen.assets.gltf import build_gltf
from mmgen.assets.gltf_bytes import document_json
from mmgen.assets.seams import FACES_DROPPED, smooth_normals, split_wedges
from mmgen.assets.textures import EncodedTexture, encode_texture
from mmgen.core.errors import ItemError
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.templates import named_template


def load_with_trimesh(data: bytes) -> trimesh.Trimesh:
    scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    [mesh] = scene.geometry.values()
    return mesh


def accessor_values(data: bytes, index: int) -> np.ndarray:
    document, binary = split_glb(data)
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    dtype = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    return np.frombuffer(binary, dtype, accessor["count"] * width, view["byteOffset"]).reshape(-1, width)


def attribute(data: bytes, name: str) -> np.ndarray:
    document, _ = split_glb(data)
    return accessor_values(data, document["meshes"][0]["primitives"][0]["attributes"][name])


def test_round_trip_is_exact_and_writing_again_gives_the_same_bytes(tmp_path):
    asset = body_asset("wälker 7")
    data = glb_bytes(asset)
    (tmp_path / "a.glb").write_bytes(data)
    back = read_glb(tmp_path / "a.glb")
    assert_array_equal(back.vertices, asset.vertices)
    assert_array_equal(back.faces, asset.faces)
    assert_array_equal(back.texture, asset.texture)
    assert_allclose(back.face_uv, asset.face_uv, atol=6e-8, rtol=0)  # 1 - v costs half a unit in the last place
    assert back.provenance == asset.provenance
    assert back.name == "walker_7"
    assert glb_bytes(back) == data
    assert glb_bytes(asset) == data


def test_positions_are_bounded_exactly_and_counts_are_those_of_the_split():
    asset = body_asset()
    data = glb_bytes(asset)
    document, _ = split_glb(data)
    positions = attribute(data, "POSITION")
    [stored] = [a for a in document["accessors"] if "min" in a]
    assert stored["min"] == positions.min(axis=0).tolist()
    assert stored["max"] == positions.max(axis=0).tolist()
    corners = np.column_stack([asset.faces.reshape(-1), asset.face_uv.reshape(-1, 2)])
    assert len(positions) == len(np.unique(corners, axis=0)) > len(asset.vertices)


def test_normals_are_unit_outward_and_equal_on_both_sides_of_the_seam():
    data = glb_bytes(body_asset())
    positions, normals = attribute(data, "POSITION"), attribute(data, "NORMAL")
    assert_allclose(np.linalg.norm(normals.astype(np.float64), axis=1), 1, atol=2e-7)
    outward = positions - [0, 0.85, 0]
    assert ((normals * outward).sum(axis=1) > 0).all()
    _, place = np.unique(positions, axis=0, return_inverse=True)
    copies = [normals[place == p] for p in np.unique(place) if (place == p).sum() > 1]
    assert len(copies) > 10
    for copy in copies:
        assert_array_equal(copy, np.broadcast_to(copy[0], copy.shape))


def test_smooth_normals_weigh_faces_by_area():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, -1]], np.float32)
    normals = smooth_normals(vertices, np.array([[0, 1, 2], [0, 2, 3]]))  # 3 parts of +z, 1 part of -x
    assert_allclose(normals[0], np.array([-1, 0, 3]) / np.sqrt(10), atol=1e-6)
    assert_allclose(normals[1], [0, 0, 1], atol=1e-6)


def test_a_vertex_whose_faces_cancel_out_still_has_a_unit_normal():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    normals = smooth_normals(vertices, np.array([[0, 1, 2], [0, 2, 1]]))
    assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_trimesh_reads_the_same_closed_body_with_the_spots_on_the_front():
    asset = body_asset(level=3)
    mesh = load_with_trimesh(glb_bytes(asset))
    assert len(mesh.faces) == len(asset.faces)
    assert_allclose(mesh.bounds, [asset.vertices.min(axis=0), asset.vertices.max(axis=0)])
    colors = mesh.visual.to_color().vertex_colors[:, :3].astype(int)
    red = mesh.vertices[(colors[:, 0] > 200) & (colors[:, 1] < 60)]
    blue = mesh.vertices[(colors[:, 2] > 200) & (colors[:, 1] < 60)]
    assert len(red) and len(blue)
    assert (red[:, 2] > 0).all() and (red[:, 1] > 0.85).all() and (np.abs(red[:, 0]) < 0.15).all()
    assert (blue[:, 2] > 0).all() and (blue[:, 1] < 0.85).all() and (blue[:, 0] > 0.2).all()
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2 and mesh.volume > 0


def test_texture_rows_start_at_the_top():
    data = glb_bytes(body_asset())
    document, binary = split_glb(data)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    image = Image.open(io.BytesIO(binary[view["byteOffset"] :][: view["byteLength"]]))
    for (u, v), color in ((RED_UV, (255, 0, 0)), (BLUE_UV, (0, 0, 255))):
        assert image.getpixel((int(u * image.width), int((1 - v) * image.height))) == color


def test_document_says_what_the_contract_asks():
    document, _ = split_glb(glb_bytes(body_asset("naïve/人 №1")))
    assert document["asset"]["version"] == "2.0"
    assert document["asset"]["generator"].startswith("mmgen 0")
    assert document["asset"]["extras"]["mmgen"]["mask_iou"] == 0.875
    names = {document[kind][0]["name"] for kind in ("nodes", "meshes", "materials")}
    assert names == {"naive_No1"}
    assert document["extensionsUsed"] == ["KHR_materials_unlit"]
    assert "extensionsRequired" not in document
    [material] = document["materials"]
    assert material["extensions"] == {"KHR_materials_unlit": {}}
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 1
    assert document["samplers"] == [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 10497}]
    targets = [view.get("target") for view in document["bufferViews"]]
    assert targets == [34962, 34962, 34962, 34963, None]
    assert all(view["byteOffset"] % 4 == 0 for view in document["bufferViews"])


@pytest.mark.parametrize(("vertex_count", "component"), [(65534, 5123), (65536, 5125)])
def test_indices_are_short_while_they_fit(vertex_count, component):
    data = glb_bytes(grid_asset(vertex_count))
    document, _ = split_glb(data)
    index = document["meshes"][0]["primitives"][0]["indices"]
    assert document["accessors"][index]["componentType"] == component
    assert accessor_values(data, index).max() == vertex_count - 1


def test_jpeg_is_smaller_and_close():
    asset = body_asset()
    data = glb_bytes(asset, "jpeg")
    document, _ = split_glb(data)
    assert document["images"][0]["mimeType"] == "image/jpeg"
    assert len(data) < len(glb_bytes(asset))
    assert np.abs(asset_from_glb(data).texture.astype(int) - asset.texture.astype(int)).mean() < 6


def test_degenerate_faces_are_dropped_and_counted_once():
    asset = body_asset()
    faces = np.concatenate([asset.faces, [[0, 0, 1], [3, 4, 3]]])
    uv = np.concatenate([asset.face_uv, np.zeros((2, 3, 2), np.float32)])
    spoiled = replace(asset, faces=faces, face_uv=uv)
    back = asset_from_glb(glb_bytes(spoiled))
    assert_array_equal(back.faces, asset.faces)
    assert back.provenance == asset.provenance | {FACES_DROPPED: 2}
    assert asset_from_glb(glb_bytes(back)).provenance[FACES_DROPPED] == 2


def test_a_collapsed_edge_leaves_the_body_closed():
    asset = body_asset()
    vertices = asset.vertices.copy()
    vertices[asset.faces[5, 0]] = vertices[asset.faces[5, 1]]
    back = asset_from_glb(glb_bytes(replace(asset, vertices=vertices)))
    assert len(back.vertices) == len(asset.vertices) - 1
    assert back.provenance[FACES_DROPPED] == 2
    assert trimesh.Trimesh(back.vertices, back.faces, process=False).is_watertight


def test_unused_vertices_are_left_out():
    asset = body_asset()
    extended = replace(asset, vertices=np.concatenate([asset.vertices, [[9, 9, 9]]]).astype(np.float32))
    assert_array_equal(asset_from_glb(glb_bytes(extended)).vertices, asset.vertices)


def test_wedges_share_vertices_with_equal_coordinates():
    asset = grid_asset(10)
    assert len(split_wedges(asset).positions) == 10


def test_undecodable_file_names_survive_as_text():
    document, _ = split_glb(glb_bytes(body_asset(provenance={"input": "a\udcff.jpg"})))
    assert document["asset"]["extras"]["mmgen"]["input"] == "a\\udcff.jpg"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}])
def test_provenance_that_is_no_json_is_refused(value):
    with pytest.raises(ItemError, match=r"provenance of 'walker' cannot be written as JSON.*Keep text, finite numbers"):
        glb_bytes(body_asset(provenance={"iou": value}))


def test_place_on_ground_scales_and_centres_between_the_feet():
    head_aside = np.array([[3, 12, 3], [0, 2, 4], [2, 2, 6], [1, 2.4, 5], [1, 7, 5]], np.float64)
    placed = place_on_ground(head_aside, 2.0)
    assert placed.dtype == np.float32
    assert_allclose(placed[1:3], [[-0.2, 0, -0.2], [0.2, 0, 0.2]], atol=1e-6)
    assert_allclose(placed[0], [0.4, 2, -0.4], atol=1e-6)


@pytest.mark.parametrize(
    ("vertices", "height_m", "text"),
    [
        (np.ones((3, 3)), 1.7, r"no height to scale \(mesh_flat\)"),
        (np.full((3, 3), np.nan), 1.7, r"no height to scale \(mesh_flat\)"),
        (np.eye(3), 0.0, r"height 0.0 m is not above 0.*such as 1.70"),
        (np.eye(3), float("nan"), r"height nan m is not above 0"),
    ],
)
def test_place_on_ground_refuses_what_has_no_height(vertices, height_m, text):
    with pytest.raises(ItemError, match=text):
        place_on_ground(vertices, height_m)


def test_with_height_is_recorded():
    taller = with_height(body_asset(), 1.9)
    assert taller.height_m == pytest.approx(1.9)
    assert taller.provenance["height_m"] == 1.9
    assert taller.provenance["height_source"] == "given"


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"vertices": np.zeros((4, 3))}, ValueError, r"vertices must be \[V, 3\] float32, got float64 \[4, 3\]"),
        ({"faces": np.zeros((4, 3), np.float32)}, ValueError, r"faces must be \[F, 3\] integers"),
        ({"face_uv": np.zeros((4, 3, 2), np.float32)}, ValueError, r"face_uv must be \[F, 3, 2\] float32"),
        ({"texture": np.zeros((4, 4), np.uint8)}, ValueError, r"texture must be \[H, W, 3\] uint8"),
        ({"vertices": np.zeros((0, 3), np.float32)}, ItemError, r"'walker' has 0 vertices and 320 faces"),
        ({"vertices": np.full((162, 3), np.inf, np.float32)}, ItemError, r"no finite numbers \(mesh_not_finite\)"),
        ({"vertices": np.zeros((161, 3), np.float32)}, ItemError, r"points outside its 161 vertices"),
    ],
)
def test_asset_refuses_what_is_no_mesh(changes, error, text):
    with pytest.raises(error, match=text):
        body_asset(**changes)


def test_trimesh_files_are_named_as_another_tools(tmp_path):
    path = tmp_path / "box.glb"
    path.write_bytes(trimesh.Scene(trimesh.creation.box()).export(file_type="glb"))
    with pytest.raises(ItemError, match=r"box\.glb: .*not laid out as mmgen does it.*Use a GLB that `mmgen` wrote"):
        read_glb(path)


def test_a_photo_s_texture_of_512_by_256_stays_below_150_kb():
    """A real photo fills the texture to its corners; that of a person has bled, smooth borders and is smaller."""
    template = named_template("person")
    rows = place_on_ground(template.vertices.numpy(), 1.7)
    seen = np.random.default_rng(0).random(len(rows), np.float32)
    photo = np.ascontiguousarray(skimage.data.astronaut()[:, 100:356])
    asset = Asset("a", rows, template.faces.numpy(), template.face_uv.numpy(), photo, {"input": "a.jpg"}, seen)
    assert 80_000 < len(glb_bytes(asset, ReconstructOptions().texture_codec)) < 150_000


@pytest.mark.parametrize("material", ["unlit", "both"])
@pytest.mark.parametrize("codec", ["png", "webp"])
def test_files_are_those_that_pygltflib_writes(material, codec):
    extras = {"empty": [], "nothing": None, "doubts": [{"why": "", "at": [1.5]}], "nested": {"none": None, "of": []}}
    asset = replace(body_asset(), provenance=extras | {"extensions": {"kept": {}}, "text": "wälker", 3: True})
    texture = EncodedTexture(codec, encode_texture(asset.texture, codec))
    gltf, binary = build_gltf(asset, texture, material)
    gltf.set_binary_blob(binary)
    assert glb_bytes(asset, texture, material) == b"".join(gltf.save_to_bytes())
    assert document_json(gltf, indent=" ") == gltf.gltf_to_json(indent=" ")
