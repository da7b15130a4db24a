"""Real and virtual photos in one folder of Market-1501's layout, for tools that read nothing else."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmgen.augment.folder import INDEX_NAME, read_plan, read_record
from mmgen.core.documents import decode, read_document
from mmgen.core.files import link_or_copy, sha256_bytes, write_text_atomic
from mmgen.core.places import place_below
from mmgen.datasets.reading import DataSetPhoto, read_data_set
from reid.data.layouts import DISTRACTOR, parsed_name

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
LIST_NAME, STATE_NAME = "virtual.jsonl", "market.json"
SCHEMA = "mmgen.market_folder/1"


def write_market_folder(out: Path, market: Path, pattern: str = "") -> dict[str, Any]:
    """Write `bounding_box_train/`, `query/` and `bounding_box_test/` beside finished shards.

    Real photos are linked where that is possible and keep their names if these are Market's. A virtual person gets a
    number behind the last real one, and the camera of the photo that lent the body, so that cameras stay those of the
    data set. `virtual.jsonl` says which files are virtual and what they are made of; `market.json` counts them.

    Args:
        out: folder of finished shards.
        market: data set that they were made from.
        pattern: see `reid.data.layouts.find_layout`.

    Returns:
        The content of `market.json`.

    Raises:
        FatalError: as from `read_data_set`.
    """
    record, plan = read_record(out), read_plan(out)
    assert record is not None and plan is not None, "the shards are finished"
    sha256 = sha256_bytes(json.dumps(record, sort_keys=True).encode())
    if (done := _state(out)) and done["record_sha256"] == sha256:
        return done
    drop_market_folder(out)
    photos = [photo for photo in read_data_set(market, pattern).photos if photo.split in FOLDERS and photo.identity]
    number = _numbers(photos)
    for position, photo in enumerate(photos):
        link_or_copy(photo.image, out / FOLDERS[str(photo.split)] / _real_name(photo, number, position))
    camera = {photo["path"]: max(1, photo["camid"]) for photo in plan["plan"]["photos"]}
    lines = [decode(line, dict[str, Any]) for line in (out / INDEX_NAME).read_bytes().splitlines()]
    virtual = [line for line in lines if line["kind"] == "virtual"]
    people = {
        pid: index for index, pid in enumerate(sorted({line["pid"] for line in virtual}), max(number.values()) + 1)
    }
    rows = list(_write_virtual(out, virtual, people, camera))
    write_text_atomic(out / LIST_NAME, "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    state = {
        "schema": SCHEMA,
        "record_sha256": sha256,
        "real_photos": len(photos),
        "virtual_photos": len(rows),
        "virtual_people": len(people),
        "first_virtual_number": min(people.values(), default=None),
        "cameras": max(camera.values()),
    }
    write_text_atomic(out / STATE_NAME, json.dumps(state, indent=1, sort_keys=True) + "\n")
    return state


def drop_market_folder(out: Path) -> None:
    """Remove what `write_market_folder` wrote, such as before people are taken out of the shards."""
    for name in (STATE_NAME, LIST_NAME):
        (out / name).unlink(missing_ok=True)
    for folder in FOLDERS.values():
        shutil.rmtree(out / folder, ignore_errors=True)


def _state(out: Path) -> dict[str, Any] | None:
    try:
        content = read_document(out / STATE_NAME, dict[str, Any])
        return content if content["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _numbers(photos: list[DataSetPhoto]) -> dict[str, int]:
    """Person number by label: its own where all labels are numbers, else from 1 in sorted order; 0 stays nobody."""
    labels = sorted({str(photo.identity) for photo in photos})
    if all(label.isdecimal() for label in labels):
        return {label: int(label) for label in labels}
    return {label: 0 if label == DISTRACTOR else index for index, label in enumerate(labels, 1)}


def _real_name(photo: DataSetPhoto, number: Mapping[str, int], position: int) -> str:
    name = photo.image.name
    if parsed_name(name)[0] is not None and number[str(photo.identity)] == int(parsed_name(name)[0] or -1):
        return name
    return _name(number[str(photo.identity)], photo.camera or 1, position, 0, photo.image.suffix.lower())


def _write_virtual(
    out: Path, lines: list[dict[str, Any]], people: Mapping[str, int], camera: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    folder = out / FOLDERS["train"]
    views: dict[int, int] = {}
    for line in lines:
        view = views[line["set"]] = views.get(line["set"], 0) + 1
        name = _name(people[line["pid"]], camera[line["sources"][0]], line["set"], view)
        offset, size = line["jpg"]
        with place_below(out, line["shard"]).open("rb") as shard:
            shard.seek(offset)
            (folder / name).write_bytes(shard.read(size))
        kept = {key: line[key] for key in ("key", "pid", "parents", "sources", "set", "mix", "view", "quality")}
        yield {"file": f"{folder.name}/{name}", "number": people[line["pid"]], **kept}


def _name(person: int, camera: int, frame: int, box: int, suffix: str = ".jpg") -> str:
    return f"{person:04d}_c{camera}s1_{frame:06d}_{box:02d}{suffix}"
