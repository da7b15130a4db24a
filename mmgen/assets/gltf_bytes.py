"""A glTF document as JSON and as GLB bytes: what pygltflib would write, in a small part of its time.

pygltflib copies every value of the document deeply before it writes it.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import pygltflib

_ALIGNMENT = 4
_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")


def document_json(gltf: pygltflib.GLTF2, indent: str | None = None) -> str:
    """ASCII JSON without what is None or empty; on one line without blanks where `indent` is None.

    Raises:
        TypeError, ValueError: a value that JSON has no word for, such as NaN.
    """
    separators = (",", ":") if indent is None else None
    document = _kept(_fields_of(gltf))
    return json.dumps(document, indent=indent, separators=separators, allow_nan=False, skipkeys=True)


def binary_gltf(gltf: pygltflib.GLTF2, buffer: bytes) -> bytes:
    """One GLB file.

    Args:
        gltf: its only buffer has no URI.
        buffer: that buffer; a multiple of four bytes.

    Raises:
        TypeError, ValueError: as from `document_json`.
    """
    text = document_json(gltf).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    length = _HEADER.size + 2 * _CHUNK.size + len(text) + len(buffer)
    head = _HEADER.pack(b"glTF", 2, length) + _CHUNK.pack(len(text), b"JSON")
    return b"".join((head, text, _CHUNK.pack(len(buffer), b"BIN\0"), buffer))


def _kept(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """What is neither None nor empty; extensions are kept as they are, since being there is what an empty one says."""
    kept = {}
    for key, value in items:
        if value is None or (isinstance(value, str | dict | list | tuple) and not value):
            continue
        kept[key] = value if key == "extensions" else _plain(value)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value] if any(_has_names(item) for item in value) else value
    return _kept(_fields_of(value)) if _has_names(value) else value


def _has_names(value: Any) -> bool:
    return isinstance(value, dict | pygltflib.Attributes) or is_dataclass(value)


def _fields_of(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, pygltflib.Attributes):
        return vars(value).items()
    return ((field.name, getattr(value, field.name)) for field in fields(value))
