"""Models with a pole, whose data lie on one side of it: a fit does not leap over it into a minimum between two data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
X = np.linspace(0.1, 5.0, 40)


def menten(x: Array, v: Any, k: Any) -> Array:
    return v * x / (k + x)


def inhibited(x: Array, v: Any, k: Any, i: Any) -> Array:
    return v * x / (k + x + x * x / i)


def rational(x: Array, a: Any, b: Any, c: Any) -> Array:
    return (a + b * x) / (1.0 + c * x)


def with_outliers(y: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    y = y.copy()
    y[rng.integers(0, len(y), 4)] += 3.0 * rng.normal(size=4)
    return y


@pytest.mark.parametrize("start", [(1.0, 0.1), (0.3, 0.05), (1.0, 1.0), (20.0, 0.02)])
@pytest.mark.parametrize("given", [False, True])
def test_a_rate_of_michaelis_and_menten(start: tuple[float, float], given: bool) -> None:
    def jac(x: Array, v: Any, k: Any) -> Array:
        return np.c_[x / (k + x), -v * x / (k + x) ** 2]

    fit = mflow.curve_fit(menten, X, menten(X, 5.0, 1.1), start, jac=jac if given else None)
    np.testing.assert_allclose(fit.popt, [5.0, 1.1], rtol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_a_loss_does_not_hide_the_pole(seed: int) -> None:
    """Beyond it, from (1, 1), the cost of Cauchy's loss is lower than at the start, as residuals beside the pole count for little."""
    y = with_outliers(menten(X, 5.0, 1.1), seed)
    r = mflow.least_squares(lambda p: menten(X, *p) - y, [1.0, 1.0], loss="cauchy", f_scale=0.1)
    np.testing.assert_allclose(r.x, [5.0, 1.1], rtol=2e-2)


@pytest.mark.parametrize("seed", range(5, 9))
def test_weights_do_not_lead_over_the_pole(seed: int) -> None:
    sigma = 0.05 + 0.1 * np.random.default_rng(seed).random(len(X))
    np.testing.assert_allclose(mflow.curve_fit(menten, X, menten(X, 5.0, 1.1), [1.0, 1.0], sigma=sigma).popt, [5.0, 1.1], rtol=1e-8)


@pytest.mark.parametrize(("model", "right"), [(inhibited, (5.0, 1.1, 3.0)), (rational, (1.0, 2.0, 0.7))])
def test_other_models_with_poles(model: Any, right: tuple[float, ...]) -> None:
    y = model(X, *right)
    for seed in range(6):
        start = np.array(right) * np.random.default_rng(seed).uniform(0.3, 3.0, 3)
        np.testing.assert_allclose(mflow.least_squares(lambda p: model(X, *p) - y, start).x, right, rtol=1e-6)


def test_a_parameter_may_pass_0() -> None:
    y = -2.0 * np.exp(-0.7 * X) + 0.3
    r = mflow.least_squares(lambda p: p[0] * np.exp(-p[1] * X) + p[2] - y, [1.0, 1.0, -1.0])
    np.testing.assert_allclose(r.x, [-2.0, 0.7, 0.3], rtol=1e-8)
    assert r.nfev < 30
