"""Rigged people from glTF files: read, posed through their skins, and drawn with their textures.

Plain glTF 2.0 in one GLB, a skin per mesh, joints with the usual names (`Hips`, `LeftArm`, ...), a T-pose, facing +z.
Extensions, sparse accessors and morphs are not read.
"""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from mmgen.synth.raster import rasterise

_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_FOCAL_DISTANCE = 6.0
"""Metres from the camera to the middle of the person; the lens fits."""
_SAMPLES = 2


@dataclass(frozen=True)
class _Part:
    positions: NDArray[np.float64]
    uv: NDArray[np.float64]
    faces: NDArray[np.int64]
    joints: NDArray[np.int64]
    weights: NDArray[np.float64]
    inverse_bind: NDArray[np.float64]
    nodes: NDArray[np.int64]
    texture: NDArray[np.uint8]
    is_hair: bool


@dataclass(frozen=True)
class RiggedPerson:
    """Parts with a skin each, and the joints' tree.

    Attributes:
        parts: one per mesh.
        names: names of all nodes.
        parents: node numbers, -1 for roots.
        local: [N, 4, 4] of every node, relative to its parent.
    """

    parts: tuple[_Part, ...]
    names: tuple[str, ...]
    parents: tuple[int, ...]
    local: NDArray[np.float64]

    def with_hair(self, colour: NDArray[np.float64]) -> "RiggedPerson":
        """The same person with hair of another mean colour, RGB 0..255."""
        parts = []
        for part in self.parts:
            grey = part.texture[..., :3].mean(axis=2, keepdims=True)
            shades = np.clip(grey / max(float(grey.mean()), 1.0), 0.3, 1.7) * colour
            texture = np.dstack([np.clip(shades, 0, 255).astype(np.uint8), part.texture[..., 3]])
            parts.append(replace(part, texture=texture) if part.is_hair else part)
        return replace(self, parts=tuple(parts))

    def globals(self, pose: Mapping[str, Rotation]) -> NDArray[np.float64]:
        """[N, 4, 4] of every node in the world.

        Args:
            pose: by joint, a turn in the axes of the world at rest, carried along by the joints above it.
        """
        rest = self._chained(self.local)
        local = self.local.copy()
        for name, turn in pose.items():
            if name in self.names:
                node = self.names.index(name)
                above = rest[self.parents[node], :3, :3] if self.parents[node] >= 0 else np.eye(3)
                above = above / np.cbrt(np.linalg.det(above))
                local[node, :3, :3] = above.T @ turn.as_matrix() @ above @ local[node, :3, :3]
        return self._chained(local)

    def _chained(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        done: dict[int, NDArray[np.float64]] = {}

        def of(node: int) -> NDArray[np.float64]:
            if node not in done:
                parent = self.parents[node]
                done[node] = local[node] if parent < 0 else of(parent) @ local[node]
            return done[node]

        return np.stack([of(node) for node in range(len(local))])


def read_rigged(path: Path) -> RiggedPerson:
    """Read one GLB."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    binary = memoryview(data)[28 + length :]
    nodes = document["nodes"]
    parents = [-1] * len(nodes)
    for number, node in enumerate(nodes):
        for child in node.get("children", ()):
            parents[child] = number
    pictures = [_picture(document, binary, number) for number in range(len(document["images"]))]
    parts = []
    for node in nodes:
        if "mesh" in node and "skin" in node:
            skin = document["skins"][node["skin"]]
            for primitive in document["meshes"][node["mesh"]]["primitives"]:
                parts.append(_part(document, binary, primitive, skin, pictures))
    local = np.stack([_local(node) for node in nodes])
    return RiggedPerson(tuple(parts), tuple(node.get("name", "") for node in nodes), tuple(parents), local)


def draw_rigged(
    person: RiggedPerson, pose: Mapping[str, Rotation], azimuth_deg: float, elevation_deg: float, height: int
) -> NDArray[np.uint8]:
    """[height', width', 4] RGBA of a person, cut to their box; `height'` is about `height`.

    Args:
        person: who.
        pose: as for `RiggedPerson.globals`.
        azimuth_deg: azimuth of the camera; 0 sees the front, 90 the person's left side.
        elevation_deg: elevation of the camera; positive looks down.
        height: height of the box, pixels.
    """
    world = person.globals(pose)
    corners = [_skinned(part, world) for part in person.parts]
    every = np.concatenate(corners)
    middle, tall = (every.max(axis=0) + every.min(axis=0)) / 2, np.ptp(every[:, 1])
    turn = (
        Rotation.from_euler("X", elevation_deg, degrees=True).as_matrix()
        @ Rotation.from_euler("Y", -azimuth_deg, degrees=True).as_matrix()
    )
    scale = 1.75 / tall
    seen = [(corner - middle) @ turn.T * scale for corner in corners]
    side = int(height * 1.25) * _SAMPLES
    focal = height * _SAMPLES / 1.75 * _FOCAL_DISTANCE
    colour = np.zeros((side, side, 4), np.float32)
    nearest = np.full((side, side), np.inf, np.float32)
    for part, points in sorted(zip(person.parts, seen, strict=True), key=lambda pair: -len(pair[0].faces)):
        _draw_part(part, points, focal, colour, nearest)
    small = cv2.resize(colour, (side // _SAMPLES, side // _SAMPLES), interpolation=cv2.INTER_AREA)
    small[..., :3] = small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    rows, columns = np.flatnonzero(small[..., 3].any(axis=1)), np.flatnonzero(small[..., 3].any(axis=0))
    cut = small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return (np.clip(cut, 0, 1) * 255 + 0.5).astype(np.uint8)


def _draw_part(
    part: _Part,
    points: NDArray[np.float64],
    focal: float,
    colour: NDArray[np.float32],
    nearest: NDArray[np.float32],
) -> None:
    """Draw one mesh, from both sides, where it is nearer than what is there and its texture is opaque."""
    side = len(nearest)
    depth = _FOCAL_DISTANCE - points[:, 2]
    pixels = np.stack([side / 2 + focal * points[:, 0] / depth, side / 2 - focal * points[:, 1] / depth], axis=1)
    both = np.concatenate([part.faces, part.faces[:, ::-1]])
    index = rasterise(pixels, depth, both, side, side)
    rows, columns = np.nonzero(index >= 0)
    faces = both[index[rows, columns]]
    weights: NDArray[np.float64] = (
        _barycentric(pixels[faces], np.stack([columns + 0.5, rows + 0.5], axis=1)) / depth[faces]
    )
    weights = weights / weights.sum(axis=1, keepdims=True)
    z = (weights * depth[faces]).sum(axis=1)
    uv = (weights[:, :, None] * part.uv[faces]).sum(axis=1) % 1
    high, wide = part.texture.shape[:2]
    texel = part.texture[(uv[:, 1] * high).astype(int) % high, (uv[:, 0] * wide).astype(int) % wide]
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    facing = np.abs(normal[:, 2]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
    shown = (z < nearest[rows, columns]) & (texel[:, 3] >= 128)
    rows, columns = rows[shown], columns[shown]
    nearest[rows, columns] = z[shown]
    colour[rows, columns, :3] = texel[shown, :3] / 255 * (0.75 + 0.25 * facing[shown, None])
    colour[rows, columns, 3] = 1


def _barycentric(corners: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]

    def area(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    whole = area(a, b, c)
    return np.stack([area(at, b, c), area(a, at, c), area(a, b, at)], axis=1) / whole[:, None]


def _skinned(part: _Part, world: NDArray[np.float64]) -> NDArray[np.float64]:
    matrices = world[part.nodes] @ part.inverse_bind
    mixed = (part.weights[:, :, None, None] * matrices[part.joints]).sum(axis=1)
    return np.asarray(np.einsum("vij,vj->vi", mixed[:, :3, :3], part.positions) + mixed[:, :3, 3])


def _part(
    document: dict[str, Any],
    binary: memoryview,
    primitive: dict[str, Any],
    skin: dict[str, Any],
    pictures: list[NDArray[np.uint8]],
) -> _Part:
    attributes = primitive["attributes"]
    found = {name: _values(document, binary, attributes[name]) for name in
             ("POSITION", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0")}  # fmt: skip
    weights = found["WEIGHTS_0"].astype(np.float64)
    material = document["materials"][primitive["material"]]
    texture = document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    bind = _values(document, binary, skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    return _Part(
        found["POSITION"].astype(np.float64),
        found["TEXCOORD_0"].astype(np.float64),
        _values(document, binary, primitive["indices"]).reshape(-1, 3).astype(np.int64),
        found["JOINTS_0"].astype(np.int64),
        weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9),
        bind.astype(np.float64),
        np.array(skin["joints"]),
        pictures[texture.get("source", texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", 0))],
        "hair" in material.get("name", "").lower(),
    )


def _values(document: dict[str, Any], binary: memoryview, number: int) -> NDArray[Any]:
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    stride = view.get("byteStride", kind.itemsize * width)
    count = accessor["count"]
    raw = np.frombuffer(binary, np.uint8, stride * (count - 1) + kind.itemsize * width, start)
    rows = np.lib.stride_tricks.as_strided(raw, (count, kind.itemsize * width), (stride, 1))
    return np.ascontiguousarray(rows).view(kind).reshape(count, width)


def _picture(document: dict[str, Any], binary: memoryview, number: int) -> NDArray[np.uint8]:
    view = document["bufferViews"][document["images"][number]["bufferView"]]
    start = view.get("byteOffset", 0)
    return np.asarray(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])).convert("RGBA"))


def _local(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    turn = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
    matrix[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]))
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix
