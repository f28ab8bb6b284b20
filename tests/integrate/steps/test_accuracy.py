"""Adaptive methods keep what a tolerance promises: DETEST and stiff problems, rtol = atol = 1e-4 ... 1e-9 taken as asked.

The error is the one at the end, max |y - y_end|/(1 + |y_end|), against end values that no method of ours made (tools/reference_values.py).
Explicit pairs are compared with SciPy's pair of the same name on all 25 problems of DETEST. SciPy's errors are stored, as its steps are
slow (tools/scipy_errors.py); some of them are measured again here. SciPy has no counterpart of the implicit methods: there error over
tolerance is shown (pytest -rP).

How errors fall with the tolerance is DETEST's own statistic, a line through log error against log tolerance by least squares. It is
drawn through the mean over a class of five problems: one error at one end is the sum of terms of both signs, and where they happen to
cancel the error of one run says nothing. (SciPy's own slopes of single problems lie between 0.5 and 1.6, its slopes of classes between
0.86 and 1.19.)
"""

from __future__ import annotations

import ctypes
import json
import math
import shutil
import subprocess

import mflow_core
import numpy as np
import pytest
from scipy import integrate
from scipy.optimize import brentq

import mflow
from mflow.testproblems import get_problem, problem_names
from support.places import ROOT, SUPPORT

SCIPY = json.loads((SUPPORT / "scipy_errors.json").read_text(encoding="utf-8"))
EXPONENTS = SCIPY["about"]["exponents"]
PAIRS = {"bs32": "RK23", "dopri5": "RK45", "dop853": "DOP853"}
CLASSES = {group: problem_names(group) for group in "ABCDE"}
DETEST = [name for names in CLASSES.values() for name in names]
STIFF = ("hires", "vdp_eps", "robertson")
WORSE = 1.5
# Where stability rules the steps, which of them are accepted hangs on the last bits of their lengths, and so does an error at the end
# that is small beside the scatter between tolerances: there the mean over the tolerances is compared, not each run.
RULED_BY_STABILITY = {"C2", "C3"}
SLOPES = (0.8, 1.2)
FAR = 30.0  # error over tolerance; more is no scatter

