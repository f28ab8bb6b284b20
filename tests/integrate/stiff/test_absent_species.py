"""A species that is absent stays absent: its row of Newton's system is its own, and its growth, however fast, cuts no step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow


def chain(t: float, y: Any, a: float, c: float) -> Any:
    """y0 feeds on y1, which is renewed, and y2 follows y1."""
    return np.array([a * y[0] * y[1] - 0.1 * y[0], -a * y[0] * y[1] + 10.0 * (1.0 - y[1]), c * (y[1] - y[2])])


def slopes(t: float, y: Any, a: float, c: float) -> Any:
    return np.array([[a * y[1] - 0.1, a * y[0], 0.0], [-a * y[1], -a * y[0] - 10.0, 0.0], [0.0, c, -c]])


@pytest.mark.parametrize("method", ["auto", "rodas5p", "radau5", "bdf", "esdirk43"])
@pytest.mark.parametrize("jac", [None, slopes])
@pytest.mark.parametrize(("a", "c"), [(30.0, 1.0), (1e3, 1.0), (30.0, 100.0)])
def test_an_absent_species_stays_absent(method: str, jac: Any, a: float, c: float) -> None:
    """y1 = 1 - .7 exp(-10 t), y2 that of c; in some tens of steps."""
    r = mflow.solve_ivp(chain, (0, 10), [0.0, 0.3, 0.5], method, args=(a, c), jac=jac, rtol=1e-6, atol=1e-8)
    share = 0.7 * c / (c - 10.0)
    exact = 1.0 - share * np.exp(-100.0) + (0.5 - 1.0 + share) * np.exp(-10.0 * c)
    assert r.success
    assert r.y[0].tolist() == [0.0] * r.t.size
    np.testing.assert_allclose(r.y[1:, -1], [1.0, exact], atol=1e-5)
    assert r.nsteps < 250


@pytest.mark.parametrize("method", ["rodas5p", "radau5", "bdf", "esdirk43"])
def test_one_that_is_fed_grows(method: str) -> None:
    """y' = 5 y + 1e-3 from 0, beside a fast decay: 2e-4 (exp(5 t) - 1)."""
    r = mflow.solve_ivp(lambda t, y: [5.0 * y[0] + 1e-3, -1e3 * (y[1] - y[0])], (0, 3), [0.0, 0.0], method, rtol=1e-6, atol=1e-9)
    assert r.success
    np.testing.assert_allclose(r.y[0, -1], 2e-4 * np.expm1(15.0), rtol=1e-4)
