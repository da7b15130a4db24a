"""Rigged GLBs in other people's readers: three.js, which knows skins, and trimesh, which does not."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from asset_samples import waving_asset
from three_reader import three_reader

from mmgen.assets.asset import Asset
from mmgen.assets.formats import ExportOptions, export_glb
from mmgen.assets.glb import glb_bytes
from mmgen.assets.motions import WALK_KEYS, WALK_S, motion, walking
from mmgen.assets.rig import Rig, rigged
from mmgen.templates import named_template

MILLIMETRE = 1e-3
PHASES = tuple(key / WALK_KEYS for key in (0, 6, 10, 18))
"""Moments at which the loop has keys: between two of them viewers turn joints evenly, which the gait does not."""


@pytest.fixture(scope="module")
def asset() -> Asset:
    """Somebody who waves, 1.7 m high."""
    return waving_asset()


@pytest.fixture(scope="module")
def rig(asset: Asset) -> Rig:
    rig = rigged(asset, named_template("person"))
    return replace(rig, motion=motion(rig, "walk"))


def trimesh_scene(glb: bytes) -> trimesh.Scene:
    return trimesh.load_scene(io.BytesIO(glb), file_type="glb", process=False)


def world_vertices(scene: trimesh.Scene) -> np.ndarray:
    (node,) = scene.graph.nodes_geometry
    transform, name = scene.graph[node]
    return trimesh.transform_points(scene.geometry[name].vertices, transform)


def test_trimesh_shows_the_photos_pose_and_finds_the_joints(asset: Asset, rig: Rig) -> None:
    scene, plain = trimesh_scene(glb_bytes(replace(asset, rig=rig))), trimesh_scene(glb_bytes(asset))
    np.testing.assert_allclose(world_vertices(scene), world_vertices(plain), atol=MILLIMETRE)
    for name, place, turn in zip(rig.names, rig.places, rig.turns, strict=True):
        there = scene.graph[name][0]
        np.testing.assert_allclose(there[:3, 3], place, atol=MILLIMETRE)
        np.testing.assert_allclose(there[:3, :3], turn, atol=1e-3)


@pytest.mark.slow
def test_three_poses_the_mesh_as_it_is_and_walks_as_we_do(asset: Asset, rig: Rig) -> None:
    """Skinned vertices against those of the file without a skin, and moments of the walk against our own skinning."""
    plain, walker = glb_bytes(asset), glb_bytes(replace(asset, rig=rig))
    exported = export_glb(plain, "x", "glb", ExportOptions(rig=True), 1, named_template("person"))["x.glb"]
    level = export_glb(plain, "x", "glb", ExportOptions(), 1)["x.glb"]
    with three_reader() as reader:
        (static,), (posed, *walk) = (
            reader.vertices(plain),
            reader.vertices(walker, (None, *(phase * WALK_S for phase in PHASES))),
        )
        np.testing.assert_allclose(posed, static, atol=MILLIMETRE)
        np.testing.assert_allclose(reader.vertices(exported), reader.vertices(level), atol=MILLIMETRE)
    ours = rig.posed(static.astype(np.float32), *walking(rig, PHASES))
    np.testing.assert_allclose(walk, ours, atol=MILLIMETRE)
    assert np.abs(ours - static).max() > 0.3, "it moved"
