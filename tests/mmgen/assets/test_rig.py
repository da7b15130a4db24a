"""Rigged assets: the photo's pose is the mesh as it is, and the walk is a loop with both feet near the ground."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asset_samples import waving_asset
from click.testing import CliRunner
from pygltflib import GLTF2
from scipy.spatial.transform import Rotation

from mmgen.assets.asset import Asset
from mmgen.assets.formats import ExportOptions, export_glb
from mmgen.assets.glb import asset_from_glb, glb_bytes
from mmgen.assets.khronos import find_validator, run_validator
from mmgen.assets.motions import motion, posed_places
from mmgen.assets.rig import Rig, rigged
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


@pytest.mark.parametrize("kind", ["walk", "turn", "idle"])
def test_loops_close_and_stay_on_the_ground(rig: Rig, kind: str) -> None:
    loop = motion(rig, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(loop.rotations[0], loop.rotations[-1], atol=1e-9)
    assert loop.times[0] == 0 and (np.diff(loop.times) > 0).all()
    feet = [rig.names.index(name) for name in ("LeftFoot", "RightFoot")]
    lowest = [
        posed_places(rig, turned)[feet, 1].min() + hips[1] - rig.places[0, 1]
        for turned, hips in zip(loop.rotations, loop.hips, strict=True)
    ]
    np.testing.assert_allclose(lowest, rig.places[feet, 1].min(), atol=1e-6)


def test_who_walks_swings_opposite_limbs(rig: Rig) -> None:
    loop = motion(rig, "walk")
    rows = [rig.names.index(name) for name in ("LeftFoot", "RightFoot", "LeftHand", "RightHand")]
    depth = np.array([posed_places(rig, turned)[rows, 2] for turned in loop.rotations[:-1]])
    assert np.ptp(depth[:, 0]) > 0.3, "a step"
    correlation = np.corrcoef(depth.T)
    assert correlation[0, 1] < -0.8 and correlation[0, 3] > 0.8


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
