"""What error control does not see: a component within atol of 0 may be wrong by as much as it is, and what it grows to is so, too.

Epidemics begin so, from a share of 1e-8 where atol is 1e-6, and populations that go through a valley: the solution is smooth, every step is
good, and the peak comes days too early. Two looks at f tell whether a component grows by its own rate, or is led by others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import grown_from_below

from mflow.base.checks import Array

__all__ = ["unseen_words"]

SMALL, OWN = 1e-3, 0.05  # of the component; of its slope: what is left of that where so little is left of the component
MOST = 16  # components that f is asked for
TINY = 1e-300  # the least atol that is named


def unseen_words(slope: Callable[[float, Array], Array], t: Array, rows: Array, shape: tuple[int, ...], rtol: Array, atol: Array) -> str:
    """Words, where a component was within atol of 0 and has grown far beyond by its own rate; "" where none has.

    rows : (m, n), the states at t.
    """
    for j, k, smallest in grown_from_below(rows, atol)[:MOST]:
        rate, less = (_slope(slope, float(t[k]), rows[k], shape, j, part) / rows[k, j] for part in (1.0, SMALL))
        if np.copysign(1.0, t[-1] - t[0]) * rate > 0.0 and abs(less) <= OWN * abs(rate):
            bound = float(np.broadcast_to(atol.ravel(), rows.shape[1:])[j])
            fit = 10.0 ** np.floor(np.log10(max(smallest * float(np.min(rtol)), TINY)))
            return (
                f"component {j} was {smallest:.3g}, within atol = {bound:g} of 0, and has grown from there since, near t = {t[k]:.6g} at a "
                f"rate of its own of {abs(rate):.3g}: errors of atol are allowed there, and grow with it; give atol = {fit:.0e}"
            )
    return ""


def _slope(slope: Any, t: float, row: Array, shape: tuple[int, ...], j: int, part: float) -> float:
    """That of component j, where it is this part of what it was; NaN where it has none, or fun raises, as the run does not go there."""
    state = row.copy()
    state[j] *= part
    try:
        with np.errstate(all="ignore"):
            return float(np.ravel(slope(t, state.reshape(shape)))[j])
    except Exception:
        return float("nan")
