"""Observed orders, the ODE behind a method, work against stiffness, families and basins."""

import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.equations.convergence import slope_of


def test_order_of_every_integrator(step_method: Any) -> None:
    """At least the method's order, at the end and, one more, after a step; dopri5 and its like are better on a circle.

    A fitted slope settles late where an error has terms of two signs: two neighbours show the order, and the fit shows which.
    """
    result = mflow.convergence(step_method.name)
    for errors, fitted, order in (
        (result.global_error, result.global_order, step_method.order),
        (result.local_error, result.local_order, step_method.order + 1),
    ):
        seen = errors[1:] > 1e-13
        assert np.max(np.log2(errors[:-1][seen] / errors[1:][seen])) > order - 0.2
        assert fitted > order - 0.8
    assert step_method.name in result.table()
    assert result.expected == step_method.order


def test_a_line_that_the_tolerance_of_implicit_steps_bends() -> None:
    """The slope is that above the bend; where errors tend to a constant far above rounding, as against another equation, it is theirs."""
    dt = 0.5 ** np.arange(1.0, 9.0)
    assert slope_of(dt, 0.01 * dt**5 + 1e-10 * dt) == pytest.approx(5.0, abs=0.1)
    assert slope_of(dt, 0.01 * dt**5) == pytest.approx(5.0, rel=1e-9)
    assert slope_of(dt, 0.1 * dt**2 + 1e-3) < 0.5
    assert mflow.convergence("radau5").global_order == pytest.approx(5.0, abs=0.1)


def test_order_of_every_second_order_method(second_method: Any) -> None:
    result = mflow.convergence(second_method.name)
    assert result.global_order == pytest.approx(second_method.order, abs=0.15)


def test_convergence_on_a_problem_of_ones_own() -> None:
    result = mflow.convergence("rk4", (lambda t, y: -y, (0.0, 1.0), [1.0]), exact=lambda t: np.array([math.exp(-t)]), dt=[0.1, 0.2, 0.05])
    np.testing.assert_array_equal(result.dt, [0.2, 0.1, 0.05])
    assert result.global_error[0] == pytest.approx(abs((1 - 0.2 + 0.02 - 0.2**3 / 6 + 0.2**4 / 24) ** 5 - math.exp(-1)), rel=1e-9)
    same = mflow.convergence("rk4", (lambda t, y: -y, (0.0, 1.0), [1.0]), dt=[0.2, 0.1, 0.05])
    np.testing.assert_allclose(same.global_error, result.global_error, rtol=1e-6)
    assert mflow.convergence("rk4", "A1", dt=[0.5, 0.25, 0.125]).global_order == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(
    ("name", "parameters", "equation"),
    [
        ("sgd", {}, "flow"),
        ("momentum", {"momentum": 0.9}, "scaled flow"),
        ("momentum", {"momentum": 0.5}, "scaled flow"),
        ("nesterov", {"momentum": 0.9}, "scaled flow"),
        ("nesterov", {"momentum": 0.8, "form": "pull"}, "scaled flow"),
        ("consistent_momentum", {"beta_hat": 2.0, "friction": 0.5}, "newton"),
        ("consistent_momentum", {"lookahead": True}, "newton"),
        ("rmsprop", {}, "sign flow"),
    ],
)
def test_the_ode_behind_an_optimizer(name: str, parameters: Any, equation: str) -> None:
    """The issue's words: Newton's law, and c' = -g/(1 - mu), each of first order."""
    result = mflow.consistency(name, **parameters)
    assert result.name == equation
    assert result.order == pytest.approx(1.0, abs=0.1)
    for other, order in result.orders.items():
        assert other == equation or order < 0.5
    assert result.equation in str(result)


@pytest.mark.parametrize(("name", "order"), [("rk4", 4), ("trapezoidal", 2), ("newmark", 2), ("symplectic_euler", 1)])
def test_the_ode_behind_an_integrator(name: str, order: int) -> None:
    result = mflow.consistency(name)
    assert result.name == ("newton" if "second_order" in mflow.get_method(name).flags else "flow")
    assert result.order == pytest.approx(order, abs=0.2)


