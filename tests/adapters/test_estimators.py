"""The estimators keep scikit-learn's conventions, all of them, and agree with the driver."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import traceback
import warnings
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
import scipy.sparse

import mflow
from mflow.data import load_penguins, standardize

if importlib.util.find_spec("sklearn") is None:
    pytest.skip("needs scikit-learn", allow_module_level=True)

# The estimator and its arguments. scikit-learn takes over a second to be imported: that is for the tests, not for who collects them.
ESTIMATORS = {
    "squared": ("ImplicitSGDRegressor", {}),
    "logistic": ("ImplicitSGDClassifier", {}),
    "huber": ("ImplicitSGDRegressor", {"loss": "huber", "lr": 10.0, "l2": 1e-3, "tol": 1e-4}),
    "quantile": ("ImplicitSGDRegressor", {"loss": "quantile", "average": False, "lr_decay": 0.1, "lr_power": 0.6}),
    "hinge": ("ImplicitSGDClassifier", {"loss": "hinge", "truncated": True}),
    "exact": ("ImplicitSGDClassifier", {"loss": "squared", "flow": "exact"}),
}


@pytest.mark.parametrize("case", ESTIMATORS)
def test_check_estimator(case: str) -> None:
    """Every check of scikit-learn's, the names of all that fail in one list."""
    from sklearn.utils.estimator_checks import estimator_checks_generator

    name, arguments = ESTIMATORS[case]
    passed, failures = 0, []
    for estimator, check in estimator_checks_generator(getattr(mflow, name)(**arguments)):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                check(estimator)
                passed += 1
            except SkipTest:  # a check's own way to say that it does not concern this estimator
                pass
            except Exception:
                failures.append(f"{check.func.__name__}: {traceback.format_exc()}")
    assert not failures, "\n".join(failures)
    assert passed > 30


def test_check_estimator_with_the_array_api_on() -> None:
    """One check is skipped unless SciPy is told at its import; here it is told."""
    if not hasattr(importlib.import_module("sklearn.utils.estimator_checks"), "check_array_api_input"):
        pytest.skip("this scikit-learn has no such check")
    code = (
        "import mflow, unittest, warnings; from sklearn.utils.estimator_checks import estimator_checks_generator\n"
        "warnings.simplefilter('ignore')\n"
        "for each in (mflow.ImplicitSGDRegressor(), mflow.ImplicitSGDClassifier()):\n"
        "    for estimator, check in estimator_checks_generator(each):\n"
        "        if check.func.__name__ == 'check_array_api_input':\n"
        "            try:\n"
        "                check(estimator)\n"
        "                print('passed')\n"
        "            except unittest.SkipTest as reason:\n"
        "                print('skipped:', reason)\n"
    )
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    said = out.stdout.splitlines()
    if any(line.startswith("skipped") for line in said):
        pytest.skip(said[0])
    assert said == ["passed", "passed"]


def test_mflow_does_not_import_scikit_learn() -> None:
    code = "import sys, mflow; assert 'sklearn' not in sys.modules; mflow.ImplicitSGDRegressor; assert 'sklearn' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_the_error_says_what_to_do() -> None:
    code = "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None; import mflow; mflow.ImplicitSGDRegressor"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'momentum-flow[learn]'" in out.stderr


@pytest.fixture(scope="module")
def birds() -> tuple[Any, Any]:
    data = load_penguins()
    return standardize(data.X), np.array(data.target_names)[data.y]


def test_three_classes_by_name(birds: tuple[Any, Any]) -> None:
    from sklearn.base import clone

    X, y = birds
    model = mflow.ImplicitSGDClassifier(random_state=0).fit(X, y)
    assert model.coef_.shape == (3, 4)
    assert model.intercept_.shape == (3,)
    assert list(model.classes_) == sorted(set(y))
    assert model.score(X, y) > 0.98
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
    assert model.worst_phi_ < 1e-10
    sparse = clone(model).fit(scipy.sparse.csr_matrix(X), y)
    np.testing.assert_allclose(sparse.coef_, model.coef_, rtol=1e-8)


