"""Means of what steps report between two lines of the log; part of the state, so that a resumed log is the same."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from recon.training.step import StepReport


class Window:
    """Sums since the last line; tensors stay on their device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._skipped = 0

    def add(self, report: StepReport) -> None:
        """Add one step."""
        values = {**report.terms, "loss": report.loss, "gradient_norm": report.gradient_norm}
        if report.critic_gap is not None:
            values["critic_gap"] = report.critic_gap
        for name, value in values.items():
            self._sums[name] = value.double() + self._sums.get(name, 0)
            self._counts[name] = self._counts.get(name, 0) + 1
        self._skipped += not report.applied

    def read(self) -> dict[str, Any]:
        """Means per name, and the steps that were left out; empties the window."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        skipped = self._skipped
        self.__init__()  # type: ignore[misc]
        return {**means, "skipped_steps": skipped}

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return {"sums": dict(self._sums), "counts": dict(self._counts), "skipped": self._skipped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
        self._skipped = int(state["skipped"])
