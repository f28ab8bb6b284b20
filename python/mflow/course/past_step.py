"""Whether one step of an explicit method is past its stability limit: what is measured around it, and compared with shorter ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.problems.problem import rhs_problem
from mflow_core.registry import MethodRecord
from mflow_core.stepping import stepper
from mflow_core.stepping.watch.past import UNTIL

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method
from mflow.stability import spectrum
from mflow.stability.amplification import amplification
from mflow.stability.limits import first_to_fail, stiff_method

__all__ = [
    "EDGE", "SEEN", "Finding", "Judge", "Seen", "Step", "affordable", "by_short_steps", "edge_of", "finding_of", "has_limit", "look_back",
]  # fmt: skip

EDGE = 0.9  # of the limit, at which a secant of the slopes counts: round a cycle of two steps it is the limit itself
FLIP = 2.0  # the secant round a cycle of two Euler steps, which the first stages of some methods are, however far f is flat on both sides
CHEAP, SHARE = 50, 0.05  # evaluations of measurements, and their share of the run's, beyond which no other one begins
OUTSIDE = 1.005  # |R| of a mode, or of one that grows by itself over its own growth, above which steps are past the limit
TRUSTED = 0.2  # residual of an eigenvalue, relative to it
APART, SEEN = 0.2, 0.01  # of the way of a step, and of a component: how far from the solution one past the limit leads
SLIGHT = 0.1  # of the latter: how far a step may lead apart and still begin a run that is wrong later on
POWERS = 3  # of h J along the way of a step, each of which is richer in its fast modes
GROWN = 1e6  # times the start: a state so large, in steps past the limit, is theirs
TINY = 1e-10  # of the largest component: smaller ones do not count
PARTS = (0.25, 0.5, 0.75)  # of the way of a step, where the Jacobian is looked at: f may be flat at both ends
FEW = 10  # components, up to which eigenvalues take fewer evaluations than a solution that is known to be accurate
SETTLED = 0.1  # relative difference of two such ways, one of half the steps
OVER = 4.0  # steps, in which a state is looked for at which the solution ends: stages lead as far
IMPLICIT, DIFFERENCE = (8, 16), 1.5e-8  # parts of a step in which implicit steps follow it; of the state, for their Jacobians
COARSE, FINEST = 8, 64  # parts of a step that show where the solution leads: at most at first, and at most


def edge_of(method: Method) -> float:
    """The h |lambda| between two slopes from which on a look counts."""
    return EDGE * min(spectrum.axis_limits(method)[0], FLIP)


class Step(NamedTuple):
    """A step of the run: where it begins, and its length."""

    t: float
    y: Array
    h: float


class Seen(NamedTuple):
    """What is left of looks at a run that is over: its steepest step, h |lambda| between two slopes of that, and where it was some steps
    behind."""

    t: float
    y: Array
    h: float
    steep: float
    t_after: float
    y_after: Array


class Finding(NamedTuple):
    """Steps past the limit: what it is there, and what is said of it. parts: of a step, in which rk4 follows the solution. limit 0: the
    solution ends, or no step is stable, which needs no other look."""

    limit: float
    text: str
    parts: int = 0


class Judge:
    """What is measured around single steps of a method. probe: a run of it on the problem, which is asked for slopes and steps.

    start : the state that the run began at, the measure of a component. inside : whether the last eigenvalues that were measured are all
    within the limit; None where there are none.
    """

    inside: bool | None = None

    def __init__(self, method: Method, start: Array, symmetric: bool = False) -> None:
        self.method, self.start, self.symmetric = method, start, symmetric

    def find(self, probe: stepper.Run, step: Step, steep: float, share: float = SLIGHT) -> Finding | None:
        """What is to be said of this step, if it is past the limit. steep: h |lambda| between its slopes. share: see `_is_apart`."""
        t, y, h = step
        slope = probe.slope(t, y)
        if not np.array_equal(slope, probe.slope(t, y)):
            return None  # it is another one at each call
        from mflow.walls.jumps import end_words  # where a step is that steep

        if text := end_words(probe.slope, t, y, h, most=OVER, width=abs(h)):
            return Finding(0.0, f"{text}. Steps of dt = {abs(h):g} go on from it, and what they return behind it means nothing")
        end, parts = probe.trial(h), int(min(max(3.0, math.ceil(steep)), COARSE))
        z, way = by_short_steps(probe, step, parts), [y + part * (end - y) for part in PARTS]
        if not np.all(np.isfinite(end)) or not self._is_apart(step, end, z, 0.5 * SLIGHT):
            return None
        at_start, on_way, at_end = (0.0, y), [*zip(PARTS, way, strict=True), (1.0, end)], [(0.5, 0.5 * (y + z)), (1.0, z)]
        if y.size <= FEW and not self._outside(probe, step, [at_start, *on_way, *at_end]):
            self.inside = True
            return None
        z, parts = _settled(probe, step, steep)
        if parts == 0 or not self._is_apart(step, end, z, share):
            return None
        on_path = self._outside(probe, step, [at_start, (0.5, 0.5 * (y + z)), (1.0, z)])
        value = on_path or self._outside(probe, step, on_way)
        self.inside = not value
        found = self.of_limit(t, h, value)  # what is named is a place that the solution comes to, where that will do
        return None if found is None else found._replace(parts=parts)

    def steepness(self, probe: stepper.Run, step: Step, seen: float) -> float:
        """h |lambda| along the way of a step. seen : what its look has found, which holds how f changes with time as well: it is returned
        where f does not, and where f has no values nearby."""
        t, y, h = step
        ends = [(at, np.array(probe.slope(at, y))) for at in (t, t + h)]
        if np.array_equal(ends[0][1], ends[1][1]):
            return seen
        largest = 0.0
        for at, slope in ends:
            way = h * slope
            for _ in range(POWERS):
                if not np.any(way):
                    break
                moved = y + way
                change = np.array(probe.slope(at, moved)) - slope
                if not np.all(np.isfinite(change)):
                    return seen
                weight = 1.0 / (y**2 + moved**2 + (h * slope) ** 2 + (h * change) ** 2 + 1e-300)  # each in units of itself, as in a look
                each = math.sqrt(float(np.sum(change**2 * weight)) / float(np.sum(way**2 * weight)))
                largest = max(largest, abs(h) * each, abs(h) * float(np.linalg.norm(change) / np.linalg.norm(way)))
                way = h * change
        return largest

    def look_around(self, probe: stepper.Run, step: Step) -> None:
        """Measures the eigenvalues in several places on the way of a step."""
        end = probe.trial(step.h)
        self.inside = not self._outside(probe, step, [(0.0, step.y), (0.5, 0.5 * (step.y + end)), (1.0, end)])

    def _outside(self, probe: stepper.Run, step: Step, places: list[tuple[float, Array]]) -> complex:
        """The largest eigenvalue at these parts of a step, and states, that it is past the limit for; 0 where it is stable for all that are
        known. A step of one stage asks for no later time than that it begins at."""
        largest, reaches = 0j, 0.0 if self.method.record.stages == 1 else step.h
        for part, at in places:
            found = spectrum.spectrum(probe.slope, step.t + part * reaches, at, symmetric=self.symmetric)
            values = found.values[found.residuals <= TRUSTED * np.abs(found.values)]
            if not found.reason and values.size:
                over = np.abs(amplification(self.method, step.h * values)) / _own_growth(step.h * values)
                worst = int(np.argmax(over))
                largest = max(largest, complex(values[worst]) if over[worst] > OUTSIDE else 0j, key=abs)
        return largest

    def of_limit(self, t: float, h: float, value: complex) -> Finding | None:
        """Words for steps past the limit that an eigenvalue sets; None where it sets none below them."""
        limit = float(first_to_fail(self.method, np.array([math.copysign(1.0, h) * value]))[0])
        name, size = self.method.name, f"for errors that change at a rate of about {abs(value):.3g}"
        if not 0.0 < limit < abs(h):  # 0 is none that is outside
            return None
        return Finding(
            limit,
            f"near t = {t:g} dt = {abs(h):g} exceeds the stability limit of {name}, which is about {limit:.3g} there ({size}), by a "
            f"factor of about {abs(h) / limit:.4g}: steps go where the solution does not, and what is returned from there on may be far "
            f"from it. Take dt = {0.5 * limit:.2g} or less (elsewhere the limit may be lower), error control (rtol= in place of dt=), or "
            f"method={stiff_method()!r}",
        )

    def reaches(self, step: Step, t: float) -> bool:
        """Whether the solution through the start of that step is followed up to t; it takes too long where many steps lie between."""
        return abs(t - step.t) <= 2 * UNTIL * abs(step.h)

    def stays_elsewhere(self, probe: stepper.Run, step: Step, t: float, y: Array, parts: int) -> bool:
        """Whether the run, at y by now, has not come back to the solution through the start of that step."""
        way = t - step.t
        if not self.reaches(step, t):
            return False  # not known
        z = by_short_steps(probe, Step(step.t, step.y, way), max(4, math.ceil(0.5 * parts * abs(way / step.h))))
        return bool(np.all(np.isfinite(z))) and self._is_apart(step, y, z)

    def _is_apart(self, step: Step, end: Array, z: Array, share: float = 1.0) -> bool:
        """Whether steps from here lead elsewhere, to `end`, than the solution does, to z, by this share of what is `SEEN`."""
        apart, way = np.abs(end - z), np.maximum(np.abs(end - step.y), np.abs(z - step.y))
        size = np.maximum(np.maximum(np.abs(step.y), np.abs(end)), np.maximum(np.abs(z), np.abs(self.start)))
        size = np.maximum(size, TINY * float(np.max(size, initial=0.0)))
        return not np.all((apart <= APART * way) | (apart <= share * SEEN * size))  # z may be NaN: not known


def affordable(spent: int, evaluations: int) -> bool:
    """Whether another measurement may begin, after others that took `spent` evaluations beside these ones of the run."""
    return spent <= max(CHEAP, SHARE * evaluations)


@functools.cache
def has_limit(record: MethodRecord) -> bool:
    """Whether fixed steps of the method have a limit that looks in passing can tell of: none of it measures the Jacobian itself."""
    return "linear" in record.flags and not record.flags & {"implicit", "multistep", "needs_rho", "second_order"}


def look_back(method: Method, slope: Callable[[float, Array], Array], start: Array, seen: Seen) -> tuple[str, int]:
    """Words, where the steepest step of a run that is over led past the limit, and the run did not come back; and evaluations."""
    judge, step = Judge(method, start), Step(seen.t, seen.y, seen.h)
    probe = stepper.Run(method.record, rhs_problem(slope, seen.y.shape, (), False), seen.y, seen.t, seen.h, method.numbers)
    try:
        with np.errstate(all="ignore"):
            found = judge.find(probe, step, seen.steep)
            grown = largest(seen.y) > GROWN * max(1.0, largest(start))  # and may decay, as the solution from there does
            stays = found is not None and (
                found.limit == 0.0 or grown or judge.stays_elsewhere(probe, step, seen.t_after, seen.y_after, found.parts)
            )
    except Exception:
        return "", int(probe.nfev)  # fun has no values around the step
    return found.text if found is not None and stays else "", int(probe.nfev)


def finding_of(saved: Any) -> Finding | None:
    """What a checkpoint kept of one. Raises TypeError or ValueError where it is none."""
    if saved is None:
        return None
    limit, text, parts = saved
    if not isinstance(text, str) or isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0.0 <= limit < math.inf:
        raise ValueError(f"past: first: expected a limit and what is said of it, got {saved!r}")
    return Finding(float(limit), text, check_whole(parts, "past: parts", 1, FINEST))


def _own_growth(z: Any) -> Any:
    """By how much a mode grows by itself in a step; 1 where it decays."""
    return np.maximum(1.0, np.exp(np.minimum(z.real, 700.0)))


def _settled(probe: stepper.Run, step: Step, steep: float) -> tuple[Array, int]:
    """Where the solution leads in a step, and in how many parts of it rk4 does; 0 where that is not known, as the solution runs off. Where
    modes are faster than so many parts follow, by implicit steps, of few components."""
    parts, before = int(min(max(4.0, math.ceil(steep)), COARSE)), np.full_like(step.y, math.nan)
    while True:
        z = by_short_steps(probe, step, parts)
        if np.all(np.abs(z - before) <= SETTLED * np.maximum(np.abs(z - step.y), SEEN * np.abs(z))):
            return z, parts
        if parts >= FINEST:
            return _by_implicit_steps(probe, step)
        parts, before = 2 * parts, z


def _by_implicit_steps(probe: stepper.Run, step: Step) -> tuple[Array, int]:
    """Where the backward Euler method leads in a step, with one Newton iteration in each of its parts, whose Jacobians are differences, if
    twice as many parts lead to about the same; and how many they are, 0 where that is not known."""
    ends = []
    for parts in IMPLICIT if step.y.size <= FEW else ():
        t, y, d = step.t, step.y.ravel(), step.h / parts
        for k in range(1, parts + 1):
            at = t + k * d
            base = probe.slope(at, y.reshape(step.y.shape)).ravel()
            length = DIFFERENCE * max(float(np.max(np.abs(y))), 1e-3 * float(np.max(np.abs(step.y))), TINY)
            moved = [probe.slope(at, (y + length * unit).reshape(step.y.shape)).ravel() for unit in np.eye(y.size)]
            matrix = np.eye(y.size) - d * (np.stack(moved, axis=1) - base[:, None]) / length
            if not np.all(np.isfinite(matrix)):
                return step.y, 0
            y = y + np.linalg.solve(matrix, d * base)
        ends.append(y.reshape(step.y.shape))
    if not ends or not np.all(np.abs(ends[1] - ends[0]) <= SETTLED * np.maximum(np.abs(ends[1] - step.y), SEEN * np.abs(ends[1]))):
        return step.y, 0
    return ends[1], FINEST


def by_short_steps(probe: stepper.Run, step: tuple[float, Array, float], parts: int) -> Array:
    """Where the classical rk4 leads in a step, in so many parts."""
    t, y, h = step
    d = h / parts
    for k in range(parts):
        at = t + k * d
        k1 = probe.slope(at, y)
        k2 = probe.slope(at + 0.5 * d, y + 0.5 * d * k1)
        k3 = probe.slope(at + 0.5 * d, y + 0.5 * d * k2)
        k4 = probe.slope(at + d, y + d * k3)
        y = y + d / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
    return y
