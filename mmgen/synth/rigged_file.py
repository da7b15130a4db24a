"""Rigged people from glTF files: plain glTF 2.0 in one GLB, a skin per mesh, a T-pose, facing +z.

Extensions other than WebP textures, sparse accessors and morphs are not read.
"""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.synth.rigged import RiggedPerson

MAGIC = b"glTF"
NEEDED = ("Hips", "Spine", "Neck", "Head", *(f"{side}{name}" for side in ("Left", "Right") for name in
          ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")))  # fmt: skip
"""Names that joints must have to be posed by `mmgen.synth`."""

_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

Document = dict[str, Any]


def check_rigged(path: Path, joints: tuple[str, ...] = NEEDED) -> None:
    """Look at the head of a file: whether it is a GLB with a skin and the joints wanted.

    Raises:
        FatalError: `avatar_unusable`.
    """
    document, _ = _chunks(path)
    if not document.get("skins"):
        raise _unusable(path, "it has no skin")
    names = {node.get("name") for node in document.get("nodes", ())}
    missing = [name for name in joints if name not in names]
    if missing:
        raise _unusable(path, f"it has no joint named {missing[0]}")


def read_rigged(path: Path) -> RiggedPerson:
    """Read one GLB.

    Raises:
        FatalError: `avatar_unusable`.
    """
    document, binary = _chunks(path)
    try:
        return _person(document, binary)
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise _unusable(path, f"{type(error).__name__} {error}") from error


def _unusable(path: Path, cause: str) -> FatalError:
    return FatalError(
        "avatar_unusable",
        f"avatar {display_name(path)} cannot be used: {cause}",
        "Give GLBs with textures, a skin, and joints with the usual names (Hips, LeftArm, ...); remove the others.",
    )


def _chunks(path: Path) -> tuple[Document, memoryview]:
    """The document and the binary part of a GLB."""
    try:
        data = path.read_bytes()
        if data[:4] != MAGIC:
            raise _unusable(path, "it is no GLB")
        (length,) = struct.unpack_from("<I", data, 12)
        return dict(json.loads(data[20 : 20 + length])), memoryview(data)[28 + length :]
    except (OSError, ValueError, struct.error) as error:
        raise _unusable(path, str(error)) from error


def _person(document: Document, binary: memoryview) -> RiggedPerson:
    nodes = document["nodes"]
    parents = [-1] * len(nodes)
    for number, node in enumerate(nodes):
        for child in node.get("children", ()):
            parents[child] = number
    parts, skins = [], []
    for node in nodes:
        if "mesh" in node and "skin" in node:
            for primitive in document["meshes"][node["mesh"]]["primitives"]:
                parts.append(_part(document, binary, primitive))
                skins.append(document["skins"][node["skin"]])
    vertices = np.cumsum([0, *(len(part["positions"]) for part in parts)])
    bones = np.cumsum([0, *(len(skin["joints"]) for skin in skins)])
    binds = [_values(document, binary, skin["inverseBindMatrices"]).reshape(-1, 4, 4) for skin in skins]
    return RiggedPerson(
        positions=np.concatenate([part["positions"] for part in parts]),
        uv=np.concatenate([part["uv"] for part in parts]),
        faces=np.concatenate([part["faces"] + first for part, first in zip(parts, vertices, strict=False)]),
        face_texture=np.concatenate([np.full(len(part["faces"]), part["texture"]) for part in parts]),
        is_hair=np.concatenate([np.full(len(part["positions"]), part["is_hair"]) for part in parts]),
        bones=np.concatenate([part["joints"] + first for part, first in zip(parts, bones, strict=False)]),
        weights=np.concatenate([part["weights"] for part in parts]),
        bone_nodes=np.concatenate([np.array(skin["joints"]) for skin in skins]),
        inverse_bind=np.concatenate(binds).transpose(0, 2, 1).astype(np.float64),
        textures=_textures(document, binary),
        names=tuple(node.get("name", "") for node in nodes),
        parents=tuple(parents),
        local=np.stack([_local(node) for node in nodes]),
    )


def _part(document: Document, binary: memoryview, primitive: Document) -> dict[str, Any]:
    attributes = primitive["attributes"]
    weights = _values(document, binary, attributes["WEIGHTS_0"]).astype(np.float64)
    material = document["materials"][primitive["material"]]
    texture = document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    return {
        "positions": _values(document, binary, attributes["POSITION"]).astype(np.float64),
        "uv": _values(document, binary, attributes["TEXCOORD_0"]).astype(np.float64),
        "faces": _values(document, binary, primitive["indices"]).reshape(-1, 3).astype(np.int64),
        "joints": _values(document, binary, attributes["JOINTS_0"]).astype(np.int64),
        "weights": weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9),
        "texture": texture.get("source", texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", 0)),
        "is_hair": "hair" in material.get("name", "").lower(),
    }


def _values(document: Document, binary: memoryview, number: int) -> NDArray[Any]:
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    stride = view.get("byteStride", kind.itemsize * width)
    count = accessor["count"]
    raw = np.frombuffer(binary, np.uint8, stride * (count - 1) + kind.itemsize * width, start)
    rows = np.lib.stride_tricks.as_strided(raw, (count, kind.itemsize * width), (stride, 1))
    return np.ascontiguousarray(rows).view(kind).reshape(count, width)


def _textures(document: Document, binary: memoryview) -> NDArray[np.uint8]:
    """[T, Ht, Wt, 4] all pictures, as large as the largest."""
    pictures = []
    for image in document["images"]:
        view = document["bufferViews"][image["bufferView"]]
        start = view.get("byteOffset", 0)
        pictures.append(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])).convert("RGBA"))
    size = (max(picture.width for picture in pictures), max(picture.height for picture in pictures))
    return np.stack([np.asarray(picture if picture.size == size else picture.resize(size)) for picture in pictures])


def _local(node: Document) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    turn = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
    matrix[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]))
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix
