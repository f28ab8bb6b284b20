"""Optional packages: what is said where one is missing, or older than pyproject.toml allows."""

import importlib.metadata
import subprocess
import sys

import pytest

from mflow.base.extras import extras, need, numbers

ARROW = """
pattern = np.eye(300, dtype=bool)
pattern[0] = pattern[:, 0] = True
mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(300), method='radau5', jac_sparsity=pattern)"""


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [
        ("scipy", "import mflow.scipy", "scipy"),
        ("scipy", ARROW, "scipy"),
        ("scipy", "mflow.modes(np.ones(3), np.eye(3))", "scipy"),
        ("numba", "mflow.compile(lambda t, y: -y)", "compile"),
        ("sympy", "mflow.compiled_from_sympy([], [])", "sympy"),
        ("sympy numba", "mflow.compiled_from_sympy([], [])", "sympy"),  # it was [compile], after which sympy was missing still
        ("matplotlib", "mflow.plot.stability_regions('rk4')", "plot"),
    ],
)
def test_missing_package_names_its_extra(module, call, extra):
    code = f"""
import builtins, sys, numpy as np, mflow
for name in [name for name in sys.modules if name.partition(".")[0] in {module!r}.split()]:
    del sys.modules[name]
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {module!r}.split():
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
{call}
"""
    words = said(code)
    assert words.startswith("ImportError: "), words
    assert words.endswith(f"which is not installed: pip install 'momentum-flow[{extra}]'")
    assert f"needs {module.split()[0]}" in words


def test_old_package_is_refused_with_its_version(monkeypatch):
    lowest = next(extra.lowest for extra in extras() if extra.package == "scipy")
    assert numbers(lowest) >= (1, 12)
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2.3" if name == "scipy" else real(name))
    with pytest.raises(ImportError, match=rf"^an old one needs scipy {lowest} or newer, got 1.2.3: pip install 'momentum-flow\[scipy\]'$"):
        need("scipy.sparse", "an old one")


def test_error_inside_an_optional_package_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "broken_optional.py").write_text("import a_package_that_it_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_it_lacks"):
        need("broken_optional", "a test")


def test_packages_of_developers_are_not_named():
    assert {extra.extra for extra in extras()}.isdisjoint({"bench", "dev", "docs", "test"})
    assert [(extra.package, extra.lowest) for extra in extras() if extra.extra == "learn"] == [("scikit-learn", "1.6")]
