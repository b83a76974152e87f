"""`python -m alphacut`, the same as the command `alphacut`."""

import sys

from alphacut.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
