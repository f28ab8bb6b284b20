"""Directions of descent (lbfgs, bfgs, cg, trust_ncg) against their textbook formulas in NumPy, which share no code with the kernels."""

from __future__ import annotations

import copy
import math
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.optimize import line_descent
from mflow_core.problems.problem import objective_problem

import mflow

Array = np.ndarray[Any, np.dtype[np.float64]]
DIRECTIONS = [record.name for record in registry.records() if record.kind == "direction"]
SEARCHED = [record.name for record in registry.records() if record.kind == "direction" and "trust_region" not in record.flags]


class Wavy:
    """A cost of n parameters with curvature that changes, and changes its sign."""

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        M = rng.normal(size=(n, n))
        self.A, self.b, self.x0 = M @ M.T / n + 0.1 * np.eye(n), rng.normal(size=n), 2.0 * rng.normal(size=n)

    def value(self, x: Array) -> float:
        return float(0.5 * x @ self.A @ x - self.b @ x + np.sum(np.cos(2.0 * x)) + 0.1 * np.sum(x**4))

    def grad(self, x: Array) -> Array:
        return self.A @ x - self.b - 2.0 * np.sin(2.0 * x) + 0.4 * x**3

    def hess(self, x: Array) -> Array:
        return self.A + np.diag(-4.0 * np.cos(2.0 * x) + 1.2 * x**2)

    def both(self, x: Array) -> tuple[float, Array]:
        return self.value(x), self.grad(x)


def inverse_hessian(s: list[Array], y: list[Array], g: Array) -> Array:
    """(I - rho s y') H (I - rho y s') + rho s s' over all pairs from gamma I of the last one (Nocedal and Wright, 7.19 and 7.20)."""
    n = len(g)
    H = (s[-1] @ y[-1]) / (y[-1] @ y[-1]) * np.eye(n) if s else np.eye(n)
    for a, b in zip(s, y, strict=True):
        V = np.eye(n) - np.outer(b, a) / (a @ b)
        H = V.T @ H @ V + np.outer(a, a) / (a @ b)
    return H


def full_bfgs(s: list[Array], y: list[Array], g: Array) -> Array:
    """The same, from gamma I of the first pair (6.20)."""
    if not s:
        return np.eye(len(g))
    H = (s[0] @ y[0]) / (y[0] @ y[0]) * np.eye(len(g))
    for a, b in zip(s, y, strict=True):
        V = np.eye(len(g)) - np.outer(b, a) / (a @ b)
        H = V.T @ H @ V + np.outer(a, a) / (a @ b)
    return H


def walked(name: str, cost: Wavy, **options: Any) -> tuple[Any, Array, list[Array], list[Array]]:
    r = mflow.minimize(cost.both, cost.x0, jac=True, method=name, path=True, gtol=1e-6, **options)
    x = r.path.x
    g = np.array([cost.grad(point) for point in x])
    return r, g, list(np.diff(x, axis=0)), list(np.diff(g, axis=0))


@pytest.mark.parametrize("search", ["strong_wolfe", "armijo", "exact"])
@pytest.mark.parametrize(("name", "memory"), [("lbfgs", 1), ("lbfgs", 3), ("lbfgs", 10), ("bfgs", 0)])
def test_quasi_newton_directions(name: str, memory: int, search: str) -> None:
    options = {"maxcor": memory} if memory else {}
    for n in (1, 2, 7, 19):
        cost = Wavy(n)
        r, g, s, y = walked(name, cost, line_search=search, **options)
        assert r.reason == "converged"
        assert np.max(np.abs(cost.grad(r.x))) <= 1e-6
        for k, d in enumerate(r.path.directions):
            kept = [j for j in range(k) if s[j] @ y[j] > 1e-10 * np.linalg.norm(s[j]) * np.linalg.norm(y[j])]
            if memory:
                kept = kept[-memory:]
            H = (inverse_hessian if memory else full_bfgs)([s[j] for j in kept], [y[j] for j in kept], g[k])
            if k < 12:  # then differences of gradients have few digits left
                assert np.linalg.norm(d + H @ g[k]) <= 1e-6 * np.linalg.norm(d), (n, k)


