"""Time in tiny units: the products of two times underflow, the squares of slopes overflow, and the equation is the same."""

from __future__ import annotations

import numpy as np
import pytest

import mflow

METHODS = [m.name for m in mflow.methods() if "embedded" in m.flags and "second_order" not in m.flags]


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("span", [1e-120, 1e-170, 1e-285])
def test_a_rotation_in_tiny_units_of_time(method: str, span: float) -> None:
    calls = [0]

    def fun(t: float, y: np.ndarray) -> np.ndarray:
        calls[0] += 1
        assert calls[0] < 30_000
        return np.array([y[1], -y[0]]) * (3 / span)

    r = mflow.solve_ivp(fun, (0, span), [1.0, 0.0], method, rtol=1e-5, atol=1e-8, t_eval=np.linspace(0, span, 7))
    assert r.reason == "finished"
    assert np.abs(r.y[0] - np.cos(np.linspace(0, 3, 7))).max() < 2e-3
