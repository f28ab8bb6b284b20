"""The limit of a step from products alone: within 1 % on rings and far from normal, and intervals that cover it elsewhere."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.methods import as_method
from mflow.spectra import eigenvalues, krylov
from mflow.spectra.inclusion import circle_of, inclusion
from mflow.stability.limits import first_to_fail

Array = np.ndarray
RK4 = as_method("rk4", {})


def limiting(values: Any) -> tuple[float, complex]:
    return first_to_fail(RK4, np.asarray(values, dtype=np.complex128), 3)


def case(kind: int, n: int, rng: np.random.Generator) -> tuple[Array, Array, bool]:
    """(a matrix, its eigenvalues, whether it is normal): known in closed form where they are badly conditioned."""
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    if kind == 0:
        J = rng.normal(size=(n, n)) / math.sqrt(n) - rng.uniform(0.0, 2.0) * np.eye(n)
    elif kind == 1:  # a ring of eigenvalues
        shift = rng.uniform(0.0, 1.0)
        turned = np.exp(2j * math.pi * np.arange(n) / n) - shift
        return Q.T @ (np.roll(np.eye(n), 1, axis=0) - shift * np.eye(n)) @ Q, turned, True
    elif kind == 2:  # upwind differences, hidden
        J = np.eye(n, k=-1) * rng.uniform(0.5, 1.5) - np.eye(n)
        return Q.T @ J @ Q, np.diag(J), False
    elif kind == 3:
        J = np.triu(rng.normal(size=(n, n))) / math.sqrt(n) - np.diag(rng.uniform(1.0, 3.0, n))
        return J, np.diag(J), False
    elif kind == 4:
        d = -np.linspace(0.1, 10.0, n)
        return Q.T @ np.diag(d) @ Q, d, True
    elif kind == 5:
        A = rng.normal(size=(n, n))
        return (A - A.T) / math.sqrt(n) - 0.2 * np.eye(n), np.linalg.eigvals((A - A.T) / math.sqrt(n) - 0.2 * np.eye(n)), True
    elif kind == 6:
        J = np.diag(rng.uniform(-5.0, -1.0, n)) + 10.0 * np.eye(n, k=1)
        return Q.T @ J @ Q, np.diag(J), False
    else:
        V, d = rng.normal(size=(n, n)), rng.uniform(-4.0, -0.5, n)
        return V @ np.diag(d) @ np.linalg.inv(V), d, False
    return J, np.linalg.eigvals(J), False


def test_intervals_cover_the_limits_of_40_random_matrices() -> None:
    """20 products each; of matrices that are not normal the interval has no upper end."""
    rng, narrow = np.random.default_rng(0), 0
    for k in range(40):
        J, values, normal = case(k % 8, int(rng.integers(40, 80)), rng)
        ritz = krylov.arnoldi(lambda v, J=J: J @ v, len(J), 20)
        assert ritz.H is not None
        found = inclusion(ritz.H, ritz.values, ritz.residuals, len(J), limiting, normal)
        true = limiting(values)[0]
        assert found.low <= true * (1.0 + 1e-9), (k, found.low / true)
        assert found.high >= true * (1.0 - 1e-9), (k, found.high / true)
        assert found.low > 0.25 * true
        assert normal or found.high == math.inf
        narrow += found.low > 0.9 * true
    assert narrow > 24  # and they say something


def test_the_circle_of_a_ring() -> None:
    for a, c in ((-1.0, 1.0), (0.0, 3.0), (-2.0, 0.5)):
        ritz = krylov.arnoldi(lambda v, a=a, c=c: a * v + c * np.roll(v, 1), 500, 40)
        assert circle_of(ritz.H) == pytest.approx((a, c), rel=1e-9, abs=1e-9)
    d = -np.linspace(1.0, 2.0, 500)
    assert circle_of(krylov.arnoldi(lambda v: d * v, 500, 40).H) is None


def hidden(n: int, times: Any) -> Any:
    """The products of a matrix behind a reflection, so that no entry of it is 0."""
    u = np.random.default_rng(9).normal(size=n)
    u /= np.linalg.norm(u)

    def turn(v: Array) -> Array:
        return v - 2.0 * (u @ v) * u

    return lambda v: turn(times(turn(v)))


@pytest.mark.parametrize(("name", "shift", "products"), [("rk4", 0.0, 400), ("rk4", 1.0, 160), ("dopri5", 0.0, 160)])
def test_rings_within_one_percent(name: str, shift: float, products: int, monkeypatch: Any) -> None:
    """A circulant's eigenvalues e^(2 pi i j/n) - shift, with its entries in sight and hidden."""
    assert eigenvalues.ITERATIONS == 400  # the eigenvalues of so many products take most of the time
    monkeypatch.setattr(eigenvalues, "ITERATIONS", products)
    n = 1200
    values = np.exp(2j * math.pi * np.arange(n) / n) - shift
    want = mflow.max_stable_dt(name, eigenvalues=values)
    times = lambda v: np.roll(v, 1) - shift * v  # noqa: E731
    for jac in (times, hidden(n, times)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert mflow.max_stable_dt(name, jac=jac, n=n) == pytest.approx(want, rel=0.01)
        assert len(caught) == (name == "dopri5")  # beside its ring the limit of rk4 is plain
        for one in caught:  # an interval, where no product tells how near to the imaginary axis an eigenvalue is
            low, high = re.search(r"at least ([\d.]+) and at most ([\d.]+);", str(one.message)).groups()  # type: ignore[union-attr]
            assert float(low) * 0.9995 <= want <= float(high)


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize("name", ["euler", "rk4"])
def test_far_from_normal_within_one_percent(name: str, n: int) -> None:
    """Bidiagonal and upwind, whose Ritz values lie on a circle around the one eigenvalue or the few that there are."""
    for above in (1.0, -3.0):
        diagonal = -1.5 - 0.5 * np.arange(n) / n

        def times(v: Array, d: Array = diagonal, above: float = above) -> Array:
            return d * v + above * np.append(v[1:], 0.0)

        with pytest.warns(RuntimeWarning, match="far from normal"):
            dt = mflow.max_stable_dt(name, jac=times, n=n)
        assert dt == pytest.approx(mflow.stability_limit(name) / -diagonal[-1], rel=1e-9)


def test_up_to_1000_rows_products_give_all_eigenvalues() -> None:
    n = 200
    J = np.random.default_rng(1).normal(size=(n, n)) - 20.0 * np.eye(n)
    want = mflow.max_stable_dt("rk4", jac=J)
    assert mflow.max_stable_dt("rk4", jac=lambda v: J @ v, n=n) == pytest.approx(want, rel=1e-12)


def test_what_cannot_be_had_is_an_interval(monkeypatch: Any) -> None:
    """A shift matrix behind a reflection: its eigenvalues are all -1.5, and no few products tell them from a circle."""
    monkeypatch.setattr(eigenvalues, "ITERATIONS", 60)
    n = 3000
    times = hidden(n, lambda v: np.append(v[1:], 0.0) - 1.5 * v)
    with pytest.warns(RuntimeWarning) as caught:
        mflow.max_stable_dt("euler", jac=times, n=n)
    words = str(caught[0].message)
    assert "known as an interval only: it is at least" in words
    low = float(re.search(r"at least ([\d.]+)", words)[1])  # type: ignore[index]
    assert low < 2.0 / 1.5
    assert "where jac is normal" in words
    assert words.endswith(f"Give jac as a matrix, or take a step of at most {low:.4g}")


def test_who_gave_a_matrix_is_not_told_to_give_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(eigenvalues, "ITERATIONS", 60)
    monkeypatch.setattr(eigenvalues, "DENSE", 400)
    n = eigenvalues.DENSE + 1
    u = np.random.default_rng(9).normal(size=n)
    turn = np.eye(n) - 2.0 * np.outer(u, u) / (u @ u)
    with pytest.warns(RuntimeWarning, match="interval only") as caught:
        mflow.max_stable_dt("euler", jac=turn @ (np.eye(n, k=1) - 1.5 * np.eye(n)) @ turn)
    words = str(caught[0].message)
    low = re.search(r"at least ([\d.]+)", words)[1]  # type: ignore[index]
    assert "as a matrix" not in words
    assert words.endswith(f"Take a step of at most {low}")


def test_middles_that_are_tried_together_end_where_one_after_the_other_does() -> None:
    """The last number whose square is at most 2, and of any pattern of failures the one that plain halving comes to."""
    calls = [0]

    def beyond(x: Array) -> Any:
        calls[0] += 1
        return x * x > 2.0

    root = eigenvalues.bisect_together(beyond, 1.0, 2.0)
    assert root * root <= 2.0 < math.nextafter(root, 2.0) ** 2
    assert calls[0] <= 14
    for seed in range(40):
        low, high = sorted(np.random.default_rng(seed).uniform(0.1, 9.0, 2).tolist())

        def odd(x: Any, seed: int = seed) -> Any:
            return np.sin(x * 10.0 ** (seed % 9)) > 0.0

        for tolerance in (4e-16, 1e-3):
            want = eigenvalues.bisect(lambda x: bool(odd(x)), low, high, tolerance)
            for halvings in (1, 4):
                assert eigenvalues.bisect_together(odd, low, high, halvings, tolerance) == want


def test_the_ritz_values_that_ended_it_are_not_computed_again(monkeypatch: Any) -> None:
    sizes: list[int] = []
    eig = np.linalg.eig
    monkeypatch.setattr(np.linalg, "eig", lambda A: sizes.append(len(A)) or eig(A))
    ritz = krylov.arnoldi(lambda v: np.arange(1.0, 301.0) * v, 300, 60, lambda found: found.products >= 20)
    assert ritz.products == sizes[-1] == 21
    assert len(set(sizes)) == len(sizes)
    assert ritz.values.dtype == np.complex128