@pytest.mark.parametrize("beta", ["polak_ribiere", "hager_zhang"])
def test_conjugate_gradients(beta: str) -> None:
    cost = Wavy(7)
    r, g, _, y = walked("cg", cost, beta=beta)
    assert r.reason == "converged"
    assert r.nit > 8
    before = np.zeros(7)
    for k, d in enumerate(r.path.directions):
        want = -g[k]
        if k > 0:
            if beta == "polak_ribiere":
                b = max(0.0, y[k - 1] @ g[k] / (g[k - 1] @ g[k - 1]))
            else:
                dy = before @ y[k - 1]
                b = (y[k - 1] - 2.0 * before * (y[k - 1] @ y[k - 1]) / dy) @ g[k] / dy
                b = max(b, -1.0 / (np.linalg.norm(before) * min(0.01, np.linalg.norm(g[k - 1]))))
            if (b * before - g[k]) @ g[k] <= -0.01 * (g[k] @ g[k]):
                want = b * before - g[k]
        np.testing.assert_allclose(d, want, rtol=1e-6, atol=1e-6 * np.linalg.norm(want))
        before = d


def test_conjugate_gradients_solve_a_quadratic_in_n_steps() -> None:
    A = np.diag([1.0, 3.0, 9.0, 27.0])
    r = mflow.minimize(lambda x: (0.5 * x @ A @ x, A @ x), np.ones(4), jac=True, method="CG", line_search="exact", gtol=1e-9)
    assert r.success
    assert r.nit == 4


@pytest.mark.parametrize("radius", [0.05, 0.5, 5.0])
def test_a_trust_regions_step_is_steihaugs(radius: float) -> None:
    subproblem = pytest.importorskip("scipy.optimize._trustregion_ncg").CGSteihaugSubproblem
    for seed in range(6):
        cost = Wavy(7, seed)
        r = mflow.minimize(
            cost.both, cost.x0, jac=True, method="trust-ncg", hess=cost.hess, path=True, maxiter=1, initial_trust_radius=radius, eta=0.0
        )
        step, _ = subproblem(cost.x0, cost.value, cost.grad, cost.hess).solve(radius)
        if r.nfev == 2:  # else the first one was no gain, and the radius is another one
            np.testing.assert_allclose(r.path.directions[0], step, rtol=1e-9, atol=1e-12)
        assert np.linalg.norm(r.path.directions[0]) <= radius * (1 + 1e-12)


def test_products_with_the_hessian_come_from_anywhere() -> None:
    cost = Wavy(7)
    counts = {"hessp": 0, "hess": 0}

    def hessp(x: Array, p: Array) -> Array:
        counts["hessp"] += 1
        return cost.hess(x) @ p

    def hess(x: Array) -> Array:
        counts["hess"] += 1
        return cost.hess(x)

    ways: list[dict[str, Any]] = [{"hessp": hessp}, {"hess": hess}, {}]
    runs = [mflow.minimize(cost.both, cost.x0, jac=True, method="trust_ncg", gtol=1e-6, **way) for way in ways]
    assert all(r.success for r in runs)
    assert counts["hessp"] > counts["hess"] >= runs[1].nit > 0
    assert runs[0].x.tobytes() == runs[1].x.tobytes()
    np.testing.assert_allclose(runs[2].x, runs[0].x, atol=1e-5)
    f = mflow.objectives.Rosenbrock(6)  # its own
    own, given = (mflow.minimize(f, f.x0, method="trust_ncg", **way) for way in ({}, {"hessp": f.hessp}))
    assert own.success
    assert own.x.tobytes() == given.x.tobytes()
    assert own.njev == own.nfev


def test_negative_curvature_is_followed() -> None:
    """From a maximum's side, where Newton's step would go uphill."""

    def both(x: Array) -> tuple[float, Array]:
        return float(np.sum((x**2 - 1.0) ** 2)), 4.0 * x * (x**2 - 1.0)

    r = mflow.minimize(both, [0.1, -0.2], jac=True, method="trust_ncg", hess=lambda x: np.diag(12.0 * x**2 - 4.0))
    assert r.success
    np.testing.assert_allclose(r.x, [1.0, -1.0], atol=1e-5)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_least_value_is_found_and_told_truly(name: str) -> None:
    f = mflow.objectives.Rosenbrock(10)
    r = mflow.minimize(f, f.x0, method=name)
    assert (r.success, r.reason, r.status) == (True, "converged", 0)
    assert np.max(np.abs(f.grad(r.x))) <= 1e-5
    np.testing.assert_allclose(r.x, 1.0, atol=1e-4)
    short = mflow.minimize(f, f.x0, method=name, maxiter=3)
    assert (short.success, short.reason, short.nit) == (False, "max_iter", 3)
    spent = mflow.minimize(f, f.x0, method=name, gtol=0.0)  # converged only where the gradient is 0 to the last bit
    assert spent.reason in ("converged", "line_search_failed", "trust_region_failed")
    assert (spent.reason == "converged") == (not np.any(spent.jac))
    assert spent.fun < 1e-20


