"""Small assets for tests, made from the ellipsoid template with a texture whose places are known."""

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skeletons import rotation_from_6d

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.templates import named_template
from recon.skinning import skinned
from recon.template import ellipsoid_template

RED_UV = (0.5, 0.35)
"""Centre of a red spot: front of the body (v < 0.5), above its middle (v > 0.25)."""

BLUE_UV = (0.8, 0.2)
"""Centre of a blue spot: front, below the middle, towards +x."""


def spotted_texture(height: int = 128, width: int = 64) -> np.ndarray:
    """Grey noise with a red and a blue spot, [H, W, 3] uint8; v up, so row 0 is v = 1."""
    texture = np.random.default_rng(3).integers(90, 110, (height, width, 3), dtype=np.uint8)
    u = (np.arange(width) + 0.5) / width
    v = 1 - (np.arange(height) + 0.5) / height
    for (spot_u, spot_v), color in ((RED_UV, (255, 0, 0)), (BLUE_UV, (0, 0, 255))):
        near = (np.abs(u - spot_u) < 0.08)[None, :] & (np.abs(v - spot_v) < 0.04)[:, None]
        texture[near] = color
    return texture


def body_asset(name: str = "walker", level: int = 2, **changes: Any) -> Asset:
    """An ellipsoid person, 1.7 m, closed, 162 vertices at level 2."""
    template = ellipsoid_template(level)
    asset = Asset(
        name=name,
        vertices=place_on_ground(template.vertices.numpy(), 1.7),
        faces=template.faces.numpy(),
        face_uv=template.face_uv.numpy(),
        texture=spotted_texture(),
        provenance={"input": f"{name}.jpg", "height_m": 1.7, "height_source": "assumed", "mask_iou": 0.875},
    )
    return replace(asset, **changes)


def waving_asset() -> Asset:
    """The person template with its left arm up, 1.7 m."""
    template = named_template("person")
    skin = template.skin
    code = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(1, len(skin.names), 1)
    code[0, skin.names.index("LeftArm")] = torch.tensor([0.3, 0.9, 0.1, -0.9, 0.3, 0.2])
    posed = skinned(template.vertices[None], skin, skin.joints[None], rotation_from_6d(code))[0]
    texture = np.full((8, 8, 3), 128, np.uint8)
    return Asset("arm", place_on_ground(posed.numpy(), 1.7), template.faces.numpy(), template.face_uv.numpy(), texture)


def grid_asset(vertex_count: int) -> Asset:
    """An open strip with exactly `vertex_count` (even) vertices and one texture coordinate each."""
    rungs = vertex_count // 2
    x = np.repeat(np.linspace(0, 1, rungs), 2)
    y = np.tile([0.0, 1.7], rungs)
    vertices = np.stack([x, y, np.zeros_like(x)], axis=1).astype(np.float32)
    first = 2 * np.arange(rungs - 1)[:, None, None]
    faces = (first + np.array([[0, 2, 1], [1, 2, 3]])).reshape(-1, 3)
    uv = np.stack([x, y / 1.7], axis=1).astype(np.float32)
    return Asset("strip", vertices, faces, uv[faces], spotted_texture(), {"input": "strip.jpg"})


def split_glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """JSON and binary chunk by the letter of the specification, independent of the code under test."""
    magic, version, length, json_length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    binary_length, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    assert kind == b"BIN\0" and 28 + json_length + binary_length == len(data)
    return json.loads(data[20 : 20 + json_length]), data[28 + json_length :]


def join_glb(document: dict[str, Any], binary: bytes) -> bytes:
    """The opposite of `split_glb`, for files with planted faults."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
