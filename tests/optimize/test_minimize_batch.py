"""Batches of minimisations: each member has the bits and the ending that `minimize` gives it alone."""

from __future__ import annotations

import ctypes
import importlib
from concurrent import futures

import numpy as np
import pytest

import mflow
from mflow.problems import objectives

RNG = np.random.default_rng(11)
UPDATES = [m.name for m in mflow.methods() if m.kind == "update"]
STARTS = (
    1.0 + RNG.uniform(-1.5, 1.5, (70, 3)) * np.geomspace(1e-3, 1.0, 70)[:, None]
)  # more than a block of the core; some start near the answer


def assert_members_are_minimize(batch, costs, starts, method, **how):
    for k in range(len(starts)):
        one = mflow.minimize(costs(k), starts[k], method=method, **how)
        same = batch[k]
        assert (same.reason, same.nit, same.status) == (one.reason, one.nit, one.status), k
        np.testing.assert_array_equal(same.x, one.x)
        np.testing.assert_array_equal(same.fun, one.fun)


@pytest.mark.parametrize("method", UPDATES)
def test_every_optimizer(method):
    f = objectives.Rosenbrock(3)
    how = {"maxiter": 40, "gtol": 5.0}
    if any(p.name == "lr" for p in mflow.get_method(method).parameters_):
        how["lr"] = 3e-3
    batch = mflow.minimize_batch(f, STARTS, method, threads=1, **how)
    assert len(set(batch.nit.tolist())) > 1, "members end at different times"
    assert_members_are_minimize(batch, lambda k: f, STARTS, method, **how)


def test_endings():
    """Members that converge, run out of iterations, diverge, start where the cost is infinite, or from NaN, side by side."""
    f = objectives.Poisson([[1.0]], [1.0])
    starts = np.array([[0.0], [1.0], [800.0], [np.nan], [300.0], [-2.0]])
    r = mflow.minimize_batch(f, starts, "sgd", lr=0.1, maxiter=30, gtol=1e-6)
    assert r.reason == ["converged", "max_iter", "non_finite", "non_finite", "max_iter", "max_iter"]
    assert r.status.tolist() == [0, 1, -1, -1, 1, 1]
    assert not r.success
    np.testing.assert_array_equal(r.x[2:4], starts[2:4])
    assert np.isnan(r.fun[2:4]).all()
    assert r.nit[0] == 0
    wild = mflow.minimize_batch(objectives.Rosenbrock(2), np.full((3, 2), 2.0), "sgd", lr=1.0)
    assert wild.reason == ["diverged"] * 3
    assert np.all(np.isfinite(wild.x))
    assert "3 diverged" in wild.message
    assert r[-1].reason == "max_iter"
    with pytest.raises(IndexError):
        r[6]


def test_own_data():
    X = RNG.standard_normal((20, 3))
    Y = RNG.standard_normal((9, 20))
    f = objectives.LeastSquares(X, Y[0])
    how = {"lr": 0.05, "maxiter": 3000, "gtol": 1e-10}
    r = mflow.minimize_batch(f, np.zeros((9, 3)), "momentum", batch_data={"y": Y}, **how)
    assert r.success
    np.testing.assert_allclose(r.x, np.linalg.lstsq(X, Y.T, rcond=None)[0].T, rtol=1e-8)
    assert_members_are_minimize(r, lambda k: objectives.LeastSquares(X, Y[k]), np.zeros((9, 3)), "momentum", **how)
    tables = RNG.standard_normal((9, 20, 3))
    signs = RNG.integers(0, 2, (9, 20))
    g = objectives.Logistic(tables[0], signs[0], l2=0.1)
    both = mflow.minimize_batch(g, np.zeros((9, 3)), "adam", batch_data={"X": tables, "y": signs}, maxiter=50)
    assert_members_are_minimize(both, lambda k: objectives.Logistic(tables[k], signs[k], l2=0.1), np.zeros((9, 3)), "adam", maxiter=50)
    A, b = RNG.uniform(1, 2, (9, 3)), RNG.standard_normal((9, 3))
    q = mflow.minimize_batch(objectives.Quadratic(A[0], b[0]), np.zeros((9, 3)), "sgd", lr=0.5, batch_data={"A": A, "b": b}, gtol=1e-13)
    np.testing.assert_allclose(q.x, b / A, rtol=0, atol=1.1e-13)  # gtol over the least curvature, 1


def test_a_list_of_costs_and_shapes():
    costs = [objectives.Softmax(RNG.standard_normal((30, 2)), RNG.integers(0, 3, 30), n_classes=3, l2=0.1) for _ in range(5)]
    starts = RNG.standard_normal((5, 2, 3))
    with pytest.raises(ValueError, match="batch_data: expected classes from 0 to 2, got 3"):
        mflow.minimize_batch(costs[0], starts, batch_data={"y": np.full((5, 30), 3)})
    r = mflow.minimize_batch(costs, starts, "adam", lr=0.1, maxiter=60)
    assert r.x.shape == starts.shape
    assert_members_are_minimize(r, lambda k: costs[k], starts, "adam", lr=0.1, maxiter=60)


