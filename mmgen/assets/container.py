"""Reading glTF binaries that may be hostile: header, chunks, JSON and accessors, every bound checked before use."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.core.documents import DocumentError, decode
from mmgen.core.errors import ItemError

MAGIC = b"glTF"
JSON_CHUNK = 0x4E4F534A
BINARY_CHUNK = 0x004E4942
COMPONENT_TYPES: dict[int, str] = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
ELEMENT_COUNTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MAX_STRIDE = 252
"""Bytes between two elements, by the format."""

REMAKE = "The file is damaged or was cut off; make it again."


@dataclass(frozen=True)
class Container:
    """A GLB taken apart.

    Attributes:
        binary: The binary chunk with its padding; empty if there is none.
    """

    document: dict[str, Any]
    binary: bytes

    def element(self, kind: str, index: Any) -> dict[str, Any]:
        """One object of a top-level array, such as `element("meshes", 0)`.

        Raises:
            ItemError: `glb_malformed`: no such array, index or object.
        """
        items = self.document.get(kind)
        if not isinstance(items, list) or not isinstance(index, int) or not 0 <= index < len(items):
            raise malformed(f"it has no {kind}[{index!r:.40}]")
        if not isinstance(items[index], dict):
            raise malformed(f"{kind}[{index}] is no object")
        return dict(items[index])

    def view_bytes(self, index: Any) -> bytes:
        """The bytes of a buffer view.

        Raises:
            ItemError: `glb_malformed`: the view leaves the binary chunk or lies in another buffer.
        """
        view = self.element("bufferViews", index)
        offset, length = whole_number(view, "byteOffset", 0), whole_number(view, "byteLength")
        if view.get("buffer") != 0 or "uri" in self.element("buffers", 0):
            raise malformed(f"bufferViews[{index}] is not inside the file")
        if offset + length > len(self.binary):
            raise malformed(
                f"bufferViews[{index}] ends {offset + length - len(self.binary)} bytes after the file's data"
            )
        return self.binary[offset : offset + length]

    def array(self, index: Any) -> NDArray[Any]:
        """The values of an accessor, [count] or [count, elements], in the type that they are stored in.

        Raises:
            ItemError: `glb_malformed`, or `glb_unsupported` for sparse accessors.
        """
        accessor = self.element("accessors", index)
        if "sparse" in accessor:
            raise unsupported("it has sparse accessors")
        component = COMPONENT_TYPES.get(whole_number(accessor, "componentType"))
        elements = ELEMENT_COUNTS.get(str(accessor.get("type")))
        if component is None or elements is None:
            raise malformed(f"accessors[{index}] has an unknown type")
        count, offset = whole_number(accessor, "count"), whole_number(accessor, "byteOffset", 0)
        dtype = np.dtype(component)
        width = dtype.itemsize * elements
        data = self.view_bytes(accessor.get("bufferView"))
        stride = whole_number(self.element("bufferViews", accessor["bufferView"]), "byteStride", width)
        fits = count >= 1 and offset + (count - 1) * stride + width <= len(data)
        if not fits or not width <= stride <= max(MAX_STRIDE, width):
            raise malformed(f"accessors[{index}] does not fit in its buffer view")
        values = np.ndarray((count, elements), dtype, data, offset, (stride, dtype.itemsize)).copy()
        return values[:, 0] if elements == 1 else values


def parse_glb(data: bytes) -> Container:
    """Take a GLB apart.

    Raises:
        ItemError: `glb_malformed`, with what is wrong in its message.
    """
    if len(data) < 20 or data[:4] != MAGIC:
        raise malformed("it does not start like a GLB" if len(data) >= 4 else f"it has only {len(data)} bytes")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise malformed(f"its format version is {version}, not 2")
    if length != len(data):
        raise malformed(f"its header says {length} bytes and it has {len(data)}")
    chunks = _chunks(data)
    if not chunks or chunks[0][0] != JSON_CHUNK:
        raise malformed("its first chunk is not JSON")
    binary = chunks[1][1] if len(chunks) > 1 and chunks[1][0] == BINARY_CHUNK else b""
    return Container(_document(chunks[0][1]), binary)


def whole_number(item: dict[str, Any], key: str, default: int | None = None) -> int:
    """`item[key]` if it is an integer of at least 0.

    Raises:
        ItemError: `glb_malformed` for anything else.
    """
    value = item.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise malformed(f"{key} is {value!r:.40}, not a whole number")
    return value


def child(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object at `item[key][key]...`; empty where a key is missing.

    Raises:
        ItemError: `glb_malformed`: something on the way is no object.
    """
    for key in keys:
        item = item.get(key, {})
        if not isinstance(item, dict):
            raise malformed(f"{key} is no object")
    return item


def listing(item: dict[str, Any], key: str) -> list[Any]:
    """The array at `item[key]`; empty where it is missing.

    Raises:
        ItemError: `glb_malformed`: it is no array.
    """
    value = item.get(key, [])
    if not isinstance(value, list):
        raise malformed(f"{key} is no array")
    return value


def malformed(what: str) -> ItemError:
    """The error for files that break the format."""
    return ItemError("glb_malformed", f"this is no sound GLB: {what}", REMAKE)


def unsupported(what: str) -> ItemError:
    """The error for sound files that mmgen did not write and cannot convert."""
    return ItemError(
        "glb_unsupported", f"this GLB is not laid out as mmgen does it: {what}", "Use a GLB that `mmgen` wrote."
    )


def _chunks(data: bytes) -> list[tuple[int, bytes]]:
    chunks, offset = [], 12
    while offset < len(data):
        if offset + 8 > len(data):
            raise malformed("a chunk header is cut off")
        length, kind = struct.unpack_from("<II", data, offset)
        if length % 4 or offset + 8 + length > len(data):
            raise malformed(f"a chunk of {length} bytes does not fit or is not padded to 4 bytes")
        chunks.append((kind, data[offset + 8 : offset + 8 + length]))
        offset += 8 + length
    return chunks


def _document(data: bytes) -> dict[str, Any]:
    try:
        return decode(data, dict[str, Any])
    except DocumentError as error:
        raise malformed(f"its JSON cannot be read: {error}"[:300]) from error
