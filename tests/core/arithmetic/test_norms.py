"""The norm that neither under- nor overflows, against `math.hypot`, and where it stands in for a plain sum of squares."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mflow_core.arithmetic.scalars import scaled_norm

import mflow
from mflow.spectra.ranks import column_norms

HUGE, TINY = 1e200, 1e-200


@pytest.mark.parametrize("size", [1.0, HUGE, TINY, 5e-324, 1.7e308])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_it_is_that_of_hypot(size: float, n: int) -> None:
    values = size * np.cos(np.arange(n)) / math.sqrt(n)
    assert scaled_norm(values) == pytest.approx(math.hypot(*values), rel=1e-15 * n)
    weights = 0.5 + np.arange(n) % 3
    assert scaled_norm(values / 4, weights) == pytest.approx(math.hypot(*(values / 4 * weights)), rel=1e-15 * n)


@pytest.mark.parametrize(
    ("values", "norm"),
    [
        ([], 0.0), ([0.0, 0.0], 0.0), ([math.inf, 1.0], math.inf), ([1.0, -math.inf, math.inf], math.inf), ([HUGE, math.nan], math.nan),
        ([math.nan, 1.0], math.nan), ([math.inf, math.nan], math.nan), ([math.nan, math.inf], math.nan),
    ],
)  # fmt: skip
def test_infinite_is_infinite_and_nan_is_nan(values: list[float], norm: float) -> None:
    assert np.array_equal(scaled_norm(values), norm, equal_nan=True)


def test_a_weight_may_overflow() -> None:
    assert scaled_norm([1e300, 1.0], [1e300, 1.0]) == math.inf
    with pytest.raises(ValueError, match="weights: expected 2 numbers, got 3"):
        scaled_norm([1.0, 2.0], [1.0, 2.0, 3.0])


def test_columns_of_every_size() -> None:
    J = np.array([[3.0, 3 * HUGE, 3 * TINY, 0.0, math.inf], [4.0, 4 * HUGE, 4 * TINY, 0.0, 1.0]])
    assert column_norms(J) == pytest.approx([5.0, 5 * HUGE, 5 * TINY, 0.0, math.inf], rel=1e-15)


def test_a_fit_in_far_units_is_that_in_near_ones() -> None:
    """With columns of the Jacobian whose squares overflow, and underflow."""
    t = np.linspace(0.0, 1.0, 9)
    y = 2.0 * t + 1.0 + 0.01 * np.cos(9 * t)
    near = mflow.least_squares(lambda b: b[0] * t + b[1] - y, [1.0, 1.0], lambda b: np.stack([t, np.ones(9)], axis=1))
    far = mflow.least_squares(
        lambda b: b[0] * HUGE * t + b[1] * TINY - y, [1.0 / HUGE, 1.0 / TINY], lambda b: np.stack([HUGE * t, np.full(9, TINY)], axis=1)
    )
    assert far.success
    assert far.x * [HUGE, TINY] == pytest.approx(near.x, rel=1e-9)
    assert far.jac / [HUGE, TINY] == pytest.approx(near.jac, rel=1e-14)
