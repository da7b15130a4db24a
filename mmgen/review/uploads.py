"""Photos from a browser: named safely, bounded in size and number, taken out of zips."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmgen.core.errors import ItemError
from mmgen.core.files import collision_key, safe_folder, safe_stem, write_bytes_atomic
from mmgen.core.listing import IMAGE_SUFFIXES
from mmgen.photos.images import read_image
from mmgen.review import limits

ZIP_SUFFIX = ".zip"
DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, OSError, EOFError)
"""What unpacking a member of a damaged or encrypted zip raises."""


@dataclass(frozen=True)
class Received:
    """What became of one file: its place below the photo folder, or why it was refused."""

    name: str
    relative: str | None = None
    error: ItemError | None = None


def receive_file(photos: Path, name: str, content: Path) -> Iterator[Received]:
    """Keep an uploaded photo, or the photos of an uploaded zip.

    Args:
        photos: the desk's photo folder.
        name: what the browser calls the file, perhaps with folders; never trusted as a path.
        content: the bytes, in a file outside `photos`.

    Yields:
        One outcome per photo. A photo that is there already with the same bytes is kept as it is; another one of the
        same name gets a number.
    """
    if PurePosixPath(name).suffix.lower() == ZIP_SUFFIX:
        yield from _unpacked(photos, name, content)
    else:
        yield _kept(photos, name, content.read_bytes())


def _unpacked(photos: Path, name: str, content: Path) -> Iterator[Received]:
    try:
        with _Zip(io.FileIO(content)) as file, zipfile.ZipFile(file) as archive:
            file.is_open = True
            members = [one for one in archive.infolist() if _is_photo(one)]
            _check(members)
            for member in members:
                try:
                    yield _kept(photos, member.filename, archive.read(member))
                except DAMAGES as error:
                    yield Received(member.filename, error=_unreadable(member.filename, error))
    except zipfile.BadZipFile as error:
        yield Received(name, error=_unreadable(name, error))
    except ItemError as error:
        yield Received(name, error=error)


class _Zip(io.BufferedReader):
    """A zip of which only a table of contents of bounded size is read, until it is open: `zipfile` reads it whole."""

    is_open = False

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file.

        Raises:
            ItemError: `zip_too_large`.
        """
        if not self.is_open and size is not None and size > limits.ZIP_TABLE_BYTES:
            what = f"the table of contents of the zip has {size / 1e6:.0f} MB"
            most = f"At most {limits.ZIP_TABLE_BYTES / 1e6:.0f} MB; use `mmgen reconstruct` for so many files."
            raise ItemError("zip_too_large", what, most)
        return super().read(size)


def _is_photo(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
    return not member.is_dir() and not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def _check(members: list[zipfile.ZipInfo]) -> None:
    """Refuse a bomb before anything is unpacked.

    Raises:
        ItemError: `zip_empty` or `zip_too_large`.
    """
    if not members:
        raise ItemError("zip_empty", "there is no photo in the zip", f"Photos are {', '.join(sorted(IMAGE_SUFFIXES))}.")
    total = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    largest = max(member.file_size for member in members)
    if (
        len(members) > limits.ZIP_PHOTOS
        or total > limits.ZIP_UNPACKED_BYTES
        or largest > limits.UPLOAD_BYTES
        or (total > limits.UPLOAD_BYTES and total / packed > limits.ZIP_RATIO)
    ):
        raise ItemError(
            "zip_too_large",
            f"the zip has {len(members)} photos of {total / 1e6:.0f} MB unpacked",
            f"At most {limits.ZIP_PHOTOS} photos of {limits.UPLOAD_BYTES / 1e6:.0f} MB each and "
            f"{limits.ZIP_UNPACKED_BYTES / 1e9:.0f} GB together; use `mmgen reconstruct` for more.",
        )


def _unreadable(name: str, error: Exception) -> ItemError:
    return ItemError("zip_damaged", f"{name} cannot be unpacked: {error}", "Pack it again.")


def _kept(photos: Path, name: str, data: bytes) -> Received:
    if len(data) > limits.UPLOAD_BYTES:
        return Received(name, error=too_large(name))
    try:
        path = _place(photos, name, data)
        if not path.is_file():
            write_bytes_atomic(path, data)
            try:
                read_image(path)
            except ItemError:
                path.unlink()
                raise
    except ItemError as error:
        return Received(name, error=error)
    except OSError as error:  # a name that is too long, a folder where a file is, a full disk
        what = f"{name:.200} cannot be kept: {error.strerror or error}"
        return Received(name, error=ItemError("upload_not_kept", what, "Rename it, or free space, and drop it again."))
    return Received(name, relative=path.relative_to(photos).as_posix())


def too_large(name: str) -> ItemError:
    """The error for a file over the limit."""
    return ItemError(
        "upload_too_large",
        f"{name} is larger than {limits.UPLOAD_BYTES / 2**20:.0f} MiB",
        "Save it smaller, or use `mmgen reconstruct` on its folder.",
    )


def _place(photos: Path, name: str, data: bytes) -> Path:
    """Where a photo of this name and content stands; no part of the name can leave the folder.

    Raises:
        ItemError: `upload_unknown_kind`.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", "..", ".")]
    suffix = PurePosixPath(parts[-1]).suffix.lower() if parts else ""
    if suffix not in IMAGE_SUFFIXES:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ItemError("upload_unknown_kind", f"{name} is no photo that mmgen reads", f"Photos are {known}, or a zip.")
    folder = photos.joinpath(*(safe_folder(part.lstrip(".") or "_") for part in parts[:-1]))
    stem = safe_stem(parts[-1]).lstrip(".") or "photo"
    taken = _by_key(folder)
    for number in range(1, limits.ZIP_PHOTOS + 2):
        candidate = f"{stem}{'' if number == 1 else f'-{number}'}"
        there = taken.get(collision_key(candidate))
        if there is None:
            return folder / f"{candidate}{suffix}"
        if there.suffix.lower() == suffix and there.read_bytes() == data:
            return there
    raise ItemError("upload_name_taken", f"too many photos are called {name}", "Rename it.")


def _by_key(folder: Path) -> dict[str, Path]:
    """Photos of a folder by what their outputs would be called, whatever the file system thinks of case."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
    return {collision_key(path.stem): path for path in files}
