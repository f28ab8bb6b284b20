"""An error of the user's own, raised only where a look asks beside a point, comes through unchanged; one that says "no value" does not."""

from __future__ import annotations

import numpy as np
import pytest

import mflow

X = np.linspace(0.0, 3.0, 20)


class OwnError(Exception):
    pass


def in_float32(a, b):
    return (a * np.exp(-b * X)).astype(np.float32)


def with_a_penalty(a, b):
    return np.append(in_float32(a, b).astype(np.float64), 1e-3 * a)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("start", [{}, {"p0": [1.0, 1.0]}], ids=["without p0", "from p0"])
@pytest.mark.parametrize("values", [in_float32, with_a_penalty])
def test_an_error_of_the_model_comes_through_from_every_call(values, start):
    calls, fails = [], 0
    y = values(2.5, 1.3) + 0.01 * np.sin(np.arange(values(1, 1).size))

    def model(x, a, b):
        calls.append((a, b))
        if len(calls) == fails:
            raise OwnError("mine")
        return values(a, b)

    mflow.curve_fit(model, np.arange(float(y.size)), y, **start)
    for fails in range(1, len(calls) + 1):  # noqa: B007 (the model reads it)
        calls.clear()
        with pytest.raises(OwnError, match="mine"):
            mflow.curve_fit(model, np.arange(float(y.size)), y, **start)


def test_a_model_without_values_beside_a_point_is_fitted():
    def model(x, a, b):
        if b < 0.0:
            raise ValueError("b < 0")
        return a * np.exp(-b * x)

    popt, _ = mflow.curve_fit(model, X, 2.5 * np.exp(-1.3 * X) + 0.01 * np.sin(40 * X))
    np.testing.assert_allclose(popt, [2.5, 1.3], rtol=0.02)


def test_a_gradient_is_checked_where_the_cost_has_values_and_errors_of_its_own_come_through():
    def cost(x):
        if x[0] != 1.0:
            raise OwnError("mine")
        return x[0] ** 2

    with pytest.raises(OwnError, match="mine"):
        mflow.check_gradient(cost, [1.0], jac=lambda x: 2 * x)
