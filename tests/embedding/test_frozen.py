"""PyInstaller finds our hooks, and what it freezes runs without the packages."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

APP = """
import mflow
run = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="radau5")
fit = mflow.minimize(lambda x: float((x - 1) @ (x - 1)), [3.0, 4.0])
print(run.reason, fit.reason, mflow.explain(lambda t, y: -y, [1.0]).method, mflow.data.load_penguins().X.shape)
"""


def test_there_is_a_hook_for_each_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, function = project["entry-points"]["pyinstaller40"]["hook-dirs"].partition(":")
    (folder,) = getattr(importlib.import_module(module), function)()
    assert {path.name for path in Path(folder).glob("hook-*.py")} == {"hook-mflow.py", "hook-mflow_core.py"}


def test_a_frozen_program_runs(tmp_path: Path) -> None:
    pytest.importorskip("PyInstaller")
    (tmp_path / "app.py").write_text(APP)
    freeze = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--exclude-module", "matplotlib", "app.py"]
    subprocess.run(freeze, cwd=tmp_path, check=True, timeout=600)
    out = subprocess.run([tmp_path / "dist/app/app"], cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True).stdout
    assert out.split(maxsplit=3) == ["finished", "converged", "dopri5", "(342, 4)\n"]
