"""What breaks on real machines, done on purpose: nothing is lost, users are told, a rerun gives the same bytes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from batch_runs import tree
from fakes import make_photos

from mmgen.reconstruction.batch import CHUNK_ITEMS
from mmgen.work.records import read_records

pytestmark = pytest.mark.slow

TOOL = Path(__file__).with_name("tool.py")
PHOTOS = [f"{number:02}.png" for number in range(24)]
PATIENCE_S = 300.0


def start(source: Path, out: Path, *words: str, seconds: float = 0.1, now: str = "") -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(TOOL.parents[1] / "support"), str(TOOL.parents[2]))),
        "FAULT_SECONDS": str(seconds),
        "FAULT_NOW": now,
    }
    command = [sys.executable, str(TOOL), "reconstruct", str(source), "--out", str(out), "--method", "fit", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what the user saw."""
    _, talk = process.communicate(timeout=PATIENCE_S)
    return process.returncode, talk


def run(source: Path, out: Path, *words: str) -> tuple[int, str]:
    return finish(start(source, out, *words, seconds=0))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.01)


def records_in(out: Path) -> int:
    manifest = out / "manifest.jsonl"
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Worker processes, without multiprocessing's own tracker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "in", PHOTOS)
    return tmp_path / "in"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every result of an undisturbed run, with its hash."""
    root = tmp_path_factory.mktemp("calm")
    make_photos(root / "in", PHOTOS)
    code, talk = run(root / "in", root / "out", "--workers", "1")
    assert code == 0, talk
    results = tree(root / "out")
    assert len(results) == len(PHOTOS)
    return results


def assert_a_rerun_ends_as_if_nothing_had_happened(
    source: Path, out: Path, calm: dict[str, str], before: str = ""
) -> None:
    """Nothing that a record from before that time tells of is made again."""
    outputs = [
        one.output for one in read_records(out).values() if one.output and (not before or one.finished_at < before)
    ]
    kept = {name: (out / name).stat().st_mtime_ns for name in outputs}
    code, talk = run(source, out, "--workers", "1")
    assert code == 0, talk
    assert tree(out) == calm
    assert {record.status for record in read_records(out).values()} == {"ok"}
    for name, written in kept.items():
        assert (out / name).stat().st_mtime_ns == written, f"{name} was made a second time"


def test_kill_9_of_a_worker(photos: Path, tmp_path: Path, calm: dict[str, str]) -> None:
    out = tmp_path / "out"
    process = start(photos, out, "--workers", "2")
    wait_for(lambda: records_in(out) >= 4)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    code, talk = finish(process)
    assert code == 0, talk
    assert tree(out) == calm


def test_kill_9_of_the_driver(photos: Path, tmp_path: Path, calm: dict[str, str]) -> None:
    out = tmp_path / "out"
    process = start(photos, out, "--workers", "2")
    wait_for(lambda: records_in(out) >= 4)
    workers = workers_of(process)
    process.kill()
    finish(process)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert 4 <= records_in(out) < len(PHOTOS)
    code, _ = run(photos, out)
    assert code == 0 and tree(out) == calm


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm(photos: Path, tmp_path: Path, calm: dict[str, str], workers: str) -> None:
    out = tmp_path / "out"
    process = start(photos, out, "--workers", workers)
    # Two processes have two of the three chunks from their first moment.
    wait_for(lambda: len(workers_of(process)) == 2 if workers == "2" else records_in(out) >= 2)
    process.terminate()
    code, talk = finish(process)
    assert code == 130
    assert "stopping after the photos at work" in talk and "the same command goes on from here" in talk
    assert 2 <= records_in(out) < len(PHOTOS)
    assert_a_rerun_ends_as_if_nothing_had_happened(photos, out, calm)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk(photos: Path, small_disk: Path, calm: dict[str, str], workers: str) -> None:
    out = small_disk / "out"
    code, talk = run(photos, out, "--workers", workers)
    assert code in (3, 4)
    assert "No space left on device" in talk and "run the same command again; finished files are kept" in talk
    assert 0 < len(tree(out)) < len(PHOTOS)
    assert not list(out.rglob(".*.tmp-*"))
    remount(small_disk, "size=8m")
    code, talk = run(photos, out, "--workers", "1")
    assert code == 0, talk
    assert tree(out) == calm


def test_a_read_only_folder(photos: Path, small_disk: Path, calm: dict[str, str]) -> None:
    remount(small_disk, "size=8m")
    out = small_disk / "out"
    remount(small_disk, "ro")
    code, talk = run(photos, out, "--workers", "1")
    assert code == 4
    assert "Read-only file system" in talk and "Traceback" not in talk
    remount(small_disk, "rw")
    assert_a_rerun_ends_as_if_nothing_had_happened(photos, out, calm)


def test_a_disk_that_fills_up_midway(photos: Path, small_disk: Path, calm: dict[str, str]) -> None:
    """By someone else's files, say; what has an open file cannot be made read-only."""
    remount(small_disk, "size=8m")
    out = small_disk / "out"
    process = start(photos, out, "--workers", "1", seconds=0.4)
    wait_for(lambda: records_in(out) >= CHUNK_ITEMS)  # and nothing is written for three seconds
    remount(small_disk, f"size={shutil.disk_usage(small_disk).used // 1024 + 8}k")
    code, talk = finish(process)
    assert code == 3 and "No space left on device" in talk and "Traceback" not in talk
    remount(small_disk, "size=8m")
    code, talk = run(photos, out, "--workers", "1")
    assert code == 0 and tree(out) == calm, talk


