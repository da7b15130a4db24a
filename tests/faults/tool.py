"""The command `mmgen` as users run it, but with a reconstructor that costs nothing; faults then take no minutes.

Environment: FAULT_SECONDS, what each photo takes; FAULT_NOW, what the clock says instead of the time.
"""

import os
import sys

from fakes import FakeReconstructor

import mmgen.reconstruction.job
import mmgen.reconstruction.options
from mmgen.cli.main import main
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.reconstruction.planning import peak_memory_bytes


def build(options: ReconstructOptions) -> FakeReconstructor:
    """In the place of `mmgen.reconstruction.options.build_reconstructor`."""
    if now := os.environ.get("FAULT_NOW"):
        mmgen.reconstruction.job.utc_now = lambda: now
    return FakeReconstructor(float(os.environ.get("FAULT_SECONDS", "0")))


if __name__ == "__main__":
    mmgen.reconstruction.options.build_reconstructor = build
    code = main()
    if sys.argv[-1] == "--json":
        sys.stderr.write(f"peak memory {peak_memory_bytes()}\n")
    sys.exit(code)
