"""What `mflow.modes` and `Modes.response` take as `mflow.solve_dynamics` does."""

from __future__ import annotations

import numpy as np
import pytest

import mflow


def test_fixed_strikes_out_rows_and_columns() -> None:
    mass, stiffness = np.array([2.0, 1.0, 3.0]), np.array([[5.0, -2.0, 0.0], [-2.0, 4.0, -1.0], [0.0, -1.0, 3.0]])
    held, struck = mflow.modes(mass, stiffness, fixed=[1]), mflow.modes(mass[[0, 2]], stiffness[np.ix_([0, 2], [0, 2])])
    np.testing.assert_array_equal(held.omega, struck.omega)
    np.testing.assert_array_equal(held.shapes[[0, 2]], struck.shapes)
    np.testing.assert_array_equal(held.shapes[1], 0.0)
    assert held.total_mass == 5.0
    with pytest.raises(ValueError, match="fixed: expected degrees of freedom that leave some to move"):
        mflow.modes(mass, stiffness, fixed=[0, 1, 2])


def test_matrices_in_the_other_order_are_told_of() -> None:
    stiffness = np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.5]])
    with pytest.warns(UserWarning, match=r"the order is modes\(mass, stiffness\)"):
        mflow.modes(stiffness, [3.0, 3.0, 2.0])


def test_the_response_takes_the_tables_of_solve_dynamics() -> None:
    m = mflow.modes([2.0, 1.0], [[6.0, -2.0], [-2.0, 4.0]])
    t = np.linspace(0.0, 5.0, 501)
    forces = np.array([np.sin(2 * t), np.cos(3 * t)])
    np.testing.assert_array_equal(m.response(t, (t, forces)).x, m.response(t, forces).x)
    sparse = m.response(t, (np.array([0.0, 2.0]), np.array([[0.0, 4.0], [1.0, 1.0]])))
    np.testing.assert_array_equal(sparse.x, m.response(t, np.array([np.where(t <= 2.0, 2.0 * t, 0.0), np.where(t <= 2.0, 1.0, 0.0)])).x)
    with pytest.raises(ValueError, match=r"load: expected \(times, values\)"):
        m.response(t, (t, forces[:, :10]))
