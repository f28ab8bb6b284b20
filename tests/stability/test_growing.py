"""Steps on oscillations that grow by themselves: how fast errors grow, beside how fast solutions do."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

import mflow
from mflow.base.methods import as_method
from mflow.stability.limits import first_beside_growth

SPIRAL = np.array([[-0.1, 5.0], [-5.0, 0.2]])  # 0.05 +- 4.998i
POLYNOMIALS = {"euler": [1, 1], "rk2": [0.5, 1, 1], "rk3": [1 / 6, 0.5, 1, 1], "rk4": [1 / 24, 1 / 6, 0.5, 1, 1]}


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("value", [0.05 + 5j, 0.5 + 5j, 1.0 + 5j])
def test_the_step_with_which_errors_grow_twice_as_fast(name: str, value: complex) -> None:
    """By the polynomials of the methods, at every step up to it and a little beyond."""
    dt, found = first_beside_growth(as_method(name, {}), np.array([value, value.conjugate()]), 6)
    assert found == value

    def factor(h: float) -> float:
        return math.log(abs(np.polyval(POLYNOMIALS[name], h * value))) - 2.0 * h * value.real

    assert max(factor(h) for h in np.linspace(0.0, dt, 500)[1:-1]) <= 1e-14
    assert factor(1.001 * dt) > 0.0


def test_euler_has_a_closed_form() -> None:
    """|1 + h (a + i w)|^2 = exp(4 a h): of small a that is h = 2 a/w^2."""
    dt, _ = first_beside_growth(as_method("euler", {}), np.array([1e-4 + 3j, 1e-4 - 3j]), 6)
    assert dt == pytest.approx(2e-4 / 9.0, rel=1e-3)


@pytest.mark.parametrize("name", ["euler", "rk2", "rk4", "dopri5", "tsit5", "dop853", "rkc2"])
def test_as_growth_fades_it_is_the_limit_of_the_frequency(name: str) -> None:
    dt, _ = first_beside_growth(as_method(name, {}), np.array([1e-11 + 1j, 1e-11 - 1j]), 6)
    assert dt == pytest.approx(mflow.stability_limit(name, axis="imaginary"), abs=2e-3)


def test_growth_without_oscillation_and_implicit_methods_have_none() -> None:
    for name in ("euler", "rk4", "dop853", "rkc2"):
        assert first_beside_growth(as_method(name, {}), np.array([3.0 + 0j, 1.0 + 0.1j]), 6)[0] == math.inf
    for name in ("backward_euler", "trapezoidal", "radau5"):
        assert first_beside_growth(as_method(name, {}), np.array([0.05 + 5j, 0.05 - 5j]), 6)[0] == math.inf


def test_explain_lists_such_a_step() -> None:
    """It said that there is no limit; euler with dt = 0.1 is at 1.4e10 where the solution is (.84, 3.7)."""
    report = mflow.explain(lambda t, y: SPIRAL @ y, np.ones(2), names=["euler", "rk4"], t_span=(0.0, 20.0))
    text = str(report)
    assert "no limit" not in text
    assert "stability limits no step" not in text
    assert "solutions oscillate and grow by themselves (eigenvalue 0.05 + 4.998i)" in report.note
    assert "With the step of euler, rk4 errors grow twice as fast" in report.note
    true = expm(20.0 * SPIRAL) @ np.ones(2)
    for name, dt in report.steps.items():
        step = sum(c * np.linalg.matrix_power(dt * SPIRAL, len(POLYNOMIALS[name]) - 1 - k) for k, c in enumerate(POLYNOMIALS[name]))
        size = np.linalg.norm(np.linalg.matrix_power(step, round(20.0 / dt)) @ np.ones(2))
        assert size < 3.0 * math.exp(2.0 * 0.05 * 20.0)  # at most twice as fast
    assert np.linalg.norm(true) == pytest.approx(math.exp(0.05 * 20.0) * math.sqrt(2.0), rel=0.1)


def test_max_stable_dt_tells_of_it() -> None:
    with pytest.warns(RuntimeWarning, match=r"errors of euler grow more than twice as fast as they do in steps beyond 0.004006 \(eigen"):
        assert mflow.max_stable_dt("euler", jac=SPIRAL) == math.inf
    assert mflow.max_stable_dt("euler", jac=np.diag([3.0, -4.0])) == pytest.approx(0.5)  # in silence: warnings are errors


@pytest.mark.parametrize(("n", "coupling"), [(9, 0.234), (5, 0.28)])
def test_a_chain_of_equal_rates_grows_close_to_its_limit(n: int, coupling: float) -> None:
    """Steps of .95 of the limit, where the numerical range is inside with .8 of it: errors grow by 24 000 and 185, solutions do not."""
    J = coupling * np.eye(n, k=1) - np.eye(n)

    def largest(dt: float) -> float:
        return max(float(np.linalg.norm(np.linalg.matrix_power(np.eye(n) + dt * J, k), 2)) for k in range(0, 600, 3))

    report = mflow.explain(lambda t, y: J @ y, np.ones(n), names=["euler"])
    assert largest(0.95 * report.steps["euler"]) > 100.0
    assert largest(report.safe_steps["euler"]) < 1.0 + math.sqrt(2.0)
    assert "The steps are estimates: at the start rounding moves the eigenvalues by up to" in report.note  # an n-th root of it
    with pytest.warns(RuntimeWarning, match="far from normal"):
        mflow.max_stable_dt("euler", jac=J)
