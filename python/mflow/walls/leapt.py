"""Poles of the right-hand side that steps led over, as of y' = -1/(y - 2)^2 at 2.

A solution comes to such a state with a slope that grows without bound, and steps become ever shorter. With tight tolerances none is short
enough, and the run ends there. With loose ones some step leads over it, and the run goes on: the path continues where f has values again,
which is one answer among those that a model may ask for, and errors are made next to it that no estimate sees. So the end of a run that
rejected some steps, and whose steps have become far shorter than those on both sides, looks at f along the path where it is steepest there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.result import IVPResult
from mflow.base.telling import tell
from mflow.derivatives.differences import tried
from mflow.walls.jumps import NEARBY, REACHES, dips
from mflow.walls.poles import FAR_OUT, LAST, largest_near, size_of

__all__ = ["passing_words", "poles_along", "tell_of_poles"]

DEEP, WIDE = 5e-3, 4 * NEARBY  # of the longest of so many steps on each side: multistep methods become slower step by step
PARTS = tuple(k / 16.0 for k in range(1, 16))  # of a way between two states, where f is looked at
NEAR, FAR = 4.0, 2048.0  # times what a pole is known to: the distances between which its power is measured
LEAST_POWER = 0.3  # of a logarithm it is 0.1 there at most
ASIDE = 4  # steps on each side of the steepest one
LEFT = 1e-6  # of a way
NAMED, SHOWN = 2, 4  # poles and components in the words

Slope = Callable[[float, Array], Array]


def _pole_between(slope: Slope, t: float, y0: Array, y1: Array) -> float | None:
    """The part of the straight way between two states at which f has a pole; None where it has none."""

    def size(part: float) -> float:
        return size_of(slope, t, y0 + part * (y1 - y0))

    way, largest = (float(np.max(np.abs(value), initial=0.0)) for value in (y1 - y0, y1))
    if way == 0.0:
        return None
    values = [size(part) for part in PARTS]
    best, usual = max(range(len(values)), key=values.__getitem__), float(np.median(values))
    part, near = largest_near(size, PARTS[best], values[best], PARTS[0], FAR_OUT * usual, LAST * math.ulp(largest) / way)
    if not 0.0 < FAR * near < PARTS[0]:
        return None
    far, close = (min(size(part + d), size(part - d)) for d in (FAR * near, NEAR * near))
    return part if 0.0 < far < close < math.inf and math.log(close / far) >= LEAST_POWER * math.log(FAR / NEAR) else None


def _on_the_way(y0: Array, y1: Array, part: float) -> Array:
    """The state there; what is left of 0 by rounding is 0."""
    state = y0 + part * (y1 - y0)
    return np.where(np.abs(state) < LEFT * np.abs(y1 - y0), 0.0, state)


def passing_words(slope: Slope, t: float, y: Array, h: float) -> str:
    """Words, where steps of h from y at t lead to a pole, or have led over it; "" otherwise.

    One that cannot be told from y on the way of such steps, as f is no larger there than at y, has not been met: a slope that is far too
    large for any step makes the way so long that all of its start is next to y.
    """
    way = h * np.asarray(slope(t, y), dtype=np.float64)
    here = size_of(slope, t, y)
    for reach in REACHES:
        part = _pole_between(slope, t, y - reach * way, y + reach * way)
        if part is not None and size_of(slope, t, y + (2.0 * part - 1.0) * reach * way) > here:
            where = _shown(_on_the_way(y - reach * way, y + reach * way, part))
            return (
                f"the right-hand side grows without bound next to y = {where}, and no step was found that leads over it; let an event end "
                "the run before, or keep the right-hand side finite there"
            )
    return ""


def poles_along(slope: Slope, t: Array, y: Array) -> list[tuple[float, Array]]:
    """(time, state) of the poles that a path of steps under error control leads over, where it is steepest next to its shortest steps.

    slope : of (t, state), some twenty times at each of up to four places. t, y : (k,) and (n, k), all steps.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.walls.leapt import poles_along
    >>> t = np.concatenate([np.linspace(0, 0.9, 10), 1 + np.array([-1e-4, 0.0, 1e-4]), np.linspace(1.1, 2, 10)])
    >>> [(at, *state)] = poles_along(lambda t, y: 1 / (3 * (y - 2) ** 2), t, 2 + np.cbrt(t - 1.00005)[None])
    >>> bool(abs(at - 1.00005) < 1e-4), bool(abs(state[0][0] - 2) < 1e-9)
    (True, True)
    """
    found: list[tuple[float, Array]] = []
    looked: list[int] = []
    for k in dips(t, DEEP, WIDE):
        first = max(k - WIDE // 2, 0)
        part_t, part_y = t[first : k + WIDE // 2], y[:, first : k + WIDE // 2]
        steepest = first + int(np.argmax(np.linalg.norm(np.diff(part_y), axis=0) / np.abs(np.diff(part_t))))
        if any(abs(steepest - other) <= ASIDE for other in looked):
            continue
        looked.append(steepest)
        first, last = max(steepest - ASIDE, 0), min(steepest + 1 + ASIDE, t.size - 1)
        part = _pole_between(slope, float(t[steepest]), y[:, first], y[:, last])
        if part is not None:
            found.append((float(t[steepest]), _on_the_way(y[:, first], y[:, last], part)))
    return sorted(found, key=lambda one: one[0])


def tell_of_poles(result: IVPResult, run: Any, name: str) -> None:
    """Warn of the poles that a finished run, which kept every step and rejected some, led over. run : of the core.

    Nothing is said where a function raises at these points that it has no value there; its other errors come through.
    """
    if not result.success or result.t.size <= result.nsteps:
        return
    before = run.nfev
    try:
        poles = tried(partial(poles_along, run.slope, result.t), result.y.reshape(-1, result.t.size))
    finally:
        result["ncheck"] += int(run.nfev - before)
    if poles:
        places = " and ".join(f"y = {_shown(state)} (t = {at:.4g})" for at, state in poles[:NAMED])
        tell(
            f"{name}: fun grows without bound next to {places}, and steps led over it: errors made there are not seen, and nothing says "
            "that the model holds beyond; let an event end the run before, or keep fun finite there"
        )


def _shown(state: Array) -> str:
    parts = ", ".join(f"{value:.4g}" for value in state.ravel()[:SHOWN])
    return f"[{parts}{', ...' if state.size > SHOWN else ''}]"
