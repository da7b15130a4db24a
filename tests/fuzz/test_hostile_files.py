"""Files from strangers, damaged at random: the tool's own errors, and nothing else comes out.

Photos and GLBs have theirs beside their other tests, in tests/mmgen/photos and tests/mmgen/assets.
"""

import copy
import hashlib
import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import ABSENT, FEW, JUNK, MANY, SMALL, changed, damaged, few_and_many, places
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_keys import dotted_keys
from PIL import Image
from safetensors.torch import load, save

from mmgen.augment.tar import SUFFIXES, TarBuilder, read_tar
from mmgen.core.errors import FatalError, ItemError
from mmgen.masks.values import mask_values
from mmgen.models.weights import load_weights, save_weights
from mmgen.photos.decoding import decode_file
from mmgen.training.manifest import Manifest, read_manifest
from recon.encoders import AttributeEncoder, small_config
from recon.template import ellipsoid_template
from reid.data.shards import read_shards
from reid.errors import ReidError


def image_file(mode: str, kind: str) -> bytes:
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    grey = (generator.random((24, 20)) > 0.5).astype(np.uint8) * 255
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(buffer, kind)
    return buffer.getvalue()


MASKS = [
    image_file(mode, kind)
    for mode, kind in (("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("L", "JPEG"))
]


@few_and_many({"data": damaged(MASKS)})
def test_masks(folder: Path, data: bytes) -> None:
    (folder / "mask.png").write_bytes(data)
    try:
        values = mask_values(decode_file(folder / "mask.png", kind="mask").image, "mask mask.png")
    except ItemError as error:
        assert error.code.startswith("mask_") and error.hint
    else:
        assert values.dtype == np.uint8 and values.ndim == 2


MANIFESTS = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "manifests").glob("*.toml"))]


@few_and_many({"data": damaged(MANIFESTS)})
def test_manifests(folder: Path, data: bytes) -> None:
    (folder / "run.toml").write_bytes(data)
    try:
        assert isinstance(read_manifest(folder / "run.toml"), Manifest)
    except FatalError as error:
        assert error.message and error.hint


@few_and_many({"key": st.sampled_from(sorted(dotted_keys(Manifest))), "value": SMALL.map(str) | st.text(max_size=12)})
def test_settings_from_the_command_line(folder: Path, key: str, value: str) -> None:
    (folder / "run.toml").write_bytes(MANIFESTS[0])
    try:
        assert isinstance(read_manifest(folder / "run.toml", [f"{key}={value}"]), Manifest)
    except FatalError as error:
        assert error.message and error.hint


def a_shard() -> bytes:
    builder = TarBuilder()
    for number in range(2):
        parts = {"cls": b"7", "jpg": MASKS[-1], "json": b"{}"}
        builder.add(f"virtual/0007/{number}", parts)
    return builder.getvalue()


@few_and_many({"data": damaged([a_shard()])})
def test_tars_of_shards(folder: Path, data: bytes) -> None:
    try:
        samples = read_tar(data).samples
    except ValueError as error:
        assert str(error)
    else:
        assert all(tuple(parts) == SUFFIXES for _, parts, _ in samples)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["virtual/0007/0.pyd", "virtual/0007/0.pth", "../../evil.jpg", "pipe:touch x.jpg"])
def test_nothing_in_a_tar_is_run_or_unpacked(tmp_path: Path, name: str) -> None:
    buffer, data = io.BytesIO(), pickle.dumps(Evil(tmp_path / "mark"))
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    with pytest.raises(ValueError, match="no such sample"):
        read_tar(buffer.getvalue())
    assert not (tmp_path / "mark").exists()


LINE: dict[str, Any] = {
    "shard": "shards/a.tar",
    "jpg": [512, 20],
    "kind": "virtual",
    "parents": ["0001_c1s1_000001_00.jpg", "0002_c1s1_000001_00.jpg"],
    "camid": 1,
    "pid": "0007",
    "mix": {"own_weight": 0.5},
    "set": 3,
    "quality": {"mask_iou": 0.9},
    "jpg_sha256": "0" * 64,
}
RECORD: dict[str, Any] = {"schema": "mmgen.shards/1", "complete": True, "samples": 1, "index": {"sha256": ""}}


def shard_folder(folder: Path, record: Any, line: Any) -> Path:
    (folder / "shards").mkdir(exist_ok=True)
    (folder / "shards" / "a.tar").write_bytes(a_shard())
    index = json.dumps(line).encode() + b"\n"
    if isinstance(record, dict) and isinstance(record.get("index"), dict) and record["index"].get("sha256") == "":
        record["index"]["sha256"] = hashlib.sha256(index).hexdigest()
    (folder / "index.jsonl").write_bytes(index)
    (folder / "record.json").write_text(json.dumps(record))
    return folder


@few_and_many(
    {"place": st.sampled_from([one for one in places({"record": RECORD, "line": LINE}) if len(one) > 0]),
     "junk": JUNK | st.just(ABSENT)}
)  # fmt: skip
def test_records_and_indices_of_shards(folder: Path, place: tuple[Any, ...], junk: Any) -> None:
    both = changed({"record": RECORD, "line": LINE}, place, junk)
    try:
        photos = read_shards(shard_folder(folder, both.get("record"), both.get("line")))
    except ReidError as error:
        assert error.message and error.hint
    else:
        assert all(Path(photo.path).is_relative_to(folder) for photo in photos)


def test_a_sound_record_and_index_are_read(tmp_path: Path) -> None:
    (photo,) = read_shards(shard_folder(tmp_path, copy.deepcopy(RECORD), LINE))
    assert (photo.identity, photo.camera, photo.parent_weights) == ("0007", 1, (0.5, 0.5))


def sound_weights(folder: Path) -> Path:
    torch.manual_seed(0)
    template = ellipsoid_template(level=1, mirror_axis=2)
    encoder = AttributeEncoder(small_config(height=32, width=32, offset_rank=4), template).eval()
    save_weights(folder / "sound.safetensors", encoder, template, {"metrics": {}, "training": {}})
    return folder / "sound.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return sound_weights(tmp_path_factory.mktemp("weights")).read_bytes()


@pytest.mark.parametrize("limits", [settings(FEW, max_examples=8), pytest.param(MANY, marks=pytest.mark.slow)])
def test_weights(limits: settings, tmp_path: Path, weights: bytes) -> None:
    size = int.from_bytes(weights[:8], "little")
    outer = json.loads(weights[8 : 8 + size])
    header, tensors = json.loads(outer["__metadata__"]["mmgen"]), load(weights)

    def with_header(place: tuple[Any, ...], junk: Any) -> bytes:
        return save(tensors, {"mmgen": json.dumps(changed(header, place, junk))})

    headers = st.builds(with_header, st.sampled_from([one for one in places(header) if one]), JUNK | st.just(ABSENT))

    def loads_or_refuses(data: bytes) -> None:
        (tmp_path / "w.safetensors").write_bytes(data)
        try:
            load_weights(tmp_path / "w.safetensors")
        except FatalError as error:
            assert error.code.startswith("weights_") and error.hint

    limits(given(headers | damaged([weights[: 8 + size], weights]))(loads_or_refuses))()
