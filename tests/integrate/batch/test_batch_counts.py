"""What a batch of a function for blocks says that it cost, against the calls that the function has seen."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow

NUMBERS, SIZE = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t
LANES = ctypes.CFUNCTYPE(ctypes.c_int, NUMBERS, NUMBERS, NUMBERS, SIZE, SIZE, ctypes.c_void_p)
LANELESS = {"implicit", "staged", "needs_rho", "second_order"}
PAIRS = [r.name for r in registry.records() if r.kind == "step" and "embedded" in r.flags and not LANELESS & r.flags]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("at", [None, np.linspace(0.0, 8.0, 7)])
def test_evaluations_are_those_that_were_made(name: str, at: Any) -> None:
    """Alone in its block, a trajectory has as many evaluations as there were calls: rejected tries and output between steps included."""
    calls = 0

    @LANES
    def hill(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:  # a sudden hill, where steps are rejected
        nonlocal calls
        calls += 1
        for l in range(lanes):
            f[l] = math.exp(-40.0 * (t[l] - 4.0) ** 2) - 0.1 * y[l]
        return 0

    r = mflow.solve_ivp_batch(hill, (0.0, 8.0), [[1.0]], name, rtol=1e-6, atol=1e-9, batch=True, t_eval=at, threads=1)
    assert r.success
    assert r.nrejected[0] > 0
    assert r.nfev[0] + r.ncheck[0] == calls
