"""Tiny ONNX files, written byte by byte so that tests need nothing but the runtime that reads them.

Field numbers are those of `onnx.proto`; a message is a list of (number, value).
"""

import struct
from collections.abc import Sequence

FLOAT, UINT8, INT64 = 1, 2, 7
Side = int | str


def bright_is_person(
    shape: Sequence[Side],
    *,
    axis: int = 1,
    element: int = FLOAT,
    gain: float = 8.0,
    inputs: int = 1,
    last: str = "Sigmoid",
    answer: Sequence[Side] | None = None,
) -> bytes:
    """A net whose answer is the mean over the colour axis, times `gain`, through the operation `last`."""
    nodes = [
        _node("Cast", ["picture"], "floats", _attribute("to", 2, 3, FLOAT)),
        _node("ReduceMean", ["floats"], "mean", _attribute("axes", 7, 8, axis)),
        _node("Mul", ["mean", "gain"], "scaled"),
        _node(last, ["scaled"], "mask"),
    ]
    tensor = _message((1, 1), (2, FLOAT), (8, "gain"), (9, struct.pack("<f", gain)))
    names = ["picture", *(f"more{index}" for index in range(1, inputs))]
    graph = _message(
        *((1, node) for node in nodes),
        (2, "g"),
        (5, tensor),
        *((11, _value(name, element, shape)) for name in names),
        (12, _value("mask", FLOAT, answer or ["b", "c", "h", "w"])),
    )
    return _message((1, 8), (8, _message((1, ""), (2, 13))), (7, graph))


def _node(kind: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    return _message(*((1, name) for name in inputs), (2, output), (4, kind), *((5, one) for one in attributes))


def _attribute(name: str, kind: int, field: int, value: int) -> bytes:
    return _message((1, name), (field, value), (20, kind))


def _value(name: str, element: int, shape: Sequence[Side]) -> bytes:
    sides = [(1, _message((1 if isinstance(side, int) else 2, side))) for side in shape]
    return _message((1, name), (2, _message((1, _message((1, element), (2, _message(*sides)))))))


def _message(*fields: tuple[int, int | str | bytes]) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])
