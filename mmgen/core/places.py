"""Paths that a file names: relative, normal, inside their folder, through no link, to a regular file or to nothing yet.

Records, indices, plans and journals may come from anybody. What they name is opened, moved or deleted only after
`place_below` has agreed to it.
"""

import os
import stat
from pathlib import Path

from mmgen.core.files import sha256_or_none
from mmgen.core.limits import PHOTO_BYTES
from mmgen.core.listing import path_of_name


class PlaceError(ValueError):
    """A path that must not be followed; the text says why, and has the path in it."""


def check_relative(name: str) -> None:
    """Refuse a path that is not relative, normal and inside its folder; nothing on disk is looked at.

    Raises:
        PlaceError: see above.
    """
    parts = name.split("/")
    if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise PlaceError(f"the path {name!r:.200} does not stay inside its folder in the plainest way")


def place_below(folder: Path, name: str) -> Path:
    """Where the file `name` of a folder is or will be.

    Args:
        folder: trusted; may itself be a link.
        name: not trusted; with forward slashes.

    Raises:
        PlaceError: as from `check_relative`; or it leads through a link, or what is there is no regular file.
    """
    check_relative(name)
    path, last = folder, name.count("/")
    for depth, part in enumerate(name.split("/")):
        path = path / part
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return folder / name
        except OSError as error:  # a name that is too long, a folder that may not be entered
            raise PlaceError(f"the path {name!r:.200} cannot be followed: {error.strerror}") from error
        except ValueError as error:
            raise PlaceError(f"the path {name!r:.200} is none") from error
        if stat.S_ISLNK(mode):
            raise PlaceError(f"the path {name!r:.200} leads through a link")
        if not (stat.S_ISREG(mode) if depth == last else stat.S_ISDIR(mode)):
            raise PlaceError(
                f"the path {name!r:.200} leads to something that is no {'file' if depth == last else 'folder'}"
            )
    return path


def recorded_input(root: str, name: str, sha256: str | None) -> Path | None:
    """An input that a record names, where it still is what the record says; None where it is not, or no longer there.

    Args:
        root: folder of the inputs, as `mmgen.core.listing.display_name` writes it.
        name: path below it, likewise.
        sha256: of the file's bytes. Without one nothing is opened: a record must not show files that its writer
            could not read.
    """
    if sha256 is None:
        return None
    try:
        folder, relative = Path(path_of_name(root)), path_of_name(name)
        check_relative(relative)
        path = folder / relative
        return path if folder.is_absolute() and sha256_or_none(path, PHOTO_BYTES) == sha256 else None
    except ValueError:
        return None
