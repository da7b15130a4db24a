"""Plain tars whose bytes depend on their members alone."""

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK_BYTES = tarfile.BLOCKSIZE
SUFFIXES = ("cls", "jpg", "json")
"""Members of every sample, in this order."""

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
        header = tarfile.TarInfo(f"{key}.{suffix}")
        header.size, header.mode, header.mtime = len(data), 0o444, 0
        self._buffer.write(header.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict"))
        offset = self._buffer.tell()
        self._buffer.write(data)
        self._buffer.write(bytes(-len(data) % BLOCK_BYTES))
        return Member(suffix, offset, len(data))