@pytest.mark.parametrize("name", SEARCHED)
def test_a_cost_without_a_minimum(name: str) -> None:
    r = mflow.minimize(lambda x: (float(-np.sum(x)), -np.ones(3)), np.zeros(3), jac=True, method=name, maxiter=50)
    assert not r.success
    assert r.reason in ("line_search_failed", "non_finite", "max_iter")


@pytest.mark.parametrize("name", DIRECTIONS)
def test_what_is_no_number_is_no_minimum(name: str) -> None:
    def wall(x: Array) -> tuple[float, Array]:
        return (math.inf, x) if x[0] < 1.0 else (float(np.sum(np.log(x) ** 2)), 2.0 * np.log(x) / x)

    r = mflow.minimize(wall, [5.0, 3.0], jac=True, method=name)
    assert np.isfinite(r.fun)
    assert r.x[0] >= 1.0
    assert r.success == (np.max(np.abs(r.jac)) <= 1e-5)
    nothing = mflow.minimize(lambda x: (math.nan, x), [1.0], jac=True, method=name)
    assert (nothing.reason, nothing.success) == ("non_finite", False)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_what_a_cost_raises_is_passed_on_with_the_way_so_far(name: str) -> None:
    for error in (ZeroDivisionError, KeyboardInterrupt):
        calls = []

        def cost(x: Array, error: type[BaseException] = error, calls: list[int] = calls) -> tuple[float, Array]:
            calls.append(1)
            if len(calls) == 8:
                raise error("stop")
            return Wavy(3).both(x)

        with pytest.raises(error) as caught:
            mflow.minimize(cost, 3.0 * np.ones(3), jac=True, method=name, check_gradient=False)
        part = caught.value.partial_result  # type: ignore[attr-defined]
        assert part.reason == ("interrupted" if error is KeyboardInterrupt else "rhs_failed")
        assert np.isfinite(part.fun)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_many_at_once_have_the_bits_of_one(name: str) -> None:
    f = mflow.objectives.Rosenbrock(4)
    starts = np.random.default_rng(1).uniform(-2, 2, (9, 4))
    starts[4] = np.nan
    many = mflow.minimize_batch(f, starts, name, maxiter=25, threads=2)
    for k, start in enumerate(starts):
        if k == 4:
            assert many.reason[k] == "non_finite"
            continue
        one = mflow.minimize(f, start, method=name, maxiter=25)
        assert (many.x[k].tobytes(), many.fun[k], many.nit[k], many.nfev[k]) == (one.x.tobytes(), one.fun, one.nit, one.nfev)
        assert many.reason[k] == one.reason
        assert many.gmax[k] == np.max(np.abs(one.jac))


def test_many_at_once_over_data_of_their_own() -> None:
    rng = np.random.default_rng(2)
    X, labels = rng.normal(size=(30, 3)), rng.normal(size=(5, 30))
    f = mflow.objectives.LeastSquares(X, labels[0])
    for method in ("lbfgs", "trust_ncg"):
        r = mflow.minimize_batch(f, np.zeros((5, 3)), method, batch_data={"y": labels}, gtol=1e-10)
        assert r.success
        np.testing.assert_allclose(r.x, np.linalg.lstsq(X, labels.T, rcond=None)[0].T, rtol=1e-8)
    searched = mflow.minimize_batch(f, np.zeros((2, 3)), "adam", line_search="armijo", maxiter=20)
    alone = mflow.minimize(f, np.zeros(3), method="adam", line_search="armijo", maxiter=20)
    assert searched.x[1].tobytes() == alone.x.tobytes()


