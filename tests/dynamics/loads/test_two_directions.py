"""Ground motion in two directions: the errors of what other programs have name the table of all forces, which is the sum of two runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

T = np.linspace(0.0, 1.0, 50)
AX, AY = np.sin(9 * T), np.cos(7 * T)
M = np.array([2.0, 2.0, 1.0])
RX, RY = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def run(load: Any) -> Any:
    stiffness = np.array([[5.0, 0.0, -1.0], [0.0, 6.0, 1.0], [-1.0, 1.0, 4.0]])  # torsion couples both
    return mflow.solve_dynamics(mass=M, stiffness=stiffness, load=load, t_span=(0, 1), x0=np.zeros(3), dt=0.01)


@pytest.mark.parametrize(
    "load",
    [[(T, AX, -M * RX), (T, AY, -M * RY)], (T, np.vstack([AX, AY]), -np.vstack([M * RX, M * RY]))],
    ids=["two tables", "two patterns"],
)
def test_the_error_has_the_form(load: Any) -> None:
    with pytest.raises(ValueError, match=r"^load: expected one .*\(t, np\.outer\(pattern1, values1\) \+ np\.outer\(pattern2, values2\)\)$"):
        run(load)


def test_the_form_is_the_sum_of_both() -> None:
    both = run((T, -np.outer(M * RX, AX) - np.outer(M * RY, AY)))
    np.testing.assert_allclose(both.x, run((T, AX, -M * RX)).x + run((T, AY, -M * RY)).x, rtol=0, atol=1e-14)
