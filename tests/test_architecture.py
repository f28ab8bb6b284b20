"""The house stands as designed: imports point downward, numpy alone is needed, nothing derived is out of date."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mflow_core import registry

import mflow

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "mflow"
CORE = ROOT / "src" / "mflow_core"


def python_imports():
    """Which modules of mflow each module of mflow imports when it is imported itself."""
    names = {path.stem for path in PACKAGE.glob("*.py")}
    graph = {}
    for path in PACKAGE.glob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".")
                if parts[0] == "mflow":
                    found |= {parts[1]} if len(parts) > 1 else {a.name if a.name in names else "__init__" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("mflow.")}
        graph[path.stem] = found & names
    return graph


# From the ground up; a module may import from the layers below its own alone.
LAYERS = (
    {"arrays", "compiled", "nist", "pace", "palette", "result", "savefile", "testvalues"},
    {
        "control",
        "data",
        "dense",
        "effective",
        "findings",
        "ground_motion",
        "krylov",
        "methods",
        "mgh",
        "order",
        "schedules",
        "symbolic",
        "testproblems",
        "userfile",
    },
    {
        "conditions",
        "feeds",
        "implicit_sgd",
        "limits",
        "linesearch",
        "load_tables",
        "modes",
        "nonlinear",
        "objectives",
        "optim",
        "records",
        "robust",
        "tangents",
    },
    {"line_descent", "momentum", "stability", "torch", "trainer"},
    {"endings", "facts", "oscillation", "quadratic", "region", "spectrum", "train_compiled"},
    {"drive"},
    {"motion"},
    {"dynamics", "estimators", "flow", "ivp", "least_squares", "minimize", "posedness", "stepper", "train"},
    {"ensemble", "scipy_minimizers"},
    {"batch", "convergence", "minimize_batch", "scipy"},
    {"basins", "compare", "consistency", "explain", "families"},
    {"sweep"},
    {
        "plot_dynamics",
        "plot_fields",
        "plot_losses",
        "plot_motion",
        "plot_orders",
        "plot_paths",
        "plot_regions",
        "plot_training",
        "workprecision",
    },
    {"adam", "plot", "simulate"},
    {"stability_command"},
    {"explain_command"},
    {"cli"},
    {"__init__", "__main__"},
)


def test_python_imports_point_downward():
    graph = python_imports()
    rank = {name: k for k, layer in enumerate(LAYERS) for name in layer}
    assert set(rank) == set(graph), "a module has no layer yet, or is gone"
    for name, imported in graph.items():
        for other in imported - {"__init__"}:  # `from mflow import stability` imports the module, not the package's face
            assert rank[other] < rank[name], f"{name} imports {other}"


def cython_imports():
    graph = {}
    for path in [*CORE.glob("*.pyx"), *CORE.glob("*.pxd")]:
        text = path.read_text()
        found = set(re.findall(r"^from mflow_core\.(\w+) cimport", text, re.M))
        for line in re.findall(r"^from mflow_core (?:c?import) (.+)$", text, re.M):
            found |= {name.strip() for name in line.split(",")}
        graph.setdefault(path.stem, set()).update(found - {path.stem})
    return graph


def assert_no_loop(graph):
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a loop: {' -> '.join([*path, name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(graph.get(name, ())):
            visit(other)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


def test_python_imports_have_no_loop():
    graph = python_imports()
    assert len(graph) > 8
    assert_no_loop({name: imported for name, imported in graph.items() if name != "__main__"})


def test_cython_imports_have_no_loop():
    graph = cython_imports()
    assert {"vec", "types", "tableau"} <= graph["runge_kutta"]
    assert_no_loop(graph)


def test_families_see_the_ground_alone():
    graph = cython_imports()
    for family in registry.FAMILIES:
        assert graph[family] <= {"types", "vec", "scalars", "tableau", "elementwise", "losses", "dot"}, family


def test_mflow_never_imports_a_family():
    for path in PACKAGE.glob("*.py"):
        for family in registry.FAMILIES:
            assert not re.search(rf"mflow_core[. ]+(import )?_?{family}\b", path.read_text()), path.name


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
    for row in registry.rows():
        assert row.formula, row.name
        assert row.doc.endswith("."), row.name
        assert re.search(r"\b(1[6-9]|20)\d\d\b", row.reference), f"{row.name}: the reference has no year"
        assert row.vectors[: row.sizes()["n_vis"]], row.name
        assert all(entry[-1] for entry in row.parameters_), f"{row.name}: a parameter without a word"


def test_names_are_unique():
    names = [name for row in registry.rows() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    classes = [row.class_name for row in registry.rows()]
    assert len(classes) == len(set(classes))


def test_every_row_has_its_class():
    for row in registry.rows():
        owner = mflow.optim if row.kind == "update" else mflow
        assert row.formula in getattr(owner, row.class_name).__doc__ or row.class_name == "SGD"


def test_no_file_is_crowded():
    for folder, pattern in ((PACKAGE, "*.py"), (CORE, "*.py*"), (ROOT / "tests", "*.py"), (ROOT / "bench", "*.py")):
        for path in folder.glob(pattern):
            assert len(path.read_text().splitlines()) <= 660, path.name
