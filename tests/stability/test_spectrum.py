"""dt="auto": the step against the true stability limit of known matrices, and definite answers where there is none."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.stability.amplification import measured_radius
from mflow.stability.spectrum import ITERATIONS, safe_step, spectrum, upper_radius

SIZES = (1, 3, ITERATIONS, ITERATIONS + 1, 60, 150)


def rotated(values: Any, rng: Any) -> Any:
    q, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    return (q * values) @ q.T


def symmetric(name: str, n: int) -> Any:
    rng = np.random.default_rng(n)
    if name == "uniform":
        return rotated(-rng.uniform(0, 10, n), rng)
    if name == "geometric":
        return rotated(-np.geomspace(1e-3, 1e3, n), rng)
    if name == "wishart":
        a = rng.normal(size=(n, n))
        return -a @ a.T / n
    if name == "cluster":
        return rotated(-np.concatenate([[1000.0], rng.uniform(0, 1, n - 1)]), rng)
    return -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)


def general(name: str, n: int) -> Any:
    rng = np.random.default_rng(n)
    if name == "stiff diagonal":
        return np.diag(-np.geomspace(1, 1e6, n))
    if name == "disc":
        return rng.normal(size=(n, n)) / math.sqrt(n) - 2.0 * np.eye(n)
    if name == "damped rotation":
        a = rng.normal(size=(n, n)) / math.sqrt(n)
        return a - a.T - 0.1 * np.eye(n)
    if name == "advection":
        return symmetric("laplace", n) + 0.3 * (np.eye(n, k=1) - np.eye(n, k=-1))
    ring = np.roll(np.eye(n), 1, axis=0) - np.eye(n)  # upwind differences on a ring: a full circle of eigenvalues
    return ring if n > 1 else -np.eye(1)


def linear(J: Any, calls: list[float] | None = None) -> Any:
    def slope(t: float, y: Any) -> Any:
        if calls is not None:
            calls.append(t)
        return (J @ y.ravel()).reshape(y.shape)

    return slope


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", ["uniform", "geometric", "wishart", "cluster", "laplace"])
def test_symmetric_problems_within_ten_per_cent_of_the_limit(name: str, n: int) -> None:
    J = symmetric(name, n)
    y = np.random.default_rng(1).normal(size=n)
    radius = float(np.max(np.abs(np.linalg.eigvalsh(J))))
    for method in ("euler", "rk4", "tvd_rk3"):
        limit = mflow.stability_limit(method) / radius
        calls: list[float] = []
        result = safe_step(linear(J, calls), 0.5, y, method, symmetric=True)
        assert 0.9 * 0.9 * limit <= result.dt < 0.9 * (1 + 1e-6) * limit
        assert result.reason == ""
        assert radius <= result.rho <= 1.2 * radius
        assert len(calls) == result.evaluations <= ITERATIONS + 3
        assert set(calls) == {0.5}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", ["stiff diagonal", "disc", "damped rotation", "advection", "ring"])
def test_general_problems_never_above_the_limit(name: str, n: int) -> None:
    """Ritz values of such matrices converge slowly; their residuals keep the step below the limit, by a quarter at most."""
    J = general(name, n)
    y = np.random.default_rng(1).normal(size=n)
    radius = float(np.max(np.abs(np.linalg.eigvals(J))))
    for method in ("euler", "rk4"):
        limit = mflow.max_stable_dt(method, jac=J)
        result = safe_step(linear(J), 0.0, y, method)
        assert (0.96 if n <= ITERATIONS else 0.75) * 0.9 * limit <= result.dt < 0.9 * (1 + 1e-6) * limit
        assert radius * (1 - 1e-6) <= result.rho <= 1.4 * radius
        assert result.evaluations <= ITERATIONS + 3


def test_small_problems_are_exact() -> None:
    J = np.array([[-3.0, 7.0, 0.0], [-7.0, -3.0, 1.0], [0.0, 0.0, -20.0]])
    result = spectrum(linear(J), 0.0, np.ones(3))
    np.testing.assert_allclose(np.sort_complex(result.values), np.sort_complex(np.linalg.eigvals(J)), rtol=1e-6)
    np.testing.assert_array_equal(result.residuals, 0.0)


def test_oscillations() -> None:
    """Euler has no stable step on the imaginary axis: 0, and why. RK4 has its 2 sqrt(2)."""
    for n in (2, 40):
        J = np.kron(np.diag(np.arange(1.0, n // 2 + 1)), [[0.0, 1.0], [-1.0, 0.0]])
        result = safe_step(linear(J), 0.0, np.ones(n), "euler")
        assert result.dt == 0.0
        assert "no stable step" in result.reason
        dt = safe_step(linear(J), 0.0, np.ones(n), "rk4", safety=1.0).dt
        assert 0.9 * 2 * math.sqrt(2) / (n / 2) <= dt <= 2 * math.sqrt(2) / (n / 2) * (1 + 1e-6)


def test_a_nonlinear_gradient_flow() -> None:
    """f = sum log cosh(a_i c) has the Hessian A' diag(1/cosh^2) A."""
    rng = np.random.default_rng(9)
    A, c = rng.normal(size=(80, 50)), 0.1 * rng.normal(size=50)
    hessian = A.T @ np.diag(1 / np.cosh(A @ c) ** 2) @ A
    radius = float(np.linalg.eigvalsh(hessian)[-1])
    result = safe_step(lambda t, y: -A.T @ np.tanh(A @ y), 0.0, c, "euler", symmetric=True)
    assert 0.9 * 0.9 * 2 / radius <= result.dt <= 0.9 * 2 / radius * (1 + 1e-6)
    assert radius <= result.rho <= 1.2 * radius


