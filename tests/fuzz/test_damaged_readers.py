"""Readers of binary files and tables, given damaged ones: a result or the tool's own error.

Warnings are errors here, so a leaked one fails too.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asset_samples import body_asset, join_glb, split_glb
from bad_files import encoded, noise
from dataset_trees import make_atr, make_cub
from evaluation_scenes import people, truth_arrays
from fuzzing import ABSENT, FEW, JUNK, MANY, changed, damaged, few_and_many, places
from hypothesis import given, settings
from hypothesis import strategies as st
from reid_people import TINY
from trimesh.creation import icosphere

from mmgen.assets.asset import Asset
from mmgen.assets.glb import asset_from_glb, glb_bytes
from mmgen.assets.rules import check_glb
from mmgen.augment.folder import PLAN_NAME, read_plan
from mmgen.augment.verification import verify_shards
from mmgen.core.errors import FatalError, ItemError, MmgenError
from mmgen.core.listing import list_images
from mmgen.datasets import atr, cub
from mmgen.datasets.truth_file import read_truth
from mmgen.evaluation.parts import HEADER, _read
from mmgen.masks.network_file import read_network, write_network
from mmgen.photos.images import read_image
from mmgen.reid_runs.manifest import read_reid_manifest
from mmgen.reid_runs.weights import load_reid_weights, save_reid_weights
from mmgen.templates.mesh_file import load_template
from mmgen.training.folder import CHECKPOINTS, STATE, RunFolder
from recon.segmentation import PersonNetwork, PersonNetworkConfig
from reid.errors import ReidError
from reid.models.network import ModelConfig, make_network

Arrays = dict[str, Any]
PHOTOS = [encoded(noise(20, 24), name) for name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "PPM")]


@few_and_many({"data": damaged(PHOTOS) | st.binary(max_size=200)})
def test_photos(folder: Path, data: bytes) -> None:
    (folder / "photo.bin").write_bytes(data)
    try:
        photo = read_image(folder / "photo.bin")
    except ItemError as error:
        assert error.code.startswith("image_") and error.hint
    else:
        assert photo.rgb.dtype == np.uint8 and photo.rgb.shape[2] == 3 and min(photo.size) >= 16


GLB = glb_bytes(body_asset(level=1, texture=np.full((8, 8, 3), 7, np.uint8)))
DOCUMENT, BINARY = split_glb(GLB)
EDITED = st.builds(
    lambda place, junk: join_glb(changed(DOCUMENT, place, junk), BINARY),
    st.sampled_from([place for place in places(DOCUMENT) if place]),
    JUNK | st.just(ABSENT) | st.sampled_from(["\ud800", {"index": "x"}, [[1]]]),
)


@few_and_many({"data": damaged([GLB]) | EDITED})
def test_meshes(folder: Path, data: bytes) -> None:
    check_glb(data, "a.glb")
    try:
        assert isinstance(asset_from_glb(data), Asset)
    except ItemError as error:
        assert error.message and error.hint


def archive(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


ODD_ARRAYS = st.sampled_from(
    [
        np.zeros((0, 3)), np.full((4, 4), np.nan), np.full(3, np.inf), np.array("text"), np.array([1 + 2j]),
        np.zeros((3, 3), bool), np.full((5, 3), 2**31), np.full((5, 3), -1), np.full((2, 3), 1e300), np.array(7),
        np.zeros((4, 4, 4)), np.zeros(1, "datetime64[s]"), np.zeros(2, [("a", "<f4")]), np.full((3, 3), 255, np.uint8),
    ]
)  # fmt: skip


@st.composite
def with_odd_arrays(draw: st.DrawFn, arrays: Arrays) -> bytes:
    """An archive with one to three of its arrays replaced or taken out."""
    arrays = dict(arrays)
    for name in draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=3, unique=True)):
        odd = draw(ODD_ARRAYS | st.none())
        arrays.pop(name) if odd is None else arrays.update({name: odd})
    return archive(arrays)


TRUTH = truth_arrays(people()[0])


@few_and_many({"data": damaged([archive(TRUTH)]) | with_odd_arrays(TRUTH)})
def test_truth_files(folder: Path, data: bytes) -> None:
    (folder / "a.npz").write_bytes(data)
    try:
        truth = read_truth(folder / "a.npz", (96, 56), (9.0, 4.0, 42.0, 84.0))
    except ItemError as error:
        assert error.code.startswith("truth_") and error.hint
    else:
        assert torch.isfinite(truth.surface.vertices).all() and torch.isfinite(truth.intrinsics).all()


SCORE = {"name": "a.jpg", "row": {"mask_iou": 0.5, "ssim": None}, "features": ["recon"], "error": None}
PART = {"order": "wanted", "scores": [SCORE, {**SCORE, "error": ["code", "message", "hint"]}]}
FEATURES = {f"{index}.recon": np.zeros((2, 8), np.float32) for index in range(2)}


def part(place: tuple[Any, ...], junk: Any) -> bytes:
    header = json.dumps(changed(PART, place, junk) if place else junk).encode()
    return archive({HEADER: np.frombuffer(header, np.uint8), **FEATURES})


@few_and_many(
    {
        "data": damaged([part((), PART)])
        | with_odd_arrays({HEADER: np.frombuffer(json.dumps(PART).encode(), np.uint8), **FEATURES})
        | st.builds(part, st.sampled_from([place for place in places(PART) if place]), JUNK | st.just(ABSENT))
    }
)
def test_features_of_parts_of_an_evaluation(folder: Path, data: bytes) -> None:
    (folder / "part.npz").write_bytes(data)
    scores = _read(folder / "part.npz", "wanted")
    assert scores is None or all(isinstance(score.row, dict) for score in scores)


LISTS = [
    b"a.jpg\n# no\n\n./b/c.png\n",
    b'"a.jpg"\n{"path": "b.jpg", "height_m": 1.8}\n',
    "ä/\udcff.jpg\n".encode("utf-8", "surrogateescape"),
]


@few_and_many({"data": damaged(LISTS), "suffix": st.sampled_from(["txt", "jsonl"])})
def test_lists_of_photos(folder: Path, data: bytes, suffix: str) -> None:
    path = folder / f"list.{suffix}"
    path.write_bytes(data)
    try:
        found = list_images([path])
    except FatalError as error:
        assert error.code in ("list_invalid", "list_unreadable", "no_images") and error.hint
    else:
        assert all(".." not in one.relative.parts and not one.relative.is_absolute() for one in found)


BALL = icosphere(subdivisions=1)
MESHES = {kind: BALL.export(file_type=kind) for kind in ("obj", "ply", "stl", "off", "glb")}


@few_and_many({"kind": st.sampled_from(sorted(MESHES)), "data": st.data()})
def test_templates(folder: Path, kind: str, data: st.DataObject) -> None:
    sound = MESHES[kind]
    path = folder / f"mesh.{kind}"
    path.write_bytes(data.draw(damaged([sound.encode() if isinstance(sound, str) else bytes(sound)])))
    try:
        template = load_template(path)
    except FatalError as error:
        assert error.code.startswith("template_") and error.hint
    else:
        assert torch.isfinite(template.vertices).all()


PLAN = {"plan": {"options": {"turns": [0]}, "sha256": "ab"}, "weights_sha256": "cd", "removed": []}


@few_and_many({"place": st.sampled_from([one for one in places(PLAN) if one]), "junk": JUNK | st.just(ABSENT)})
def test_plans_of_shards(folder: Path, place: tuple[Any, ...], junk: Any) -> None:
    (folder / PLAN_NAME).write_text(json.dumps(changed(PLAN, place, junk)))
    try:
        assert isinstance(read_plan(folder), dict)
    except FatalError as error:
        assert error.code == "plan_damaged" and error.hint


@few_and_many(
    {
        "data": damaged(
            [
                json.dumps(
                    {
                        "schema": "mmgen.shards/1",
                        "shards": [{"name": "a", "samples": 1}],
                        "index": {"sha256": "", "bytes": 0},
                    }
                ).encode()
            ]
        )
    }
)
def test_records_of_shards_are_judged(folder: Path, data: bytes) -> None:
    (folder / "record.json").write_bytes(data)
    (folder / "index.jsonl").write_bytes(b"")
    assert verify_shards(folder).findings


@few_and_many({"data": damaged([TINY.encode()])})
def test_reid_manifests(folder: Path, data: bytes) -> None:
    (folder / "run.toml").write_bytes(data)
    try:
        read_reid_manifest(folder / "run.toml", ())
    except (FatalError, ReidError) as error:
        assert error.message and error.hint


@few_and_many(
    {
        "table": st.sampled_from(["images", "train_test_split", "bounding_boxes", "image_class_labels"]),
        "data": st.data(),
    }
)
def test_tables_of_cub(folder: Path, table: str, data: st.DataObject) -> None:
    root = folder if (folder / "CUB_200_2011").is_dir() else make_cub(folder)
    path = root / "CUB_200_2011" / f"{table}.txt"
    sound = path.read_bytes()
    path.write_bytes(data.draw(damaged([sound])))
    try:
        cub.scan(root)
    except MmgenError as error:
        assert error.message and error.hint
    finally:
        path.write_bytes(sound)


@few_and_many({"data": damaged([b"1_1\n2_1\n"])})
def test_lists_of_atr(folder: Path, data: bytes) -> None:
    root = folder if (folder / "humanparsing").is_dir() else make_atr(folder)
    (root / "humanparsing" / "train.txt").write_bytes(data)
    try:
        atr.scan(root)
    except MmgenError as error:
        assert error.message and error.hint


@pytest.fixture(scope="module")
def weights_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A person network, a re-id network, the state of a training run, and an ONNX file."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    write_network(folder / "mask", PersonNetwork(is_folded=True), PersonNetworkConfig(), {})
    config = ModelConfig(name="timm:test_resnet", height=32, width=16)
    save_reid_weights(folder / "reid", make_network(config, 3, seed=0), config, {})
    RunFolder(folder).save_state({"step": 3, "learner": {"w": torch.zeros(4)}})
    files = {name: (folder / name).read_bytes() for name in ("mask", "reid")}
    return files | {"state": (folder / CHECKPOINTS / STATE).read_bytes()}


@pytest.mark.parametrize("limits", [settings(FEW, max_examples=5), pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["mask", "reid", "state"])
def test_other_weights(limits: settings, tmp_path: Path, weights_files: dict[str, bytes], kind: str) -> None:
    sound = weights_files[kind]
    head = 8 + int.from_bytes(sound[:8], "little") if kind != "state" else 300

    def read(data: bytes) -> None:
        path = tmp_path / CHECKPOINTS / STATE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        try:
            {"mask": read_network, "reid": load_reid_weights, "state": lambda _: RunFolder(tmp_path).load_state()}[
                kind
            ](path)
        except (FatalError, ReidError) as error:
            assert error.message and error.hint

    starts = damaged([sound[:head]]).map(lambda start: start + sound[head:])  # most damage falls into the header
    limits(given(starts | damaged([sound]))(read))()
