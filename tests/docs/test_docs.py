"""What the README and the docstrings say runs."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest

from support.places import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
PACKAGE = ROOT / "python" / "mflow"
FILES = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py") if path.stem not in ("__main__", "__init__")]
MODULES = sorted(".".join(path.parts) for path in FILES)
NEEDED = {
    "sklearn_estimators": "sklearn", "torch_cohorts": "torch", "torch_optimizers": "torch", "torch": "torch",
    "compiled": "numba", "symbolic": "sympy",
}  # fmt: skip


def test_readme_has_its_parts():
    assert len(BLOCKS) >= 6
    assert README.count("\n") <= 150
    assert len(re.findall(r"^python3 -m venv ", README, re.M)) == 2


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_readme_block_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"README block {number + 1}", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name):
    if name.rpartition(".")[2] in NEEDED:
        pytest.importorskip(NEEDED[name.rpartition(".")[2]])
    module = importlib.import_module(f"mflow.{name}")
    assert doctest.testmod(module).failed == 0
