"""Bounds and fixed parameters: L-BFGS-B against the conditions of Karush, Kuhn and Tucker and its Cauchy point; projected optimizers."""

from __future__ import annotations

import itertools
import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow

Array = np.ndarray[Any, np.dtype[np.float64]]
UPDATES = [record.name for record in registry.records() if record.kind == "update" and record.name != "consistent_momentum"]


class Bowl:
    """A convex cost, a quadratic or one with fourth powers, and bounds of all kinds."""

    def __init__(self, seed: int, n: int = 0, quartic: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        n = n or int(rng.integers(1, 25))
        M = rng.normal(size=(n, n))
        self.A, self.b, self.quartic = M @ M.T + np.diag(10.0 ** rng.uniform(-2, 2, n)), 3.0 * rng.normal(size=n), quartic
        self.lower = rng.normal(size=n) - 0.5
        self.upper = self.lower + rng.exponential(size=n)
        self.lower[rng.random(n) < 0.3], self.upper[rng.random(n) < 0.3] = -np.inf, np.inf
        self.x0 = rng.normal(size=n)
        self.pairs = [(None if math.isinf(a) else a, None if math.isinf(b) else b) for a, b in zip(self.lower, self.upper, strict=True)]

    def grad(self, x: Array) -> Array:
        return self.A @ x - self.b + 4.0 * self.quartic * x**3

    def value(self, x: Array) -> float:
        assert np.all((x >= self.lower) & (x <= self.upper)), "evaluated outside the bounds"
        return float(0.5 * x @ self.A @ x - self.b @ x + self.quartic * np.sum(x**4))

    def both(self, x: Array) -> tuple[float, Array]:
        return self.value(x), self.grad(x)

    def check(self, x: Array, tol: float) -> None:
        """The gradient points out of the bounds that hold, and is 0 elsewhere: for a convex cost x is its minimum."""
        assert np.all(x >= self.lower)
        assert np.all(x <= self.upper)
        g = self.grad(x)
        assert np.all((np.abs(g) <= tol) | ((x <= self.lower + tol) & (g > 0.0)) | ((x >= self.upper - tol) & (g < 0.0)))


@pytest.mark.parametrize("quartic", [0.0, 0.1])
@pytest.mark.parametrize("search", [None, "armijo"])
def test_lbfgsb_ends_where_the_conditions_hold(quartic: float, search: str | None) -> None:
    for seed in range(25):
        bowl = Bowl(seed, quartic=quartic)
        r = mflow.minimize(bowl.both, bowl.x0, jac=True, bounds=bowl.pairs, method="L-BFGS-B", gtol=1e-6, line_search=search)
        assert r.success, (seed, r.message)
        bowl.check(r.x, 1e-6)


def test_evaluations_are_no_more_than_scipys() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    own = other = 0
    for seed in range(30):
        bowl = Bowl(seed, 20, quartic=0.1)
        own += mflow.minimize(bowl.both, bowl.x0, jac=True, bounds=bowl.pairs, gtol=1e-6).nfev
        options = {"gtol": 1e-6, "ftol": 0.0}
        other += optimize.minimize(bowl.both, bowl.x0, jac=True, bounds=bowl.pairs, method="L-BFGS-B", options=options).nfev
    assert own <= 1.1 * other


def cauchy(bowl: Bowl, x: Array, g: Array) -> Array:
    """The first local minimiser of g.z + |z|^2/2 along clip(x - t g): at a breakpoint, or inside of a piece."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.where(g < 0, (x - bowl.upper) / g, np.where(g > 0, (x - bowl.lower) / g, np.inf))
    breaks = [0.0, *sorted(set(ends[(ends > 0) & np.isfinite(ends)])), math.inf]
    for left, right in itertools.pairwise(breaks):
        d = np.where(ends > left, -g, 0.0)
        z = np.clip(x - left * g, bowl.lower, bowl.upper) - x
        slope, curve = g @ d + z @ d, d @ d
        if slope >= 0.0 or curve == 0.0:
            return x + z
        if left - slope / curve < right:
            return x + z - slope / curve * d
    raise AssertionError


def test_the_first_direction_leads_to_the_cauchy_point() -> None:
    for seed in range(40):
        bowl = Bowl(seed)
        r = mflow.minimize(bowl.both, bowl.x0, jac=True, bounds=bowl.pairs, path=True, maxiter=1, gtol=0.0)
        start = np.clip(bowl.x0, bowl.lower, bowl.upper)
        if r.nit:
            want = cauchy(bowl, start, bowl.grad(start)) - start
            np.testing.assert_allclose(r.path.directions[0], want, rtol=1e-12, atol=1e-12 * np.max(np.abs(want)))


def test_bounds_out_of_reach_change_little() -> None:
    f = mflow.objectives.Rosenbrock(6)
    free, far = mflow.minimize(f, f.x0, gtol=1e-8), mflow.minimize(f, f.x0, gtol=1e-8, bounds=[(-1e6, 1e6)] * 6)
    assert free.success
    assert far.success
    np.testing.assert_allclose(far.x, free.x, atol=1e-7)


@pytest.mark.parametrize("name", UPDATES)
def test_optimizers_are_projected(name: str) -> None:
    bowl = Bowl(5, 6)
    lr = 1.0 if name == "adadelta" else 0.5 if name == "adagrad" else 0.25 / np.linalg.norm(bowl.A, 2)
    lr = lr if name in ("sgd", "momentum", "nesterov", "adadelta", "adagrad") else 0.02
    r = mflow.minimize(bowl.both, bowl.x0, jac=True, method=name, lr=lr, bounds=bowl.pairs, gtol=1e-4, maxiter=30_000)
    assert np.all(r.x >= bowl.lower)
    assert np.all(r.x <= bowl.upper)
    if r.success:
        bowl.check(r.x, 1e-3)
    assert r.success or name in ("adadelta", "rmsprop", "lion"), r.message  # which shake about the minimum


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_differences_stay_within(jac: str) -> None:
    for seed in range(10):
        bowl = Bowl(seed)
        r = mflow.minimize(bowl.value, bowl.x0, jac=jac, bounds=bowl.pairs, gtol=1e-3)
        bowl.check(r.x, 5e-2)
    r = mflow.minimize(lambda x: float(x[0] - np.log(x[0])), [4.0], jac=jac, bounds=[(1e-12, None)])
    assert r.success
    assert r.x[0] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("method", [None, "adam"])
def test_fixed_parameters_keep_their_values(method: str | None) -> None:
    how: dict[str, Any] = {"method": method, "lr": 0.01, "maxiter": 50_000} if method else {}
    f = mflow.objectives.Rosenbrock(4)
    r = mflow.minimize(f, [-1.2, 1.0, 0.5, 2.0], fixed=[False, True, False, False], **how)
    assert r.success
    assert r.x[1] == 1.0
    inner = mflow.minimize(lambda x: f([x[0], 1.0, x[1], x[2]]), [-1.2, 0.5, 2.0], jac="3-point")
    np.testing.assert_allclose(r.x[[0, 2, 3]], inner.x, atol=1e-3)
    outside = mflow.minimize(f, [3.0, 1.0, 0.5, 2.0], fixed=[True, False, False, False], bounds=[(None, 2.0)] + 3 * [(None, None)], **how)
    assert outside.x[0] == 2.0  # the bounds hold first
    still = mflow.minimize(f, f.x0, fixed=np.ones(4, dtype=bool))
    assert still.success
    assert still.nit == 0
    assert np.array_equal(still.x, f.x0)


def test_forms_of_bounds() -> None:
    f = mflow.objectives.Rosenbrock(2)
    want = mflow.minimize(f, [-1.2, 1.0], bounds=[(-2.0, 0.5), (None, None)])
    np.testing.assert_allclose(want.x, [0.5, 0.25], atol=1e-6)
    assert want.reason == "converged"
    assert "projected gradient" in want.message
    assert abs(want.jac[0]) > 0.5
    box = SimpleNamespace(lb=[-2.0, -np.inf], ub=[0.5, np.inf])  # as scipy.optimize.Bounds
    forms = [box, np.array([[-2.0, 0.5], [-np.inf, np.inf]]), (p for p in [(-2, 0.5), (-math.inf, None)]), [[-2.0, 0.5], [None, math.inf]]]
    for form in forms:
        assert mflow.minimize(f, [-1.2, 1.0], bounds=form).x.tobytes() == want.x.tobytes()
    assert mflow.minimize(f, [-1.2, 1.0], bounds=SimpleNamespace(lb=-5.0, ub=5.0)).success
    none = mflow.minimize(f, [-1.2, 1.0], bounds=[(None, None)] * 2)
    assert none.x.tobytes() == mflow.minimize(f, [-1.2, 1.0]).x.tobytes()
    table = mflow.minimize(lambda x: (float(np.sum((x - 2.0) ** 2)), 2.0 * (x - 2.0)), np.zeros((2, 2)), jac=True, bounds=[(0, 1)] * 4)
    assert table.success
    assert np.array_equal(table.x, np.ones((2, 2)))


@pytest.mark.parametrize(
    ("error", "text", "given"),
    [
        (ValueError, r"bounds: expected lower <= upper, got \(2, 1\) for x\[1\]", {"bounds": [(None, None), (2, 1)]}),
        (ValueError, r"got \(nan, 1\) for x\[0\], which is no number", {"bounds": [(math.nan, 1), (None, None)]}),
        (ValueError, "bounds: expected 2 pairs", {"bounds": [(0, 1)]}),
        (ValueError, r"bounds: expected a pair \(min, max\) for x\[0\]", {"bounds": [1, 2]}),
        (TypeError, r"bounds: expected numbers or None for x\[1\]", {"bounds": [(0, 1), ("a", 1)]}),
        (TypeError, r"bounds: expected a \(min, max\) pair", {"bounds": 3}),
        (ValueError, "bounds.lb: expected numbers of x0's shape", {"bounds": SimpleNamespace(lb=[1, 2, 3], ub=4)}),
        (ValueError, "bounds: bfgs with a line search takes none; give method='lbfgs'", {"bounds": [(0, 1)] * 2, "method": "bfgs"}),
        (ValueError, "bounds: cg with", {"bounds": [(0, 1)] * 2, "method": "CG"}),
        (ValueError, "bounds: trust_ncg", {"bounds": [(0, 1)] * 2, "method": "trust-ncg"}),
        (ValueError, "omit line_search", {"bounds": [(0, 1)] * 2, "method": "adam", "line_search": "armijo"}),
        (ValueError, "bounds: lbfgs and the optimizers", {"bounds": [(0, 1)] * 2, "method": "rk4", "dt": 0.1}),
        (TypeError, "fixed: expected True or False for each parameter", {"fixed": [0, 1]}),
        (ValueError, r"fixed: expected shape \(2,\)", {"fixed": [True]}),
        (TypeError, "bounds: it is an argument of minimize", {"options": {"bounds": [(0, 1)] * 2}}),
    ],
)
def test_what_does_not_fit_is_named(error: type[Exception], text: str, given: dict[str, Any]) -> None:
    with pytest.raises(error, match=text):
        mflow.minimize(mflow.objectives.Rosenbrock(2), [0.0, 0.0], **given)


def test_lower_and_upper_ends_in_place_of_pairs_are_doubted():
    """SciPy's least_squares has them so; with two parameters they were pairs, in silence."""
    with pytest.warns(UserWarning, match=r"as pairs .* x\[1\] in \[5, 5\]; x0 is outside them, and they hold both parameters; .*zip\(low"):
        mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], jac=True, bounds=([0, 0], [5, 5]))
    with pytest.warns(UserWarning, match="they hold both parameters"):  # outside either way
        mflow.minimize(lambda x: (x @ x, 2 * x), [-1.2, 1.0], jac=True, bounds=([0, 0], [0.5, 0.5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], jac=True, bounds=[(0, 5), (0, 5)])
        mflow.minimize(lambda x: (x @ x, 2 * x), [-1.0, 6.0], jac=True, bounds=[(0, 5), (0, 5)])  # outside either way
    assert r.x.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("offset", [1e6, 1e7, 1e8])
@pytest.mark.parametrize("start", [[0.0, 0.0], [0.5, 0.5]])
def test_differences_that_vanish_beside_an_offset_are_longer_where_another_parameter_is_at_its_bound(
    offset: float, start: list[float]
) -> None:
    """The run ended at x[0] = 1.3 with success: the look along all parameters would have left the bounds, and was left out."""
    r = mflow.minimize(lambda x: offset + (x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2, start, bounds=[(None, None), (-1, None)])
    assert r.success
    np.testing.assert_allclose(r.x, [1.0, -1.0], atol=1e-4)
