"""Plain tars whose bytes depend on their members alone."""

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

BLOCK_BYTES = tarfile.BLOCKSIZE
SUFFIXES = ("cls", "jpg", "json")
"""Members of every sample, in this order."""

SHORT_NAME, LONG_PREFIX = 100, 155
"""Bytes of a file name, and of the folders before a longer one, that fit into a header."""

_OWNER = b"0000444\0" + b"0000000\0" * 2
_TIME = b"0" * 11 + b"\0"
_KIND = b"0" + bytes(100) + b"ustar\00000" + bytes(80)

KEY = re.compile(r"(?:virtual|real)/[A-Za-z0-9_+-]+/[A-Za-z0-9_+-]+")
"""Keys that are written and read: relative, without dots."""


@dataclass(frozen=True)
class Member:
    """Where a member's data lies, in bytes from the start of the tar."""

    suffix: str
    offset: int
    size: int


class TarBuilder:
    """A tar in memory: USTAR, mtime 0, nobody's."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self.samples: list[tuple[str, tuple[Member, ...]]] = []

    def add(self, key: str, parts: Mapping[str, bytes]) -> dict[str, Member]:
        """Append one sample.

        Args:
            key: as the contract wants it.
            parts: data by suffix, all of `SUFFIXES`.

        Returns:
            Where each member went.

        Raises:
            ValueError: another key, or other suffixes.
        """
        if not KEY.fullmatch(key) or tuple(sorted(parts)) != SUFFIXES:
            raise ValueError(f"no such sample: {key!r} with {', '.join(sorted(parts))}")
        members = tuple(self._append(key, suffix, parts[suffix]) for suffix in SUFFIXES)
        self.samples.append((key, members))
        return {member.suffix: member for member in members}

    def getvalue(self) -> bytes:
        """The whole tar, closed by two empty blocks."""
        return self._buffer.getvalue() + bytes(2 * BLOCK_BYTES)

    def dali_index(self) -> bytes:
        """Offsets in the text form of wds2idx v1.2."""
        lines = [f"v1.2 {len(self.samples)}"]
        for key, members in self.samples:
            lines.append(" ".join(f"{one.suffix} {one.offset} {one.size} {key}.{one.suffix}" for one in members))
        return ("\n".join(lines) + "\n").encode()

    def _append(self, key: str, suffix: str, data: bytes) -> Member:
        self._buffer.write(header_bytes(f"{key}.{suffix}", len(data)))
        offset = self._buffer.tell()
        self._buffer.write(data)
        self._buffer.write(bytes(-len(data) % BLOCK_BYTES))
        return Member(suffix, offset, len(data))


def header_bytes(name: str, size: int) -> bytes:
    """The USTAR header of a regular file; made here, as Python's own differs between versions and takes its time.

    Raises:
        ValueError: the name is too long for USTAR.
    """
    prefix, label = "", name
    if len(name) > SHORT_NAME:
        prefix, _, label = name.rpartition("/")
    if len(label) > SHORT_NAME or len(prefix) > LONG_PREFIX:
        raise ValueError(f"name {name!r} is too long for a tar")
    ends = (label.encode("ascii").ljust(SHORT_NAME, b"\0"), prefix.encode("ascii").ljust(LONG_PREFIX + 12, b"\0"))
    block = b"".join((ends[0], _OWNER, b"%011o\0" % size, _TIME, b" " * 8, _KIND, ends[1]))
    return block.replace(b" " * 8, b"%06o\0 " % sum(block), 1)


def read_samples(data: bytes) -> Iterator[tuple[str, dict[str, bytes], dict[str, Member]]]:
    """The samples of a tar of ours: key, data by suffix, and where each lies. Nothing is unpickled or unpacked.

    Raises:
        ValueError: it is cut off, or holds anything that `TarBuilder` does not write; says what and where.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = tar.getmembers()
    except tarfile.TarError as error:
        raise ValueError(f"it is no tar: {error}") from error
    end = 0
    for start in range(0, len(members), len(SUFFIXES)):
        group = members[start : start + len(SUFFIXES)]
        key = group[0].name.partition(".")[0]
        names = [f"{key}.{suffix}" for suffix in SUFFIXES]
        if not KEY.fullmatch(key) or [one.name for one in group] != names or not all(one.isreg() for one in group):
            raise ValueError(f"member {group[0].name!r} does not begin a sample of cls, jpg and json")
        end = group[-1].offset_data + -(-group[-1].size // BLOCK_BYTES) * BLOCK_BYTES
        places = {
            suffix: Member(suffix, one.offset_data, one.size) for suffix, one in zip(SUFFIXES, group, strict=True)
        }
        yield key, {suffix: data[at.offset : at.offset + at.size] for suffix, at in places.items()}, places
    if data[end:] != bytes(2 * BLOCK_BYTES):
        raise ValueError("it is cut off or has something behind its last sample")
