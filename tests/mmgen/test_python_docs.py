"""README, quickstart and docs/python.md: every block of Python runs, from top to bottom, on the bundled samples."""

import re
import shutil
from pathlib import Path

import pytest

import mmgen.samples
from mmgen.synth.crowd import CrowdOptions
from mmgen.synth.dataset import CrowdWriter, claim_folder, write_index
from mmgen.synth.layout import entries, make_plan
from mmgen.templates import named_template

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/quickstart.md", "docs/python.md")
SAMPLES = Path(mmgen.samples.__file__).parent


def test_blocks_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = [
        (f"{page}, block {number}", text)
        for page in PAGES
        for number, text in enumerate(
            re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL), start=1
        )
    ]
    assert len(blocks) >= 8
    for name, sample in (("anna", "amber"), ("bert", "basil")):
        shutil.copy(SAMPLES / f"{sample}.jpg", tmp_path / f"{name}.jpg")
        shutil.copy(SAMPLES / f"{sample}_mask.png", tmp_path / f"{name}_mask.png")
    plan = make_plan(2, 0.0, CrowdOptions(views=2, poses=1))
    claim_folder(tmp_path / "people", plan)
    for _ in CrowdWriter(tmp_path / "people", plan, named_template("person"))(entries(plan)):
        pass
    write_index(tmp_path / "people", plan)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for place, block in blocks:
        exec(compile(block, place, "exec"), names)
    assert {"anna.glb", "anna.obj", "anna-side.png", "people-3d"} <= {path.name for path in tmp_path.iterdir()}
    assert "mask_size" in capsys.readouterr().out
