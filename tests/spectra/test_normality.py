"""Growth within the stability limit of the eigenvalues: told, with the step of the numerical range, where it happens and only there."""

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.methods import as_method
from mflow.spectra import normality
from mflow.stability.limits import first_to_fail


def upwind(n: int) -> Any:
    return n * (np.eye(n, k=-1) - np.eye(n))


def said(method: str, J: Any, **more: Any) -> tuple[float, str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dt = mflow.max_stable_dt(method, jac=J, **more)
    assert len(caught) <= 1
    return dt, str(caught[0].message) if caught else ""


def inside(words: str) -> float:
    return float(re.search(r"up to about dt = ([-+.e\d]+)", words)[1])  # type: ignore[index]


@pytest.mark.parametrize("n", [40, 150, 1200])
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_upwind_differences(method: str, n: int) -> None:
    """The numerical range is the disc about -n with the radius n cos(pi/(n + 1))."""
    sparse = pytest.importorskip("scipy.sparse")
    J = upwind(n) if n < 1000 else sparse.diags_array([np.full(n - 1, float(n)), np.full(n, -float(n))], offsets=[-1, 0]).tocsr()
    dt, words = said(method, J)
    assert dt == pytest.approx(mflow.stability_limit(method) / n, rel=1e-9)
    radius = n * math.cos(math.pi / (n + 1))
    disc = -n + radius * np.exp(1j * np.linspace(0.0, math.pi, 2000))
    want = min(mflow.stability_limit(method, direction=z) / abs(z) for z in disc[::50] if z.real < 0.0)
    assert inside(words) == pytest.approx(want, rel=0.02)


def test_a_run_grows_as_was_said_and_not_within_the_range() -> None:
    n = 20
    dt, words = said("euler", upwind(n))
    P, Q = (np.eye(n) + h * upwind(n) for h in (0.95 * dt, inside(words)))
    y = np.random.default_rng(0).normal(size=n)
    y /= np.linalg.norm(y)
    sizes = [float(np.linalg.norm(y := P @ y)) for _ in range(280)]
    told = float(re.search(r"random start by ([-+.e\d]+)", words)[1])  # type: ignore[index]
    assert told > 1e15
    assert 1e-3 < told / max(sizes) < 1e3
    power, largest = np.eye(n), 0.0
    for _ in range(280):
        power = Q @ power
        largest = max(largest, float(np.linalg.norm(power, 2)))
    assert largest < 2.5


def largest_power(R: Any, most: int = 4000) -> float:
    """sup |R^k|."""
    power, largest = np.eye(len(R)), 1.0
    for _ in range(most):
        power = R @ power
        size = float(np.linalg.norm(power, 2))
        largest = max(largest, size)
        if size < 1e-3 or size > 1e9:
            break
    return largest


def largest_exponential(J: Any) -> float:
    """sup |exp(t J)|, by small steps of the diagonal Pade approximation of order 4, which is stable."""
    A, unit = J / np.linalg.norm(J, 2), np.eye(len(J))
    E = np.linalg.solve(unit - A / 2 + A @ A / 12, unit + A / 2 + A @ A / 12)
    return largest_power(E)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_range_in_the_growing_half_plane(share: float) -> None:
    """Upwind differences with a growth of their own, below the rate of the wind: errors grow for a while, in the solution, too."""
    n = 20
    J = upwind(n) + share * n * np.eye(n)
    dt, words = said("euler", J)
    assert dt == pytest.approx(2.0 / ((1.0 - share) * n), rel=1e-9)
    reach = float(np.linalg.eigvalsh(0.5 * (J + J.T))[-1])
    assert f"reaches to about {reach:.3g} in the growing half-plane" in words
    own, safe = largest_exponential(J), inside(words)
    assert 0.2 * own < float(re.search(r"from that start by ([-+.e\d]+)", words)[1]) <= own  # type: ignore[index]
    grown = largest_power(np.eye(n) + safe * J)
    assert grown < normality.CONSTANT * own
    assert largest_power(np.eye(n) + 0.95 * dt * J) > 50.0 * own
    assert safe > 0.3 * dt


def test_the_bound_where_solutions_grow() -> None:
    """A chain of three decays: errors in steps within the range grow no more than is said."""
    J = np.array([[-50.0, 2000.0, 0.0], [0.0, -40.0, 900.0], [0.0, 0.0, -30.0]])
    found = normality.numerical_range(lambda v: J @ v, lambda v: J.T @ v, 3)
    assert found is not None
    assert found.bound >= 0.9 * largest_exponential(J) > 10.0
    method = as_method("rk4", {})
    found = found._replace(reach=0.0)  # the proof alone
    within = normality.inside_of(method, lambda v: J @ v, 3, math.inf, 9, found, lambda some: first_to_fail(method, some, 6)).step
    for share in (0.3, 0.7, 1.0):
        z = share * within * J
        R = np.eye(3) + z + z @ z / 2 + z @ z @ z / 6 + z @ z @ z @ z / 24
        assert largest_power(R) <= normality.CONSTANT * found.bound


def test_another_inner_product_is_that_of_lyapunov() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    J = np.array([[0.0, 1.0, 0.0, 0.0], [-400.0, -0.3, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, -9.0, -0.1]])
    shift = max(0.0, np.max(np.linalg.eigvals(J).real)) + normality.ABOVE * np.max(np.abs(np.linalg.eigvals(J)))
    P = linalg.solve_continuous_lyapunov((J - shift * np.eye(4)).T, -np.eye(4))
    other, root = normality.calm(J)  # type: ignore[misc]
    assert root**2 == pytest.approx(np.linalg.cond(P), rel=1e-6)
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(other)), np.sort_complex(np.linalg.eigvals(J)), rtol=1e-8)
    assert np.linalg.eigvalsh(0.5 * (other + other.T))[-1] <= shift


