"""`python -m mmgen.cli.reference`: docs/commands.md, made from the commands themselves."""

from collections.abc import Iterator
from pathlib import Path

import click

from mmgen.cli import COMMANDS, cli

HEAD = """# Commands

*Made by `python -m mmgen.cli.reference docs/commands.md`; a test fails when this page is out of date.*

Data goes to stdout, everything else to stderr. Exit codes: 0 all good, 2 wrong usage, 3 some items failed (the others
are valid), 4 nothing could be done, 130 interrupted with everything finished so far kept.
"""


def reference() -> str:
    """The page as Markdown: every command with its arguments, options and defaults."""
    top = click.Context(cli, info_name="mmgen", **cli.context_settings)
    rows = [f"| [`{name}`](#mmgen-{name}) | {text} |" for name, (_, text) in COMMANDS.items()]
    sections = [text for name in COMMANDS for text in _sections(cli.get_command(top, name), name, top)]
    return "\n".join([HEAD, "| command | what it does |", "|---|---|", *rows, "", *sections])


def _sections(command: click.Command | None, name: str, parent: click.Context) -> Iterator[str]:
    """One section for the command, and one for each of its subcommands."""
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    lines = [f"## {context.command_path}", "", "```text", _usage(command, context), "```", "", _paragraphs(command), ""]
    options = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context))
    ]
    if options:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in options]
        lines.append("")
    yield "\n".join(lines)
    for inner, subcommand in getattr(command, "commands", {}).items():
        yield from _sections(subcommand, inner, context)


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _paragraphs(command: click.Command) -> str:
    """The help text as it is written."""
    return (command.help or "").strip()


def _cell(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    import sys

    page = reference()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page, encoding="utf-8")
    else:
        print(page, end="")