def test_two_classes_agree_with_the_driver(birds: tuple[Any, Any]) -> None:
    X, y = birds
    two = y != "Gentoo"
    model = mflow.ImplicitSGDClassifier(lr=0.5, shuffle=False, max_iter=4).fit(X[two], y[two])
    assert model.coef_.shape == (1, 4)
    signs = np.where(y[two] == model.classes_[1], 1.0, -1.0)
    driver = mflow.ImplicitSGD("logistic", lr=0.5, average=1).fit(X[two], signs, epochs=4, shuffle=False)
    assert model.coef_[0].tobytes() == driver.coef.tobytes()
    assert model.decision_function(X).shape == (len(X),)


def test_a_small_rate_finds_the_maximum_likelihood(birds: tuple[Any, Any]) -> None:
    from sklearn.linear_model import LogisticRegression

    X, _ = birds
    female = X[:, 0] + np.random.default_rng(0).standard_normal(len(X)) > 0
    penalty = 1e-2
    model = mflow.ImplicitSGDClassifier(lr=0.5, l2=penalty, lr_decay=penalty, max_iter=300, random_state=0).fit(X, female)
    peer = LogisticRegression(C=1 / (penalty * len(X)), tol=1e-10, max_iter=1000).fit(X, female)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=5e-3)


def test_partial_fit_goes_on(birds: tuple[Any, Any]) -> None:
    X, y = birds
    model = mflow.ImplicitSGDClassifier()
    with pytest.raises(ValueError, match="all classes in the first call of partial_fit"):
        model.partial_fit(X, y)
    model.partial_fit(X[:5], y[:5], classes=np.unique(y))
    for k in range(5, len(X), 50):
        model.partial_fit(X[k : k + 50], y[k : k + 50])
    whole = mflow.ImplicitSGDClassifier().partial_fit(X, y, classes=np.unique(y))
    assert model.coef_.tobytes() == whole.coef_.tobytes()
    with pytest.raises(ValueError, match=r"y: expected classes of .* got dodo"):
        model.partial_fit(X[:1], ["dodo"])
    with pytest.raises(ValueError, match=r"classes: expected .* as in the first call"):
        model.partial_fit(X[:1], y[:1], classes=["a", "b"])


def test_log_links_predict_means() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 2))
    mean = np.exp(X @ [0.5, -0.3] + 1.0)
    for loss, y in (("poisson", rng.poisson(mean)), ("gamma", mean * rng.gamma(5.0, 0.2, 4000))):
        model = mflow.ImplicitSGDRegressor(loss, lr=0.1, random_state=0).fit(X, y)
        np.testing.assert_allclose([*model.coef_, model.intercept_[0]], [0.5, -0.3, 1.0], atol=0.06)
        np.testing.assert_allclose(model.predict(X), np.exp(X @ model.coef_ + model.intercept_), rtol=1e-12)


def test_quantiles_cover_their_share() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 2))
    y = X @ [1.0, 2.0] + rng.standard_normal(4000)
    model = mflow.ImplicitSGDRegressor("quantile", tau=0.9, lr=0.1, random_state=0).fit(X, y)
    assert np.mean(y <= model.predict(X)) == pytest.approx(0.9, abs=0.02)


def test_what_does_not_fit_is_named() -> None:
    X, y = np.random.default_rng(0).standard_normal((20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match="loss: expected one of squared, huber"):
        mflow.ImplicitSGDRegressor("hinge").fit(X, y)
    with pytest.raises(ValueError, match="loss: expected one of logistic, hinge"):
        mflow.ImplicitSGDClassifier("poisson").fit(X, y)
    with pytest.raises(ValueError, match="got 'log_loss'; scikit-learn's 'log_loss' is 'logistic' here"):
        mflow.ImplicitSGDClassifier("log_loss").fit(X, y)
    with pytest.raises(ValueError, match="got 'squared_error'; scikit-learn's 'squared_error' is 'squared' here"):
        mflow.ImplicitSGDRegressor("squared_error").fit(X, y)
    for early in (False, True):
        with pytest.raises(ValueError, match="max_iter: expected a whole number of at least 1, got 0"):
            mflow.ImplicitSGDClassifier(max_iter=0, early_stopping=early).fit(X, y)
    with pytest.raises(ValueError, match="numbers from 0 on"):
        mflow.ImplicitSGDRegressor("poisson").fit(X, -y)
    with pytest.raises(ValueError, match=r"lr: expected a number in .*, got -1\.0"):
        mflow.ImplicitSGDRegressor(lr=-1).fit(X, y)
    with pytest.raises(ValueError, match="y: expected two classes or more, got one class"):
        mflow.ImplicitSGDClassifier().fit(X, np.zeros(20))
    with pytest.raises(AttributeError, match="predict_proba"):
        _ = mflow.ImplicitSGDClassifier("hinge").predict_proba


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_going_on_takes_parameters_that_were_set_in_between(again: str, average: bool) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5]
    model = mflow.ImplicitSGDRegressor(lr=1.0, average=False, warm_start=True, random_state=0).fit(X, y)
    before = model.coef_.copy()
    getattr(model.set_params(lr=1e-9, average=average), again)(X, -y)
    assert 0.0 < np.abs(model.coef_ - before).max() < 1e-4
    model.set_params(l2=-1.0)
    with pytest.raises(ValueError, match="l2"):
        getattr(model, again)(X, y)


