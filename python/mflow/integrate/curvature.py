"""What is measured of the Jacobian along the way: steps for dt="auto", and the spectral radius for methods that work with one."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.events import events as core_events
from mflow_core.registry import MethodRecord
from mflow_core.stepping import stepper

from mflow.base.checks import OUTSIDE, Array
from mflow.base.methods import Method
from mflow.base.progress import Watcher
from mflow.base.telling import counted
from mflow.integrate.control import count_steps
from mflow.stability import spectrum
from mflow.stability.limits import stability_limit

if TYPE_CHECKING:
    from mflow_core.stepping.rows import Rows

    from mflow.course.past_limit import PastLimit
    from mflow.integrate.history import History

__all__ = [
    "CALLBACK",
    "GROWTH",
    "AutoSteps",
    "StiffnessWarning",
    "check_measurable",
    "give_radius",
    "least_steps",
    "look_whether_mild",
    "looks_misfit",
    "mild_words",
    "past_limit_of",
    "stable_end",
    "takes_plain_steps",
]

CALLBACK = 0x7FFFFF02  # the status of a run that the callback stopped
ON = {0, CALLBACK, stepper.EVENT, stepper.FULL, stepper.RHO_DUE}  # statuses of runs that go on, or might
GROWTH = 1e6  # a state that has grown by this factor may come from steps that are too long
LEAST_STEPS = 10  # dt="auto" takes at least so many steps: stability is not accuracy
LEAST_STAGED = 40  # of a method whose stages follow from the step: however long a step is, it may keep 0.43 of a mode
MOST_RETURNS = 60  # to one mark; each halves the step
SHORTEST = 1e-9  # of the run: no step is made shorter
LOST = 10.0  # units in the last place of t: shorter steps are lost in its rounding
STEEPER = 2.0  # times the Jacobian where the run stands: as it is that much larger soon, the next look is after one step
ABRUPT = 8.0  # by how much the Jacobian may grow along an Euler step that is longer than those before
STILL = 1e-8  # of the size of the state: over so short a way differences are of rounding
SAME = 1.1  # by how much the slope's change over a whole step may be larger than that nearby
PARTS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)  # of a step, at which it is looked at where the slope is flatter at its end
FADED = 0.9  # of the slope at the mark: every mode at the end of a stable region has faded to less in one step
LEAPT = 10.0  # times the slope at the mark, from which on steps are looked at one by one
GROWN = 0.5  # of the time in which the fastest growth is by e: the next look
APART = 0.3  # of the way of a step: how far from it two of half the size may lead where nothing fades
SHORT = 0.05  # of the safe step: shorter ones have no cycles of their own
NEAR_0, VANISHES = 1e-300, 1e-90  # a component that is next to 0; and of its slope beyond, what is none
CROSSING = 4  # components that are looked at
PART = 0.1  # of |f_i|: |J_ii y_i| is at least so much where f_i = y_i g; it is about |f_i| then, and k times that for y_i^k
LARGE, FACTORS = 500, 3  # components, and factorizations: fewer cost little
SINGLE = 2.5  # explicit steps, well within their limit, for one of a multistep method, which costs one or two evaluations
EXPLICIT = "tsit5"
FAINT = 0.01  # of the start: what is less on the other side may come back


class StiffnessWarning(RuntimeWarning):
    """Stability holds the steps of an explicit method, at its limit or below, for most of a run: an implicit one would take far fewer.

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


@functools.cache
def takes_plain_steps(record: MethodRecord) -> bool:
    """Whether fixed steps of the method need nothing but the right-hand side."""
    return record.kind == "step" and not record.flags & {"implicit", "second_order"}


def look_whether_mild(run: stepper.Run) -> None:
    """Before the first step of a large system: `mild_words` may be asked for at its end."""
    if run.y.size >= LARGE:
        from mflow_core.stepping.legs import legs  # where there is such a system

        legs.look_whether_mild(run, stability_limit(EXPLICIT))


