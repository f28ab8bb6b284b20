"""Whether fixed steps have left the closed orbit of a solution that swings undamped, by methods that let every oscillation grow.

Of a nonlinear oscillation the eigenvalues of one state tell little: of an orbit some are real. But where the solution through the start
comes back to it, and f does not depend on time, all that it ever does is to go round that closed curve, and a run that ends beside it is
wrong. The curve is followed by the classical rk4, in steps of its own, once round.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.course.past_step import by_short_steps
from mflow.course.turns import most_again
from mflow.stability import spectrum

__all__ = ["Orbit", "may_leave", "orbit_left"]

MOST, LEAST = spectrum.ITERATIONS, 16  # components, whose eigenvalues are all known; and steps, with which less is not worth it
PARTS, ROUNDS = 80, 4  # steps of rk4 in the period of the fastest mode, which may be so much shorter than the time once round
TURNING, EVEN = 0.7, 0.01  # of |lambda|: the frequency of an oscillation; and the sum of all where they cancel, as beside a saddle
BESIDE = 0.5  # of the width of the orbit, in a component: how far from it a run ends that has left it; of a circle it is twice as wide then
CLOSED = 0.1  # of that: how far the solution may be from the curve after all rounds of the run
NEXT_TO_NONE = 0.01  # of an oscillation, in radians a step: the limit of methods that let all of them grow
FADED = 0.01  # of the start: what is left of a decay
NONE = 1e-12  # of the largest component: narrower ones stand still


class Orbit(NamedTuple):
    """A closed orbit that a run has left: its period, and how far the run ends from it, in widths of it."""

    period: float
    beside: float


def may_leave(method: Method, start: Array, end: Array, steps: int) -> bool:
    """Whether a run is looked at for a closed orbit that it has left: cheap beside the run, of methods whose limit for oscillations is
    next to 0, where it has not faded."""
    if not (1 < start.size <= MOST and steps >= LEAST and largest(end) > FADED * largest(start)):
        return False
    return spectrum.axis_limits(method)[1] < NEXT_TO_NONE


def orbit_left(probe: stepper.Run, start: Array, end: Array, t: float, h: float, steps: int, evaluations: int) -> Orbit | None:
    """The closed orbit of the solution through `start`, where a run of so many steps of length h, that is at `end` at t, is beside it; None
    where there is none, or f depends on time. evaluations : of the run, which bound those of the probe."""
    t0, span = t - steps * h, steps * h
    slope = probe.slope(t0, start)
    if not np.any(slope) or not np.array_equal(slope, probe.slope(t, start)):
        return None
    values = spectrum.spectrum(probe.slope, t0, start).values
    turns = np.any(np.abs(values.imag) > TURNING * np.abs(values))
    if not turns and not abs(np.sum(values)) < EVEN * np.sum(np.abs(values)):
        return None
    fastest = 2.0 * math.pi / float(np.max(np.abs(values)))
    rounds = min(ROUNDS, abs(span) / fastest, most_again(evaluations) / (4 * PARTS))
    found = _once_round(probe, start, slope, math.copysign(fastest / PARTS, h), int(rounds * PARTS))
    if found is None:
        return None
    curve, width, period = found
    gap = float(np.max(np.abs(curve[-1] - curve[0]) / width))
    beside = _distance(curve / width, end.ravel() / width)
    drift = gap * abs(span) / period
    return Orbit(period, beside) if beside > BESIDE and drift < CLOSED * beside else None


def _once_round(probe: stepper.Run, start: Array, slope: Array, d: float, most: int) -> tuple[Array, Array, float] | None:
    """The states of the solution until it passes the start again; how wide what it goes round is in each component, inf where that is
    rounding; and its period. None where it does not in so many steps. What it passes is the plane across its first slope."""
    first, rows, z = start.ravel(), [start.ravel()], start
    for piece in range(1, math.ceil(most * 4 / PARTS) + 1):
        for _ in range(min(piece * PARTS // 4, most) + 1 - len(rows)):
            z = by_short_steps(probe, (0.0, z, d), 1)
            rows.append(z.ravel())
        states = np.array(rows)
        if not np.all(np.isfinite(states)):
            return None
        width = np.ptp(states, axis=0)
        width[width <= NONE * np.max(np.abs(states))] = math.inf
        ahead = (states - first) / width @ (math.copysign(1.0, d) * slope.ravel() / width)
        passed = np.flatnonzero((ahead[1:-1] < 0.0) & (ahead[2:] >= 0.0)) + 1
        if passed.size:
            k = int(passed[0])
            part = _part_up_to(probe, states[k].reshape(start.shape), first, slope.ravel() / width**2, d)
            last = by_short_steps(probe, (0.0, states[k].reshape(start.shape), part), 1).ravel()
            return np.vstack([states[: k + 1], last]), width, abs(k * d + part)
    return None


def _part_up_to(probe: stepper.Run, z: Array, first: Array, normal: Array, d: float) -> float:
    """The length of a step from z to the plane through `first`, which one of length d leads across."""
    low, high = 0.0, d
    values = [float((z.ravel() - first) @ normal), float((by_short_steps(probe, (0.0, z, d), 1).ravel() - first) @ normal)]
    for _ in range(6):  # secants, which end at once where the two are equal
        if values[1] == values[0]:
            break
        low, high = high, high - values[1] * (high - low) / (values[1] - values[0])
        values = [values[1], float((by_short_steps(probe, (0.0, z, high), 1).ravel() - first) @ normal)]
    return high


def _distance(curve: Array, end: Array) -> float:
    """Of a point from a curve of short pieces, in the component where it is the largest."""
    way = np.diff(curve, axis=0)
    length = np.maximum(np.sum(way**2, axis=1), 1e-300)
    part = np.clip(np.sum((end - curve[:-1]) * way, axis=1) / length, 0.0, 1.0)
    return float(np.min(np.max(np.abs(curve[:-1] + part[:, None] * way - end), axis=1)))
