"""`index.jsonl`: one line per usable image of a data set folder."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.core.places import check_relative
from mmgen.work.record_file import DamagedLine, RecordFile

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
    INDEX.write(path, rows)
    return path


def read_index(root: Path) -> Index:
    """Read and check the index of a data set folder; the images themselves are not touched.

    Raises:
        FatalError: `index_missing`, `index_unreadable`, or `index_invalid`, naming the line.
    """
    path = root / INDEX_NAME
    name, hint = display_name(path), "Make the index again with `mmgen prepare`."
    if not path.exists():
        raise FatalError("index_missing", f"there is no {name}", "Make it with `mmgen prepare`.")
    try:
        rows = list(INDEX.read(path))
    except DamagedLine as error:
        raise FatalError("index_invalid", str(error), hint) from error
    except OSError as error:
        raise FatalError("index_unreadable", f"{name} cannot be read: {error.strerror}", hint) from error
    by_path = {row.path: row for row in rows}
    if len(by_path) < len(rows):
        [(twice, _)] = Counter(row.path for row in rows).most_common(1)
        raise FatalError("index_invalid", f"{name}: the path {twice!r} comes a second time", hint)
    return Index(root, tuple(by_path[path] for path in sorted(by_path)))


def check_row(folder: Path, row: IndexRow) -> None:
    """Raises ValueError where a path leaves the data set folder; links below it are the user's own."""
    for name in (row.path, row.mask, row.truth):
        if name is not None:
            check_relative(name)


INDEX = RecordFile(IndexRow, key=lambda row: row.path, to_line=IndexRow.to_line, check=check_row, grows=False)
"""How the rows are kept."""
