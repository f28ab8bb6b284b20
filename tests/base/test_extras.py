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


ASKED = [  # (the packages that are missing, what asks for one of them, the extra that has it)
    ("scipy", "import mflow.scipy", "scipy"),
    ("scipy", ARROW, "scipy"),
    ("scipy", "mflow.modes(np.ones(3), np.eye(3))", "scipy"),
    ("numba", "mflow.compile(lambda t, y: -y)", "compile"),
    ("sympy", "mflow.compiled_from_sympy([], [])", "sympy"),
    ("sympy numba", "mflow.compiled_from_sympy([], [])", "sympy"),  # it was [compile], after which sympy was missing still
    ("matplotlib", "mflow.plot.stability_regions('rk4')", "plot"),
]
WITHOUT = f"""
import sys, numpy as np, mflow
class Missing:
    names = []
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
for packages, call, _ in {ASKED!r}:
    Missing.names = packages.split()
    assert not [name for name in sys.modules if name.partition(".")[0] in Missing.names], packages
    try:
        exec(call)
        print("no error")
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.fixture(scope="module")
def answers() -> list[str]:
    """What each of ASKED says, in one process that has loaded none of these packages."""
    out = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == len(ASKED)
    return out


@pytest.mark.parametrize(("number", "module", "call", "extra"), [(k, *asked) for k, asked in enumerate(ASKED)])
def test_missing_package_names_its_extra(answers, number, module, call, extra):
    words = answers[number]
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


def test_new_package_is_refused_with_its_version(monkeypatch, tmp_path):
    (tmp_path / "sksparse.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.5.1")
    with pytest.raises(ImportError, match=r"^a new one needs scikit-sparse below 0.5, got 0.5.1: pip install 'momentum-flow\[cholesky\]'$"):
        need("sksparse", "a new one")
    sys.modules.pop("sksparse")


def test_error_inside_an_optional_package_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "broken_optional.py").write_text("import a_package_that_it_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_it_lacks"):
        need("broken_optional", "a test")


def test_packages_of_developers_are_not_named():
    assert {extra.extra for extra in extras()}.isdisjoint({"bench", "dev", "docs", "test"})
    assert [(extra.package, extra.lowest) for extra in extras() if extra.extra == "learn"] == [("scikit-learn", "1.6")]


WITH_NUMPY_ALONE = """
import doctest, importlib, os, pkgutil, sys, warnings
os.chdir({folder!r})
sys.modules.update(dict.fromkeys({packages!r}))  # None: not to be imported
import mflow
shown, asked = set(), 0
class Runner(doctest.DocTestRunner):
    def report_unexpected_exception(self, out, test, example, told):
        global asked
        error, here = told[1], told[2]
        while here.tb_next is not None:
            here = here.tb_next
        if isinstance(error, ImportError) and not here.tb_frame.f_code.co_filename.startswith("<doctest"):  # its own imports are its own
            asked += 1
            if "pip install" not in str(error):
                print(f"{{test.name}}: {{error!r}}", file=sys.__stdout__)
for module in pkgutil.walk_packages(mflow.__path__, "mflow."):
    if module.name.startswith(("mflow.adapters.", "mflow.cli", "mflow.__main__")) or module.name in ("mflow.scipy", "mflow.torch"):
        continue  # each needs its package whole; test_missing_package_names_its_extra
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module.name)):
        if test.name not in shown:
            shown.add(test.name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Runner().run(test, out=lambda text: None)
print(asked)
"""


def test_every_example_that_needs_a_package_says_what_to_install(tmp_path):
    packages = (
        "autograd",
        "dask",
        "jax",
        "joblib",
        "matplotlib",
        "mpi4py",
        "numba",
        "obspy",
        "pandas",
        "PIL",
        "scipy",
        "sklearn",
        "sksparse",
    )
    code = WITH_NUMPY_ALONE.format(folder=str(tmp_path), packages=(*packages, "sympy", "torch", "tqdm"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *bare, asked = run.stdout.splitlines()
    assert bare == []
    assert int(asked) > 20