POINTER = ctypes.POINTER(ctypes.c_double)
SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """(right-hand side, Jacobian or None) in C of a problem, by name."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    target = tmp_path_factory.mktemp("problems") / "problems.so"
    flags = ["-O2", "-ffp-contract=off", "-shared", "-fPIC", f"-I{mflow_core.get_include()}"]
    subprocess.run([compiler, *flags, str(ROOT / "bench" / "problems.c"), "-o", str(target), "-lm"], check=True)
    library = ctypes.CDLL(str(target))

    def find(name):
        symbol = "D" if name in CLASSES["D"] else name
        jac = SIGNATURE((f"j_{symbol}", library)) if hasattr(library, f"j_{symbol}") else None
        return SIGNATURE((f"f_{symbol}", library)), jac

    return find


def slope_of(logs, exponents=EXPONENTS):
    """Of a line through log10 error against log10 tolerance."""
    return float(np.polyfit([-k for k in exponents], logs, 1)[0])


@pytest.fixture(scope="module")
def errors(compiled):
    """Of an explicit pair on DETEST: {problem: errors at the tolerances}."""
    errors_of = {}

    def of(method):
        if method not in errors_of:
            errors_of[method] = {name: [solved(compiled, name, method, 10.0**-k)[0] for k in EXPONENTS] for name in DETEST}
        return errors_of[method]

    return of


def solved(compiled, name, method, tol):
    """(error at the end, result)."""
    problem = get_problem(name)
    fun, jac = compiled(name)
    more = {"jac": jac} if problem.stiff else {}
    r = mflow.solve_ivp(fun, problem.t_span, problem.y0, method, rtol=tol, atol=tol, save="last", **more)
    assert r.reason == "finished", f"{name}, {method}, {tol:g}: {r.message}"
    assert r.t[-1] == problem.t_span[1]
    return problem.error(r.y[:, -1]), r


# ---- the problems ----------------------------------------------------------------------------------------------------------------------


def states_of(problem, count=10):
    rng = np.random.default_rng(7)
    for _ in range(count):
        yield (
            rng.uniform(*problem.t_span),
            problem.y0 * (1 + 0.2 * rng.standard_normal(problem.y0.size)) + 0.1 * rng.uniform(size=problem.y0.size),
        )


@pytest.mark.parametrize("name", problem_names())
def test_formulas_agree(name, compiled):
    """Written twice, in Python and in C; the Jacobian against complex differences, which have no rounding of their own."""
    problem = get_problem(name)
    fun, jac = compiled(name)
    for t, y in states_of(problem):
        slope, out = problem.fun(t, y), np.empty_like(y)
        assert fun(t, y.ctypes.data_as(POINTER), out.ctypes.data_as(POINTER), y.size, None) == 0
        np.testing.assert_allclose(out, slope, rtol=0, atol=1e-14 * np.abs(slope).max())
        matrix = np.empty((y.size, y.size))
        for j in range(y.size):
            z = y.astype(complex)
            z[j] += 1e-30j
            matrix[:, j] = problem.fun(t, z).imag / 1e-30
        np.testing.assert_allclose(problem.jac(t, y), matrix, rtol=0, atol=1e-13 * max(np.abs(matrix).max(), 1e-300))
        if jac is not None:
            out = np.empty_like(matrix)
            assert jac(t, y.ctypes.data_as(POINTER), out.ctypes.data_as(POINTER), y.size, None) == 0
            np.testing.assert_allclose(out, matrix, rtol=0, atol=1e-13 * np.abs(matrix).max())


CLOSED = {
    "A1": [math.exp(-20)],
    "A2": [1 / math.sqrt(21)],
    "A3": [math.exp(math.sin(20))],
    "A4": [20 / (1 + 19 * math.exp(-5))],
    "E1": [math.sqrt(2 / (21 * math.pi)) * math.sin(21)],
    "E5": [12.5 * math.log(5) - 6, 2.4],
}


@pytest.mark.parametrize("name", CLOSED)
def test_end_values_in_closed_form(name):
    exact = np.array(CLOSED[name])
    np.testing.assert_allclose(get_problem(name).y_end[: exact.size], exact, rtol=1e-14)


@pytest.mark.parametrize("name", CLASSES["D"])
def test_orbits_follow_kepler(name):
    """With x + y from the eccentric anomaly E - e sin E = t, a = 1."""
    problem = get_problem(name)
    e = 1.0 - problem.y0[0]
    anomaly = brentq(lambda angle: angle - e * math.sin(angle) - 20.0, 18.0, 22.0, xtol=1e-15)
    exact = [math.cos(anomaly) - e, math.sqrt(1 - e * e) * math.sin(anomaly)]
    np.testing.assert_allclose(problem.y_end[:2], exact, rtol=0, atol=3e-13)  # the start is rounded, and t = 20 far


@pytest.mark.parametrize("name", problem_names())
def test_end_values_are_confirmed_by_scipy(name):
    """Far from the last digit, but with nothing in common."""
    problem = get_problem(name)
    jac = {"jac": problem.jac} if problem.stiff else {}
    r = integrate.solve_ivp(problem.fun, problem.t_span, problem.y0, "Radau" if problem.stiff else "DOP853", rtol=1e-8, atol=1e-11, **jac)
    assert problem.error(r.y[:, -1]) < (1e-4 if name == "arenstorf" else 3e-6)


# ---- explicit pairs against SciPy's ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS.values())
@pytest.mark.parametrize("name", DETEST)
def test_stored_errors_are_scipys(pair, name):
    """At the largest tolerance. If this fails SciPy has changed: run tools/scipy_errors.py."""
    problem, tol = get_problem(name), 10.0 ** -EXPONENTS[0]
    error, nfev = SCIPY[pair][name][0]
    r = integrate.solve_ivp(problem.fun, problem.t_span, problem.y0, pair, rtol=tol, atol=tol, t_eval=problem.t_span[1:])
    assert problem.error(r.y[:, -1]) == pytest.approx(error, rel=0.05, abs=1e-12)
    assert r.nfev == pytest.approx(nfev, rel=0.02)


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize("name", DETEST)
def test_no_worse_than_scipy(method, name, errors):
    """At every tolerance, and in the geometric mean over them."""
    other = [error for error, _ in SCIPY[PAIRS[method]][name]]
    ratios = [ours / its for ours, its in zip(errors(method)[name], other, strict=True)]
    print(f"{method} on {name}: error over SciPy's {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    assert np.exp(np.mean(np.log(ratios))) <= WORSE, ratios
    assert max(ratios) <= WORSE or name in RULED_BY_STABILITY, ratios


@pytest.mark.parametrize("method", ["bs32", "dopri5", "tsit5", "dop853"])
@pytest.mark.parametrize("group", CLASSES)
def test_error_follows_tolerance(method, group, errors):
    slope = slope_of(np.mean([np.log10(errors(method)[name]) for name in CLASSES[group]], axis=0))
    print(f"{method}, class {group}: slope {slope:.3f}")
    assert SLOPES[0] <= slope <= SLOPES[1]


# ---- implicit methods on stiff problems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STIFF)
def test_stiff_error_follows_tolerance(name, compiled):
    """Over quarters of a decade, so that a tolerance at which Newton's iteration was content too early does not slip through."""
    quarters = np.arange(4 * EXPONENTS[0], 4 * EXPONENTS[-1] + 1) / 4
    errors_of = [solved(compiled, name, "esdirk43", 10.0**-k) for k in quarters]
    over = np.array([error * 10.0**k for (error, _), k in zip(errors_of, quarters, strict=True)])
    slope = slope_of(np.log10(over) - quarters, quarters)
    print(f"esdirk43 on {name}: error over tolerance {' '.join(f'{value:.2g}' for value in over)}; slope {slope:.3f}; "
          f"steps {' '.join(str(r.nsteps) for _, r in errors_of)}")  # fmt: skip
    assert over.max() <= FAR
    assert SLOPES[0] <= slope <= SLOPES[1]
