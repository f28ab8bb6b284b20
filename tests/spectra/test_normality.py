"""Growth within the stability limit of the eigenvalues: told, with the step of the numerical range, where it happens and only there."""

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.spectra import normality


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


def test_the_range_in_the_growing_half_plane() -> None:
    dt, words = said("rk4", [[-1.0, 1e3], [0.0, -2.0]])
    assert dt == pytest.approx(mflow.stability_limit("rk4") / 2.0, rel=1e-9)
    reach = float(np.linalg.eigvalsh([[-1.0, 500.0], [500.0, -2.0]])[-1])
    assert f"reaches to about {reach:.3g} in the growing half-plane" in words


@pytest.mark.parametrize(
    "J",
    [
        np.diag([-1.0, -5.0]),
        np.array([[0.0, 1.0], [-25.0, -0.1]]),  # an oscillator: not normal, but errors grow by its frequency at most
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
