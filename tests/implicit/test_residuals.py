"""Implicit SGD on residuals: roots against SciPy, NIST and MGH at steps of all sizes, batches, penalties, and both doors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from mflow_core.implicit import proximal
from mflow_core.problems.signatures import is_compiled

import mflow
from mflow.data import load_nist, nist_names
from mflow.problems.mgh import mgh, mgh_names

Array = np.ndarray
GAMMAS = 10.0 ** np.arange(-3.0, 4.0)
T = np.linspace(0.0, 1.0, 11)
Y = 2.0 * np.exp(-1.5 * T)


def residual(b: Array, t: Any, y: Any) -> Any:
    return b[0] * np.exp(-b[1] * t) - y


def jacobian(b: Array, t: Any, y: Any) -> Array:
    return np.stack([np.exp(-b[1] * t), -b[0] * t * np.exp(-b[1] * t)], axis=-1)


def oracle(order: Any, gamma: float, batch: int, c: Any, weight: Any = None) -> Array:
    """SciPy's root of z - c + gamma/b J'r, a batch after the other."""
    c, w = np.array(c), np.ones(11) if weight is None else weight
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        t, y, g = T[rows], Y[rows], gamma / len(rows)

        def equation(z: Array, c: Array = c, t: Array = t, y: Array = y, g: float = g, w: Array = w[rows]) -> Array:
            return z - c + g * jacobian(z, t, y).T @ (w * residual(z, t, y))

        c = scipy.optimize.root(equation, c, tol=1e-14).x
    return c


def test_one_pass_has_the_roots_and_not_linearised_steps() -> None:
    model = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, lr=0.7).fit((T, Y), x0=[1.0, 0.5], epochs=1, seed=3)
    np.testing.assert_allclose(model.params, [1.36608, 0.74636], atol=5e-6)
    np.testing.assert_allclose(model.params, oracle(np.random.default_rng(3).permutation(11), 0.7, 1, [1.0, 0.5]), rtol=1e-10)
    c = np.array([1.0, 0.5])
    for i in np.random.default_rng(3).permutation(11):
        r, J = residual(c, T[i], Y[i]), jacobian(c, T[i], Y[i])
        c = c - 0.7 * r * J / (1.0 + 0.7 * J @ J)
    np.testing.assert_allclose(c, [1.37226, 0.76374], atol=5e-6)  # what least_squares(passes=1) begins with
    assert model.worst_phi < 1e-9
    assert (model.count, model.cut, model.kept, model.skipped, model.reason) == (11, 0, 0, 0, "max_iter")


@pytest.mark.parametrize("batch", [2, 4, 11])
@pytest.mark.parametrize("gamma", [0.05, 3.0, 40.0])
def test_batches_are_means_and_weights_multiply(batch: int, gamma: float) -> None:
    weight = np.linspace(0.5, 2.0, 11)
    model = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, lr=gamma)
    model.fit((T, Y), sample_weight=weight, x0=[1.0, 0.5], epochs=1, batch_size=batch, seed=1)
    expected = oracle(np.random.default_rng(1).permutation(11), gamma, batch, [1.0, 0.5], weight)
    np.testing.assert_allclose(model.params, expected, rtol=1e-9)


def test_linear_residuals_have_a_closed_form_also_where_a_matrix_of_n_would_not_fit() -> None:
    rng = np.random.default_rng(0)
    for n, b in ((5, 8), (40_000, 6)):
        X, y, c, gamma = rng.normal(size=(b, n)), rng.normal(size=b), rng.normal(size=n), 50.0
        g = gamma / b
        u = np.linalg.solve(np.eye(b) + g * X @ X.T, X @ c - y)
        model = mflow.ImplicitSGD(residual=lambda w, x, y: x @ w - y, jacobian=lambda w, x, y: x, lr=gamma)
        model.fit((X, y), x0=c, epochs=1, batch_size=b, shuffle=False)
        np.testing.assert_allclose(model.params, c - g * X.T @ u, rtol=1e-9, atol=1e-12)


def test_a_residual_that_bends_needs_newtons_own_direction() -> None:
    """r = c1^2 + c2^2 + 50 far from a root: Gauss and Newton's iteration alone diverges at this gamma."""
    model = mflow.ImplicitSGD(residual=lambda c, s: s * (c @ c + 50.0), jacobian=lambda c, s: 2.0 * s * c, lr=10.0)
    model.fit(np.ones(1), x0=[3.0, -1.0], epochs=1)
    z = model.params
    np.testing.assert_allclose(z + 10.0 * 2.0 * z * (z @ z + 50.0), [3.0, -1.0], rtol=1e-8)
    assert model.cut == 0


