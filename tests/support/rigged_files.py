"""Small rigged people as GLB files: boxes on bones, red above and blue below."""

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

JOINTS = {
    "Hips": (None, (0, 0.95, 0)), "Spine": ("Hips", (0, 1.05, 0)), "Neck": ("Spine", (0, 1.46, 0)),
    "Head": ("Neck", (0, 1.55, 0.03)), "HeadEnd": ("Head", (0, 1.75, 0.03)),
    "LeftArm": ("Spine", (0.18, 1.4, 0)), "LeftForeArm": ("LeftArm", (0.44, 1.4, 0)),
    "LeftHand": ("LeftForeArm", (0.68, 1.4, 0)),
    "LeftUpLeg": ("Hips", (0.09, 0.9, 0)), "LeftLeg": ("LeftUpLeg", (0.09, 0.5, 0)),
    "LeftFoot": ("LeftLeg", (0.09, 0.08, 0)),
}  # fmt: skip
"""Parent and place at rest; the right side mirrors the left."""

BOXES = {
    "Hips": ((-0.16, 0.8, -0.1), (0.16, 1.06, 0.1)), "Spine": ((-0.18, 1.04, -0.1), (0.18, 1.48, 0.1)),
    "Head": ((-0.08, 1.46, -0.08), (0.08, 1.75, 0.12)),
    "LeftArm": ((0.14, 1.34, -0.06), (0.46, 1.46, 0.06)), "LeftForeArm": ((0.42, 1.35, -0.05), (0.7, 1.45, 0.05)),
    "LeftHand": ((0.66, 1.37, -0.04), (0.86, 1.43, 0.04)),
    "LeftUpLeg": ((0.02, 0.48, -0.08), (0.17, 0.9, 0.08)), "LeftLeg": ((0.03, 0.06, -0.06), (0.15, 0.52, 0.06)),
    "LeftFoot": ((0.04, 0.0, -0.08), (0.14, 0.1, 0.18)),
}  # fmt: skip
_CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
_SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def both_sides() -> tuple[dict[str, tuple[str | None, np.ndarray]], dict[str, np.ndarray]]:
    """Joints and boxes [2, 3] of the left and the right."""
    joints: dict[str, tuple[str | None, np.ndarray]] = {}
    boxes: dict[str, np.ndarray] = {}
    for name, (parent, place) in JOINTS.items():
        joints[name] = parent, np.array(place, float)
        if name in BOXES:
            boxes[name] = np.array(BOXES[name], float)
        if name.startswith("Left"):
            other = name.replace("Left", "Right")
            joints[other] = parent and parent.replace("Left", "Right"), np.array(place) * [-1.0, 1.0, 1.0]
            boxes[other] = np.sort(np.array(BOXES[name]) * [-1.0, 1.0, 1.0], axis=0)
    return joints, boxes


def box_person(path: Path, without: Sequence[str] = (), material: str = "Body") -> Path:
    """Write a person of boxes in a T-pose, facing +z; joints in `without` are left out, with their boxes."""
    joints, boxes = both_sides()
    names = [name for name in joints if name not in without]
    vertices, owners, faces = [], [], []
    for name, (low, high) in boxes.items():
        if name in names:
            for a, b, c, d in _SIDES:
                first = len(vertices) * 8
                faces += [(first + a, first + b, first + c), (first + a, first + c, first + d)]
            vertices.append(low + _CUBE * (high - low))
            owners += [names.index(name)] * 8
    corners = np.concatenate(vertices).astype(np.float32)
    nodes = []
    for name in names:
        parent, place = joints[name]
        above = joints[parent][1] if parent in names else np.zeros(3)
        children = [names.index(child) for child in names if joints[child][0] == name]
        nodes.append(
            {"name": name, "translation": (place - above).tolist(), **({"children": children} if children else {})}
        )
    bind = np.stack([np.eye(4)] * len(names)).astype(np.float32)
    bind[:, :3, 3] = [-joints[name][1] for name in names]
    uv = np.stack([corners[:, 0] / 2 + 0.5, 1 - corners[:, 1] / 1.8], axis=1).astype(np.float32)
    owned = np.zeros((len(corners), 4), np.uint8)
    owned[:, 0] = owners
    return write_glb(path, (corners, uv, owned, np.array(faces, np.uint16).ravel(), bind), nodes, material)


def write_glb(path: Path, arrays: tuple[np.ndarray, ...], nodes: list[dict[str, object]], material: str) -> Path:
    """Write positions, texture coordinates, joints, corners of faces and inverse binds of one skinned mesh."""
    corners, uv, owned, faces, bind = arrays
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4], picture[4:] = (250, 10, 10), (10, 10, 250)
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "PNG")
    parts = {
        "POSITION": (corners, "VEC3", 5126),
        "TEXCOORD_0": (uv, "VEC2", 5126),
        "JOINTS_0": (owned, "VEC4", 5121),
        "WEIGHTS_0": (np.tile(np.float32([1, 0, 0, 0]), (len(corners), 1)), "VEC4", 5126),
        "indices": (faces, "SCALAR", 5123),
        "bind": (bind.transpose(0, 2, 1).copy(), "MAT4", 5126),
    }
    blobs = [values.tobytes() for values, _, _ in parts.values()] + [stored.getvalue()]
    starts = np.cumsum([0, *(len(blob) + -len(blob) % 4 for blob in blobs)])
    numbers = {name: number for number, name in enumerate(parts)}
    document = {
        "asset": {"version": "2.0"},
        "bufferViews": [{"buffer": 0, "byteOffset": int(start), "byteLength": len(blob)}
                        for start, blob in zip(starts, blobs, strict=False)],
        "accessors": [{"bufferView": number, "componentType": kind, "type": shape, "count": values.size if shape ==
                       "SCALAR" else len(values)} for number, (values, shape, kind) in enumerate(parts.values())],
        "images": [{"bufferView": len(parts), "mimeType": "image/png"}],
        "textures": [{"source": 0}],
        "materials": [{"name": material, "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "meshes": [{"primitives": [{"attributes": {name: numbers[name] for name in
                                                   ("POSITION", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0")},
                                    "indices": numbers["indices"], "material": 0}]}],
        "skins": [{"joints": list(range(len(nodes))), "inverseBindMatrices": numbers["bind"]}],
        "nodes": [*nodes, {"mesh": 0, "skin": 0}],
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(blob + bytes(-len(blob) % 4) for blob in blobs)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(data), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(data), 0x004E4942) + data)
    return path
