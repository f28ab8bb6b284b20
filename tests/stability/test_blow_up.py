"""`max_stable_dt` against the blow-up that is observed: every method with a linear amplification is run just inside and just outside."""

import functools
import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.spectra import eigenvalues
from support.oracles.reference import defaults

sparse = pytest.importorskip("scipy.sparse")

N = 24
OFF = 0.01  # the promise: within 1 %


@functools.cache
def jacobian(kind: str) -> Any:
    """Random: dense and far from normal, sparse symmetric, sparse and not symmetric; all of them decay."""
    rng = np.random.default_rng(11)
    if kind == "dense":
        A = rng.normal(size=(N, N)) / math.sqrt(N)
        return A - (0.5 + np.linalg.eigvals(A).real.max()) * np.eye(N)
    A = sparse.random(60, 60, density=0.05, random_state=rng, data_rvs=rng.standard_normal).tocsr()
    if kind == "sparse symmetric":
        A = A + A.T
    shift = np.linalg.eigvals(A.toarray()).real.max() + 0.5
    return (A - shift * sparse.eye(60)).tocsr()


def rate(norms: Any) -> float:
    """Growth a step in the second half."""
    half = len(norms) // 2
    return float(np.polyfit(np.arange(half), np.log(norms[half : 2 * half]), 1)[0])