def test_nist_from_both_starts_at_steps_of_all_sizes() -> None:
    """Never NaN, and no step's own proximal value above the loss of its datum before it."""
    for name in nist_names():
        problem = load_nist(name)
        for start in problem.starts:
            for gamma in GAMMAS:
                steps = proximal.ProximalSteps(problem.objective, np.ascontiguousarray(start), 1)
                order = np.random.default_rng(0).permutation(problem.n_observations).astype(np.int64)
                values, kinds = steps.run(order, 1, np.full(len(order), gamma))
                assert np.all(np.isfinite(steps.last)), (name, gamma)
                assert np.all(kinds != proximal.SKIPPED)
                assert np.all(values[:, 1] <= values[:, 0]), (name, gamma)
                assert np.isfinite(problem.objective(steps.last)), (name, gamma)
                assert steps.worst < 1e-6


def test_nist_settles_with_rates_that_fall() -> None:
    """From the near start, 30 passes in units of the start: the loss is within 10 times its least value, or below 0.2 % of the data's mean
    square, on all but the two problems whose valleys no first-order method leaves in so few passes."""
    for name in set(nist_names()) - {"MGH10", "Bennett5"}:
        problem, passes = load_nist(name), 30
        start, m = problem.starts[1], problem.n_observations
        unit = np.abs(np.where(start == 0.0, 1.0, start)) / np.sqrt(np.mean(problem.y**2))
        model = mflow.ImplicitSGD(residual=problem.objective, lr=1.0, lr_decay=1.0 / m, x_scale=unit)
        model.fit(x0=start, epochs=passes, seed=0)
        loss, least = model.objective(), problem.certified_residual_sum_of_squares / (2 * m)
        assert loss <= max(10.0 * least, 1e-3 * np.mean(problem.y**2)), (name, loss / least)


def test_mgh_at_steps_of_all_sizes() -> None:
    for name in mgh_names():
        f = mgh(name)
        for gamma in GAMMAS[::2]:
            model = mflow.ImplicitSGD(residual=f, lr=gamma).fit(epochs=2, seed=0)
            assert np.all(np.isfinite(model.params)), (name, gamma)
            assert np.isfinite(model.losses).all()
            steps = proximal.ProximalSteps(f, f.x0.ravel(), f.m)
            values, _ = steps.run(np.arange(f.m, dtype=np.int64), f.m, np.array([gamma]))
            assert values[0, 1] <= values[0, 0], (name, gamma)


def test_compiled_objectives_take_the_steps_of_a_python_function() -> None:
    problem = load_nist("Chwirut2")
    whole = problem.objective
    compiled = mflow.ImplicitSGD(residual=whole, lr=0.3).fit(x0=problem.starts[1], epochs=2, seed=5, batch_size=3)

    def value(b: Array, i: int) -> float:
        return float(whole.batch([i]).residuals(b)[0])

    def slope(b: Array, i: int) -> Array:
        return np.asarray(whole.batch([i]).jac(b)[0])

    plain = mflow.ImplicitSGD(residual=value, jacobian=slope, lr=0.3)
    plain.fit(np.arange(whole.m), x0=problem.starts[1], epochs=2, seed=5, batch_size=3)
    np.testing.assert_array_equal(plain.params, compiled.params)
    assert plain.nfev == compiled.nfev


def test_functions_from_compile() -> None:
    pytest.importorskip("numba")
    fun = mflow.compile(
        lambda b, d: b[0] * np.exp(-b[1] * d[0]) - d[1],
        kind="residual",
        jac=lambda b, d: (np.exp(-b[1] * d[0]), -b[0] * d[0] * np.exp(-b[1] * d[0])),
    )
    assert is_compiled(fun)
    assert fun(np.array([1.0, 0.0]), np.array([0.5, 3.0])) == -2.0
    model = mflow.ImplicitSGD(residual=fun, lr=0.7).fit((T, Y), x0=[1.0, 0.5], epochs=1, seed=3)
    np.testing.assert_allclose(model.params, [1.36608, 0.74636], atol=5e-6)
    broken = mflow.compile(lambda b, d: b[5] * d[0], kind="residual", jac=lambda b, d: (d[0], 1.0))
    with pytest.raises(RuntimeError, match="residual: it gave up at row 0"):
        mflow.ImplicitSGD(residual=broken).fit(T, x0=[1.0, 0.5], epochs=1, shuffle=False)
    with pytest.raises(ValueError, match="expected the gradient of the residual"):
        mflow.compile(lambda b, d: b[0], kind="residual")


