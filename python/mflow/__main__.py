# PYTHON_ARGCOMPLETE_OK
"""`python -m mflow` and the installed command `mflow`."""

from __future__ import annotations

import sys

from mflow.cli.commands import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