def mild_words(run: stepper.Run) -> str:
    """Words for the message of an implicit run that has finished, where an explicit method needs about as few steps to be stable; ""."""
    if run.y.size < LARGE or run.nlu < FACTORS:
        return ""
    from mflow_core.stepping.legs import legs

    found = legs.explicit_steps(run)
    if found is None or ("multistep" in run.record.flags and found[1] > SINGLE * run.k):
        return ""
    total, steps = found
    return (
        f"; not stiff at these tolerances: step times the spectral radius of the Jacobian adds up to {total:.2g}, so that an explicit "
        f"method is stable with about {counted(math.ceil(steps), 'step')}, and takes none of these {counted(run.nlu, 'factorization')} "
        '(method="auto" chooses by itself)'
    )


def past_limit_of(run: stepper.Run, method: Method, start: Array, symmetric: bool = False) -> PastLimit | None:
    """What looks at fixed steps of a run; None where there is nothing to look at, see `PastLimit.of`."""
    return _past_limit().of(run, method, start, symmetric)


@functools.cache
def _past_limit() -> type[PastLimit]:
    """Not loaded until there are such steps."""
    from mflow.course.past_limit import PastLimit

    return PastLimit


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
        aside: Callable[..., Any],
    ) -> None:
        from mflow.course import turns  # where there are such steps
        from mflow.walls import poles

        self.poles, self.turns, self.aside = poles, turns, aside  # makes calls whose evaluations are not counted
        self.run, self.history, self.events, self.watch, self.method, self.symmetric = run, history, events, watch, method, symmetric
        self.t0, self.t1 = span
        self.step = math.nan  # with the sign of the span
        self.looks = spectrum.Looks()
        self.reason = ""  # why the curvature cannot be measured
        self.failed = False  # whether the last steps could not be taken
        self.mark: Any = None  # the state to go back to
        self.marked: tuple[float, Array] = math.nan, np.empty(0)  # its t and y
        self.pole = ""  # words, where one in time ends the run
        self.lost = ""  # and where a component has gone where no solution does
        self.start, self.begun = run.y, run.pack()
        self.scale = float(np.linalg.norm(self.start))
        self.returns, self.size = 0, 0.0  # to the mark, and the size of the state there
        self.pending: list[tuple[float, Array]] = []  # steps that the callback does not know of yet

    @property
    def sure(self) -> bool:
        """Whether no step up to here will be taken again."""
        return bool(self.run.t == self.t1) or self.looks.next == self.run.k + self.looks.gap

    def advance(self, count: int, rows: Rows | None) -> int:
        """Fixed steps until the next look at the curvature, at most `count`; the status."""
        status = self._advance(count, rows)
        self.failed = status not in ON
        return status

    def _advance(self, count: int, rows: Rows | None) -> int:
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

    @property
    def doubt(self) -> str:
        """Words, where steps were too long for how the solution oscillates."""
        looks = copy.copy(self.looks)
        self._settle(looks, self.step)
        text = str(self.turns.words(looks.turn, looks.omega, uneven=looks.uneven)) if self.turns.few(looks) else ""
        return text if text or self.failed else str(self.turns.words_of_course(looks))

    def _settle(self, looks: spectrum.Looks, step: float) -> None:
        """Where the run stands, the steps since the last look were for good."""
        count = self.run.k - (looks.next - looks.gap)
        if count > 0:
            self.turns.settle(looks, step, count, self.method)
            looks.took(count, step)

    def _look(self) -> int:
        """Chooses the largest step inside the method's stability region, for the slope's Jacobian where the run stands; the status."""
        run, used = self.run, abs(self.step)
        if self.mark is not None and self._leapt_over_pole():
            return int(stepper.NON_FINITE)
        safe = spectrum.safe_step(self._beside, run.t, run.y, self.method, symmetric=self.symmetric, scale=self.scale)
        if safe.reason == spectrum.ROUGH and math.isfinite(used):  # the last step goes on: the run itself will say what is wrong
            if self._told_to_stop():
                return CALLBACK
            self._settle(self.looks, self.step)
            self.looks.found(run.k, used)
            return self._set_mark()
        if (used > safe.dt / spectrum.SAFETY or (math.isnan(safe.dt) and self._has_grown())) and self._go_back():
            return 0
        slope = self._slope()
        slope_size = float(np.linalg.norm(slope))
        if self.looks.gap > 1 and slope_size > LEAPT * self.looks.slope and self._go_back():
            return 0
        over = self._over_0(slope, safe.jacobian)
        away = math.copysign(1.0, self.t1 - self.t0) * slope.ravel() * run.y.ravel()
        if over and away[over - 1] > 0.0 and self._go_back():
            return 0
        long = not used < SHORT * safe.dt
        if long and slope_size > FADED * self.looks.slope and self._is_rough():
            return 0 if self._go_back() else int(stepper.STEP_TOO_SMALL)
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
        if over:
            self.looks.beyond = 0 if over == self.looks.beyond else self.looks.beyond or over
        if self._is_lost(away):
            return int(stepper.NON_FINITE)
        length = min(safe.dt, abs(self.t1 - self.t0) / least_steps(self.method), 2.0 * used if self.looks.gap == 1 else math.inf)
        length, changing = self._until_steeper(length, slope, safe.dt / spectrum.SAFETY)
        whole, length = length, self._within_reach(length, slope)
        if length < whole and used > 2.0 * length / spectrum.SAFETY and self._go_back():
            return 0
        if math.isfinite(used):
            self._settle(self.looks, self.step)
            self.turns.notice(self.looks, safe.swing)
        self.looks.swing = safe.swing
        self.looks.fastest = max(self.looks.fastest, slope_size if slope_size < math.inf else 0.0)
        if run.t != self.t1 and run.y.size > 1 and not self.symmetric:
            self.aside(self.turns.find, self.looks, self._beside, run.t, run.y, slope, self.t1 - run.t, self.method, length, safe.jacobian)
        self.looks.found(run.k, length)
        if changing or self.looks.gap * length * safe.growth > GROWN:  # what grows may have a pole within 1/growth
            self.looks.gap = 1 if changing else max(1, int(GROWN / (length * safe.growth)))
            self.looks.next = run.k + self.looks.gap
        self.step, self.looks.slope = math.copysign(length, self.t1 - self.t0), slope_size
        self._look_at_course()
        return self._set_mark()

    def _over_0(self, slope: Array, jacobian: Array | None) -> int:
        """1 + a component that steps since the mark have taken over 0, where no solution crosses, as its slope is 0 with it; 0: none.

        Steps of a stable size may do so, as of a population that they let run away below 0. What decays goes from side to side in such
        steps, and comes to rest; it may grow later. Where a slope is 0 with a component, it is about that times its derivative by it."""
        if self.mark is None:
            return 0
        t, before, now, y, f = *self.marked, self.run.t, self.run.y.ravel(), slope.ravel()
        before, forwards = before.ravel(), math.copysign(1.0, self.t1 - self.t0)
        crosses = before * y < 0.0
        if jacobian is None:
            crosses &= forwards * f * y > 0.0
        else:
            crosses &= np.abs(np.diagonal(jacobian) * y) > PART * np.abs(f)
        for i in np.flatnonzero(crosses)[:CROSSING]:
            for time, there in ((now, y), (t, before), (0.5 * (t + now), 0.5 * (before + y))):
                at_0 = there.copy()
                at_0[i] = math.copysign(NEAR_0, before[i])
                if not abs(self.aside(self._beside, time, at_0.reshape(slope.shape)).ravel()[i]) <= VANISHES * abs(f[i]):
                    break
            else:
                return int(i) + 1
        return 0

    def _is_lost(self, away: Array) -> bool:
        """Whether a component that has come to the side of 0 where no solution from the start is leads away there. away : y y'."""
        i = self.looks.beyond - 1
        if i < 0 or self.run.t == self.t1 or not away[i] > 0.0 or not abs(self.run.y.ravel()[i]) > FAINT * abs(self.start.ravel()[i]):
            return False
        self.looks.crossed = i + 1
        self.lost = self.turns.words_of_course(self.looks)
        return True

    def ask_of_signs(self) -> None:
        """Of steps that cannot go on: whether a component has gone to the side of 0 where no solution from the start is."""
        if not self.lost:
            self.aside(self.turns.cross, self.looks, self._beside, self.t0, self.run.t, self.run.y, self.start)
            self.lost = self.turns.words_of_course(self.looks) if self.looks.crossed > 0 else ""

    def _leapt_over_pole(self) -> bool:
        """Whether a pole in time lies between the mark and here; then back to the mark. Not where the step was cut on this way: it ends
        before what it was cut for."""
        if self.returns:
            return False
        slope, (t, y) = self.run.slope, self.marked
        between = self.aside(self.poles.elsewhere, slope, t, self.run.t, y)
        if between == self.looks.slope:
            return False
        self.looks.uneven = 1
        self.pole = self.aside(self.poles.pole_words, slope, t, self.run.t, y, self.looks.slope, between)
        if self.pole:
            self._restore()
        return bool(self.pole)

    def _look_at_course(self) -> None:
        """Whether the steps follow the solution, where words are to say so."""
        run, looks, turns = self.run, self.looks, self.turns
        if self.symmetric or turns.few(looks):
            return
        if run.t == self.t1:
            self.aside(turns.cross, looks, self._beside, self.t0, run.t, run.y, self.start)
            self.aside(turns.retrace, looks, self._again, run.y.ravel())
            return
        left = count_steps(run.t, self.t1, self.step)
        count = turns.affordable(looks, self.method, self.step, run.k, left, run.nfev) if run.y.size > 1 else 0
        if count:
            before = run.nfev
            self.aside(turns.compare, looks, self._walk, self.method, run.k, run.t, self.step, left, count)
            looks.spent += run.nfev - before

    def _walk(self, parts: int) -> Iterator[Array]:
        """The states that next steps would lead through, each of them in so many parts, as long as they can be taken, from here on; the run
        stays where it is."""
        run, there = self.run, self.run.pack()
        yield run.y.ravel()
        while True:
            here = run.pack()
            run.unpack(there, counts=False)
            try:
                with np.errstate(all="ignore"):
                    taken = self._single(self.step / parts)
            except OUTSIDE:  # as in `_beside`
                taken = False
            there, y = run.pack(), run.y.ravel()
            run.unpack(here, counts=False)
            if not taken:
                return
            yield y

    def _again(self) -> tuple[Array, Array] | None:
        """Where steps half as long as all that were taken lead from the start on, and how far from there each component has been; None
        where they need more evaluations than the run, or lead nowhere. The run stays where it is."""
        run, here, taken = self.run, self.run.pack(), self.looks.taken
        most = self.turns.most_again(run.nfev)
        if sum(count for count, _ in taken) != run.k or 2 * run.k * max(1, self.method.record.stages) > most:
            return None
        until, start, way = run.nfev + most, self.start.ravel(), np.zeros(self.start.size)
        try:
            run.unpack(self.begun, counts=False)
            for length in (0.5 * step for count, step in taken for _ in range(2 * count)):
                last = count_steps(run.t, self.t1, length) == 1
                if run.nfev > until or not self._single(length, self.t1 if last else math.nan):
                    return None
                way = np.maximum(way, np.abs(run.y.ravel() - start))
                if last:
                    return run.y.ravel(), way
        except OUTSIDE:  # as in `_beside`
            return None
        finally:
            run.unpack(here, counts=False)
        return None

    def _single(self, step: float, goal: float = math.nan) -> bool:
        """Whether one step could be taken, with nothing written down. goal : where it ends."""
        status = self.run.fixed(1, goal, None, step)
        if status == stepper.RHO_DUE:
            status = 1 if give_radius(self.run, self.symmetric) else self.run.fixed(1, goal, None, step)
        return bool(status == 0)

    def _beside(self, t: float, y: Array) -> Array:
        """f in a look at places where the run does not stand; NaN where it has no value, as f of Python's own math raises where NumPy gives
        NaN: the run itself may never come there. What f raises where the run stands is passed on, and so is what is no word on a place."""
        try:
            with np.errstate(all="ignore"):
                value: Array = self.run.slope(t, y)
        except OUTSIDE:
            if t == self.run.t and np.array_equal(y, self.run.y):
                raise
            value = np.full(y.shape, math.nan)
        return value

    def _slope(self) -> Array:
        with np.errstate(all="ignore"):
            return np.array(self.run.slope(self.run.t, self.run.y), dtype=np.float64)

    def _is_rough(self) -> bool:
        """Whether a step from the mark leads elsewhere than two of half its size."""
        run, here = self.run, self.run.pack()
        run.unpack(self.mark[0], counts=False)
        whole, parts = ([*islice(self._walk(count), count + 1)] for count in (1, 2))
        run.unpack(here, counts=False)
        if len(whole) < 2 or len(parts) < 3:
            return False
        start, end = whole
        with np.errstate(all="ignore"):
            apart, way = float(np.linalg.norm(parts[-1] - end)), float(np.linalg.norm(end - start))
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
                if change <= SAME * nearby and (change >= nearby / SAME or not self._bends(slope, sign * length, nearby)):
                    break
                length *= 0.5
        return length

    def _bends(self, slope: Array, length: float, nearby: float) -> bool:
        """Whether the slope changes faster somewhere on an Euler step than nearby: where it is flat at the end, it may turn in between."""
        run, before = self.run, slope
        for part in PARTS:
            here = np.asarray(self._beside(run.t, run.y + part * length * slope), dtype=np.float64)
            change = float(np.linalg.norm(here - before)) / abs(PARTS[0] * length)
            if not change <= SAME * nearby:
                return True
            before = here
        return False

    def _until_steeper(self, length: float, slope: Array, limit: float) -> tuple[float, bool]:
        """The step, halved until the Jacobian's changes with time leave it stable; and whether those soon ask for another look.

        Beside a pole in time, as of y' = y/(1 - t), the limit falls as the pole comes near, and a step over it finds a long one again on
        the other side. So the way is looked at that the next two gaps may take. A pole of the state, as of y' = 1/(y - t), may lie within a
        step that is longer than those before: an Euler step is looked at as it goes then."""
        run, sign = self.run, math.copysign(1.0, self.t1 - self.t0)
        if run.t == self.t1:
            return length, False
        with np.errstate(all="ignore"):
            ahead = min(4.0 * self.looks.gap * length, abs(self.t1 - run.t))
            changes = spectrum.steepens(self._beside, run.t, run.y, slope, sign * ahead)
            changing = changes > STEEPER
            for _ in range(MOST_RETURNS if changing or changes * length > limit else 0):
                if length * spectrum.steepens(self._beside, run.t, run.y, slope, sign * length) <= limit:
                    break
                length *= 0.5
            for _ in range(MOST_RETURNS if changes > 0.0 and not length <= (1.0 + spectrum.STEADY) * abs(self.step) else 0):
                steeper = spectrum.steepens(self._beside, run.t, run.y, slope, sign * length, slope)
                if length * steeper <= limit and steeper <= ABRUPT:
                    break
                length *= 0.5
        return length, changing

    def _change(self, slope: Array, length: float) -> float:
        """How fast the slope changes over an Euler step, in units of time; infinite where it is not finite there."""
        run = self.run
        ahead = np.asarray(self._beside(run.t, run.y + length * slope), dtype=np.float64)
        change = float(np.linalg.norm(ahead - slope)) / abs(length)
        return change if math.isfinite(change) else math.inf

    def _set_mark(self) -> int:
        """The run may have to go back to where it is now. Returns 0, the status."""
        events = None if self.events is None else (self.events.pack(), *self.events.found)
        self.mark, self.returns = (self.run.pack(), self.history.mark(), events), 0
        self.marked = self.run.t, self.run.y
        self.size = float(np.max(np.abs(self.marked[1]), initial=0.0))
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
