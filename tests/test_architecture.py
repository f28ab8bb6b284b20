"""The house stands as designed: imports point downward, numpy alone is needed, nothing derived is out of date."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from mflow_core import registry
from mflow_core._levels import LEVELS, LIBRARIES

import mflow
from support.places import ROOT

PACKAGE = ROOT / "python" / "mflow"
CORE = ROOT / "src" / "mflow_core"


# Each folder imports folders of lower floors alone, from the top down. A file's folder is its layer; what stands beside the folders is
# the public face, which may import them all and which none of them may import.
FLOORS = (
    ("cli",),
    ("plot",),
    ("adapters", "experiments"),
    ("explaining",),
    ("analysis", "equations", "prepared"),
    ("fitting", "vibration"),
    ("dynamics", "optimize"),
    ("integrate",),
    ("problems", "structures", "training"),
    ("course", "curvature", "implicit"),
    ("walls",),
    ("stability",),
    ("data", "optim", "solvers", "spectra"),
    ("derivatives", "saving"),
    ("base",),
)
FACES = {"__init__", "__main__", "schedules", "objectives", "scipy", "torch", "nonlinear", "testproblems"}

# The same for the core, where some files at the top are public ground: types, registry.
CORE_FLOORS = (
    ("abi", "config", "pyinstaller"),
    ("api",),
    ("host_descents", "prepared"),
    ("implicit", "lanes"),
    ("fitting", "optimize"),
    ("dynamics", "paths"),
    ("stepping",),
    ("events", "solvers", "objectives"),
    ("registry",),
    ("directions", "methods"),
    ("problems",),
    ("pool",),
    ("arithmetic",),
    ("cpu", "owner", "types"),
    ("_levels",),
)


def imported_names(tree, *packages):
    """(module, name) of every import of these packages in a syntax tree, those inside functions and by import_module included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in packages:
            for alias in node.names:
                yield node.module, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in packages:
                    yield alias.name, ""
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            given = node.args[0]
            text = given.value if isinstance(given, ast.Constant) else given.values[0].value if isinstance(given, ast.JoinedStr) else ""
            if str(text).split(".")[0] in packages:
                yield str(text), ""


def place(module, name=""):
    """The folder of a module, or the name of a file at the top."""
    parts = [part for part in (*module.split("."), name) if part]
    return parts[1] if len(parts) > 1 else "__init__"


@functools.cache
def imports_of(path):
    """(module, name) of every import of mflow or mflow_core in a file."""
    return list(imported_names(ast.parse(path.read_text()), "mflow", "mflow_core"))


def python_imports():
    """(file, folder or file at the top that it stands in, what it imports) of every import of mflow in mflow."""
    for path in PACKAGE.rglob("*.py*"):
        if path.suffix not in (".py", ".pyi"):
            continue
        relative = path.relative_to(PACKAGE)
        here = relative.parts[0] if len(relative.parts) > 1 else path.stem
        for module, name in imports_of(path):
            if module.split(".")[0] == "mflow":
                yield relative.as_posix(), here, place(module, name)


def test_the_folders_are_the_layers():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == {name for floor in FLOORS for name in floor}
    assert {path.stem for path in PACKAGE.glob("*.py")} == FACES
    core = {path.parent.name for path in CORE.glob("*/__init__.py")} | {path.stem for path in CORE.glob("*.pyx")}
    core |= {path.stem for path in CORE.glob("*.pxd")} | {path.stem for path in CORE.glob("*.py")}
    assert core - {"__init__", "_levels"} == {name for floor in CORE_FLOORS for name in floor} - {"_levels"}


UPWARD = {"base/result.py imports analysis"}  # results have their analyses as methods, which load them when they are called


