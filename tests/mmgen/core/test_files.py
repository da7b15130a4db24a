"""Atomic writes, hashes, names."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmgen.core import arrays, files


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
    assert files.sweep_temp_files(tmp_path) == 1
    assert os.listdir(tmp_path) == [path.name]


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


def kill_while_writing(path: Path, host: str = "") -> Path:
    """The temp file of a process that was killed between writing and renaming."""
    code = (
        "import os, sys; from pathlib import Path; from mmgen.core import files\n"
        "if sys.argv[2]: files.machine_id = lambda: sys.argv[2]\n"
        "os.replace = lambda *paths: os.kill(os.getpid(), 9)\n"
        "files.write_bytes_atomic(Path(sys.argv[1]), b'half')"
    )
    subprocess.run([sys.executable, "-c", code, os.fspath(path), host], check=False)
    [temp] = [entry for entry in path.parent.iterdir() if entry.name.startswith(f".{path.name}.tmp-")]
    return temp


def test_sweeping_goes_by_the_writers_lock_and_leaves_other_files(tmp_path: Path) -> None:
    dead = kill_while_writing(tmp_path / "deep" / "a.glb")
    old_style = tmp_path / ".b.glb.tmp-1"  # what versions before wrote; a process 1 is always there
    others = [tmp_path / ".x.tmp-abc", tmp_path / "a.glb", tmp_path / ".a.tmp-1.png"]
    for path in (old_style, *others):
        path.touch()
    busy, descriptor = files._locked_temp_file(tmp_path / "c.glb")
    assert [files.is_leftover(path) for path in (dead, busy, *others)] == [True, False, None, None, None]
    assert files.sweep_temp_files(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted([*others, busy, dead.parent])
    os.close(descriptor)
    assert files.sweep_temp_files(tmp_path) == 1
    assert files.sweep_temp_files(tmp_path / "missing") == 0


def test_a_command_with_one_file_clears_what_its_killed_runs_left_and_nothing_else(tmp_path: Path) -> None:
    kill_while_writing(tmp_path / "g.html")
    other = kill_while_writing(tmp_path / "g.html.gz")
    files.write_alone(tmp_path / "g.html", b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "g.html", other])


def test_a_file_of_another_machine_is_left_over_only_when_it_is_old(tmp_path: Path) -> None:
    foreign = kill_while_writing(tmp_path / "a.glb", host="0123abcd")
    assert files.sweep_temp_files(tmp_path) == 0
    os.utime(foreign, (0, 0))
    assert files.sweep_temp_files(tmp_path) == 1


def test_a_writer_whose_file_is_swept_before_its_lock_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = fcntl.flock, []

    def sweep_first(descriptor: int, operation: int) -> None:
        if not swept:
            [temp] = tmp_path.iterdir()
            swept.append(temp)
            temp.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    files.write_bytes_atomic(tmp_path / "a", b"whole")
    assert swept and (tmp_path / "a").read_bytes() == b"whole"


def test_two_writers_in_two_process_namespaces_do_not_sweep_each_other(tmp_path: Path) -> None:
    """In containers everyone is process 1 or so: a number says nothing."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("process namespaces are not allowed here")
    code = (
        "import sys; from pathlib import Path; from mmgen.core import files\n"
        "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
        "for n in range(150):\n"
        "    files.write_bytes_atomic(folder / name, b'x' * 10000); files.sweep_temp_files(folder)"
    )
    commands = [[*unshare, sys.executable, "-c", code, os.fspath(tmp_path), name] for name in ("a", "b")]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    assert [writer.communicate()[1].decode() for writer in writers] == ["", ""]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder", "large", "missing"])
def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: None,
        "link to a device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "large": lambda: path.write_bytes(bytes(101)),
        "missing": lambda: None,
    }[kind]()
    path = Path("/dev/zero") if kind == "device" else path
    with pytest.raises(OSError, match=r"pipe or a device|Is a directory|more than 100 bytes|No such file"):
        files.read_regular(path, 100)
    if kind != "large":
        assert files.sha256_or_none(path) is None


def test_a_file_that_grows_while_it_is_read_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(10))
    real = os.fstat

    def grow_after(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        with path.open("ab") as file:
            file.write(bytes(1000))
        return status

    monkeypatch.setattr(os, "fstat", grow_after)
    with pytest.raises(OSError, match="more than 100 bytes"):
        files.read_regular(path, 100)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"x" * 100, "bomb", "pipe"])
def test_archives_of_strangers(tmp_path: Path, content: bytes | str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    if content == "pipe":
        os.mkfifo(path)
    elif content == "bomb":
        np.savez_compressed(path, zeros=np.zeros(3_000_000, np.uint8))
        monkeypatch.setattr(arrays, "ARRAYS_BYTES", 2**20)
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises((OSError, ValueError)):
        arrays.read_arrays(path)
