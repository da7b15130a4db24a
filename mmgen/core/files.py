"""Files on disk: writes that are whole or absent, hashes, and names that every system accepts."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

HASH_BLOCK_BYTES = 1 << 20
LONGEST_TEMP_STEM = 230
"""File names may have 255 bytes; the rest is for the dot, `.tmp-` and the process id."""

TEMP_NAME = re.compile(r"^\.(?P<name>.+)\.tmp-(?P<pid>\d+)$", re.DOTALL)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temp file to write inside the block, renamed to `path` at its end: a reader sees the old file or the new one.

    It is `.name.tmp-<pid>` in the same folder (made if missing); where that name would be too long for a file system, a
    hash stands for it. An error removes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{_temp_stem(path.name)}.tmp-{os.getpid()}")
    try:
        yield temp
        os.replace(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` through `replacing`, and wait until it is on the disk.

    Raises:
        OSError: as from the file system (full disk, no permission).
    """
    with replacing(path) as temp, temp.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_text_atomic(path: Path, text: str) -> None:
    """Like `write_bytes_atomic`, for UTF-8 text; line ends stay as they are."""
    write_bytes_atomic(path, text.encode("utf-8"))


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_or_none(path: Path) -> str | None:
    """SHA-256 of a file's bytes; None where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return None


def is_weights_file(path: Path) -> bool:
    """Whether a file calls itself weights by its ending; what is in it is not looked at."""
    return path.is_file() and path.suffix.lower() == ".safetensors"


def safe_stem(name: str) -> str:
    """A file name without its last suffix, printable and valid UTF-8.

    Bytes that are no UTF-8 and control characters become `%FF` escapes; everything else stays.
    """
    return safe_folder(os.path.splitext(name)[0])


def safe_folder(name: str) -> str:
    """A folder name, printable and valid UTF-8, as `safe_stem` does it for files."""
    return "".join(_escaped(character) for character in name)


def collision_key(path: str) -> str:
    """Equal for two paths that some common file system takes for one: case and Unicode form are folded away."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def process_is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it exists and belongs to someone else
    return True


def sweep_temp_files(
    folder: Path, names: Iterable[str] | None = None, family: Callable[[str], str] = lambda name: name
) -> int:
    """Remove what killed writers left directly inside `folder`.

    Args:
        folder: Looked at without its sub-folders; may be missing.
        names: Only temp files of these final names; all when None.
        family: The name among `names` that a final name counts as.

    Returns:
        How many files were removed. Temp files of processes that still run stay.
    """
    if not folder.is_dir():
        return 0
    removed = 0
    stems = None if names is None else {_temp_stem(name) for name in names}
    for entry in sorted(os.listdir(folder)):
        match = TEMP_NAME.match(entry)
        if match is None or (stems is not None and stems.isdisjoint((match["name"], family(match["name"])))):
            continue
        if not process_is_alive(int(match["pid"])):
            (folder / entry).unlink(missing_ok=True)
            removed += 1
    return removed


def _temp_stem(name: str) -> str:
    data = os.fsencode(name)
    return name if len(data) <= LONGEST_TEMP_STEM else sha256_bytes(data)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (surrogateescape)
        return f"%{code - 0xDC00:02X}"
    if unicodedata.category(character) in ("Cc", "Cs"):
        return f"%{code:02X}"
    return character
