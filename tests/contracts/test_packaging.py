"""Every file beside the code travels in the wheel: a checkout has them all, an installation what is declared."""

import fnmatch
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["mmgen", "recon", "reid"])
def test_every_file_beside_the_code_is_declared(package):
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][package]
    files = [path.relative_to(ROOT / package) for path in (ROOT / package).rglob("*.*") if path.is_file()]
    beside = [path for path in files if path.suffix not in {".py", ".pyc", ".nbi", ".nbc"}]
    assert beside, "there is a py.typed at least"
    anywhere = [f"*/{one.removeprefix('**/')}" if one.startswith("**/") else f"/{one}" for one in patterns]
    left = [str(path) for path in beside if not any(fnmatch.fnmatch(f"/{path}", one) for one in anywhere)]
    assert not left, "add them to package-data in pyproject.toml"