def test_threads_order_and_schedule_leave_the_bits():
    f = objectives.Rosenbrock(3)
    starts = RNG.uniform(-1, 1, (600, 3))
    how = {"lr": lambda k: 0.01 / (1 + 0.1 * k), "maxiter": 50}
    one = mflow.minimize_batch(f, starts, "adam", threads=1, **how)
    for other in (
        mflow.minimize_batch(f, starts, "adam", threads=4, **how),
        mflow.minimize_batch(f, np.ascontiguousarray(starts[::-1]), "adam", **how),
    ):
        turn = -1 if other.x[0, 0] != one.x[0, 0] else 1
        np.testing.assert_array_equal(other.x[::turn], one.x)
    with futures.ProcessPoolExecutor(1) as pool:
        far = mflow.minimize_batch(f, starts, "adam", executor=pool, **how)
    np.testing.assert_array_equal(far.x, one.x)
    assert far.reason == one.reason
    assert_members_are_minimize(one, lambda k: f, starts[:5], "adam", **how)


def test_a_compiled_function_that_gives_up():
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t,
        ctypes.c_void_p,
    )  # fmt: skip

    @kind
    def cost(x, value, grad, n, ctx):
        if x[0] < 0.5:
            return -7
        value[0], grad[0] = 0.5 * x[0] ** 2, x[0]
        return 0

    r = mflow.minimize_batch(cost, [[1.0], [0.0]], "sgd", lr=0.1, threads=1)
    assert r.reason == ["rhs_failed", "rhs_failed"]
    assert 0.5 <= r.x[0, 0] < 0.56
    assert r.nit.tolist() == [7, 0]


def test_interruption_keeps_what_is_done(monkeypatch):
    module = importlib.import_module("mflow.optimize.minimize_batch")
    work = module.Work.work

    def stops(self):
        self.core.work(0, 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Work, "work", stops)
    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.minimize_batch(objectives.Rosenbrock(2), np.zeros((20, 2)), maxiter=3)
    part = caught.value.partial_result
    assert part.reason == ["max_iter"] * 10 + ["interrupted"] * 10
    monkeypatch.setattr(module.Work, "work", work)
    assert len(mflow.minimize_batch(objectives.Rosenbrock(2), np.zeros((0, 2))).reason) == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda f: mflow.minimize_batch(f, np.zeros(2)),
            ValueError,
            r"starts: expected an array of shape \(members, n\), got shape \(2,\)",
        ),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 5))), ValueError, "fun: expected a function of 5 numbers, as the start has"),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), "rk4", dt=0.1), ValueError, "no optimizer"),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), batch_data={"z": 1}), TypeError, "batch_data: .*got 'z'"),
        (
            lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), batch_data={"y": np.zeros((2, 1))}),
            ValueError,
            r"expected y of shape \(3, 1\)",
        ),
        (lambda f: mflow.minimize_batch(f, np.zeros((1, 2)), batch_data={"y": [[-1.0]]}), ValueError, "numbers from 0 on"),
        (lambda f: mflow.minimize_batch(lambda x: 0.0, np.zeros((3, 2))), TypeError, "fun: expected a compiled cost"),
        (lambda f: mflow.minimize_batch([f], np.zeros((3, 2))), ValueError, "fun: expected one cost for each of the 3 starts, got 1"),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), maxiter=-1), ValueError, "maxiter: .* got -1"),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), threads=0), ValueError, "threads: .* got 0"),
        (lambda f: mflow.minimize_batch(f, np.zeros((3, 2)), beta=1.0), TypeError, "beta"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call(objectives.Poisson([[1.0, 2.0]], [1.0]))


def test_a_python_function_with_jac_is_told_the_one_thing_that_is_wrong():
    with pytest.raises(TypeError, match=r"^fun: expected a compiled cost .*, got function; .* with mflow.minimize, which takes jac"):
        mflow.minimize_batch(lambda x: (float(x @ x), 2 * x), np.zeros((3, 2)), jac=True)
    logistic = mflow.objectives.Logistic(np.eye(4)[:, :2], np.array([0, 1, 0, 1]))
    with pytest.raises(TypeError, match=r'no residuals; mflow.ImplicitSGD."logistic"'):
        mflow.minimize_batch(logistic, np.zeros((3, 2)), "implicit_sgd")
    with pytest.raises(TypeError, match=r'^jac: it belongs to method="implicit_sgd"'):
        mflow.minimize_batch(logistic, np.zeros((3, 2)), jac=True)


@pytest.mark.parametrize("method", ["lbfgs", "trust_ncg"])
def test_members_in_small_units_go_on_as_one_does(method):
    """A cost of 1e-18 at 1e-10 had converged at its start, silently."""
    A, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]])
    f = objectives.Quadratic(1e2 * A, 1e-8 * b[0])
    starts, data = 1e-10 * RNG.standard_normal((2, 2)), {"A": np.array([1e2 * A] * 2), "b": 1e-8 * b}
    r = mflow.minimize_batch(f, starts, method, batch_data=data)
    assert r.success
    np.testing.assert_allclose(r.x, 1e-10 * np.linalg.solve(A, b.T).T, rtol=1e-6, atol=1e-20)
    assert "so that the run went on to" in r[1].message
    assert_members_are_minimize(r, lambda k: objectives.Quadratic(1e2 * A, 1e-8 * b[k]), starts, method)
    given = mflow.minimize_batch(f, starts, method, gtol=1e-5)
    assert (given.reason, given.nit.tolist(), given.notes) == (["converged"] * 2, [0, 0], {})
    with futures.ProcessPoolExecutor(1) as pool:
        far = mflow.minimize_batch(f, starts, method, batch_data=data, executor=pool)
    assert (far.x.tobytes(), far.notes, far.reason) == (r.x.tobytes(), r.notes, r.reason)


