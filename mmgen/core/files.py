"""Files on disk: writes that are whole or absent, hashes, and names that every system accepts."""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

HASH_BLOCK_BYTES = 1 << 20
MOST_HASHED_BYTES = 1 << 50
LONGEST_TEMP_STEM = 220
"""File names may have 255 bytes; the rest is for what a temp file's name has besides."""

TEMP_NAME = re.compile(r"^\..+\.tmp-((?P<machine>[0-9a-f]{8})-[0-9a-f]{12}|\d+)$", re.DOTALL)
"""`.name.tmp-<machine>-<random>`; older versions wrote a process number after `tmp-`."""

FOREIGN_AGE_S = 3600.0
"""A temp file of another machine is a leftover when nobody holds its lock and it is as old as this: locks of network
file systems do not always reach other machines."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temp file to write inside the block, renamed to `path` at its end: a reader sees the old file or the new one.

    It lies in the same folder (made if missing); where its name would be too long for a file system, a hash stands for
    it. A lock is held on it, by which `sweep_temp_files` knows that its writer is at work, in this or another
    container. An error removes it.

    Raises:
        OSError: as from the file system (full disk, no permission), naming `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temp, descriptor = _locked_temp_file(path)
        with open(descriptor, "wb"):
            try:
                yield temp
                os.replace(temp, path)
            except BaseException:
                temp.unlink(missing_ok=True)
                raise
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None  # writing itself names no file
        raise


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write `data` through `replacing`, and wait until it is on the disk.

    Raises:
        OSError: as from `replacing`.
    """
    with replacing(path) as temp, temp.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _locked_temp_file(path: Path) -> tuple[Path, int]:
    """A new temp file beside `path` and its descriptor, with a lock that ends with the descriptor."""
    while True:
        token = f"{machine_id()}-{secrets.token_hex(6)}"
        temp = path.with_name(f".{_temp_stem(path.name)}.tmp-{token}")
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            return temp, descriptor  # a file system without locks: only old files are swept there
        if os.fstat(descriptor).st_nlink:
            return temp, descriptor
        os.close(descriptor)  # someone swept it between its making and its lock


@cache
def machine_id() -> str:
    """8 hex digits that processes which share a kernel have in common, and no others: of the boot, or the host."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except OSError:
        boot = socket.gethostname()
    return sha256_bytes(boot.encode())[:8]


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of bounded size; pipes, devices and endless files are refused, not waited for.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `limit` bytes; `strerror` says so.
    """
    with open_regular(path, limit) as descriptor:
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    if len(data) > limit:  # it grew since it was opened
        raise _too_large(path, limit)
    return data


@contextmanager
def open_regular(path: Path, limit: int) -> Iterator[int]:
    """A descriptor of a regular file of bounded size, closed at the end of the block.

    Raises:
        OSError: as from `read_regular`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", os.fspath(path))
        if status.st_size > limit:
            raise _too_large(path, limit)
        yield descriptor
    finally:
        os.close(descriptor)


def _too_large(path: Path, limit: int) -> OSError:
    size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit} bytes"
    return OSError(errno.EFBIG, f"it has more than {size}, the limit for such files", os.fspath(path))


def write_alone(path: Path, data: bytes) -> None:
    """Like `write_bytes_atomic`, for the only file of a command in a folder of other things: what killed runs of that
    command left there half-written goes first."""
    start = f".{_temp_stem(path.name)}.tmp-"
    for name in os.listdir(path.parent) if path.parent.is_dir() else ():
        if name.startswith(start) and is_leftover(path.with_name(name)):
            path.with_name(name).unlink(missing_ok=True)
    write_bytes_atomic(path, data)


def write_text_atomic(path: Path, text: str) -> None:
    """Like `write_bytes_atomic`, for UTF-8 text; line ends stay as they are."""
    write_bytes_atomic(path, text.encode("utf-8"))


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name, or its copy where links fail; folders are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path, limit: int = MOST_HASHED_BYTES) -> str:
    """SHA-256 of the bytes that a regular file has now, read in blocks.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `limit` bytes.
    """
    digest = hashlib.sha256()
    with open_regular(path, limit) as descriptor:
        left = os.fstat(descriptor).st_size
        while left > 0 and (block := os.read(descriptor, min(left, HASH_BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def sha256_or_none(path: Path, limit: int = MOST_HASHED_BYTES) -> str | None:
    """SHA-256 of a file's bytes; None where `sha256_file` refuses it."""
    try:
        return sha256_file(path, limit)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None


def is_weights_file(path: Path) -> bool:
    """Whether a path is called like a weights file, and no folder; it is not opened."""
    return path.suffix.lower() == ".safetensors" and not path.is_dir()


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


def is_leftover(path: Path) -> bool | None:
    """Whether a file is a temp file that its writer left behind when it died; None where it is no temp file at all."""
    match = TEMP_NAME.match(path.name)
    if match is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False  # gone, or not ours to judge
    try:
        is_old = time.time() - os.fstat(descriptor).st_mtime > FOREIGN_AGE_S
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return is_old or match["machine"] in (None, machine_id())
    except BlockingIOError:
        return False
    except OSError:  # no locks on this file system
        return is_old
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> Iterator[Path]:
    """Temp files of dead writers in a folder and all folders below, in a fixed order; links are not followed."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.startswith(".") and is_leftover(Path(parent, name)):
                yield Path(parent, name)


def sweep_temp_files(folder: Path) -> int:
    """Remove what killed writers left in a folder and below; returns how many files."""
    found = list(leftovers(folder))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


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
