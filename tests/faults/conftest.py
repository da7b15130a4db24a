"""What the fault tests share with the tests of the package: a reconstructor that costs nothing."""

import os
from pathlib import Path

HELPERS = str(Path(__file__).parents[1] / "support")

# Processes that are started anew, Ray's among them, look for modules here.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (HELPERS, os.environ.get("PYTHONPATH"))))