def test_the_inverse_hessian() -> None:
    cost = Wavy(5)
    r, g, s, y = walked("bfgs", cost, maxiter=9)
    np.testing.assert_allclose(r.hess_inv, full_bfgs(s, y, g[-1]), rtol=1e-7, atol=1e-9)
    limited = mflow.minimize(cost.both, cost.x0, jac=True, maxiter=9, path=True, maxcor=4)
    x = limited.path.x
    steps, changes = np.diff(x, axis=0), np.diff([cost.grad(point) for point in x], axis=0)
    want = inverse_hessian(list(steps[-4:]), list(changes[-4:]), cost.grad(x[-1]))
    np.testing.assert_allclose(limited.hess_inv @ np.eye(5), want, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(limited.hess_inv.todense(), want, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(limited.hess_inv @ cost.b, want @ cost.b, rtol=1e-7, atol=1e-9)


def counted(fun: Callable[..., Any]) -> tuple[Callable[..., Any], list[Array]]:
    points: list[Array] = []

    def call(x: Array) -> Any:
        points.append(x.copy())
        return fun(x)

    return call, points


def test_a_first_step_may_be_given() -> None:
    for name in SEARCHED:
        cost, points = counted(Wavy(3).both)
        mflow.minimize(cost, np.ones(3), jac=True, method=name, lr=0.03125, maxiter=1, check_gradient=False)
        np.testing.assert_allclose(points[1], np.ones(3) - 0.03125 * Wavy(3).grad(np.ones(3)), rtol=1e-12)


def core(name: str, f: Any, kind: str = "strong_wolfe", bounds: tuple[Array, Array] | None = None) -> Any:
    lower, upper = bounds or (None, None)
    method = mflow.get_method(name, **({"lr": 1.0} if mflow.get_method(name).kind == "update" else {}))
    problem = objective_problem(f, None, f.x0.shape)
    return line_descent.LineDescent(method.record, problem, np.array(f.x0), line_descent.KINDS[kind], {}, method.numbers, lower, upper)


RESUMED: list[tuple[str, str, bool]] = [(name, "strong_wolfe", False) for name in DIRECTIONS]
RESUMED += [("lbfgs", "strong_wolfe", True), ("momentum", "armijo", False), ("sgd", "barzilai_borwein", False)]


@pytest.mark.parametrize(("name", "kind", "bounded"), RESUMED)
def test_a_saved_descent_goes_on_with_the_same_bits(name: str, kind: str, bounded: bool) -> None:
    f = mflow.objectives.Rosenbrock(6)
    bounds = (np.full(6, -1.5), np.array([0.5, 2.0, 2.0, 0.7, 2.0, 2.0])) if bounded else None
    whole = core(name, f, kind, bounds)
    whole.advance(24, 0.0)
    for k in (0, 1, 7, 13):
        first, second = core(name, f, kind, bounds), core(name, f, kind, bounds)
        first.advance(k, 0.0)
        state = first.save()
        assert first.save() == state
        second.restore(state)
        second.advance(24 - k, 0.0)
        for a, b in zip(second.here(), whole.here(), strict=True):
            assert a.tobytes() == b.tobytes()
        assert (second.value, second.k, second.nfev, second.njev) == (whole.value, whole.k, whole.nfev, whole.njev)
        assert second.lowest()[1] == whole.lowest()[1]


def test_a_damaged_state_is_refused_and_changes_nothing() -> None:
    f = mflow.objectives.Rosenbrock(6)
    run = core("lbfgs", f)
    run.advance(5, 0.0)
    state = run.save()
    for k in range(0, len(state), 37):
        bad = bytearray(state)
        bad[k] ^= 0x10
        with pytest.raises(ValueError, match=r"^state: damaged"):
            run.restore(bytes(bad))
    for other in (core("bfgs", f), core("lbfgs", mflow.objectives.Rosenbrock(4)), core("lbfgs", f, "armijo")):
        with pytest.raises(ValueError, match=r"^state: damaged"):
            other.restore(state)
    assert run.save() == state
    at = state.rindex(struct.pack("<2d", 4.0, 4.0))  # the count of pairs and the place of the next
    wrong = state[:at] + struct.pack("<d", 1e6) + state[at + 8 : -4]  # with a checksum that is right
    run.restore(wrong + struct.pack("<I", zlib.crc32(wrong)))
    assert run.advance(1, 0.0) == -1009  # MF_E_DAMAGED: the method looks at what it reads


@pytest.mark.parametrize("called", [False, True])
def test_a_sparse_hessian_is_looked_at_before_it_is_read(called: bool) -> None:
    """Columns that are not there ended the process."""
    sparse = pytest.importorskip("scipy.sparse")
    wrong = sparse.csr_matrix(np.eye(3))
    wrong.indices = np.array([0, 1, 10**8], np.int32)
    with pytest.raises(ValueError, match="hess: expected indices from 0 to 2"):
        mflow.minimize(
            lambda x: (float(x @ x), 2 * x), np.ones(3), jac=True, method="trust_ncg", hess=(lambda x: wrong) if called else wrong
        )


@pytest.mark.parametrize("method", [None, "bfgs", "cg"])
def test_results_pickle_with_their_inverse_hessian(method):
    """They come back from a pool of processes."""
    r = mflow.minimize(lambda x: (float(np.sum((x - 1) ** 2 + x**4)), 2 * (x - 1) + 4 * x**3), [0.0, 2.0, 3.0], jac=True, method=method)
    for again in (pickle.loads(pickle.dumps(r)), copy.deepcopy(r)):
        assert np.array_equal(again.x, r.x)
        if method != "cg":
            assert np.array_equal(again.hess_inv @ np.arange(3.0), r.hess_inv @ np.arange(3.0))


@pytest.mark.parametrize("hess", [lambda x: np.eye(3), np.eye(3), lambda x: np.ones(2), lambda x: 3.0])
def test_a_hessian_of_another_shape_is_named(hess: Any) -> None:
    f = mflow.objectives.Rosenbrock(2)
    with pytest.raises(ValueError, match=r"hess: expected a matrix of shape \(2, 2\), got shape \("):
        mflow.minimize(lambda x: float(f(x)), [-1.2, 1.0], jac=f.grad, hess=hess, method="trust_ncg")


def rosenbrock(x: Array) -> tuple[float, Array]:
    a = x[1] - x[0] ** 2
    return float(100 * a * a + (1 - x[0]) ** 2), np.array([-400 * x[0] * a - 2 * (1 - x[0]), 200 * a])


def rosenbrock_hessian(x: Array) -> Array:
    return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])


