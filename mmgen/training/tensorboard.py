"""TensorBoard events beside metrics.jsonl, where the package is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes numbers; does nothing without TensorBoard.

    Args:
        writer: a `SummaryWriter`, or None.
    """

    def __init__(self, writer: Any = None) -> None:
        self._writer = writer

    def write(self, values: Mapping[str, Any], step: int, prefix: str) -> None:
        """Write every number of a row."""
        if self._writer is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def close(self) -> None:
        """Flush."""
        if self._writer is not None:
            self._writer.close()


def open_board(folder: Path, step: int) -> Board:
    """A board that writes to `folder`; later events of an earlier session are hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return Board()
    return Board(SummaryWriter(str(folder), purge_step=step))
