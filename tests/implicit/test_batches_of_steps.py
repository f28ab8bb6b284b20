"""`minimize_batch` by implicit SGD: members are models of their own, with true endings, on threads and executors."""

from __future__ import annotations

import pickle
from concurrent import futures
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow.data import load_nist, nist_names
from mflow.problems.mgh import mgh, mgh_names

Array = np.ndarray
T = np.linspace(0.0, 1.0, 11)
Y = 2.0 * np.exp(-1.5 * T)
STARTS = np.array([1.0, 0.5]) + np.random.default_rng(0).uniform(-0.3, 0.3, (7, 2))


def residual(b: Array, t: Any, y: Any) -> Any:
    return b[0] * np.exp(-b[1] * t) - y


def jacobian(b: Array, t: Any, y: Any) -> Array:
    return np.stack([np.exp(-b[1] * t), -b[0] * t * np.exp(-b[1] * t)], axis=-1)


def test_members_are_models() -> None:
    settings: dict[str, Any] = {"lr": 0.7, "lr_decay": 0.1, "average": 12, "l1": 1e-3, "l2": 1e-3}
    r = mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian, data=(T, Y), batch_size=3, seed=4, maxiter=6, **settings)
    for k, start in enumerate(STARTS):
        model = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, **settings)
        model.fit((T, Y), x0=start, epochs=6, batch_size=3, seed=4)
        np.testing.assert_allclose(r.x[k], model.params, rtol=1e-12)
        assert r.fun[k] == pytest.approx(model.objective((T, Y)), rel=1e-12)
        c, J, e = r.x[k], jacobian(r.x[k], T, Y), residual(r.x[k], T, Y)
        assert r.gmax[k] == pytest.approx(np.max(np.abs(J.T @ e / 11.0 + 1e-3 * np.sign(c) + 1e-3 * c)), rel=1e-9)
    assert r.reason == ["max_iter"] * 7
    assert r[2].nit == 6
    assert r[2].nfev > 6 * 4
    assert r.method.name == "implicit_sgd"


def test_one_step_on_all_data_is_the_implicit_equation() -> None:
    """From each start, one pass of one batch: SciPy's root of z - c + gamma/m J'r."""
    r = mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian, data=(T, Y), batch_size=11, maxiter=1, lr=5.0)
    for start, end in zip(STARTS, r.x, strict=True):
        root = scipy.optimize.root(lambda z, c=start: z - c + 5.0 / 11.0 * jacobian(z, T, Y).T @ residual(z, T, Y), start, tol=1e-14).x
        np.testing.assert_allclose(end, root, rtol=1e-9)


def test_consistent_data_converge_and_endings_are_true() -> None:
    def quiet(of: Any) -> Any:
        def silent(*args: Any) -> Any:
            with np.errstate(over="ignore", invalid="ignore"):
                return of(*args)

        return silent

    starts = np.vstack([STARTS, [np.nan, 1.0], [1.0, -2000.0], [2.0, 1.5]])
    call: dict[str, Any] = {"jac": quiet(jacobian), "data": (T, Y), "maxiter": 400, "lr": 10.0, "gtol": 1e-9, "seed": 0}
    r = mflow.minimize_batch(quiet(residual), starts, "implicit_sgd", **call)
    assert r.reason[:7] == ["converged"] * 7
    np.testing.assert_allclose(r.x[:7], np.tile([2.0, 1.5], (7, 1)), rtol=1e-6)
    assert r.reason[7:] == ["non_finite", "non_finite", "converged"]
    assert np.isnan(r.fun[7:9]).all()
    np.testing.assert_array_equal(r.x[7:9], starts[7:9])
    assert r.nit[9] == 0
    assert not r.success


def test_nist_and_mgh_from_their_starts_at_steps_of_all_sizes() -> None:
    for name in nist_names():
        problem = load_nist(name)
        starts = np.array(problem.starts)
        for gamma in (1e-3, 1.0, 1e3):
            r = mflow.minimize_batch(problem.objective, starts, "implicit_sgd", lr=gamma, maxiter=1, seed=0)
            assert np.isfinite(r.x).all(), (name, gamma)
            assert np.isfinite(r.fun).all(), (name, gamma)
            one = mflow.ImplicitSGD(residual=problem.objective, lr=gamma).fit(x0=starts[1], epochs=1, seed=0)
            np.testing.assert_array_equal(r.x[1], one.params)
    f = mgh(mgh_names()[0])
    r = mflow.minimize_batch([f, f], np.tile(f.x0, (2, 1)), "implicit_sgd", lr=1e3, batch_size=f.m, maxiter=50)
    assert r.success
    np.testing.assert_allclose(r.x, 1.0, rtol=1e-4)


