"""Curvatures by differences where the state is of small units: 1e-12 ... 1e-3."""

import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.curvature.hessian import Hessian
from mflow.derivatives.differences import fitting_length

SMALL = 1e-9
UNITS = [1e-3, 1e-6, 1e-7, 1e-9, 1e-12]


def walled(s: float) -> Any:
    """cosh(x0/s) + (x1/s)^2: Hessian diag(cosh(x0/s), 2)/s^2."""

    def cost(x):
        with np.errstate(over="ignore"):
            return float(np.cosh(x[0] / s) + (x[1] / s) ** 2), np.array([np.sinh(x[0] / s) / s, 2.0 * x[1] / s**2])

    return cost


def test_right_hand_side_of_small_units() -> None:
    """Michaelis-Menten: the spectral radius at the start is 1e-12/(k + y)^2 = 2.5e5, where euler had "no limit"."""
    report = mflow.explain(lambda t, y: -1e-3 * y / (SMALL + y), [SMALL], kind="rhs", t_span=(0, 1e-7))
    assert report.curvature[0] == pytest.approx(2.5e5, rel=0.1)
    assert report.steps["euler"] == pytest.approx(2.0 / report.curvature[1], rel=1e-3)
    assert all(verdict == "well-posed" for _, verdict in report.verdicts)


def test_cost_of_small_units() -> None:
    """log(x/2e-9)^2 was said to have a curvature of 1.4e14 at 1e-9; it is 2 (1 - log(1/2))/x^2."""

    def cost(x):
        return float(np.log(x[0] / 2e-9) ** 2), np.array([2.0 * np.log(x[0] / 2e-9) / x[0]])

    true, calls = 2.0 * (1.0 - np.log(0.5)) / SMALL**2, [0]

    def counted(x):
        calls[0] += 1
        return cost(x)

    report = mflow.explain(counted, [SMALL], jac=True, tries=0, check_gradient=False)
    assert report.curvature[1] == pytest.approx(true, rel=1e-4)
    assert report.nfev == calls[0]  # those that look for the length are counted, too


@pytest.mark.parametrize("s", UNITS)
def test_curvature_of_log_cosh(s: float) -> None:
    """It is 1/cosh(3)^2 at x = 3 s, in units of 1/s^2; it was 17 to 1.8e7 times too small."""

    def cost(x):
        return float(np.logaddexp(x[0] / s, -x[0] / s)), np.tanh(x / s) / s

    report = mflow.explain(cost, [3.0 * s], jac=True, tries=0)
    assert report.curvature[1] * s**2 == pytest.approx(np.cosh(3.0) ** -2, rel=0.02)
    r = mflow.minimize(cost, [3.0 * s], jac=True, method="momentum", lr="auto", momentum="auto", gtol=1e-5 / s)
    assert r.success
    assert r.nit < 200
    assert abs(r.x[0]) < 1e-4 * s


def test_stable_steps_of_forces_of_small_units() -> None:
    """They were .155 for 2/sqrt(2.5e5), and 3.3e-4 for 1."""
    for force, omega in ((lambda t, x, v: -1e-3 * x / (SMALL + abs(x)), np.sqrt(2.5e5)), (lambda t, x, v: -x - 1e18 * x**3, 2.0)):
        limit = mflow.max_stable_dt("velocity_verlet", mass=[1.0], force=force, x0=[SMALL])
        assert limit == pytest.approx(2.0 / omega, rel=1e-6)
    two = mflow.max_stable_dt("velocity_verlet", mass=[1.0, 1.0], force=lambda t, x, v: -x - 1e18 * x**3, x0=[SMALL, 0.0])
    assert two == pytest.approx(1.0, rel=1e-6)


def test_no_false_warning_of_a_motion_of_small_units(recwarn: pytest.WarningsRecorder) -> None:
    """The frequency is 2, not 101.5: "dt exceeds the stability limit 0.0197"."""
    call: dict[str, Any] = {"velocity_free": True, "x0": [SMALL], "t_span": (0, 20.0), "method": "velocity_verlet"}
    s = mflow.solve_dynamics(force=lambda t, x, v: -x - 1e18 * x**3, dt=0.05, **call)
    assert s.success
    assert "limit" not in s.message
    assert not recwarn.list
    calls = [0]

    def spring(t, x, v):
        calls[0] += 1
        return -x - 1e18 * x**3

    with pytest.warns(RuntimeWarning, match=r"limit 1 .*frequency 2"):
        s = mflow.solve_dynamics(force=spring, dt=1.05, **(call | {"t_span": (0, 2.1)}))
    assert s.nfev + s.ncheck == calls[0]


