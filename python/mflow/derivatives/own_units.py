"""A gtol in the units of a cost and of x, where nobody gave one: the usual one is too large for units far from 1, as in SI units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import largest

from mflow.base.checks import Array
from mflow.derivatives.differences import FALL, tried

__all__ = ["SLIGHT", "Finer", "allows", "fall_beside", "falls_alone", "finer_gtol", "gtol_of", "sizes_of", "widths_of"]

SLIGHT = 1e-11  # of a cost that is an offset for the most part: likewise, beyond rounding
LITTLE, MUCH = 0.05, 3.0  # of what a gradient promises: by less, or more, noise makes a cost fall

ALONE, ASKED = 0.01, 100  # of a parameter's size: by so much it moves alone; how many parameters, those that promise most, are asked


class Finer(NamedTuple):
    """gtol : in the units of that cost over x. fall : the share of the cost by which it is seen to fall; 0: it is not, and gtol may be as
    it was. count : evaluations."""

    gtol: float
    fall: float
    calls: int


def sizes_of(x: Array, grad: Array, bounds: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """(sizes of the parameters: their own, or if they are 0 those that bounds tell, 0 where nothing does; the room that each has to go down
    along its slope)."""
    sizes = np.abs(x)
    if bounds is None:
        return sizes, np.full(x.size, math.inf)
    lower, upper = bounds
    return np.where(sizes == 0.0, widths_of(bounds), sizes), np.where(grad > 0.0, x - lower, upper - x)


def widths_of(bounds: tuple[Array, Array]) -> Array:
    """Sizes that bounds tell: the room between them, or where one is; 0 where they tell none."""
    lower, upper = (np.where(np.isfinite(bound), bound, 0.0) for bound in bounds)
    return np.where(np.isfinite(bounds[0]) & np.isfinite(bounds[1]), upper - lower, np.maximum(np.abs(lower), np.abs(upper)))


def falls_alone(
    values: Callable[[Array], Any], x: Array, value: float, grad: Array, sizes: Array, rooms: Array, least: float
) -> tuple[float, int]:
    """(what a cost falls by where one parameter alone moves by a hundredth of its size, above `least` and about what its slope promises, or
    0; evaluations). Where it falls so far along a parameter, that is not where the cost has its minimum, however small its slope is.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.derivatives.own_units import falls_alone
    >>> x, D, free = np.array([2e-9, 1.0]), np.array([1e-9, 1.0]), np.full(2, np.inf)
    >>> cost = lambda x: float(np.sum((x / D - 1.0) ** 2))
    >>> fall, count = falls_alone(cost, x, 1.0, 2.0 * (x / D - 1.0) / D, np.abs(x), free, 1e-11)
    >>> round(fall, 4), count
    (0.0396, 1)
    """
    steps, count = np.minimum(ALONE * sizes, rooms), 0
    promised = np.abs(grad) * steps
    for j in np.argsort(-promised, kind="stable")[:ASKED]:
        if not promised[j] > least:
            break
        at = x.copy()
        at[j] -= math.copysign(steps[j], grad[j])
        count += 1
        there = tried(values, at)
        fall = math.nan if there is None else value - float(there)
        if max(least, LITTLE * promised[j]) < fall < MUCH * promised[j]:
            return fall, count
    return 0.0, count


def gtol_of(gtol: float, x: Array, value: float) -> float:
    """gtol in units of this cost over x."""
    return gtol * abs(value) / (largest(x) or 1.0)


def finer_gtol(
    gtol: float, values: Callable[[Array], Any], x: Array, value: float, grad: Array, fits: Callable[[Array], bool] = lambda x: True,
    least: float = SLIGHT,
) -> Finer:  # fmt: skip
    """A gtol for where a run has ended, flat x, by its usual gtol. What the cost is seen to fall by is its unit where the rest of it is an
    offset, and where it is 0 with x, so that neither has a size."""
    if value == 0.0 and not x.any():
        return _finer_at_0(gtol, values, x, grad, fits)
    fall, size, count = fall_beside(values, x, value, grad, fits, least)
    scale = abs(value) if fall > FALL else fall * abs(value)
    return Finer(gtol * scale / size if fall > 0.0 else gtol, fall, count)


def _finer_at_0(gtol: float, values: Callable[[Array], Any], x: Array, grad: Array, fits: Callable[[Array], bool]) -> Finer:
    """The same where a step of 1 is all that tells a size: the cost falls below 0 along it by about what the gradient promises."""
    steepest, square = float(np.max(np.abs(grad), initial=0.0)), float(grad @ grad)
    at = x - grad / (steepest or 1.0)
    if not (square > 0.0 and fits(at)):
        return Finer(gtol, 0.0, 0)
    there = tried(values, at)
    fall, promised = math.nan if there is None else -float(there), square / steepest
    return Finer(gtol * fall, 1.0, 1) if LITTLE * promised < fall < MUCH * promised else Finer(gtol, 0.0, 1)


def allows(gtol: float, fall: float, cost: str = "cost") -> str:
    """Words on a gtol that is too large."""
    return f"gtol = {gtol:g} allows a gradient along which the {cost} falls by {100.0 * fall:.2g} % within x's own size"


def fall_beside(
    values: Callable[[Array], Any], x: Array, value: float, grad: Array, fits: Callable[[Array], bool], least: float = SLIGHT
) -> tuple[float, float, int]:
    """(the share of a cost by which it is seen to fall along its gradient, over steps from x's own size down to a thousandth of it, that
    size, evaluations): the first share above `FALL`, else the largest above `least` that is about what the gradient promises, else 0.

    A gradient that is small in SI units may be so alone for the units of the cost and of x. Where x is 0, steps begin at 1, or where the
    gradient would lead the cost to 0, and get shorter as long as it promises so much.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.derivatives.own_units import fall_beside
    >>> cost, inside = lambda x: 1e-18 * np.sum((x - 1) ** 2), lambda x: True
    >>> share, size, count = fall_beside(cost, np.array([2.0]), 1e-18, np.array([2e-18]), inside)
    >>> round(float(share), 2), size, count
    (0.36, 2.0, 2)
    """
    own, cost, count, found = np.abs(x), abs(value), 0, (0.0, 1.0)
    top = float(np.max(own, initial=0.0))
    own = np.where(own > 0.0, own, top or 1.0)
    slopes = own * grad
    steepest, square = float(np.max(np.abs(slopes), initial=0.0)), float(slopes @ slopes)
    if not (math.isfinite(value) and cost * steepest > 0.0) or (top and square < least * cost * steepest):
        return 0.0, top or 1.0, 0
    zero = cost / steepest
    step, shortest = (1.0, FALL) if top else (max(1.0, zero), least * min(1.0, zero))
    while step >= 0.999 * shortest and (top or not found[0]):
        at = x - step * own * slopes / steepest
        if fits(at):
            count += 1
            there = tried(values, at)
            share, promised = math.nan if there is None else (value - float(there)) / cost, step * square / steepest / cost
            if FALL < share < math.inf:
                return share, top or step, count
            if max(found[0], least, LITTLE * promised) < share < MUCH * promised:
                found = share, step
        step *= 0.1
    return found[0], top or found[1], count
