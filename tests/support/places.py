"""Where things stand: the repository, its tests, and what a process of its own needs to import them."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SUPPORT = TESTS / "support"


def environment_for(test_file: str, **more: str) -> dict[str, str]:
    """The environment of a subprocess that imports `support` and the test files beside this one."""
    path = os.pathsep.join([str(TESTS), str(Path(test_file).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **more}
