"""Weights inside the package: what `mmgen reconstruct` uses when the user names none."""

import os
from pathlib import Path

from mmgen.core.errors import FatalError

BUNDLED = "bundled"
"""What a user types for the weights inside the package; a file of that name is `./bundled`."""

PEOPLE_FILE = Path(__file__).with_name("people.safetensors")


def bundled_weights_path() -> Path | None:
    """The bundled weights of the person networks; None in a build without them."""
    return PEOPLE_FILE if PEOPLE_FILE.is_file() else None


def required_weights(named: str | os.PathLike[str] | None = None) -> Path:
    """The named weights; the bundled ones where none are named, or "bundled".

    Raises:
        FatalError: `weights_missing`, if these are wanted and this build has none.
    """
    if named is not None and os.fspath(named) != BUNDLED:
        return Path(named)
    found = bundled_weights_path()
    if found is None:
        raise FatalError(
            "weights_missing", "this build of mmgen has no bundled weights", "Name a weights file, or train one."
        )
    return found
