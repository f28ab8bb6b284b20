"""The Oregonator at rtol 1e-10, over three bursts. Oracle: the printed end of the Test Set for IVP Solvers (Mazzia and Magherini)."""

from __future__ import annotations

import numpy as np
import pytest

import mflow

END = np.array([1.000814870318523, 1228.178521549917, 132.0554942846706])


def oregonator(t, y):
    a, b, c = y
    return np.array([77.27 * (b + a * (1.0 - 8.375e-6 * a - b)), (c - (1.0 + a) * b) / 77.27, 0.161 * (a - c)])


def jacobian(t, y):
    a, b, _ = y
    return np.array(
        [
            [77.27 * (1.0 - 2 * 8.375e-6 * a - b), 77.27 * (1.0 - a), 0.0],
            [-b / 77.27, -(1.0 + a) / 77.27, 1.0 / 77.27],
            [0.161, 0.0, -0.161],
        ]
    )


@pytest.mark.parametrize(("method", "digits"), [("radau5", 10.0), ("auto", 10.0), ("bdf", 8.5), ("esdirk43", 8.0)])
def test_the_oregonator_has_nearly_all_the_digits_asked_for(method, digits):
    r = mflow.solve_ivp(oregonator, (0, 360), [1.0, 2.0, 3.0], method, jac=jacobian, rtol=1e-10, atol=1e-14, save="last")
    assert r.success
    assert -np.log10(np.max(np.abs(r.y[:, -1] / END - 1.0))) > digits