def test_estimators_that_stop_before_they_converge_warn() -> None:
    from sklearn.exceptions import ConvergenceWarning

    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5]
    labels = np.argmax(X, axis=1)
    for model, target in (
        (mflow.ImplicitSGDRegressor(max_iter=2, tol=1e-12), y),
        (mflow.ImplicitSGDClassifier(max_iter=2, tol=1e-12), labels),
    ):
        with pytest.warns(ConvergenceWarning, match="max_iter = 2 was reached, and weights still move by more than tol"):
            model.set_params(random_state=0).fit(X, target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.ImplicitSGDRegressor(max_iter=2, random_state=0).fit(X, y)  # two epochs, as asked
        mflow.ImplicitSGDRegressor(max_iter=100, tol=1e-1, random_state=0).fit(X, y)
        mflow.ImplicitSGDRegressor(max_iter=100, tol=1e-1, random_state=0, early_stopping=True).fit(X, y)


@pytest.mark.parametrize("tol", [0.0, 1e-9])
@pytest.mark.parametrize("loss", ["squared", "logistic", "softmax"])
def test_estimators_whose_held_out_loss_still_falls_warn(tol: float, loss: str) -> None:
    """Two epochs are fewer than the five without a fall that they were asked to wait for; they ended in silence."""
    from sklearn.exceptions import ConvergenceWarning

    X = np.random.default_rng(0).normal(size=(60, 3))
    kind, y = (mflow.ImplicitSGDRegressor, X[:, 0]) if loss == "squared" else (mflow.ImplicitSGDClassifier, np.argmax(X, axis=1))
    model = kind(loss, max_iter=2, tol=tol, random_state=0, early_stopping=True)
    with pytest.warns(ConvergenceWarning, match=r"max_iter = 2 epochs, and the loss .* n_iter_no_change = 5 of them") as told:
        model.fit(X, y)
    assert len(told) == 1
    assert model.n_iter_ == 2


@pytest.mark.parametrize("name", ["ImplicitSGDClassifier", "ImplicitSGDRegressor"])
def test_arguments_of_scikit_learns_own_estimators_are_answered(name: str) -> None:
    for argument, words in {
        "alpha": "the weight of the penalty is l2=",
        "eta0": "here it is lr=",
        "max_itr": "did you mean 'max_iter'",
    }.items():
        with pytest.raises(TypeError, match=words):
            getattr(mflow, name)(**{argument: 1})


def test_a_rate_that_decays_by_l2_comes_to_the_minimum() -> None:
    """As the docstring says; a rate that stays constant ends away from it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X -= X.mean(axis=0)
    y = X @ [3.0, -2.0, 1.0] + 5.0 + 2.0 * rng.normal(size=200)
    exact = np.linalg.solve(X.T @ X / 200 + 0.1 * np.eye(3), X.T @ (y - y.mean()) / 200)  # ridge, by its normal equations
    constant, decaying = (
        float(np.abs(mflow.ImplicitSGDRegressor(l2=0.1, lr_decay=decay, max_iter=100, random_state=0).fit(X, y).coef_ - exact).max())
        for decay in (0.0, 0.1)
    )
    assert decaying < 0.02
    assert constant > 4.0 * decaying