def test_python_imports_point_downward():
    floor_of = {name: k for k, floor in enumerate(FLOORS) for name in floor}
    wrong = []
    for path, here, other in python_imports():
        if here in FACES or here == other:
            continue
        if other not in floor_of:  # a name of the face, or one of the faces: the command alone looks at the library as its users do
            if here != "cli":
                wrong.append(f"{path} imports {other} from the face")
        elif floor_of[other] <= floor_of[here]:
            wrong.append(f"{path} imports {other}")
    assert set(wrong) == UPWARD


def cython_imports():
    """(file, folder, what it imports) of every import and cimport of mflow_core in the core."""
    for path in [*CORE.rglob("*.pyx"), *CORE.rglob("*.pxd"), *CORE.rglob("*.py")]:
        relative = path.relative_to(CORE)
        here = relative.parts[0] if len(relative.parts) > 1 else path.stem
        text = path.read_text()
        found = re.findall(r"^[ ]*(?:from|cimport|import) mflow_core\.([\w.]+)", text, re.M)
        for line in re.findall(r"^[ ]*from mflow_core (?:c?import) ([^#\n]+)$", text, re.M):
            found += [name.split(" as ")[0].strip(" ()") for name in line.split(",")]
        found += re.findall(r"import_module\(f?[\"']mflow_core\.([\w.]+)", text)
        for other in found:
            yield relative.as_posix(), here, other.split(".")[0]


def test_cython_imports_point_downward():
    floor_of = {name: k for k, floor in enumerate(CORE_FLOORS) for name in floor}
    wrong = []
    for path, here, other in cython_imports():
        # the registry and the core's own start read the compiled families; no source stands there to be seen
        if here not in ("__init__", other) and other in floor_of and floor_of[other] <= floor_of[here]:
            wrong.append(f"{path} imports {other}")
        assert other in floor_of or other.startswith("get_include"), f"{path} imports {other}, which stands nowhere"
    assert not wrong


def test_the_checks_of_imports_see_what_they_should():
    """What each kind of import looks like to them: a check that sees nothing finds nothing."""
    tree = ast.parse(
        """
from mflow import plot
import mflow.base.pace
def f():
    from mflow.cli import commands
    import_module("mflow.analysis.basins")
    importlib.import_module(f"mflow.{name}")
"""
    )
    assert [place(*found) for found in imported_names(tree, "mflow")] == ["plot", "base", "cli", "analysis", "__init__"]


def test_mflow_never_imports_a_family():
    for path in PACKAGE.rglob("*.py"):
        assert not any(module.startswith("mflow_core.methods") for module, _ in imports_of(path))


PUBLIC_MODULES = {"plot", "optim", "schedules", "objectives", "data", "scipy", "torch", "nonlinear", "testproblems"}


def test_the_face_shows_what_is_public_and_nothing_else():
    assert set(dir(mflow)) == set(mflow.__all__) | PUBLIC_MODULES
    assert len(mflow.__all__) == len(set(mflow.__all__))
    code = "import mflow; print(all(hasattr(mflow, name) for name in (*mflow.__all__, 'data', 'nonlinear', 'testproblems')))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "True"


def test_no_public_name_is_both_a_module_and_something_else():
    """Every module of the package is imported: none of them takes the place of a function or class of the face."""
    for path in PACKAGE.rglob("*.py"):
        parts = ("mflow", *path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] not in ("__main__", "__init__") and parts[1] not in ("adapters", "scipy", "torch"):
            importlib.import_module(".".join(parts))
    for name in mflow.__all__:
        if name not in PUBLIC_MODULES:
            assert f"mflow.{name}" not in sys.modules, name
            assert not isinstance(getattr(mflow, name), types.ModuleType), name


