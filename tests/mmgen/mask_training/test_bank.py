"""Rigged people: read from glTF, posed through their skin, drawn from the side that was asked for."""

from pathlib import Path

import numpy as np
import pytest
from rigged_files import write_glb
from scipy.spatial.transform import Rotation

from mmgen.mask_training.bank import draw_rigged
from mmgen.synth.rigged_file import read_rigged

TALL = np.float32([[-0.2, 0, 0], [0.2, 0, 0], [0.2, 1.75, 0], [-0.2, 1.75, 0]])
ARM = np.float32([[0.2, 1.3, 0], [0.8, 1.3, 0], [0.8, 1.5, 0], [0.2, 1.5, 0]])


def glb(path: Path) -> Path:
    """A flat body and its left arm, red over blue, the hip at the root and the shoulder a joint above it."""
    bind = np.stack([np.eye(4), np.eye(4)]).astype(np.float32)
    bind[1, :3, 3] = -0.2, -1.4, 0
    uv = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])
    owned = np.repeat(np.uint8([[0, 0, 0, 0], [1, 0, 0, 0]]), 4, axis=0)
    faces = np.uint16([0, 1, 2, 0, 2, 3, 4, 5, 6, 4, 6, 7])
    nodes = [{"name": "Hips", "children": [1]}, {"name": "LeftArm", "translation": [0.2, 1.4, 0]}]
    arrays = np.concatenate([TALL, ARM]), np.concatenate([uv, uv * (1, 0.1)]).astype(np.float32), owned, faces, bind
    return write_glb(path, arrays, nodes, "Hair")


def test_an_arm_hangs_where_the_pose_says_and_sides_are_not_mirrored(tmp_path: Path) -> None:
    person = read_rigged(glb(tmp_path / "a.glb"))
    front = draw_rigged(person, {}, 0.0, 0.0, 96)
    assert front.shape[0] == pytest.approx(96, abs=2) and front.shape[1] == pytest.approx(96 * 1.0 / 1.75, abs=2)
    assert front[10, 5, 0] > 200 and front[-10, 5, 2] > 200, "red over blue"
    assert front[20, -3, 3] == 255 and front[-3, -3, 3] == 0, "the left arm is on the picture's right"
    behind = draw_rigged(person, {}, 180.0, 0.0, 96)
    assert behind[20, 2, 3] == 255 and behind[-3, 2, 3] == 0
    hanging = draw_rigged(person, {"LeftArm": Rotation.from_euler("z", -90, degrees=True).as_matrix()}, 0.0, 0.0, 96)
    assert hanging.shape[1] < 0.4 * 96 and hanging[45, -3, 3] == 255


def test_hair_is_dyed(tmp_path: Path) -> None:
    person = read_rigged(glb(tmp_path / "a.glb"))
    green = draw_rigged(person.with_hair(np.array([20.0, 200.0, 20.0])), {}, 0.0, 0.0, 96)
    seen = green[green[..., 3] == 255][:, :3].astype(int)
    assert (seen[:, 1] > 3 * seen[:, 0]).all()
