"""Softmax by implicit steps: roots against SciPy, certificates, and the estimator; class weights and early stopping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special

import mflow

Array = np.ndarray
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 40)
ROWS = np.array([[0.0, 2.0], [2.0, 0.0], [-2.0, -2.0]])[LABELS] + RNG.normal(size=(40, 2))


def oracle(gamma: float, l2: float, order: Any, weight: Any = None) -> tuple[Array, Array, list[Array]]:
    """One sample after the other: SciPy's root of the equation in W and b together."""
    W, b, path = np.zeros((3, 2)), np.zeros(3), []
    for i in order:
        x, y, g = ROWS[i], LABELS[i], gamma * (1.0 if weight is None else weight[i])

        def equation(z: Array, W: Array = W, b: Array = b, x: Array = x, y: int = y, g: float = g) -> Array:
            V, c = z[:6].reshape(3, 2), z[6:]
            d = scipy.special.softmax(V @ x + c) - np.eye(3)[y]
            return np.concatenate([(V - W + g * np.outer(d, x) + gamma * l2 * V).ravel(), c - b + g * d])

        z = scipy.optimize.root(equation, np.concatenate([W.ravel(), b]), tol=1e-13).x
        W, b = z[:6].reshape(3, 2), z[6:]
        path.append(np.column_stack([W, b]))
    return W, b, path


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("gamma", [0.1, 10.0])
def test_steps_are_roots(gamma: float, l2: float) -> None:
    weight = np.linspace(0.2, 2.0, 40)
    model = mflow.SoftmaxSGD(lr=gamma, l2=l2, average=11).fit(ROWS, LABELS, weight, epochs=1, seed=4)
    _, _, path = oracle(gamma, l2, np.random.default_rng(4).permutation(40), weight)
    mean = np.mean(path[10:], axis=0)
    np.testing.assert_allclose(np.column_stack([model.coef, model.intercept]), mean, rtol=1e-7, atol=1e-9)
    assert model.worst_phi < 1e-12
    assert model.count == 40


@pytest.mark.parametrize("gamma", [1e-3, 1.0, 1e3, 1e6, 1e9])
def test_no_rate_makes_it_diverge(gamma: float) -> None:
    model = mflow.SoftmaxSGD(lr=gamma, average=1).fit(ROWS, LABELS, epochs=10, seed=0)
    assert np.isfinite(model.coef).all()
    assert model.worst_phi <= 1e-13 * max(1.0, gamma)
    if 1.0 <= gamma <= 1e6:  # beyond, each step forgets all but its own row
        assert np.mean(model.predict(ROWS) == LABELS) > 0.8


def test_two_classes_are_logistic() -> None:
    """W1 - W0 moves as the logistic step of twice the size: both rows move by half of it."""
    y = (LABELS > 0).astype(int)
    two = mflow.SoftmaxSGD(lr=0.5).fit(ROWS, y, epochs=1, shuffle=False)
    one = mflow.ImplicitSGD("logistic", lr=1.0).fit(ROWS, 2.0 * y - 1.0, epochs=1, shuffle=False)
    np.testing.assert_allclose(two.coef[1] - two.coef[0], one.coef, rtol=1e-10)
    np.testing.assert_allclose(two.intercept[1] - two.intercept[0], one.intercept, rtol=1e-10)


