"""Bodies of the optional package anny: the distance field they become, and the refusal when they are missing."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mmgen.cli import cli
from mmgen.synth import NEUTRAL, anny_body, body_mesh, identity
from mmgen.synth.anny_body import RestBody, cloud_distances, faces_itself, posed_vertices
from mmgen.synth.field import FAR
from mmgen.synth.skeleton import BONE, pose_skeleton

LOW, STEP, SHAPE = np.full(3, -0.2), 0.02, (21, 21, 21)


def sphere(radius: float, count: int = 4000) -> np.ndarray:
    """Evenly spread points."""
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    y = 1 - 2 * (np.arange(count) + 0.5) / count
    return radius * np.stack([np.sqrt(1 - y * y) * np.cos(turn), y, np.sqrt(1 - y * y) * np.sin(turn)], axis=1)


def grid_radii() -> np.ndarray:
    points = LOW + STEP * np.stack(np.meshgrid(*(range(n) for n in SHAPE), indexing="ij"), -1)
    return np.linalg.norm(points, axis=-1)


def test_a_cloud_becomes_signed_distances() -> None:
    points = sphere(0.11)
    grid = cloud_distances(points, points / 0.11, LOW, STEP, SHAPE)
    expected = grid_radii() - 0.11
    near = np.abs(expected) < 0.025
    assert np.abs(grid - expected)[near].max() < 0.004
    assert (np.sign(grid) == np.sign(expected))[np.abs(expected) > 0.003].all()
    assert grid.max() == np.float32(FAR) and grid[10, 10, 10] == np.float32(-FAR)


def test_hollows_are_filled_and_crumbs_dropped() -> None:
    shell, hollow, crumb = sphere(0.12), sphere(0.04, 800), sphere(0.02, 200)
    away = crumb + np.full(3, 0.17)
    points = np.concatenate([shell, hollow, away])
    normals = np.concatenate([shell / 0.12, -hollow / 0.04, crumb / 0.02])
    grid = cloud_distances(points, normals, LOW, STEP, SHAPE)
    assert (grid[grid_radii() < 0.11] < 0).all() and (grid[grid_radii() > 0.13] > 0).all()


def test_only_walls_that_look_at_each_other_are_inside() -> None:
    points = np.array([[0.0, 0, 0], [0, 0.01, 0], [0, 0.1, 0]])
    normals = np.array([[0.0, 1, 0], [0, -1, 0], [0, -1, 0]])
    assert faces_itself(points, normals).tolist() == [True, True, False]
    assert not faces_itself(points, -normals).any()


def test_skin_goes_where_its_bones_go() -> None:
    skeleton = pose_skeleton(identity(0, "train", 0).build, NEUTRAL)
    names = {name: number for number, name in enumerate(("upperarm01", "lowerarm01", "wrist", "finger3-1"))}
    joints = {"upperleg01": (0.1, 0.0, 0.0), "lowerleg01": (0.1, -0.4, 0.0), "foot": (0.1, -0.8, 0.0)}
    joints |= {name: (0.2 + 0.2 * number, 0.5, 0.0) for name, number in names.items()}  # a T pose
    both = {
        f"{name}.{side}": np.array([sign * x, y, z])
        for name, (x, y, z) in joints.items()
        for side, sign in (("L", 1.0), ("R", -1.0))
    }
    vertices = np.array(
        [both["upperarm01.L"], both["lowerarm01.L"], both["foot.R"], [0.0, 0.9, 0.0], [0.0, -0.85, 0.0]]
    )
    weights = np.zeros((5, 15))
    weights[range(5), [BONE["arm_l"], BONE["arm_l"], BONE["shank_r"], BONE["head"], BONE["pelvis"]]] = 1
    both["head"] = np.array([0.0, 0.75, 0.0])
    rest = RestBody(vertices, np.array([[0, 1, 2]]), weights, both, np.ones(1, bool))
    posed = posed_vertices(rest, skeleton)
    for vertex, bone in ((0, "arm_l"), (1, "forearm_l"), (2, "foot_r")):
        assert posed[vertex] == pytest.approx(skeleton.origin[BONE[bone]], abs=1e-9)
    top = skeleton.to_world(BONE["head"], np.array([0, skeleton.proportions.head[1], 0]))
    assert posed[3, 1] == pytest.approx(top[1], abs=0.01)


def test_without_the_package_the_command_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        anny_body.importlib.util, "find_spec", lambda name, *rest: None if name == "anny" else found(name, *rest)
    )
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "people"), "--bodies", "anny"])
    assert result.exit_code == 4 and not (tmp_path / "people").exists()
    assert "bodies from anny need the package anny, which is not installed" in result.stderr
    assert 'pip install "mmgen[crowd]"' in result.stderr


@pytest.mark.slow
def test_an_anny_body_is_one_closed_surface_of_the_right_height() -> None:
    pytest.importorskip("anny")
    who = identity(0, "train", 3)
    mesh, capsules = body_mesh(who, NEUTRAL, 0.015, "anny"), body_mesh(who, NEUTRAL, 0.015)
    assert mesh.height_m == pytest.approx(capsules.height_m, abs=0.03)
    triangles = mesh.vertices[mesh.faces].astype(float)
    volume = np.einsum("ij,ij->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    assert 0.03 < volume < 0.2
