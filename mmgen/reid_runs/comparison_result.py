"""The files that a comparison leaves: `compare.json` and `compare.txt`."""

import json
from typing import Any

from mmgen.core.files import write_text_atomic
from mmgen.reid_runs.comparison import ComparisonOrder, scored_runs
from mmgen.reid_runs.comparison_table import comparison_data, table_lines

DATA_NAME, TABLE_NAME = "compare.json", "compare.txt"


def write_result(order: ComparisonOrder) -> tuple[dict[str, Any], list[str]]:
    """Write data and table of all finished runs.

    Returns:
        Both of them.

    Raises:
        FatalError: `scores_unreadable`.
    """
    data = comparison_data(order, scored_runs(order))
    lines = table_lines(data)
    write_text_atomic(order.out / DATA_NAME, json.dumps(data, indent=1) + "\n")
    write_text_atomic(order.out / TABLE_NAME, "\n".join(lines) + "\n")
    return data, lines
