"""Figures of an evaluation as a table: aligned text, with rich on a terminal."""

import sys
from typing import TYPE_CHECKING

from mmgen.evaluation.figures import FigureTable, table_of

if TYPE_CHECKING:
    from mmgen.evaluation.running import Evaluation


def table(evaluation: "Evaluation") -> None:
    """Print the table on stdout."""
    figures = table_of(evaluation.metrics)
    if not sys.stdout.isatty():
        print(plain(figures), end="")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(*figures.headings, title=f"{len(evaluation.scored)} photos")
    for column in shown.columns[1:]:
        column.justify = "right"
    for line in figures.lines:
        shown.add_row(f"[bold]{line.label}[/bold]" if line.is_heading else line.label, *line.cells)
    Console().print(shown)


def plain(figures: FigureTable) -> str:
    """Columns padded with blanks, no trailing ones."""
    rows = [figures.headings, *((line.label, *line.cells) for line in figures.lines)]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(figures.headings))]
    text = ""
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False)]
        text += "  ".join([row[0].ljust(widths[0]), *numbers]).rstrip() + "\n"
    return text
