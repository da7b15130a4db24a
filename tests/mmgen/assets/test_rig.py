"""Rigged assets: the photo's pose is the mesh as it is, and the walk is a loop with both feet near the ground."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asset_samples import body_asset, waving_asset
from click.testing import CliRunner
from PIL import Image
from pygltflib import GLTF2
from scipy.spatial.transform import Rotation

from mmgen.assets.asset import Asset
from mmgen.assets.formats import ExportOptions, export_glb
from mmgen.assets.glb import asset_from_glb, glb_bytes
from mmgen.assets.gltf import build_gltf
from mmgen.assets.khronos import find_validator, run_validator
from mmgen.assets.motions import WALK_KEYS, WALK_S, motion, walked
from mmgen.assets.rig import Rig, rigged
from mmgen.assets.textures import EncodedTexture, encode_texture
from mmgen.cli import cli
from mmgen.core.errors import ItemError
from mmgen.templates import named_template

COMPONENTS = {5126: "<f4", 5121: "u1", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@pytest.fixture(scope="module")
def asset() -> Asset:
    """A person with an arm up."""
    return waving_asset()


class Document:
    """A GLB, read without any code of ours."""

    def __init__(self, data: bytes) -> None:
        self.gltf = GLTF2.load_from_bytes(data)
        self.blob = self.gltf.binary_blob()

    def array(self, index: int) -> np.ndarray:
        accessor = self.gltf.accessors[index]
        width, offset = WIDTHS[accessor.type], self.gltf.bufferViews[accessor.bufferView].byteOffset
        values = np.frombuffer(self.blob, COMPONENTS[accessor.componentType], accessor.count * width, offset)
        return values.reshape(accessor.count, width)

    def skinned(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions as skinned by the nodes as they stand, and as stored."""
        places: dict[int, np.ndarray] = {}

        def walk(number: int, above: np.ndarray) -> None:
            node, local = self.gltf.nodes[number], np.eye(4)
            if node.rotation:
                local[:3, :3] = Rotation.from_quat(node.rotation).as_matrix()
            if node.translation:
                local[:3, 3] = node.translation
            places[number] = above @ local
            for child in node.children or []:
                walk(child, places[number])

        for root in self.gltf.scenes[0].nodes:
            walk(root, np.eye(4))
        skin, primitive = self.gltf.skins[0], self.gltf.meshes[0].primitives[0]
        binds = self.array(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
        maps = np.stack([places[joint] for joint in skin.joints]) @ binds
        stored = self.array(primitive.attributes.POSITION)
        joints, weights = self.array(primitive.attributes.JOINTS_0), self.array(primitive.attributes.WEIGHTS_0)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        homogeneous = np.concatenate((stored, np.ones((len(stored), 1))), axis=1)
        return np.einsum("nk,nkij,nj->ni", weights, maps[joints], homogeneous)[:, :3], stored


def test_the_photos_pose_is_the_mesh_and_ours_read_it_again(asset: Asset, tmp_path: Path) -> None:
    rig = rigged(asset, named_template("person"))
    data = glb_bytes(replace(asset, rig=replace(rig, motion=motion(rig, "walk"))))
    document = Document(data)
    posed, stored = document.skinned()
    assert np.abs(posed - stored).max() < 1e-5
    names = [node.name for node in document.gltf.nodes[1:]]
    assert names[0] == "Hips" and {"Spine", "Head", "LeftUpLeg", "RightForeArm", "LeftFoot"} <= set(names)
    again, plain = asset_from_glb(data), asset_from_glb(glb_bytes(asset))
    assert np.array_equal(again.vertices, plain.vertices) and np.array_equal(again.faces, plain.faces)
    (tmp_path / "arm.glb").write_bytes(data)
    folder = find_validator()
    if folder is not None:
        summary, findings = run_validator(folder, [tmp_path / "arm.glb"])
        assert (summary.errors, summary.warnings, summary.infos, summary.hints) == (0, 0, 0, 0), findings


@pytest.fixture(scope="module")
def rig(asset: Asset) -> Rig:
    return rigged(asset, named_template("person"))


def test_rigged_files_are_those_that_pygltflib_writes(asset: Asset, rig: Rig) -> None:
    moving = replace(asset, rig=replace(rig, motion=motion(rig, "turn")))
    texture = EncodedTexture("png", encode_texture(asset.texture, "png"))
    gltf, binary = build_gltf(moving, texture)
    gltf.set_binary_blob(binary)
    assert glb_bytes(moving, texture) == b"".join(gltf.save_to_bytes())


@pytest.mark.parametrize("kind", ["walk", "turn", "idle"])
def test_loops_close_and_stay_on_the_ground(asset: Asset, rig: Rig, kind: str) -> None:
    loop = motion(rig, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(loop.rotations[0], loop.rotations[-1], atol=1e-9)
    assert loop.times[0] == 0 and (np.diff(loop.times) > 0).all()
    lowest = rig.posed(asset.vertices, loop.rotations, loop.hips)[..., 1].min(axis=1)
    np.testing.assert_allclose(lowest, asset.vertices[:, 1].min(), atol=1e-4)


def middles(rig: Rig, poses: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """[T, N, 3] of the vertices that hang on single joints."""
    shares = [((rig.bones == rig.names.index(name)) * rig.weights).sum(axis=1) for name in names]
    return np.stack([poses[:, share > 0.9].mean(axis=1) for share in shares], axis=1)


def test_who_walks_swings_opposite_limbs(asset: Asset, rig: Rig) -> None:
    loop = motion(rig, "walk")
    poses = rig.posed(asset.vertices, loop.rotations[:-1], loop.hips[:-1])
    depth = middles(rig, poses, ("LeftFoot", "RightFoot", "LeftHand", "RightHand"))[..., 2]
    assert np.ptp(depth[:, 0]) > 0.3, "a step"
    correlation = np.corrcoef(depth.T)
    assert correlation[0, 1] < -0.8 and correlation[0, 3] > 0.8


def test_knees_bend_backwards_and_the_foot_that_carries_goes_back(asset: Asset, rig: Rig) -> None:
    bent = motion(rig, "walk").rotations[:, [rig.names.index(name) for name in ("LeftLeg", "RightLeg")], 2, 1]
    assert bent.min() > np.sin(np.radians(-10)) and bent.max() > np.sin(np.radians(35)), "shanks turn backwards"
    foot = middles(rig, walked(asset, rig, 48, 48 / WALK_S), ("LeftFoot",))[:, 0]
    carries = foot[:, 1] < foot[:, 1].min() + 0.02
    assert carries.mean() > 0.25
    assert (np.diff(foot[:, 2], append=foot[:1, 2])[carries] < 0).mean() > 0.8


@pytest.mark.parametrize("longer_m", [0.0, 0.04])
def test_who_carries_stands_on_the_ground_and_nobody_floats(asset: Asset, longer_m: float) -> None:
    """From the heel's strike on, also where the photo gave one leg a longer shank than the other."""
    template = named_template("person")
    shank = template.skin.dense()[:, template.skin.names.index("LeftLeg")].numpy()
    foot = template.skin.dense()[:, template.skin.names.index("LeftFoot")].numpy()
    lower = asset.vertices - np.float32([0, longer_m, 0]) * np.clip(0.5 * shank + foot, 0, 1)[:, None]
    uneven = replace(asset, vertices=lower - lower.min(axis=0) * np.float32([0, 1, 0]))
    rig = rigged(uneven, template)
    poses = walked(uneven, rig, 20, 20 / WALK_S)
    for side, frames in (("Left", range(9)), ("Right", [*range(10, 19)])):
        rows = [rig.names.index(side + name) for name in ("Leg", "Foot")]
        own = (rig.weights * np.isin(rig.bones, rows)).sum(axis=1) > 0.5
        assert poses[frames][:, own, 1].min(axis=1).max() < 0.004, side
    assert np.abs(poses[:, :, 1].min(axis=1)).max() < 1e-4


def test_the_turntable_walks_as_the_export_does(asset: Asset, rig: Rig) -> None:
    """A turn of about two strides' time has two strides, and of one stride those moments that the loop has keys for."""
    loop = motion(rig, "walk")
    one = walked(asset, rig, WALK_KEYS, WALK_KEYS / WALK_S)
    np.testing.assert_allclose(one, rig.posed(asset.vertices, loop.rotations[:-1], loop.hips[:-1]), atol=1e-6)
    two = walked(asset, rig, 36, 18)
    np.testing.assert_allclose(two[:18], two[18:], atol=1e-5)
    assert np.abs(two[0] - two[9]).max() > 0.3


def test_simpler_levels_and_other_meshes(asset: Asset) -> None:
    template, options = named_template("person"), ExportOptions(rig=True, height_m=1.2)
    data = glb_bytes(asset)
    for lod in (None, 1):
        document = Document(export_glb(data, "arm", "glb", options, lod, template)["arm.glb"])
        posed, stored = document.skinned()
        assert np.abs(posed - stored).max() < 1e-5 and np.ptp(stored[:, 1]) == pytest.approx(1.2, abs=0.02)
    other = replace(asset, faces=asset.faces[:-1], face_uv=asset.face_uv[:-1])
    with pytest.raises(ItemError, match="nobody knows where its joints are"):
        rigged(other, template)


def test_the_command(asset: Asset, tmp_path: Path) -> None:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "arm.glb").write_bytes(glb_bytes(asset))
    arguments = ["export", str(tmp_path / "meshes"), "--out", str(tmp_path / "out"), "--animation", "idle", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0 and json.loads(result.stdout)["done"] == 1
    assert Document((tmp_path / "out" / "arm.glb").read_bytes()).gltf.animations[0].name == "idle"
    refused = CliRunner().invoke(cli, [*arguments, "--format", "obj"])
    assert refused.exit_code == 2 and "--rig is for glb and gltf" in refused.stderr


def test_the_turntable_command(asset: Asset, tmp_path: Path) -> None:
    (tmp_path / "arm.glb").write_bytes(glb_bytes(asset))
    (tmp_path / "ball.glb").write_bytes(glb_bytes(body_asset()))
    arguments = ["turntable", str(tmp_path), "--out", str(tmp_path / "out"), "--walk", "--frames", "4", "--fps", "4"]
    result = CliRunner().invoke(cli, [*arguments, "--size", "64x48", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 3 and report["outputs"] == [str(tmp_path / "out" / "arm.gif")]
    assert [row["error"] for row in report["failures"]] == ["rig_other_mesh"]
    assert report["failures"][0]["message"].startswith(f"{tmp_path / 'ball.glb'}: this mesh has other faces")
    with Image.open(tmp_path / "out" / "arm.gif") as animation:
        frames = [np.asarray(animation.seek(index) or animation.convert("L")).astype(int) for index in range(4)]
    sides = [(frame < 180)[-20:].any(axis=0).sum() for frame in frames]
    assert sides[1] > sides[0] and sides[3] > sides[2], "from the side the legs are apart"
