"""stdout is data, stderr is talk; exit codes."""

import json
import sys
from collections.abc import Mapping
from typing import Any

EXIT_ITEMS_FAILED = 3
EXIT_NOTHING_DONE = 4
EXIT_INTERRUPTED = 130


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout, keys in the order given."""
    print(json.dumps(data, indent=2, allow_nan=False))


def say(text: str) -> None:
    """Tell the person something, on stderr. A log on a full disk must not end the work that it tells of.

    Raises:
        BrokenPipeError: who read it went away.
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass
