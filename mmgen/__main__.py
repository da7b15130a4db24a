"""`python -m mmgen`, and the entry point of the installed `mmgen` script."""

import sys

from mmgen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