@pytest.mark.parametrize("s", UNITS)
def test_monitored_run_of_small_units(s: float, recwarn: pytest.WarningsRecorder) -> None:
    """lr times the largest curvature is .1 cosh(2) = .376, where 2.353 was said to be above the limit."""
    r = mflow.minimize(walled(s), [2.0 * s, s], jac=True, method="sgd", lr=0.1 * s * s, monitor="curvature", gtol=1e-5 / s)
    assert r.success
    assert not recwarn.list
    assert r.curvature.largest[0] * 0.1 * s * s == pytest.approx(0.1 * np.cosh(2.0), rel=0.01)


@pytest.mark.parametrize("s", UNITS)
def test_certificate_of_small_units(s: float) -> None:
    """It was "flat" at s = 1e-6, and an error about gradients that are not finite below."""
    found = mflow.minimize(walled(s), [2.0 * s, s], jac=True, gtol=1e-5 / s).certificate()
    assert found.verdict == "minimum"
    np.testing.assert_allclose(np.array(found.least) * s * s, 1.0, rtol=1e-3)
    np.testing.assert_allclose(np.array(found.largest) * s * s, 2.0, rtol=1e-3)
    at = mflow.certificate(lambda x: walled(s)(x)[0], [0.01 * s, 0.0], jac=lambda x: walled(s)(x)[1], bounds=[(-s, s), (-s, s)])
    np.testing.assert_allclose(np.array(at.largest) * s * s, 2.0, rtol=1e-2)


def test_a_small_state_of_an_ordinary_cost_keeps_its_length() -> None:
    """Where gradients carry rounding that is not relative to x, the shorter difference is nothing but that."""
    for size in 10.0 ** -np.arange(4.0, 20.0):
        for seed in range(20):
            x = size * np.random.default_rng(seed).standard_normal(3)
            H = Hessian(x, lambda z: 2.0 * (z + 1.0 / 3.0) - 2.0 / 3.0 + z**3, central=True)
            assert H.length == H.step
            assert 0 < H.looked == H.evaluations <= 10
            np.testing.assert_allclose(H(np.ones(3)), 2.0 + 3.0 * x**2, rtol=1e-9)


def test_length_of_a_difference() -> None:
    """The usual one is taken unasked where it is short against the size, and where size tells nothing."""

    asked = []

    def linear(length: float) -> Any:
        asked.append(length)
        return np.ones(1)

    for size in (0.0, 1e-3, 1.0, 5.0, 1e200):
        assert fitting_length(linear, 1e-6, size) == 1e-6 * max(1.0, size)
    assert asked == []
    assert fitting_length(linear, 1e-6, 1e-6) == 1e-6
    assert asked == [1e-6, 1e-6 * 1e-6]

    def domain(length: float) -> Any:
        if length > 1e-9:
            raise ValueError("outside")
        return np.ones(1)

    assert fitting_length(domain, 1e-6, 1e-6) == pytest.approx(1e-12)
    assert fitting_length(lambda h: np.ones(1) * (h > 1e-9), 1e-6, 1e-6) == 1e-6  # the shorter difference is lost in rounding


@pytest.mark.parametrize("x0", [[1e-8, 2e-8], [-2e-8, 5e-8]])
def test_explain_differences_a_cost_in_small_units_over_shares_of_its_numbers(x0: list[float]) -> None:
    """Over 6e-6, the usual length, its curvature looked a hundred thousand times as large, and steps that much too short."""

    def cost(x: Any) -> float:
        u = (x - np.array([3e-8, 1e-8])) / 1e-8
        return float(0.5 * u @ u + 0.1 * np.sum(u**4))

    u = (np.array(x0) - [3e-8, 1e-8]) / 1e-8
    largest = 1e16 * float(np.max(1.0 + 1.2 * u**2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = mflow.explain(cost, x0)
    assert report.curvature[1] == pytest.approx(largest, rel=0.02)
    assert report.steps["sgd"] == pytest.approx(2.0 / largest, rel=0.02)
    assert any(run.method == "lbfgs" and run.loss[-1] < 1e-20 for run in report.trials) or report.method == "lbfgs"
