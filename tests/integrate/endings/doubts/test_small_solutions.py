"""Solutions that are as small as the default atol, as charges in coulomb are: no digit of them is controlled, wherever they start."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mflow

R, C, W = 1e3, 1e-9, 2.0 * math.pi * 2e4


def charge(t: float, q: np.ndarray) -> np.ndarray:
    """Of a capacitor behind a resistor, driven by 1 V."""
    return (math.sin(W * t) - q / C) / R


def exact(t: float) -> float:
    a = W * R * C
    return C / (1.0 + a * a) * (math.sin(W * t) - a * math.cos(W * t) + a * math.exp(-t / (R * C)))


def test_a_charge_in_coulomb_asks_for_an_atol() -> None:
    with pytest.warns(RuntimeWarning, match="atol: no component was larger than .* errors of the default 1e-06 are allowed in each step"):
        r = mflow.solve_ivp(charge, (0, 1e-4), [0.0])
    assert len(r.doubts) == 1
    assert abs(r.y[0, -1] - exact(1e-4)) > 0.1 * C
    fine = mflow.solve_ivp(charge, (0, 1e-4), [0.0], atol=1e-15)
    assert fine.doubts == ()
    assert abs(fine.y[0, -1] - exact(1e-4)) < 0.02 * C


@pytest.mark.parametrize("more", [{}, {"t_eval": [30.0]}, {"save": "last"}])
def test_what_decays_or_is_0_is_not_small(more: dict) -> None:
    for start in (1.0, 0.0):
        assert mflow.solve_ivp(lambda t, y: -y, (0, 30), [start], **more).doubts == ()