def test_adagrad_has_no_such_ode() -> None:
    result = mflow.consistency("adagrad")
    assert result.name == ""
    assert math.isnan(result.order)
    assert result.equation.startswith("none")


def test_where_the_implicit_solve_pays() -> None:
    r = mflow.explicit_vs_implicit("rk4", "sdirk2", stiffness=[1.0, 10.0, 100.0, 1000.0])
    assert 10.0 < r.crossover < 1000.0
    assert np.all(np.diff(r.explicit_work) > 0)
    assert r.explicit_work[-1] / r.explicit_work[-2] == pytest.approx(10.0, rel=0.3)  # stability alone: steps grow with stiffness
    assert r.implicit_work[-1] < 2 * r.implicit_work[0]
    np.testing.assert_array_less(r.explicit_dt[2:] * r.stiffness[2:], mflow.stability_limit("rk4"))
    assert "above it they cost more" in r.table()
    slow = mflow.explicit_vs_implicit(stiffness=[1.0, 2.0])
    assert math.isnan(slow.crossover)
    assert "no crossing" in slow.text


# ---- families and basins ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1.0, 0.0, -1.0])
def test_families_spread_or_close(rate: float) -> None:
    r = mflow.family(lambda t, c: rate * c, [-1.0, 0.5, 2.0], (0.0, 1.5), points=31)
    np.testing.assert_allclose(r.spread, np.exp(rate * r.t), rtol=1e-5)
    np.testing.assert_allclose(r.y[:, 0], np.outer([-1.0, 0.5, 2.0], np.exp(rate * r.t)), rtol=1e-5)
    assert r.success
    assert r.ends.shape == (3, 1)


def test_families_with_a_solution_that_ends_early() -> None:
    r = mflow.family(lambda t, y: y * y, [0.1, 1.0], (0.0, 2.0), points=21)
    assert not r.success
    assert np.isnan(r.y[1, 0, -1])
    assert r.reason[0] == "finished"
    assert r.y[0, 0, -1] == pytest.approx(0.1 / (1 - 0.2), rel=1e-5)


def wells(c: Any) -> Any:
    """Gradient of (c1^2 - 1)^2 + 5 c2^2: minima at (-1, 0) and (1, 0), the line c1 = 0 between them."""
    return np.array([4 * c[0] * (c[0] ** 2 - 1), 10 * c[1]])


def test_basins_of_the_flow_and_of_small_steps() -> None:
    x, y = np.linspace(-1.5, 1.5, 8), np.linspace(-0.5, 0.5, 3)
    r = mflow.basins(wells, (x, y), method="rk4", dt=0.02)
    np.testing.assert_allclose(r.minima, [[-1, 0], [1, 0]], atol=1e-4)
    np.testing.assert_array_equal(r.labels, np.tile((x > 0).astype(int), (3, 1)))
    np.testing.assert_array_equal(r.flow_labels, r.labels)
    assert not r.changed.any()
    np.testing.assert_array_equal(r.boundary, np.tile(np.abs(x) < 0.3, (3, 1)))
    assert np.all(r.drift < 0.05)
    gap = x[4] - x[3]
    assert r.room.min() == pytest.approx(gap)
    assert np.all(r.drift < r.allowed_drift)
    assert np.all(r.allowed_drift <= r.room + 1e-12)


def test_large_steps_leave_their_basin() -> None:
    """Euler with lr = 0.12 from 1.9: 1.9 - 0.48 * 1.9 * 2.61 = -0.48, over the hill, to the other minimum."""
    r = mflow.basins(wells, starts=[[1.9, 0.0], [1.1, 0.0], [-1.1, 0.0], [3.5, 0.0]], method="sgd", lr=0.12)
    assert r.labels[0] == 0
    assert r.flow_labels.tolist() == [1, 1, 0, 1]
    assert r.changed.tolist()[:3] == [True, False, False]
    assert r.drift[0] > 1.0
    assert r.labels[3] == -1
    assert r.reasons[3] in ("diverged", "non_finite")


