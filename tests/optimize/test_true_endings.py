"""Endings of minimisations where values, parameters or slopes are at an edge: each says what is so, and names what the user gave."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array


def rosenbrock(x: Array) -> float:
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def bowl(x: Array) -> float:
    return float((x[0] - 1) ** 2 + (x[1] - 2) ** 2 + x[2] ** 2)


@pytest.mark.parametrize("method", ["lbfgs", "cg", "trust_ncg"])
def test_a_noisy_cost_is_called_so_and_not_its_gradient(method: str) -> None:
    rng = np.random.default_rng(0)
    r = mflow.minimize(lambda x: float(np.sum((x - 1) ** 2)) + 1e-3 * rng.normal(), [0.0, 0.0], method=method)
    assert not r.success
    assert "the cost does not repeat" in r.message
    assert "gradient of this cost" not in r.message


def test_a_kink_beside_differences_is_asked_for() -> None:
    r = mflow.minimize(lambda x: abs(x[0] - 0.3) + 2 * abs(x[1] + 0.2) + x[0] ** 2 / 10, [1.0, 1.0], method="bfgs")
    assert r.success or "gradient of this cost" not in r.message


@pytest.mark.parametrize("digits", [2, 4, 6])
@pytest.mark.parametrize("given", [True, False])
def test_a_trust_region_on_a_rounded_cost_ends(digits: int, given: bool) -> None:
    """It moved on by nothing until max_iter, up to 435 000 evaluations."""
    worst, kinds = 0, set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 5))
        A, c = rng.normal(size=(n, n)), rng.normal(size=n)

        def smooth(x: Array, A: Any = A, c: Any = c) -> float:
            return float(np.sum((A @ (x - c)) ** 2) + 0.3 * np.sum(np.cos(3 * x)))

        def jac(x: Array, A: Any = A, c: Any = c) -> Any:
            return 2 * A.T @ (A @ (x - c)) - 0.9 * np.sin(3 * x)

        r = mflow.minimize(
            lambda x, smooth=smooth: round(smooth(x), digits), 3 * rng.normal(size=n), method="trust_ncg", jac=jac if given else None
        )
        worst = max(worst, r.nfev)
        kinds.add(r.reason)
    assert worst < 3000
    assert kinds <= {"converged", "trust_region_failed"}


HELD = [{"fixed": [False, True, False]}, {"bounds": [(None, None), (0, 0), (None, None)]}]


@pytest.mark.parametrize("held", HELD, ids=["fixed", "bounds"])
def test_a_parameter_that_is_held_says_nothing_of_differences(held: dict[str, Any]) -> None:
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        return bowl(x)

    r = mflow.minimize(cost, [0.0, 0.0, 1.0], **held)
    assert r.success
    np.testing.assert_allclose(r.x, [1.0, 0.0, 0.0], atol=1e-5)
    assert "differences" not in r.message
    assert "nothing depends" not in r.message
    assert calls[0] == r.nfev < 20


@pytest.mark.parametrize("method", ["cg", "bfgs", "trust_ncg"])
def test_a_method_that_holds_nothing_names_the_argument(method: str) -> None:
    with pytest.raises(ValueError, match=r"^fixed: .* holds no parameter"):
        mflow.minimize(bowl, [0.0, 0.0, 1.0], method=method, fixed=[False, True, False])
    with pytest.raises(ValueError, match=r"^bounds: "):
        mflow.minimize(bowl, [0.0, 0.0, 1.0], method=method, bounds=[(-1, 1)] * 3)


def test_all_parameters_held() -> None:
    r = mflow.minimize(bowl, [0.0, 0.5, 1.0], fixed=[True] * 3)
    s = mflow.least_squares(lambda b: np.array([b[0] - 1, b[1] - 2, b[2]]), [0.0, 0.5, 1.0], fixed=[True] * 3)
    assert (r.reason, s.reason) == ("converged", "converged")
    assert r.fun == pytest.approx(2 * s.cost)
    for one in (r, s):
        assert one.x.tolist() == [0.0, 0.5, 1.0]
        assert "all parameters are held" in one.message


@pytest.mark.parametrize("power", [2, 3])
def test_a_cost_without_bound_is_said_to_fall(power: int) -> None:
    r = mflow.minimize(lambda x: (-(x[0] ** power), np.array([-power * x[0] ** (power - 1)])), [1.0], jac=True, method="sgd", lr="auto")
    assert (r.success, r.reason) == (False, "diverged")
    assert "falls without bound" in r.message
    assert "lower lr" not in r.message


@pytest.mark.parametrize("method", ["lbfgs", "cg", "bfgs", "trust_ncg"])
def test_slopes_that_overflow_are_named(method: str) -> None:
    def cost(x: Array) -> Any:
        return 1e155 * float(np.sum((x - 1) ** 2)), 2e155 * (x - 1)

    r = mflow.minimize(cost, [0.0, 0.0], jac=True, method=method)
    assert not r.success
    assert "overflow, scale the cost, as by 5e-156" in r.message
    assert math.isfinite(r.fun)
