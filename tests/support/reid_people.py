"""Tiny re-id data sets for tests: people of one colour each, photographed before their camera's background."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 16)


def picture(person: int, camera: int, number: int = 0) -> bytes:
    """A JPEG: a coloured bar on a background."""
    rng = np.random.default_rng((person, 5))
    pixels = np.full((*SIZE, 3), 40 * camera % 255, np.uint8)
    pixels[6:28, 5:11] = rng.integers(0, 255, 3)
    pixels[number % SIZE[0], 0] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def market(
    root: Path, train: Sequence[int] = range(1, 7), test: Sequence[int] = range(11, 15), cameras: int = 3
) -> Path:
    """Market-1501's layout: two photos of everyone per camera; one of them per camera is the query."""
    for folder, people in (("bounding_box_train", train), ("bounding_box_test", test), ("query", test)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for person in people:
            for camera in range(1, cameras + 1):
                for number in range(1 if folder == "query" else 2):
                    name = f"{person:04d}_c{camera}s1_{number:06d}_0{number + (folder == 'query')}.jpg"
                    (root / folder / name).write_bytes(picture(person, camera, number))
    (root / "bounding_box_test" / "-1_c1s1_000001_00.jpg").write_bytes(picture(99, 1))
    (root / "bounding_box_test" / "0000_c2s1_000001_00.jpg").write_bytes(picture(98, 2))
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"no image")
    return root


def shards(root: Path, pairs: Sequence[tuple[int, int]] = ((1, 2), (2, 3), (4, 3)), views: int = 5) -> Path:
    """A shard folder of virtual people, written by hand from the format's description."""
    (root / "shards").mkdir(parents=True)
    tar_name = "shards/virtual-000000.tar"
    lines = []
    with tarfile.open(root / tar_name, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (first, second) in enumerate(pairs):
            pid = "".join(sorted(f"{p:04d}" for p in (first, second)))
            for view in range(views):
                key = f"virtual/{pid}/{number:06d}-az-{view:03d}"
                image = picture(100 + number, view % 3, view)
                line = _line(key, pid, (first, second), number, image) | {"shard": tar_name}
                for suffix, data in (("cls", b"0"), ("jpg", image), ("json", b"{}")):
                    offset = _add(tar, f"{key}.{suffix}", data)
                    if suffix == "jpg":
                        line["jpg"] = [offset, len(data)]
                lines.append(json.dumps(line, sort_keys=True))
    write_index(root, lines)
    return root


def write_index(root: Path, lines: Sequence[str]) -> None:
    """`index.jsonl`, and the record that fits it."""
    index = "".join(line + "\n" for line in lines).encode()
    (root / "index.jsonl").write_bytes(index)
    digest = hashlib.sha256(index).hexdigest()
    record = {"schema": "mmgen.shards/1", "complete": True, "samples": len(lines), "index": {"sha256": digest}}
    (root / "record.json").write_text(json.dumps(record))


def _line(key: str, pid: str, parents: tuple[int, int], number: int, image: bytes) -> dict[str, object]:
    return {
        "key": key,
        "kind": "virtual",
        "pid": pid,
        "cls": 0,
        "camid": -1,
        "parents": [f"{parent:04d}" for parent in parents],
        "set": number,
        "mix": {"mode": "blend", "own_weight": 0.75},
        "quality": {"mask_area": 0.2 + 0.1 * number, "folded": 0.01, "view_consistency": 0.9},
        "jpg_sha256": hashlib.sha256(image).hexdigest(),
    }


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
    return tar.offset - (len(data) + 511) // 512 * 512


TINY = """
about = "tiny"
[model]
name = "timm:test_resnet"
height = 32
width = 16
[batch]
photos = 8
per_identity = 2
[loss]
triplet = 1.0
[optimiser]
kind = "adam"
learning_rate = 1e-3
[length]
steps = 6
[log]
steps = 2
checkpoint_steps = 3
"""
