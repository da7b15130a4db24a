"""Documentation: commands parse, options exist, links lead somewhere, the command reference is fresh."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mmgen.cli import cli
from mmgen.cli.reference import reference
from mmgen.core.errors import FatalError

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *ROOT.glob("manifests/**/*.md"),
]
ENDS = {"|", "||", "&&", ";", ">", "2>", "<<END", "&"}


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Fenced code blocks in these languages."""
    for language, text in re.findall(
        r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        if language in languages:
            yield text


def shell_lines(page: Path) -> list[str]:
    """The lines of the page's shell blocks; continued ones joined."""
    return [line for block in blocks(page, "sh", "bash") for line in block.replace("\\\n", " ").splitlines()]


def commands_in(line: str) -> Iterator[list[str]]:
    """The words after every `mmgen` of a line, up to a pipe or the next command."""
    words = shlex.split(line, comments=True)
    while "mmgen" in words:
        words = words[words.index("mmgen") + 1 :]
        yield words[: next((index for index, word in enumerate(words) if word in ENDS), len(words))]


def command_lines(page: Path) -> Iterator[list[str]]:
    """Words after `mmgen` of every command in shell blocks, and in code between backticks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = [span for span in re.findall(r"`([^`]+)`", text) if re.match(r"(mmgen|torchrun) [^-]", span)]
    for line in [*shell_lines(page), *spans]:
        yield from commands_in(line.replace("...", ""))


def unknown_options(words: list[str]) -> list[str]:
    """What is wrong with a command line; placeholders such as N and i/n stand for values."""
    context = click.Context(cli, info_name="mmgen", **cli.context_settings)
    command: click.Command | None = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if "{" in name or "," in name:  # `mmgen reid {train,evaluate}` names several
            return []
        command = command.get_command(context, name)
        if command is None:
            return [f"no command {name}"]
    assert command is not None
    if not rest or any(word in ("--help", "--version") for word in rest):
        return []
    flags = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
    return [word for word in rest if word.startswith("-") and word.partition("=")[0] not in flags]


def test_the_command_reference_is_fresh() -> None:
    stale = "docs/commands.md is out of date; run: python -m mmgen.cli.reference docs/commands.md"
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == reference(), stale


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    wrong = {" ".join(words): unknown_options(words) for words in command_lines(page)}
    assert not {line: problems for line, problems in wrong.items() if problems}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_shell_blocks_are_lines_that_the_command_line_takes(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values too: numbers in their ranges, choices among the choices, required arguments given."""
    (tmp_path / "masks").mkdir()
    monkeypatch.chdir(tmp_path)
    context = click.Context(cli, info_name="mmgen", **cli.context_settings)
    for words in (words for line in shell_lines(page) for words in commands_in(line) if "..." not in words):
        command = cli.get_command(context, words[0])
        rest = [re.sub(r"\$\w+", "0", word) for word in words[1:]]
        for word in rest:
            if word.endswith(".onnx"):
                (tmp_path / word).touch()
        if isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        assert command is not None, words
        try:
            command.make_context(words[0], rest, parent=context)
        except FatalError as error:  # an optional part that is not installed here
            assert error.code == "masker_missing", words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)", text):
        if target and not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_links_every_page() -> None:
    text = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/quickstart.md", "CONTRIBUTING.md")
    )
    for page in ROOT.glob("docs/**/*.md"):
        assert page.name in text, f"nobody finds {page.relative_to(ROOT)}"


def test_contributing_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:mmgen|recon|reid|tests|manifests|docs)/[\w./-]*)`", text))
    assert len(named) > 20 and not [name for name in named if not (ROOT / name).exists()]
