"""Roots of implicit steps that lie beyond a fold of their branch, against a scan of the branch (scalar stages) and steps along it in h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow.nonlinear import Newton, NewtonKrylov

SOLVERS: dict[str, Any] = {"newton": Newton(), "full": Newton(full=True), "krylov": NewtonKrylov()}
GRID = np.concatenate([np.geomspace(1e-12, 1e-3, 400), np.arange(1e-3, 150.0, 3e-3)])
EPS = 1e-7


def hill(a: float, b: float, m: float, c: float) -> Callable[[Any], Any]:
    return lambda y: a * y**2 / (b + y**2) - m * y + c


def rational(a: float, b: float, c: float) -> Callable[[Any], Any]:
    return lambda y: a / (b + y * y) - y + c


def saturates(a: float, w: float, b: float, m: float) -> Callable[[Any], Any]:
    return lambda y: a * np.tanh(w * (y - b)) - m * y


def continued(f: Callable[[Any], Any], y: float, h: float, c: float) -> float | None:
    """The root of z - h (f(z) + c) = y that continues from y as h grows from 0: s = (z - y)/(f(z) + c) must rise to h. None: it turns."""
    way = np.sign(f(y) + c)
    z = y + way * GRID
    slope = f(z) + c
    end = int(np.argmax(np.sign(slope) != way)) if np.any(np.sign(slope) != way) else len(z)
    with np.errstate(all="ignore"):
        s = ((z - y) / slope)[:end]
    reached = int(np.argmax(s >= h)) if np.any(s >= h) else end
    if np.any(np.diff(s[:reached]) < -1e-11) or reached == len(z):
        return None
    return float(scipy.optimize.brentq(lambda q: q - h * (f(q) + c) - y, z[max(reached - 1, 0)], z[reached], xtol=1e-14))


def ends(f: Callable[[Any], Any], y: float, dt: float, method: str, count: int) -> list[float]:
    """The states of steps, each along its branch, up to the first that there is none for."""
    states = [y]
    while len(states) <= count:
        y, c = states[-1], f(states[-1]) if method == "trapezoidal" else 0.0
        z = continued(f, y, 0.5 * dt if c else dt, c)
        if z is None:
            break
        states.append(z)
    return states


CASES = [
    (hill(2.7, 0.9, 1.0, 0.34), -0.93, 47.0, 1, "backward_euler"),
    (hill(2.8269238908150274, 0.3916404974376727, 1.0, 0.012592587316061665), -1.2635628560372625, 70.221, 2, "trapezoidal"),
    (rational(2.0, 0.01, 0.3), 0.36, 65.0, 2, "trapezoidal"),
    (rational(1.2, 0.2, -0.1), -0.56, 180.0, 2, "trapezoidal"),
    (lambda y: 4 * y * np.exp(-y * y) - 0.8 * y + 0.2, -4.06, 89.7, 1, "trapezoidal"),
    (lambda y: -0.9 * np.exp(-((1.7 * (y + 1.5)) ** 2)) - 0.85 * np.exp(-(y**2)) + 0.1 - 0.05 * y, 0.01, 109.0, 2, "backward_euler"),
    (lambda y: np.sin(6.0 * y) * 2.5 + 1.0, 1.55, 0.42, 2, "backward_euler"),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_step_ends_beyond_a_fold(case: int, solver: str) -> None:
    f, y0, dt, count, method = CASES[case]
    r = mflow.solve_ivp(lambda t, y: f(y), (0, count * dt), [y0], method, dt=dt, solver=SOLVERS[solver])
    expected = ends(f, y0, dt, method, count)
    assert r.y.shape[1] == len(expected)
    assert np.abs(r.y[0] - expected).max() < 1e-7 * (1 + np.abs(expected).max())
    assert r.reason == ("finished" if r.y.shape[1] == count + 1 else "solve_failed")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("method", ["backward_euler", "trapezoidal"])
def test_random_steps(method: str, solver: str) -> None:
    """Hill functions, steep switches and resonances, whose features are as narrow as 1/40 of the way of a step."""
    rng = np.random.default_rng(3)
    lost = 0
    for _ in range(40):
        u = rng.uniform
        f = [
            hill(u(0.5, 4), 10 ** u(-1, 0.5), 1.0, u(-0.5, 0.5)),
            rational(3 * rng.standard_normal(), 10 ** u(-1.5, 0), rng.standard_normal()),
            saturates(u(0.5, 5), 10 ** u(-0.3, 0.6), rng.standard_normal(), u(0.1, 1)),
        ][int(rng.integers(3))]
        y0, dt, count = float(2 * rng.standard_normal()), 10 ** u(-0.5, 2), 2
        r = mflow.solve_ivp(lambda t, y, f=f: f(y), (0, count * dt), [y0], method, dt=dt, solver=SOLVERS[solver])
        expected = ends(f, y0, dt, method, count)
        assert r.y.shape[1] <= len(expected), (y0, dt)
        assert np.abs(r.y[0] - expected[: r.y.shape[1]]).max() < 1e-6 * (1 + np.abs(expected).max()), (y0, dt)
        lost += r.y.shape[1] < len(expected)
    assert lost <= 1


def test_stages_that_leap_over_a_saturation() -> None:
    """All guesses of esdirk43's stages lie where f is affine; the last root is on the other side of the switch."""
    f = saturates(4.688541579664648, 1.6161675280606884, 0.7176420259175628, 0.7)
    for y0, dt in ((-0.5948923002382369, 52.64242617942814), (0.5784328984303874, 63.05)):
        r = mflow.solve_ivp(lambda t, y: f(y), (0, dt), [y0], "esdirk43", dt=dt)
        assert r.reason == "finished"
        assert np.sign(r.y[0, -1] - y0) == np.sign(f(y0))