def test_threads_executors_and_data_of_each_member() -> None:
    problem = load_nist("Misra1a")
    labels = problem.y * np.linspace(0.9, 1.1, 5)[:, None]
    starts = np.tile(problem.starts[1], (5, 1))
    call: dict[str, Any] = {"lr": 1e-3, "maxiter": 3, "seed": 2, "batch_data": {"y": labels}}
    one = mflow.minimize_batch(problem.objective, starts, "implicit_sgd", threads=1, **call)
    two = mflow.minimize_batch(problem.objective, starts, "implicit_sgd", threads=2, **call)
    with futures.ThreadPoolExecutor(2) as pool:
        three = mflow.minimize_batch(problem.objective, starts, "implicit_sgd", executor=pool, **call)
    for other in (two, three):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.nfev, other.nfev)
    assert len({tuple(x) for x in one.x.tolist()}) == 5
    assert np.array_equal(one.x[2], mflow.minimize_batch(problem.objective, starts[:1], "implicit_sgd", lr=1e-3, maxiter=3, seed=2).x[0])
    tables = (np.tile(T, (7, 1)), Y * np.linspace(0.5, 1.5, 7)[:, None])
    own = mflow.minimize_batch(residual, STARTS, "isgd", jac=jacobian, batch_data={"data": tables}, lr=10.0, maxiter=500, gtol=1e-8, seed=0)
    np.testing.assert_allclose(own.x[:, 0], 2.0 * np.linspace(0.5, 1.5, 7), rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "seed", [None, 3, np.random.default_rng(3), np.random.PCG64(3), np.random.SeedSequence(3)], ids=lambda seed: type(seed).__name__
)
def test_the_order_of_rows_is_the_same_for_every_member(seed: Any, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mflow.optimize.minimize_batch.PIECE", 2)
    call: dict[str, Any] = {"jac": jacobian, "data": (T, Y), "lr": 0.7, "maxiter": 2, "seed": seed}
    r = mflow.minimize_batch(residual, np.tile(STARTS[0], (8, 1)), "implicit_sgd", threads=threads, **call)
    assert len({tuple(x) for x in r.x.tolist()}) == 1
    if threads == 2:
        with futures.ThreadPoolExecutor(2) as pool:
            r = mflow.minimize_batch(residual, np.tile(STARTS[0], (64, 1)), "implicit_sgd", executor=pool, **call)
        assert len({tuple(x) for x in r.x.tolist()}) == 1
    if isinstance(seed, np.random.Generator):  # which moves on from call to call
        again = mflow.minimize_batch(residual, STARTS[:1], "implicit_sgd", **call)
        assert tuple(again.x[0]) != tuple(r.x[0])


@pytest.mark.parametrize("name", ["Implicit_SGD", "implicit-sgd", "ISGD", "Implicit SGD"])
def test_its_name_is_looked_up_as_others_are(name: str) -> None:
    call: dict[str, Any] = {"jac": jacobian, "lr": 0.7, "seed": 1}
    r = mflow.minimize_batch(residual, STARTS, name, data=(T, Y), maxiter=2, **call)
    np.testing.assert_array_equal(r.x, mflow.minimize_batch(residual, STARTS, "implicit_sgd", data=(T, Y), maxiter=2, **call).x)
    one = mflow.train(residual, STARTS[0], (T, Y), name, 2, 3, **call)
    np.testing.assert_array_equal(one.params, mflow.train(residual, STARTS[0], (T, Y), "implicit_sgd", 2, 3, **call).params)


@pytest.mark.parametrize("source", ["cs", "torch", "jax", "autograd"])
def test_a_jacobian_by_name(source: str) -> None:
    library: Any = {"torch": "torch", "jax": "jax.numpy", "autograd": "autograd.numpy"}.get(source)
    exp = np.exp if library is None else pytest.importorskip(library).exp
    if source == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    call: dict[str, Any] = {"data": (T, Y), "lr": 0.7, "maxiter": 2, "seed": 1, "batch_size": 3}
    by_hand = mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian, **call)
    r = mflow.minimize_batch(lambda b, t, y: b[0] * exp(-b[1] * t) - y, STARTS, "implicit_sgd", jac=source, **call)
    np.testing.assert_allclose(r.x, by_hand.x, rtol=1e-12)
    np.testing.assert_array_equal(r.nfev, by_hand.nfev)


