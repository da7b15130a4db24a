"""Every command, killed or failed at each of its changes of files gives the same files when run again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STEPS = {
    "reconstruct": 1, "masks": 1, "gallery": 1, "swap": 1, "review": 1, "evaluate": 1,
    "export": 3, "prepare": 2, "synth": 3, "augment": 5, "reid": 7, "train": 25,
}  # fmt: skip
"""Every how manieth change is tried; all are where a run takes a moment."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("shim") / "nth_write.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "nth_write.c", "-ldl"], check=True)
    return library


@pytest.mark.slow
@pytest.mark.parametrize("command", STEPS)
def test_killed_full_or_failing_at_the_nth_change(shim: Path, tmp_path: Path, command: str) -> None:
    words = [sys.executable, HERE / "every_write.py", command, tmp_path / "f", str(STEPS[command])]
    variables = {"LD_PRELOAD": os.fspath(shim), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["faults"] == [] and report["tried"] >= 3
