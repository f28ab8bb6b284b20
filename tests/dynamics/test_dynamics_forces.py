"""Runs of second-order methods on forces that are not linear: Newton's iteration, orbits, callbacks, error control.

Oracles: closed forms, SciPy's DOP853. Every list of methods comes from the registry.
"""

import ctypes
import itertools
import math
import subprocess
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from mflow_core.dynamics import force, structure
from mflow_core.solvers.solver import Solver
from mflow_core.stepping.energy.energies import Energies
from mflow_core.stepping.rows import Rows
from test_dynamics_core import CASES, POTENTIAL, RECORDS, RESIDUAL, plain, run_of

import mflow
from support.motion import Array
from support.problems import Boom

KEPLER = b"""
#include <stddef.h>
#include <math.h>
int kepler(double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx) {
  double r2 = x[0] * x[0] + x[1] * x[1], s = -1.0 / (r2 * sqrt(r2));
  f[0] = s * x[0]; f[1] = s * x[1]; return 0; }
int potential(double t, const double *x, double *value, ptrdiff_t n, void *ctx) {
  *value = -1.0 / sqrt(x[0] * x[0] + x[1] * x[1]); return 0; }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Kepler's force and potential as ctypes functions."""
    import shutil

    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    folder = tmp_path_factory.mktemp("force")
    (folder / "force.c").write_bytes(KEPLER)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", str(folder / "force.c"), "-o", str(folder / "force.so"), "-lm"], check=True)
    library, real, pointer = ctypes.CDLL(str(folder / "force.so")), ctypes.c_double, ctypes.POINTER(ctypes.c_double)
    library.kepler.argtypes = [real, pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p]
    library.potential.argtypes = [real, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p]
    library.kepler.restype = library.potential.restype = ctypes.c_int
    return library


def test_kepler_orbits_do_not_grow(compiled: Any) -> None:
    """e = 0.5, 1000 orbits of 200 steps: energy and angular momentum after every orbit."""
    problem = force.Force(compiled.kepler, (2,), potential=compiled.potential, velocity_free=True)
    assert problem.compiled
    run = run_of("leapfrog", problem, [0.5, 0.0], [0.0, math.sqrt(3.0)], 2 * math.pi / 200)
    assert Energies(run).keep() == 0
    energies = []
    for _ in range(1000):
        assert run.fixed(200) == 0
        x, v = run.y, run.vector(1)
        assert x[0] * v[1] - x[1] * v[0] == pytest.approx(0.5 * math.sqrt(3.0), rel=1e-11)
        energies.append(Energies(run).now()[:2].sum() + 0.5)
    first, last = np.abs(energies[:100]).max(), np.abs(energies[-100:]).max()
    assert 1e-5 < last < 1.5 * first


@pytest.mark.parametrize("gamma", [0.5, 0.7])
def test_work_of_a_force_without_a_potential(gamma: float) -> None:
    """The work of M a closes with the kinetic energy for any force."""
    problem = force.Force(
        lambda t, x, v: -np.sin(x) - 0.1 * v * np.abs(v) + math.cos(t), (2,), mass=[[2.0, 0.5], [0.5, 1.0]], solver=Solver("dense")
    )
    run = run_of("newmark", problem, [2.0, 1.0], [0.0, 1.0], 0.05, {"beta": 0.3, "gamma": gamma})
    Energies(run).keep()
    assert run.fixed(2000) == 0
    book = Energies(run).now()
    assert book[POTENTIAL] == 0.0
    assert abs(book[RESIDUAL]) < 1e-12


# ---- forces --------------------------------------------------------------------------------------------------------------


def pendulum(t: float, x: Array, v: Array) -> Array:
    return -np.sin(x) - 0.2 * v + 0.3 * math.cos(t)


def pendulum_exact(x0: Array, v0: Array, t: float) -> Array:
    n = len(x0)
    solution = scipy.integrate.solve_ivp(
        lambda s, y: np.concatenate([y[n:], pendulum(s, y[:n], y[n:])]), (0, t), [*x0, *v0], "DOP853", rtol=1e-12, atol=1e-13
    )
    return solution.y[:, -1]


