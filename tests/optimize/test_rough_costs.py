"""Proximal steps on costs whose values carry few digits: ends as good as these allow, and words that say so."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array


def bowl(x: Array) -> float:
    return float((x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2)


def valley(x: Array) -> float:
    return float((1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2)


def single(x: Array) -> Any:
    a, b = x.astype(np.float32)
    return np.square(a - np.float32(1)) + np.float32(10) * np.square(b + np.float32(2))  # NumPy before 2 makes float64 of ** 2


COSTS: dict[str, tuple[Callable[[Array], Any], Callable[[Array], float], float, str]] = {  # with what a value may be off by
    "float32": (single, bowl, 1e-6, "about 7 digits (float32)"),
    "6 decimals": (lambda x: round(bowl(x), 6), bowl, 1e-6, "multiples of 1e-06"),
    "3 decimals": (lambda x: round(bowl(x), 3), bowl, 1e-3, "multiples of 0.001"),
    "valley": (lambda x: round(valley(x), 6), valley, 1e-6, "multiples of 1e-06"),
    "large": (lambda x: 1e6 + bowl(x), bowl, 1e-9, ""),
}


@pytest.mark.parametrize("dt", [1.0, 10.0, np.inf])
@pytest.mark.parametrize("name", COSTS)
def test_the_end_is_as_good_as_the_digits_allow(name: str, dt: float) -> None:
    cost, exact, off, words = COSTS[name]
    calls = [0]

    def counted(x: Array) -> Any:
        calls[0] += 1
        return cost(x)

    r = mflow.minimize(counted, [3.0, 1.0] if exact is bowl else [-1.2, 1.0], method="backward_euler", dt=dt)
    assert (r.reason, r.success) == ("converged", True)
    assert exact(r.x) <= 6 * off
    assert words in r.message
    assert r.nfev == calls[0]
    if "lowers the cost by more than its rounding hides" not in r.message:
        assert np.abs(r.jac).max() <= 1e-5


def test_steps_that_are_too_short_for_the_digits() -> None:
    r = mflow.minimize(COSTS["3 decimals"][0], [3.0, 1.0], method="backward_euler", dt=0.1)
    assert (r.reason, r.success) == ("solve_failed", False)
    assert "no step of dt = 0.1 lowers the cost by more than its rounding hides, 0.001" in r.message
    assert "though its minimum lies lower: raise dt; the cost's values carry about" in r.message
    assert bowl(r.x) < 0.02


def test_a_differenced_cost_of_all_digits() -> None:
    """Its differences were too rough for the equation of short steps."""
    r = mflow.minimize(valley, [-1.2, 1.0], method="backward_euler", dt=0.1)
    assert r.reason == "converged"
    np.testing.assert_allclose(r.x, [1.0, 1.0], atol=1e-4)
    few = mflow.minimize(valley, [-1.2, 1.0], method="backward_euler", dt=0.1, maxiter=20)
    assert (few.reason, few.nit) == ("max_iter", 20)


def test_what_the_cost_raises_comes_through_with_what_is_known() -> None:
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        if calls[0] == 40:
            raise KeyError("mine")
        return round(bowl(x), 3)

    with pytest.raises(KeyError, match="mine") as caught:
        mflow.minimize(cost, [3.0, 1.0], method="backward_euler", dt=1.0)
    assert caught.value.partial_result.reason == "rhs_failed"  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", [{}, {"method": "lbfgs"}], ids=["default", "lbfgs"])
def test_noise_that_the_digits_do_not_show(method: dict[str, Any], seed: int) -> None:
    """Residuals in float32, their squares added in float64: the sum shows all digits, and its differences over 1.5e-8 are false. Against
    SciPy's fit of the residuals in float64; it ended at some 50 times the least cost."""
    optimize = pytest.importorskip("scipy.optimize")
    t = np.linspace(0.0, 4.0, 40)
    data = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.05 * np.random.default_rng(seed).normal(size=40)

    def curve(b: Array) -> Array:
        return np.asarray(b[0] * np.exp(-b[1] * t) + b[2])

    r = mflow.minimize(lambda b: 0.5 * np.sum((curve(b).astype(np.float32).astype(float) - data) ** 2), [1.0, 1.0, 0.0], **method)
    best = optimize.least_squares(lambda b: curve(b) - data, [1.0, 1.0, 0.0], method="lm")
    assert 0.5 * float(np.sum((curve(r.x) - data) ** 2)) <= 1.001 * best.cost
    assert "noise of about" in r.message


CORNERS = np.array([[1.0, 2.0], [-2.0, 1.0], [1.0, -3.0]])
KINKED: dict[str, tuple[Callable[[Array], float], list[float], float]] = {
    "sum": (lambda x: float(np.abs(x).sum()), [1.0, 2.0], 2.0),
    "lasso": (lambda x: float(((x - [3.0, 0.2, -2.0]) ** 2).sum() + np.abs(x).sum()), [1.0, 1.0, 1.0], 2.0),
    "shifted": (lambda x: float(3.0 * abs(x[0] - 1.0) + abs(x[1])), [0.0, 1.0], 6.0),
    "largest": (lambda x: float(np.max(CORNERS @ x + [0.1, 0.2, -0.1])), [1.0, 2.0], math.nan),
}


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("method", ["lbfgs", "bfgs"])
def test_a_kink_where_a_search_fails_is_named(name: str, method: str) -> None:
    """It was asked whether there is noise, a jump or a kink, and a gradient advised, which would not help."""
    fun, start, jump = KINKED[name]
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        return fun(x)

    r = mflow.minimize(cost, start, method=method)
    assert (r.success, r.reason) == (False, "line_search_failed" if name == "largest" else "kink")  # it runs along no parameter there
    assert "has a kink" in r.message
    assert "give diff_step= or jac=" not in r.message
    if math.isfinite(jump):
        assert f"where its slope jumps by {jump:.3g}: no gradient tells a minimum there" in r.message
    assert calls[0] - 2 <= r.nfev + r.ncheck <= calls[0]  # a look whether the cost repeats is counted nowhere


@pytest.mark.parametrize("noise", [1e-12, 1e-9])
def test_noise_and_bends_are_no_kink(noise: float) -> None:
    for cost in (
        lambda x: float(((x - 1) ** 2).sum() + noise * np.sin(1e9 * x.sum() ** 2)),
        lambda x: float((x**4).sum() + 1e3 * x[0] ** 2 + noise * np.sin(1e9 * x.sum() ** 2)),
        lambda x: float(np.sqrt(1e-8 + x @ x) + noise * np.sin(1e9 * x.sum() ** 2)),
    ):
        assert "has a kink at x" not in mflow.minimize(cost, [0.7, -0.3], gtol=1e-14).message