def test_runs_with_the_step_stay_stable_and_with_a_longer_one_do_not() -> None:
    J = symmetric("laplace", 60)
    result = safe_step(linear(J), 0.0, np.ones(60), "rk2", symmetric=True)
    steps = 2000
    y0 = np.cos(math.pi * np.arange(60))  # the roughest start
    decays = mflow.solve_ivp(linear(J), (0, steps * result.dt), y0, method="rk2", dt=result.dt, save="last")
    assert np.max(np.abs(decays.y)) < 1.0
    with pytest.warns(RuntimeWarning, match="exceeds the stability limit"):
        grows = mflow.solve_ivp(linear(J), (0, 400 * result.dt), y0, method="rk2", dt=1.3 * result.dt, save="last")
    assert np.max(np.abs(grows.y)) > 1e6


def test_growth_is_resolved() -> None:
    result = safe_step(lambda t, y: 5.0 * y, 0.0, np.ones(2), "rk4", safety=1.0)
    assert result.dt == pytest.approx(1.0 / 5.0, rel=1e-6)  # one growth by e


def test_nothing_limits_the_step() -> None:
    result = safe_step(lambda t, y: np.ones(3), 0.0, np.zeros(3), "rk4")
    assert (result.dt, result.rho) == (math.inf, 0.0)
    assert "limits" in result.reason
    assert safe_step(lambda t, y: y, 0.0, np.empty(0), "rk4").dt == math.inf


@pytest.mark.parametrize("n", [2, 40])
def test_slopes_that_are_not_finite(n: int) -> None:
    at = safe_step(lambda t, y: np.full(n, math.nan), 0.25, np.ones(n), "rk4")
    assert math.isnan(at.dt)
    assert math.isnan(at.rho)
    assert "t = 0.25 is not finite" in at.reason
    near = safe_step(lambda t, y: np.where(y == 1.0, 1.0, math.inf), 0.0, np.ones(n), "rk4")
    assert math.isnan(near.dt)
    assert "near y" in near.reason
    last = np.zeros(n)
    last[-1] = 1e-9  # the difference leaves the domain only in some columns
    edge = safe_step(lambda t, y: np.where(y[-1] < -1e-8, math.nan, -y), 0.0, last, "rk4")
    assert math.isnan(edge.dt) or edge.dt == pytest.approx(0.9 * 2.785293563405282, rel=1e-6)


def test_exceptions_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        safe_step(lambda t, y: 1 / 0, 0.0, np.ones(2), "rk4")


def test_single_precision_is_measured_with_a_longer_difference() -> None:
    A = symmetric("uniform", 40).astype(np.float32)
    radius = float(np.max(np.abs(np.linalg.eigvalsh(A.astype(float)))))

    def slope(t: float, y: Any) -> Any:
        return (A @ y.astype(np.float32)).astype(float)

    y = np.random.default_rng(4).normal(size=40)
    result = safe_step(slope, 0.0, y, "euler", symmetric=True, safety=1.0)
    assert result.dt == pytest.approx(2 / radius, rel=0.05)
    assert result.evaluations <= 2 * ITERATIONS + 4


def test_noise_is_not_taken_for_a_spectrum() -> None:
    rng = np.random.default_rng(0)
    result = safe_step(lambda t, y: rng.normal(size=30), 0.0, np.ones(30), "rk4")
    assert math.isnan(result.dt)
    assert "disagree" in result.reason


def test_states_of_any_shape_and_the_same_answer_every_time() -> None:
    J = general("disc", 60)
    y = np.random.default_rng(1).normal(size=60)
    flat, square = (safe_step(linear(J), 0.0, y.reshape(shape), "rk4") for shape in ((60,), (6, 10)))
    assert flat == square == safe_step(linear(J), 0.0, y, mflow.RK4())


def test_methods_that_have_no_limit_of_this_kind() -> None:
    with pytest.raises(ValueError, match='dt="auto"'):
        safe_step(lambda t, y: -y, 0.0, np.ones(2), "adam")


def test_no_fixed_start_is_blind_to_the_largest_eigenvalue():
    """The cosines that all starts were once: an eigenvector across them was not seen at all."""
    n = 40
    cosines = np.cos(1.0 + np.arange(n, dtype=np.float64))
    cosines /= np.linalg.norm(cosines)
    u = np.linalg.qr(np.c_[cosines, np.ones(n)])[0][:, 1]
    J = -np.eye(n) - 99.0 * np.outer(u, u) - 4.0 * np.outer(cosines, cosines)
    assert upper_radius(lambda t, y: J @ y, 0.0, np.zeros(n), symmetric=True)[0] >= 99.9
    assert measured_radius(lambda y: J @ y, np.zeros(n)) == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize("n", [8, 90])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_sparse_jacobians_of_other_numbers_than_floats(n: int, dtype: Any) -> None:
    """A ring of even length has eigenvalues 1 + 2 cos: the least is -1, and the limit that of rk4 on the real axis."""
    sparse = pytest.importorskip("scipy.sparse")
    ring = sparse.csr_array(np.eye(n) + np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert mflow.max_stable_dt("rk4", jac=ring) == pytest.approx(2.785293563405282, rel=1e-6)
