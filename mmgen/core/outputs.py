"""Finished files of batch runs: which failures end the run and which cost one item."""

import errno
from pathlib import Path

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.listing import display_name

_STORAGE_ENDS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def write_output(path: Path, data: bytes) -> None:
    """Write a finished file.

    Raises:
        FatalError: `out_unwritable` where the folder takes no more files.
        ItemError: `output_unwritable` where this one is at fault.
    """
    try:
        write_bytes_atomic(path, data)
    except OSError as error:
        cause = f"{display_name(path)} cannot be written: {error.strerror or error}"
        if error.errno in _STORAGE_ENDS:
            hint = "Free space or check the rights there, then run the same command again; finished files are kept."
            raise FatalError("out_unwritable", cause, hint) from error
        raise ItemError("output_unwritable", cause, "Rename the input, or choose another --out.") from error
