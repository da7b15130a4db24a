"""Tars of samples, written and read with webdataset; their bytes depend on their members alone."""

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

import webdataset
from webdataset.tariterators import group_by_keys, tar_file_expander

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
    """A tar in memory by `webdataset.TarWriter`: mtime 0, mode 0444, nobody's."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._writer = webdataset.TarWriter(self._buffer, user="", group="", mode=0o444, mtime=0, encoder=False)
        self.samples: list[tuple[str, tuple[Member, ...]]] = []

    def __del__(self) -> None:
        """Close what nobody asked for: tarfile would write its end into a buffer that may be gone by then."""
        self._writer.close()

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
        """The whole tar, closed; nothing can be added after."""
        self._writer.close()
        return self._buffer.getvalue()

    def dali_index(self) -> bytes:
        """Offsets in the text form of wds2idx v1.2."""
        lines = [f"v1.2 {len(self.samples)}"]
        for key, members in self.samples:
            lines.append(" ".join(f"{one.suffix} {one.offset} {one.size} {key}.{one.suffix}" for one in members))
        return ("\n".join(lines) + "\n").encode()

    def _append(self, key: str, suffix: str, data: bytes) -> Member:
        self._writer.write({"__key__": key, suffix: data})
        padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return Member(suffix, self._writer.tarstream.offset - padded, len(data))


@dataclass(frozen=True)
class ReadTar:
    """A tar that was read: (key, data by suffix, where each lies) per sample, and its index for DALI."""

    samples: tuple[tuple[str, dict[str, bytes], dict[str, Member]], ...]
    dali: bytes


def read_tar(data: bytes) -> ReadTar:
    """The samples of a tar of ours, by webdataset's pipeline.

    The bytes are handed over, so none of its URL schemes (`pipe:` above all) applies; members stay bytes, nothing is
    unpickled or unpacked. What was read is written again: only a tar that `TarBuilder` writes comes out the same.

    Raises:
        ValueError: it is cut off, or holds anything that `TarBuilder` does not write.
    """
    if data[257:262] != b"ustar" and data.strip(b"\0"):
        raise ValueError("it is no tar")
    builder, samples = TarBuilder(), []
    try:
        for sample in group_by_keys(tar_file_expander([{"url": "", "stream": io.BytesIO(data)}])):
            key, parts = sample["__key__"], {name: value for name, value in sample.items() if name[:2] != "__"}
            samples.append((key, parts, builder.add(key, parts)))
    except tarfile.TarError as error:
        raise ValueError(f"it is cut off or no tar: {error.args[0]}") from error
    if builder.getvalue() != data:
        raise ValueError("it is cut off, or has members that are no samples of ours")
    return ReadTar(tuple(samples), builder.dali_index())
