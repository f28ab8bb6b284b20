"""What is measured of the Jacobian along the way: steps for dt="auto", and the spectral radius for methods that work with one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.events import events as core_events
from mflow_core.registry import MethodRecord
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method
from mflow.base.progress import Watcher
from mflow.base.telling import tell
from mflow.integrate.control import MANY, count_steps, stiff_method
from mflow.integrate.history import History
from mflow.stability import spectrum
from mflow.stability.amplification import amplification
from mflow.stability.limits import first_to_fail, stability_limit

__all__ = [
    "CALLBACK",
    "GROWTH",
    "AutoSteps",
    "PastLimit",
    "StiffnessWarning",
    "check_measurable",
    "give_radius",
    "least_steps",
    "looks_misfit",
    "stable_end",
]

CALLBACK = 0x7FFFFF02  # the status of a run that the callback stopped
GROWTH = 1e6  # a state that has grown by this factor may come from steps that are too long
LEAST_STEPS = 10  # dt="auto" takes at least so many steps: stability is not accuracy
LEAST_STAGED = 40  # of a method whose stages follow from the step: however long a step is, it may keep 0.43 of a mode
MOST_RETURNS = 60  # to one mark; each halves the step
SHORTEST = 1e-9  # of the run: no step is made shorter
LOST = 10.0  # units in the last place of t: shorter steps are lost in its rounding
STEEPER = 2.0  # times the Jacobian where the run stands: as it is that much larger soon, the next look is after one step
STILL = 1e-8  # of the size of the state: over so short a way differences are of rounding
SAME = 1.1  # by how much the slope's change over a whole step may be larger than that nearby
FADED = 0.9  # of the slope at the mark: every mode at the end of a stable region has faded to less in one step
APART = 0.3  # of the way of a step: how far from it two of half the size may lead where nothing fades
SHORT = 0.05  # of the safe step: shorter ones have no cycles of their own
EDGE = 0.9  # of the limit, at which a secant of the slopes counts: round a cycle of two steps it is the limit itself
LOOKS = 2  # beyond the edge, before anything is measured; twice as many after each measurement that finds nothing
OUTSIDE = 1.005  # |R| of a mode, or of one that grows by itself over its own growth, above which steps are past the limit
FAR_OUTSIDE = 1.2  # where the state does not come to, as inside of a step that comes to rest where f is not 0
TRUSTED = 0.2  # residual of an eigenvalue, relative to it
APART_FROM_ALL, SEEN = 0.2, 0.01  # of the way of a step, and of a component: how far from the solution one past the limit leads
TINY = 1e-10  # of the largest component: smaller ones do not count
NUMBERS = 6  # of looks, where none is at hand
TENFOLD = 10.0  # a state that has grown by this may have done so by what the steps alone do to an oscillation
SWINGS, NEARBY = 0.5, 1e-7  # of the largest component: the least that an oscillation makes up of it, and the way of a difference
PARTS = (0.5, 0.25, 0.75)  # of the way of a step, and of an Euler step, where the Jacobian is looked at: f may be flat at both ends
SETTLED = 0.1  # relative difference of two such ways, one of half the steps
FINEST = 64  # parts of a step that show where the solution leads


class StiffnessWarning(RuntimeWarning):
    """Error control holds the steps of an explicit method at its stability limit, for most of a run: an implicit one would take far fewer.

    See Also
    --------
    mflow.solve_ivp, mflow.max_stable_dt

    Examples
    --------
    >>> import warnings
    >>> import mflow
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     r = mflow.solve_ivp(lambda t, y: -1e4 * (y - 1.0), (0, 1), [0.0])
    >>> [w.category.__name__ for w in told], r.reason
    (['StiffnessWarning'], 'finished')
    """


@functools.cache
def stable_end(record: MethodRecord) -> float:
    """The stability limit of an explicit pair on the negative real axis, for `Run.look_for_stiffness`; 0 for other methods."""
    if "embedded" not in record.flags or record.flags & {"implicit", "needs_rho", "second_order"}:
        return 0.0
    return stability_limit(record.name)


def least_steps(method: Method) -> int:
    """That dt="auto" takes of a method."""
    return LEAST_STAGED if "staged" in method.flags else LEAST_STEPS


def give_radius(run: stepper.Run, symmetric: bool = False) -> str:
    """Gives the run the spectral radius that its method works with. Returns "", or why it cannot be measured."""
    radius, reason = spectrum.upper_radius(run.slope, run.t, run.y, symmetric=symmetric)
    last, k = run.rho
    if reason == spectrum.ROUGH and k >= 0:  # the last radius goes on: the run itself will say what is wrong
        radius, reason = last, ""
    if not reason:
        run.rho = radius
    return reason


def check_measurable(reason: str, method: Method, t: float) -> None:
    """Raises ValueError where a right-hand side is too rough for its Jacobian to be measured."""
    if reason == spectrum.ROUGH:
        raise ValueError(f"{method.name} measures the Jacobian along the way, and at t = {t:g} {reason}: take a method that does not")


def looks_misfit(looks: spectrum.Looks, step: float, run: Any, t0: float, t1: float, method: Method) -> str:
    """Why a saved step and the last look at the curvature do not belong together; "" where they do."""
    longest = abs(t1 - t0) / least_steps(method)
    if not (0.0 < abs(step) <= longest and step * (t1 - t0) > 0.0 and abs(step) == looks.dt):
        return f"dt: expected the step of the last look, {looks.dt:g}, towards {t1:g} and at most {longest:g} long, got {step!r}"
    if run.t != t1 and looks.next != run.k + looks.gap:
        return f"looks: expected the next one at step {run.k + looks.gap}, got {looks.next}"
    return ""


class AutoSteps:
    """The steps of a run with dt="auto": nine tenths of the largest stable one, for the curvature where the run last looked at it.

    Each look sets a mark. Where the next look, or a state that is not finite, shows that the steps since were too long, the run goes back
    to the mark and takes them again, half as long; the callback learns of steps once they are sure. Steps may be stable at both looks and
    still go round a cycle, or rest at a point, that is the method's alone: where the slope has not faded since the mark, the first of
    them is compared with two of half its size.
    """

    def __init__(
        self,
        run: stepper.Run,
        history: History,
        events: core_events.Events | None,
        watch: Watcher | None,
        method: Method,
        span: tuple[float, float],
        symmetric: bool,
    ) -> None:
        self.run, self.history, self.events, self.watch, self.method, self.symmetric = run, history, events, watch, method, symmetric
        self.t0, self.t1 = span
        self.step = math.nan  # with the sign of the span
        self.looks = spectrum.Looks()
        self.reason = ""  # why the curvature cannot be measured
        self.mark: Any = None  # the state to go back to
        self.scale = float(np.linalg.norm(run.y))
        self.returns, self.size = 0, 0.0  # to the mark, and the size of the state there
        self.pending: list[tuple[float, Array]] = []  # steps that the callback does not know of yet

    @property
    def sure(self) -> bool:
        """Whether no step up to here will be taken again."""
        return bool(self.run.t == self.t1) or self.looks.next == self.run.k + self.looks.gap

    def advance(self, count: int, rows: stepper.Rows | None) -> int:
        """Fixed steps until the next look at the curvature, at most `count`; the status."""
        run = self.run
        if self.mark is None:  # the start, or a run that was resumed
            status = self._look() if self.looks.due(run.k) else self._set_mark()
            if status != 0:
                return status
        if abs(self.step) < LOST * math.ulp(run.t) and run.t != self.t1:  # time would stand still, or leap
            return int(stepper.STEP_TOO_SMALL)
        left = count_steps(run.t, self.t1, self.step)
        count = min(count, self.looks.next - run.k, left)
        status = run.fixed(count, self.t1 if count == left else math.nan, rows, self.step, paced=True)
        if status == stepper.NON_FINITE and self._go_back(0.5 if self._has_grown() else 0.25):
            return 0
        if self.watch is not None and status in (0, stepper.EVENT):
            self.pending.append((run.t, run.y))
        if status == stepper.EVENT and self._told_to_stop():
            return CALLBACK
        if status != 0 or not (self.looks.due(run.k) or run.t == self.t1):
            return status
        return self._look()

    def _look(self) -> int:
        """Chooses the largest step inside the method's stability region, for the slope's Jacobian where the run stands; the status."""
        run, used = self.run, abs(self.step)
        safe = spectrum.safe_step(run.slope, run.t, run.y, self.method, symmetric=self.symmetric, scale=self.scale)
        if safe.reason == spectrum.ROUGH and math.isfinite(used):  # the last step goes on: the run itself will say what is wrong
            if self._told_to_stop():
                return CALLBACK
            self.looks.found(run.k, used)
            return self._set_mark()
        if (used > safe.dt / spectrum.SAFETY or (math.isnan(safe.dt) and self._has_grown())) and self._go_back():
            return 0
        slope = self._slope()
        slope_size = float(np.linalg.norm(slope))
        long = not used < SHORT * safe.dt
        if long and slope_size > FADED * self.looks.slope and self._is_rough() and self._go_back():
            return 0
        if math.isnan(safe.dt):
            check_measurable(safe.reason, self.method, run.t)
            self.reason = safe.reason
            return int(stepper.NON_FINITE)
        if not safe.dt > 0.0:
            raise ValueError(
                f'dt = "auto": {self.method.name} has no stable step for this problem at t = {run.t:g} ({safe.reason}): '
                "give dt=..., or rtol and a method with error control; a stable step is not yet an accurate one"
            )
        if self._told_to_stop():
            return CALLBACK
        length = min(safe.dt, abs(self.t1 - self.t0) / least_steps(self.method), 2.0 * used if self.looks.gap == 1 else math.inf)
        length, changing = self._until_steeper(length, slope, safe.dt / spectrum.SAFETY)
        whole, length = length, self._within_reach(length, slope)
        if length < whole and used > 2.0 * length / spectrum.SAFETY and self._go_back():
            return 0
        self.looks.found(run.k, length)
        if changing:
            self.looks.gap, self.looks.next = 1, run.k + 1
        self.step, self.looks.slope = math.copysign(length, self.t1 - self.t0), slope_size
        return self._set_mark()

    def _slope(self) -> Array:
        with np.errstate(all="ignore"):
            return np.array(self.run.slope(self.run.t, self.run.y), dtype=np.float64)

    def _is_rough(self) -> bool:
        """Whether a step from the mark leads elsewhere than two of half its size."""
        run, here = self.run, self.run.pack()
        ends = []
        with np.errstate(all="ignore"):
            for count in (1, 2):
                run.unpack(self.mark[0], counts=False)
                start, goal = run.y, run.k + count
                status = 0
                while status == 0 and run.k < goal:
                    status = run.fixed(goal - run.k, math.nan, None, self.step / count)
                    if status == stepper.RHO_DUE:
                        status = 1 if give_radius(run, self.symmetric) else 0
                ends.append(run.y if status == 0 else np.full_like(start, math.nan))
            run.unpack(here, counts=False)
            apart, way = float(np.linalg.norm(ends[1] - ends[0])), float(np.linalg.norm(ends[0] - start))
        return apart > APART * way and apart > STILL * max(self.scale, float(np.linalg.norm(start)))

    def _within_reach(self, length: float, slope: Array) -> float:
        """The step, halved until what it was chosen by holds where an Euler step of it leads: the slope is finite there, and its change on
        the way is resolved, or about as steep as nearby. A step that is stable here may be longer than the part of the flow it belongs to,
        and come to cycles and points of rest that are the method's alone."""
        run, sign = self.run, math.copysign(1.0, self.t1 - self.t0)
        with np.errstate(all="ignore"):
            size = float(np.linalg.norm(slope))
            nearby = math.nan
            for _ in range(MOST_RETURNS):
                change = self._change(slope, sign * length)
                if size * length <= STILL * max(self.scale, float(np.linalg.norm(run.y))) or change * length <= size:
                    break
                if math.isnan(nearby):
                    nearby = self._change(slope, sign * 1e-6 * length)
                if change <= SAME * nearby:
                    break
                length *= 0.5
        return length

    def _until_steeper(self, length: float, slope: Array, limit: float) -> tuple[float, bool]:
        """The step, halved until the Jacobian's changes with time leave it stable; and whether those soon ask for another look.

        Beside a pole in time, as of y' = y/(1 - t), the limit falls as the pole comes near, and a step over it finds a long one again on
        the other side. So the way is looked at that the next two gaps may take."""
        run, sign = self.run, math.copysign(1.0, self.t1 - self.t0)
        if run.t == self.t1:
            return length, False
        with np.errstate(all="ignore"):
            ahead = min(4.0 * self.looks.gap * length, abs(self.t1 - run.t))
            changes = spectrum.steepens(run.slope, run.t, run.y, slope, sign * ahead)
            changing = changes > STEEPER
            for _ in range(MOST_RETURNS if changing or changes * length > limit else 0):
                if length * spectrum.steepens(run.slope, run.t, run.y, slope, sign * length) <= limit:
                    break
                length *= 0.5
        return length, changing

    def _change(self, slope: Array, length: float) -> float:
        """How fast the slope changes over an Euler step, in units of time; infinite where it is not finite there."""
        run = self.run
        ahead = np.asarray(run.slope(run.t, run.y + length * slope), dtype=np.float64)
        change = float(np.linalg.norm(ahead - slope)) / abs(length)
        return change if math.isfinite(change) else math.inf

    def _set_mark(self) -> int:
        """The run may have to go back to where it is now. Returns 0, the status."""
        events = None if self.events is None else (self.events.pack(), *self.events.found)
        self.mark, self.returns = (self.run.pack(), self.history.mark(), events), 0
        self.size = float(np.max(np.abs(self.run.y), initial=0.0))
        return 0

    def _has_grown(self) -> bool:
        """Whether the numbers that are not finite come from steps that were too long: the state has grown by orders of magnitude."""
        return float(np.max(np.abs(self.run.y), initial=0.0)) > GROWTH * max(1.0, self.size)

    def _go_back(self, share: float = 0.5) -> bool:
        """Back to the mark, for steps shorter by a share; False where that has been done too often."""
        if self.mark is None or self.returns >= MOST_RETURNS or abs(self.step) <= SHORTEST * abs(self.t1 - self.t0):
            return False
        self._restore()
        self.step *= share
        self.looks.gap, self.looks.next, self.looks.dt = 1, self.run.k + 1, abs(self.step)
        self.returns += 1
        return True

    def _restore(self) -> None:
        state, history, events = self.mark
        self.run.unpack(state, counts=False)  # what is taken back was evaluated
        self.history.rewind(history)
        self.pending = []
        if self.events is not None:
            self.events.unpack(events[0])
            self.events.restore_rows(*events[1:])

    def _told_to_stop(self) -> bool:
        """Tells the callback of the steps that are sure by now. Where it stops at one that is not the last, the run goes back there."""
        steps, self.pending = self.pending, []
        for k, (t, y) in enumerate(steps, 1):
            if self.watch is not None and self.watch(t, y):
                if k < len(steps):
                    self._repeat(k)
                return True
        return False

    def _repeat(self, count: int) -> None:
        """The first `count` steps after the mark, once more."""
        self._restore()
        last, rows = self.run.k + count, self.history.rows if self.history.writes else None
        while self.run.k < last:
            if self.run.fixed(last - self.run.k, math.nan, rows, self.step) == stepper.RHO_DUE:
                give_radius(self.run, self.symmetric)


