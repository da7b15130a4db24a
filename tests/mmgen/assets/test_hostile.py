"""GLB files that are cut, damaged or made to do harm: one clear error, never a crash, never a huge allocation."""

import io
import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from asset_samples import body_asset, join_glb, split_glb
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.assets.glb import asset_from_glb, glb_bytes, read_glb
from mmgen.assets.lod import exported_level
from mmgen.assets.rules import check_glb
from mmgen.assets.textures import decode_texture
from mmgen.core.errors import ItemError

SOUND = glb_bytes(body_asset(level=1, texture=np.full((8, 8, 3), 7, np.uint8)))
DOCUMENT, BINARY = split_glb(SOUND)


def edited(change) -> bytes:
    document = json.loads(json.dumps(DOCUMENT))
    change(document)
    return join_glb(document, BINARY)


def raw_json(text: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it has only 0 bytes"),
        (b"PK\3\4" * 10, "does not start like a GLB"),
        (SOUND[:40], "header says [0-9]+ bytes and it has 40"),
        (SOUND + b"\0", "header says"),
        (SOUND[:4] + struct.pack("<I", 1) + SOUND[8:], "format version is 1, not 2"),
        (SOUND[:12] + struct.pack("<I", 1 << 31) + SOUND[16:], "chunk of 2147483648 bytes does not fit"),
        (SOUND[:16] + b"BIN\0" + SOUND[20:], "first chunk is not JSON"),
        (struct.pack("<4sII", b"glTF", 2, 22) + b"\0" * 10, "a chunk header is cut off"),
        (raw_json(b"{'a': 1}"), "JSON cannot be read"),
        (raw_json(b"\xff\xfe"), "JSON cannot be read"),
        (raw_json(b"[1]"), "JSON cannot be read: Expected `object`, got `array`"),
        (raw_json(b'{"a": NaN}'), "JSON cannot be read: it is no JSON"),
        (raw_json(b'{"a": 1e999}'), "Number out of range"),
        (raw_json(b'{"a":' + b"[" * 90 + b"]" * 90 + b"}"), "nested more than 64 levels"),
        (raw_json(b"[" * 200000), "JSON cannot be read"),
        (raw_json(b"{}"), "it has no node"),
    ],
)
def test_broken_containers(data, text):
    with pytest.raises(ItemError, match=text):
        asset_from_glb(data)
    assert [finding for finding in check_glb(data, "a.glb") if finding.severity == "error"]


def change_accessor(index, **values):
    return lambda document: document["accessors"][index].update(values)


def change_view(index, **values):
    return lambda document: document["bufferViews"][index].update(values)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (change_accessor(0, count=1 << 40), r"accessors\[0\] does not fit in its buffer view"),
        (change_accessor(0, count=-1), "count is -1, not a whole number"),
        (change_accessor(0, count=True), "count is True, not a whole number"),
        (change_accessor(0, byteOffset=1 << 62), r"accessors\[0\] does not fit"),
        (change_accessor(0, componentType=7), r"accessors\[0\] has an unknown type"),
        (change_accessor(0, type="VEC2"), "positions or texture coordinates are not plain float32"),
        (change_accessor(0, sparse={}), "sparse accessors"),
        (change_accessor(3, componentType=5122), "its indices are no triangles"),
        (change_accessor(3, count=4), "its indices are no triangles"),
        (change_accessor(2, count=9), "do not match its positions"),
        (change_view(0, byteLength=1 << 50), r"bufferViews\[0\] ends [0-9]+ bytes after the file's data"),
        (change_view(0, byteStride=4), r"accessors\[0\] does not fit"),
        (change_view(0, buffer=1), r"bufferViews\[0\] is not inside the file"),
        (lambda d: d["buffers"][0].update(uri="../../etc/passwd"), r"is not inside the file"),
        (lambda d: d["images"][0].update(uri="x.png") or d["images"][0].pop("bufferView"), "texture is not inside"),
        (lambda d: d["meshes"][0].update(primitives=[]), "not exactly one primitive"),
        (lambda d: d["nodes"][0].update(scale=[2, 2, 2]), "moved, turned or scaled"),
        (lambda d: d["nodes"][0].update(mesh=5), r"it has no meshes\[5\]"),
        (lambda d: d.update(meshes=[3]), r"meshes\[0\] is no object"),
        (lambda d: d["meshes"][0]["primitives"][0]["attributes"].pop("TEXCOORD_0"), "lacks positions, texture"),
        (lambda d: d["meshes"][0]["primitives"][0].update(mode=1), "no plain triangles"),
        (lambda d: d["materials"][0].update(pbrMetallicRoughness=[]), "pbrMetallicRoughness is no object"),
        (lambda d: d["materials"][0].update(pbrMetallicRoughness={}), "no base colour texture"),
        (lambda d: d["asset"].update(extras=4), "extras is no object"),
        (lambda d: d["bufferViews"].__setitem__(4, d["bufferViews"][0]), "texture is no readable PNG, JPEG or WebP"),
    ],
)
def test_broken_documents(change, text):
    data = edited(change)
    with pytest.raises(ItemError, match=text):
        asset_from_glb(data)
    assert check_glb(data, "a.glb")


