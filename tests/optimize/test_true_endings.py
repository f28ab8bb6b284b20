"""Endings of minimisations where values, parameters or slopes are at an edge: each says what is so, and names what the user gave."""

from __future__ import annotations

import math
import re
import sys
import warnings
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


PEAKS = {  # a start where the gradient is 0, which is no minimum
    "maximum": (lambda x: math.cos(x[0]), [0.0]),
    "quartic": (lambda x: x[0] ** 4 - x[0] ** 2, [0.0]),
    "steep": (lambda x: 100.0 * math.cos(x[0]), [0.0]),
    "saddle": (lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, [1.0, 0.0]),
    "well": (lambda x: 0.5 * ((x[0] ** 2 - 1.0) ** 2 + (x[1] - 2.0) ** 2), [0.0, 0.0]),  # two iterations, some lengths of differences away
    "narrow": (lambda x: 0.5 * ((5.0 * x[0] ** 2 - 1.0) ** 2 + (x[1] - 2.0) ** 2), [0.0, 0.0]),
    "many": (lambda x: -float(x @ x) + float(np.sum(x**4)), [0.0] * 70),
}


@pytest.mark.parametrize("jac", [None, "3-point"])
@pytest.mark.parametrize("how", [{}, {"method": "bfgs"}, {"method": "trust_ncg"}, {"method": "sgd", "lr": "auto"}])
@pytest.mark.parametrize("name", PEAKS)
def test_a_maximum_is_no_minimum_by_any_difference(name: str, how: dict[str, Any], jac: Any) -> None:
    cost, start = PEAKS[name]
    seen = [0]

    def counted(x: Array) -> float:
        seen[0] += 1
        return float(cost(x))

    r = mflow.minimize(counted, start, jac=jac, **how)
    assert r.nfev == seen[0]
    nearby = np.random.default_rng(0).normal(size=(200, len(start)))
    below = min(float(cost(r.x + 0.01 * move / np.linalg.norm(move))) for move in nearby) < r.fun - 1e-5
    assert r.success is not below
    assert (r.reason == "not_a_minimum") is below


@pytest.mark.parametrize("cost", [lambda x: 5e-6 * (x[0] - 1) ** 2, lambda x: 1e6 + 1e-3 * (x[0] - 1e-9) ** 2, lambda x: 4.0 - 9e-6 * x[0]])
@pytest.mark.parametrize("start", [0.0, 1e-9, 0.5])
def test_a_slope_within_gtol_beside_a_bound_is_no_maximum(cost: Any, start: float) -> None:
    r = mflow.minimize(cost, [start], bounds=[(0.0, 1.0)])
    assert r.reason == "converged"


