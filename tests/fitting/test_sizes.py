"""Residuals and parameters in units whose squares are no numbers are refused; up to there the fit does not depend on the units."""

from __future__ import annotations

import numpy as np
import pytest

import mflow

T = np.linspace(0, 3, 20)
Y = 2 * np.exp(-1.3 * T) + 0.1 * np.cos(7 * T)
RIGHT = (2.047519, 1.338799)  # SciPy 1.11's least_squares


@pytest.mark.parametrize("unit", [1e-145, 1.0, 1e145])
def test_units_do_not_matter(unit: float) -> None:
    r = mflow.least_squares(lambda p: (p[0] * np.exp(-p[1] * T) - Y) * unit, [1.0, 1.0])
    s = mflow.least_squares(lambda p: p[0] / unit * np.exp(-p[1] * T) - Y, [unit, 1.0])
    assert r.success
    assert r.x == pytest.approx(RIGHT, rel=1e-6)
    assert s.x / [unit, 1.0] == pytest.approx(RIGHT, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-155, 1e-200, 1e-300])
def test_residuals_whose_squares_vanish(unit: float) -> None:
    with pytest.raises(ValueError, match="fun: expected residuals whose squares are numbers"):
        mflow.least_squares(lambda p: (p[0] * np.exp(-p[1] * T) - Y) * unit, [1.0, 1.0])


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_parameters_whose_derivatives_have_no_squares(unit: float, jac: str) -> None:
    with pytest.raises(ValueError, match="of parameter 0"):
        mflow.least_squares(lambda p: p[0] / unit * np.exp(-p[1] * T) - Y, [unit, 1.0], jac=jac)


def test_residuals_of_0_are_found() -> None:
    r = mflow.least_squares(lambda p: p - 1, [1.0, 1.0])
    assert r.success
    assert r.x.tolist() == [1.0, 1.0]