def growth(method: Any, J: Any, dt: float, steps: int = 1200, piece: int = 100) -> float:
    """Of the state, a step, as it runs: in pieces, brought back to length 1 after each (the problem is linear)."""
    y = np.cos(1.0 + np.arange(J.shape[0]))
    logs = []
    for _ in range(steps // piece):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            r = mflow.solve_ivp(lambda t, y: J @ y, (0.0, piece * dt), y, method, dt=dt, save="last", jac=J if method.is_implicit else None)
        y = r.y[:, -1]
        logs.append(math.log(np.linalg.norm(y)))
        y = y / np.linalg.norm(y)
    return sum(logs[len(logs) // 2 :]) / (piece * (len(logs) - len(logs) // 2))


def radius(method: Any, J: Any, dt: float) -> float:
    """Of the matrix of one step, whose columns are where a step leads from the unit vectors."""
    units = np.eye(J.shape[0])
    if method.is_implicit:
        how = {"method": method, "dt": dt, "save": "last", "jac": J}
        ends = np.column_stack([mflow.solve_ivp(lambda t, y: J @ y, (0.0, dt), unit, **how).y[:, -1] for unit in units])
    else:
        ends = mflow.solve_ivp(lambda t, Y: J @ Y, (0.0, dt), units, method, dt=dt, save="last").y[..., -1]
    return float(np.abs(np.linalg.eigvals(ends)).max())


@pytest.mark.parametrize("kind", ["dense", "sparse symmetric", "sparse"])
def test_integrators(step_method: Any, kind: str) -> None:
    if "linear" not in step_method.flags:
        return
    J = jacobian(kind)
    extra = {"stages": 5} if "staged" in step_method.flags else {}
    method = mflow.get_method(step_method.name, **extra)
    dt = mflow.max_stable_dt(method, jac=J)
    if dt == math.inf:
        assert method.is_implicit
        assert growth(method, J, 1000.0, 60, 20) < 1e-9
        return
    assert 0.0 < dt < math.inf
    if "multistep" in step_method.flags:
        assert growth(method, J, (1 - OFF) * dt) < 0.0
        assert growth(method, J, (1 + OFF) * dt) > 0.0
    else:
        assert radius(method, J, (1 - OFF) * dt) < 1.0 < radius(method, J, (1 + OFF) * dt)


@pytest.mark.parametrize("kind", ["dense", "sparse symmetric"])
def test_second_order_methods(second_method: Any, kind: str) -> None:
    """Stiffness J'J or -J, damped a little in proportion; started at random, observed over the last half of a run."""
    J = jacobian(kind)
    K = -J if kind == "sparse symmetric" else J.T @ J + 0.1 * np.eye(N)
    C = 0.05 * K + 0.02 * (sparse.eye(60).tocsr() if kind == "sparse symmetric" else np.eye(N))
    extra = {"damping": "explicit"} if second_method.name == "velocity_verlet" else {}
    method = mflow.get_method(second_method.name, **extra)
    dt = mflow.max_stable_dt(method, stiffness=K, damping=C)

    def observed(h: float, steps: int = 400) -> float:
        n = K.shape[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            r = mflow.solve_dynamics(stiffness=K, damping=C, t_span=(0, steps * h), x0=np.cos(1.0 + np.arange(n)), v0=np.zeros(n), dt=h,
                                     method=method, max_steps=steps)  # fmt: skip
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(r.x, axis=0)
        norms = norms[np.isfinite(norms) & (norms > 1e-250) & (norms < 1e250)]
        return rate(norms)

    if dt == math.inf:
        assert mflow.is_a_stable(method)
        assert observed(1000.0, 200) < 1e-9
        return
    assert dt > 0.0
    assert observed((1 - OFF) * dt) < 0.0
    slow = method.order == 1 and observed((1 + OFF) * dt) < 0.0  # first-order methods leave the unit circle at a small angle: it takes time
    assert observed((1 + OFF) * dt, 60_000 if slow else 400) > 0.0


def test_optimizers(update_method: Any) -> None:
    """On a random quadratic, by the Jacobian of its gradient flow."""
    if "linear" not in update_method.flags:
        with pytest.raises(ValueError, match="no linear amplification"):
            mflow.max_stable_dt(update_method.name, jac=-np.eye(2))
        return
    J = jacobian("sparse symmetric")
    extra = {"friction": 0.5} if "friction" in defaults(update_method) else {}
    lr = mflow.max_stable_dt(update_method.name, jac=J, **extra)
    for factor in (1 - OFF, 1 + OFF):
        c = np.cos(1.0 + np.arange(60))
        opt = getattr(mflow.optim, update_method.class_name)(c, lr=factor * lr, **extra)
        norms = []
        for _ in range(1500):
            opt.step(-(J @ c))
            norms.append(float(np.linalg.norm(c)))
        assert (rate(norms) > 0.0) == (factor > 1)


# ---- where eigenvalues are not computed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", ["euler", "rk4", "dop853"])
def test_products_alone(name: str, symmetric: bool, monkeypatch: Any) -> None:
    """Beyond the size up to which all eigenvalues are computed, and from J v, within 1 % of what all eigenvalues say."""
    monkeypatch.setattr(eigenvalues, "DENSE", 50)
    rng = np.random.default_rng(5)
    n = 100
    A = sparse.random(n, n, density=4 / n, random_state=rng, data_rvs=rng.standard_normal).tocsr()
    A = (A + A.T if symmetric else A) - 8.0 * sparse.eye(n).tocsr()
    values = _all_values(symmetric, A)
    want = mflow.max_stable_dt(name, eigenvalues=values)
    assert mflow.max_stable_dt(name, jac=A) == pytest.approx(want, rel=OFF)
    assert mflow.max_stable_dt(name, jac=lambda v: A @ v, n=n, symmetric=symmetric) == pytest.approx(want, rel=OFF)
    operator = pytest.importorskip("scipy.sparse.linalg").aslinearoperator(A)
    assert mflow.max_stable_dt(name, jac=operator) == pytest.approx(want, rel=OFF)


VALUES: dict[bool, Any] = {}


def _all_values(symmetric: bool, A: Any) -> Any:
    if symmetric not in VALUES:
        VALUES[symmetric] = np.linalg.eigvalsh(A.toarray()) if symmetric else np.linalg.eigvals(A.toarray())
    return VALUES[symmetric]


def test_few_products_for_a_large_symmetric_problem() -> None:
    n, calls = 10_000, [0]
    d = np.linspace(-7.0, -0.01, n)

    def times(v: Any) -> Any:
        calls[0] += 1
        return d * v

    assert mflow.max_stable_dt("rk4", jac=times, n=n, symmetric=True) == pytest.approx(2.785293563405282 / 7, rel=OFF)
    assert calls[0] <= 150


def test_many_eigenvalues_are_scanned_coarsely_and_lose_nothing() -> None:
    rng = np.random.default_rng(3)
    values = -rng.uniform(0.1, 5, 80) + 1j * rng.uniform(-6, 6, 80)
    for name in ("euler", "rk4", "ssprk104"):
        want = min(mflow.stability_limit(name, direction=v) / abs(v) for v in values)
        assert mflow.max_stable_dt(name, eigenvalues=values) == want


def test_growth_of_the_problem_sets_no_limit() -> None:
    assert mflow.max_stable_dt("euler", eigenvalues=[5.0, -4.0, 1 + 2j]) == pytest.approx(0.5)
    assert mflow.max_stable_dt("euler", eigenvalues=[3.0]) == math.inf
    assert mflow.max_stable_dt("sgd", jac=np.diag([2.0, -4.0])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mflow.max_stable_dt("rk4", jac=np.ones((2, 3))), ValueError, r"expected a square matrix .* got shape \(2, 3\)"),
        (lambda: mflow.max_stable_dt("rk4", jac=sparse.csr_matrix(np.ones((2, 3)))), ValueError, "a square matrix"),
        (lambda: mflow.max_stable_dt("rk4", jac=sparse.csr_matrix(np.diag([math.inf, 1.0]))), ValueError, "finite numbers"),
        (lambda: mflow.max_stable_dt("rk4", jac=np.eye, n=None), TypeError, "n: expected the length of v, got None"),
        (
            lambda: mflow.max_stable_dt("rk4", jac=lambda v: v[:-1], n=5),
            ValueError,
            r"products J v of shape \(5,\), got shape \(4,\)",
        ),
        (lambda: mflow.max_stable_dt("rk4", jac=lambda v: v * math.nan, n=5), ValueError, "not finite"),
        (lambda: mflow.max_stable_dt("rk4", eigenvalues=[math.nan]), ValueError, "eigenvalues: expected finite numbers, got NaN"),
        (
            lambda: mflow.max_stable_dt("rk4", eigenvalues=[-1.0], curvature=1.0),
            ValueError,
            "eigenvalues: expected exactly one of these arguments, got 2",
        ),
        (lambda: mflow.max_stable_dt("adam", jac=-np.eye(2)), ValueError, "adam has no linear amplification"),
        (
            lambda: mflow.max_stable_dt("newmark", eigenvalues=[-1.0]),
            ValueError,
            "eigenvalues: newmark steps M x'' = F: give stiffness= ",
        ),
    ],
)
def test_bad_input(call: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("stages", [20, 150, 200])
def test_many_stages_have_a_limit_too(stages: int) -> None:
    """About 0.653 s^2 (Sommeijer, Shampine and Verwer 1997); of many eigenvalues the largest decides."""
    limit = mflow.stability_limit("rkc2", stages=stages)
    assert limit == pytest.approx(0.653 * stages**2, rel=0.01)
    assert mflow.max_stable_dt("rkc2", eigenvalues=-np.linspace(1.0, 50.0, 60), stages=stages) == pytest.approx(limit / 50.0, rel=1e-9)


@pytest.mark.parametrize("n", [3, 1200])
def test_a_matrix_that_is_called_symmetric_is_looked_at(n: int) -> None:
    A = (sparse.eye(n) * -1.0 + sparse.eye(n, k=-1) * 5.0).tocsr()
    for J in (A, A.toarray()) if n < 10 else (A,):
        with pytest.raises(ValueError, match="symmetric: expected a symmetric jac"):
            mflow.max_stable_dt("rk4", jac=J, symmetric=True)


def test_no_imaginary_part_is_dropped() -> None:
    J = (sparse.eye(1200) * (-1.0 + 2.0j)).tocsr()
    with pytest.raises(ValueError, match="expected at most 1000 rows in a complex matrix, got 1200"):
        mflow.max_stable_dt("rk4", jac=J)
    with pytest.raises(ValueError, match="expected real products J v, got complex ones"):
        mflow.max_stable_dt("rk4", jac=lambda v: J @ v, n=1200)
    want = mflow.stability_limit("rk4", direction=-1 + 2j) / abs(-1 + 2j)
    assert mflow.max_stable_dt("rk4", jac=J[:4, :4]) == pytest.approx(want, rel=1e-12)


def test_stages_of_a_trial_follow_from_its_step() -> None:
    """Eigenvectors of condition 2: nothing grows, which a run with 0.95 of the limit confirms."""
    A = np.random.default_rng(0).normal(size=(5, 5)) - 2 * np.sqrt(5) * np.eye(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h = mflow.max_stable_dt("rkc2", jac=A)
    r = mflow.solve_ivp(lambda t, y: A @ y, (0, 500 * h), np.ones(5), "rkc2", dt=0.95 * h)
    assert np.max(np.abs(r.y)) < 10.0
    assert np.max(np.abs(r.y[:, -1])) < 1e-6
