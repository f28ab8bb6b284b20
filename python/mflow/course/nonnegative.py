"""Components that a user asks to be kept at 0 or above (`nonnegative=`): which they are, and the words where the solution leaves.

How they are kept, and what a run keeps by itself, stands in signs.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.problems.inside import Inside
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, shown
from mflow.base.telling import counted
from mflow.solvers.mass import Mass

__all__ = ["check_signs", "left_words"]

NEXT_TO = 64.0  # of what it falls by in the shortest step that was tried


def check_signs(nonnegative: Any, start: Array, mode: str) -> NDArray[np.int64] | None:
    """The components, as numbers of the flat state; None: none. Raises TypeError, ValueError or IndexError."""
    if nonnegative is None or nonnegative is False:
        return None
    if mode != "adaptive":
        raise ValueError("nonnegative: signs are kept by error control, and dt gives fixed steps; omit it, or give rtol in place of dt")
    n = start.size
    given = as_array(nonnegative, "nonnegative")
    if nonnegative is True:
        index = np.arange(n)
    elif given.dtype == bool and given.shape in (start.shape, (n,)):
        index = np.flatnonzero(given)
    elif given.dtype.kind in "iu" and given.ndim <= 1:
        index = np.atleast_1d(given)
        if index.size and (index.min() < -n or index.max() >= n):
            raise IndexError(f"nonnegative: expected components from 0 to {n - 1}, got {shown(nonnegative)}")
        index = np.unique(index % n)
    else:
        raise TypeError(f"nonnegative: expected True, components, or a mask of y0's shape {start.shape}, got {shown(nonnegative)}")
    bad = index[start.ravel()[index] < 0.0]
    if bad.size:
        raise ValueError(f"y0: expected no component below 0 where nonnegative says so, got {float(start.ravel()[bad[0]])!r} in {bad[0]}")
    return index.astype(np.int64) if index.size else None


def left_words(run: Any, inside: Inside | None, signs: NDArray[np.int64] | None = None, *, mass: Mass | None = None) -> str:
    """Words, where the last tries of a run that could not go on left the domain, and the solution itself does, or where the state has been
    moved out of it; "" otherwise. mass: fun's values are no slopes then, which M tells where it is diagonal or regular, and else only the
    tries."""
    below = np.empty(0) if signs is None else signs[np.ravel(run.y)[signs] < 0.0]
    if below.size:
        value = np.ravel(run.y)[below[0]]
        return f"component {below[0]}, which must not be below 0, is {value:.3g} at t = {run.t:.9g}, behind a dose or an action there"
    j = inside.left if inside is not None else None
    if j is None or inside is None:
        return ""
    y = np.ravel(run.y)
    slope = np.ravel(run.slope(run.t, run.y))
    if mass is not None:
        slope = mass.at(run.t).slopes(slope)
    falls = float(slope[j]) * run.tried
    inside.forget()
    where = f"component {j}, which must not be below 0, is {y[j]:.3g} at t = {run.t:.9g} after {counted(run.k, 'step')}, and "
    tries = f"every step tried from there, down to {abs(run.tried):.3g}, leads below 0"
    if not np.isfinite(falls):
        return where + tries
    if not y[j] <= NEXT_TO * abs(falls) or not (falls < 0.0 or y[j] == 0.0):
        return ""
    return f"{where}its slope is {slope[j]:.3g}: {tries}"
