"""Whether fixed steps of an explicit method are past its stability limit, where nothing overflows.

Past the limit the fast modes of a problem grow. Where f saturates they go back and forth without end, or come to rest where f is not 0;
where f is steep in one place only, one step leads past it, into a place where the run goes on smoothly and wrong. Every number stays finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method
from mflow.base.telling import tell
from mflow.course.legs import stiff_method
from mflow.stability import spectrum
from mflow.stability.amplification import amplification
from mflow.stability.limits import first_to_fail

__all__ = ["EDGE", "SEEN", "PastLimit"]

EDGE = 0.9  # of the limit, at which a secant of the slopes counts: round a cycle of two steps it is the limit itself
FLIP = 2.0  # the secant round a cycle of two Euler steps, which the first stages of some methods are, however far f is flat on both sides
RARER, STEEPER = 4, 1.4  # times as many looks are due a measurement, after each one that finds nothing, or one that is so much steeper
MANY = 2**62  # of looks, and of evaluations
WAIT, UNTIL = 4, 8  # steps from a measurement that finds something to the next look, and to the verdict
CHEAP, SHARE = 150, 0.25  # evaluations of measurements, and their share of the run's, beyond which no other one begins
OUTSIDE = 1.005  # |R| of a mode, or of one that grows by itself over its own growth, above which steps are past the limit
FAR_OUTSIDE = 1.2  # where the state does not come to, as inside of a step that comes to rest where f is not 0
TRUSTED = 0.2  # residual of an eigenvalue, relative to it
APART, SEEN = 0.2, 0.01  # of the way of a step, and of a component: how far from the solution one past the limit leads
SLIGHT = 0.1  # of the latter: by so little may the step begin that leads past where f is steep, and is wrong later on
TINY = 1e-10  # of the largest component: smaller ones do not count
TENFOLD = 10.0  # a state that has grown by this may have done so by what the steps alone do to an oscillation
SWINGS, NEARBY = 0.5, 1e-7  # of the largest component: the least that an oscillation makes up of it, and the way of a difference
PARTS = (0.5, 0.25, 0.75)  # of the way of a step, and of an Euler step, where the Jacobian is looked at: f may be flat at both ends
SETTLED = 0.1  # relative difference of two such ways, one of half the steps
COARSE, FINEST = 8, 64  # parts of a step that show where the solution leads: at most at first, and at most


Measured = TypeVar("Measured")


class Step(NamedTuple):
    """A step of the run: where it begins, and its length."""

    t: float
    y: Array
    h: float


class Finding(NamedTuple):
    """Steps past the limit: what it is there, and what is told of it. parts: of a step, in which rk4 follows the solution."""

    limit: float
    text: str
    parts: int = 0


class PastLimit:
    """Whether the fixed steps of an explicit method are past its stability limit, where nothing overflows.

    Looks in passing (watch/past.pyx) take no evaluation. Where one is at the edge, the step that it was taken in is compared with shorter
    ones, and the eigenvalues of the Jacobian are measured around it: it is past the limit where a mode that the solution damps grows, and
    where the step leads elsewhere than the solution, by a share of its way and by a hundredth of a component. Both are asked for: modes
    that decay at once may be outside without harm until they grow, and an inaccurate step need not be unstable. It is told of where
    another step, some steps later, is found to be the same, or where the run has not come back to the solution by then, so that a
    transient that comes back within the limit is not.

    due : the status of a loop after which `look` is called. text : the words, "" until there are any. evaluations : of measurements, none
    of them the run's. inside : whether the last eigenvalues that were measured are all within the limit; None where there are none.
    """

    text, evaluations = "", 0
    patience = 1  # how many looks at the edge are due a measurement
    inside: bool | None = None
    first: Finding | None = None  # what has been found, and is not told yet
    mark: Step | None = None  # the step that it was found at

    def __init__(self, run: stepper.Run, method: Method, start: Array, symmetric: bool = False) -> None:
        from mflow_core.stepping.watch import past  # where there are such steps

        self.run, self.method, self.symmetric, self.watch, self.due = run, method, symmetric, past.Past(run), past.DUE
        self.start = start

    @classmethod
    def of(cls, run: stepper.Run, method: Method, start: Array, symmetric: bool = False) -> PastLimit | None:
        """None for methods that have no such limit, or that measure the Jacobian themselves."""
        if "linear" not in method.flags or method.flags & {"implicit", "multistep", "needs_rho", "second_order"}:
            return None
        return cls(run, method, start, symmetric)

    def begin(self) -> None:
        """The run has been moved: what comes is compared with nothing before."""
        if not self.text:
            self.watch.begin()

    # ---- when to measure ------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Enough looks were at the edge, the time for a verdict has come, or the run is over."""
        edge, steep = EDGE * min(spectrum.axis_limits(self.method)[0], FLIP), self.watch.steepest
        if steep < edge and self.first is None:
            self.watch.ask(edge, self.patience)
            return
        step = self.watch.start if steep >= edge else None
        if self.first is None:
            self._look_first(edge, steep, step)
            return
        found = None if step is None else self._measure(self._find, Step(*step))
        if found is not None:
            self._tell(min(self.first, found))
        elif self.mark is not None and not self.watch.moved and self._measure(self._stays_elsewhere, self.mark) is not None:
            self._tell(self.first)
        elif step is None or self.inside is not False:
            self.first = self.mark = None
            self.watch.ask(edge, self.patience)
        else:  # outside, and one step of many may land beside the solution by chance
            self.watch.ask(edge, 1, until=UNTIL)

    def _look_first(self, edge: float, steep: float, step: tuple[float, Array, float] | None) -> None:
        affords = self.evaluations <= max(CHEAP, SHARE * self.run.nfev)
        if step is not None and affords:
            self.first = self._measure(self._find, Step(*step))
        if self.first is not None and step is not None:
            self.mark = Step(*step)
            self.watch.ask(edge, 1, wait=WAIT, until=UNTIL)
        else:
            self.patience = min(RARER * self.patience, MANY)
            self.watch.ask(edge, self.patience, alarm=STEEPER * steep)

    def _tell(self, finding: Finding) -> None:
        self.text, self.first, self.mark = finding.text, None, None
        self.watch.stop()

    def heeds(self, status: int, name: str) -> bool:
        """Looks, and warns at once, where a loop that has no end of its own returned `due`."""
        if status == self.due:
            self.look()
            if self.text:
                tell(f"{name}: {self.text}")
        return status == self.due

    def finish(self, name: str, stays_finite: bool) -> str:
        """The run is over: a last look, and a warning where there are words; the words. Where it ended as no step went on, that is told."""
        if not stays_finite:
            self.text = ""
            return ""
        if not self.text and (self.watch.count or self.first):
            self.look()
        if not self.text and self.first:
            self.look()  # what has been found just now: a verdict by where the run has come to
        # An oscillation grows without harm to a look where its steps are short: by all methods that have (next to) no limit for it, and
        # by the others where the modes are known to be outside.
        grows = not self.text and largest(self.run.y) > TENFOLD * largest(self.start) > 0.0
        real, imaginary = spectrum.axis_limits(self.method) if grows else (0.0, 0.0)
        if grows and self.inside is None and self.evaluations:
            self._measure(self._look_around, Step(self.run.t, self.run.y, self.run.grid[0]))
        if grows and (self.inside is False or imaginary < EDGE * real):
            swings = self._measure(self._of_swings, Step(self.run.t, self.run.y, self.run.grid[0]))
            self.text = "" if swings is None else swings.text
        if self.text:
            tell(f"{name}: {self.text}")
        return self.text

    # ---- what is measured -----------------------------------------------------------------------------------------------------------

    def _measure(self, what: Callable[[stepper.Run, Step], Measured], step: Step) -> Measured | None:
        probe = stepper.Run(self.method.record, self.run.problem, step.y, step.t, step.h, self.method.numbers)
        try:
            with np.errstate(all="ignore"):
                return what(probe, step)
        except Exception:
            return None  # fun has no values around the step: the run itself will say so, where it goes there
        finally:
            self.evaluations += int(probe.nfev)

    def _find(self, probe: stepper.Run, step: Step) -> Finding | None:
        """What is to be said of this step, if it is past the limit."""
        (t, y, h), steep = step, self.watch.steepest
        slope = probe.slope(t, y)
        if not np.array_equal(slope, probe.slope(t, y)):
            return None  # it is another one at each call
        end, parts = probe.trial(h), int(min(max(3.0, math.ceil(steep)), COARSE))
        if not np.all(np.isfinite(end)) or not self._is_apart(step, end, _by_short_steps(probe, step, parts), 0.5 * SLIGHT):
            return None
        value = self._look_around(probe, step)
        if not value:
            return None
        z, parts = _settled(probe, step, abs(value))
        if parts == 0 or not self._is_apart(step, end, z, 1.0 if self.first else SLIGHT):
            return None
        on_path = max((self._outside(probe, t, at, h, OUTSIDE) for at in (y, 0.5 * (y + z), z)), key=abs)
        found = self._of_limit(t, h, on_path or value)  # what is named is a place that the solution comes to, where that will do
        return None if found is None else found._replace(parts=parts)

    def _is_apart(self, step: Step, end: Array, z: Array, share: float = 1.0) -> bool:
        """Whether steps from here lead elsewhere, to `end`, than the solution does, to z, by this share of what is `SEEN`."""
        apart, way = np.abs(end - z), np.maximum(np.abs(end - step.y), np.abs(z - step.y))
        size = np.maximum(np.maximum(np.abs(step.y), np.abs(end)), np.maximum(np.abs(z), np.abs(self.start)))
        size = np.maximum(size, TINY * float(np.max(size, initial=0.0)))
        return not np.all((apart <= APART * way) | (apart <= share * SEEN * size))  # z may be NaN: not known

    def _stays_elsewhere(self, probe: stepper.Run, step: Step) -> Finding | None:
        """What has been found, where the run has not come back to the solution through the start of that step."""
        t, y, h = step
        if self.first is None:
            return None
        way = self.run.t - t
        if abs(way) > 2 * UNTIL * abs(h):
            return None  # not known: it would take too long
        z = _by_short_steps(probe, Step(t, y, way), max(4, math.ceil(0.5 * self.first.parts * abs(way / h))))
        return self.first if np.all(np.isfinite(z)) and self._is_apart(step, self.run.y, z) else None

    def _look_around(self, probe: stepper.Run, step: Step) -> complex:
        """The largest eigenvalue that a step is past the limit for, in several places on its way; 0 where there is none."""
        t, y, h = step
        end, first = probe.trial(h), h * probe.slope(t, y)
        places = [(y, OUTSIDE), *((y + part * (end - y), OUTSIDE) for part in PARTS), (end, OUTSIDE)]
        places += [(y + part * first, FAR_OUTSIDE) for part in PARTS]
        value = max((self._outside(probe, t, at, h, least) for at, least in places), key=abs)
        self.inside = not value
        return value

    def _outside(self, probe: stepper.Run, t: float, at: Array, h: float, least: float) -> complex:
        """The eigenvalue at a state that the method is least stable for; 0 where it is stable for all that are known."""
        found = spectrum.spectrum(probe.slope, t, at, symmetric=self.symmetric)
        if found.reason:
            return 0j
        values = found.values[found.residuals <= TRUSTED * np.abs(found.values)]
        if not values.size:
            return 0j
        over = np.abs(amplification(self.method, h * values)) / np.maximum(1.0, np.exp(np.minimum(h * values.real, 700.0)))
        worst = int(np.argmax(over))
        return complex(values[worst]) if over[worst] > least else 0j

    def _of_limit(self, t: float, h: float, value: complex) -> Finding | None:
        """Words for steps past the limit that an eigenvalue sets; None where it sets none below them."""
        limit = float(first_to_fail(self.method, np.array([value]))[0])
        name, size = self.method.name, f"|lambda| is about {abs(value):.3g}"
        if not 0.0 < limit < abs(h):
            return None
        return Finding(
            limit,
            f"near t = {t:g} dt = {abs(h):g} exceeds the stability limit of {name}, which is about {limit:.3g} there ({size}), by a "
            f"factor of about {abs(h) / limit:.3g}: steps go where the solution does not, and what is returned from there on may be far "
            f"from it. Take dt = {0.5 * limit:.2g} or less (elsewhere the limit may be lower), error control (rtol= in place of dt=), or "
            f"method={stiff_method()!r}",
        )

    def _of_swings(self, probe: stepper.Run, step: Step) -> Finding | None:
        """Words, where an oscillation has grown by what the steps alone do to it: by methods that let it grow, however short they are."""
        t, y, h = step
        found, factor = spectrum.spectrum(probe.slope, t, y, symmetric=self.symmetric), largest(y) / largest(self.start)
        if found.reason or not found.values.size:
            return None
        z, steps = h * found.values, self.run.k
        more = np.log(np.abs(amplification(self.method, z))) - np.maximum(0.0, z.real)
        own = steps * max(0.0, float(np.max(z.real)))
        grow = (more * steps >= math.log(TENFOLD)) & (_swing(probe.slope, t, y, np.abs(found.values)) > SWINGS * largest(y))
        if own > 0.5 * math.log(factor) or not np.any(grow):
            return None
        worst = int(np.argmax(np.where(grow, more, -math.inf)))
        if abs(z[worst].imag) <= abs(z[worst].real):  # no oscillation, but a mode that the solution damps
            return self._of_limit(t, h, complex(found.values[worst]))
        return Finding(
            0.0,
            f"the state has grown by a factor of {factor:.3g}, as dt = {abs(h):g} exceeds the stability limit of {self.method.name} for "
            f"the oscillation at t = {t:g}: |lambda| is about {abs(z[worst] / h):.3g}, and each step lets it grow by a factor of about "
            f"{math.exp(more[worst]):.6g} more than the solution does. Take a method that is stable on the imaginary axis, as "
            'method="rk4", or error control (rtol= in place of dt=)',
        )

    # ---- saving -----------------------------------------------------------------------------------------------------------------------

    def pack(self) -> dict[str, Any] | None:
        """What a checkpoint keeps; None where nothing has been seen."""
        if not (self.text or self.evaluations or self.watch.used):
            return None
        mark = None if self.mark is None else [self.mark.t, self.mark.y.ravel().tolist(), self.mark.h]
        return {
            "state": self.watch.pack().tolist(), "text": self.text, "first": None if self.first is None else list(self.first), "mark": mark,
            "evaluations": self.evaluations, "patience": self.patience, "inside": self.inside,
        }  # fmt: skip

    def misfit(self, saved: Any) -> str:
        """Goes on with what `pack` gave; why it cannot have given that, or ""."""
        try:
            self._unpack(saved)
        except (TypeError, ValueError, OverflowError) as error:
            return str(error)
        return ""

    def _unpack(self, saved: Any) -> None:
        if saved is None:
            self.watch.begin()
            return
        names = {"state", "text", "first", "mark", "evaluations", "patience", "inside"}
        if not isinstance(saved, dict) or set(saved) != names:
            raise ValueError(f"past: expected {', '.join(sorted(names))}, got {saved!r}")
        if not isinstance(saved["text"], str):
            raise TypeError(f"past: text: expected words, got {saved['text']!r}")
        if saved["inside"] not in (None, True, False):
            raise ValueError(f"past: inside: expected True, False or None, got {saved['inside']!r}")
        self.evaluations = check_whole(saved["evaluations"], "past: evaluations", 0, MANY)
        self.patience = check_whole(saved["patience"], "past: patience", 1, MANY)
        self.watch.unpack(np.array(saved["state"], dtype=np.float64))
        self.first, self.mark = _finding_of(saved["first"]), self._mark_of(saved["mark"])
        self.text, self.inside = saved["text"], saved["inside"]
        if self.text:
            self.watch.stop()

    def _mark_of(self, saved: Any) -> Step | None:
        if saved is None:
            return None
        t, y, h = saved
        state = np.array(y, dtype=np.float64)
        if state.size != self.start.size or not np.all(np.isfinite([t, h, *state])) or h == 0.0:
            raise ValueError(f"past: mark: expected a time, {self.start.size} finite components and the length of a step, got {saved!r}")
        return Step(float(t), state.reshape(self.run.y.shape), float(h))


