"""`mmgen export --compress`: the user's own tool does it; without one, or where it fails, that is said plainly."""

import re
from pathlib import Path

import pytest
from asset_samples import body_asset
from click.testing import CliRunner, Result

from mmgen.assets.compression import find_tool
from mmgen.assets.glb import glb_bytes
from mmgen.cli import cli
from mmgen.core.errors import FatalError

COPIES = '#!/bin/sh\nprintf %s "$*" > "$(dirname "$0")/words"\ncp "$2" "$3"\nprintf more >> "$3"\n'


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the front of PATH, beside which nothing compresses; `meshes/` with one mesh."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "a.glb").write_bytes(glb_bytes(body_asset("a", level=1)))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


def export(*words: str) -> Result:
    return CliRunner().invoke(cli, ["export", "--compress", *words])


@pytest.mark.parametrize("codec", ["meshopt", "draco"])
def test_the_tool_gets_the_whole_asset_and_its_answer_is_the_file(tools, codec):
    install(tools, "gltf-transform", COPIES)
    result = export(codec)
    assert result.exit_code == 0, result.output
    before, after = Path("meshes/a.glb").read_bytes(), Path("exports/a.glb").read_bytes()
    assert after.endswith(b"more") and f'"compress":"{codec}"'.encode() in after.replace(b" ", b"")
    assert len(after) > len(before)
    assert (tools / "words").read_text().split()[0] == codec
    assert export(codec).stdout.startswith("0 exported, 1 up to date")


def test_without_the_tool_its_name_and_its_package_are_told(tools):
    result = export("draco")
    assert result.exit_code == 4 and not Path("exports").exists()
    assert "draco compression is done by gltf-transform, and PATH has none" in result.stderr
    assert "npm install --global @gltf-transform/cli" in result.stderr
    install(tools, "gltfpack", COPIES)
    assert find_tool("meshopt").name == "gltfpack"
    with pytest.raises(FatalError, match=r"draco compression is done by gltf-transform, and PATH has none"):
        find_tool("draco")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho no such codec >&2\nexit 3\n", "gltf-transform failed: no such codec"),
        ("#!/bin/sh\nexit 0\n", "gltf-transform failed: .*No such file"),
        ('#!/bin/sh\necho hello > "$3"\n', "gltf-transform failed: what it wrote is no GLB"),
    ],
)
def test_a_tool_that_fails_costs_the_mesh_and_leaves_no_file(tools, script, said):
    install(tools, "gltf-transform", script)
    result = export("meshopt")
    assert result.exit_code == 4 and not Path("exports/a.glb").exists()
    assert re.search(said, result.stderr), result.stderr


def test_other_formats_cannot_be_compressed(tools):
    result = export("meshopt", "--format", "stl", "--format", "glb")
    assert result.exit_code == 2 and "--compress is for glb, not for stl" in result.stderr
