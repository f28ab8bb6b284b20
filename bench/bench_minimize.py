"""L-BFGS against SciPy's L-BFGS-B and a plain C twin: evaluations to a gradient of 1e-5, the time of an iteration, calls from Python.

Evaluations are no times: their lines in the table have counts in the places of nanoseconds. The time of an iteration is that of the core's
descent without the objective's own, which is measured beside it and taken off.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core.optimize import line_descent
from mflow_core.problems.problem import objective_problem
from mflow_core.problems.signatures import OBJECTIVE_SIGNATURE, compiled_address

import mflow
from mflow.problems.mgh import mgh_names

if TYPE_CHECKING:
    from conftest import Bench

HERE = Path(__file__).resolve().parent
EVALUATIONS = 1.1
AN_ITERATION = 500.0  # ns at n = 10
AGAINST_C = 1.15
OF_SCIPYS_TIME = 0.5
POINTER, SIZE = ctypes.c_void_p, ctypes.c_ssize_t


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    out = load_c("descent.c")
    out.twin_evaluate.argtypes = [POINTER, POINTER, POINTER, POINTER, SIZE, SIZE]
    out.twin_new.argtypes, out.twin_new.restype = [POINTER, POINTER, POINTER, SIZE, SIZE], POINTER
    out.twin_iterate.argtypes, out.twin_iterate.restype = [POINTER, POINTER, POINTER, SIZE], ctypes.c_double
    out.twin_free.argtypes, out.twin_free.restype = [POINTER], None
    return out


def costs() -> dict[str, Any]:
    """Compiled costs by name."""
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {f"Rosenbrock {n}": mflow.objectives.Rosenbrock(n) for n in (2, 50, 1000)}
    X, w = rng.normal(size=(500, 20)), rng.normal(size=20)
    y = (rng.random(500) < 1 / (1 + np.exp(-X @ w))).astype(float)
    made["logistic, scaled"] = mflow.objectives.Logistic(X, y, l2=1e-3)
    made["logistic, raw"] = mflow.objectives.Logistic(X * 10 ** rng.uniform(-2, 3, 20) + 10 ** rng.uniform(-1, 2, 20), y, l2=1e-3)
    for n in (10, 100, 1000):
        Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
        A = (Q * np.logspace(0, 4, n)) @ Q.T
        made[f"quadratic {n}, condition 1e4"] = mflow.objectives.Quadratic((A + A.T) / 2, rng.normal(size=n))
    return made


def counted(f: Any) -> tuple[int, int, bool]:
    """Evaluations of ours and of SciPy's, and whether both reached the gradient."""
    optimize = pytest.importorskip("scipy.optimize")
    x0 = np.array(f.x0)
    ours = mflow.minimize(f, x0, gtol=1e-5, maxiter=50_000)
    options = {"gtol": 1e-5, "ftol": 0.0, "maxiter": 50_000, "maxfun": 500_000}
    theirs = optimize.minimize(f.value_and_grad, x0, jac=True, method="L-BFGS-B", options=options)
    return ours.nfev, theirs.nfev, ours.success and float(np.max(np.abs(theirs.jac))) <= 1e-5


def count_line(bench: Bench, what: str, ours: float, theirs: float) -> None:
    mine, peers = bench.Quartiles(ours, ours, ours), bench.Quartiles(theirs, theirs, theirs)
    bench.line(bench.Line(what, mine, "SciPy L-BFGS-B", peers, EVALUATIONS))


def test_evaluations(bench: Bench) -> None:
    for name, f in costs().items():
        ours, theirs, _ = counted(f)
        count_line(bench, f"evaluations, {name}", ours, theirs)
    found = [counted(mflow.objectives.mgh(name)) for name in mgh_names()]
    both = [pair for *pair, reached in found if reached]
    count_line(bench, f"evaluations, the {len(both)} of {len(found)} MGH that both solve", *np.sum(both, axis=0))
    bench.show(lambda count: [mflow.minimize(mflow.objectives.Rosenbrock(2), [-1.2, 1.0]) for _ in range(count)])


