"""Words on numbers of structures that are taken as they are given, and are seldom meant so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mflow.base.telling import tell

__all__ = ["tell_of_pattern", "tell_of_ratios", "tell_of_rayleigh"]

RATIO = 0.005, 0.5  # damping ratios of structures
NOTHING = 1e-4  # the ratio that a number makes on each degree of freedom by itself, below which it damps nothing
FEW = 60  # degrees of freedom, whose modes take less than a millisecond
OVERDAMPED, MUCH = 1.0, 0.2  # ratios of the slowest mode: by a alone, and by both where they look like ratios
ALIKE = 3.0  # by what factor ratios of two modes differ at most
SMALL = 0.1  # rad/s: modes slower than that are none of a structure that swings
BY_MODES = "mflow.modes(mass, stiffness).damping_matrix({})"


def _like_ratios(*numbers: float) -> bool:
    return all(RATIO[0] <= number <= RATIO[1] for number in numbers)


def tell_of_ratios(damping: Any, M: Any, K: Any) -> None:
    """Warns of numbers for several degrees of freedom that look like damping ratios and, as dampings, do nothing."""
    given = np.unique(np.asarray(damping, dtype=np.float64))
    if M.shape[0] < 2 or np.ndim(damping) > 1 or not _like_ratios(*given):
        return
    m, k = (np.asarray(A if A.ndim == 1 else A.diagonal()) for A in (M, K))
    if np.all(m > 1.0) and np.all(k > 0.0) and given[-1] < NOTHING * 2.0 * math.sqrt(float(np.min(m * k))):
        shown, ratios = (f"{given[0]:g}", f"{given[0]:g}") if given.size == 1 else (f"{given[0]:g} to {given[-1]:g}", "ratios")
        tell(
            f"damping: {shown} is taken as force over velocity at each degree of freedom, which damps next to nothing here; for damping "
            f"ratios give damping={BY_MODES.format(ratios)}, or rayleigh=(a, b)",
            UserWarning,
        )


def tell_of_rayleigh(a: float, b: float, M: Any, K: Any) -> None:
    """Warns where a M + b K lets not even the slowest mode swing, or is two damping ratios that were given for a and b."""
    n = M.shape[0]
    if K is None or n > FEW or not (a > 0.0 or b > 0.0):
        return
    m, k = (np.diag(A) if A.ndim == 1 else A.toarray() if hasattr(A, "toarray") else A for A in (M, K))
    if not np.all(np.diag(m) > 0.0) or np.any(m != np.diag(np.diag(m))):
        return
    like_ratios = n > 1 and _like_ratios(a, b) and max(a, b) <= ALIKE * min(a, b)
    if a < SMALL and not like_ratios:
        return
    scale = 1.0 / np.sqrt(np.diag(m))
    squares = np.linalg.eigvalsh(k * scale * scale[:, None])
    squares = squares[squares > 1e-9 * squares[-1]]
    if not squares.size:
        return
    omega = np.sqrt(squares)
    ratios = 0.5 * (a / omega + b * omega)
    if 0.5 * a / omega[0] > OVERDAMPED or (like_ratios and ratios[0] > MUCH):
        tell(
            f"rayleigh: a M + b K with a = {a:g} and b = {b:g} makes damping ratios of {ratios[0]:.3g} in the slowest mode to "
            f"{ratios[-1]:.3g} in the fastest: a / (2 omega) + b omega / 2, with omega in rad/s; for a ratio of its own in each mode give "
            f"damping={BY_MODES.format('ratio')} and no rayleigh",
            UserWarning,
        )


def tell_of_pattern(load: tuple[Any, ...], M: Any) -> None:
    """Warns of a table's pattern that is one number for several degrees of freedom, as if masses were 1."""
    if len(load) < 3 or np.size(load[2]) != 1 or M.shape[0] < 2:
        return
    m = np.asarray(M if M.ndim == 1 else M.diagonal())
    if np.any(m != 1.0) and float(np.ravel(load[2])[0]) == -1.0:
        tell(
            f"load, its pattern: -1 is taken as a force of -1 a unit of the values on each of {M.shape[0]} degrees of freedom; the load of "
            "a moving ground is (t, a, -M @ r), r the direction: -masses where all move along",
            UserWarning,
        )
