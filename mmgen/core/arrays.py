"""Archives of arrays (`.npz`) from anybody: regular files of bounded size, also unpacked, nothing unpickled."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.core.files import read_regular
from mmgen.core.limits import ARRAYS_BYTES


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an archive by name.

    Raises:
        OSError: as from `mmgen.core.files.read_regular`.
        ValueError: it is no archive of plain arrays, or too large unpacked.
    """
    data = read_regular(path, ARRAYS_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
        if unpacked > ARRAYS_BYTES:
            raise ValueError(f"unpacked it has more than {ARRAYS_BYTES >> 20} MiB, the limit for such files")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except (ValueError, OSError):
        raise
    except Exception as error:  # zipfile and numpy given hostile bytes may raise anything
        raise ValueError(str(error) or type(error).__name__) from error
