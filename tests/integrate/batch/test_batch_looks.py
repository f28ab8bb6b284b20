"""Counts of a batch are those that the user's function can count, looks among them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mflow


@pytest.mark.parametrize(
    ("method", "how"), [("euler", {"dt": 0.1}), ("rk4", {"dt": "auto"}), ("dopri5", {}), ("esdirk43", {}), ("bdf", {}), ("auto", {})]
)
def test_calls_are_nfev_and_ncheck(method: str, how: dict[str, Any]) -> None:
    calls = [0]

    def fun(t: float, s: Any) -> Any:
        calls[0] += 1
        return -s / (0.02 + s)  # past the limit of euler's steps, and over 0 in those of the others

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp_batch(fun, (0, 2), [[1.0], [0.5]], method, **how)
        assert calls[0] == int(np.sum(r.nfev + r.ncheck))
        alone = mflow.solve_ivp(fun, (0, 2), [0.5], method, **how)
    assert (r[1].nfev, r[1].ncheck) == (alone.nfev, alone.ncheck)
    assert method != "euler" or np.sum(r.ncheck) > 0
