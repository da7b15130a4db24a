"""Run records and the lock of an output folder."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmgen.core.documents import decode
from mmgen.core.errors import FatalError
from mmgen.work.locks import run_lock
from mmgen.work.records import MANIFEST, Record, Shard, compact_manifest, manifest_files, read_manifest, read_records

GOOD = Record(
    input="b/ä.jpg",
    status="ok",
    output="b/ä.glb",
    mask_iou=0.9,
    ssim=0.5,
    seconds=1.5,
    notes=("first of 2 frames",),
    finished_at="2026-01-01T00:00:00.000+00:00",
)


def write(path: Path, *records: Record) -> None:
    with MANIFEST.writer(path) as writer:
        for record in records:
            writer.append(record)


def test_a_record_survives_the_file_unchanged(tmp_path: Path) -> None:
    write(tmp_path / "manifest.jsonl", GOOD)
    assert list(read_manifest(tmp_path / "manifest.jsonl").values()) == [GOOD]
    assert "ä.jpg" in (tmp_path / "manifest.jsonl").read_text("utf-8")


def test_fields_of_a_newer_version_are_dropped() -> None:
    assert decode(b'{"input": "a", "status": "ok", "mood": "good"}', Record) == Record("a", "ok")


def test_a_cut_last_line_costs_only_itself_and_is_repaired_on_append(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    second = replace(GOOD, input="c.jpg")
    path.write_bytes((GOOD.to_line() + second.to_line()).encode()[:-7])
    assert list(read_manifest(path).values()) == [GOOD]
    write(path, second)
    assert list(read_manifest(path).values()) == [GOOD, second]


@pytest.mark.parametrize("line", [b"{oops", b"[1]", b'{"status": "ok"}', b"\xff\xfe"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(GOOD.to_line().encode() + line + b"\n")
    for read in (read_records, lambda folder: compact_manifest(folder / "manifest.jsonl", ())):
        with pytest.raises(FatalError, match=r"manifest\.jsonl, line 2, is no run record"):
            read(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_bytes().endswith(line + b"\n"), "nothing is rewritten"


def test_parts_are_read_together_and_the_newest_record_wins(tmp_path: Path) -> None:
    newer = replace(GOOD, status="failed", finished_at="2026-01-02T00:00:00.000+00:00")
    write(tmp_path / "manifest-0-of-2.jsonl", newer)
    write(tmp_path / "manifest-1-of-2.jsonl", replace(GOOD, input="a.jpg"))
    write(tmp_path / "manifest.jsonl", GOOD)
    (tmp_path / "manifest-x.jsonl").write_text("not ours")
    assert [path.name for path in manifest_files(tmp_path)] == [
        "manifest-0-of-2.jsonl",
        "manifest-1-of-2.jsonl",
        "manifest.jsonl",
    ]
    assert list(read_records(tmp_path).values()) == [replace(GOOD, input="a.jpg"), newer]
    assert read_records(tmp_path / "missing") == {}


def test_the_later_line_wins_within_one_millisecond_and_compaction_sorts(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    again = replace(GOOD, ssim=0.7)
    first = replace(GOOD, input="a.jpg")
    write(path, GOOD, first, again)
    assert read_records(tmp_path)["b/ä.jpg"] == again
    MANIFEST.compact(path)
    assert path.read_text("utf-8") == first.to_line() + again.to_line()


def test_part_names() -> None:
    assert Shard().manifest_name == "manifest.jsonl"
    assert Shard(1, 4).manifest_name == "manifest-1-of-4.jsonl"


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (Shard(), Shard()),
        (Shard(0, 2), Shard(0, 2)),
        (Shard(0, 2), Shard(1, 3)),
        (Shard(), Shard(0, 2)),
        (Shard(1, 2), Shard()),
    ],
)
def test_runs_that_would_mix_are_refused(tmp_path: Path, held: Shard, wanted: Shard) -> None:
    with run_lock(tmp_path, held):
        with pytest.raises(FatalError, match=f"another run is writing to .*process {os.getpid()} on"):
            with run_lock(tmp_path, wanted):
                pass
    with run_lock(tmp_path, wanted):
        pass


def test_parts_of_one_run_work_side_by_side(tmp_path: Path) -> None:
    with run_lock(tmp_path, Shard(0, 2)), run_lock(tmp_path, Shard(1, 2)):
        pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from mmgen.work.locks import run_lock; from mmgen.work.records import Shard\n"
        "with run_lock(Path(sys.argv[1]), Shard()): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, os.fspath(tmp_path)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        with pytest.raises(FatalError, match=f"process {child.pid} on"), run_lock(tmp_path, Shard()):
            pass
        child.send_signal(signal.SIGKILL)
    with run_lock(tmp_path, Shard()):
        pass
