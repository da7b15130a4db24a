"""What stands in an output folder where a result goes or was: mmgen's own, or a file of the user's.

A run record may come from anybody, and people put files of their own among the results, or work on in those. A run
replaces, moves and removes only what mmgen wrote.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mmgen.core.errors import ItemError
from mmgen.core.files import open_regular, safe_folder, safe_stem, sha256_or_none
from mmgen.core.limits import GLB_BYTES
from mmgen.core.listing import display_name, path_of_name
from mmgen.photos.inputs import REJECTED_FOLDER, without_person
from mmgen.work.records import Record

CORRECTED = "corrected"
"""Mask source of a mask file that is not as it was written: somebody made it better."""

_HEAD_BYTES = 1 << 20
_WRITTEN_BY_US = re.compile(rb'"generator"\s*:\s*"mmgen ')
"""In `asset` of a GLB; every tool that writes a mesh anew puts its own name there."""


def is_ours(path: Path) -> bool:
    """Whether nothing would be lost with a mesh file: it is not there, empty, or what mmgen wrote, perhaps damaged."""
    try:
        with open_regular(path, GLB_BYTES) as descriptor:
            head = os.read(descriptor, _HEAD_BYTES)
    except OSError:
        return not os.path.lexists(path)
    return not head or _WRITTEN_BY_US.search(head) is not None


def refuse_foreign(out: Path, outputs: Iterable[str | None]) -> None:
    """Make sure that no result replaces a file of the user's.

    Args:
        outputs: paths below `out`.

    Raises:
        ItemError: `output_exists`, naming the file.
    """
    for output in outputs:
        if not is_ours(out / str(output)):
            raise ItemError(
                "output_exists",
                f"{display_name(out / str(output))} exists, and mmgen did not write it, or somebody worked on in it",
                "Move it away, choose another --out, or replace it with --overwrite.",
            )


def may_be_of(record: Record, output: str) -> bool:
    """Whether a result of this input can have this place: it is called like the input, whatever a record claims."""
    place, name = PurePosixPath(output.removeprefix(f"{REJECTED_FOLDER}/")), PurePosixPath(path_of_name(record.input))
    stems = {place.stem, PurePosixPath(without_person(place.name)).stem}
    is_called_so = stems & {safe_stem(name.name), safe_stem(f"{name.name}.glb")}
    return place.parent.parts == tuple(map(safe_folder, name.parent.parts)) and bool(is_called_so)


def is_removable(out: Path, old: Record) -> bool:
    """Whether the file of an asset that was replaced elsewhere is what the run wrote, at a place of its own."""
    path = out / str(old.output)
    if old.mask_source == CORRECTED:
        return False
    return may_be_of(old, str(old.output)) and sha256_or_none(path, GLB_BYTES) == old.output_sha256
