"""The one place that reads JSON: typed, bounded, and with one kind of error.

`decode(data, kind)` turns bytes into a value of a type (a dataclass, `dict[str, Any]`, ...) with `msgspec`. Keys that
the type does not have are passed over; a whole number is also a float. `read_document` does so with a file, and
`mmgen.work.record_file` with files of one value per line.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mmgen.core.files import read_regular
from mmgen.core.limits import DIGITS, DOCUMENT_BYTES, NESTING

Value = TypeVar("Value")

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A text, also one without an end: so that looking for it takes time in proportion to the length, whatever comes."""
_LONG_NUMBER = re.compile(rb"(?<![.0-9])[0-9]{%d,}+(?![.eE])" % (DIGITS + 1))
"""Whole numbers only: fractions may have any number of digits."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class DocumentError(ValueError):
    """Bytes that are not the JSON that was expected; the text says what is wrong, without the file's name."""


def decode(data: bytes, kind: type[Value]) -> Value:
    """JSON as a value of a type.

    Args:
        data: UTF-8.
        kind: what `msgspec` can decode: dataclasses with type hints, lists, dictionaries, plain values, `Any`.

    Raises:
        DocumentError: no JSON, another type, deeper or longer numbers than `mmgen.core.limits` allows, infinite
            numbers, NaN, NUL characters, lone surrogates.
    """
    _check_shape(data)
    hashable: Any = kind
    try:
        value: Value = _decoder(hashable).decode(data)
        return value
    except msgspec.ValidationError as error:
        raise DocumentError(str(error)) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DocumentError(f"it is no JSON: {error}") from error
    except (RecursionError, ValueError, OverflowError) as error:  # ValueError: from a dataclass' own checks
        raise DocumentError(str(error)) from error


def convert(value: Any, kind: type[Value]) -> Value:
    """Plain values, as from `decode` with `Any`, as a value of a type.

    Raises:
        DocumentError: they are of other types.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise DocumentError(str(error)) from error


def read_document(path: Path, kind: type[Value], limit: int = DOCUMENT_BYTES) -> Value:
    """A whole file as one value.

    Raises:
        DocumentError: as from `decode`.
        OSError: as from `mmgen.core.files.read_regular`.
    """
    return decode(read_regular(path, limit), kind)


@cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


def _check_shape(data: bytes) -> None:
    """Depth, length of numbers and NUL. Only documents in which one of them is possible are looked at closely."""
    if data.count(b"[") + data.count(b"{") > NESTING or _LONG_NUMBER.search(data):
        bare = _STRING.sub(b"", data)
        if _LONG_NUMBER.search(bare):
            raise DocumentError(f"a number has more than {DIGITS} digits")
        depth = 0
        for bracket in re.findall(rb"[][{}]", bare):
            depth += 1 if bracket in b"[{" else -1
            if depth > NESTING:
                raise DocumentError(f"it is nested more than {NESTING} levels deep")
    if b"\\u0000" in data and _NUL.search(data):
        raise DocumentError("a text in it holds a NUL character")
