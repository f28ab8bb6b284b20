"""Whether steps that are stable resolve how a solution swings: what dt="auto" is asked by those who meant "accurate".

In the plane of the slope f and of J f a solution that swings with one frequency obeys J^2 f = a J f + b f, and lambda^2 = a lambda + b has
the roots of that swing. J f and J^2 f are differences. Where the fit is not close there is more than one frequency, and nothing is said.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.stability.spectrum import Looks

__all__ = ["FEW", "find", "settle", "swing", "words", "words_of_motion"]

AWAY = 1e-6  # of the size of the state: the length of differences
CLOSE = 0.05  # of J^2 f: how far from the plane it may be
TURNING = 0.7  # of |lambda|: the frequency of what is an oscillation; with less, next to nothing is left of it after one period
FEW = 10.0  # steps in each period, below which an oscillation is not followed
LEFT = 0.01  # of the fastest slope seen: what must be left at the end of an oscillation that counts
PART, LEAST = 4, 4  # a motion's last quarter, and the rows that are needed

Slope = Callable[[float, Array], Array]


def swing(slope: Slope, t: float, y: Array, f: Array) -> complex:
    """The eigenvalue of the Jacobian, of the upper half plane, that f and J f belong to; 0 where there is no such pair. Two evaluations."""
    length = AWAY * max(float(np.linalg.norm(y)), math.sqrt(y.size) * AWAY)
    size = float(np.linalg.norm(f))
    with np.errstate(all="ignore"):
        if not 0.0 < size < math.inf:
            return 0j
        first = (np.asarray(slope(t, y + (length / size) * f), dtype=np.float64) - f).ravel() * (1.0 / length)
        turned = float(np.linalg.norm(first))
        if not 0.0 < turned < math.inf:
            return 0j
        second = (np.asarray(slope(t, y + (length / turned) * first.reshape(y.shape)), dtype=np.float64) - f).ravel() * (turned / length)
        base = np.stack([first, f.ravel() / size], axis=1)  # J f and f, of a slope of size 1
        if not (np.isfinite(second).all() and np.isfinite(base).all()):
            return 0j
        (a, b), *_ = np.linalg.lstsq(base, second, rcond=None)
        rest = float(np.linalg.norm(base @ (a, b) - second))
    if not rest <= CLOSE * float(np.linalg.norm(second)) or not a * a + 4.0 * b < 0.0:
        return 0j
    value = 0.5 * (float(a) + cmath.sqrt(float(a * a + 4.0 * b)))
    return value if value.imag > TURNING * abs(value) else 0j


def find(looks: Looks, slope: Slope, t: float, y: Array, f: Array, left: float) -> None:
    """A look at where the run stands: what swings there, if it is still there in the time that is left, is `looks.ahead`."""
    size = float(np.linalg.norm(f))
    looks.ahead = 0.0
    looks.fastest = max(looks.fastest, size if size < math.inf else 0.0)
    if not size > LEFT * looks.fastest:
        return
    found = swing(slope, t, y, f)
    if size * math.exp(min(0.0, found.real * left)) > LEFT * looks.fastest:
        looks.ahead = found.imag


def settle(looks: Looks, step: float) -> None:
    """Steps of this length have been taken from the last look on, for good."""
    turn = abs(step) * looks.ahead
    if turn > looks.turn:
        looks.turn, looks.omega = turn, looks.ahead
    looks.ahead = 0.0


def words(turn: float, omega: float, other: str = "rtol= in place of dt, or ") -> str:
    """Words, where what oscillates with this frequency turns so far in a step, in radians; "" where that is not far. other : than dt."""
    if not turn * FEW > 2.0 * math.pi:
        return ""
    period = 2.0 * math.pi / omega
    return (
        f'dt = "auto" gives steps that are stable, not accurate ones: the solution oscillates with a period of about {period:.3g}, and '
        f"there are {2.0 * math.pi / turn:.2g} steps in each, too few to follow it; give {other}dt = {0.05 * period:.2g}"
    )


def words_of_motion(step: float, x: Array, v: Array, a: Array) -> str:
    """The same of a motion by fixed steps, (n, times), from what is left of it in its last part: a harmonic oscillation round any state has
    accelerations of -omega^2 (x - mean), and a decay has them on the side of x."""
    part = slice(-max(x.shape[-1] // PART, LEAST), None)
    speed = np.sqrt(np.sum(v.reshape(-1, v.shape[-1]) ** 2, axis=0))
    if x.shape[-1] < LEAST or not np.all(np.isfinite(speed)) or not np.max(speed[part]) > LEFT * np.max(speed):
        return ""
    x, a = (one[..., part] - np.mean(one[..., part], axis=-1, keepdims=True) for one in (x, a))
    with np.errstate(all="ignore"):
        square = -float(np.vdot(a, x)) / float(np.vdot(x, x))
    return words(abs(step) * math.sqrt(square), math.sqrt(square), other="") if 0.0 < square < math.inf else ""