def test_elastic_net_by_the_proximal_map() -> None:
    """One step from 0 on one datum: the implicit step in closed form, then soft thresholds of gamma l1 and shrinkage by 1 + gamma l2."""
    x, y, gamma, l1, l2 = np.array([3.0, 0.1, -2.0]), 4.0, 0.5, 0.2, 0.3
    model = mflow.ImplicitSGD(residual=lambda w, x, y: x @ w - y, jacobian=lambda w, x, y: x, lr=gamma, l1=l1, l2=l2)
    model.fit((x[None], np.array([y])), x0=np.zeros(3), epochs=1)
    z = gamma * y * x / (1.0 + gamma * x @ x)
    expected = np.sign(z) * np.maximum(np.abs(z) - gamma * l1, 0.0) / (1.0 + gamma * l2)
    np.testing.assert_allclose(model.params, expected, rtol=1e-12)
    assert model.params[1] == 0.0


def test_averages_rates_states_and_streams() -> None:
    call: dict[str, Any] = {"residual": residual, "jacobian": jacobian, "lr": 5.0, "lr_decay": 0.3, "lr_power": 0.7, "average": 20}
    whole = mflow.ImplicitSGD(**call).fit((T, Y), x0=[1.0, 0.5], epochs=4, seed=7)
    rng, c, kept, n = np.random.default_rng(7), np.array([1.0, 0.5]), [], 0
    for _ in range(4):
        for i in rng.permutation(11):
            c = oracle([i], 5.0 * (1.0 + 0.3 * 5.0 * n) ** -0.7, 1, c)
            n += 1
            if n >= 20:
                kept.append(c)
    np.testing.assert_allclose(whole.params, np.mean(kept, axis=0), rtol=1e-8)
    np.testing.assert_allclose(whole.last, c, rtol=1e-8)
    first = mflow.ImplicitSGD(**call).partial_fit((T, Y), x0=[1.0, 0.5])
    second = mflow.ImplicitSGD(**call)
    second.load_state_dict(first.state_dict())
    third = pickle.loads(pickle.dumps(first))
    for model in (first, second, third):
        model.partial_fit((T, Y))
    np.testing.assert_array_equal(second.params, first.params)
    np.testing.assert_array_equal(third.params, first.params)
    stream = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, lr=0.7)
    stream.set_params([1.0, 0.5])
    assert stream.learn(T[3], Y[3]) == residual(np.array([1.0, 0.5]), T[3], Y[3])
    np.testing.assert_allclose(stream.params, oracle([3], 0.7, 1, [1.0, 0.5]), rtol=1e-10)


def test_what_is_not_finite_is_skipped_or_told() -> None:
    def wall(c: Array, s: float) -> float:
        return float(np.sqrt(c[0] - s)) if c[0] > s else np.nan

    def slope(c: Array, s: float) -> list[float]:
        return [0.5 / np.sqrt(c[0] - s)] if c[0] > s else [np.nan]

    some = mflow.ImplicitSGD(residual=wall, jacobian=slope, lr=0.1).fit(np.array([0.0, 5.0]), x0=[1.0], epochs=3, shuffle=False)
    assert some.skipped == 3
    assert np.isfinite(some.params).all()
    with pytest.warns(RuntimeWarning, match="no residual was finite in epoch 1"):
        none = mflow.ImplicitSGD(residual=wall, jacobian=slope).fit(np.array([5.0]), x0=[1.0], epochs=3)
    assert (none.reason, none.params[0]) == ("non_finite", 1.0)


# ---- train ------------------------------------------------------------------------------------------------------------------------------


def test_train_takes_the_same_steps(tmp_path: Path) -> None:
    call: dict[str, Any] = {"jac": jacobian, "batch_size": 4, "seed": 2, "lr": lambda k: 3.0 / (1.0 + k)}
    whole = mflow.train(residual, np.array([1.0, 0.5]), (T, Y), "implicit_sgd", epochs=3, **call)
    rng, c, k = np.random.default_rng(2), np.array([1.0, 0.5]), 0
    for _ in range(3):
        order = rng.permutation(11)
        for first in range(0, 11, 4):
            c = oracle(order[first : first + 4], 3.0 / (1.0 + k), 4, c)
            k += 1
    np.testing.assert_allclose(whole.last_params, c, rtol=1e-9)
    assert (whole.nit, whole.reason) == (9, "finished")
    mflow.train(residual, np.array([1.0, 0.5]), (T, Y), "implicit_sgd", epochs=2, checkpoint=tmp_path / "a", **call)
    resumed = mflow.train(residual, np.array([1.0, 0.5]), (T, Y), "implicit_sgd", epochs=3, resume=tmp_path / "a", **call)
    assert resumed.last_params.tobytes() == whole.last_params.tobytes()
    assert resumed.history.step_loss.tobytes() == whole.history.step_loss.tobytes()
    with pytest.raises(ValueError, match="resume"):
        mflow.train(lambda c, t, y: c, np.array([1.0, 0.5]), (T, Y), "sgd", epochs=3, resume=tmp_path / "a", batch_size=4, seed=2)


