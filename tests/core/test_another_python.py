"""The core under a Python that it was not built for: the error names both, in place of a module that is not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import mflow_core

FILES = ("api", "_problems")  # a module of its own, and a library of several
BUILT = "cpython-399-some-linux-gnu"


def test_both_pythons_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "mflow_core"
    folder.mkdir()
    shutil.copy(mflow_core.__file__, folder / "__init__.py")
    (folder / "_levels.py").write_text('LIBRARIES = {"mflow_core.problems.problem": "mflow_core._problems"}\nVERSION = "1"\n')
    (folder / "problems").mkdir()
    (folder / "problems" / "__init__.py").write_text("")
    for name in FILES:
        (folder / f"{name}.{BUILT}.so").write_text("")
    for line in ("import mflow_core.api", "from mflow_core.problems import problem", "import mflow_core.nothing"):
        program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{line}"
        told = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False, timeout=60).stderr
        if "nothing" in line:
            assert told.endswith("ModuleNotFoundError: No module named 'mflow_core.nothing'\n")
            continue
        assert f"was built for {BUILT}, and this is {sys.implementation.cache_tag}, {sys.executable}: install" in told


def test_the_command_says_it_in_one_line() -> None:
    program = "import sys; sys.modules['mflow_core.registry'] = None; from mflow.__main__ import main; sys.exit(main(['doctor']))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("mflow: error: this installation cannot be used: ")
    assert ended.stderr.count("\n") == 1
