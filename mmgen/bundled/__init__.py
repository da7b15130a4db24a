"""Weights inside the package: what `mmgen reconstruct` uses when the user names none."""

from pathlib import Path

from mmgen.core.errors import FatalError

PEOPLE_FILE = Path(__file__).with_name("people.safetensors")


def bundled_weights_path() -> Path | None:
    """The bundled weights of the person networks; None in a build without them."""
    return PEOPLE_FILE if PEOPLE_FILE.is_file() else None


def required_weights(named: Path | None = None) -> Path:
    """The named weights, or the bundled ones.

    Raises:
        FatalError: `weights_missing`, if none are named and this build has none.
    """
    found = named or bundled_weights_path()
    if found is None:
        raise FatalError(
            "weights_missing", "this build of mmgen has no bundled weights", "Name a weights file, or train one."
        )
    return found