def test_narrow_valleys_are_followed_to_their_end() -> None:
    """Rosenbrock's: stiffness 2500; the ends of flows that are not there yet are no minima. The walks are cut off on the way."""

    def rosenbrock(c: Any) -> Any:
        return np.array([-400 * c[0] * (c[1] - c[0] ** 2) - 2 * (1 - c[0]), 200 * (c[1] - c[0] ** 2)])

    r = mflow.basins(rosenbrock, starts=[[0.0, 0.0], [-1.0, 1.0]], lr=1e-3, merge=1e-3)
    np.testing.assert_allclose(r.minima, [[1.0, 1.0]], atol=1e-4)
    assert r.flow_labels.tolist() == [0, 0]
    assert set(r.reasons) == {"max_iter"}
    assert not r.changed.any()


def test_a_flow_without_an_end_is_said() -> None:
    with pytest.warns(RuntimeWarning, match="reached no minimum from 2 of 2"):
        r = mflow.basins(lambda c: np.array([1.0, c[1]]), starts=[[1.0, 1.0], [-1.0, 1.0]], lr=0.1, maxiter=50)
    assert r.minima.shape == (0, 2)
    assert (r.labels == -1).all()
    assert (r.flow_labels == -1).all()


def test_drift_is_measured_along_all_of_a_long_path() -> None:
    """A heavy ball with little friction passes (1, 0) after 1571 steps and climbs to nearly (1, -3), where the flow never is."""

    def grad(c: Any) -> Any:
        return np.array([4.0 * (c[0] - 1.0), 1e-2 * c[1]])

    r = mflow.basins(grad, starts=[[1.0, 3.0]], method="consistent_momentum", friction=1e-3, lr=0.01, maxiter=6000, gtol=1e-9)
    assert r.drift[0] > 2.0


def test_saddles_are_no_minima() -> None:
    r = mflow.basins(wells, starts=[[0.0, 0.4], [0.5, 0.1]], method="rk4", dt=0.02)
    np.testing.assert_allclose(r.minima, [[1, 0]], atol=1e-4)
    assert r.labels.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mflow.convergence("adam"), ValueError, "expected an integrator, got adam; mflow.consistency finds"),
        (lambda: mflow.convergence("rk4", 3), TypeError, "problem:"),
        (lambda: mflow.convergence("rk4", dt=[0.1]), ValueError, "at least two steps"),
        (lambda: mflow.consistency("implicit_sgd"), ValueError, "got implicit_sgd, which follows single samples"),
        (lambda: mflow.consistency("sgd", dt=[2.0, 1.0]), ValueError, "dt: expected at least two steps .* up to t_end = 1"),
        (lambda: mflow.explicit_vs_implicit("sdirk2", "rk4"), ValueError, "explicit: expected an explicit integrator .*, got sdirk2"),
        (lambda: mflow.explicit_vs_implicit(stiffness=[2.0, 1.0]), ValueError, "rising"),
        (lambda: mflow.explicit_vs_implicit(error=math.nan), ValueError, "error: expected a finite number above 0, got nan"),
        (lambda: mflow.explicit_vs_implicit(error=-1.0), ValueError, "error: expected a finite number above 0, got -1.0"),
        (
            lambda: mflow.basins(wells, ([0.0], [0.0]), dt=0.1, merge=math.nan),
            ValueError,
            "merge: .* of at least 0, got nan",
        ),
        (lambda: mflow.family(lambda t, y: y, 1.0, (0, 1)), ValueError, "starts:"),
        (lambda: mflow.basins(wells, ([0.0], [0.0]), method="sgd"), ValueError, "dt: expected a step, got None"),
        (lambda: mflow.basins(wells, dt=0.1), ValueError, "grid, starts: expected one of them, got none"),
        (
            lambda: mflow.basins(lambda c: 1.0, ([0.0], [0.0]), dt=0.1),
            ValueError,
            r"grad: .*shape \(2,\) returned, got shape \(\)",
        ),
        (lambda: mflow.basins(wells, ([0.0], [0.0]), dt=0.1, lr=0.1), TypeError, "lr, dt: expected one of them, got both"),
    ],
)
def test_bad_input(call: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