# ---- three stages at once

R6 = np.sqrt(6.0)
RADAU = np.array(
    [
        [(88 - 7 * R6) / 360, (296 - 169 * R6) / 1800, (-2 + 3 * R6) / 225],
        [(296 + 169 * R6) / 1800, (88 + 7 * R6) / 360, (-2 - 3 * R6) / 225],
        [(16 - R6) / 36, (16 + R6) / 36, 1 / 9],
    ]
)


def along(f: Callable[[Any], Any], y: float, h: float, parts: int = 3000) -> float:
    """The end of a step of radau5 by `parts` steps of h, each from the line through the two before by Newton's iteration."""
    Z, before = np.zeros(3), np.zeros(3)
    for k in range(1, parts + 1):
        s, Z, before = h * k / parts, 2 * Z - before, Z
        for _ in range(20):
            slope = (f(y + Z + EPS) - f(y + Z - EPS)) / (2 * EPS)
            d = np.linalg.solve(np.eye(3) - s * RADAU * slope, s * RADAU @ f(y + Z) - Z)
            Z = Z + d
            if np.abs(d).max() < 1e-12:
                break
        assert np.abs(Z - before).max() < 0.05 * (1 + np.abs(Z).max())
    return float(y + Z[2])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("f", "y0", "dt"),
    [
        (lambda y: 4 * np.sin(1.7 * y) + 0.1, 0.194, 2.6),
        (lambda y: -0.05 * (y - 0.3) * (y + 1.9) * (y - 0.49) * (y + 0.64) * (y - 2.2), 0.35, 140.0),
        (saturates(3.0, 2.5, -0.4, 0.6), -0.27, 0.86),
        (hill(2.7, 0.05, 1.0, -0.1), 0.185, 18.4),
    ],
)
def test_radau_follows_its_branch(f: Callable[[Any], Any], y0: float, dt: float, solver: str) -> None:
    r = mflow.solve_ivp(lambda t, y: f(y), (0, dt), [y0], "radau5", dt=dt, solver=SOLVERS[solver])
    assert r.reason == "finished"
    assert abs(r.y[0, -1] - along(f, y0, dt)) < 1e-5


@pytest.mark.parametrize("ulps", [0, 1, 2, 4, 16, 10**6])
@pytest.mark.parametrize("method", ["backward_euler", "trapezoidal", "sdirk2", "esdirk43", "radau5"])
def test_a_start_within_rounding_of_a_rest(method: str, ulps: int) -> None:
    """Where f is rounding there is no branch to follow: these were "solve_failed"."""
    for f, rest in ((lambda y: -100 * (y - 0.7), 0.7), (lambda y: 100 * y * (1 - y), 1.0), (lambda y: -20 * (y * y - 2), np.sqrt(2.0))):
        r = mflow.solve_ivp(lambda t, y, f=f: f(y), (0, 10), [rest * (1 - ulps * 2.0**-53)], method, dt=1.0)
        assert r.reason == "finished"
        assert abs(r.y[0, -1] - rest) < 1e-9