@pytest.mark.parametrize(("record", "par"), [case for case in CASES if case.values[0].stages == 1])  # others: test_higher_order.py
def test_nonlinear_orders(record: Any, par: dict[str, float]) -> None:
    x0, v0 = np.array([1.0, -2.0]), np.array([0.5, 0.3])
    exact, errors = pendulum_exact(x0, v0, 2.0), []
    for steps in (200, 400):
        run = run_of(record, force.Force(pendulum, (2,), solver=Solver("dense")), x0, v0, 2.0 / steps, par)
        assert run.fixed(steps) == 0
        errors.append(np.abs(np.concatenate([run.y, run.vector(1)]) - exact).max())
    order = 1 if record.name == "velocity_verlet" else record.sizes(par)["order"]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("mass", [None, 2.0, [2.0, 1.0], [[2.0, 0.5], [0.5, 1.0]]])
@pytest.mark.parametrize("tangents", [False, True])
@pytest.mark.parametrize("name", [m.name for m in mflow.methods() if {"second_order", "implicit"} <= m.flags])
def test_implicit_accelerations_solve_their_equation(mass: Any, tangents: bool, name: str) -> None:
    """The residual of Newton's law at the end of every step, at 1e-12."""
    K, D = np.array([[30.0, -10.0], [-10.0, 20.0]]), np.array([[0.5, -0.1], [-0.1, 0.3]])

    def spring(t: float, x: Array, v: Array) -> Array:
        return -K @ x - 5.0 * x**3 - D @ v + math.sin(t)

    more: dict[str, Any] = {}
    if tangents:
        more = {"dfdx": lambda t, x, v: -K - np.diag(15.0 * x**2), "dfdv": -D}
    problem = force.Force(spring, (2,), mass, solver=Solver("dense", jac=tangents), **more)
    run, M = run_of(name, problem, [1.0, -0.5], [0.0, 2.0], 0.1), plain(1.0 if mass is None else mass, 2)
    for k in range(1, 30):
        assert run.fixed(1) == 0
        x, v = run.y, run.vector(1)
        if name in ("newmark", "staggered"):
            np.testing.assert_allclose(M @ run.vector(2), spring(0.1 * k, x, v), rtol=0, atol=1e-12 * 60)
    assert 1 <= problem.counters["njev"] <= 10
    assert problem.counters["niter"] <= 29 * 8 * mflow.get_method(name).stages


def test_compiled_forces_have_the_bits_of_python_ones(compiled: Any) -> None:
    for record in RECORDS:
        ends = []
        for function in (compiled.kepler, kepler_by_hand):
            run = run_of(record, force.Force(function, (2,), solver=Solver("dense")), [1.0, 0.0], [0.0, 1.1], 0.05)
            assert run.fixed(50) == 0
            ends.append(run.y.tobytes())
        assert len(set(ends)) == 1, record.name


def kepler_by_hand(t: float, x: Array, v: Array) -> Array:
    r2 = x[0] * x[0] + x[1] * x[1]
    s = -1.0 / (r2 * math.sqrt(r2))
    return np.array([s * x[0], s * x[1]])


def test_states_that_the_user_keeps_do_not_change() -> None:
    kept: list[tuple[Array, Array, Array, Array]] = []

    def keeps(t: float, x: Array, v: Array) -> Array:
        kept.append((x, v, x.copy(), v.copy()))
        assert not x.flags.writeable
        return -x

    run = run_of("leapfrog", force.Force(keeps, (3,)), [1.0, 2.0, 3.0], np.zeros(3), 0.1)
    assert run.fixed(20) == 0
    for x, v, x_then, v_then in kept:
        assert x.tobytes() == x_then.tobytes()
        assert v.tobytes() == v_then.tobytes()


