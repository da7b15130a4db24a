"""Rigged people cut out of their pictures: RGBA, as a bank of people keeps them."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmgen.synth.rigged import Matrices, RiggedPerson
from mmgen.synth.textured import TexturedMesh, shade_faces, vertex_normals, visible_faces

_TALL = 1.75
_CAMERA_DISTANCE = 6.0
"""Metres from the camera to the middle of a person as tall as that; the lens fits."""
_SAMPLES = 2
_AMBIENT, _LAMP = 0.75, 0.25
"""Light from everywhere, and from a lamp beside the lens."""


def draw_rigged(
    person: RiggedPerson, pose: Matrices, azimuth_deg: float, elevation_deg: float, height: int
) -> NDArray[np.uint8]:
    """[height', width', 4] RGBA of a person, cut to their box; `height'` is about `height`.

    Args:
        person: who.
        pose: as for `RiggedPerson.posed`.
        azimuth_deg: azimuth of the camera; 0 sees the front, 90 the person's left side.
        elevation_deg: elevation of the camera; positive looks down.
        height: height of the box, pixels.
    """
    corners = person.posed(pose).vertices
    middle, tall = (corners.max(axis=0) + corners.min(axis=0)) / 2, np.ptp(corners[:, 1])
    turn = Rotation.from_euler("X", elevation_deg, degrees=True) * Rotation.from_euler("Y", -azimuth_deg, degrees=True)
    seen = (corners - middle) @ turn.as_matrix().T * (_TALL / tall)
    side, focal = int(height * 1.25), height * _SAMPLES / _TALL * _CAMERA_DISTANCE
    depth = _CAMERA_DISTANCE - seen[:, 2]
    pixels = side * _SAMPLES / 2 + focal * seen[:, :2] * [1.0, -1.0] / depth[:, None]
    mesh = TexturedMesh(seen, vertex_normals(seen, person.faces), np.ones(len(seen)), person.faces, person.uv,
                        person.face_texture, person.textures)  # fmt: skip
    index, _ = visible_faces(mesh, pixels, depth, side * _SAMPLES, side * _SAMPLES)
    lamps = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, _CAMERA_DISTANCE], [_AMBIENT] * 3, [_LAMP] * 3])
    drawn = shade_faces(mesh, pixels, depth, index, lamps, _SAMPLES)
    drawn[..., :3] /= np.maximum(drawn[..., 3:], 1e-3)
    rows, columns = np.flatnonzero(drawn[..., 3].any(axis=1)), np.flatnonzero(drawn[..., 3].any(axis=0))
    cut = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return (np.clip(cut, 0, 1) * 255 + 0.5).astype(np.uint8)
