"""What the fault tests share with the tests of the package: a reconstructor that costs nothing."""

import os
import sys
from pathlib import Path

HELPERS = str(Path(__file__).parents[1] / "mmgen")

sys.path.insert(0, HELPERS)
# Processes that are started anew, Ray's among them, look for modules here.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (HELPERS, os.environ.get("PYTHONPATH"))))
