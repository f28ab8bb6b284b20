"""Jacobians that do not tell of where a step ends.

A diode: beside the solution f grows by e every 26 mV, and a guess that goes on straight stands where it is 1e30 times larger.

A Jacobian of there makes wrong steps look solved, as its updates are small whatever is left. Both solutions are known: exp(v / Vt) of a
node that a current empties through the diode follows a linear equation, and a node that is fed through a resistance follows it alone.

A relay that rests where f jumps, until a switch in time leads it away: differences over the jump are -1e12, and with those no step moves.
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


@pytest.mark.filterwarnings("ignore:solve_ivp. fun jumps")
@pytest.mark.parametrize("method", ["esdirk43", "bdf", "radau5", "rodas5p"])
@pytest.mark.parametrize(
    ("held", "start", "way"), [(np.sign, 1.0, 1.0), (np.sign, 1.0, -1.0), (np.sign, -1.0, 1.0), (np.cbrt, 1.0, 1.0), (np.cbrt, -1.0, 1.0)]
)
def test_what_rests_at_a_jump_goes_when_f_leads_away(method: str, held: Any, start: float, way: float) -> None:
    for rtol in (1e-3, 1e-5, 1e-7):
        r = mflow.solve_ivp(lambda t, y: -held(y) if t < 3.0 else way + 0.0 * y, (0, 6), [start], method, rtol=rtol, atol=1e-3 * rtol)
        assert abs(r.y[0, -1] - 3.0 * way) < 3.0 * rtol, (rtol, r.message)


@pytest.mark.filterwarnings("ignore:solve_ivp. fun jumps")
@pytest.mark.parametrize("given", [{}, {"vectorized": True}, {"lband": 0, "uband": 0}, {"jac_sparsity": np.eye(3)}])
@pytest.mark.parametrize("method", ["radau5", "rodas5p"])
def test_what_rests_beside_components_that_do_not(method: str, given: dict[str, Any]) -> None:
    """The second component moves on evenly, the third one is stiff."""

    def fun(t: float, y: Any) -> Any:
        return np.array([-np.sign(y[0]) if t < 3.0 else 1.0 + 0.0 * y[0], 1.0 + 0.0 * y[1], -1e4 * (y[2] - math.cos(t))])

    r = mflow.solve_ivp(fun, (0, 6), [1.0, 0.0, 1.0], method, rtol=1e-5, atol=1e-7, **given)
    np.testing.assert_allclose(r.y[:, -1], [3.0, 6.0, (1e8 * math.cos(6) + 1e4 * math.sin(6)) / (1e8 + 1)], rtol=0, atol=1e-4)
