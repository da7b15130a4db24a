"""Rigged people in the crowd: posed like the generator's own, told as truth, kept apart by split, refused when odd."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from rigged_files import box_person

from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.datasets.truth_file import read_placed_template
from mmgen.synth.avatar import AvatarIdentity, avatar_identity
from mmgen.synth.avatar_body import RiggedBody, avatar_body
from mmgen.synth.correspondence import Correspondence
from mmgen.synth.crowd import CrowdOptions, person_pictures, pose_of
from mmgen.synth.pose import NEUTRAL, Pose
from mmgen.synth.recolour import Dye
from mmgen.synth.rigged_file import check_rigged, read_rigged
from mmgen.synth.shading import project_pixels
from mmgen.synth.skeleton import BONE
from mmgen.templates import named_template
from recon.evaluation.solid import volume_iou

PLAIN = Dye()
WHO = AvatarIdentity("train", 0, "a", None, PLAIN, PLAIN, PLAIN, 1.0, 1.0)
ARM_UP = replace(NEUTRAL, arm_spread_deg=(150.0, 9.0), head_yaw_deg=30.0, trunk_roll_deg=8.0)
SMALL = ["--height", "32", "--views", "2", "--poses", "1", "--workers", "1", "--bodies", "avatars", "--style", "world"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people to learn from and one that is kept for tests."""
    made = tmp_path_factory.mktemp("avatars")
    for name in ("a", "b", "White_F_2_Casual"):
        box_person(made / f"{name}.glb")
    return made


def body(folder: Path, pose: Pose) -> RiggedBody:
    return avatar_body(WHO, folder, pose)


def synth(out: Path, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["synth", str(out), *SMALL, "--avatars", str(folder), *arguments])


def test_a_raised_arm_is_raised_on_the_mesh_and_on_the_bones(folder: Path) -> None:
    made = body(folder, ARM_UP)
    hand = made.skeleton.origin[BONE["hand_l"]]
    assert hand[1] > made.skeleton.origin[BONE["head"]][1] and hand[0] > 0.15
    assert made.vertices[made.vertices[:, 0] > 0.3, 1].min() > made.skeleton.origin[BONE["arm_l"]][1]
    assert abs(float(made.vertices[:, 1].max() + made.vertices[:, 1].min())) < 1e-3


@pytest.mark.parametrize("pose", [NEUTRAL, ARM_UP, replace(NEUTRAL, tilt_deg=8.0)], ids=["ease", "up", "tilted"])
def test_the_template_fills_a_rigged_person(pose: Pose, folder: Path) -> None:
    made = body(folder, pose)
    placed = Correspondence(named_template("person"))(made.figure)
    vertices, scale = torch.from_numpy(made.vertices).double(), 1 / made.height_m
    faces = torch.from_numpy(made.faces.astype(np.int64))
    own = torch.from_numpy(placed.posed) * scale
    assert volume_iou(own, named_template("person").faces, vertices * scale, faces, 1 / 64) > 0.85


def test_a_tilt_turns_people_as_a_tilted_camera_does(folder: Path) -> None:
    upright, tilted = (body(folder, replace(NEUTRAL, tilt_deg=angle)).skeleton for angle in (0.0, 8.0))
    along = upright.origin[BONE["head"]] - upright.origin[0]
    cosine, sine = np.cos(np.deg2rad(8.0)), np.sin(np.deg2rad(8.0))
    turned = [along[0] * cosine - along[1] * sine, along[0] * sine + along[1] * cosine, along[2]]
    np.testing.assert_allclose(tilted.origin[BONE["head"]] - tilted.origin[0], turned, atol=1e-3)


def test_test_people_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    assert {avatar_identity(0, "train", index, folder).avatar for index in range(4)} == {"a", "b"}
    assert avatar_identity(0, "test", 3, folder).avatar == "White_F_2_Casual"
    box_person(tmp_path / "a.glb")
    with pytest.raises(FatalError, match="no test people among the avatars"):
        avatar_identity(0, "test", 0, tmp_path)


def test_pictures_hold_the_whole_person_from_any_side(folder: Path) -> None:
    options = CrowdOptions(views=8, poses=2, height=32, width=16, style="world", bodies="avatars", avatars=folder)
    found = list(person_pictures(options, "train", 0))
    for person in found:
        truth = person.picture.truth
        assert 0.02 < person.picture.mask.mean() / 255 < 0.6
        pixels, _ = project_pixels(truth.vertices, truth.world_to_camera, truth.intrinsics)
        assert (pixels.min(axis=0) > [-0.5, -0.5]).all() and (pixels.max(axis=0) < [16.5, 32.5]).all()
    elevations = [float(person.picture.truth.elevation_deg) for person in found]
    assert max(elevations) - min(elevations) > 10
    assert pose_of(options, found[0].identity, 0).tilt_deg != 0


def test_the_command_writes_truth_that_training_reads(folder: Path, tmp_path: Path) -> None:
    result = synth(tmp_path / "out", folder, "--identities", "1", "--test-fraction", "0")
    assert result.exit_code == 0, result.output
    skin = named_template("person").skin
    for path in sorted((tmp_path / "out" / "truth").rglob("*.npz")):
        placed = read_placed_template(path, 1302, len(skin.names))
        assert placed is not None and np.isfinite(placed.rest).all()
        with np.load(path) as truth:
            assert truth["faces"].max() < len(truth["vertices"]) == len(truth["colors"])
    settings = json.loads((tmp_path / "out" / "synth.json").read_text())["settings"]
    assert len(settings["avatars"]) == 16 and str(folder) not in json.dumps(settings)
    again = synth(tmp_path / "again", folder, "--identities", "1", "--test-fraction", "0")
    assert again.exit_code == 0
    for path in (tmp_path / "out").rglob("*.jpg"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes()


@pytest.mark.parametrize(
    ("content", "without", "message"),
    [
        (b"PK holiday", (), "it is no GLB"),
        (None, ("Hips",), "no joint named Hips"),
        (b"glTF\2\0", (), "cannot be used"),
    ],
)
def test_a_file_that_is_no_person_is_named(
    content: bytes | None, without: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    path = box_person(tmp_path / "odd.glb", without)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FatalError, match=rf"odd\.glb .*{message}"):
        check_rigged(path)
    result = synth(tmp_path / "out", tmp_path, "--identities", "1", "--test-fraction", "0")
    assert result.exit_code == 4 and message in result.stderr and not (tmp_path / "out" / "synth.json").exists()


def test_bodies_and_folder_go_together(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "out"), "--bodies", "mixed"])
    assert result.exit_code == 2 and "--avatars" in result.stderr


def test_hair_has_two_sides_in_the_truth(tmp_path: Path) -> None:
    person = read_rigged(box_person(tmp_path / "a.glb", material="Hair"))
    assert len(avatar_body(WHO, tmp_path, NEUTRAL).faces) == 2 * len(person.faces)
