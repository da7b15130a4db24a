"""TOML files as plain tables: one file over the one it extends, single values changed from outside."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

from mmgen.core.errors import FatalError
from mmgen.core.files import read_regular
from mmgen.core.limits import MANIFEST_BYTES
from mmgen.core.listing import display_name
from mmgen.core.settings import SettingError

EXTENDS = "extends"
DEEPEST = 5
Manifest = TypeVar("Manifest")


def read_checked(
    path: Path, changes: Iterable[str], check: Callable[[Mapping[str, Any]], Manifest], whole: tuple[str, ...] = ()
) -> Manifest:
    """Read a manifest.

    Args:
        changes, whole: see `read_tables`.
        check: what the tables say, as dataclasses; raises `SettingError`.

    Raises:
        FatalError: as `read_tables`; `manifest_invalid` for what `check` refuses.
    """
    tables = read_tables(path, changes, whole)
    try:
        return check(tables)
    except SettingError as error:
        what = f"{display_name(path)}: {error}"
        raise FatalError("manifest_invalid", what, "Correct the manifest or the --set option.") from error


def read_tables(path: Path, changes: Iterable[str] = (), whole: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a TOML file; `extends = "other.toml"` starts from another file in the same folder, or in the one above.

    Args:
        changes: `section.key=value` each, applied last; values as in TOML, bare words are text.
        whole: names of tables that an extending file or a change replaces as a whole.

    Raises:
        FatalError: `manifest_missing`, `manifest_syntax`, `manifest_invalid`, `setting_syntax`.
    """
    tables = _merged(path, DEEPEST, whole)
    for change in changes:
        _apply(tables, change, whole)
    return tables


def _merged(path: Path, depth: int, whole: tuple[str, ...]) -> dict[str, Any]:
    """The file's tables over those of the file it extends."""
    own = _parsed(path)
    base = own.pop(EXTENDS, None)
    if base is None:
        return own
    if not isinstance(base, str) or depth == 0:
        raise FatalError(
            "manifest_invalid",
            f"{display_name(path)}: {EXTENDS} is {base!r}; expected a file name, and no circle of files",
            "Correct the manifest.",
        )
    name = base.removeprefix("../")
    if PurePath(name).name != name:
        raise FatalError(
            "manifest_invalid",
            f"{display_name(path)}: {EXTENDS} is {base!r:.80}; expected NAME or ../NAME",
            "Copy that file beside this one.",
        )
    return _overlaid(_merged(path.parent / base, depth - 1, whole), own, whole)


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any], whole: tuple[str, ...]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, dict) and isinstance(result.get(key), dict)
        replaced = key in whole or not both_tables
        result[key] = value if replaced else _overlaid(result[key], value, whole)
    return result


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular(path, MANIFEST_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise FatalError(
            "manifest_missing",
            f"there is no manifest {display_name(path)}",
            "Give a file such as manifests/market.toml.",
        ) from error
    except (ValueError, RecursionError) as error:  # syntax, bytes that are no UTF-8, numbers of thousands of digits
        raise FatalError(
            "manifest_syntax", f"{display_name(path)} is no TOML: {error}", "Correct that line."
        ) from error
    except OSError as error:
        raise FatalError(
            "manifest_missing", f"{display_name(path)} cannot be read: {error.strerror}", "Check the path."
        ) from error


def _apply(tables: dict[str, Any], change: str, whole: tuple[str, ...]) -> None:
    key, equals, text = change.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise FatalError("setting_syntax", f"--set {change!r} is not section.key=value", "Write --set loss.image=2.0.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text.strip()
    table = tables
    for name in names[:-1]:
        inner = table.get(name)
        copied = dict(inner) if isinstance(inner, dict) and name not in whole else {}
        table[name] = copied
        table = copied
    table[names[-1]] = value