class Pickling(futures.ThreadPoolExecutor):
    """Work goes the way that it goes to other processes."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """From its pickle."""
        return super().submit(*pickle.loads(pickle.dumps((fn, *args))), **kwargs)


def test_what_goes_to_other_processes_holds_one_seed_and_a_jacobian_by_name() -> None:
    call: dict[str, Any] = {"jac": "cs", "data": (T, Y), "lr": 0.7, "maxiter": 2}
    with Pickling(2) as pool:
        r = mflow.minimize_batch(residual, np.tile(STARTS[0], (3, 1)), "implicit_sgd", executor=pool, **call)
    assert r.reason == ["max_iter"] * 3
    assert len({tuple(x) for x in r.x.tolist()}) == 1


def test_functions_from_compile() -> None:
    pytest.importorskip("numba")
    fun = mflow.compile(
        lambda b, d: b[0] * np.exp(-b[1] * d[0]) - d[1],
        jac=lambda b, d: np.array([np.exp(-b[1] * d[0]), -b[0] * d[0] * np.exp(-b[1] * d[0])]),
        kind="residual",
    )
    compiled = mflow.minimize_batch(fun, STARTS, "implicit_sgd", data=(T, Y), lr=0.7, maxiter=5, seed=1)
    plain = mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian, data=(T, Y), lr=0.7, maxiter=5, seed=1)
    np.testing.assert_allclose(compiled.x, plain.x, rtol=1e-10)
    np.testing.assert_array_equal(compiled.nit, plain.nit)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian), "expected data=, or batch_data"),
        (lambda: mflow.minimize_batch(residual, STARTS, "implicit_sgd", data=(T, Y)), "jac: expected"),
        (lambda: mflow.minimize_batch(mgh(mgh_names()[0]), STARTS, "implicit_sgd", data=(T, Y)), "data, jac: expected none"),
        (lambda: mflow.minimize_batch(mgh(mgh_names()[0]), STARTS, "adam", seed=1), 'seed: it belongs to method="implicit_sgd"'),
        (lambda: mflow.minimize_batch(mgh(mgh_names()[0]), STARTS, "adam", data=T), "data: it belongs to"),
        (lambda: mflow.minimize_batch(mgh(mgh_names()[0]), STARTS, "implicit_sgd", line_search="exact"), "line_search: expected none"),
        (lambda: mflow.minimize_batch(mgh(mgh_names()[0]), STARTS, "implicit_sgd", delta=1.0), "delta: expected one of lr"),
        (
            lambda: mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=jacobian, batch_data={"data": (T, Y)}),
            r"batch_data\[0\]: expected shape \(7, rows, ...\)",
        ),
        (
            lambda: mflow.minimize_batch(mflow.objectives.Logistic(np.eye(2), [1.0, -1.0]), STARTS, "implicit_sgd"),
            "^fun: expected a sum of squares",
        ),
        (
            lambda: mflow.minimize_batch(mgh(mgh_names()[0]), np.ones((2, 3)), "implicit_sgd"),
            "^fun: expected a cost of 3 numbers, as the starts have",
        ),
        (
            lambda: mflow.minimize_batch(lambda b, t, y: b[0], STARTS, "implicit_sgd", jac=jacobian, data=(T, Y), batch_size=2),
            "^fun: expected 2 residuals returned, one for each row of the batch, got 1",
        ),
        (
            lambda: mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac=lambda b, t, y: t, data=(T, Y)),
            r"^jac: expected shape \(1, 2\), row i the gradient of residual i, got shape \(1,\)",
        ),
        (
            lambda: mflow.minimize_batch(residual, STARTS, "implicit_sgd", jac="numpy", data=(T, Y)),
            '^jac: expected .* "jax", "autograd", "torch" or "cs", got .numpy.',
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_errors_of_the_user_come_through_with_what_was_done() -> None:
    def broken(b: Array, t: Any, y: Any) -> Any:
        if b[0] > 1.5:
            raise KeyError("mine")
        return residual(b, t, y)

    starts = np.array([[1.0, 0.5], [1.6, 0.5]])
    with pytest.raises(KeyError, match="mine") as caught:
        mflow.minimize_batch(broken, starts, "implicit_sgd", jac=jacobian, data=(T, Y), lr=1e-3, maxiter=2, threads=1)
    assert caught.value.partial_result.reason == ["max_iter", "interrupted"]
