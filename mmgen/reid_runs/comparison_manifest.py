"""Comparison manifests: which ways to train are compared, on how much data, with how many seeds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmgen.core.settings import SettingError, build, checked_value
from mmgen.core.tables import read_checked

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
"""Of arms and protocols: they become folders."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: key of its table.
        manifest: training manifest, relative to the comparison's.
        virtual: train on virtual people as well.
        changes: `section.key=value` each.
        equal: to the tested arm: "updates", or "real photos" (it ends when it has seen as many real photos).
    """

    name: str
    manifest: str
    label: str = ""
    virtual: bool = False
    changes: tuple[str, ...] = ()
    equal: Literal["updates", "real photos"] = "updates"


@dataclass(frozen=True)
class Protocol:
    """How much real data there is.

    Attributes:
        name: key of its table.
        identity_share: share of the training identities; virtual people only where both parents are among them.
        identity_seed: random seed of that choice, the same for all arms.
    """

    name: str
    identity_share: float = 1.0
    identity_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.identity_share <= 1:
            raise ValueError("identity_share must lie in 0..1 (0 excluded)")


@dataclass(frozen=True)
class ComparisonManifest:
    """What is compared.

    Attributes:
        arms: in the order of the table.
        tested: name of the arm whose gain over every other one is computed.
        protocols: in the order of the table.
        seeds: runs of every arm and protocol.
        steps: updates of every run; 0 leaves every arm its own length.
        about: one line for people.
    """

    arms: Mapping[str, Arm]
    tested: str
    protocols: Mapping[str, Protocol]
    seeds: int = 3
    steps: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        if self.tested not in self.arms or len(self.arms) < 2:
            raise ValueError(f"tested is {self.tested!r}; expected one of at least two arms: {', '.join(self.arms)}")
        if self.seeds < 1 or self.steps < 0:
            raise ValueError("seeds must be at least 1, steps not negative")
        if not self.steps and any(arm.equal == "real photos" for arm in self.arms.values()):
            raise ValueError('an arm with equal = "real photos" needs steps')


_PLAIN: dict[str, Any] = {"about": str, "tested": str, "seeds": int, "steps": int}
_TABLES: dict[str, type] = {"arms": Arm, "protocols": Protocol}


def read_comparison(path: Path, changes: tuple[str, ...] = ()) -> ComparisonManifest:
    """Read and check a comparison manifest.

    Raises:
        FatalError: `manifest_missing`, `manifest_syntax`, `manifest_invalid`, `setting_syntax`.
    """
    return read_checked(path, changes, _comparison)


def _comparison(tables: Mapping[str, Any]) -> ComparisonManifest:
    for key in tables:
        if key not in _PLAIN and key not in _TABLES:
            raise SettingError(key, f"is no setting; there are {', '.join((*_PLAIN, *_TABLES))}")
    for key in ("arms", "tested"):
        if key not in tables:
            raise SettingError(key, "is missing")
    values = {key: checked_value(kind, tables[key], key) for key, kind in _PLAIN.items() if key in tables}
    inner = {"protocols": {"full": {}}, **{key: tables[key] for key in _TABLES if key in tables}}
    named: dict[str, Any] = {key: _named(kind, inner[key], key) for key, kind in _TABLES.items()}
    try:
        return ComparisonManifest(**values, **named)
    except ValueError as error:
        raise SettingError("tested", f"is refused: {error}") from error


def _named(kind: type, table: Any, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in checked_value(dict, table, key).items():
        if not NAME.fullmatch(name):
            raise SettingError(f"{key}.{name}", "is no name; use letters, digits, and +._-")
        found[name] = build(kind, {"name": name, **checked_value(dict, value, f"{key}.{name}")}, f"{key}.{name}")
    return found