@pytest.mark.parametrize("a", [10.0, 100.0, 300.0])
def test_a_stiff_system_without_a_matrix(a: float) -> None:
    """Its residuals do not fall in proportion where no matrix divides them."""

    def f(t: float, y: Any) -> Any:
        return np.array([-a * (y[0] - y[1] ** 2), -y[1] + 0.1 * np.sin(y[0])])

    krylov = mflow.solve_ivp(f, (0, 20), [0.3, 0.2], "backward_euler", dt=1.0, solver="newton_krylov")
    newton = mflow.solve_ivp(f, (0, 20), [0.3, 0.2], "backward_euler", dt=1.0)
    assert krylov.reason == newton.reason == "finished"
    np.testing.assert_allclose(krylov.y, newton.y, atol=1e-8)


# ---- dt = inf

A = np.array([[-2.0, 1, 0], [1, -3, 1], [0, 1, -4]])


@pytest.mark.parametrize("wrong", [-A, 0 * A, A * np.where(np.arange(9).reshape(3, 3) == 0, -1, 1)], ids=["minus", "0", "one sign"])
def test_a_wrong_jacobian_ends_the_flow_to_a_rest_soon(wrong: Any) -> None:
    r = mflow.solve_ivp(lambda t, y: A @ y + 1, (0, np.inf), [1.0, 2, 3], "backward_euler", dt=np.inf, jac=lambda t, y: wrong)
    assert r.reason == "solve_failed"
    assert r.nfev < 4000
    assert "jac is not the derivative of fun" in r.message


@pytest.mark.parametrize("times", [3.0, 10.0, 30.0, 100.0])
def test_the_flow_to_a_rest_goes_on_with_a_jacobian_too_large(times: float) -> None:
    """Of the right signs: stages whose first update says little are iterated further, and the rest is that of f. So is its stability: the
    eigenvalue told was that of `jac`."""
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"):
        r = mflow.solve_ivp(lambda t, y: A @ y + 1, (0, np.inf), [1.0, 2, 3], "backward_euler", dt=np.inf, jac=lambda t, y: times * A)
    assert r.reason == "finished"
    assert r.nfev < 4000
    np.testing.assert_allclose(r.y[:, -1], np.linalg.solve(A, -np.ones(3)), rtol=1e-8)
    assert f"about {np.linalg.eigvalsh(A)[-1]:.4g}" in r.message
    assert any("jac is not the derivative of fun" in text for text in r.doubts)


@pytest.mark.parametrize("method", ["bdf", "rodas5p"])
def test_the_rates_at_a_steady_state_are_those_of_f(method: str) -> None:
    """Differences had taken the place of a `jac` too large, and the rate told was 12.7, that of `jac`."""
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"):
        r = mflow.solve_ivp(lambda t, y: A @ y + 1, (0, 1e4), [1.0, 2, 3], method, jac=lambda t, y: 10 * A, until="steady")
    assert r.reason == "steady"
    assert f"the slowest rate there is {-np.linalg.eigvalsh(A)[-1]:.3g}" in r.message


@pytest.mark.parametrize("times", [1.0, 3.0, 100.0])
def test_the_curvature_at_a_minimum_is_that_of_the_cost(times: float) -> None:
    """It was that of a Hessian too large."""
    r = mflow.minimize(
        lambda x: -0.5 * x @ A @ x - x.sum(),
        [1.0, 2, 3],
        method="backward_euler",
        jac=lambda x: -A @ x - 1,
        hess=lambda x: -times * A,
        dt=np.inf,
    )
    assert r.reason == "converged"
    assert f"it is a minimum: the least curvature there is about {-np.linalg.eigvalsh(A)[-1]:.4g}" in r.message
    assert ("-hess is not the derivative of the gradient's negative" in r.message) == (times != 1.0)
