"""Lists the input photos of folders, single files and list files, in a fixed order."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from mmgen.core.documents import DocumentError, decode
from mmgen.core.errors import FatalError
from mmgen.core.files import read_regular
from mmgen.core.limits import TEXT_BYTES

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".avif",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".ppm",
        ".pgm",
        ".jp2",
    }
)
MASK_ENDINGS = ("_mask", ".mask", "-mask")
"""What the stem of a mask adds to the stem of its photo."""

MASK_FOLDER = "masks"
MASK_FOLDERS = frozenset({MASK_FOLDER, "mask"})
"""Names of folders with masks, in lower case; mmgen itself writes `MASK_FOLDER`."""

UNREAD_PHOTO_SUFFIXES = frozenset(
    {".heic", ".heif", ".hif", ".jxl", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
"""Photos that are not read: listed all the same, so that each is named with what to do about it."""

_SKIPPED_FOLDERS = MASK_FOLDERS | {"truth", "__macosx"}
_OVERVIEWS = {"contact_sheet.jpg": "synth.json"}
"""Pictures of many photos, by the file that tells whose they are: what `mmgen synth` writes beside its photos."""

_LIST_SUFFIXES = frozenset({".txt", ".jsonl"})
LEAST_HEIGHT_M, MOST_HEIGHT_M = 0.1, 10.0
_PATH_KEYS = ("path", "input", "image")


@dataclass(frozen=True, order=True)
class ImageFile:
    """One input.

    Attributes:
        relative: where it stands below the input it came from; outputs mirror it. A file given by itself has only
            its name.
        path: how to open it.
        height_m: how tall the person is, where a list says so.
    """

    relative: PurePath
    path: Path
    height_m: float | None = None


def display_name(path: PurePath | str) -> str:
    """The path for people and for records: always UTF-8, always one line, and another one for every other path.

    A byte that is no UTF-8 becomes `\\xff`, a character that cannot be printed `\\n` or `\\u200b`, a backslash two.
    `path_of_name` is the way back.
    """
    text = os.fsencode(path).decode("utf-8", "surrogateescape")
    return text if text.isprintable() and "\\" not in text else "".join(map(_shown, text))


def path_of_name(name: str) -> str:
    """The path that `display_name` made a name of.

    Raises:
        ValueError: no path has this name.
    """
    text = _ESCAPE.sub(lambda match: _meant(match[0]), name) if "\\" in name else name
    path = os.fsdecode(text.encode("utf-8", "surrogateescape"))
    if display_name(path) != name:
        raise ValueError(f"{name!r:.80} is no name of a file")
    return path


_ESCAPE = re.compile(r"\\(?:\\|[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code < 0x100 and not character.isprintable():
        return f"\\u{code:04x}"  # `\\x..` is taken by bytes
    return character if character.isprintable() and character != "\\" else repr(character)[1:-1]


def _meant(escape: str) -> str:
    if escape[1] in "xuU":
        code = int(escape[2:], 16)
        return chr(code + 0xDC00 if escape[1] == "x" and code >= 0x80 else code)
    return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[1], "\\")


def list_images(inputs: Sequence[Path]) -> list[ImageFile]:
    """Find the photos that `inputs` stand for.

    Folders give every file with an image suffix (any case) except hidden ones, masks beside their photos, and folders
    named `masks`, `mask` or `truth`. Files stand for themselves, whatever their suffix. `@FILE`, `*.txt` and `*.jsonl`
    are lists: a path per line (JSON lines: the key `path`, `input` or `image`, and `height_m` for how tall that person
    is), relative to the list. Links are followed,
    loops are not. A missing file or an unreadable folder is listed too, so that reading it reports what is wrong
    without spoiling the others.

    Args:
        inputs: files, folders and list files.

    Returns:
        Each file once, sorted by its relative path, then by its path.

    Raises:
        FatalError: `no_images` where nothing was found; `list_unreadable`, `list_invalid` for a bad list.
    """
    found: dict[str, ImageFile] = {}
    for given in inputs:
        for item in _expand(Path(given)):
            found.setdefault(os.path.abspath(item.path), item)
    if not found:
        names = ", ".join(display_name(path) for path in inputs) or "no input"
        raise FatalError(
            "no_images",
            f"no photos in {names}",
            f"Looked for {' '.join(sorted(IMAGE_SUFFIXES))}; hidden files, masks/ and truth/ are passed over.",
        )
    return sorted(found.values())


def _expand(given: Path) -> Iterator[ImageFile]:
    if given.name.startswith("@"):
        yield from _read_list(given.with_name(given.name[1:]))
    elif given.is_dir():
        yield from _walk(given)
    elif given.suffix.lower() in _LIST_SUFFIXES:
        yield from _read_list(given)
    else:
        yield ImageFile(PurePath(given.name), given)


def _walk(root: Path) -> Iterator[ImageFile]:
    pending, visited = [root], set()
    while pending:
        folder = pending.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield ImageFile(PurePath(_last_name(folder)) if folder == root else folder.relative_to(root), folder)
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
        folders = {entry.name for entry in entries if _is_folder(entry)}
        pending.extend(folder / name for name in names if name in folders and name.lower() not in _SKIPPED_FOLDERS)
        files = [name for name in names if name not in folders]
        for name in photos_among([name for name in files if _OVERVIEWS.get(name) not in files]):
            yield ImageFile((folder / name).relative_to(root), folder / name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it reports what is wrong
        return False


def photos_among(names: Sequence[str]) -> list[str]:
    """The image names of one folder without masks: `a_mask.png` is a mask only where a photo `a.*` stands beside it."""
    images = [name for name in names if PurePath(name).suffix.lower() in IMAGE_SUFFIXES | UNREAD_PHOTO_SUFFIXES]
    stems = {PurePath(name).stem for name in images}
    return [name for name in images if not _is_mask_of(PurePath(name).stem, stems)]


def _is_mask_of(stem: str, stems: set[str]) -> bool:
    return any(stem.lower().endswith(ending) and stem[: -len(ending)] in stems for ending in MASK_ENDINGS)


def _read_list(path: Path) -> Iterator[ImageFile]:
    try:
        text = read_regular(path, TEXT_BYTES).decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise FatalError(
            "list_unreadable",
            f"the list {display_name(path)} cannot be read: {getattr(error, 'strerror', error)}",
            "Check its path and rights.",
        ) from error
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip("\r\n\t ")
        if not name or name.startswith("#"):
            continue
        height_m = None
        if path.suffix.lower() == ".jsonl":
            name, height_m = _row_in_json(name, path, number)
        image = path.parent / name
        last_name = _last_name(image)
        if not last_name or "\0" in name:
            what = f"{display_name(path)}, line {number}, names no file"
            raise FatalError("list_invalid", what, "Give a path of a photo.")
        inside = image.is_relative_to(path.parent) and ".." not in PurePath(name).parts
        relative = image.relative_to(path.parent) if inside else PurePath()
        yield ImageFile(relative if relative.parts else PurePath(last_name), image, height_m)


def _last_name(path: Path) -> str:
    """What a file or folder is called, however it was given, such as `.`; empty for the root of the file system."""
    return os.path.basename(os.path.abspath(path))


def _row_in_json(line: str, path: Path, number: int) -> tuple[str, float | None]:
    """The path that a line names, and the height."""
    try:
        row = decode(line.encode("utf-8", "surrogateescape"), Any)
    except DocumentError:
        row = None
    if isinstance(row, str):
        return row, None
    for key in _PATH_KEYS:
        if isinstance(row, dict) and isinstance(row.get(key), str):
            return row[key], _height(row.get("height_m"), path, number)
    raise FatalError(
        "list_invalid",
        f"{display_name(path)}, line {number}, names no file",
        f"Each line is a JSON string, or an object with one of the keys {', '.join(_PATH_KEYS)}.",
    )


def _height(value: object, path: Path, number: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and LEAST_HEIGHT_M <= value <= MOST_HEIGHT_M:
        return float(value)
    raise FatalError(
        "list_invalid",
        f"{display_name(path)}, line {number}: height_m is {json.dumps(value)[:40]}",
        f"Give metres, from {LEAST_HEIGHT_M:g} to {MOST_HEIGHT_M:g}, such as 1.82; or leave it out.",
    )
