"""path=True of steps that follow the curvature: the iterates of the run, from the start to the end, with their costs."""

from typing import Any

import numpy as np
import pytest

import mflow

STEPS: list[dict[str, Any]] = [
    {"method": "sgd", "lr": "auto"}, {"method": "adam", "lr": "auto"}, {"method": "nesterov", "lr": "auto", "momentum": "auto"},
    {"method": "rk4", "dt": "auto"}, {"method": "rkc2", "dt": "auto"},
]  # fmt: skip


@pytest.mark.parametrize("how", STEPS, ids=lambda how: how["method"])
@pytest.mark.parametrize("start", [[1.0, 2.0], [0.0, 0.0]])
@pytest.mark.parametrize("maxiter", [5, 1000])
def test_the_path_goes_from_the_start_to_the_end(how: dict[str, Any], start: list[float], maxiter: int) -> None:
    r = mflow.minimize(lambda x: x @ x, start, jac=lambda x: 2 * x, path=True, maxiter=maxiter, **how)
    assert r.path.k.tolist() == list(range(r.nit + 1))
    assert np.array_equal(r.path.x[0], start)
    assert np.array_equal(r.path.x[-1], r.x)
    assert r.path.fun == pytest.approx(np.sum(r.path.x**2, axis=1), rel=1e-12)


def test_every_third_iterate() -> None:
    r = mflow.minimize(lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, method="sgd", lr="auto", path=3, maxiter=10)
    assert r.path.k.tolist() == [0, 3, 6, 9, 10]


@pytest.mark.parametrize("only", ["both", "cost", "gradient"])
def test_steps_that_meet_nan_are_told_as_such(only):
    """ "Its last digits are spent", it said, "or the gradient is not that of the cost, or it has a kink here"."""
    calls = []

    def fun(x):
        calls.append(1)
        value, grad = 0.5 * float(x @ x), 1.0 * x
        lost = len(calls) > 12
        return np.nan if lost and only != "gradient" else value, grad * np.nan if lost and only != "cost" else grad

    r = mflow.minimize(fun, [1.0, 2.0], jac=True, method="sgd", lr="auto", check_gradient=False)
    assert (r.reason, r.success) == ("non_finite", False)
    assert "not finite" in r.message


def test_a_wall_of_nan_is_named():
    def fun(x):
        return (0.5 * float(x @ x), 1.0 * x) if x[0] > 1.0 else (np.nan, x * np.nan)

    r = mflow.minimize(fun, [3.0, 2.0], jac=True, method="sgd", lr="auto", maxiter=100, check_gradient=False)
    assert r.reason == "max_iter"
    assert "longer steps met a cost or gradient that is not finite" in r.message
