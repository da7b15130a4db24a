"""Puts weights into the package: `python -m mmgen.bundled runs/NAME/checkpoints/averaged.safetensors`."""

import sys
from pathlib import Path

from mmgen.bundled import PEOPLE_FILE
from mmgen.core.errors import FatalError
from mmgen.models.weights import save_halved

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        save_halved(Path(sys.argv[1]), PEOPLE_FILE)
    except FatalError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
