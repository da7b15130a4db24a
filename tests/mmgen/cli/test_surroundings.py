"""Commands in odd surroundings: closed streams, readers that leave, other locales, nothing that may be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmgen.cli.main import main
from mmgen.core import startup

ROOT = Path(__file__).parents[3]


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("mmgen", f"{sys.executable} -m mmgen")
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT), **variables}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("mmgen --version >&-", 0),
        ("mmgen verify /nosuch >&- 2>&-", 4),
        ("mmgen --help <&- | head -1; exit ${PIPESTATUS[1]}", 0),
        ("mmgen nosuch >&-", 2),
    ],
)
def test_closed_streams_change_no_exit_code(line: str, code: int) -> None:
    done = shell(line)
    assert done.returncode == code and "Traceback" not in done.stderr and "bug" not in done.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("mmgen --help >/dev/full", 4),  # printed while words are read, before any command runs
        ("mmgen --version >/dev/full", 4),
        ("mmgen inspect --help >/dev/full", 4),
        ("mmgen nosuch 2>/dev/full", 2),
    ],
)
def test_a_full_disk_under_the_output_is_said(line: str, code: int) -> None:
    done = shell(line)
    assert done.returncode == code and "Traceback" not in done.stderr and "bug" not in done.stderr
    assert "2>" in line or done.stderr.startswith("error: No space left on device: no file is named; perhaps where")


def test_a_closed_stderr_does_not_end_up_in_a_data_file(tmp_path: Path) -> None:
    """Without something in its place, the next opened file would get the number of stderr."""
    code = (
        "import os, sys; from mmgen.core.startup import fill_standard_streams as fill; fill()\n"
        "with open(sys.argv[1], 'wb') as file: os.write(2, b'a library complains'); file.write(b'data')"
    )
    command = f'{sys.executable} -c "{code}" {tmp_path / "f"} 2>&-'
    subprocess.run(["bash", "-c", command], check=True, env={**os.environ, "PYTHONPATH": os.fspath(ROOT)})
    assert (tmp_path / "f").read_bytes() == b"data"


def test_other_locales_get_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "ä€.png").touch()
    code = (
        "import os, sys; from mmgen.core.startup import ensure_utf8\n"
        "ensure_utf8(); print(ascii(sys.argv[1]), os.path.exists(sys.argv[1]))"
    )
    variables = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": os.fspath(ROOT)}
    words = [sys.executable, "-c", code, os.fspath(tmp_path / "ä€.png")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    assert done.stdout.split() == [ascii(os.fspath(tmp_path / "ä€.png")), "True"]


def test_without_any_place_for_kernels_there_is_a_private_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert startup.temporary_kernel_cache() is None
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("HOME", "/proc/nosuch")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(startup.tempfile, "tempdir", os.fspath(tmp_path))
    folder = startup.temporary_kernel_cache()
    assert folder is not None and folder.stat().st_mode & 0o777 == 0o700
    assert os.environ["NUMBA_CACHE_DIR"] == os.fspath(folder)


def test_a_desk_in_an_impossible_place_is_refused_before_it_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "desk"):
        assert main(["review", os.fspath(place), "--no-open", "--device", "cpu"]) == 4
        assert "serving" not in capsys.readouterr().err