# Modules of the project that a statement may load, of some 400. Each is a file that is opened and read: one more has a reason, told here.
# A stepper's six latest were parts of others: rows, legs.handover, watch.asked, short and short.runs of the core, and steps_of_dt.
# Looks at long steps (stepping.watch.longs) are one more of all that step under error control.
# All but the first two load the core's solvers: overstated and resumed, of solvers/stages, are two of their modules.
LOADED = {
    "import mflow": 3,
    "from mflow import RK4": 39,
    "from mflow import optim": 78,
    "from mflow import Stepper": 198,
    "from mflow import solve_ivp": 163,
    "from mflow import solve_dynamics": 191,
    "from mflow import minimize": 204,
}
NOT_AT_IMPORT = ("numpy.random", "numpy.polynomial", "concurrent.futures", "json", "pathlib", "scipy", "numba")
LATER_FOLDERS = (
    "adapters",
    "analysis",
    "cli",
    "data",
    "equations",
    "experiments",
    "fitting",
    "implicit",
    "plot",
    "prepared",
    "training",
    "vibration",
)


@pytest.mark.parametrize("statement", LOADED)
def test_a_program_loads_what_it_uses(statement):
    """Counted, not timed: a name is imported when it is first asked for, with what it needs alone."""
    code = f"import numpy, sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = [name for name in loaded if name.split(".")[0] in ("mflow", "mflow_core")]
    assert len(ours) <= LOADED[statement]
    assert not set(loaded) & set(NOT_AT_IMPORT)
    assert not [name for name in ours if name.startswith("mflow.") and name.split(".")[1] in LATER_FOLDERS]


# Functions of the project that a short call goes through. They are most of what it costs.
CALLED = {
    "solve_ivp(slope, (0, 1e-3), [1.0], rtol=1e-6, atol=1e-8)": 21,
    "gradient_flow(gradient, [1.0], 0.1, dt=0.1)": 18,
    "solve_dynamics(mass=1.0, stiffness=4.0, t_span=(0, 0.1), x0=[1.0], dt=0.1)": 31,
    "minimize(cost, [1.0], jac=gradient)": 36,
    "minimize(bowl, [1.0, 2.0])": 30,
    "Stepper('dopri5', slope, [1.0], rtol=1e-6, atol=1e-8)": 21,
    "optim.Adam(c)": 6,
}


@pytest.mark.parametrize("statement", CALLED)
def test_a_short_call_goes_through_few_functions(statement):
    """Counted, not timed: what is not asked for is not looked at."""
    given = {
        "slope": lambda t, y: -y,
        "gradient": lambda c: 2.0 * c,
        "cost": lambda c: c @ c,
        "c": np.zeros(3),
        "bowl": mflow.objectives.Quadratic(np.eye(2)),
    }
    code, called = compile(f"mflow.{statement}", "statement", "eval"), []

    def count(frame, event, _):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("mflow."):
            called.append(frame.f_code.co_name)

    eval(code, {"mflow": mflow}, given)  # what is worked out once is not counted
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        eval(code, {"mflow": mflow}, given)
    finally:
        sys.setprofile(before)
    assert 0 < len(called) <= CALLED[statement], called


