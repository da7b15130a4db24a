"""docs/python.md: every block of code runs, from top to bottom, on the bundled samples."""

import re
import shutil
from pathlib import Path

import pytest

import mmgen.samples
from mmgen.synth.crowd import CrowdOptions
from mmgen.synth.dataset import CrowdWriter, claim_folder, write_index
from mmgen.synth.layout import entries, make_plan

DOCS = Path(__file__).parents[2] / "docs"
SAMPLES = Path(mmgen.samples.__file__).parent


def test_python_md(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    for name, sample in (("anna", "amber"), ("bert", "basil")):
        shutil.copy(SAMPLES / f"{sample}.jpg", tmp_path / f"{name}.jpg")
        shutil.copy(SAMPLES / f"{sample}_mask.png", tmp_path / f"{name}_mask.png")
    plan = make_plan(2, 0.0, CrowdOptions(views=2, poses=1))
    claim_folder(tmp_path / "people", plan)
    for _ in CrowdWriter(tmp_path / "people", plan)(entries(plan)):
        pass
    write_index(tmp_path / "people", plan)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"python.md, block {number + 1}", "exec"), names)
    assert {"anna.glb", "anna.obj", "anna-side.png", "people-3d"} <= {path.name for path in tmp_path.iterdir()}
    assert "mask_size" in capsys.readouterr().out