def test_photos_deleted_midway(photos: Path, tmp_path: Path, calm: dict[str, str]) -> None:
    out = tmp_path / "out"
    process = start(photos, out, "--workers", "1", seconds=0.5)
    wait_for(lambda: records_in(out) >= 1)
    for name in PHOTOS[-3:]:
        os.rename(photos / name, tmp_path / name)
    code, talk = finish(process)
    assert code == 3
    assert f"failed: {PHOTOS[-1]}: image" in talk and "does not exist (image_missing)" in talk
    assert len(tree(out)) == len(PHOTOS) - 3
    for name in PHOTOS[-3:]:
        os.rename(tmp_path / name, photos / name)
    assert_a_rerun_ends_as_if_nothing_had_happened(photos, out, calm)


def test_two_runs_into_one_folder(photos: Path, tmp_path: Path, calm: dict[str, str]) -> None:
    out = tmp_path / "out"
    first = start(photos, out, "--workers", "1", seconds=1.5)  # a second command takes seconds to start
    wait_for(lambda: records_in(out) >= 1)
    code, talk = run(photos, out, "--workers", "1")
    assert code == 4
    assert f"another run is writing to {out}" in talk and f"process {first.pid}" in talk
    assert finish(first)[0] == 0
    assert tree(out) == calm


def test_a_clock_that_jumps(photos: Path, tmp_path: Path, calm: dict[str, str]) -> None:
    """Records of the year 2099 must not outlive what was done after the clock was put right."""
    out = tmp_path / "out"
    late = "2099-01-01T00:00:00.000+00:00"
    make_photos(tmp_path / "other", [*PHOTOS[12:], *PHOTOS[:12]])
    for name in PHOTOS:
        os.replace(tmp_path / "other" / name, tmp_path / name)
        os.replace(photos / name, tmp_path / "other" / name)
        os.replace(tmp_path / name, photos / name)
    assert finish(start(photos, out, "--workers", "1", seconds=0, now=late))[0] == 0
    for name in PHOTOS:
        os.replace(tmp_path / "other" / name, photos / name)
    process = start(photos, out, "--workers", "1")
    wait_for(lambda: records_in(out) >= len(PHOTOS) + 6)
    process.kill()
    finish(process)
    assert 6 <= sum(record.finished_at < late for record in read_records(out).values()) < len(PHOTOS)
    assert_a_rerun_ends_as_if_nothing_had_happened(photos, out, calm, before=late)
    assert all(record.finished_at < late for record in read_records(out).values())


def test_corrupted_weights(tmp_path: Path) -> None:
    from mmgen.bundled import required_weights
    from mmgen.samples import __file__ as samples

    photo = Path(samples).with_name("amber.jpg")
    sound = required_weights(None).read_bytes()
    damaged = {
        "cut.safetensors": sound[: len(sound) // 2],
        "header.safetensors": b"\xff" * 64 + sound[64:],
        "empty.safetensors": b"",
    }
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        command = [sys.executable, "-m", "mmgen", "reconstruct", str(photo), "--out", str(tmp_path / "out")]
        command += ["--weights", str(tmp_path / name), "--workers", "1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        code, talk = finish(process)
        assert code == 4, name
        assert name in talk and "Traceback" not in talk and not tree(tmp_path / "out")


def test_a_big_folder_with_one_percent_of_bad_files(tmp_path: Path) -> None:
    """Ten times the photos: one line for each bad one, and no more memory."""
    peaks = {}
    for count in (200, 2000):
        source, out = tmp_path / f"in-{count}", tmp_path / f"out-{count}"
        make_photos(source, ["first.png"])
        (source / "first.png").unlink()
        make_photos(source, [f"{number:05}.png" for number in range(count)])
        bad = [f"{number:05}.png" for number in range(50, count, 100)]
        for number, name in enumerate(bad):
            data = (source / name).read_bytes()
            (source / name).write_bytes((b"", data[: len(data) // 2], b"<html>")[number % 3])
        code, talk = run(source, out, "--workers", "1", "--json")
        assert code == 3, talk
        records = read_records(out)
        assert [name for name, record in records.items() if record.status == "failed"] == bad
        assert len(tree(out)) == count - len(bad)
        peak = re.search(r"peak memory (\d+)", talk)
        assert peak is not None
        peaks[count] = int(peak[1])
    assert peaks[2000] < 1.1 * peaks[200]