def test_a_stepper_that_is_the_first_thing_asked_for_knows_all_its_kinds():
    code = (
        "import mflow; a = mflow.Stepper('adam', grad=lambda c: 2 * c, y0=[1.0]);"
        "b = mflow.Stepper('newmark', stiffness=1.0, x0=[1.0]); print(type(a).__name__, type(b).__name__)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == ["OptimizerStepper", "MotionStepper"]


def test_names_stand_once_for_the_run_and_once_for_type_checkers():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    seen = {
        (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module not in ("mflow", "mflow.adapters.sklearn_estimators", "mflow.base._records")
        for alias in node.names
    }
    assert seen == {(module, name) for name, module in mflow._PLACES.items()}
    for name, module in mflow._PLACES.items():
        assert getattr(mflow, name) is getattr(importlib.import_module(module), name)


def test_analyses_of_results_import_themselves():
    code = (
        "import mflow; r = mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], jac=True); print(r.certificate().verdict);"
        "print(mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0]).posedness().verdict)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == ["minimum", "well-posed"]


AT_THE_ROOT = {
    ".ci", ".github", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md",
    "LICENSE", "README.md", "SECURITY.md", "bench", "docs", "examples",
    "meson.build", "meson.options", "noxfile.py", "pyproject.toml", "python", "src", "tests", "tools",
}  # fmt: skip


def test_nothing_unmeant_lies_at_the_root():
    """What git tracks goes into the sdist; a result that somebody saved there would be shipped."""
    try:
        out = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here, or no checkout")
    found = {name.partition("/")[0] for name in out.stdout.split("\0") if name}
    assert found == AT_THE_ROOT


def test_compiled_modules_are_found_in_their_libraries():
    files = {".".join(path.relative_to(CORE).with_suffix("").parts) for path in CORE.glob("*/**/*.pyx")}
    level = re.compile("_(" + "|".join(LEVELS) + ")$")
    assert files == {level.sub("", name).removeprefix("mflow_core.").replace("._", ".") for name in LIBRARIES}
    for name, library in LIBRARIES.items():
        spec = importlib.util.find_spec(name)
        assert (spec.name, spec.origin) == (name, importlib.util.find_spec(library).origin)
    module = importlib.import_module("mflow_core.dynamics.structure")
    assert module.__name__ == "mflow_core.dynamics.structure"
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        importlib.import_module("mflow_core.dynamics.nothing")


def test_import_needs_numpy_alone():
    code = (
        "import sys, numpy; before = set(sys.modules); import mflow; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "print(' '.join(sorted(new - set(sys.stdlib_module_names) - {'mflow', 'mflow_core', 'numpy'})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Cython's own modules live in memory, and an editable install has a loader of its own
    foreign = [name for name in out.stdout.split() if "mflow" not in name and "cython" not in name]
    assert foreign == []


@pytest.mark.parametrize("level", [*registry.available_levels(), "v99"])
def test_mflow_isa_forces_a_level(level):
    out = subprocess.run(
        [sys.executable, "-c", "import mflow_core; print(mflow_core.isa())"],
        capture_output=True, text=True, check=False, env={**os.environ, "MFLOW_ISA": level},
    )  # fmt: skip
    if level in registry.available_levels():
        assert out.stdout.strip() == level
    else:
        assert out.returncode != 0
        assert "MFLOW_ISA='v99'" in out.stderr
        assert registry.LEVEL in out.stderr


def test_stubs_are_up_to_date():
    out = subprocess.run([sys.executable, str(ROOT / "tools" / "make_stubs.py"), "--check"], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr


def test_every_row_says_what_it_is():
    for row in registry.records():
        assert row.formula, row.name
        assert row.doc.endswith("."), row.name
        assert re.search(r"\b(1[6-9]|20)\d\d\b", row.reference), f"{row.name}: the reference has no year"
        assert row.vectors[: row.sizes()["n_vis"]], row.name
        assert all(entry[-1] for entry in row.parameters_), f"{row.name}: a parameter without a word"


def test_names_are_unique():
    names = [name for row in registry.records() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    classes = [row.class_name for row in registry.records()]
    assert len(classes) == len(set(classes))


def test_every_row_has_its_class():
    for row in registry.records():
        owner = mflow.optim if row.kind == "update" else mflow
        assert row.formula in getattr(owner, row.class_name).__doc__ or row.class_name == "SGD"


def test_no_room_is_crowded():
    for folder in (PACKAGE, CORE, ROOT / "tests", ROOT / "bench", ROOT / "tools"):
        for path in [*folder.rglob("*.py"), *folder.rglob("*.pyx"), *folder.rglob("*.pxd")]:
            assert len(path.read_text().splitlines()) <= 600, path.name
    for folder in [*PACKAGE.glob("*/"), *CORE.glob("*/")]:
        modules = {path.stem for path in folder.glob("*.py*")} - {"__init__"}
        assert len(modules) <= 12, f"{folder.name} has {len(modules)} modules: split it by meaning"
