"""Names that come out of NumPy's arrays, as in a loop over them, are names; and what fits say of other words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow

X = np.linspace(0.0, 2.0, 12)
Y = 2.0 * np.exp(-X)
DESIGN, LABELS = np.array([[1.0, 2.0], [2.0, -1.0], [-1.0, 0.5], [0.5, -2.0]]), np.array([1.0, 1.0, -1.0, -1.0])


def residuals(b: Any) -> Any:
    return b[0] * np.exp(-b[1] * X) - Y


def bowl(x: Any) -> Any:
    return np.sum((x - 1.0) ** 2), 2.0 * (x - 1.0)


CALLS: dict[str, Callable[[Any], Any]] = {
    "cauchy": lambda name: mflow.least_squares(residuals, [1.0, 0.5], loss=name).x,
    "3-point": lambda name: mflow.least_squares(residuals, [1.0, 0.5], name).x,
    "exponential": lambda name: mflow.curve_fit(name, X, Y).popt,
    "power_law": lambda name: mflow.objectives.curve(name, X + 1.0, Y).x0,
    "Misra1a": lambda name: mflow.objectives.nist(name).x0,
    "rosenbrock_valley": lambda name: mflow.objectives.mgh(name).x0,
    "logistic": lambda name: mflow.ImplicitSGD(name).fit(DESIGN, LABELS, seed=0).coef,
    "adam": lambda name: mflow.minimize(bowl, [0.0, 0.0], jac=True, method=name, lr=0.1).x,
    "armijo": lambda name: mflow.minimize(bowl, [0.0, 0.0], jac=True, method="steepest_descent", line_search=name).x,
    "rk4": lambda name: mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], name, dt=0.1).y,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_string_of_numpy_is_a_name(name: str) -> None:
    """Three of them were "Argument 'name' has incorrect type (expected str, got numpy.str_)"."""
    np.testing.assert_array_equal(CALLS[name](np.array([name])[0]), CALLS[name](name))


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"xerr": 0.1}, TypeError, r"^xerr: errors of xdata are not taken, scipy\.odr does; .* sigma=sqrt\(yerr\^2"),
        ({"xdata": [1.0], "ydata": [2.1]}, TypeError, r"^p0: expected at most 1 parameter, as there are data, got 2"),
        ({"f": "linear"}, ValueError, r"got 'linear'; a straight line is a function: lambda x, a, b: a \* x \+ b$"),
    ],
)
def test_words_of_fits(how: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mflow.curve_fit(**{"f": lambda x, a, b: a * x + b, "xdata": X, "ydata": Y, **how})
