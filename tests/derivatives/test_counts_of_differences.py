"""Evaluations that minimisations by differences take beside SciPy's, to the same gradient or lower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import mflow


def rosenbrock(x: Any) -> float:
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def test_a_search_ends_where_differences_tell_no_slope() -> None:
    """At 1e-6 from the minimum forward differences of Rosenbrock's cost are off by more than its slopes: a bracket that shrank on and on
    took half of all evaluations there."""
    ours, theirs = mflow.minimize(rosenbrock, [-1.2, 1.0]), minimize(rosenbrock, [-1.2, 1.0], method="L-BFGS-B")
    assert ours.success
    assert ours.fun < theirs.fun
    assert ours.nfev <= 1.7 * theirs.nfev


@pytest.mark.parametrize("start", [[1.0, -2.3], [3.0, 0.4]])
def test_searches_across_a_kink_take_fewer_trials(start: list[float]) -> None:
    out = mflow.minimize(lambda x: float(np.abs(x).sum()), start)
    assert out.success
    assert out.fun < 1e-6
    assert out.nfev < 20_000
