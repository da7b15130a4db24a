"""Every key that a manifest may hold."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def dotted_keys(kind: Any, leaves: tuple[type, ...] = (), prefix: str = "") -> Iterator[str]:
    """Keys that hold values, those of inner tables with dots; tables of the types `leaves` count as values."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        inner = hints[item.name]
        if is_dataclass(inner) and inner not in leaves:
            yield from dotted_keys(inner, leaves, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name
