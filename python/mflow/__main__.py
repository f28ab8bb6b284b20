# PYTHON_ARGCOMPLETE_OK
"""`python -m mflow` and the installed command `mflow`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. An installation that cannot be imported, as under another Python, is told in one line."""
    try:
        from mflow.cli import commands
    except ImportError as error:
        if os.environ.get("MFLOW_TRACEBACK"):
            raise
        print(f"mflow: error: this installation cannot be used: {error}", file=sys.stderr)
        return 2
    return commands.main(argv)


if __name__ == "__main__":
    sys.exit(main())