def test_args_inplace_and_shape() -> None:
    def fills(t: float, x: Array, v: Array, out: Array, k: float) -> None:
        out[...] = -k * x

    x0, v0 = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    runs = [run_of("leapfrog", force.Force(fills, (2, 3), args=(2.0,), inplace=True), x0, v0, 0.1),
            run_of("leapfrog", force.Force(lambda t, x, v, k: -k * x, (2, 3), args=(2.0,)), x0, v0, 0.1)]  # fmt: skip
    for run in runs:
        assert run.fixed(10) == 0
    assert runs[0].y.shape == (2, 3)
    assert runs[0].y.tobytes() == runs[1].y.tobytes()


@pytest.mark.parametrize(("record", "par"), CASES)
def test_exceptions_arrive_unchanged(record: Any, par: dict[str, float]) -> None:
    calls = itertools.count()

    def fails(t: float, x: Array, v: Array) -> Array:
        if next(calls) == 7:
            raise Boom("seven")
        return -x

    run = run_of(record, force.Force(fails, (2,), solver=Solver("dense")), [1.0, 2.0], [0.0, 0.0], 0.1, par)
    with pytest.raises(Boom, match="seven"):
        run.fixed(20)
    assert 0 <= run.k < 20
    assert np.all(np.isfinite(run.y))


# ---- error control -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25, 0.5])
@pytest.mark.parametrize("gamma", [0.3, 0.5, 0.75, 1.0])
def test_adaptive_newmark_follows_the_tolerance(beta: float, gamma: float) -> None:
    """Errors of x and v fall with the tolerance over the whole plane."""
    x0, v0 = np.array([1.0, -2.0]), np.array([0.5, 0.3])
    exact, errors, steps = pendulum_exact(x0, v0, 5.0), [], []
    for tol in (1e-3, 1e-4, 1e-5):
        run = run_of("newmark", force.Force(pendulum, (2,), solver=Solver("dense")), x0, v0, parameters={"beta": beta, "gamma": gamma})
        run.control(np.array([tol]), np.array([tol]))
        assert run.begin(5.0) == 0
        assert run.adaptive(10**6, 5.0) == 0
        assert run.t == 5.0
        errors.append(np.abs(np.concatenate([run.y, run.vector(1)]) - exact).max())
        steps.append(run.k)
    # Global errors go as tol^(p/(p+1)), p the order, with local error control.
    p = 2 if gamma == 0.5 else 1
    assert errors[2] < errors[0] * 100.0 ** (-p / (p + 1) + 0.12)
    assert errors[2] < (0.02 if p == 2 else 0.1)
    assert steps[0] < steps[1] < steps[2] < 40_000


def test_tolerances_of_v_and_of_components() -> None:
    problem, steps = structure.Structure(2, 1.0, None, [1.0, 100.0]), []
    for atol, atol_v in (([1e-4, 1e-4], [1e-4, 1e-4]), ([1e-4, 1e3], [1e-4, 1e3]), ([1e3, 1e3], [1e-4, 1e-4])):
        run = run_of("newmark", problem, [1.0, 1.0], [0.0, 0.0], control=True)
        run.control(np.zeros(2), np.array(atol), rtol_v=np.zeros(2), atol_v=np.array(atol_v))
        assert run.begin(5.0) == 0
        assert run.adaptive(10**6, 5.0) == 0
        steps.append(run.k)
    assert steps[1] < 0.2 * steps[0]
    assert steps[2] == pytest.approx(steps[0], rel=0.05)  # the velocity decides: it is ten times as large


def test_adaptive_steps_follow_a_stiffening() -> None:
    """Steps shrink where the frequency grows, and grow again."""
    run = run_of(
        "newmark",
        force.Force(lambda t, x, v: -(1 + 400 * math.exp(-((t - 5) ** 2))) * x, (1,), solver=Solver("dense")),
        [1.0],
        [0.0],
    )
    run.control(np.array([1e-4]), np.array([1e-4]))
    assert run.begin(10.0) == 0
    y, t = np.empty((20_000, 3)), np.empty(20_000)
    rows = Rows(y, t, every=1)
    assert run.adaptive(10**6, 10.0, rows) == 0
    steps, middle = np.diff(t[: rows.count]), 0.5 * (t[1 : rows.count] + t[: rows.count - 1])
    assert np.median(steps[np.abs(middle - 5) < 0.5]) < 0.25 * np.median(steps[middle < 2.0])
