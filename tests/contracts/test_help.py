"""Every command's --help: it is there, it is complete, and it is cheap."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mmgen.cli import COMMANDS, cli

HEAVY = (
    *("torch", "numpy", "PIL", "trimesh", "numba", "scipy", "skimage", "cv2", "pygltflib", "safetensors", "webdataset"),
    *("jaxtyping", "rich.console", "rich.progress", "recon", "reid", "timm", "torchvision", "torchreid"),
)
SHOW_WHAT_HELP_LOADS = f"""
import contextlib, io, json, sys
from mmgen.__main__ import main
texts, loaded = {{}}, {{}}
for words in json.loads(sys.argv[1]):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        code = main([*words, "--help"])
    assert code == 0, (words, code)
    texts[" ".join(words)] = stream.getvalue()
    loaded[" ".join(words)] = sorted(set(sys.modules) & set({HEAVY!r})) + [
        name for name in sys.modules if name.startswith("mmgen.cli.")
    ]
print(json.dumps([texts, loaded]))
"""


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and sub-command with the words that call it."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield (name,), command
        if isinstance(command, click.Group):
            for inner, subcommand in command.commands.items():
                yield (name, inner), subcommand


ALL = list(commands())


@pytest.fixture(scope="module")
def shown() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Help text and heavy modules loaded so far, for the group and then each command, from one fresh process."""
    words = json.dumps([[], *(list(path) for path, _ in ALL)])
    child = subprocess.run(
        [sys.executable, "-c", SHOW_WHAT_HELP_LOADS, words], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    texts, loaded = json.loads(child.stdout)
    return texts, loaded


def test_the_overview_imports_no_command_and_nothing_heavy(shown: tuple[dict[str, str], dict[str, list[str]]]) -> None:
    texts, loaded = shown
    assert loaded[""] == ["mmgen.cli.output", "mmgen.cli.main"]
    for name, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {name} +{summary.split()[0]}", texts[""], re.MULTILINE)


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in ALL])
def test_a_commands_help_imports_nothing_heavy(path: str, shown: tuple[dict[str, str], dict[str, list[str]]]) -> None:
    texts, loaded = shown
    assert not set(loaded[path]) & set(HEAVY)
    assert texts[path].startswith(f"Usage: mmgen {path}")


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_is_complete(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help and command.help.strip().splitlines()[0].rstrip().endswith((".", ":"))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.name} has no help"


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_shared_names_mean_the_same_everywhere(path: tuple[str, ...], command: click.Command) -> None:
    if isinstance(command, click.Group):
        return
    options = {flag for parameter in command.params for flag in parameter.opts}
    assert "--json" in options
    if "--out" in options and path not in {("demo",)}:
        assert "--dry-run" in options


def test_the_module_and_the_script_are_one() -> None:
    child = subprocess.run([sys.executable, "-m", "mmgen", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"mmgen \d+\.\d+\.\d+\n", child.stdout)


WRONG_LINES = (
    *("reconstruct photos --height 17", "reconstruct photos --overwrite --retry-failed", "reconstruct nowhere"),
    *("evaluate", "augment-reid", "train nowhere.toml", "reid train nowhere.toml --data x", "swap nowhere.glb"),
    *("turntable nowhere", "gallery nowhere", "prepare market nowhere --out x", "verify x --photos y"),
    *("masks nowhere --out x",),
)
RUN_LINES = """
import json, sys
from mmgen.__main__ import main
slow = {"torch", "scipy.ndimage"}
print(json.dumps([(line, main(line.split()), sorted(slow & set(sys.modules))) for line in json.loads(sys.argv[1])]))
"""


def test_wrong_usage_loads_nothing_slow(tmp_path: Path) -> None:
    words = [sys.executable, "-c", RUN_LINES, json.dumps(WRONG_LINES)]
    child = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    for line, code, slow in json.loads(child.stdout):
        assert code in (2, 4) and slow == [], line