def _finding_of(saved: Any) -> Finding | None:
    if saved is None:
        return None
    limit, text, parts = saved
    if not isinstance(text, str) or not 0.0 <= float(limit) < math.inf:
        raise ValueError(f"past: first: expected a limit and what is said of it, got {saved!r}")
    return Finding(float(limit), text, check_whole(parts, "past: parts", 1, FINEST))


def _swing(slope: Callable[[float, Array], Array], t: float, y: Array, rates: Array) -> Array:
    """How far the largest component of y swings to either side, were it all of an oscillation of each of these rates.

    Of y = c + a cos(w t) it is the root of (y'/w)^2 + (y''/w^2)^2, and y'' = J y' is a difference along y'.
    """
    f, k = slope(t, y), int(np.argmax(np.abs(y)))
    length = NEARBY * largest(y) / largest(f) if np.any(f) else 0.0
    bend = (slope(t, y + length * f) - f)[k] / length if length > 0.0 else 0.0
    return np.asarray(np.hypot(f[k] / rates, bend / rates**2))


def _settled(probe: stepper.Run, step: Step, rate: float) -> tuple[Array, int]:
    """Where the solution leads in a step, and in how many parts of it rk4 does; 0 where that is not known, as the solution runs off or
    modes are faster than so many parts follow."""
    parts, before = int(min(max(4.0, math.ceil(abs(step.h) * rate)), COARSE)), np.full_like(step.y, math.nan)
    while True:
        z = _by_short_steps(probe, step, parts)
        if np.all(np.abs(z - before) <= SETTLED * np.maximum(np.abs(z - step.y), SEEN * np.abs(z))):
            return z, parts
        if parts >= FINEST:
            return z, 0
        parts, before = 2 * parts, z


def _by_short_steps(probe: stepper.Run, step: Step, parts: int) -> Array:
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
