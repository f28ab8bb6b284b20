"""l1 and the elastic net by the proximal map, dense and sparse rows: SciPy's roots, the lasso's closed form, softmax likewise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import scipy.special

import mflow

Array = np.ndarray
RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(60, 9)) * (RNG.uniform(size=(60, 9)) < 0.3)
SIGNS = np.where(RNG.uniform(size=60) < 0.5, 1.0, -1.0)
WEIGHT = np.linspace(0.0, 2.0, 60)
SLOPES = {  # l'(t; y), and a bracket of its root is [s - g most, s + g most]
    "squared": (lambda t, y: t - y, None),
    "logistic": (lambda t, y: -y / (1.0 + np.exp(y * t)), 1.0),
}


def toward_zero(w: Array, cut: float) -> Array:
    return np.sign(w) * np.maximum(np.abs(w) - cut, 0.0)


def path_of(loss: str, gamma: float, l1: float, l2: float, decay: float) -> list[Array]:
    """(w, b) after each sample: SciPy's root of the datum's equation, then the map."""
    slope, most = SLOPES[loss]
    w, b, path = np.zeros(9), 0.0, []
    for x, y, weight in zip(ROWS, SIGNS, WEIGHT, strict=True):
        if weight == 0.0:
            continue
        g = gamma / (1.0 + decay * gamma * len(path))
        keep, h = 1.0 / (1.0 + g * l2), g * weight
        s, q = keep * float(w @ x) + b, keep * float(x @ x) + 1.0
        reach = h * q * (most or abs(s) + abs(y) + 1.0) + 1.0
        t = scipy.optimize.brentq(lambda t, s=s, q=q, h=h, y=y: t - s + h * q * slope(t, y), s - reach, s + reach, xtol=1e-15, rtol=1e-15)
        w = toward_zero(keep * (w - h * slope(t, y) * x), g * l1)
        b -= h * slope(t, y)
        path.append(np.append(w, b))
    return path


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("average", [0, 8])
@pytest.mark.parametrize(("l1", "l2"), [(0.02, 0.0), (0.02, 0.7), (2.0, 0.1)])
@pytest.mark.parametrize("loss", list(SLOPES))
def test_steps_of_the_elastic_net(loss: str, l1: float, l2: float, average: int, form: Any) -> None:
    model = mflow.ImplicitSGD(loss, lr=1.5, lr_decay=0.05, l1=l1, l2=l2, average=average)
    model.fit(form(ROWS), SIGNS, WEIGHT, epochs=1, shuffle=False)
    path = path_of(loss, 1.5, l1, l2, 0.05)
    expected = np.mean(path[average - 1 :], axis=0) if average else path[-1]
    np.testing.assert_allclose(np.append(model.coef, model.intercept), expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(np.append(*model.last), path[-1], rtol=1e-11, atol=1e-13)
    assert np.array_equal(model.last[0] == 0.0, path[-1][:9] == 0.0)
    assert model.worst_phi < 1e-13


@pytest.mark.parametrize("average", [0, 1])
def test_what_was_learned_does_not_depend_on_how_rows_come(average: int) -> None:
    """Sparse rows in pieces, dense rows after sparse ones, and states in between: one path."""
    rows = scipy.sparse.csr_array(ROWS)
    settings: dict[str, Any] = {"lr": 0.8, "l1": 0.03, "l2": 0.2, "average": average}
    whole = mflow.ImplicitSGD("logistic", **settings).partial_fit(rows, SIGNS)
    parts = mflow.ImplicitSGD("logistic", **settings).partial_fit(rows[:25], SIGNS[:25])
    kept = mflow.ImplicitSGD("logistic", **settings)
    kept.load_state_dict(parts.state_dict())
    assert np.isfinite(kept.coef).all()
    for model in (parts, kept):
        model.partial_fit(rows[25:], SIGNS[25:])
        assert np.array_equal(model.coef, whole.coef)
        assert model.last[1] == whole.last[1]
    mixed = mflow.ImplicitSGD("logistic", **settings).partial_fit(rows[:25], SIGNS[:25]).partial_fit(ROWS[25:], SIGNS[25:])
    np.testing.assert_allclose(mixed.coef, whole.coef, rtol=1e-12, atol=1e-15)


def test_strong_penalties_on_sparse_rows_scale_down_safely() -> None:
    rows = scipy.sparse.csr_array(ROWS)
    sparse = mflow.ImplicitSGD("squared", lr=3.0, l1=1e-4, l2=5.0).fit(rows, SIGNS, epochs=5, shuffle=False)
    dense = mflow.ImplicitSGD("squared", lr=3.0, l1=1e-4, l2=5.0).fit(ROWS, SIGNS, epochs=5, shuffle=False)
    np.testing.assert_allclose(sparse.coef, dense.coef, rtol=1e-9, atol=1e-300)


def test_the_lasso_in_closed_form() -> None:
    """Rows along the axes: the mean of (sqrt(k) w_j - y)^2/2 + l1 |w|_1 has each entry by itself. Rates that fall settle there."""
    k, l1 = 6, 0.25
    X, y = np.sqrt(k) * np.eye(k), np.array([3.0, -1.0, 0.5, -0.3, 0.62, 2.0])
    model = mflow.ImplicitSGD("squared", lr=0.5, lr_decay=0.2, l1=l1, intercept=False).fit(X, y, epochs=4000, seed=0)
    best = toward_zero(y / np.sqrt(k), l1)
    np.testing.assert_allclose(model.coef, best, atol=2e-3)
    mine = model.objective(X, y)
    assert mine == pytest.approx(float(np.mean((X @ model.coef - y) ** 2)) / 2.0 + l1 * float(np.abs(model.coef).sum()), rel=1e-12)


def softmax_path(gamma: float, l1: float, l2: float) -> list[Array]:
    """Of three classes: SciPy's root of the equation in W and b together, then the map on W."""
    labels, W, b, path = np.arange(60) % 3, np.zeros((3, 9)), np.zeros(3), []
    for x, y in zip(ROWS, labels, strict=True):

        def equation(z: Array, W: Array = W, b: Array = b, x: Array = x, y: int = int(y)) -> Array:
            V, c = z[:27].reshape(3, 9), z[27:]
            d = scipy.special.softmax(V @ x + c) - np.eye(3)[y]
            return np.concatenate([(V - W + gamma * np.outer(d, x) + gamma * l2 * V).ravel(), c - b + gamma * d])

        z = scipy.optimize.root(equation, np.concatenate([W.ravel(), b]), tol=1e-13).x
        W, b = toward_zero(z[:27].reshape(3, 9), gamma * l1), z[27:]
        path.append(np.column_stack([W, b]))
    return path


