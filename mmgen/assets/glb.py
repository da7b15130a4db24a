"""Assets to GLB bytes and back."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.assets.asset import Asset
from mmgen.assets.container import Container, child, malformed, parse_glb, unsupported
from mmgen.assets.gltf import SEEN, VARIANTS, WEBP, MaterialStyle, build_gltf
from mmgen.assets.gltf_bytes import binary_gltf
from mmgen.assets.seams import weld
from mmgen.assets.textures import EncodedTexture, TextureCodec, decode_texture, encode_texture
from mmgen.core.errors import ItemError
from mmgen.core.files import read_regular
from mmgen.core.limits import GLB_BYTES
from mmgen.core.listing import display_name

FARTHEST_M = 1e6
"""Positions beyond are damage, and their squares are infinite."""

FARTHEST_UV = 1e4


def glb_bytes(asset: Asset, texture: TextureCodec | EncodedTexture = "png", material: MaterialStyle = "unlit") -> bytes:
    """One self-contained glTF binary; the same bytes for the same asset every time.

    Coincident vertices are welded and faces without a third corner dropped (`wedges.tidy`); vertices are split where
    texture coordinates differ, with one smooth normal for all copies.

    Args:
        asset: What to write. Texture sides that are powers of two suit every viewer.
        texture: The codec, or the texture encoded already. `png` keeps the texels exactly; `jpeg` and `webp` are
            several times smaller. Only viewers that know `EXT_texture_webp` open a file with `webp`.

    Raises:
        ItemError: `provenance_invalid`: the provenance is no JSON object (it has NaN, say, or other types).
    """
    if not isinstance(texture, EncodedTexture):
        texture = EncodedTexture(texture, encode_texture(asset.texture, texture))
    gltf, binary = build_gltf(asset, texture, material)
    try:
        return binary_gltf(gltf, binary)
    except (TypeError, ValueError) as error:
        raise invalid_provenance(asset, error) from error


def invalid_provenance(asset: Asset, error: Exception) -> ItemError:
    """The error for provenance that JSON cannot hold."""
    return ItemError(
        "provenance_invalid",
        f"the provenance of {asset.name!r} cannot be written as JSON: {error}",
        "Keep text, finite numbers, lists and objects in it.",
    )


def read_glb(path: Path) -> Asset:
    """Read a GLB that mmgen wrote.

    Vertices come back welded, in their order; texture coordinates with v up; a PNG texture, what was seen and
    provenance exactly.

    Raises:
        ItemError: The file cannot be read (`file_unreadable`), is damaged (`glb_malformed`, ...) or
            is another tool's (`glb_unsupported`). The message names the file.
    """
    data = read_file(path)
    with naming(path):
        return asset_from_glb(data)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors inside the block, which know no file, name this one.

    Raises:
        ItemError: those, with the path before the message.
    """
    try:
        yield
    except ItemError as error:
        raise ItemError(error.code, f"{display_name(path)}: {error.message}", error.hint) from error