@pytest.mark.parametrize(
    "J",
    [
        np.diag([-1.0, -5.0]),
        np.array([[0.0, 1.0], [-25.0, -0.1]]),  # an oscillator: not normal, but errors grow by its frequency at most
        np.array([[0.0, 1.0], [-1e6, -20.0]]),  # solutions grow by its frequency, and errors no more than they do
        np.array([[-1.0, 1e3], [0.0, -2.0]]),
        np.array([[-4.0, 1.0], [0.0, -1.0]]),
        100.0 * (np.roll(np.eye(100), 1, axis=0) - np.eye(100)),  # upwind on a ring: a circulant, normal
        np.random.default_rng(0).normal(size=(80, 80)) / math.sqrt(80) - 2.0 * np.eye(80),
    ],
)
def test_nothing_is_said_where_nothing_grows(J: Any) -> None:
    for method in ("euler", "rk4") if J.shape != (2, 2) or J[0, 0] else ("rk4",):
        assert said(method, J)[1] == ""


def test_points_of_the_numerical_range_lie_in_it() -> None:
    """Against the support function from dense eigenvalues, for Ritz vectors too."""
    n = 130
    J = np.random.default_rng(4).normal(size=(n, n)) / math.sqrt(n) + np.diag(np.linspace(-3.0, 0.0, n))
    points = normality._boundary(lambda v: J @ v, lambda v: J.T @ v, n)
    for k, angle in enumerate(np.linspace(0.0, math.pi, normality.ANGLES + 1)):
        turned = np.exp(-1j * angle) * J
        support = float(np.linalg.eigvalsh(0.5 * (turned + turned.conj().T))[-1])
        reached = float(np.max((np.exp(-1j * angle) * points).real))
        assert reached <= support + 1e-9
        assert reached == pytest.approx(support, rel=0.02, abs=0.05), k


def test_a_blind_start_and_the_largest_of_many() -> None:
    """From products alone, of a symmetric matrix: the limit to 1 %, wherever the eigenvalue stands."""
    n = 1500
    for place in (0, 10, 700, n - 1):
        lam = -np.random.default_rng(2).uniform(1.0, 100.0, n)
        lam[place] = -102.0
        dt = mflow.max_stable_dt("euler", jac=lambda v, lam=lam: lam * v, n=n, symmetric=True)
        assert dt == pytest.approx(2.0 / 102.0, rel=1e-2)


def test_from_products_alone() -> None:
    """A run tells growth, and the message what would tell more."""
    J = upwind(60)
    dt, words = said("euler", lambda v: J @ v, n=60)
    assert dt > 1.2 / 60
    assert "grows by" in words or "leaves the finite numbers" in words
    assert "products J^T v" in words
    ring = 60.0 * (np.roll(np.eye(60), 1, axis=0) - np.eye(60))
    assert said("euler", lambda v: ring @ v, n=60)[1] == ""
