"""Methods that take their gradient ahead of c: what is returned, told and kept is c. And counts that do not depend on the route."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
AHEAD = [("nesterov", {"form": "pull", "lr": 0.02}), ("consistent_momentum", {"lookahead": True, "lr": 0.05, "friction": 1.0})]
H = np.array([[3.0, 0.4], [0.4, 1.0]])
B = np.array([1.0, -2.0])


def cost(x: Array) -> tuple[float, Array]:
    return float(0.5 * x @ H @ x - B @ x), H @ x - B


def notes(name: str, par: dict[str, Any], steps: int) -> Array:
    """c_0 ... of the formulas: v = mu v - g(c + lr mu v), c += lr v; v = (1 - friction lr) v - lr g(c + lr v), c += lr v."""
    c, v, out = np.array([2.0, -1.0]), np.zeros(2), [np.array([2.0, -1.0])]
    for _ in range(steps):
        lr = par["lr"]
        mu, share, reach = (0.9, 1.0, lr * 0.9) if name == "nesterov" else (1 - par["friction"] * lr, lr, lr)
        v = mu * v - share * cost(c + reach * v)[1]
        c = c + lr * v
        out.append(c)
    return np.array(out)


@pytest.mark.parametrize(("name", "par"), AHEAD)
def test_the_path_and_the_result_are_of_c(name: str, par: dict[str, Any]) -> None:
    want = notes(name, par, 25)
    r = mflow.minimize(cost, want[0], jac=True, method=name, maxiter=25, path=True, **par)
    assert r.reason == "max_iter"
    np.testing.assert_allclose(r.path.x, want, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(r.x, want[-1], rtol=1e-13)
    np.testing.assert_allclose(r.path.fun, [cost(x)[0] for x in want], rtol=1e-12, atol=1e-13)
    assert r.fun == cost(r.x)[0]
    np.testing.assert_array_equal(r.jac, cost(r.x)[1])
    plain = mflow.minimize(cost, want[0], jac=True, method=name, maxiter=25, **par)
    assert plain.x.tobytes() == r.x.tobytes()
    assert (plain.nit, plain.njev) == (25, 27)  # one an iteration, the last test, and the report


@pytest.mark.parametrize(("name", "par"), AHEAD)
def test_what_a_callback_is_told_belongs_to_c(name: str, par: dict[str, Any]) -> None:
    want, told = notes(name, par, 10), []

    def tell(intermediate_result: Any) -> None:
        told.append(intermediate_result)

    mflow.minimize(cost, want[0], jac=True, method=name, maxiter=10, callback=tell, **par)
    assert len(told) == 10
    for k, state in enumerate(told, 1):
        np.testing.assert_allclose(state.x, want[k], rtol=1e-13, atol=1e-14)
        assert state.fun == cost(state.x)[0]
        np.testing.assert_array_equal(state.jac, cost(state.x)[1])


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("name", "par"), AHEAD)
def test_converged_means_a_small_gradient_at_x(name: str, par: dict[str, Any], kept: bool) -> None:
    calls = []

    def counted(x: Array) -> tuple[float, Array]:
        calls.append(x.copy())
        return cost(x)

    r = mflow.minimize(counted, [2.0, -1.0], jac=True, method=name, gtol=1e-6, path=kept, **par)
    assert r.success
    assert np.max(np.abs(cost(r.x)[1])) <= 1e-6
    np.testing.assert_array_equal(r.jac, cost(r.x)[1])
    assert r.fun == cost(r.x)[0]
    assert r.njev + r.ncheck == len(calls)
    want = notes(name, par, r.nit)
    np.testing.assert_allclose(r.x, want[-1], rtol=1e-10)


@pytest.mark.parametrize("maxiter", [0, 7, 10_000])
@pytest.mark.parametrize(("name", "par"), [*AHEAD, ("nesterov", {"lr": 0.02}), ("nesterov", {"form": "pull", "lr": 50.0})])
def test_a_batch_has_what_minimize_has(name: str, par: dict[str, Any], maxiter: int) -> None:
    f = mflow.objectives.Quadratic(H, B)
    starts = np.array([[2.0, -1.0], [0.0, 0.0], [1e3, 5.0]])
    batch = mflow.minimize_batch(f, starts, name, maxiter=maxiter, **par)
    for k, start in enumerate(starts):
        one = mflow.minimize(f, start, method=name, maxiter=maxiter, **par)
        assert one.x.tobytes() == batch.x[k].tobytes()
        assert (one.fun, np.max(np.abs(one.jac))) == (batch.fun[k], batch.gmax[k])
        assert (one.nit, one.nfev, one.reason) == (batch.nit[k], batch.nfev[k], batch.reason[k])


def test_training_keeps_c() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = X @ [1.0, -2.0]
    want, c, v = [], np.zeros(2), np.zeros(2)
    for _ in range(12):
        ahead = c + 0.1 * 0.9 * v
        v = 0.9 * v - X.T @ (X @ ahead - y) / 40
        c = c + 0.1 * v
        want.append(c)
    seen: list[Array] = []
    run = mflow.train(
        lambda w, X, y: (0.5 * float(np.mean((X @ w - y) ** 2)), X.T @ (X @ w - y) / len(y)),
        np.zeros(2), (X, y), "nesterov", epochs=12, batch_size=40, shuffle=False, form="pull", lr=0.1, jac=True,
        step_callback=lambda state: seen.append(state.params.copy()) and None,
    )  # fmt: skip
    np.testing.assert_allclose(seen, want, rtol=1e-12)
    np.testing.assert_allclose(run.last_params, want[-1], rtol=1e-12)
    np.testing.assert_array_equal(run.optimizer.arrays[0], run.last_params)


# ---- routes ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("lr", [5.0, 0.01, 1e200])
def test_routes_that_end_alike_count_alike(method: str, lr: float) -> None:
    f = mflow.objectives.Rosenbrock(2)
    start, calls = np.array([-1.2, 1.0]), 0

    def counted(x: Array) -> tuple[float, Array]:
        nonlocal calls
        calls += 1
        with np.errstate(all="ignore"):
            return f.value_and_grad(x)

    routes: dict[str, dict[str, Any]] = {
        "constant": {"lr": lr},
        "schedule": {"lr": lambda k: lr},
        "path": {"lr": lr, "path": True},
        "callback": {"lr": lr, "callback": lambda x: None},
    }
    batch = mflow.minimize_batch(f, start[None], method, maxiter=60, lr=lr)
    for name, how in routes.items():
        calls = 0
        r = mflow.minimize(counted, start, jac=True, method=method, maxiter=60, **how)
        assert (r.nit, r.nfev, r.njev) == (batch.nit[0], batch.nfev[0], batch.nfev[0]), name
        assert calls == r.njev + r.ncheck
        assert r.reason == batch.reason[0]
        assert r.x.tobytes() == batch.x[0].tobytes()
        if name == "path":
            assert len(r.path.x) == r.nit + 1
            assert r.path.k[-1] == r.nit


AUTO = [("momentum", {}), ("momentum", {"momentum": 0.99}), ("nesterov", {}), ("consistent_momentum", {})]


@pytest.mark.parametrize(("name", "par"), AUTO)
def test_an_automatic_step_does_not_leave_the_valley(name: str, par: dict[str, float]) -> None:
    for start in ([-1.2, 1.0], [-1.9, -0.4]):
        r = mflow.minimize(mflow.objectives.Rosenbrock(2), start, method=name, lr="auto", maxiter=300, **par)
        assert r.reason in ("converged", "max_iter"), (start, r.message)
        assert r.fun <= mflow.objectives.Rosenbrock(2)(np.array(start))


def test_momentum_with_an_automatic_step_finds_the_minimum() -> None:
    r = mflow.minimize(mflow.objectives.Rosenbrock(2), [-1.2, 1.0], method="momentum", lr="auto")
    assert r.success
    np.testing.assert_allclose(r.x, 1.0, atol=1e-4)
