"""A diode: beside the solution f grows by e every 26 mV, and a guess that goes on straight stands where it is 1e30 times larger.

A Jacobian of there makes wrong steps look solved, as its updates are small whatever is left. Both solutions are known: exp(v / Vt) of a
node that a current empties through the diode follows a linear equation, and a node that is fed through a resistance follows it alone.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow

LEAK, VT, FARAD = 1e-9, 0.026, 1e-10


def diode(v: float, limit: float) -> float:
    """Its current, linear from `limit` on."""
    x = -float(v) / VT
    return LEAK * ((math.exp(x) if x < limit else math.exp(limit) * (1.0 + x - limit)) - 1.0)


def emptied(t: float, y: Any, current: float, limit: float) -> Any:
    return np.array([(diode(y[0], limit) - current) / FARAD])


def fed(t: float, y: Any, ohm: float, limit: float) -> Any:
    return np.array([((12.0 - y[0]) / ohm + diode(y[0], limit)) / FARAD])


@pytest.mark.parametrize("method", ["esdirk43", "bdf", "radau5", "rodas5p", "auto"])
@pytest.mark.parametrize("limit", [60.0, 80.0, 600.0])
@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-6])
def test_a_node_that_a_current_empties(method: str, limit: float, rtol: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp(emptied, (0, 2.4e-9), [12.0], method, args=(1.0, limit), rtol=rtol, atol=1e-3 * rtol, max_steps=5000)
    rate = (1.0 + LEAK) / (FARAD * VT)
    exact = VT * np.logaddexp(math.log(LEAK / (1.0 + LEAK)), 12.0 / VT - rate * r.t)
    assert r.success, r.message
    np.testing.assert_allclose(r.y[0], exact, rtol=20.0 * rtol, atol=20.0 * rtol)


@pytest.mark.parametrize("method", ["esdirk43", "bdf", "radau5", "rodas5p", "auto"])
@pytest.mark.parametrize("limit", [60.0, 600.0])
@pytest.mark.parametrize("ohm", [0.05, 1.0])
def test_a_node_that_is_fed(method: str, limit: float, ohm: float) -> None:
    """From 0: the start of the run lies a hair above the corner."""
    for rtol in (1e-3, 1e-6):
        r = mflow.solve_ivp(fed, (0, 1e-6), [0.0], method, args=(ohm, limit), rtol=rtol, atol=1e-3 * rtol, max_steps=5000)
        assert r.success, r.message
        np.testing.assert_allclose(r.y[0], 12.0 * -np.expm1(-r.t / (ohm * FARAD)), rtol=20.0 * rtol, atol=20.0 * rtol)