# ---- past the limit ---------------------------------------------------------------------------------------------------------------------


class PastLimit:
    """Whether the fixed steps of an explicit method are past its stability limit, where nothing overflows.

    Looks in passing (watch/past.pyx) take no evaluation. Where a second one is at the edge, the eigenvalues of the Jacobian are measured
    around the step at hand, and the step is compared with shorter ones: it is past the limit where a mode that the solution damps grows,
    and where the step leads elsewhere than the solution, by a share of its way and by a hundredth of a component. Both are asked for: modes
    that decay at once may be outside without harm until they grow, and an inaccurate step need not be unstable. It is told of where the
    next look, or the end, finds the same again, so that a transient that comes back within the limit is not.

    due : the status of a loop after which `look` is called. text : the words, "" until there are any. first : what they will be, where the
    next measurement finds the same. evaluations : of measurements, none of them the run's.
    """

    text, first, evaluations = "", "", 0
    patience = LOOKS  # how many looks at the edge are due a measurement
    inside: bool | None = None  # whether the last measurement has found all modes within the limit

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

    def look(self) -> None:
        """Enough looks were at the edge, or the run is over: measures, where they were."""
        edge = EDGE * spectrum.axis_limits(self.method)[0]
        if self.watch.steepest < edge and not self.first:
            self.watch.ask(edge, LOOKS)
            return
        words = self._measure(self._words)
        if words and self.first:
            self.text = self.first
            self.watch.stop()
        else:
            if self.inside is not False:
                self.first = ""
            self.first = words or self.first  # one step of many may land beside the solution by chance
            self.patience *= 1 if words else 2
            self.watch.ask(edge, 1 if self.first else self.patience)

    def _measure(self, words: Callable[[stepper.Run, float, Array, float], str]) -> str:
        run, h = self.run, self.run.grid[0]
        probe = stepper.Run(self.method.record, run.problem, run.y, run.t, h, self.method.numbers)
        try:
            with np.errstate(all="ignore"):
                return words(probe, run.t, run.y, h)
        except Exception:
            return ""  # fun has no values around the step: the run itself will say so, where it goes there
        finally:
            self.evaluations += int(probe.nfev)

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
        if not self.text and (self.watch.count >= LOOKS or self.first):
            self.look()
        grows = not self.text and largest(self.run.y) > TENFOLD * largest(self.start) > 0.0
        real, imaginary = spectrum.axis_limits(self.method) if grows else (0.0, 0.0)
        if grows and (self.inside is False or imaginary < EDGE * real):
            self.text = self._measure(self._of_swings)
        if self.text:
            tell(f"{name}: {self.text}")
        return self.text

    def _words(self, probe: stepper.Run, t: float, y: Array, h: float) -> str:
        slope = probe.slope(t, y)
        if not np.array_equal(slope, probe.slope(t, y)):
            return ""  # it is another one at each call
        end = probe.trial(h)
        if not np.all(np.isfinite(end)):
            return ""
        way, first = end - y, h * slope
        places = [(y, OUTSIDE), *((y + part * way, OUTSIDE) for part in PARTS), (end, OUTSIDE)]
        places += [(y + part * first, FAR_OUTSIDE) for part in PARTS]
        value = 0j
        for at, least in places:  # the fastest of them, as the words name a limit
            value = max(value, self._outside(probe, t, at, h, least), key=abs)
        self.inside = not value
        if self.inside:
            return ""
        if not self._leads_elsewhere(probe, t, y, h, end, abs(value)):
            return ""
        return self._of_limit(t, h, value)

    def _of_limit(self, t: float, h: float, value: complex) -> str:
        """Words for steps past the limit that an eigenvalue sets; empty where it sets none below them."""
        limit = float(first_to_fail(self.method, np.array([value]))[0])
        name, size = self.method.name, f"|lambda| is about {abs(value):.3g}"
        if not 0.0 < limit < abs(h):
            return ""
        return (
            f"near t = {t:g} dt = {abs(h):g} exceeds the stability limit of {name}, which is about {limit:.3g} there ({size}), by a "
            f"factor of about {abs(h) / limit:.3g}: steps go where the solution does not, and what is returned from there on may be far "
            f"from it. Take dt = {0.5 * limit:.2g} or less, error control (rtol= in place of dt=), or "
            f"method={stiff_method()!r}"
        )

    def _of_swings(self, probe: stepper.Run, t: float, y: Array, h: float) -> str:
        """Words, where an oscillation has grown by what the steps alone do to it: by methods that let it grow, however short they are."""
        found, factor = spectrum.spectrum(probe.slope, t, y, symmetric=self.symmetric), largest(y) / largest(self.start)
        if found.reason or not found.values.size:
            return ""
        z, steps = h * found.values, self.run.k
        more = np.log(np.abs(amplification(self.method, z))) - np.maximum(0.0, z.real)
        own = steps * max(0.0, float(np.max(z.real)))
        grow = (more * steps >= math.log(TENFOLD)) & (_swing(probe.slope, t, y, np.abs(found.values)) > SWINGS * largest(y))
        if own > 0.5 * math.log(factor) or not np.any(grow):
            return ""
        worst = int(np.argmax(np.where(grow, more, -math.inf)))
        if abs(z[worst].imag) <= abs(z[worst].real):  # no oscillation, but a mode that the solution damps
            return self._of_limit(t, h, complex(found.values[worst]))
        return (
            f"the state has grown by a factor of {factor:.3g}, as dt = {abs(h):g} exceeds the stability limit of {self.method.name} for "
            f"the oscillation at t = {t:g}: |lambda| is about {abs(z[worst] / h):.3g}, and each step lets it grow by a factor of about "
            f"{math.exp(more[worst]):.6g} more than the solution does. Take a method that is stable on the imaginary axis, as "
            'method="rk4", or error control (rtol= in place of dt=)'
        )

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

    def _leads_elsewhere(self, probe: stepper.Run, t: float, y: Array, h: float, end: Array, rate: float) -> bool:
        """Whether the step from y to `end` leads elsewhere than the solution does: than short steps of the classical rk4."""
        parts, before = int(min(max(4.0, math.ceil(2.0 * abs(h) * rate)), FINEST)), np.full_like(y, math.nan)
        while True:
            z = _by_short_steps(probe, t, y, h, parts)
            if np.all(np.abs(z - before) <= SETTLED * np.maximum(np.abs(z - y), SEEN * np.abs(z))):
                break
            if parts >= FINEST:
                return False  # not known: the solution runs off, or modes are faster than so many steps follow
            parts, before = 2 * parts, z
        apart, way = np.abs(end - z), np.maximum(np.abs(end - y), np.abs(z - y))
        size = np.maximum(np.maximum(np.abs(y), np.abs(end)), np.maximum(np.abs(z), np.abs(self.start)))
        size = np.maximum(size, TINY * float(np.max(size, initial=0.0)))
        return bool(np.any((apart > APART_FROM_ALL * way) & (apart > SEEN * size)))

    def pack(self) -> dict[str, Any] | None:
        """What a checkpoint keeps; None where nothing has been seen."""
        state = self.watch.pack().tolist()
        if not (self.text or self.evaluations or self.watch.count or len(state) > NUMBERS or self.watch.edge != 1.0):
            return None
        return {"state": state, "text": self.text, "first": self.first, "evaluations": self.evaluations, "patience": self.patience}

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
        if not isinstance(saved, dict) or set(saved) != {"state", "text", "first", "evaluations", "patience"}:
            raise ValueError(f"past: expected state, text, first, evaluations and patience, got {saved!r}")
        if not (isinstance(saved["text"], str) and isinstance(saved["first"], str)):
            raise TypeError("past: expected words as text and first, got others")
        self.evaluations = check_whole(saved["evaluations"], "past: evaluations", 0, MANY)
        self.patience = check_whole(saved["patience"], "past: patience", LOOKS, MANY)
        self.watch.unpack(np.array(saved["state"], dtype=np.float64))
        self.text, self.first = saved["text"], saved["first"]
        if self.text:
            self.watch.stop()


def _swing(slope: Callable[[float, Array], Array], t: float, y: Array, rates: Array) -> Array:
    """How far the largest component of y swings to either side, were it all of an oscillation of each of these rates.

    Of y = c + a cos(w t) it is the root of (y'/w)^2 + (y''/w^2)^2, and y'' = J y' is a difference along y'.
    """
    f, k = slope(t, y), int(np.argmax(np.abs(y)))
    length = NEARBY * largest(y) / largest(f) if np.any(f) else 0.0
    bend = (slope(t, y + length * f) - f)[k] / length if length > 0.0 else 0.0
    return np.asarray(np.hypot(f[k] / rates, bend / rates**2))


def _by_short_steps(probe: stepper.Run, t: float, y: Array, h: float, parts: int) -> Array:
    """Where the classical rk4 leads in h, in so many steps."""
    d = h / parts
    for k in range(parts):
        at = t + k * d
        k1 = probe.slope(at, y)
        k2 = probe.slope(at + 0.5 * d, y + 0.5 * d * k1)
        k3 = probe.slope(at + 0.5 * d, y + 0.5 * d * k2)
        k4 = probe.slope(at + d, y + d * k3)
        y = y + d / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
    return y
