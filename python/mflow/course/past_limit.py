"""Whether fixed steps of an explicit method are past its stability limit, where nothing overflows.

Past the limit the fast modes of a problem grow. Where f saturates they go back and forth without end, or come to rest where f is not 0;
where f is steep in one place only, one step leads past it, and the run goes on smoothly and wrong. Every number stays finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.stepping import stepper
from mflow_core.stepping.watch import past

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method
from mflow.base.pace import MANY
from mflow.base.telling import tell
from mflow.course.past_step import Finding, Judge, Step, affordable, edge_of, finding_of, has_limit
from mflow.course.past_swing import may_leave, orbit_left
from mflow.stability import spectrum
from mflow.stability.amplification import amplification

__all__ = ["PastLimit"]

RARER_IN_TIME = 2  # times as many looks are due a measurement, after one that was steep by what depends on time alone
GROWN = 100.0  # a state that has grown by this is due a measurement, by its square the next time, and so on
HUGE = 1e150  # whose square is finite
RARER, STEEPER = 4, 1.4  # times as many looks are due a measurement, after each one that finds nothing, or one that is so much steeper
WAIT = 4  # steps from a measurement that finds something to the next look
AXIS = 0.9  # of the limit on the real axis: methods whose limit for oscillations is lower have next to none
TWICE, TENFOLD = 2.0, 10.0  # a state that has grown by this in many steps, in few, may have done so by what they do to an oscillation
FEW = 100  # steps, in which an oscillation that doubles by them is seen by looks
SWINGS, NEARBY = 0.5, 1e-7  # of the largest component: the least that an oscillation makes up of it, and the way of a difference


Measured = TypeVar("Measured")


def steadier(method: Method, rate: float) -> str:
    """What to take where oscillations of rates up to this one grow by the steps of `method`: shorter ones where it has a limit for them."""
    reach = np.linspace(0.02, 20.0, 1000)
    grows = np.abs(amplification(method, 1j * reach)) > 1.0 + 1e-9
    limit = float(reach[np.argmax(grows) - 1]) if np.any(grows) and not np.any(grows[:5]) else 0.0
    if limit > 0.0 and rate > 0.0:
        return f'Take dt = {0.95 * limit / rate:.2g} or less, or method="trapezoid", which lets no oscillation grow at any step'
    return 'Take a method that is stable on the imaginary axis, as method="rk4"'


class PastLimit:
    """Whether the fixed steps of an explicit method are past its stability limit, where nothing overflows.

    Looks in passing (watch/past.pyx) take no evaluation. Where one is at the edge, and not by what depends on time alone, the step that it
    was taken in is compared with shorter ones, and the eigenvalues of the Jacobian are measured around it: it is past the limit where a
    mode that the solution damps grows, and where the step leads elsewhere than the solution, by a share of its way and by a hundredth of a
    component. Both are asked for: modes that decay at once may be outside without harm until they grow, and an inaccurate step need not be
    unstable. It is reported where another step, some steps later, is found to be the same, or where the run has not come back to the
    solution by then, so that a transient that comes back within the limit is not. Measurements are few, but one is always due where the
    state has grown by orders.

    due : the status of a loop after which `look` is called. text : the words, "" until there are any. evaluations : of measurements, none
    of them the run's.
    """

    text, evaluations = "", 0
    patience = 1  # how many looks at the edge are due a measurement
    spent = 0  # of these evaluations, of measurements of eigenvalues
    steep = 0.0  # h |lambda| of the last of them
    moved = False  # whether the run has begun anew in another state, or time
    bound, grown = math.inf, GROWN  # the size of the state that is due the next one, and the growth up to that
    first: Finding | None = None  # what has been found, and is not told yet
    mark: Step | None = None  # the step that it was found at

    def __init__(self, run: stepper.Run, method: Method, start: Array, symmetric: bool = False) -> None:
        self.run, self.method, self.symmetric, self.watch, self.due = run, method, symmetric, past.Past(run), past.DUE
        self.until, self.start = past.UNTIL, start
        self.watch.ask(1.0, 1)  # as it stands: from here on it tells where the run is moved

    @classmethod
    def of(cls, run: stepper.Run, method: Method, start: Array, symmetric: bool = False) -> PastLimit | None:
        """None for methods that have no such limit, or that measure the Jacobian themselves."""
        return cls(run, method, start, symmetric) if has_limit(method.record) else None

    @cached_property
    def judge(self) -> Judge:
        """What measures around single steps."""
        return Judge(self.method, self.start, self.symmetric)

    @property
    def inside(self) -> bool | None:
        """Whether the last eigenvalues that were measured are all within the limit; None where there are none."""
        return self.judge.inside

    @property
    def is_quiet(self) -> bool:
        """Whether `finish` would look at nothing, and say nothing."""
        if self.text or self.first is not None or self.watch.start is not None:
            return False
        return not (self._outgrows or may_leave(self.method, self.start, self.run.y, self.run.k))

    @property
    def _outgrows(self) -> bool:
        """Whether the state has grown by so much that a run pays for a measurement of an oscillation."""
        return self.watch.outgrows(self.start, TWICE if self.run.k > FEW else TENFOLD)

    def begin(self) -> None:
        """The run has been moved: later slopes are not compared with those before."""
        if not self.text:
            self.watch.begin()

    # ---- when to measure ------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Enough looks were at the edge, the time for a verdict has come, or the run is over."""
        edge, steep = edge_of(self.method), self.watch.steepest
        self.moved |= self.watch.moved
        self._set_bound()
        if steep < edge and self.first is None:
            self.watch.ask(edge, self.patience, bound=self.bound)
            return
        step = self.watch.start if steep >= edge else None
        if self.first is None:
            self._look_first(edge, steep, step)
            return
        found = None if step is None else self._measure(partial(self.judge.find, steep=steep, share=1.0), Step(*step))
        if found is not None:
            self._tell(min(self.first, found))
        elif self.mark is not None and not self.watch.moved and self._measure(self._stays_elsewhere, self.mark):
            self._tell(self.first)
        elif step is None or self.inside is not False:
            self.first = self.mark = None
            self.patience = min(RARER * self.patience, MANY)
            self.watch.ask(edge, self.patience, bound=self.bound)
        else:  # outside, and one step of many may land beside the solution by chance
            self.watch.ask(edge, 1, until=self.until)

    def _set_bound(self) -> None:
        """The size of the state that is due the next measurement."""
        if self.bound == math.inf:
            self.bound = GROWN * max(float(np.linalg.norm(self.start)), self.watch.state)
        elif self.watch.swells:
            self.grown = min(self.grown**2, HUGE)
            self.bound = min(self.grown * self.watch.state, HUGE)

    def _look_first(self, edge: float, steep: float, step: tuple[float, Array, float] | None) -> None:
        rarer = RARER
        if step is not None:
            at = Step(*step)
            now = self._measure(partial(self.judge.steepness, seen=steep), at) or 0.0
            if now < edge:
                rarer = RARER_IN_TIME
            elif self.watch.swells or now > STEEPER * self.steep > 0.0 or affordable(self.spent, self.run.nfev):
                before, self.steep = self.evaluations, now
                self.first = self._measure(partial(self.judge.find, steep=now), at)
                self.spent += self.evaluations - before
        if self.first is not None and self.first.limit == 0.0:
            self._tell(self.first)
        elif self.first is not None:
            self.mark = at
            self.watch.ask(edge, 1, wait=WAIT, until=self.until)
        else:
            self.patience = min(rarer * self.patience, MANY)
            self.watch.ask(edge, self.patience, alarm=STEEPER * steep, bound=self.bound)

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
        """The run is over: a last look, and a warning where there are words; the words. Where it ended as no step went on, that is told,
        and they are no doubt beside it, but may be the reason."""
        if not stays_finite:
            found, self.text = self.text, ""
            return found
        if not self.text:
            self._look_last()
        # An oscillation grows without harm to a look where its steps are short: by all methods that have (next to) no limit for it, and
        # by the others where the modes are known to be outside.
        grows = not self.text and self._outgrows
        real, imaginary = spectrum.axis_limits(self.method) if grows else (0.0, 0.0)
        if grows and self.inside is None and self.evaluations:
            self._measure(self.judge.look_around, Step(self.run.t, self.run.y, self.run.grid[0]))
        if grows and (self.inside is False or imaginary < AXIS * real):
            swings = self._measure(self._of_swings, Step(self.run.t, self.run.y, self.run.grid[0]))
            self.text = "" if swings is None else swings.text
        self.moved |= self.watch.moved
        if not (self.text or self.moved or self.symmetric) and may_leave(self.method, self.start, self.run.y, self.run.k):
            orbit = self._measure(self._of_orbit, Step(self.run.t, self.start, self.run.grid[0]))
            self.text = "" if orbit is None else orbit.text
        if self.text:
            tell(f"{name}: {self.text}")
        return self.text

    def _look_last(self) -> None:
        """A verdict where the run has come to. Measurements before may have been too early for modes that grow slowly, or too many."""
        steep, behind = self.watch.steepest, self.watch.start
        if self.first is None and behind is not None:
            self.look()
        if self.first is not None:
            self._judge_at_end(self.first)
        elif not self.text and behind is not None and not self.judge.reaches(Step(*behind), self.run.t) and self._is_past_at_end(steep):
            found = self._measure(partial(self.judge.find, steep=steep), Step(*behind))
            if found is not None:
                self._tell(found)

    def _judge_at_end(self, first: Finding) -> None:
        """On what has been found, by where the run has come to; where that is too far for it, by a step there."""
        far = self.mark is not None and not self.judge.reaches(self.mark, self.run.t)
        self.look()
        if far and not self.text and self._is_past_at_end(float(first.parts)):
            self._tell(first)

    def _is_past_at_end(self, steep: float) -> bool:
        """Whether a step of the length of the last is past the limit, that begins so long before the end of the run in the state there."""
        h = self.run.grid[0]
        return self._measure(partial(self.judge.find, steep=steep, share=1.0), Step(self.run.t - h, self.run.y, h)) is not None

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

    def _stays_elsewhere(self, probe: stepper.Run, step: Step) -> bool:
        return self.first is not None and self.judge.stays_elsewhere(probe, step, self.run.t, self.run.y, self.first.parts)

    def _of_swings(self, probe: stepper.Run, step: Step) -> Finding | None:
        """Words, where an oscillation has grown by what the steps alone do to it: by methods that let it grow, however short they are."""
        t, y, h = step
        found, factor = spectrum.spectrum(probe.slope, t, y, symmetric=self.symmetric), largest(y) / largest(self.start)
        if found.reason or not found.values.size:
            return None
        z, steps = h * found.values, self.run.k
        more = np.log(np.abs(amplification(self.method, z))) - np.maximum(0.0, z.real)
        own = steps * max(0.0, float(np.max(z.real)))
        grow = (more * steps >= math.log(TWICE)) & (_swing(probe.slope, t, y, np.abs(found.values)) > SWINGS * largest(y))
        if own > 0.5 * math.log(factor) or not np.any(grow):
            return None
        worst = int(np.argmax(np.where(grow, more, -math.inf)))
        if abs(z[worst].imag) <= abs(z[worst].real):  # no oscillation, but a mode that the solution damps
            return self.judge.of_limit(t, h, complex(found.values[worst]))
        return Finding(
            0.0,
            f"the state has grown by a factor of {factor:.3g}, as dt = {abs(h):g} exceeds the stability limit of {self.method.name} for "
            f"the oscillation at t = {t:g}: its rate is about {abs(z[worst] / h):.3g}, and each step lets it grow by a factor of about "
            f"{math.exp(more[worst]):.6g} more than the solution does ({math.exp(min(700.0, steps * more[worst])):.3g} in {steps} steps). "
            f"{steadier(self.method, float(np.max(np.abs(found.values))))}, or error control (rtol= in place of dt=)",
        )

    def _of_orbit(self, probe: stepper.Run, step: Step) -> Finding | None:
        """Words, where the run has left a closed orbit that the solution goes round."""
        orbit = orbit_left(probe, self.start, self.run.y, step.t, step.h, self.run.k, self.run.nfev)
        if orbit is None:
            return None
        return Finding(
            0.0,
            f"the solution through the start comes back to it after about {orbit.period:.4g}, and goes round so without end; the run ends "
            f"beside that orbit, by {orbit.beside:.2g} times its width, as steps of {self.method.name} let undamped oscillations grow, "
            f"however short they are: dt = {abs(step.h):g} is too long for {self.run.k} steps. "
            f"{steadier(self.method, 2.0 * math.pi / orbit.period)}, or error control (rtol= in place of dt=)",
        )

    # ---- saving -----------------------------------------------------------------------------------------------------------------------

    def pack(self) -> dict[str, Any] | None:
        """What a checkpoint keeps; None where nothing has been seen."""
        self.moved |= self.watch.moved
        if not (self.text or self.evaluations or self.watch.used or self.moved):
            return None
        mark = None if self.mark is None else [self.mark.t, self.mark.y.ravel().tolist(), self.mark.h]
        return {
            "state": self.watch.pack().tolist(), "text": self.text, "first": None if self.first is None else list(self.first), "mark": mark,
            "evaluations": self.evaluations, "spent": self.spent, "patience": self.patience, "inside": self.inside,
            "steep": self.steep, "bound": None if self.bound == math.inf else self.bound, "grown": self.grown,
        } | ({"moved": True} if self.moved else {})  # fmt: skip

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
            self.watch.ask(1.0, 1)
            return
        names = {"state", "text", "first", "mark", "evaluations", "spent", "patience", "inside", "steep", "bound", "grown"}
        if not isinstance(saved, dict) or set(saved) - {"moved"} != names:
            raise ValueError(f"past: expected {', '.join(sorted(names))}, got {saved!r}")
        if not isinstance(saved["text"], str):
            raise TypeError(f"past: text: expected words, got {saved['text']!r}")
        if not (saved["inside"] is None or isinstance(saved["inside"], bool)):
            raise ValueError(f"past: inside: expected True, False or None, got {saved['inside']!r}")
        evaluations = check_whole(saved["evaluations"], "past: evaluations", 0, MANY)
        spent = check_whole(saved["spent"], "past: spent", 0, evaluations)
        patience = check_whole(saved["patience"], "past: patience", 1, MANY)
        steep, grown = _number(saved["steep"], "steep", 0.0), _number(saved["grown"], "grown", GROWN)
        bound = math.inf if saved["bound"] is None else _number(saved["bound"], "bound", 0.0)
        first, mark = finding_of(saved["first"]), self._mark_of(saved["mark"])
        self.watch.unpack(np.array(saved["state"], dtype=np.float64))
        self.evaluations, self.spent, self.patience, self.first, self.mark = evaluations, spent, patience, first, mark
        self.steep, self.bound, self.grown = steep, bound, grown
        self.text, self.judge.inside, self.moved = saved["text"], saved["inside"], "moved" in saved
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


def _number(saved: Any, name: str, least: float) -> float:
    if isinstance(saved, bool) or not isinstance(saved, (int, float)) or not least <= saved < math.inf:
        raise ValueError(f"past: {name}: expected a finite number of at least {least:g}, got {saved!r}")
    return float(saved)


def _swing(slope: Callable[[float, Array], Array], t: float, y: Array, rates: Array) -> Array:
    """How far the largest component of y swings to either side, were it all of an oscillation of each of these rates.

    Of y = c + a cos(w t) it is the root of (y'/w)^2 + (y''/w^2)^2, and y'' = J y' is a difference along y'.
    """
    f, k = slope(t, y), int(np.argmax(np.abs(y)))
    length = NEARBY * largest(y) / largest(f) if np.any(f) else 0.0
    bend = (slope(t, y + length * f) - f)[k] / length if length > 0.0 else 0.0
    return np.asarray(np.hypot(f[k] / rates, bend / rates**2))