def test_members_of_an_optimizer_in_small_units_are_no_minimum():
    f = objectives.Quadratic([2e2, 1e2], [1e-8, 2e-8])
    starts = np.array([[1e-10, -1e-10], [0.5e-10, 2e-10]])  # the second one is the minimum
    r = mflow.minimize_batch(f, starts, "adam")
    assert r.reason == ["not_a_minimum", "converged"]
    assert r.status.tolist() == [-1, 0]
    assert "allows a gradient along which the cost falls" in r[0].message
    assert mflow.minimize_batch(f, starts, "adam", gtol=1e-5).success


def test_members_that_rest_at_rounding_have_converged():
    """They were line_search_failed."""
    rng = np.random.default_rng(4)
    X, y = 1e4 * rng.standard_normal((50, 3)), 1e12 * rng.standard_normal(50)
    f = objectives.LeastSquares(X, y)
    starts = 1e8 * rng.standard_normal((4, 3))
    r = mflow.minimize_batch(f, starts, "lbfgs")
    assert_members_are_minimize(r, lambda k: f, starts, "lbfgs")
    assert r.success, r.reason
    assert np.min(r.gmax) > 1e-5
    best = np.linalg.lstsq(X, y, rcond=None)[0]  # a cost tells x to the root of its rounding
    np.testing.assert_allclose(r.x, np.tile(best, (4, 1)), rtol=1e-6)


ADDRESS = ctypes.POINTER(ctypes.c_double)
COST = ctypes.CFUNCTYPE(ctypes.c_int, ADDRESS, ADDRESS, ADDRESS, ctypes.c_ssize_t, ctypes.c_void_p)


def compiled(slope):
    """(|x - 0.3| as compiled code has it, with `slope(x - 0.3)` for its gradient, how often it was called)."""
    calls = [0]

    @COST
    def cost(x, value, grad, n, ctx):
        calls[0] += 1
        if value:
            value[0] = abs(x[0] - 0.3)
        if grad:
            grad[0] = slope(x[0] - 0.3)
        return 0

    return cost, calls


def test_members_that_are_begun_again_count_all_evaluations():
    """It was the second run's alone."""
    cost, calls = compiled(lambda d: (d > 0.0) - (d < 0.0))
    mflow.minimize(cost, [2.0])  # its gradient is looked at in the first run
    calls[0] = 0
    one = mflow.minimize(cost, [2.0])
    alone, calls[0] = calls[0], 0
    r = mflow.minimize_batch(cost, [[2.0]], "lbfgs", threads=1)
    assert r.reason == [one.reason] == ["line_search_failed"]
    assert r.nfev[0] - one.nfev == calls[0] - alone > 0
    assert f"nfev counts the {calls[0] - alone} evaluations before that, too" in r[0].message


def test_warnings_name_the_members():
    """The text came once a member, without its number."""
    cost, _ = compiled(lambda d: 2.0 * d + 1.0)
    with pytest.warns(mflow.GradientWarning) as seen:
        mflow.minimize_batch(cost, [[-1.0]] * 3, "lbfgs", threads=1)
    assert len(seen) == 1
    assert str(seen[0].message).startswith("members 0, 1, 2: minimize: ")
    with futures.ThreadPoolExecutor(1) as pool, pytest.warns(mflow.GradientWarning, match="^members 0, 1, 2: ") as seen:
        mflow.minimize_batch(cost, [[-1.0]] * 3, "lbfgs", executor=pool)
    assert len(seen) == 1


def test_a_member_that_is_begun_again_can_be_stopped(monkeypatch):
    """Ctrl-C waited for its end."""
    work = importlib.import_module("mflow.optimize.minimize_batch").Work
    alone = work._alone

    def stopped(self, *of):
        self.stop()
        alone(self, *of)

    monkeypatch.setattr(work, "_alone", stopped)
    f = objectives.Quadratic([2e2, 1e2], [1e-8, 2e-8])
    r = mflow.minimize_batch(f, 1e-10 * RNG.standard_normal((3, 2)), "lbfgs", threads=1)
    assert r.reason == ["interrupted"] * 3
    assert r.status.tolist() == [-1] * 3
