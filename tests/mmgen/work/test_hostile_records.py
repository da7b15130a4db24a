"""Records that somebody else wrote: every path and every value in them is checked before anything is done with it."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from batch_runs import make_job, run
from fakes import make_photos

from mmgen.assets.export_record import ExportRecord, is_up_to_date
from mmgen.assets.export_record import read_records as read_exports
from mmgen.augment.folder import read_record, shard_facts
from mmgen.core.documents import DocumentError, decode
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.core.places import PlaceError, place_below, recorded_input
from mmgen.datasets.index import IndexRow
from mmgen.datasets.journal import Done, journal_path, read_journal
from mmgen.gallery.items import collect_items
from mmgen.work.record_file import LINE_BYTES
from mmgen.work.records import Record, read_records


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run of two photos in `meshes`, beside a file that is none of its business."""
    make_photos(tmp_path / "in", ["a.png", "b.png"])
    run(tmp_path / "in", make_job(tmp_path / "meshes"))
    (tmp_path / "precious.glb").write_bytes(b"years of work")
    return tmp_path


def with_field(folder: Path, **changes: Any) -> None:
    """Change fields of the first record of a run."""
    path = folder / "meshes" / "manifest.jsonl"
    first, *others = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), **changes}), *others]) + "\n", "utf-8")


@pytest.mark.parametrize("place", ["../precious.glb", "{}/precious.glb", "x/../../precious.glb", "./a.glb", "a//b.glb"])
@pytest.mark.parametrize("min_iou", [0.0, 1.0])
def test_a_run_deletes_and_moves_nothing_outside_its_folder(finished: Path, place: str, min_iou: float) -> None:
    """`min_iou` 1 moves what is there to `rejected/`, changed photos drop their old place."""
    digest = sha256_file(finished / "precious.glb")
    with_field(finished, output=place.format(finished), output_sha256=digest)
    make_photos(finished / "in", ["a.png"])
    with pytest.raises(FatalError, match=r"line 1, is no run record: the path .* does not stay inside"):
        run(finished / "in", make_job(finished / "meshes", min_iou=min_iou))
    assert (finished / "precious.glb").read_bytes() == b"years of work"


def test_a_place_behind_a_link_is_not_followed(finished: Path) -> None:
    (finished / "meshes" / "out").symlink_to(finished)
    with_field(finished, output="out/precious.glb")
    with pytest.raises(FatalError, match="leads through a link"):
        run(finished / "in", make_job(finished / "meshes"))
    with_field(finished, output="a.glb")
    (finished / "meshes" / "a.glb").unlink()
    (finished / "meshes" / "a.glb").symlink_to(finished / "precious.glb")
    with pytest.raises(FatalError, match="leads through a link"):
        read_records(finished / "meshes")


