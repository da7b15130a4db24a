"""Where a gallery keeps its pictures and meshes: inside the page, or as files beside it."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Protocol

from mmgen.assets.asset import Asset
from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_bytes, sha256_file, write_bytes_atomic
from mmgen.core.version import __version__
from mmgen.gallery.pictures import PHOTO_HEIGHT, POSTER_SIZE, Box, photo_jpeg, poster_webp
from mmgen.previews import View

FILES_FOLDER = "files"
FILE_NAME = re.compile(r"^[0-9a-f]{20}\.(glb|webp|jpg)$")
"""What the files of a gallery folder are called; nothing else is served or cleared away."""


class Store(Protocol):
    """Keeps things and says under which address the page finds them."""

    def photo(self, path: Path, box: Box | None) -> str | None:
        """A photo, or a part of it, made small; None where it cannot be read (the run's record says why)."""

    def poster(self, asset: Asset, glb: bytes, view: View) -> str:
        """The still picture of a mesh."""

    def model(self, glb: bytes) -> str | None:
        """A mesh file; None where the page holds it itself."""


class EmbeddedStore:
    """Everything in the page, as data addresses."""

    def photo(self, path: Path, box: Box | None) -> str | None:
        """See `Store`."""
        try:
            return _data_uri("jpeg", photo_jpeg(path, box))
        except ItemError:
            return None

    def poster(self, asset: Asset, glb: bytes, view: View) -> str:
        """See `Store`."""
        return _data_uri("webp", poster_webp(asset, view))

    def model(self, glb: bytes) -> str | None:
        """See `Store`."""
        return None


class FolderStore:
    """Files named by what is in them, so that a second gallery of the same meshes draws nothing again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FILES_FOLDER
        self._used: set[str] = set()

    def photo(self, path: Path, box: Box | None) -> str | None:
        """See `Store`."""
        try:
            name = _file_name("jpg", sha256_file(path), PHOTO_HEIGHT, box)
            if not self._has(name):
                write_bytes_atomic(self._folder / name, photo_jpeg(path, box))
        except (ItemError, OSError):
            return None
        return f"{FILES_FOLDER}/{name}"

    def poster(self, asset: Asset, glb: bytes, view: View) -> str:
        """See `Store`."""
        name = _file_name("webp", sha256_bytes(glb), view, POSTER_SIZE)
        if not self._has(name):
            write_bytes_atomic(self._folder / name, poster_webp(asset, view))
        return f"{FILES_FOLDER}/{name}"

    def model(self, glb: bytes) -> str | None:
        """See `Store`."""
        name = _file_name("glb", sha256_bytes(glb))
        if not self._has(name):
            write_bytes_atomic(self._folder / name, glb)
        return f"{FILES_FOLDER}/{name}"

    def clear_away(self) -> None:
        """Remove files of earlier galleries that this one does not use."""
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
            if FILE_NAME.match(path.name) and path.name not in self._used:
                path.unlink()

    def _has(self, name: str) -> bool:
        self._used.add(name)
        return (self._folder / name).is_file()


def _file_name(suffix: str, *parts: object) -> str:
    digest = hashlib.sha256("\0".join(map(str, (__version__, suffix, *parts))).encode()).hexdigest()
    return f"{digest[:20]}.{suffix}"


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
