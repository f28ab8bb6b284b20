"""What a fit keeps in memory, and what it says when it is asked later."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow

T = np.linspace(0.0, 4.0, 30)
Y = 2.5 * np.exp(-1.3 * T) + 0.1 * np.cos(9.0 * T)


class Model:
    """A function that a weak reference can follow."""

    def __call__(self, x: Any, a: float, k: float) -> Any:
        return a * np.exp(-k * x)


def curve(model: Any) -> Any:
    return mflow.curve_fit(model, T, Y, [1.0, 1.0])


def rounded(model: Any) -> Any:
    return mflow.curve_fit(lambda x, a, k: np.round(model(x, a, k), 4), T, Y, [1.0, 1.0])


def residuals(model: Any) -> Any:
    return mflow.least_squares(lambda b: model(T, *b) - Y, [1.0, 1.0])


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("fit", [curve, rounded, residuals], ids=lambda f: f.__name__)
def test_memory_is_free_with_the_last_reference(fit: Callable[[Any], Any]) -> None:
    """A thousand fits of large data must not wait for the garbage collector."""
    model = Model()
    alive = weakref.ref(model)
    result = fit(model)
    del model
    assert alive() is not None  # certificate and bands evaluate it
    del result
    assert alive() is None


def test_a_message_that_is_read_later_is_that_of_the_end() -> None:
    first, second = residuals(Model()), residuals(Model())
    second.certificate()
    assert "message" in first
    assert first.message == second.message
    assert first.message.startswith("the cosine of the residuals with the columns of the Jacobian is ")
    assert list(first)[-1] == "message"


@pytest.mark.filterwarnings("ignore:curve_fit. the covariance")
@pytest.mark.parametrize("fit", [curve, residuals], ids=lambda f: f.__name__)
def test_reading_a_message_evaluates_nothing(fit: Callable[[Any], Any]) -> None:
    """Where no residual changes with the parameters, the end is told by some forty evaluations beside x: once."""
    calls = [0]

    def still(x: Any, a: float, k: float) -> Any:
        calls[0] += 1
        return np.ones(x.size)

    result = fit(still)
    before = calls[0]
    assert before > 10
    assert result.message.startswith("no residual changes within")
    assert calls[0] == before


@pytest.mark.parametrize("copied", [copy.copy, lambda r: pickle.loads(pickle.dumps(r))], ids=["copy", "pickle"])
def test_copies_have_the_message(copied: Callable[[Any], Any]) -> None:
    r = copied(residuals(Model()))
    assert type(r) is mflow.LeastSquaresResult
    assert r["message"].startswith("the cosine of the residuals")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "sigma"])
def test_a_fit_tells_of_the_data_that_it_was_given(weighted: bool) -> None:
    """Whatever becomes of the caller's arrays: against SciPy's parameters and the textbook's form."""
    x, y = T.copy(), Y.copy()
    sigma = np.linspace(1.0, 2.0, 30) if weighted else None
    fit = mflow.curve_fit(Model(), x, y, [1.0, 1.0], sigma=sigma)
    known = scipy.optimize.curve_fit(lambda x, a, k: a * np.exp(-k * x), T, Y, [1.0, 1.0], sigma=sigma)[0]
    w = 1.0 / np.linspace(1.0, 2.0, 30) ** 2 if weighted else np.ones(30)
    curve_there = known[0] * np.exp(-known[1] * T)
    rsquared = 1.0 - w @ (curve_there - Y) ** 2 / (w @ (Y - (w @ Y) / w.sum()) ** 2)
    for array in (x, y, sigma):
        if array is not None:
            array[:] = 0.5
    assert fit.rsquared == pytest.approx(rsquared, rel=1e-6)
    np.testing.assert_allclose(fit(), curve_there, rtol=1e-6)
    low, high = fit.prediction_band()
    np.testing.assert_allclose((high - low)[[0, -1]], 2.0 * fit.quantile() * fit.s * (1.0 / np.sqrt(w))[[0, -1]], rtol=0.3)


def test_a_message_evaluates_nothing() -> None:
    """Residuals that change with no parameter are looked at where the fit ends, and may raise afterwards."""
    ended = False

    def constant(b: Any) -> Any:
        if ended:
            raise RuntimeError("evaluated after the end")
        return np.ones(5) + 0.0 * b[0]

    r = mflow.least_squares(constant, [1.0, 2.0])
    ended = True
    assert r.reason == "insensitive"
    assert "no residual changes within 0.015 of x in any parameter" in r.message


@pytest.mark.parametrize(
    ("name", "ours"),
    [("r_squared", "fit.rsquared"), ("R2", "fit.rsquared"), ("perr", "fit.stderr"), ("chi2", "2*fit.cost"), ("chisq", "2*fit.cost")],
)
def test_names_of_other_libraries_lead_to_ours(name: str, ours: str) -> None:
    fit = mflow.curve_fit(lambda x, a: a * x, [1.0, 2.0, 3.0], [2.0, 4.1, 5.9])
    with pytest.raises(AttributeError) as told:
        getattr(fit, name)
    assert f"here it is {ours}" in str(told.value)
    assert np.isfinite(eval(ours, {"fit": fit})).all()