def test_train_on_a_dict_and_on_an_objective() -> None:
    def both(p: dict[str, Array], t: Array, y: Array) -> Array:
        return p["a"][0] * np.exp(-p["b"][0] * t) - y

    def slopes(p: dict[str, Array], t: Array, y: Array) -> dict[str, Array]:
        J = jacobian(np.array([p["a"][0], p["b"][0]]), t, y)
        return {"a": J[:, :1], "b": J[:, 1:]}

    plain = mflow.train(residual, np.array([1.0, 0.5]), (T, Y), "isgd", jac=jacobian, epochs=2, seed=0, lr=2.0)
    named = mflow.train(both, {"a": np.array([1.0]), "b": np.array([0.5])}, (T, Y), "implicit_sgd", jac=slopes, epochs=2, seed=0, lr=2.0)
    np.testing.assert_array_equal([named.params["a"][0], named.params["b"][0]], plain.params)
    f = load_nist("Chwirut2").objective
    trained = mflow.train(f, f.x0, None, "implicit_sgd", epochs=3, seed=4, batch_size=5, lr=0.5)
    model = mflow.ImplicitSGD(residual=f, lr=0.5).fit(epochs=3, seed=4, batch_size=5)
    np.testing.assert_array_equal(trained.last_params, model.params)
    assert trained.nfev == model.nfev


@pytest.mark.parametrize("lr", [1e-3, 1.0, 1e3, 1e6])
def test_train_never_diverges(lr: float) -> None:
    r = mflow.train(residual, np.array([1.0, 0.5]), (T, Y), "implicit_sgd", jac=jacobian, epochs=60, batch_size=2, lr=lr, seed=0)
    assert r.success
    assert r.history.loss[-1] <= r.history.loss[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.ImplicitSGD("squared", residual=residual, jacobian=jacobian), "loss: expected none beside residual="),
        (lambda: mflow.ImplicitSGD(residual=residual), "jacobian: expected"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian, flow="exact"), "flow: expected one of lr"),
        (lambda: mflow.ImplicitSGD(residual=mflow.objectives.Quadratic(np.eye(2))), "residual: expected a sum of squares"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian).fit((T, Y)), "x0: expected the parameters"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian).fit(T, Y, x0=[1.0, 0.5]), "y: expected None beside residual="),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian).fit((T, Y[:5]), x0=[1.0, 0.5]), "X"),
        (lambda: mflow.ImplicitSGD(residual=lambda b, t, y: [1.0, 2.0], jacobian=jacobian).fit((T, Y), x0=[1, 1]), "residual returned"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=lambda b, t, y: [1.0]).fit((T, Y), x0=[1, 1]), "jacobian returned"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian).params, "nothing has been learned"),
        (lambda: mflow.ImplicitSGD(residual=residual, jacobian=jacobian).coef, "has params"),
        (lambda: mflow.train(residual, np.ones(2), (T, Y), "implicit_sgd"), "jac: expected"),
        (lambda: mflow.train(residual, np.ones(2), (T, Y), "implicit_sgd", jac=jacobian, momentum=0.9), "no parameter 'momentum'"),
        (lambda: mflow.train(residual, np.ones(2), (T, Y), "implicit_sgd", jac=jacobian, accumulate=2), "accumulate: expected 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError), match=words):
        call()


@pytest.mark.parametrize("call", [1, 2, 7, 40])
@pytest.mark.parametrize("way", ["fit", "partial_fit", "learn"])
def test_what_a_residual_raises_has_the_model_as_its_partial_result(way: str, call: int) -> None:
    """The model keeps the steps before: none, where the first one was under way."""
    X = np.arange(1.0, 41.0).reshape(20, 2)
    y, calls = X @ [1.0, 2.0], 0

    def residual(p: np.ndarray, x: np.ndarray, t: float) -> float:
        nonlocal calls
        calls += 1
        if calls == call:
            raise LookupError("no such datum")
        return float(p @ x - t)

    model = mflow.ImplicitSGD(residual=residual, jacobian=lambda p, x, t: x, lr=0.1)

    def learn() -> None:
        model.set_params(np.zeros(2))
        for x, t in zip(X, y, strict=True):
            model.learn(x, t)

    ways = {
        "fit": lambda: model.fit((X, y), x0=np.zeros(2), shuffle=False),
        "partial_fit": lambda: model.partial_fit((X, y), x0=np.zeros(2)),
    }
    with pytest.raises(LookupError, match="no such datum") as caught:
        ways.get(way, learn)()
    assert caught.value.partial_result is model  # type: ignore[attr-defined]
    assert any("keeps what it has learned" in note for note in caught.value.__notes__)
    if call < 3:
        np.testing.assert_array_equal(model.params, 0.0)
    else:
        assert abs(model.params @ X[0] - y[0]) < y[0]
