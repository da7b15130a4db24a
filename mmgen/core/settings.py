"""Plain tables to frozen dataclasses, checked against their type hints, and back to TOML."""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


class SettingError(Exception):
    """One key is wrong.

    Args:
        key: dotted path of the key.
        problem: what is wrong with it and what is expected, as the rest of a sentence.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key} {problem}")
        self.key = key


def build(kind: type[Record], table: Any, key: str, without: Sequence[str] = ()) -> Record:
    """A dataclass from a table; keys that are not given keep their defaults.

    Args:
        key: dotted path of the table, for messages; empty for a whole file.
        without: fields that a table may not set.

    Raises:
        SettingError: an unknown or missing key, a value of another type, or one that the dataclass refuses.
    """
    table, prefix = checked_value(dict, table, key), f"{key}." if key else ""
    hints = get_type_hints(kind)
    known = {item.name: item for item in fields(kind) if item.name not in without}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise SettingError(f"{prefix}{name}", f"is no setting; {advice}")
    for name, item in known.items():
        if name not in table and item.default is MISSING and item.default_factory is MISSING:
            raise SettingError(f"{prefix}{name}", f"is missing; expected {_wanted(hints[name])}")
    values = {name: checked_value(hints[name], value, f"{prefix}{name}") for name, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingError(key or "manifest", f"is refused: {error}") from error


def checked_value(kind: Any, value: Any, key: str) -> Any:
    """A value as the type hint wants it; whole numbers are also floats, lists also tuples.

    Raises:
        SettingError: it is something else.
    """
    if is_dataclass(kind) and isinstance(kind, type):
        return value if type(value) is kind else build(kind, value, key)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return _checked_tuple(kind, value, key)
    if kind is float and type(value) is int:
        return float(value)
    if get_origin(kind) is Literal:
        fits = value in get_args(kind)
    elif get_origin(kind) in (Union, UnionType):
        fits = type(value) in get_args(kind)
    else:
        fits = type(value) is kind
    if not fits or (type(value) is float and not math.isfinite(value)):
        raise SettingError(key, f"is {_shown(value)}; expected {_wanted(kind)}")
    return value


def _checked_tuple(kind: Any, value: Sequence[Any], key: str) -> tuple[Any, ...]:
    inner = get_args(kind)
    kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    if len(kinds) != len(value):
        raise SettingError(key, f"is {_shown(value)}; expected {_wanted(kind)}")
    return tuple(
        checked_value(item_kind, item, f"{key}[{index}]")
        for index, (item_kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        count = "some" if inner[-1] is Ellipsis else str(len(inner))
        return f"a list of {count} {_plural(inner[0])}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes", dict: "a table"}
    return names.get(kind, "a table")


def _plural(kind: Any) -> str:
    return {int: "whole numbers", float: "numbers", str: "texts"}.get(kind, "values")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def to_toml(tables: Mapping[str, Any]) -> str:
    """Tables of plain values as TOML: scalars first, then one section per table; None is left out."""
    lines: list[str] = []
    _write_table(tables, "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    plain = {name: value for name, value in table.items() if name not in inner and value is not None}
    if path and (plain or not inner):
        lines.extend(["", f"[{path}]"])
    lines.extend(f"{name} = {_toml_value(value)}" for name, value in plain.items())
    for name, value in inner.items():
        _write_table(value, f"{path}.{name}" if path else name, lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
