"""Clothes exchanged in other poses: whose pose, whose size, whose colours."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asset_samples import body_asset, waving_asset
from click.testing import CliRunner

from mmgen.assets.asset import Asset
from mmgen.assets.glb import glb_bytes, read_glb
from mmgen.assets.motions import walking
from mmgen.assets.rig import Rig, rigged
from mmgen.assets.stances import Stance
from mmgen.assets.swap import Wearer, dressed, standing
from mmgen.cli import cli
from mmgen.templates import named_template

GREEN = (10, 160, 40)
SMALL_ANGLE_DEG = 6.0
"""Joints fitted to a bent mesh, and knees that bend as each body's own legs ask."""


def rig_of(asset: Asset) -> Rig:
    return rigged(asset, named_template("person"))


def wearer(asset: Asset) -> Wearer:
    return Wearer(asset.name, asset, "0" * 64, rig_of(asset))


@pytest.fixture(scope="module")
def waving() -> Asset:
    """Grey, 1.7 m, one arm up."""
    return replace(waving_asset(), provenance={"camera": {"azimuth_deg": 1}, "height_m": 1.7})


@pytest.fixture(scope="module")
def walker(waving: Asset) -> Asset:
    """Green, smaller and in the middle of a step, arms down."""
    small = replace(waving, vertices=waving.vertices * np.float32(0.8))
    vertices = rig_of(small).posed(small.vertices, *walking(rig_of(small), [0.1]))[0]
    return replace(waving, name="step", vertices=vertices, texture=np.full((8, 8, 3), GREEN, np.uint8))


def angles_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[J] between rotations [J, 3, 3]."""
    traces = np.einsum("jab,jab->j", one, other)
    return np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))


def bone_lengths(rig: Rig) -> np.ndarray:
    return np.linalg.norm(rig.local_places()[1:], axis=1)


def test_in_the_pose_of_the_clothes_the_body_keeps_its_size(waving: Asset, walker: Asset) -> None:
    made = dressed(wearer(waving), wearer(walker), Stance("clothes"))
    own, other, there = rig_of(made), rig_of(walker), rig_of(waving)
    assert angles_deg(own.turns, other.turns).max() < SMALL_ANGLE_DEG
    assert angles_deg(own.turns, there.turns).max() > 60, "it was another pose before"
    np.testing.assert_allclose(bone_lengths(own), bone_lengths(there), atol=0.015)
    assert np.array_equal(made.texture, walker.texture)
    assert made.provenance["pose"] == "clothes" and "camera" not in made.provenance
    feet = made.vertices[made.vertices[:, 1] <= 0.05 * made.height_m]
    assert made.vertices[:, 1].min() == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose((feet.min(axis=0) + feet.max(axis=0))[[0, 2]] / 2, 0, atol=1e-4)


def test_one_pose_for_all_and_each_phase_its_own(waving: Asset, walker: Asset) -> None:
    one, other = wearer(waving), wearer(walker)
    assert np.array_equal(dressed(one, other).vertices, waving.vertices), "as in the photo of the body"
    for stance in (Stance("rest"), Stance("walk", 0.0), Stance("walk", 0.5)):
        turns = [rig_of(asset).turns for asset in (dressed(one, other, stance), standing(other, stance))]
        assert angles_deg(*turns).max() < SMALL_ANGLE_DEG, stance
        if stance.kind == "rest":
            assert angles_deg(turns[0], np.tile(np.eye(3), (len(turns[0]), 1, 1))).max() < SMALL_ANGLE_DEG
        else:
            own = rig_of(standing(one, stance))
            left, right = (own.places[own.names.index(f"{side}Foot"), 2] for side in ("Left", "Right"))
            assert (left - right) * (1 if stance.phase == 0 else -1) > 0.3


def test_the_command(waving: Asset, walker: Asset, tmp_path: Path) -> None:
    for name, asset in (("waving", waving), ("step", walker), ("ball", body_asset())):
        (tmp_path / f"{name}.glb").write_bytes(glb_bytes(asset))
    arguments = [
        "swap",
        *(str(tmp_path / f"{name}.glb") for name in ("waving", "step")),
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(cli, [*arguments, "--pose", "walk:0.5", "--json"])
    assert result.exit_code == 0, result.stderr
    made = read_glb(tmp_path / "out" / "waving_in_step.glb")
    assert made.provenance["pose"] == "walk:0.5" and np.array_equal(made.texture, walker.texture)
    expected = dressed(wearer(waving), wearer(walker), Stance("walk", 0.5)).vertices
    np.testing.assert_allclose(made.vertices, expected, atol=1e-4)
    mixed = CliRunner().invoke(cli, [*arguments, str(tmp_path / "ball.glb"), "--pose", "rest", "--json"])
    assert mixed.exit_code == 3 and [row["error"] for row in json.loads(mixed.stdout)["failures"]] == ["rig_other_mesh"]
    for wrong in ("walk:2", "walk:nan", "rest:0.5", "run"):
        refused = CliRunner().invoke(cli, [*arguments, "--pose", wrong])
        assert refused.exit_code == 2 and "is not body, clothes, rest, walk" in refused.stderr.replace("\n", " ")
