"""Bundled photos of procedural people, with masks beside them."""

from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parent
