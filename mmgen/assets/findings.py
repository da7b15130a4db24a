"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: `error`: the contract is broken; `warning`: it works, and could be better.
        rule: Name of the rule, snake case.
        file: Which file, as given or below the folder that is checked.
        message: What is wrong, with figures.
    """

    severity: Severity
    rule: str
    file: str
    message: str
