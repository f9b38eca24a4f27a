"""`python -m gflow`: the same command line as `gflow`."""

import sys

from gflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