@pytest.mark.parametrize("factor", [-1.0, 0.1, 10.0])
def test_a_long_run_by_a_wrong_hessian_says_so(factor: float) -> None:
    """Thousands of iterations went by without a word; what was called is counted."""
    calls = [0]

    def both(x: Array) -> tuple[float, Array]:
        calls[0] += 1
        return rosenbrock(x)

    how: dict[str, Any] = {"jac": True, "method": "trust_ncg", "maxiter": 150}
    with pytest.warns(mflow.GradientWarning, match=r"the Hessian given \(hess=, hessp=\) is not the derivative of the gradient at x"):
        r = mflow.minimize(both, [-1.2, 1.0], hess=lambda x: factor * rosenbrock_hessian(x), **how)
    assert r.nit == 150
    assert calls[0] == r.nfev + r.ncheck == r.njev + r.ncheck
    said = re.search(r"gives (\S+) where differences of the gradient give (\S+)", r.message)
    assert said is not None
    assert float(said[1]) == pytest.approx(factor * float(said[2]), rel=1e-2)


def test_a_long_run_by_the_right_hessian_is_left_alone() -> None:
    how: dict[str, Any] = {"jac": True, "hess": rosenbrock_hessian, "method": "trust_ncg", "max_trust_radius": 0.02}
    r = mflow.minimize(rosenbrock, [-1.2, 1.0], **how)
    assert (r.reason, "Hessian given" in r.message) == ("converged", False)
    assert r.nit > 100


@pytest.mark.parametrize("far", [1e6, 1e8, -1e12])
def test_a_radius_reaches_minima_that_are_far_away(far: float) -> None:
    centre = np.array([far, -2.0 * far, 3.0])
    r = mflow.minimize(lambda x: (float((x - centre) @ (x - centre)), 2 * (x - centre)), np.zeros(3), jac=True, method="trust_ncg")
    assert r.success
    np.testing.assert_allclose(r.x, centre, rtol=1e-12)
    assert r.nit < 60
    root = lambda x: float(np.sqrt(1 + (x[0] - 2) ** 2))  # noqa: E731
    slope = lambda x: (x - 2) / np.sqrt(1 + (x[0] - 2) ** 2)  # noqa: E731
    r = mflow.minimize(root, [far], jac=slope, hess=lambda x: [[(1 + (x[0] - 2) ** 2) ** -1.5]], method="trust_ncg")
    assert r.success
    assert r.x[0] == pytest.approx(2.0, abs=1e-4)
    assert r.nit < 100


@pytest.mark.parametrize("name", ["lbfgs", "cg", "trust_ncg"])
def test_a_descent_that_is_cut_by_a_clock_has_the_bits_of_the_whole_one(name: str) -> None:
    f = mflow.objectives.Rosenbrock(5000)
    whole, cut = core(name, f), core(name, f)
    status = whole.advance(50, 0.0)
    while cut.advance(50 - cut.k, 0.0, paced=True) == status == 0 and cut.k < 50:
        pass
    assert cut.standing == (whole.k, whole.value, whole.largest_slope[1])
    assert cut.save() == whole.save()
