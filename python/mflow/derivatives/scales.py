"""Lengths of the parameters of a cost, in which its directions are sought: what ``x_scale=`` says, or what the cost itself shows.

All are powers of 2, so that x / D and D g have the digits of x and g.

    D_j = c / sqrt |H_jj|,   H_jj from the gradient at x and at x + h e_j, h a thousandth of the parameter, or as much longer as it takes
                             until h and 10 h tell the same, as where it has begun at 0

and c such that the largest of x_j / D_j is about 1: there the cost bends alike in each parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_whole, real_array, shown
from mflow.derivatives.differences import EPS, tried

__all__ = ["measured", "powers_of", "read_scale", "scale_of_powers", "spread"]

NEAR = 1e-3  # of a parameter: over it the gradient is compared
FARTHER, TIMES = 1e3, 14  # how much farther, and how often where a parameter began at 0
ALIKE = 0.5  # of two measures of one curvature
SEEN = 1e3  # times the rounding of an entry of the gradient: a change that is seen
WIDEST = 2.0**500  # of lengths, and its inverse the shortest: their squares are finite


def read_scale(x_scale: Any, start: Array) -> Array | None:
    """The lengths that ``x_scale=`` says, as powers of 2, of start's shape; None for none. Raises TypeError or ValueError."""
    if x_scale is None:
        return None
    if isinstance(x_scale, str):
        raise ValueError(f"x_scale: expected a number, an array of shape {start.shape} or None, got {shown(x_scale)}; give numbers")
    given = real_array(x_scale, "x_scale")
    if given.shape not in ((), (1,), start.shape):
        raise ValueError(f"x_scale: expected one number or an array of shape {start.shape}, got shape {given.shape}")
    wrong = given[~((given >= 1.0 / WIDEST) & (given <= WIDEST))]
    if wrong.size:
        raise ValueError(
            f"x_scale: expected lengths of parameters from 3e-151 to 3e150, as 1e-10 for metres in a molecule, got {wrong[0]:g}"
        )
    return in_twos(np.broadcast_to(given.reshape(() if given.size == 1 else start.shape), start.shape))


def in_twos(lengths: Array) -> Array:
    """The nearest powers of 2."""
    return np.ascontiguousarray(np.exp2(np.rint(np.log2(lengths))))


def spread(lengths: Array) -> float:
    """The largest over the smallest of those above 0; 1 where there is none."""
    some = lengths[(lengths > 0.0) & (lengths < math.inf)]
    return float(np.max(some) / np.min(some)) if some.size else 1.0


def powers_of(scale: Array | None) -> list[int]:
    """Lengths for a file."""
    return [] if scale is None else [int(power) for power in np.log2(scale).ravel()]


def scale_of_powers(powers: Any, start: Array) -> Array:
    """The same from a file, of start's shape. Raises TypeError or ValueError where there can be none such."""
    if not isinstance(powers, list) or len(powers) != start.size:
        raise ValueError(f"powers: expected {start.size} whole numbers, got {powers!r}")
    most = int(math.log2(WIDEST))
    whole = [check_whole(power, "powers", -most, most) for power in powers]
    return np.exp2(np.array(whole, np.float64)).reshape(start.shape)


def measured(
    gradient: Callable[[Array], Array], x: Array, grad: Array, box: tuple[Array, Array] | None, from_zero: bool,
    values: tuple[Callable[[Array], Any], float] | None = None,
) -> tuple[Array | None, int]:  # fmt: skip
    """(lengths of the parameters from the cost's curvature along each at a flat x, evaluations); None where too few show any. box: bounds,
    within which it is asked. from_zero: whether some began at 0, so that they tell little of their sizes. values: the cost, and its value
    at x, whose second differences stand for a gradient of differences, each entry of which takes evaluations."""
    lower, upper = (np.full(x.size, -np.inf), np.full(x.size, np.inf)) if box is None else box
    sizes, held, count = np.abs(x), lower == upper, 0
    least = float(np.min(sizes[sizes > 0.0], initial=1.0))
    bends = np.full(x.size, math.nan)

    def bend_of_values(cost: Callable[[Array], Any], middle: float, j: int, h: float) -> float:
        """The second difference of values over h, to one side where there is no room to both; NaN where rounding may hide it."""
        nonlocal count
        way = (1.0, -1.0) if lower[j] <= x[j] - h and x[j] + h <= upper[j] else (1.0, 2.0) if x[j] + 2.0 * h <= upper[j] else (-1.0, -2.0)
        points = [x + step * h * (np.arange(x.size) == j) for step in way]
        if not all(lower[j] <= at[j] <= upper[j] for at in points):
            return math.nan
        count += 2
        one, other = (math.nan if there is None else float(there) for there in (tried(cost, at) for at in points))
        change = abs(one + other - 2.0 * middle if sum(way) == 0.0 else middle + other - 2.0 * one)
        return change / h**2 if change > SEEN * EPS * max(abs(one), abs(other), abs(middle)) else math.nan

    def bend(j: int, h: float) -> float:
        """The slope of entry j of the gradient over h; NaN where rounding may hide it."""
        nonlocal count
        if values is not None:
            return bend_of_values(*values, j, h)
        at = x.copy()
        at[j] = x[j] + h if x[j] + h <= upper[j] else max(x[j] - h, lower[j])
        count += 1
        there = tried(gradient, at)
        change = math.nan if there is None else abs(float(there.ravel()[j]) - float(grad[j]))
        seen = change > SEEN * EPS * abs(float(grad[j])) and at[j] != x[j]
        return change / abs(float(at[j] - x[j])) if seen else math.nan

    for j in np.flatnonzero(~held).tolist():
        h = NEAR * (float(sizes[j]) or least)
        for _ in range(TIMES if from_zero else 2):
            one, other = bend(j, h), bend(j, 10.0 * h)
            if ALIKE * max(one, other) < min(one, other):
                bends[j] = other
                break
            h *= FARTHER
    if np.sum(bends > 0.0) < 2:
        return None, count
    lengths = 1.0 / np.sqrt(bends)
    ratios = (sizes / lengths)[(sizes > 0.0) & (bends > 0.0)]
    unit = float(np.max(ratios, initial=0.0)) or 1.0
    typical = unit * float(np.nanmedian(lengths))
    lengths = np.where(bends > 0.0, lengths * unit, np.where((sizes > 0.0) & ~held, sizes, typical))
    return in_twos(np.clip(lengths, 1.0 / WIDEST, WIDEST)), count