def read_file(path: Path) -> bytes:
    """All bytes of a mesh file.

    Raises:
        ItemError: `file_unreadable` or `glb_too_large`, naming the file.
    """
    try:
        return read_regular(path, GLB_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            what = f"{display_name(path)} is larger than {GLB_BYTES >> 20} MiB"
            raise ItemError("glb_too_large", what, "It is no mesh of mmgen; leave it out.") from error
        raise ItemError(
            "file_unreadable",
            f"cannot read {display_name(path)}: {error.strerror or error}",
            "Check the path and its permissions.",
        ) from error


def asset_from_glb(data: bytes) -> Asset:
    """Like `read_glb`, from bytes; messages name no file."""
    return asset_from_container(parse_glb(data))


def asset_from_container(container: Container) -> Asset:
    """Like `asset_from_glb`, from a file that is taken apart already."""
    primitive = main_primitive(container)
    positions, uv, faces = _geometry(container, primitive)
    first, welded_faces = weld(positions, faces)
    seen = _seen(container, primitive, len(positions))
    uv_up = np.stack([uv[:, 0], np.float32(1) - uv[:, 1]], axis=1)
    return Asset(
        name=str(container.element("nodes", 0).get("name", "asset")),
        vertices=positions[first] + np.float32(0),
        faces=welded_faces,
        face_uv=uv_up[faces],
        texture=decode_texture(texture_bytes(container, primitive)),
        provenance=provenance_of(container),
        seen=None if seen is None else seen[first],
    )


def main_primitive(container: Container) -> dict[str, Any]:
    """The only primitive of the only mesh of the first node, which is unmoved; other nodes are joints of its skin.

    Raises:
        ItemError: `glb_unsupported` for other layouts, `glb_malformed` for broken references.
    """
    nodes = container.document.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        raise unsupported("it has no node")
    node = container.element("nodes", 0)
    joints = container.element("skins", node["skin"]).get("joints") if "skin" in node else []
    if joints != list(range(1, len(nodes))):
        raise unsupported("it has not exactly one node, or one and the joints of its skin")
    if any(key in node for key in ("matrix", "translation", "rotation", "scale")):
        raise unsupported("its node is moved, turned or scaled")
    primitives = container.element("meshes", node.get("mesh")).get("primitives")
    if not isinstance(primitives, list) or len(primitives) != 1 or not isinstance(primitives[0], dict):
        raise unsupported("its mesh has not exactly one primitive")
    return primitives[0]


def provenance_of(container: Container) -> dict[str, Any]:
    """`asset.extras.mmgen` of a document; empty if it has none.

    Raises:
        ItemError: `glb_malformed`: one of the levels is no object.
    """
    return child(container.document, "asset", "extras", "mmgen")


def texture_bytes(container: Container, primitive: dict[str, Any]) -> bytes:
    """The encoded base colour texture of a primitive.

    Raises:
        ItemError: `glb_malformed`, or `glb_unsupported` where there is no texture inside the file.
    """
    material = container.element("materials", primitive.get("material"))
    info = child(material, "pbrMetallicRoughness", "baseColorTexture")
    if "index" not in info:
        raise unsupported("it has no base colour texture")
    texture = container.element("textures", info["index"])
    source = child(texture, "extensions", WEBP).get("source", texture.get("source"))
    image = container.element("images", source)
    if "bufferView" not in image:
        raise unsupported("its texture is not inside the file")
    return container.view_bytes(image["bufferView"])


def _geometry(container: Container, primitive: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [N, 3] and texture coordinates [N, 2] as stored, float32, and faces [F, 3] as int64."""
    attributes = primitive.get("attributes")
    extensions = set(child(primitive, "extensions")) - {VARIANTS}
    if not isinstance(attributes, dict) or extensions or primitive.get("mode", 4) != 4:
        raise unsupported("its primitive holds no plain triangles")
    if "POSITION" not in attributes or "TEXCOORD_0" not in attributes or "indices" not in primitive:
        raise unsupported("it lacks positions, texture coordinates or indices")
    positions = container.array(attributes["POSITION"])
    uv = container.array(attributes["TEXCOORD_0"])
    indices = container.array(primitive["indices"])
    if positions.dtype != np.float32 or uv.dtype != np.float32 or positions.shape[1:] != (3,) or uv.shape[1:] != (2,):
        raise unsupported("its positions or texture coordinates are not plain float32")
    if not (np.isfinite(positions).all() and np.isfinite(uv).all()):
        raise malformed("it has positions or texture coordinates that are no finite numbers")
    if np.abs(positions).max() > FARTHEST_M or np.abs(uv).max() > FARTHEST_UV:
        raise malformed(f"it has positions beyond {FARTHEST_M:g} m or texture coordinates beyond {FARTHEST_UV:g}")
    if not np.ptp(positions[:, 1]) > 0:
        raise malformed("it has no height")
    if indices.ndim != 1 or indices.dtype.kind != "u" or len(indices) % 3:
        raise malformed("its indices are no triangles")
    if len(uv) != len(positions) or indices.max() >= len(positions):
        raise malformed("its indices or texture coordinates do not match its positions")
    return positions, uv, indices.reshape(-1, 3).astype(np.int64)


def _seen(container: Container, primitive: dict[str, Any], count: int) -> np.ndarray | None:
    """[N] what the photo showed, as stored; None in files that do not say."""
    index = primitive["attributes"].get(SEEN)
    if index is None:
        return None
    seen = container.array(index)
    if seen.dtype != np.float32 or seen.shape != (count,) or not np.isfinite(seen).all():
        raise malformed(f"its {SEEN} is not one number per vertex")
    return seen
