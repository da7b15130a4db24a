"""The index comes back as it was written; a broken one is named to the line and key."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mmgen.core.errors import FatalError
from mmgen.datasets.index import INDEX_NAME, IndexRow, read_index, write_index

ROW = IndexRow("query/a.jpg", "masks/query/a.png", "0002", 3, "query", 0.4, 64, 128, "ab" * 32, True, "folder")
BARE = IndexRow("x.jpg", None, None, None, "train", None, 64, 128, "cd" * 32, False)
GUESSED = replace(ROW, path="b.jpg", split="train", mask_source="grabcut", mask_quality=0.71)


def test_round_trip_sorted_and_stable(tmp_path: Path) -> None:
    path = write_index(tmp_path, [BARE, ROW, GUESSED])
    index = read_index(tmp_path)
    assert index.rows == (GUESSED, ROW, BARE)
    before = path.read_bytes()
    write_index(tmp_path, index.rows)
    assert path.read_bytes() == before


def test_paths_are_below_the_folder(tmp_path: Path) -> None:
    write_index(tmp_path, [ROW, BARE])
    index = read_index(tmp_path)
    assert index.image_path(ROW) == tmp_path / "query" / "a.jpg"
    assert index.mask_path(ROW) == tmp_path / "masks" / "query" / "a.png"
    assert index.mask_path(BARE) is None


def line(**changes: object) -> str:
    return json.dumps({**asdict(ROW), **changes})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in asdict(ROW).items() if name != key})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{half a li", "line 2: it is no JSON: "),
        ("[]", "line 2: Expected `object`, got `array`"),
        (without("sha256"), "line 2: Object missing required field `sha256`"),
        (line(camera="3"), r"Expected `int \| null`, got `str` - at `\$.camera`"),
        (line(clean=1), r"Expected `bool`, got `int` - at `\$.clean`"),
        (line(width=True), r"Expected `int`, got `bool` - at `\$.width`"),
        (line(foreground_fraction="0.4"), r"Expected `float \| null`, got `str` - at `\$.foreground_fraction`"),
        (line(path="../a.jpg"), "line 2: the path '../a.jpg' does not stay inside its folder"),
        (line(path="/a.jpg"), "the path '/a.jpg' does not stay inside"),
        (line(path=""), "the path '' does not stay inside"),
        (line(path="b.jpg", mask="masks/../../a.png"), "'masks/../../a.png' does not stay inside"),
        (line(path="b.jpg", truth="/etc/passwd"), "the path '/etc/passwd' does not stay inside"),
        (line(), "the path 'query/a.jpg' comes a second time"),
    ],
)
def test_bad_lines(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / INDEX_NAME).write_text(ROW.to_line() + text + "\n")
    with pytest.raises(FatalError, match=message) as caught:
        read_index(tmp_path)
    assert caught.value.code == "index_invalid"


LATER = ("mask_source", "mask_quality", "truth")


def test_newer_and_older_rows_are_read(tmp_path: Path) -> None:
    old = {name: value for name, value in asdict(ROW).items() if name not in LATER}
    (tmp_path / INDEX_NAME).write_text(json.dumps({**old, "added_later": 1, "foreground_fraction": 1}) + "\n\n")
    (row,) = read_index(tmp_path).rows
    assert row == replace(ROW, mask_source=None, foreground_fraction=1.0)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"there is no .*index\.jsonl.*mmgen prepare") as caught:
        read_index(tmp_path)
    assert caught.value.code == "index_missing"
    (tmp_path / INDEX_NAME).mkdir()
    with pytest.raises(FatalError, match="cannot be read") as caught:
        read_index(tmp_path)
    assert caught.value.code == "index_unreadable"


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    """An index is written whole, or by somebody's editor; nothing in it is half-written."""
    (tmp_path / INDEX_NAME).write_text(ROW.to_line() + BARE.to_line().rstrip("\n"))
    assert len(read_index(tmp_path)) == 2
