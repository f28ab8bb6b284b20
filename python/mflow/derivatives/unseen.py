"""What error control does not see: a component within atol of 0 may be wrong by as much as it is, and what it grows to is so, too.

Epidemics begin so, from a share of 1e-8 where atol is 1e-6, and populations that go through a valley: the solution is smooth, every step is
good, and the peak comes days too early. Looks at f tell whether a component grows by itself, or together with others that were as small, as
the exposed and the infectious do: f vanishes with them, and the largest rate at which those grow that feed one another, times the time that
has passed, makes the growth. A dose does not, nor what is led by others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import grown_from_below, largest
from numpy.typing import NDArray

from mflow.base.checks import Array

__all__ = ["small_words", "unseen_words"]

SMALL, OWN = 1e-3, 0.03  # of the components; of a slope: what is left of that where so little is left of them (of a root sqrt(y) 0.032)
SHARE = 0.5  # of the logarithm of the growth: what rate times time makes of it, at least
BEYOND = 1000.0  # times atol: grown
NEAR = 100.0  # times atol: what may grow together with a component that is within it
MOST = 16  # components that f is asked for
TOGETHER, LOOKS = 32, 3  # components that may grow together; looks at more than one
ROUNDED = 1e-8  # of a slope: no part of it
TINY = 1e-300  # the least atol that is named


class Growth(NamedTuple):
    """rate : of components that feed one another, `others` and the one that is asked for; NaN where there is none."""

    rate: float = float("nan")
    others: tuple[int, ...] = ()


def small_words(bound: float, told: float, atol: float, start: Array, rows: Array) -> str:
    """Words on states that are all below a bound, some times the default atol; "" of others, of zeros, and of starts below `told`, of which
    a run warns when it begins."""
    size = max(largest(start), largest(rows))
    if not 0.0 < size < bound or 0.0 < largest(start) < told:
        return ""
    seen = f"no component was larger than {size:.3g} where it was kept"
    return f"atol: {seen}, and errors of the default {atol:g} are allowed in each step: give atol="


def unseen_words(slope: Callable[[float, Array], Array], t: Array, rows: Array, shape: tuple[int, ...], rtol: Array, atol: Array) -> str:
    """Words, where a component was within atol of 0 and has grown far beyond by its own rate, or with others; "" where none has.

    rows : (m, n), the states at t.
    """
    bounds = np.broadcast_to(atol.ravel(), rows.shape[1:])

    def ask(time: float, row: Array) -> Array:
        """f; NaNs where it has no value, or raises, as the run does not go there."""
        try:
            with np.errstate(all="ignore"):
                return np.array(slope(time, row.reshape(shape)), dtype=np.float64).ravel()
        except Exception:
            return np.full(row.size, np.nan)

    looks = 0
    for j, k, smallest in grown_from_below(rows, atol, BEYOND)[:MOST]:
        end = k + 1 + int(np.argmax(np.abs(rows[k + 1 :, j]) > BEYOND * bounds[j]))
        time, factor = float(t[end] - t[k]), float(np.log(abs(rows[end, j] / rows[k, j])))
        small: NDArray[Any] = np.flatnonzero(np.abs(rows[k]) <= NEAR * bounds)
        if not 1 < small.size <= TOGETHER or looks >= LOOKS:
            small = np.array([j])
        looks += small.size > 1
        for at in dict.fromkeys((k, end - 1)):  # the rate may become larger on the way
            growth = _growth(ask, float(t[at]), rows[at], j, small, np.sign(time))
            if growth.rate * abs(time) >= SHARE * factor:
                return _words(j, smallest, float(bounds[j]), float(np.min(rtol)), float(t[at]), growth)
            if not growth.rate > 0.0:
                break
    return ""


def _words(j: int, smallest: float, bound: float, rtol: float, t: float, growth: Growth) -> str:
    fit = 10.0 ** np.floor(np.log10(max(smallest * rtol, TINY)))
    rate = f"a rate of its own of {growth.rate:.3g}"
    if growth.others:
        named = ", ".join(map(str, growth.others[:3])) + (", ..." if len(growth.others) > 3 else "")
        rate = f"a rate of {growth.rate:.3g} together with component{'s' if len(growth.others) > 1 else ''} {named}"
    return (
        f"component {j} was {smallest:.3g}, within atol = {bound:g} of 0, and has grown from there since, near t = {t:.6g} at {rate}: "
        f"errors of atol are allowed there, and grow with it; give atol = {fit:.0e}"
    )


def _growth(ask: Callable[[float, Array], Array], t: float, row: Array, j: int, small: NDArray[Any], sign: float) -> Growth:
    """Of component j where the run stands at t; small : the components that may grow with it, itself among them."""
    at, less = ask(t, row), row.copy()
    less[small] *= SMALL
    if not abs(ask(t, less)[j]) <= OWN * abs(at[j]):
        return Growth()
    size, J = float(np.max(np.abs(row[small]))), np.empty((small.size, small.size))
    parts = np.empty_like(J)  # of the slopes
    for column, i in enumerate(small):
        other = row.copy()
        other[i] = SMALL * row[i] if row[i] else size
        parts[:, column] = (at - ask(t, other))[small]
        J[:, column] = parts[:, column] / (row[i] - other[i])
    if not np.all(np.isfinite(J)):
        return Growth()
    feeds = np.eye(small.size, dtype=bool) | (np.abs(parts) > ROUNDED * np.abs(at[small])[:, np.newaxis])
    for _ in range(int(small.size).bit_length()):
        feeds = feeds @ feeds
    own = int(np.searchsorted(small, j))
    ring = np.flatnonzero(feeds[own] & feeds[:, own])  # those that feed it and are fed by it
    rate = float(np.max(sign * np.linalg.eigvals(J[np.ix_(ring, ring)]).real))
    return Growth(rate, tuple(int(i) for i in small[ring] if i != j))
