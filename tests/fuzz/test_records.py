"""Lines of records, damaged at random: each is read, or refused with a ValueError; nothing else, and nothing outside.

Half of the inputs are sound lines with bytes changed, doubled or cut; half have fields of other types.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mmgen.assets.export_record import EXPORTS, ExportRecord
from mmgen.core.documents import DocumentError, decode
from mmgen.core.listing import display_name, path_of_name
from mmgen.datasets.index import INDEX, IndexRow
from mmgen.datasets.journal import JOURNAL, Done
from mmgen.training.folder import METRIC_EVENTS
from mmgen.work.record_file import RecordFile
from mmgen.work.records import MANIFEST, PersonRecord, PhotoRecord, Record, Review

ROW = IndexRow("a.jpg", "masks/a.png", "0002", 3, "train", 0.4, 64, 128, "ab" * 32, True)
PERSON = PersonRecord(1, "ok", "a-person1.glb", 0.9, 0.5, 0.7, "cd" * 32, "ef" * 32)
SAMPLES: list[tuple[RecordFile[Any], Any]] = [
    (
        MANIFEST,
        Record("b/ä.jpg", "ok", output="b/ä.glb", mask_iou=0.9, notes=("n",), people=(PERSON,), review=Review()),
    ),
    (MANIFEST, Record("p", "failed", error="oom", root="/r", photos=(PhotoRecord("a.jpg", "/r"),))),
    (EXPORTS, ExportRecord("a.glb", "obj", "done", None, None, None, "ab", {"size": [1, 2]}, {"a.obj": "cd"}, 1)),
    (INDEX, ROW),
    (JOURNAL, Done("a.jpg", "key", "ab", ROW)),
    (METRIC_EVENTS, {"event": "step", "step": 3, "losses": {"image": 0.25}}),
]
ODD = (
    None, True, -1, 2**63, 10**19, 1e308, "", "..", "/etc/passwd", "a\0b", "\\x", "\\ud800", [], [[]], {}, {"": {}},
    ["x"] * 70, "\U0010ffff", -0.0, "a/../../b", "NaN",
)  # fmt: skip
TOKENS = (b"NaN", b"1e400", b"-", b"[" * 70, b'"\\ud800"', b'"\\u0000"', b"9" * 30, b"{", b"}", b"\xff", b"\\", b'"')


def damaged(dice: random.Random, line: bytes) -> bytes:
    content = bytearray(line)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(content) + 1)
        match dice.randrange(4):
            case 0:
                content[at:at] = dice.choice(TOKENS)
            case 1:
                del content[at : at + dice.randrange(1, 20)]
            case 2:
                content[at : at + 1] = bytes([dice.randrange(256)])
            case _:
                content[at:at] = content[at : at + dice.randrange(1, 40)]
    return bytes(content)


def with_odd_field(dice: random.Random, row: Any) -> bytes:
    """A row in which a field, at any depth, has a value that it never has."""
    row, place = json.loads(json.dumps(row)), None
    place = row
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = dice.choice(list(keys)) if keys else None
        if key is None or not isinstance(place[key], dict | list) or dice.random() < 0.4:
            break
        place = place[key]
    if key is not None:
        place[key] = dice.choice(ODD)
    return json.dumps(row).encode()


@pytest.mark.parametrize("count", [3_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def test_damaged_lines(tmp_path: Path, count: int) -> None:
    dice = random.Random(count)
    (tmp_path / "link").symlink_to("/")
    sound = [(file, file.to_line(row).encode(), json.loads(file.to_line(row))) for file, row in SAMPLES]
    for file, line, _ in sound:
        file.parse(tmp_path, line)
    read = 0
    for number in range(count):
        file, line, row = sound[number % len(sound)]
        data = damaged(dice, line) if number % 2 else with_odd_field(dice, row)
        try:
            found = file.parse(tmp_path, data)
        except ValueError:
            continue
        read += 1
        file.to_line(found).encode("utf-8")
        outputs = [found.output] if isinstance(found, Record) else []
        assert not any(output and (".." in output.split("/") or output[0] == "/") for output in outputs)
    assert 0 < read < count


@pytest.mark.parametrize("count", [2_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_any_bytes_as_json_and_as_names(count: int) -> None:
    dice = random.Random(count)
    for _ in range(count):
        data = bytes(dice.choice(b'{}[]",:\\u0d8eE+-.19 ntrue\xc3\xa4\xff') for _ in range(dice.randrange(30)))
        try:
            decode(data, Any)  # type: ignore[arg-type]
        except DocumentError:
            pass
        name = data.decode("utf-8", "surrogateescape").replace("\0", "")
        assert path_of_name(display_name(name)) == name
        try:
            path_of_name(name)
        except ValueError:
            pass
