"""`index.jsonl`: one line per usable image of a data set folder."""

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from mmgen.core.errors import FatalError
from mmgen.core.files import write_text_atomic
from mmgen.core.listing import display_name

INDEX_NAME = "index.jsonl"


@dataclass(frozen=True)
class IndexRow:
    """One image.

    Attributes:
        path: relative to the data set folder, with forward slashes; unique.
        mask: likewise; None where there is none.
        identity: the person's (or the class's) label as text, such as "0002"; None where unknown.
        camera: camera number; None where unknown.
        split: `train`, `val`, `test`, `query` or `gallery`.
        foreground_fraction: share of the image that is person, 0..1; None without a mask.
        width: pixels, upright.
        height: pixels, upright.
        sha256: of the image file.
        clean: the person fills about as much of the image as the template does; the prototype is updated from these.
        mask_source: `alpha`, `sibling`, `folder`, `grabcut`, or the layout's own `labels`.
        mask_quality: 0..1 for a guessed mask; None for a given one.
        truth: file of exact geometry and camera, like `path`; None where there is none.
    """

    path: str
    mask: str | None
    identity: str | None
    camera: int | None
    split: str
    foreground_fraction: float | None
    width: int
    height: int
    sha256: str
    clean: bool
    mask_source: str | None = None
    mask_quality: float | None = None
    truth: str | None = None

    def to_line(self) -> str:
        """One JSON line, with its line end."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


@dataclass(frozen=True)
class Index:
    """A data set folder and its rows, sorted by path."""

    root: Path
    rows: tuple[IndexRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def splits(self) -> dict[str, int]:
        """Images per split, sorted by name."""
        names = sorted({row.split for row in self.rows})
        return {name: sum(row.split == name for row in self.rows) for name in names}

    def of_split(self, split: str) -> "Index":
        """The rows of one split.

        Raises:
            FatalError: `split_missing`, naming those there are.
        """
        rows = tuple(row for row in self.rows if row.split == split)
        if not rows:
            there = ", ".join(self.splits) or "none"
            raise FatalError(
                "split_missing",
                f"{display_name(self.root / INDEX_NAME)} has no split {split!r}; it has: {there}",
                "Choose one of them with --split.",
            )
        return Index(self.root, rows)

    def image_path(self, row: IndexRow) -> Path:
        """Where the image is."""
        return self.root / row.path

    def truth_path(self, row: IndexRow) -> Path | None:
        """Where its truth is."""
        return None if row.truth is None else self.root / row.truth

    def mask_path(self, row: IndexRow) -> Path | None:
        """Where its mask is."""
        return None if row.mask is None else self.root / row.mask


def write_index(root: Path, rows: Iterable[IndexRow]) -> Path:
    """Write the index, sorted by path, whole or not at all."""
    path = root / INDEX_NAME
    write_text_atomic(path, "".join(row.to_line() for row in sorted(rows, key=lambda row: row.path)))
    return path


def read_index(root: Path) -> Index:
    """Read and check the index of a data set folder; the images themselves are not touched.

    Raises:
        FatalError: `index_missing`, `index_unreadable`, or `index_invalid`, naming line and key.
    """
    path = root / INDEX_NAME
    name = display_name(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise FatalError("index_missing", f"there is no {name}", "Make it with `mmgen prepare`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError("index_unreadable", f"{name} cannot be read: {error}", "Make it again.") from error
    rows: dict[str, IndexRow] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"{name}, line {number}")
        if row.path in rows:
            raise _invalid(f"{name}, line {number}", f"path {row.path!r} comes a second time")
        rows[row.path] = row
    return Index(root, tuple(sorted(rows.values(), key=lambda row: row.path)))


def row_from_json(data: Any, where: str) -> IndexRow:
    """A checked row from a parsed line; keys that a newer version added are dropped.

    Raises:
        FatalError: `index_invalid`.
    """
    if not isinstance(data, dict):
        raise _invalid(where, "is no JSON object")
    values = {}
    for field in fields(IndexRow):
        if field.name not in data:
            if field.default is not MISSING:
                continue
            raise _invalid(where, f"key {field.name!r} is missing")
        values[field.name] = _checked(data[field.name], field.type, f"key {field.name!r}", where)
    row = IndexRow(**values)
    for path in (row.path, row.mask or "none", row.truth or "none"):
        if path.startswith("/") or ".." in path.split("/") or not path:
            raise _invalid(where, f"path {path!r} leaves the data set folder")
    return row


def _row(line: str, where: str) -> IndexRow:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise _invalid(where, "is no JSON") from error
    return row_from_json(data, where)


def _checked(value: Any, kind: Any, what: str, where: str) -> Any:
    allowed = get_args(kind) or (kind,)
    if float in allowed and type(value) is int:
        return float(value)
    if type(value) not in allowed:
        wanted = " or ".join("null" if option is type(None) else option.__name__ for option in allowed)
        raise _invalid(where, f"{what} is {value!r}, not {wanted}")
    return value


def _invalid(where: str, what: str) -> FatalError:
    return FatalError("index_invalid", f"{where}: {what}", "Make the index again with `mmgen prepare`.")
