"""Whether steps that are stable resolve how a solution swings: what dt="auto" is asked by those who meant "accurate".

In the plane of the slope f and of J f a solution that swings with one frequency obeys J^2 f = a J f + b f, and lambda^2 = a lambda + b has
the roots of that swing. J f and J^2 f are differences. Where the fit is not close there is more than one frequency, and nothing is said.

A step of length h multiplies the oscillation by R(h lambda), and the solution does by exp(h lambda): the steps of a run add up to a known
part of it, where f is linear.

Orbits and cycles whose J changes on the way obey no such equation. There some steps are taken in advance, and again half as long: what
relaxes forgets the difference, and where a solution swings it grows from step to step. That is asked where some mode turns by an angle that
counts in such a step, and where it takes a small part of the evaluations of the run. Of another part of the run, where steps are another
part of a turn, the difference is scaled by the power that errors of the method have.

A run of which nothing else is known, and that is not at rest at its end, is taken again in steps of half the length, where that takes no
more evaluations than it took itself, or few: where the two end is what the words are about then.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.stability.amplification import amplification
from mflow.stability.spectrum import Looks
from mflow.walls.crossed import crossed

__all__ = [
    "affordable",
    "compare",
    "cross",
    "few",
    "find",
    "most_again",
    "notice",
    "retrace",
    "settle",
    "swing",
    "words",
    "words_of_course",
    "words_of_motion",
]

AWAY = 1e-6  # of the size of the state: the length of differences
CLOSE = 0.05  # of J^2 f: how far from the plane it may be
TURNING = 0.7  # of |lambda|: the frequency of what is an oscillation; with less, next to nothing is left of it after one period
FEW = 10.0  # steps in each period, below which an oscillation is not followed
LEFT = 0.01  # of the fastest slope seen: what must be left at the end of an oscillation that counts
STRETCH, PIECE = 16, 4  # steps, at most, that are compared with twice as many of half their length; after so many there is a look at them
RARER = 8  # times as many steps lie before the next stretch, but where a step makes so much more of a turn
FASTER = 1.5
TURN = 3.5  # radians that some mode makes in a stretch: with less, nothing comes back
SHARE = 0.22  # of the evaluations of a run, that comparisons take
ASTRAY = 0.1  # of an oscillation: what steps change it by, from which on they do not follow it
ELSEWHERE = 0.06  # of how far the solution goes: a difference at the end, which may grow faster than in proportion to time
EVEN = 0.01  # relative change of a frequency that may be one of rounding
ENOUGH = 2000  # evaluations, which steps of half the length may take again, where that is at most twice what the run took
HARDLY = 1e-6  # of how far the component goes that goes farthest: others are looked at that go farther than this
FADED = 0.5  # of the largest difference in the first piece of a stretch: with less at its end, what relaxes forgets it
SLIGHT = 0.01  # the same of a first step, times the steps that are left: with less, nothing is compared
BENT = 1.6  # times as long as its span is the way of what swings, in a stretch; of half a circle it is 1.57
GROWING = 1.2  # from the middle of a stretch to its end: a difference that lasts
LOWEST = 1e-300  # as small as numbers may be, for logarithms
PART, LEAST = 4, 4  # a motion's last quarter, and the rows that are needed

Slope = Callable[[float, Array], Array]
Walk = Callable[[int], Iterator[Array]]


def swing(slope: Slope, t: float, y: Array, f: Array, jacobian: Array | None = None) -> complex:
    """The eigenvalue of the Jacobian, of the upper half plane, that f and J f belong to; 0 where there is no such pair. Two evaluations,
    where the Jacobian is not known."""
    length = AWAY * max(float(np.linalg.norm(y)), math.sqrt(y.size) * AWAY)
    size = float(np.linalg.norm(f))

    def times(v: Array) -> Array:
        if jacobian is not None:
            return np.asarray(jacobian @ v)
        moved = np.asarray(slope(t, y + length * v.reshape(y.shape)), dtype=np.float64)
        return (moved - f).ravel() * (1.0 / length)

    with np.errstate(all="ignore"):
        if not 0.0 < size < math.inf:
            return 0j
        unit = f.ravel() / size
        first = times(unit)
        turned = float(np.linalg.norm(first))
        if not 0.0 < turned < math.inf:
            return 0j
        second = times(first / turned) * turned
        base = np.stack([first, unit], axis=1)  # J f and f, of a slope of size 1
        if not (np.isfinite(second).all() and np.isfinite(base).all()):
            return 0j
        (a, b), *_ = np.linalg.lstsq(base, second, rcond=None)
        rest = float(np.linalg.norm(base @ (a, b) - second))
    if not rest <= CLOSE * float(np.linalg.norm(second)) or not a * a + 4.0 * b < 0.0:
        return 0j
    value = 0.5 * (float(a) + cmath.sqrt(float(a * a + 4.0 * b)))
    return value if value.imag > TURNING * abs(value) else 0j


def find(
    looks: Looks, slope: Slope, t: float, y: Array, f: Array, left: float, method: Method, step: float,
    jacobian: Array | None = None,
) -> None:  # fmt: skip
    """A look at where the run stands: what swings there, if the solution or steps of this length keep it for the time that is left, is
    `looks.ahead`."""
    size = float(np.linalg.norm(f))
    looks.ahead = looks.decay = 0.0
    if not size > LEFT * looks.fastest or not looks.swing > 0.0:
        return
    found = swing(slope, t, y, f, jacobian)
    kept = max(found.real * left, _grown(method, math.copysign(step, left) * found) * abs(left) / step)
    if size * math.exp(min(0.0, kept)) > LEFT * looks.fastest:
        looks.ahead, looks.decay = found.imag, found.real


def settle(looks: Looks, step: float, count: int, method: Method) -> None:
    """So many steps of this length have been taken from the last look on, for good."""
    turn = abs(step) * looks.ahead
    if turn > looks.turn:
        looks.turn, looks.omega = turn, looks.ahead
    if turn > 0.0 and count > 0:
        looks.drift += count * _drift(method, step * complex(looks.decay, looks.ahead))
    if looks.swing > 0.0 and count > 0:
        looks.swung += count * _errors(method, abs(step) * looks.swing)
    looks.ahead = looks.decay = 0.0


def notice(looks: Looks, swing: float) -> None:
    """The largest frequency of any mode is that, at a later look."""
    if abs(swing - looks.swing) > EVEN * swing:
        looks.uneven = 1


def _drift(method: Method, z: complex) -> float:
    """By what part of it a step changes an oscillation otherwise than the solution does; 1 of methods that choose their stages."""
    if "staged" in method.flags:
        return 1.0
    return min(1.0, float(abs(amplification(method, np.array([z]))[0] * cmath.exp(-z) - 1.0)))


def _grown(method: Method, z: complex) -> float:
    """The logarithm of what a step multiplies an oscillation by; -inf of methods that choose their stages."""
    return -math.inf if "staged" in method.flags else math.log(max(float(abs(amplification(method, np.array([z]))[0])), LOWEST))


def _errors(method: Method, turn: float) -> float:
    """What the errors of a step that makes this part of a turn are in proportion to."""
    return turn ** (method.order + 1)


def few(looks: Looks) -> bool:
    """Whether the steps so far are too few to follow what oscillates. More is known where f is linear in the state alone."""
    return looks.turn * FEW > 2.0 * math.pi and (looks.uneven > 0 or looks.drift > ASTRAY)


def affordable(looks: Looks, method: Method, step: float, k: int, left: int, evaluations: int) -> int:
    """How many steps may be compared before step k: 0 where that is not due, or takes too much of these evaluations and those ahead."""
    turn, each = abs(step) * looks.swing, max(1, method.record.stages)
    if not (k >= looks.compare or turn > FASTER * looks.met > 0.0):
        return 0
    allowed = SHARE * (evaluations - looks.spent + each * left) - looks.spent
    count = min(STRETCH, left, int(allowed / (3 * each))) // 2 * 2
    return count if count >= LEAST and count * turn > TURN else 0


def compare(looks: Looks, walk: Walk, method: Method, k: int, t: float, step: float, left: int, count: int) -> None:
    """Whether the next steps, `count` before step k at t, lead where steps of half their length do; `looks.astray` is by how much they do
    not.

    walk : parts -> the states from here on, each step in so many parts. left : steps to the end.
    """
    turn = abs(step) * looks.swing
    looks.compare, looks.met = max(STRETCH, RARER * k), turn
    walks = walk(1), walk(2)
    whole, parts = ([*islice(one, n)] for one, n in zip(walks, (2, 3), strict=True))
    if len(whole) < 2 or len(parts) < 3:
        return
    apart, way = (float(np.linalg.norm(a - b)) for a, b in ((whole[-1], parts[-1]), (whole[-1], whole[0])))
    if not apart * left > SLIGHT * way:
        return
    while len(whole) <= count:
        reached = min(len(whole) + PIECE, count + 1)
        whole += islice(walks[0], reached - len(whole))
        parts += islice(walks[1], 2 * reached - 1 - len(parts))
        if len(whole) < reached or len(parts) < 2 * reached - 1 or not np.isfinite(parts[-1]).all():
            return
        apart_by = np.linalg.norm(np.array(whole) - np.array(parts[::2]), axis=1)
        if not apart_by[-1] > FADED * np.max(apart_by):
            return
    _judge(looks, apart_by, np.array(parts), count, t, left, _errors(method, turn))


def _judge(looks: Looks, apart_by: Array, parts: Array, count: int, t: float, left: int, errors: float) -> None:
    """From how far these steps lead from others, the parts of them: how far the run does."""
    middle, end = float(np.max(apart_by[: count // 2 + 1])), float(np.max(apart_by))
    moves = np.linalg.norm(np.diff(parts, axis=0), axis=1)
    size, way = float(np.max(np.linalg.norm(parts - parts[0], axis=1))), float(np.sum(moves))
    if not way > BENT * size or not end > GROWING * middle:
        return
    rate = (end - middle) * 2.0 / (count * size * errors)
    if rate > looks.astray:
        looks.astray, looks.apart, looks.place = rate, max(0.0, end / size - rate * count * errors), t
    fading = float(np.max(moves[count:])) / float(np.max(moves))  # in half of the stretch
    looks.lasting = max(looks.lasting, looks.slope / looks.fastest * fading ** (2.0 * left / count))


def cross(looks: Looks, slope: Slope, t0: float, t: float, y: Array, start: Array) -> None:
    """Whether a component has a sign that it cannot have."""
    looks.crossed = crossed(slope, t0, t, y, start) + 1


def words_of_course(looks: Looks) -> str:
    """Words, where the run looks otherwise than a solution: by `cross`, by `compare`, by `settle`, then by `retrace`; ""."""
    stays = max(looks.lasting, looks.slope / looks.fastest if looks.fastest > 0.0 else 0.0) > LEFT  # what has come to rest has forgotten it
    if looks.crossed > 0:
        why = f"component {looks.crossed - 1} has changed its sign, which no solution does, as its slope is 0 where it is 0"
    elif looks.astray > 0.0 and looks.apart + looks.astray * looks.swung > ELSEWHERE and stays:
        why = f"from t = {looks.place:.3g} on, steps of half their length lead elsewhere"
    elif looks.drift > ASTRAY:
        why = (
            f"{_subject(looks.uneven)} with a period of about {2.0 * math.pi / looks.omega:.3g}, and the errors of all steps add up to "
            f"about {min(looks.drift, 1.0):.2g} of that oscillation"
        )
    elif looks.missed > ELSEWHERE:
        why = f"steps of half their length end elsewhere, by {looks.missed:.2g} of how far a component goes"
    else:
        return ""
    return f'dt = "auto" gives steps that are stable, not accurate ones: {why}; give rtol= in place of dt, or a smaller dt'


def most_again(evaluations: int) -> int:
    """How many evaluations a run of so many may take again."""
    return max(evaluations, min(2 * evaluations, ENOUGH))


def retrace(looks: Looks, again: Callable[[], tuple[Array, Array] | None], end: Array) -> None:
    """How far from where steps of half the length end the run does, in the component where that is the largest part of its own way; where
    the run is not at rest at its end. again : -> where those steps end, and how far from the start each component has been; or None."""
    if words_of_course(looks) or not looks.slope > LEFT * looks.fastest:
        return
    other = again()
    if other is None or not np.isfinite(other).all():
        return
    there, way = other
    counts = way > HARDLY * np.max(way, initial=0.0)
    looks.missed = float(np.max(np.abs(there - end)[counts] / way[counts], initial=0.0))


def _subject(uneven: int) -> str:
    """What has the frequency that was seen. Where the Jacobian changes, it is not the solution's: a relaxation oscillation has one period,
    and what lies beside it turns much faster at one place, and not at all at another."""
    return "linearized about a state on the way, the equation oscillates" if uneven else "the solution oscillates"


def words(turn: float, omega: float, other: str = "rtol= in place of dt, or ", uneven: int = 0) -> str:
    """Words, where what oscillates with this frequency turns so far in a step, in radians; "" where that is not far. other : than dt.
    uneven : as in `Looks`."""
    if not turn * FEW > 2.0 * math.pi:
        return ""
    period = 2.0 * math.pi / omega
    return (
        f'dt = "auto" gives steps that are stable, not accurate ones: {_subject(uneven)} with a period of about {period:.3g}, and '
        f"there are {2.0 * math.pi / turn:.2g} steps in each, too few to follow it; give {other}dt = {0.05 * period:.2g}"
    )


def words_of_motion(step: float, x: Array, v: Array, a: Array) -> str:
    """The same of a motion by fixed steps, (n, times), from what is left of it in its last part: a harmonic oscillation round any state has
    accelerations of -omega^2 (x - mean), and a decay has them on the side of x."""
    part = slice(-max(x.shape[-1] // PART, LEAST), None)
    speed = np.sqrt(np.sum(np.ldexp(v, -_power(v)).reshape(-1, v.shape[-1]) ** 2, axis=0))
    if x.shape[-1] < LEAST or not np.all(np.isfinite(speed)) or not np.max(speed[part]) > LEFT * np.max(speed):
        return ""
    x, a = (one[..., part] - np.mean(one[..., part], axis=-1, keepdims=True) for one in (x, a))
    with np.errstate(all="ignore"):
        x, a = np.ldexp(x, -_power(x)), np.ldexp(a, -_power(x))
        square = -float(np.vdot(a, x)) / float(np.vdot(x, x)) if x.any() else 0.0
    return words(abs(step) * math.sqrt(square), math.sqrt(square), other="") if 0.0 < square < math.inf else ""


def _power(numbers: Array) -> int:
    """Of 2, which the largest number is divided by where squares are taken: those of tiny and huge numbers have none."""
    return math.frexp(float(np.max(np.abs(numbers), initial=0.0)))[1]