def test_it_comes_near_the_best_fit() -> None:
    model = mflow.SoftmaxSGD(lr=1.0, lr_decay=0.05, l2=0.02, average=400).fit(ROWS, LABELS, epochs=60, seed=1)
    f = mflow.objectives.Softmax(ROWS, LABELS.astype(float), 3, 0.02, intercept=True)
    best = mflow.minimize(f, f.x0, method="backward_euler", dt=100.0, gtol=1e-8, maxiter=200)
    mine = model.objective(ROWS, LABELS)
    best_W, best_b = best.x[:-1].T, best.x[-1]
    probe = mflow.SoftmaxSGD(l2=0.02)
    t = ROWS @ best_W.T + best_b
    least = float(np.mean(scipy.special.logsumexp(t, axis=1) - t[np.arange(40), LABELS])) + 0.01 * float((best_W**2).sum())
    assert mine < least + 0.02
    assert probe.parameters == {"l2": 0.02}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.SoftmaxSGD(flow="exact"), "flow: expected one of lr"),
        (lambda: mflow.SoftmaxSGD().coef, "nothing has been learned"),
        (lambda: mflow.SoftmaxSGD().fit(ROWS, LABELS - 1), "y: expected whole numbers from 0 on"),
        (lambda: mflow.SoftmaxSGD().fit(ROWS, LABELS, classes=2), "X, y: expected 2 columns and 2 classes"),
        (lambda: mflow.SoftmaxSGD().fit(ROWS, LABELS[:3]), "y: expected 40 whole numbers"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


# ---- estimators -------------------------------------------------------------------------------------------------------------------------


def test_the_classifier_takes_softmax() -> None:
    pytest.importorskip("sklearn")
    names = np.array(["a", "b", "c"])[LABELS]
    model = mflow.ImplicitSGDClassifier("softmax", random_state=0, lr=1.0).fit(ROWS, names)
    assert model.score(ROWS, names) > 0.8
    np.testing.assert_allclose(model.predict_proba(ROWS), scipy.special.softmax(ROWS @ model.coef_.T + model.intercept_, axis=1))
    two = mflow.ImplicitSGDClassifier("softmax", random_state=0).fit(ROWS, LABELS > 0)
    assert two.coef_.shape == (1, 2)
    np.testing.assert_allclose(two.predict_proba(ROWS)[:, 1], scipy.special.expit(ROWS @ two.coef_[0] + two.intercept_[0]))
    part = (
        mflow.ImplicitSGDClassifier("softmax")
        .partial_fit(ROWS[:20], names[:20], classes=["a", "b", "c"])
        .partial_fit(ROWS[20:], names[20:])
    )
    whole = mflow.ImplicitSGDClassifier("softmax", shuffle=False, max_iter=1).fit(ROWS, names)
    np.testing.assert_allclose(part.coef_, whole.coef_)
    with pytest.raises(ValueError, match="flow, truncated: expected"):
        mflow.ImplicitSGDClassifier("softmax", flow="forward").fit(ROWS, names)


@pytest.mark.parametrize("average", [0, 15])
def test_epochs_in_pieces_are_the_same_and_answer_ctrl_c(monkeypatch: pytest.MonkeyPatch, average: int) -> None:
    """The model is the interrupt's partial result, and keeps what it has learned."""
    model, order = mflow.SoftmaxSGD(lr=0.5, average=average), [17, 3, 20]
    whole = mflow.SoftmaxSGD(lr=0.5, average=average).fit(ROWS, LABELS, epochs=2, seed=0)
    first = mflow.SoftmaxSGD(lr=0.5, average=average).partial_fit(ROWS[:17], LABELS[:17]).coef
    monkeypatch.setattr("mflow.implicit.softmax.pieces", lambda total: [(count, False) for count in order])
    assert model.fit(ROWS, LABELS, epochs=2, seed=0).coef.tobytes() == whole.coef.tobytes()

    def stopped(total: int) -> Any:
        yield 17, False
        raise KeyboardInterrupt

    monkeypatch.setattr("mflow.implicit.softmax.pieces", stopped)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(ROWS, LABELS, shuffle=False)
    assert caught.value.partial_result is model  # type: ignore[attr-defined]
    assert (model.reason, model.count) == ("interrupted", 17)
    np.testing.assert_array_equal(model.coef, first)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_class_weights_are_weights_of_samples(loss: str) -> None:
    pytest.importorskip("sklearn")
    weights = {0: 1.0, 1: 3.0, 2: 0.5}
    named = mflow.ImplicitSGDClassifier(loss, random_state=0, class_weight=weights).fit(ROWS, LABELS)
    given = mflow.ImplicitSGDClassifier(loss, random_state=0).fit(ROWS, LABELS, [weights[k] for k in LABELS.tolist()])
    np.testing.assert_array_equal(named.coef_, given.coef_)
    balanced = mflow.ImplicitSGDClassifier(loss, random_state=0, class_weight="balanced").fit(ROWS, LABELS)
    share = 40 / (3 * np.bincount(LABELS))
    other = mflow.ImplicitSGDClassifier(loss, random_state=0).fit(ROWS, LABELS, share[LABELS])
    np.testing.assert_array_equal(balanced.coef_, other.coef_)
    with pytest.raises(ValueError, match="class_weight: expected a dict or None for partial_fit"):
        mflow.ImplicitSGDClassifier(loss, class_weight="balanced").partial_fit(ROWS, LABELS, classes=[0, 1, 2])


def test_early_stopping_keeps_the_weights_of_the_best_epoch() -> None:
    pytest.importorskip("sklearn")
    X = RNG.normal(size=(60, 30))
    y = X[:, 0] + 2.0 * RNG.normal(size=60)  # many columns, little to learn: soon it learns noise
    common: dict[str, Any] = {"lr": 0.05, "average": False, "random_state": 0}
    model = mflow.ImplicitSGDRegressor(early_stopping=True, n_iter_no_change=3, max_iter=200, validation_fraction=0.3, **common).fit(X, y)
    assert model.n_iter_ < 200
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    order = np.random.default_rng(seed).permutation(60)
    held, rest = np.sort(order[:18]), np.sort(order[18:])
    losses, rng, own = [], np.random.default_rng(seed), mflow.ImplicitSGD("squared", lr=0.05)
    coefs = []
    for epoch in range(model.n_iter_):
        own.fit(X[rest], y[rest], epochs=1, seed=rng, warm_start=epoch > 0)
        losses.append(own.objective(X[held], y[held]))
        coefs.append(own.coef)
    best = int(np.argmin(losses))
    assert model.n_iter_ == best + 4
    np.testing.assert_array_equal(model.coef_, coefs[best])
    for wrong in ({"validation_fraction": 1.5}, {"n_iter_no_change": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            mflow.ImplicitSGDRegressor(early_stopping=True, **wrong).fit(X, y)