def test_an_index_beyond_the_vertices_is_refused():
    start = DOCUMENT["bufferViews"][3]["byteOffset"]
    with pytest.raises(ItemError, match="do not match its positions"):
        asset_from_glb(join_glb(DOCUMENT, BINARY[:start] + b"\xff\xff" + BINARY[start + 2 :]))


def test_infinite_vertices_are_refused():
    with pytest.raises(ItemError, match="no finite numbers"):
        asset_from_glb(join_glb(DOCUMENT, struct.pack("<f", float("inf")) + BINARY[4:]))


def png_header_only(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize(
    ("size", "text"),
    [((60000, 2), "60000 x 2 texels"), ((10000, 9000), "10000 x 9000 texels"), ((16000, 16000), "256000000 pixels")],
)
def test_image_bombs_are_refused_by_their_header(size, text):
    with pytest.raises(ItemError, match=rf"{text}.*at most 16384 texels a side, 67108864 in all"):
        decode_texture(png_header_only(*size))


def test_errors_name_the_file(tmp_path):
    (tmp_path / "cut.glb").write_bytes(SOUND[:100])
    with pytest.raises(ItemError, match=r"cut\.glb: this is no sound GLB.*make it again"):
        read_glb(tmp_path / "cut.glb")
    with pytest.raises(ItemError, match=r"cannot read .*none\.glb: No such file.*Check the path"):
        read_glb(tmp_path / "none.glb")
    with pytest.raises(ItemError, match=r"cannot read .*: Is a directory"):
        read_glb(tmp_path)


def with_numbers(name: str, change) -> bytes:
    """`SOUND` with other positions or texture coordinates."""
    accessor = DOCUMENT["accessors"][DOCUMENT["meshes"][0]["primitives"][0]["attributes"][name]]
    start = DOCUMENT["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
    width = 3 if name == "POSITION" else 2
    values = np.frombuffer(BINARY, "<f4", accessor["count"] * width, start).reshape(-1, width).copy()
    change(values)
    data = values.astype("<f4").tobytes()
    return join_glb(DOCUMENT, BINARY[:start] + data + BINARY[start + len(data) :])


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("POSITION", lambda v: np.multiply(v, 1e37, out=v), "positions beyond 1e.06 m"),
        ("POSITION", lambda v: v.__setitem__((slice(None), 1), 0), "it has no height"),
        ("TEXCOORD_0", lambda v: v.__setitem__((0, 0), 1e30), "texture coordinates beyond"),
    ],
)
def test_numbers_that_no_person_has_are_refused(name, change, text):
    data = with_numbers(name, change)
    with pytest.raises(ItemError, match=text):
        asset_from_glb(data)
    assert check_glb(data, "a.glb")


def test_a_single_element_cannot_have_a_stride_beyond_all_memory():
    def change(document):
        primitive = document["meshes"][0]["primitives"][0]
        accessor = document["accessors"][primitive["attributes"]["TEXCOORD_0"]]
        accessor["count"] = 1
        document["bufferViews"][accessor["bufferView"]]["byteStride"] = 2**63

    with pytest.raises(ItemError, match="does not fit in its buffer view"):
        asset_from_glb(edited(change))


@pytest.mark.parametrize("faces", [1, 2, 3])
@pytest.mark.parametrize("changes", [{"export": [1]}, {}])
def test_a_few_loose_triangles_have_no_simpler_level(faces, changes):
    asset = body_asset(level=1)
    few = replace(asset, faces=asset.faces[:faces], face_uv=asset.face_uv[:faces], seen=None, provenance=changes)
    with pytest.raises(ItemError, match="cannot be simplified"):
        exported_level(few, 1)


def test_files_too_large_to_be_ours_are_not_read(tmp_path):
    path = tmp_path / "huge.glb"
    with path.open("wb") as file:
        file.truncate((512 << 20) + 1)
    with pytest.raises(ItemError, match=r"huge\.glb is larger than 512 MiB"):
        read_glb(path)


def reads_or_refuses(data: bytes) -> None:
    check_glb(data, "a.glb")
    try:
        assert isinstance(asset_from_glb(data), Asset)
    except ItemError as error:
        assert error.message and error.hint


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255))
def test_one_changed_byte(position, value):
    reads_or_refuses(SOUND[:position] + bytes([value]) + SOUND[position + 1 :])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, len(SOUND)))
def test_any_cut(length):
    if length < len(SOUND):
        with pytest.raises(ItemError):
            asset_from_glb(SOUND[:length])


def json_places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from json_places(inner, (*path, key))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(),
    st.just("\ud800"), st.just([]), st.just({}), st.just([[1]]), st.just({"index": "x"}),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([place for place in json_places(DOCUMENT) if place]), JUNK)
def test_any_json_value_replaced(place, junk):
    def change(document):
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = junk

    reads_or_refuses(edited(change))
