"""Rigged people: read from glTF, posed through their skin, drawn from the side that was asked for."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed")

from PIL import Image
from scipy.spatial.transform import Rotation

from mmgen.mask_training.rigged import draw_rigged, read_rigged

TALL = np.float32([[-0.2, 0, 0], [0.2, 0, 0], [0.2, 1.75, 0], [-0.2, 1.75, 0]])
ARM = np.float32([[0.2, 1.3, 0], [0.8, 1.3, 0], [0.8, 1.5, 0], [0.2, 1.5, 0]])


def glb(path: Path) -> Path:
    """A flat body and its left arm, red over blue, the hip at the root and the shoulder a joint above it."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4], picture[4:] = (250, 10, 10), (10, 10, 250)
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "PNG")
    bind = np.stack([np.eye(4), np.eye(4)]).astype(np.float32)
    bind[1, :3, 3] = -0.2, -1.4, 0
    uv = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])
    parts = {
        "POSITION": (np.concatenate([TALL, ARM]), "VEC3", 5126),
        "TEXCOORD_0": (np.concatenate([uv, uv * (1, 0.1)]).astype(np.float32), "VEC2", 5126),
        "JOINTS_0": (np.repeat(np.uint8([[0, 0, 0, 0], [1, 0, 0, 0]]), 4, axis=0), "VEC4", 5121),
        "WEIGHTS_0": (np.tile(np.float32([1, 0, 0, 0]), (8, 1)), "VEC4", 5126),
        "indices": (np.uint16([0, 1, 2, 0, 2, 3, 4, 5, 6, 4, 6, 7]), "SCALAR", 5123),
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
        "materials": [{"name": "Hair", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "meshes": [{"primitives": [{"attributes": {name: numbers[name] for name in
                                                   ("POSITION", "TEXCOORD_0", "JOINTS_0", "WEIGHTS_0")},
                                    "indices": numbers["indices"], "material": 0}]}],
        "skins": [{"joints": [0, 1], "inverseBindMatrices": numbers["bind"]}],
        "nodes": [{"name": "Hips", "children": [1]}, {"name": "LeftArm", "translation": [0.2, 1.4, 0]},
                  {"mesh": 0, "skin": 0}],
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(blob + bytes(-len(blob) % 4) for blob in blobs)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(data), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(data), 0x004E4942) + data)
    return path


def test_an_arm_hangs_where_the_pose_says_and_sides_are_not_mirrored(tmp_path: Path) -> None:
    person = read_rigged(glb(tmp_path / "a.glb"))
    front = draw_rigged(person, {}, 0.0, 0.0, 96)
    assert front.shape[0] == pytest.approx(96, abs=2) and front.shape[1] == pytest.approx(96 * 1.0 / 1.75, abs=2)
    assert front[10, 5, 0] > 200 and front[-10, 5, 2] > 200, "red over blue"
    assert front[20, -3, 3] == 255 and front[-3, -3, 3] == 0, "the left arm is on the picture's right"
    behind = draw_rigged(person, {}, 180.0, 0.0, 96)
    assert behind[20, 2, 3] == 255 and behind[-3, 2, 3] == 0
    hanging = draw_rigged(person, {"LeftArm": Rotation.from_euler("z", -90, degrees=True)}, 0.0, 0.0, 96)
    assert hanging.shape[1] < 0.4 * 96 and hanging[45, -3, 3] == 255


def test_hair_is_dyed(tmp_path: Path) -> None:
    person = read_rigged(glb(tmp_path / "a.glb"))
    green = draw_rigged(person.with_hair(np.array([20.0, 200.0, 20.0])), {}, 0.0, 0.0, 96)
    seen = green[green[..., 3] == 255][:, :3].astype(int)
    assert (seen[:, 1] > 3 * seen[:, 0]).all()
