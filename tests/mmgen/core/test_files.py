"""Atomic writes, hashes, names."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmgen.core import files


def test_atomic_write_makes_folders_and_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.bin"
    files.write_bytes_atomic(path, b"one")
    files.write_bytes_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["x.bin"]


def test_text_is_utf8_with_its_line_ends(tmp_path: Path) -> None:
    files.write_text_atomic(tmp_path / "t.txt", "ä\r\nb\n")
    assert (tmp_path / "t.txt").read_bytes() == b"\xc3\xa4\r\nb\n"


def test_failed_write_keeps_the_old_file_and_no_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_name_of_full_length_can_be_written_and_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ("x" * 251 + ".glb")
    files.write_bytes_atomic(path, b"whole")
    assert path.read_bytes() == b"whole"
    monkeypatch.setattr(os, "replace", lambda source, target: None)
    files.write_bytes_atomic(path, b"half")
    monkeypatch.undo()
    [temp] = [entry for entry in os.listdir(tmp_path) if ".tmp-" in entry]
    monkeypatch.setattr(files, "process_is_alive", lambda pid: False)
    assert files.sweep_temp_files(tmp_path, {"other.glb"}) == 0
    assert files.sweep_temp_files(tmp_path, {path.name}) == 1
    assert temp not in os.listdir(tmp_path)


def test_hash_of_a_file_longer_than_one_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * (files.HASH_BLOCK_BYTES // 256 + 1)
    (tmp_path / "big").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert files.sha256_file(tmp_path / "big") == files.sha256_bytes(data) == expected


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("0001_c1s1_000151_01.jpg.png", "0001_c1s1_000151_01.jpg"),
        ("späce name.JPG", "späce name"),
        ("bad\udcff.jpg", "bad%FF"),
        ("new\nline.png", "new%0Aline"),
        (".hidden", ".hidden"),
    ],
)
def test_safe_stem(name: str, stem: str) -> None:
    assert files.safe_stem(name) == stem
    files.safe_stem(name).encode("utf-8")


def test_collision_key_folds_case_and_unicode_form() -> None:
    assert files.collision_key("Caf\u00e9/A.glb") == files.collision_key("cafe\u0301/a.GLB")
    assert files.collision_key("a.glb") != files.collision_key("b.glb")


def test_sweep_removes_only_temps_of_dead_processes_and_given_names(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = int(child.stdout)
    ours = [f".a.glb.tmp-{dead}", f".b.glb.tmp-{dead}", f".a.glb.tmp-{os.getpid()}", "a.glb", ".x.tmp-abc"]
    for name in ours:
        (tmp_path / name).touch()
    assert files.sweep_temp_files(tmp_path, {"a.glb"}) == 1
    assert sorted(os.listdir(tmp_path)) == sorted(ours[1:])
    assert files.sweep_temp_files(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == sorted(ours[2:])
    assert files.sweep_temp_files(tmp_path / "missing") == 0