def test_only_regular_files_and_folders_lie_on_the_way(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "file/x", "folder", "x" * 300, "a\0b"):
        with pytest.raises(PlaceError):
            place_below(tmp_path, name)
    for name in ("file", "folder/new", "new/newer"):
        assert place_below(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"input": "a", "status": "ok", "notes": ' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"input": "a", "status": "ok", "ssim": NaN}',
        b'{"input": "a", "status": "ok", "ssim": 1e400}',
        b'{"input": "a", "status": "ok", "seconds": ' + b"1" * 5000 + b"}",
        b'{"input": "a", "status": "ok", "ssim": "0.5"}',
        b'{"input": "a", "status": "ok", "people": [{"number": "1"}]}',
        b'{"input": "\\ud800", "status": "ok"}',
        b'{"input": "a\\u0000b", "status": "ok"}',
        b'{"input": "../a", "status": "ok"}',
        b'{"input": "a", "status": "failed", "root": "bad\\\\q"}',
        b'{"input": "a", "status": "ok", "notes": ["' + b"x" * LINE_BYTES + b'"]}',
    ],
    ids=lambda line: line[:45].decode("ascii"),
)
def test_values_that_a_record_cannot_have_are_named_by_file_and_line(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(Record("b", "ok").to_line().encode() + line + b"\n")
    with pytest.raises(FatalError, match=r"manifest\.jsonl, line 2, is no run record: ") as caught:
        read_records(tmp_path)
    assert len(caught.value.message) < 1000


def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.jsonl")
    with pytest.raises(FatalError, match="it is a pipe or a device"):
        read_records(tmp_path)


def test_depth_and_digits_inside_texts_do_not_count() -> None:
    text = "[" * 100 + "1" * 100 + '"\\'
    assert decode(json.dumps({"input": text}).encode(), dict) == {"input": text}
    with pytest.raises(DocumentError, match="nested more than 64"):
        decode(b'{"a":"\\"",' + b'"b":[' * 1 + b"[" * 64 + b"]" * 65 + b"}", dict)


def test_looking_at_hostile_texts_takes_linear_time() -> None:
    for data in (b'"' * 400_001, b'"\\' * 200_000, b"[" * 65 + b'"' * 400_000):
        with pytest.raises(DocumentError):
            decode(data, dict)


def test_exports_that_point_elsewhere_are_done_again(finished: Path) -> None:
    digest = sha256_file(finished / "precious.glb")
    record = ExportRecord("a.glb", "glb", "done", None, None, None, "0" * 64, {}, {"../precious.glb": digest})
    (finished / "export.jsonl").write_text(json.dumps(asdict(record)) + "\n")
    assert read_exports(finished) == {}
    assert not is_up_to_date(None, "0" * 64, {}, finished)


def test_preparations_that_point_elsewhere_are_done_again(tmp_path: Path) -> None:
    row = IndexRow("a.jpg", "../m.png", None, None, "train", 0.5, 2, 2, "ab", True)
    journal_path(tmp_path).parent.mkdir()
    for mask, count in (("../m.png", 0), ("masks/a.png", 1)):
        done = Done("a.jpg", "key", "cd", IndexRow(**{**asdict(row), "mask": mask}))
        journal_path(tmp_path).write_text(json.dumps(asdict(done)) + "\n")
        assert len(read_journal(tmp_path)) == count


@pytest.mark.parametrize(
    "changed",
    [
        lambda secret: {"root": os.fspath(secret.parent), "input": secret.name},
        lambda secret: {"input": f"../{secret.name}"},
        lambda secret: {"root": "/", "input": os.fspath(secret)[1:], "input_sha256": None},
        lambda secret: {"root": "..", "input": secret.name, "input_sha256": sha256_file(secret)},
    ],
)
def test_a_gallery_shows_only_photos_that_have_the_recorded_bytes(
    finished: Path, changed: Callable[[Path], dict[str, Any]]
) -> None:
    make_photos(finished, ["secret.png"])
    with (finished / "secret.png").open("ab") as file:
        file.write(b"other bytes")
    assert all(item.photo is not None for item in collect_items(finished / "meshes"))
    with_field(finished, **changed(finished / "secret.png"))
    try:
        photos = [item.photo for item in collect_items(finished / "meshes")]
    except FatalError:
        return
    assert photos.count(None) == 1 and finished / "in" / "b.png" in photos


def test_an_input_that_is_a_pipe_now_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert recorded_input(os.fspath(tmp_path), "a.png", "0" * 64) is None


def test_names_that_print_alike_keep_a_record_each(tmp_path: Path) -> None:
    names = ["a\n.png", "a\\n.png", os.fsdecode(b"b\xff.png"), "b\\xff.png"]
    make_photos(tmp_path / "in", names)
    summary, seen = run(tmp_path / "in", make_job(tmp_path / "meshes"))
    assert summary.ok == 4 and len({record.input for record in seen}) == 4
    assert len(read_records(tmp_path / "meshes")) == 4
    assert all(item.photo is not None for item in collect_items(tmp_path / "meshes"))
    assert run(tmp_path / "in", make_job(tmp_path / "meshes"))[0].skipped == 4


@pytest.mark.parametrize("place", ["manifest.jsonl", ".mmgen/old.glb", ".MMGEN/old.glb", "notes.txt"])
def test_a_run_drops_no_file_that_is_none_of_its_meshes(finished: Path, place: str) -> None:
    path = finished / "meshes" / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with_field(finished, output=place, key="0" * 64)
    with pytest.raises(FatalError, match=r"line 1, is no run record: .* is no place for a mesh or a mask"):
        run(finished / "in", make_job(finished / "meshes"))
    assert path.exists()


@pytest.mark.parametrize("choice", [{"refine_steps": 2**40}, {"refine_steps": -1}, {"texture_rows": 2**30}])
def test_a_choice_in_a_record_keeps_to_the_bounds_of_the_options(finished: Path, choice: dict[str, int]) -> None:
    with_field(finished, review={"choices": choice})
    with pytest.raises(FatalError, match="not possible"):
        read_records(finished / "meshes")
    with_field(finished, review={"choices": {"refine_steps": 0, "texture_rows": 4096}})
    assert read_records(finished / "meshes")["a.png"].review is not None


@pytest.mark.parametrize(
    "change",
    [
        {"shards": None},
        {"shards": [{"name": "a"}]},
        {"index": {"name": "../../etc/passwd", "bytes": 1, "sha256": ""}},
        {"generator": {}},
        {"removed": [3]},
        {"accounting": []},
    ],
    ids=str,
)
def test_a_record_of_shards_that_lacks_something_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    whole = {
        "schema": "mmgen.shards/1",
        "index": {"name": "index.jsonl", "bytes": 0, "sha256": ""},
        "shards": [],
        "generator": {"plan_sha256": "", "weights_sha256": "", "sources_sha256": ""},
        "removed": [],
        "accounting": {},
    }
    (tmp_path / "record.json").write_text(json.dumps(whole))
    assert read_record(tmp_path) == whole
    (tmp_path / "record.json").write_text(json.dumps({**whole, **change}))
    assert read_record(tmp_path) is None
    with pytest.raises(FatalError, match="no whole record"):
        shard_facts(tmp_path)
