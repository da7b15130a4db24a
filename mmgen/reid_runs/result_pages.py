"""Tables of a Markdown page made from the `compare.json` of comparisons, so that page and figures cannot differ."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmgen.core.errors import FatalError
from mmgen.core.files import write_text_atomic
from mmgen.core.listing import display_name
from mmgen.reid_runs.comparison_table import SCHEMA, TITLES, fairness

BLOCK = re.compile(r"(<!-- results: (?P<file>[\w./-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
"""What is between the two comments belongs to the command."""


def update_page(page: Path) -> int:
    """Write every block of results of a page anew, from the files that its comments name, relative to the page.

    Returns:
        Number of blocks.

    Raises:
        FatalError: `page_missing`, `results_unreadable`.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise FatalError(
            "page_missing", f"{display_name(page)} cannot be read: {error.strerror}", "Check it."
        ) from error
    made, count = BLOCK.subn(lambda block: block[1] + _tables(page.parent / block["file"]) + block[3], text)
    if made != text:
        write_text_atomic(page, made)
    return count


def _tables(path: Path) -> str:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        return "\n".join(["", *markdown_lines(data), "", ""])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{display_name(path)} is no result of a comparison: {type(error).__name__} {error}"
        raise FatalError("results_unreadable", reason[:300], "Give a compare.json of `mmgen reid compare`.") from error


def markdown_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Per protocol and search: the arms, then the gains of the tested arm over each other one.

    Args:
        data: what `comparison_data` gave.
    """
    for name, found in data["protocols"].items():
        arms = {arm: row for arm, row in found["arms"].items() if row["runs"]}
        if not arms:
            continue
        for search in data["searches"]:
            yield f"**{name}** ({found['identity_share']:.0%} of the identities), tested on {search}:"
            yield ""
            yield "| | photos | people | updates | real photos seen | " + " | ".join(TITLES.values()) + " |"
            yield "|---" * (5 + len(TITLES)) + "|"
            yield from (_arm(row, search) for row in arms.values())
            yield ""
            yield from _gains(data["tested"], found, arms, search)
            yield ""


def _arm(row: Mapping[str, Any], search: str) -> str:
    training = row["training"]
    people = training["real_identities"] + training["virtual_identities"]
    figures = [_percent(row["figures"][search][name]) for name in TITLES]
    counts = (training["photos"], people, training["steps"], training["real_photos_seen"])
    return f"| {row['label']} | " + " | ".join([*(f"{count:,}" for count in counts), *figures]) + " |"


def _percent(figure: Mapping[str, Any]) -> str:
    spread = "" if figure["std"] is None else f" ± {100 * figure['std']:.1f}"
    return f"{100 * figure['mean']:.1f}{spread}"


def _gains(tested: str, found: Mapping[str, Any], arms: Mapping[str, Any], search: str) -> Iterator[str]:
    yield f"| {arms[tested]['label']} minus | figure | gain | 95 % over queries and seeds | over people | equal |"
    yield "|---|---|---|---|---|---|"
    for other, gains in found["gains"].items():
        equal = fairness(arms[tested]["training"], arms[other]["training"]) if gains else ""
        for name, gain in gains.get(search, {}).items():
            mean = f"{100 * gain['by_query']['mean']:+.1f}"
            ends = (
                f"{100 * one['low']:+.1f} to {100 * one['high']:+.1f}" for one in (gain["by_query"], gain["by_person"])
            )
            yield f"| {arms[other]['label']} | {TITLES[name]} | {mean} | " + " | ".join([*ends, equal]) + " |"
