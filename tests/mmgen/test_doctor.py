"""The report on this machine."""

import importlib.util
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmgen import doctor
from mmgen.cli import cli
from mmgen.doctor import Check, core_works, examine


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.fixture(scope="module")
def report() -> dict[str, Check]:
    return by_name(examine())


def test_this_machine_can_work(report: dict[str, Check]) -> None:
    assert core_works(list(report.values()))
    assert {"python", "torch", "renderer", "glb writer", "devices", "compile cache", "free disk"} <= report.keys()
    assert {"person networks", "mask network"} <= report.keys()
    assert {
        "anny",
        "spandrel",
        "opencv",
        "timm",
        "torchreid",
        "ray",
        "usd-core",
        "node",
        "chromium",
        "ffmpeg",
    } <= report.keys()
    assert "cpu" in report["devices"].detail


def test_what_is_missing_says_what_for_and_how_to_get_it(report: dict[str, Check]) -> None:
    for check in report.values():
        assert (check.status == "ok") == (check.fix == "")
        assert check.is_core or check.purpose


def test_a_missing_core_module_is_no_working_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.CORE_MODULES, "no_such_module", "no-such-thing")
    checks = examine()
    assert by_name(checks)["no-such-thing"].fix == "pip install no-such-thing"
    assert not core_works(checks)
    assert "renderer" not in by_name(checks)


def test_a_module_that_dies_on_import_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dies_on_import.py").write_text("raise OSError('libGL is\\nmissing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(doctor.CORE_MODULES, "dies_on_import", "dies")
    check = doctor._core_module("dies_on_import")
    assert (check.status, check.detail) == ("broken", "OSError: libGL is missing")


def test_kaolins_placeholder_is_not_kaolin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("kaolin"):
        pytest.skip("kaolin is installed")
    (tmp_path / "kaolin").mkdir()
    (tmp_path / "kaolin" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor._module("kaolin.render")() is None


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("broken", 4)])
def test_the_command(monkeypatch: pytest.MonkeyPatch, status: doctor.Status, code: int) -> None:
    checks = [
        Check("torch", status, True, "2.13", "core", "" if status == "ok" else "pip install torch"),
        Check("ray", "missing", False, "not found", "spreads work", "pip install ray"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == code
    data = json.loads(result.stdout)
    assert data["core_works"] is (code == 0)
    assert [row["name"] for row in data["checks"]] == ["torch", "ray"]
    plain = CliRunner().invoke(cli, ["doctor"])
    assert "spreads work; to get it: pip install ray" in plain.stdout
    assert plain.exit_code == code
