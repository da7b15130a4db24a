"""Lists GLB files: one file, or a folder tree without the rejected ones."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.work.records import read_records

REJECTED_FOLDER = "rejected"
"""Where `mmgen reconstruct` puts meshes that are below the quality limits, at the top of its output folder."""


@dataclass(frozen=True, order=True)
class GlbFile:
    """One mesh file.

    Attributes:
        relative: Its place below the folder that was named; its bare name if it was named itself.
    """

    relative: PurePosixPath
    path: Path


def check_meshes(meshes: Path) -> None:
    """Raise the FatalError `meshes_missing` where there is nothing of that name."""
    if not meshes.exists():
        raise FatalError(
            "meshes_missing",
            f"there is no {display_name(meshes)}",
            f"Make meshes first: mmgen reconstruct photos/ --out {display_name(meshes)}",
        )


def list_glbs(meshes: Path, with_rejected: bool = False) -> list[GlbFile]:
    """Find GLB files, sorted by relative path; hidden files and folders are passed over.

    Args:
        meshes: A folder, searched with its sub-folders, or one file.
        with_rejected: Also look into the `rejected` folder at the top.

    Raises:
        FatalError: `meshes_missing` or `no_meshes`, naming `mmgen reconstruct` as the way to get some.
    """
    check_meshes(meshes)
    if not meshes.is_dir():  # what is no regular file either, the reader refuses by its name
        return [GlbFile(PurePosixPath(meshes.name), meshes)]
    found = sorted(_walk(meshes, with_rejected))
    if not found:
        raise FatalError(
            "no_meshes",
            f"no .glb files in {display_name(meshes)}",
            f"Make meshes first: mmgen reconstruct photos/ --out {display_name(meshes)}",
        )
    return found


def only_accepted(meshes: Path) -> list[GlbFile]:
    """The GLB files of a run folder that somebody accepted in `mmgen review`, sorted by relative path.

    Raises:
        FatalError: as from `list_glbs` and `read_records`; `none_accepted`.
    """
    accepted = {
        asset.output for record in read_records(meshes).values() for asset in record.assets if asset.is_accepted
    }
    found = [file for file in list_glbs(meshes, with_rejected=True) if str(file.relative) in accepted]
    if not found:
        raise FatalError(
            "none_accepted",
            f"nothing in {display_name(meshes)} is accepted",
            f"Accept meshes first: mmgen review {display_name(meshes)}",
        )
    return found


def _walk(root: Path, with_rejected: bool) -> Iterator[GlbFile]:
    for folder, folders, names in os.walk(root):
        at_top = Path(folder) == root
        folders[:] = [
            name for name in folders if name[0] != "." and (with_rejected or not (at_top and name == REJECTED_FOLDER))
        ]
        for name in names:
            if name.lower().endswith(".glb") and name[0] != ".":
                path = Path(folder) / name
                yield GlbFile(PurePosixPath(path.relative_to(root).as_posix()), path)