def descent(f: Any, x0: Any, name: str = "lbfgs") -> Any:
    record = mflow.get_method(name).record
    return line_descent.LineDescent(record, objective_problem(f, None, x0.shape), x0, line_descent.KINDS["strong_wolfe"], {}, {})


@pytest.mark.parametrize("name", ["lbfgs", "bfgs", "cg"])
def test_an_iteration_in_ten_dimensions(name: str, bench: Bench, library: ctypes.CDLL) -> None:
    f, iterations = mflow.objectives.Rosenbrock(10), 50
    x0, g = np.tile([-1.2, 1.0], 5), np.empty(10)
    fun, ctx = compiled_address(f, "fun", OBJECTIVE_SIGNATURE)
    net, whole = [], []
    for _ in range(31):
        runs = [descent(f, x0, name) for _ in range(100)]
        began = time.perf_counter_ns()
        for run in runs:
            run.advance(iterations, 0.0)
        took = (time.perf_counter_ns() - began) / 100
        began = time.perf_counter_ns()
        library.twin_evaluate(fun, ctx, x0.ctypes.data, g.ctypes.data, 10, 20_000)
        cost = (time.perf_counter_ns() - began) / 20_000
        net.append((took - cost * runs[0].nfev) / runs[0].k)
        whole.append(took / runs[0].k)
    bench.line(bench.Line(f"an iteration of {name}, n = 10, without the cost", bench.Quartiles.of(net), "", None, None, AN_ITERATION))
    bench.line(bench.Line(f"an iteration of {name}, n = 10, with it", bench.Quartiles.of(whole), "", None))
    bench.show(lambda count: [descent(f, x0, name).advance(iterations, 0.0) for _ in range(count)])


def test_an_iteration_in_a_million_dimensions(bench: Bench, library: ctypes.CDLL) -> None:
    n = 1_000_000
    x0, g = np.linspace(0.0, 3.0, n), np.empty(n)
    fun = ctypes.cast(library.twin_bowl, POINTER).value
    double = ctypes.POINTER(ctypes.c_double)
    run = descent(ctypes.CFUNCTYPE(ctypes.c_int, double, double, double, SIZE, POINTER)(fun), x0)
    twin = library.twin_new(fun, None, x0.ctypes.data, n, 10)
    run.advance(12, 0.0)
    library.twin_iterate(twin, fun, None, 12)
    ours, theirs = [], []
    for _ in range(9):
        began = time.perf_counter_ns()
        library.twin_evaluate(fun, None, x0.ctypes.data, g.ctypes.data, n, 4)
        cost = (time.perf_counter_ns() - began) / 4
        k, evaluations = run.k, run.nfev
        began = time.perf_counter_ns()
        run.advance(4, 0.0)
        ours.append((time.perf_counter_ns() - began - cost * (run.nfev - evaluations)) / (run.k - k))
        began = time.perf_counter_ns()
        library.twin_iterate(twin, fun, None, 4)
        theirs.append((time.perf_counter_ns() - began) / 4 - cost)
    library.twin_free(twin)
    what = "an iteration of lbfgs, n = 1e6, without the cost"
    bench.line(bench.Line(what, bench.Quartiles.of(ours), "C, two loops", bench.Quartiles.of(theirs), AGAINST_C))
    bench.show(lambda count: run.advance(count, 0.0))


@pytest.mark.parametrize("n", [2, 50])
def test_a_cost_in_python(n: int, bench: Bench) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x0 = np.tile([-1.2, 1.0], n // 2)

    def fun(x: Any) -> Any:
        return optimize.rosen(x), optimize.rosen_der(x)

    def light(x: Any) -> Any:
        r = x - 1.0
        return float(r @ r), 2.0 * r

    for name, cost in (("Rosenbrock", fun), ("|x - 1|^2", light)):
        functions = {
            "mflow": lambda count, cost=cost: [mflow.minimize(cost, x0, jac=True, gtol=1e-5) for _ in range(count)],
            "SciPy L-BFGS-B": lambda count, cost=cost: [
                optimize.minimize(cost, x0, jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 0.0}) for _ in range(count)
            ],
        }
        bench.compare(f"minimize, {name} in Python, n = {n}", functions, {"SciPy L-BFGS-B": OF_SCIPYS_TIME}, rounds=11, seconds=2e-2)
