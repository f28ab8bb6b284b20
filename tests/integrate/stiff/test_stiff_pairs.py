"""What `radau5` and `bdf` have in common: stiff problems with known ends, SciPy's solver of the same name, every linear solver."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.integrate
import scipy.sparse

import mflow
from mflow.nonlinear import FixedPoint, Newton, NewtonKrylov
from mflow.testproblems import get_problem

METHODS = ("radau5", "bdf")
THEIRS = {"radau5": "Radau", "bdf": "BDF"}
STIFF = ("hires", "robertson", "vdp_eps", "vdp")


@pytest.mark.parametrize(("method", "least", "most"), [("radau5", 1e-3, 10.0), ("bdf", 1e-2, 20.0)])
@pytest.mark.parametrize("name", STIFF)
def test_stiff_problems_end_within_their_tolerance(name, method, least, most):
    problem = get_problem(name)
    errors = []
    for tol in (1e-4, 1e-6, 1e-8, 1e-10):
        how = {"rtol": tol, "atol": 1e-3 * tol}
        r = mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, method, save="last", jac=problem.jac, **how)
        assert r.reason == "finished"
        errors.append(problem.error(r.y[:, -1], **how))
    assert least < max(errors) < most
    assert errors[-1] * 1e-10 < 1e-3 * errors[0] * 1e-4


@pytest.mark.parametrize("tol", [1e-6, 1e-7])
def test_stages_of_esdirk43_are_solved_to_what_shows_and_no_further(tol):
    """Evaluations for each of the five implicit stages that are tried, with an error at the end of a tolerance or two."""
    problem, how = get_problem("hires"), {"rtol": tol, "atol": 1e-3 * tol}
    r = mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, "esdirk43", save="last", jac=problem.jac, **how)
    assert r.nfev < 1.85 * 5 * (r.nsteps + r.nrejected)
    assert problem.error(r.y[:, -1], **how) < 2.0


@pytest.mark.parametrize(
    ("name", "method", "factors"),
    [*[(name, "bdf", 0.25) for name in STIFF], *[(name, "radau5", 2.0 if name == "robertson" else 1.95) for name in STIFF]],
)
def test_they_cost_no_more_than_scipys(name, method, factors):
    """At equal tolerance, both with the same analytic Jacobian; both names are SciPy's. factors: of a matrix, at most so many a
    step, of which radau5 has two each."""
    problem, calls = get_problem(name), [0, 0]

    def counted(k):
        def fun(t, y):
            calls[k] += 1
            return problem.fun(t, y)

        return fun

    how = {"method": THEIRS[method], "rtol": 1e-7, "atol": 1e-9, "jac": problem.jac}
    mine = mflow.solve_ivp(counted(0), problem.t_span, problem.y0, **how)
    theirs = scipy.integrate.solve_ivp(counted(1), problem.t_span, problem.y0, **how)
    assert mine.success
    assert theirs.success
    assert mine.nfev + mine.ncheck == calls[0] < calls[1]
    assert mine.nlu < factors * mine.nsteps


def chain(n):
    """A stiff, nonlinear diffusion chain, its band and its pattern."""
    pattern = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsc()

    def fun(t, y):
        wide = np.concatenate([[1.0], y, [0.0]])
        return 1e3 * (wide[:-2] - 2.0 * y + wide[2:]) + y - y**3

    def jac(t, y):
        return 1e3 * (np.eye(n, k=1) + np.eye(n, k=-1)) + np.diag(-2e3 + 1.0 - 3.0 * y**2)

    return fun, jac, pattern


@functools.cache
def end_of_chain(n):
    """By SciPy, at t = 0.1."""
    fun, jac, _ = chain(n)
    return scipy.integrate.solve_ivp(fun, (0, 0.1), np.sin(np.arange(float(n))), "Radau", rtol=1e-10, atol=1e-12, jac=jac).y[:, -1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"jac": "function"},
        {"lband": 1, "uband": 1},
        {"lband": 1, "uband": 1, "jac": "function"},
        {"solver": Newton("sparse"), "jac_sparsity": "pattern"},
        {"jac": "sparse"},
        {"solver": NewtonKrylov()},
        {"solver": Newton(full=True)},
    ],
    ids=lambda given: "-".join(map(str, given)) or "differences",
)
def test_every_linear_solver_comes_to_the_same_end(given, method):
    fun, jac, pattern = chain(40)
    more = dict(given)
    if "jac" in more:
        more["jac"] = jac if more["jac"] == "function" else (lambda t, y: scipy.sparse.csc_array(jac(t, y)))
    if "jac_sparsity" in more:
        more["jac_sparsity"] = pattern
    y0 = np.sin(np.arange(40.0))
    r = mflow.solve_ivp(fun, (0, 0.1), y0, method, rtol=1e-7, atol=1e-9, **more)
    assert r.reason == "finished"
    np.testing.assert_allclose(r.y[:, -1], end_of_chain(40), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("method", "atol"), [("radau5", 1e-7), ("bdf", 1e-6)])
def test_fixed_point_iteration_where_nothing_is_stiff(method, atol):
    r = mflow.solve_ivp(lambda t, y: np.array([y[1], -y[0]]), (0, 3), [1.0, 0.0], method, rtol=1e-8, atol=1e-10, solver=FixedPoint())
    np.testing.assert_allclose(r.y[:, -1], [np.cos(3.0), -np.sin(3.0)], rtol=0, atol=atol)
    assert r.njev == r.nlu == 0
