"""`python -m avatar.cli`: the worker started by the interpreter that already runs."""

import sys

from avatar.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