def test_minima_are_called_minima() -> None:
    """Also with ripples of rounding, beside bounds, and where the cost is flat; nothing is asked outside of the bounds."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        n, high = int(rng.integers(1, 6)), 10.0 ** rng.integers(-3, 9)
        at, sizes = rng.normal(size=n), 10.0 ** rng.uniform(-2, 2, size=n)
        r = mflow.minimize(lambda x: high + float(np.sum(sizes * (x - at) ** 2)), at)  # noqa: B023
        assert r.reason != "not_a_minimum"
    seen: list[float] = []

    def cost(x: Array) -> float:
        seen.append(float(x[0]))
        return math.cos(float(x[0]))

    for low, high, start in ((0.0, 1.0, 1e-9), (-1.0, 0.0, -1e-9), (0.0, 1.0, 0.0)):  # one side of the maximum alone can be entered
        seen.clear()
        r = mflow.minimize(cost, [start], bounds=[(low, high)])
        assert r.reason == "not_a_minimum"
        assert "on each side within the bounds" in r.message
        assert low <= min(seen) <= max(seen) <= high


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: abs(x[0] - 1),
        lambda x: 3.0 * abs(x[0] - 0.77) + 0.1 * (x[0] - 1) ** 2,
        lambda x: abs(x[0] - 0.77) ** 0.5,
        lambda x: max(-0.2 * (x[0] - 1), x[0] - 1),
    ],
)
def test_a_kink_is_no_noise(cost: Any) -> None:
    """The values are those of float64, to rounding. Central differences may meet the kink itself, at 1 or 0.77, where they are 0."""
    r = mflow.minimize(cost, [0.3])
    assert "has a kink near x" in r.message or (r.success and min(abs(r.x[0] - 1.0), abs(r.x[0] - 0.77)) < 1e-15)
    assert "noise of" not in r.message


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_noise_is_no_kink(size: float) -> None:
    """Ripples far shorter than the differences, which are taken over longer distances then."""
    r = mflow.minimize(lambda x: (x[0] - 1) ** 2 + size * math.sin(x[0] / 1e-6) * math.cos(1.7 * x[0] / 1e-6), [0.3])
    assert "noise of about" in r.message
    assert "kink near" not in r.message


@pytest.mark.parametrize("check", [True, False])
def test_what_is_asked_around_the_end_is_counted_whatever_check_gradient_is(check: bool) -> None:
    seen = [0]

    def cost(x: Array) -> float:
        seen[0] += 1
        return abs(float(x[0]) - 0.77) + (float(x[0]) - 1.0) ** 2

    before = [0]
    r = mflow.minimize(cost, [0.3], check_gradient=check, callback=lambda xk: before.__setitem__(0, seen[0]))
    assert "has a kink near x" in r.message
    assert before[0] < r.nfev == seen[0]
    assert r.ncheck == 0


@pytest.mark.parametrize(("method", "a", "w", "dt"), [("bdf", 2.226355163352272, 1.785195116470002, 0.537429201927053),
                                                      ("rodas5p", 1.5155812922044236, 2.788670285647871, 0.21677863468223618)])  # fmt: skip
def test_an_integrator_that_left_the_flow_upwards_has_not_converged(method: str, a: float, w: float, dt: float) -> None:
    def cost(x: Array) -> float:
        return float(np.sqrt(1 + x @ x) + a * np.cos(w * x[0]))

    def jac(x: Array) -> Array:
        return np.array([x[0] / np.sqrt(1 + x @ x) - a * w * np.sin(w * x[0])])

    r = mflow.minimize(cost, [1e-6], jac=jac, method=method, dt=dt, gtol=1e-6)
    assert r.fun <= cost(np.array([1e-6])) or (r.reason == "solve_failed" and "the cost rose from" in r.message)
    short = mflow.minimize(cost, [1e-6], jac=jac, method=method, dt=dt / 50, gtol=1e-6, maxiter=10**5)
    assert short.success
    assert short.fun < cost(np.array([1e-6]))


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
@pytest.mark.parametrize(
    ("method", "name", "step", "limit"),
    [("euler", "dt", 1e200, "2"), ("rk4", "dt", 1e100, "2.785"), ("verlet", "dt", 1e160, "1.236"), ("sgd", "lr", 3.0, "2")],
)
def test_a_step_given_by_a_schedule_diverges_as_the_number_does(method: str, name: str, step: float, limit: str) -> None:
    """On |x|^2/2, whose curvature is 1; by a schedule it was "non_finite", or told without the limit."""
    ends, falling = [], () if method == "sgd" else (lambda k: step if k < 1 else step / 2,)
    for given in (step, lambda k: step, *falling):
        r = mflow.minimize(lambda x: (0.5 * x @ x, x.copy()), [1.0, 2.0], jac=True, method=method, maxiter=2000, **{name: given})
        assert (r.reason, r.status) == ("diverged", -1)
        assert f"lr = {step:g} exceeds the stability limit {limit} " in r.message
        ends.append((r.nit, r.nfev, r.message))
    assert ends[0] == ends[1]


STATIONARY: dict[str, tuple[Any, Any, list[float], str]] = {  # cost, gradient, start, ending
    "inflection": (lambda x: x[0] ** 3, lambda x: 3 * x**2, [1.0], "one side"),
    "inflection of squares": (lambda x: (x[0] ** 3 + 1) ** 2 / 2, lambda x: 3 * x**2 * (x**3 + 1), [1.0], "one side"),
    "saddle": (lambda x: x[0] ** 2 - x[1] ** 2, lambda x: np.array([2 * x[0], -2 * x[1]]), [1.0, 0.0], "both sides"),
    "ridge": (
        lambda x: ((x[0] ** 2 - 1) ** 2 + (x[1] - 2) ** 2) / 2,
        lambda x: np.array([2 * x[0] * (x[0] ** 2 - 1), x[1] - 2]),
        [0.0, 0.0],
        "both sides",
    ),
    "maximum": (lambda x: np.cos(x[0]), lambda x: -np.sin(x), [0.0], "both sides"),
    "monkey saddle": (
        lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2,
        lambda x: np.array([3 * x[0] ** 2 - 3 * x[1] ** 2, -6 * x[0] * x[1]]),
        [0.0, 0.0],
        "one side",
    ),
    "minimum": (lambda x: 1 + x[0] ** 2, lambda x: 2 * x, [0.0], ""),
    "flat minimum": (lambda x: 1e6 + x[0] ** 4, lambda x: 4 * x**3, [1.0], ""),
    "plateau": (lambda x: max(0.0, x[0]) ** 2, lambda x: np.array([2 * max(0.0, x[0])]), [-1.0], ""),
    "kink": (lambda x: abs(x[0]), np.sign, [0.0], ""),
}


@pytest.mark.parametrize("name", STATIONARY)
@pytest.mark.parametrize("method", ["lbfgs", "cg", "sgd"])
def test_a_gradient_of_exactly_0_is_no_minimum_where_the_cost_falls(name: str, method: str) -> None:
    cost, grad, start, falls = STATIONARY[name]
    calls = [0]

    def counted(x: Array) -> float:
        calls[0] += 1
        return float(cost(x))

    how: dict[str, Any] = {"lr": 1e-3, "maxiter": 1} if method == "sgd" else {}
    r = mflow.minimize(counted, start, jac=grad, method=method, **how)
    assert calls[0] == r.nfev + r.ncheck
    if np.any(r.jac):  # one step does not meet the point itself
        assert method == "sgd"
        return
    assert (r.reason, r.success) == (("not_a_minimum", False) if falls else ("converged", True))
    assert f"the cost falls on {falls} of x" in r.message or not falls
    plain = mflow.minimize(cost, start, jac=grad, method=method, check_gradient=False, **how)
    assert (plain.reason, plain.ncheck) == ("converged", 0)
    assert plain.nfev == r.nfev


def _quadratic(H: Any) -> tuple[Any, Any]:
    matrix = np.asarray(H, dtype=np.float64)
    return (lambda x: float(x @ matrix @ x)), (lambda x: 2.0 * matrix @ x)


UNSEEN: dict[str, tuple[Any, Any, list[float]]] = {  # cost, gradient, a start from which the descent is never told of the way down
    "one parameter stands, the others' gradient is small": (
        lambda x: math.cosh(x[0]) - x[1] ** 2,
        lambda x: np.array([math.sinh(x[0]), -2 * x[1]]),
        [1.3, 0.0],
    ),
    "an inflection in it": (lambda x: math.cosh(x[0]) + x[1] ** 3, lambda x: np.array([math.sinh(x[0]), 3 * x[1] ** 2]), [1.3, 0.0]),
    "the third parameter": (*_quadratic(np.diag([1.0, 1.0, -1.0])), [1.0, 1.0, 0.0]),
    "the third at the start": (*_quadratic(np.diag([1.0, 1.0, -0.5])), [0.0, 0.0, 0.0]),
    "across the diagonal": (*_quadratic([[0.0, 2.0], [2.0, 0.0]]), [1.0, 1.0]),
    "across the diagonal, to a gradient that is not 0": (
        lambda x: math.cosh(x[0] + x[1]) - (x[0] - x[1]) ** 2,
        lambda x: math.sinh(x[0] + x[1]) + 2 * (x[0] - x[1]) * np.array([-1.0, 1.0]),
        [0.7, 0.7],
    ),
    "one of a hundred": (*_quadratic(np.diag(np.where(np.arange(100) == 70, -1.0, 1.0))), [*[1.0] * 70, 0.0, *[1.0] * 29]),
}


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg"])
def test_a_saddle_whose_way_down_the_descent_has_not_seen_is_no_minimum(name: str, method: str) -> None:
    """It ended "converged" where the way down was along no one of the first two parameters, or where the gradient was small, and
    not 0."""
    cost, grad, start = UNSEEN[name]
    r = mflow.minimize(cost, start, jac=grad, method=method)
    assert (r.reason, r.success) == ("not_a_minimum", False)


def test_a_saddle_across_the_parameters_that_differences_meet_is_no_minimum() -> None:
    """It ended "converged": along each parameter the cost is level there."""
    for name in ("lbfgs", "bfgs"):
        r = mflow.minimize(lambda x: 4 * x[0] * x[1], [1.0, 1.0], method=name)
        assert (r.reason, r.success) == ("not_a_minimum", False)


def _hyperbolic(sign: float) -> tuple[Any, Any]:
    """(x - 1)^2 - sign y z + y^2 z^2, which falls from y = z = 0 where sign y z is above 0, and its gradient."""
    return lambda x: (x[0] - 1) ** 2 - sign * x[1] * x[2] + (x[1] * x[2]) ** 2, lambda x: np.array(
        [2 * (x[0] - 1), -sign * x[2] + 2 * x[1] * x[2] ** 2, -sign * x[1] + 2 * x[2] * x[1] ** 2]
    )


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("bounds", [None, [(None, None), (0, 4), (-4, 4)], [(None, None), (0, 4), (0, 4)], [(None, None), (-4, 0), (0, 4)]])
def test_a_saddle_of_two_parameters_that_stand_is_no_minimum(bounds: Any, sign: float, given: bool) -> None:
    """Along each of them the cost is level: it was called converged. Where a quarter between bounds has no way down it is a minimum."""
    cost, grad = _hyperbolic(sign)
    y, z = ((0, 4), (0, 4)) if bounds is None else bounds[1:]
    falls = bounds is None or any(sign * (0.1 * a) * (0.1 * b) > 0.0 for a in y for b in z)
    r = mflow.minimize(cost, [2.0, 0.0, 0.0], jac=grad if given else None, bounds=bounds)
    np.testing.assert_allclose(r.x, [1.0, 0.0, 0.0], atol=1e-6)
    assert r.reason == ("not_a_minimum" if falls else "converged")


@pytest.mark.parametrize(
    ("start", "asked"),
    [
        ([0.0, 0.0], 2), ([0.0] * 50, 2), ([3.0, -2.0], 2), ([3.0, 4.0], 2), ([-2.0], 2), ([-1.2, 1.0], 2), ([1.0, 4.0], 2),
        ([-1.2, 1.0, 1.0], 4), ([-1.2, 1.0] * 25, 4),
    ],
)  # fmt: skip
def test_two_evaluations_end_a_straight_way_through_a_quadratic(start: list[float], asked: int) -> None:
    """They were six to eight: two at each end for the gradient, and others beside the way. Several parameters that stand where they began
    may make a saddle together, or with one another: two more."""
    calls: list[Array] = []

    def cost(x: Array) -> Any:
        calls.append(x)
        return float((x - 1) @ (x - 1)), 2 * (x - 1)

    r = mflow.minimize(cost, start, jac=True)
    assert (r.reason, r.ncheck, len(calls)) == ("converged", asked, r.nfev + asked)


WRONG: dict[str, Any] = {
    "twice": lambda d, g: 2 * g, "one entry": lambda d, g: g * [1.0, 1.3, 1.0], "missing": lambda d, g: g * [1.0, 1.0, 0.0],
    "constant": lambda d, g: g - np.array([0.0, 0.0, 0.1]), "coupled": lambda d, g: g + 0.2 * d[::-1],
}  # fmt: skip


@pytest.mark.parametrize("start", [[3.0, -2.0, 0.5], [1.0, 4.0, 4.0]])
@pytest.mark.parametrize("kind", WRONG)
def test_a_short_run_with_a_wrong_gradient_is_told(kind: str, start: list[float]) -> None:
    """Its gradient is compared with the cost after two iterations, or at its end."""
    with pytest.warns(mflow.GradientWarning):
        r = mflow.minimize(lambda x: ((x - 1) @ (x - 1), WRONG[kind](x - 1, 2 * (x - 1))), start, jac=True)
    assert not r.success


def test_parameters_that_stand_hide_no_saddle_at_the_end_of_a_straight_way() -> None:
    """x[1] and x[2] stand at 1, where the cost falls in two of their quarters alone, or more along one than it rises along the other."""
    for slope in (lambda u: np.array([u[1], u[0]]), lambda u: np.array([-u[1], -u[0]]), lambda u: np.array([2 * u[0], -8.0 * u[1]])):

        def cost(x: Array) -> Any:
            g = np.concatenate([2 * (x[:1] - 1), slope(x[1:] - 1)])  # noqa: B023
            return 0.5 * float(g @ (x - 1)), g

        r = mflow.minimize(cost, [4.0, 1.0, 1.0], jac=True)
        assert r.reason == "not_a_minimum"


@pytest.mark.parametrize(("across", "extra", "reason"), [(-2.0, 0.0, "not_a_minimum"), (2.0, 0.3, "wrong_gradient")])
def test_a_straight_way_hides_no_saddle_and_no_wrong_gradient_at_its_end(across: float, extra: float, reason: str) -> None:
    def cost(x: Array) -> Any:  # extra: a slope across the way, beside its end alone, that the gradient leaves out
        s, t = (x[0] + x[1]) / 2, (x[0] - x[1]) / 2
        value = 2 * (s - 1) ** 2 + across * t * t + (extra * t if s > 0.9 else 0.0)
        return value, np.array([2 * (s - 1) + across * t, 2 * (s - 1) - across * t])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mflow.GradientWarning)
        r = mflow.minimize(cost, np.zeros(2), jac=True)
    assert (r.success, r.reason) == (False, reason)


INWARD = {
    "well": (lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, lambda x: np.array([4 * x[0] * (x[0] ** 2 - 1), 2 * x[1]]), [0.0, 1.0], False),
    "saddle": (lambda x: np.cosh(x[0]) - x[1] ** 2, lambda x: np.array([np.sinh(x[0]), -2 * x[1]]), [1.3, 0.0], False),
    "line": (lambda x: x[0] ** 4 - x[0] ** 2, lambda x: 4 * x**3 - 2 * x, [0.0], False),
    "upper": (lambda x: (x[0] - 4) ** 4 - (x[0] - 4) ** 2, lambda x: 4 * (x - 4) ** 3 - 2 * (x - 4), [4.0], False),
    "many": (lambda x: x[-1] ** 4 - np.sum(x**2), lambda x: np.append(-2 * x[:-1], 4 * x[-1] ** 3 - 2 * x[-1]), [0.0] * 12, False),
    "bowl": (lambda x: x @ x, lambda x: 2 * x, [0.0, 1.0], True),
    "flat": (lambda x: x[0] ** 2, lambda x: np.array([2 * x[0], 0.0]), [1.0, 0.0], True),
    "outward": (lambda x: x[0] ** 2 + x[1] ** 3, lambda x: np.array([2 * x[0], 3 * x[1] ** 2]), [1.0, 0.0], True),
}


@pytest.mark.parametrize("name", INWARD)
def test_a_parameter_at_its_bound_with_a_slope_of_0_is_looked_at_inward(name: str) -> None:
    """The cost falls from a maximum or a saddle that is at a bound, and the end there was called converged."""
    cost, jac, start, minimum = INWARD[name]
    asked: list[Array] = []

    def fun(x: Array) -> float:
        asked.append(x.copy())
        return float(cost(x))

    r = mflow.minimize(fun, start, jac=jac, bounds=[(0.0, 4.0)] * len(start))
    assert r.reason == ("converged" if minimum else "not_a_minimum")
    assert minimum or "the cost falls on each side within the bounds" in r.message
    assert all(np.all((x >= 0.0) & (x <= 4.0)) for x in asked)
    assert len(asked) == r.nfev + r.ncheck


@pytest.mark.parametrize("jac", [None, True])
@pytest.mark.parametrize(
    ("cost", "grad", "along"),
    [
        (lambda x: -(x[0] ** 2), lambda x: [-2 * x[0]], r"\[1\.\]"),
        (lambda x: x[0] + x[1] ** 2, lambda x: [1.0, 2 * x[1]], r"\[-1[.e+0]* "),
    ],
    ids=["square", "line"],
)
def test_a_cost_that_falls_without_end_is_said_to(cost: Any, grad: Any, along: str, jac: Any) -> None:
    start = np.array([1.0, 2.0])[: len(grad([1.0, 2.0]))]
    both = cost if jac is None else (lambda x: (cost(x), np.array(grad(x))))
    out = mflow.minimize(both, start, jac=jac)
    assert (out.success, out.reason) == (False, "line_search_failed")
    assert re.match(rf"the cost seems to have no lower bound: it is -\S+ and still falls \S+ away from x0 along {along}", out.message)


def test_a_search_that_ends_far_away_beside_a_lower_bound_says_nothing_of_it() -> None:
    """exp(-x) has none to reach, but a lower bound."""
    out = mflow.minimize(lambda x: (np.exp(-x[0]), -np.exp(-x)), [1.0], jac=True, gtol=0.0)
    assert "no lower bound" not in out.message


@pytest.mark.parametrize("method", ["lbfgs", "gradient_descent", "adam", "trust_ncg"])
@pytest.mark.parametrize(("value", "slope", "words"), [
    (math.inf, 1.0, "the cost is inf at x0"), (-math.inf, 1.0, "the cost is -inf at x0"),
    (math.nan, 1.0, "the cost or its gradient is not finite at x0"), (2.0, math.nan, "the gradient is not finite at x0"),
])  # fmt: skip
def test_a_start_that_is_not_finite(method: str, value: float, slope: float, words: str) -> None:
    """fun is what the cost is there; no point before it was finite, and none is spoken of."""
    hess: dict[str, Any] = {"hess": lambda x: np.eye(1)} if method == "trust_ncg" else {}
    r = mflow.minimize(lambda x: (value, np.array([slope])), np.ones(1), jac=True, method=method, **hess)
    assert (r.reason, r.x.tolist()) == ("non_finite", [1.0])
    np.testing.assert_equal(r.fun, value)
    assert r.message.startswith(words)
    assert "last point" not in r.message


@pytest.mark.parametrize("cost", [max, lambda x: max(x[0], x[1], x[0] + x[1]), lambda x: max(2.0 * x[0], x[1])])
def test_a_kink_that_leads_down_without_end(cost: Any) -> None:
    """Where x is so large that its rounding is longer than differences these are 0: "converged" at -6e13."""
    out = mflow.minimize(cost, [3.0, 1.0])
    assert (out.success, out.reason) == (False, "not_a_minimum")
    assert out.message.startswith("the cost seems to have no lower bound: it is -")
    far = mflow.minimize(lambda x: 1e-12 * (x[0] - 1e13) ** 2 - 1e20, [1.0])
    assert "no lower bound" not in far.message


@pytest.mark.parametrize("maxiter", [300, 5000])
@pytest.mark.parametrize("method", ["sgd", "momentum", "euler"])
def test_steps_past_a_limit_diverge_whoever_looks(method: str, maxiter: int) -> None:
    """Without a path the cost was asked for at the end alone: "non_finite", and iterations until x overflows, 322 for 162."""
    how: dict[str, Any] = {"jac": lambda x: 2 * (x - 1), "method": method, "maxiter": maxiter}
    ways: list[dict[str, Any]] = [{"lr": 5.0}, {"lr": 5.0, "path": True}, {"lr": 5.0, "callback": lambda r: None}, {"lr": lambda k: 5.0}]
    with np.errstate(over="ignore"):
        runs = [mflow.minimize(lambda x: (x[0] - 1) ** 2, [0.0], **how, **way) for way in ways]
    assert [r.reason for r in runs] == ["diverged"] * len(ways)
    assert all("limit" in r.message for r in runs) or method == "euler"
    if method != "momentum":  # x - 1 grows by |1 - 5 * 2| in each, until its square is no number
        assert runs[0].nit == math.ceil(math.log(sys.float_info.max) / 2 / math.log(9.0))
    assert len({(r.nit, float(r.x[0])) for r in runs}) == 1


def test_a_cost_that_has_no_value_where_small_gradients_led_is_not_finite() -> None:
    r = mflow.minimize(lambda x: math.nan if x[0] < 0.5 else x[0] ** 2, [1.0], jac=lambda x: 2 * x, method="sgd", lr=0.1, maxiter=100)
    assert (r.success, r.reason) == (False, "non_finite")