@pytest.mark.parametrize("average", [0, 11])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.0, 0.4), (0.01, 0.0), (0.01, 0.4)])
def test_softmax_on_sparse_rows_and_with_penalties(l1: float, l2: float, average: int) -> None:
    path = softmax_path(1.2, l1, l2)
    expected = np.mean(path[average - 1 :], axis=0) if average else path[-1]
    for form in (np.array, scipy.sparse.csr_array):
        model = mflow.SoftmaxSGD(lr=1.2, l1=l1, l2=l2, average=average)
        model.fit(form(ROWS), np.arange(60) % 3, epochs=1, shuffle=False)
        np.testing.assert_allclose(np.column_stack([model.coef, model.intercept]), expected, rtol=1e-7, atol=1e-10)
        assert model.worst_phi < 1e-12
    parts = mflow.SoftmaxSGD(lr=1.2, l1=l1, l2=l2, average=average)
    parts.partial_fit(scipy.sparse.csr_array(ROWS[:20]), np.arange(20) % 3, classes=3)
    assert np.isfinite(parts.coef).all()
    parts.partial_fit(ROWS[20:50], np.arange(20, 50) % 3).partial_fit(scipy.sparse.csr_array(ROWS[50:]), np.arange(50, 60) % 3)
    np.testing.assert_allclose(parts.coef, model.coef, rtol=1e-10, atol=1e-13)


def test_softmax_of_strong_penalties_on_sparse_rows() -> None:
    dense, sparse = (mflow.SoftmaxSGD(lr=4.0, l2=8.0, average=20).fit(X, np.arange(60) % 3, epochs=3, seed=1)
                     for X in (ROWS, scipy.sparse.csr_array(ROWS)))  # fmt: skip
    np.testing.assert_allclose(sparse.coef, dense.coef, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_estimators_take_sparse_rows_and_l1(loss: str) -> None:
    pytest.importorskip("sklearn")
    labels = (ROWS[:, 0] + ROWS[:, 1] > 0.0).astype(int) + 1
    settings: dict[str, Any] = {"lr": 0.05, "l1": 0.2, "average": False, "random_state": 0, "class_weight": {1: 1.0, 2: 3.0}}
    models = [mflow.ImplicitSGDClassifier(loss, **settings).fit(X, labels) for X in (ROWS, scipy.sparse.csr_array(ROWS))]
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-10, atol=1e-14)
    assert 0 < np.count_nonzero(models[0].coef_) < 9
    with_stop = mflow.ImplicitSGDClassifier(loss, early_stopping=True, **settings).fit(scipy.sparse.csr_array(ROWS), labels)
    assert with_stop.n_iter_ < 20
    regressor = mflow.ImplicitSGDRegressor(l1=100.0, average=False, random_state=0).fit(ROWS, SIGNS)
    assert not regressor.coef_.any()
