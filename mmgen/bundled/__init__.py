"""Weights inside the package: what `mmgen reconstruct` uses when the user names none."""

from pathlib import Path

PEOPLE_FILE = Path(__file__).with_name("people.safetensors")


def bundled_weights_path() -> Path | None:
    """The bundled weights of the person networks; None in a build without them."""
    return PEOPLE_FILE if PEOPLE_FILE.is_file() else None
