"""Why a run ended where it did, in words that help.

"diverged" is said where the solution runs off in finite time, and that is looked at, once, when a run under error control cannot go on: the
solution is followed backwards from its last good state, and estimates of the time T must agree. On the way to T the largest slope grows
like (T - t)^-a with a >= 1. With a < 1 the slope grows without bound and the state does not (1/sqrt(T - t)); exponential growth has no T
at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.events import events as core_events
from mflow_core.problems.signatures import code_text
from mflow_core.stepping import stepper

from mflow.base.checks import Array, entry_words
from mflow.base.methods import Method
from mflow.base.progress import reason_of
from mflow.base.result import IVPResult, attach, place_of
from mflow.base.telling import about, counted
from mflow.derivatives.differences import SINGLE, slope_digits
from mflow.integrate.curvature import GROWTH, StiffnessWarning
from mflow.solvers.algebraic import rank_words
from mflow.solvers.finite_jacobian import NotFiniteError
from mflow.solvers.jacobian_doubt import mismatch, names_of, stalled, unsolved
from mflow.spectra.krylov import random_vector
from mflow.stability.amplification import measured_radius
from mflow.stability.limits import explain_step, stability_limit, stiff_method
from mflow.walls.jumps import end_words, sliding_words, slope_or_nan, width_of

__all__ = [
    "Ending",
    "blow_up_time",
    "few_digits",
    "held_words",
    "most_stages",
    "of_events",
    "preparing",
    "raised_by",
    "stiff_words",
    "with_doubts",
]

GROWN = 1e3  # the state or its slope has grown by this, and the state by TWICE, before anybody asks whether the solution runs off
TWICE = 2.0
POINTS = 64  # steps backwards, in each of which the slope changes by about a quarter: by 1e7 in all
PARTS = 3  # of the way back, which are to agree about T
AGREE = 0.1  # of the distance to T
NEAR_OVERFLOW = 1e290
SWELLS = 10.0  # times its start: a state that is not as large has not grown by steps that are too long
SOON = 1e-6  # of the span: where a slope is asked that is not finite at the start
LEAST_POWER, MOST_POWER = 0.95, 200.0  # of the growth of the slope
CHATTERS, CROSSED = 8, 4.0  # rejected tries, before anybody asks whether steps cross a jump again and again; it is so many steps away
SWINGS = 8  # products with the Jacobian, before its fastest mode is asked whether it swings
SEEN, FINE = 10, 8.0  # slopes before their digits are judged; an rtol below so many rounding errors of a slope asks for too much
DAMPED = 0.02  # of its rate: what turns decays by that at least, if the problem is stiff for it
HELD, MANY_HELD = 24, 128  # steps at the stability limit so far, and with those to come, that are worth a warning
LEAPS = 1e3  # times the stability limit: what a first step beyond it does, later ones within it do not mend
NEAR_END, JUMPS = 1024, 1e3  # of the spacing of numbers: how far from the end its jump ends a run; of what the slope changes up to there


@contextmanager
def preparing(start: Array, t0: float, name: str) -> Iterator[None]:
    """What a function of the user raises before there is a run, as a Jacobian that is asked for its form, takes the start along."""
    try:
        yield
    except BaseException as error:
        reason, _ = reason_of(error)
        if reason == "interrupted" or place_of(error):
            message = f"{type(error).__name__} at t = {t0:g} after 0 steps" + (f": {error}" if str(error) else "")
            out = IVPResult(
                t=np.array([t0]), y=start[..., None].copy(), sol=None, t_events=None, y_events=None, nfev=0, njev=0, nlu=0, nsteps=0,
                nrejected=0, status=-1, reason=reason, message=message, success=False,
            )  # fmt: skip
            attach(error, lambda: out, f"in mflow.{name}, before the first step from t = {t0:g}; .partial_result holds the start")
        raise


def raised_by(error: BaseException) -> tuple[str, str]:
    """(reason, words on the event, the action or the callback that raised it), for a run that an exception ended."""
    if isinstance(error, StiffnessWarning):
        return "interrupted", ""
    return reason_of(error)


class Ending:
    """The ending of a run that could not go on. where: "at t = ... after ... steps"; mode: "fixed", "auto" or "adaptive"."""

    callee, jacobian = "right-hand side", "jac="
    looked = 0  # evaluations for words that may go unsaid: none of the run's
    warned = ""  # what was said of steps that are too long, where that is known already
    t_end = math.nan
    rtol = 0.0  # of error control
    pole = ""  # words of one in time that steps were held before
    held = False  # whether steps were held at the stability limit before a checkpoint that the run went on from

    def __init__(self, run: stepper.Run, method: Method, mode: str, step: float, start: Array, t0: float, where: str) -> None:
        self.run, self.method, self.mode, self.step, self.start, self.t0, self.where = run, method, mode, step, start, t0, where

    def explain(self, status: int) -> tuple[str, str]:
        """(reason, message) of a run that ended with this status."""
        fixed = self.mode != "adaptive"
        cannot = status in (stepper.STEP_TOO_SMALL, stepper.SOLVE_FAILED, stepper.RETRY_SOLVE)
        if cannot and (words := rank_words(self.run.solver)):
            return "solve_failed", f"no step goes on {self.where}: {words}"
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE):
            if fixed:
                return "non_finite", self._slope_here() or self._fixed_non_finite()
            return self._blow_up(finite=False) or self._non_finite()
        if status == stepper.STEP_TOO_SMALL:
            return self._blow_up() or self._too_small()
        if status in (stepper.SOLVE_FAILED, stepper.RETRY_SOLVE):
            return (None if fixed else self._blow_up()) or ("solve_failed", self._unsolved(fixed))
        if status == stepper.MANY_STAGES:
            return "step_too_small", self._many_stages(fixed)
        if status > 0:
            how = f"{self.method.name} takes fixed ones: lower dt" if fixed else f"it still did at {abs(self.run.h):.3g}"
            return "rhs_failed", f"the {self.callee} asked for a smaller step {self.where} (code {status}), and {how}"
        return "rhs_failed", f"the {self.callee} gave up {self.where} with {code_text(status)}"

    def unmeasured(self, why: str) -> tuple[str, str]:
        """(reason, message) where the method could not measure the Jacobian."""
        text = f"{why}, and {self.method.name} measures the Jacobian there ({self.where})"
        return (self._blow_up() if self.mode == "adaptive" else None) or ("non_finite", text)

    def hint(self) -> str:
        """Why fixed steps may have led there: by what is measured now, or was found on the way."""
        text = explain_step(self.run, self.method, abs(self.step), self.start, self.t0)
        return self.warned if self.warned and "exceeds" not in text else text

    def growth(self, inside: bool | None = False) -> str:
        """Words where the state has grown by orders of magnitude past a stability limit, yet stayed finite; "" otherwise. inside: whether
        steps were seen within the limit later, which a first step far beyond it may have led to."""
        last = largest(self.run.y)
        if not last > GROWTH or (inside and not self._leaps_at_start()):
            return ""
        first = _size(np.ravel(self.start)[: self.run.y.size])
        why = (self.warned or self.hint()) if last > GROWTH * max(1.0, first) else ""
        if "exceeds" not in why:
            return ""
        return f"the state grew from {first:.3g} to {last:.3g} (its largest entry at the start and at the end): {why}"

    def _leaps_at_start(self) -> bool:
        """Whether the first step was so far beyond the limit that no solution is followed from there."""
        radius = measured_radius(lambda y: self._slope(self.t0, y), self.start)
        return "linear" in self.method.flags and abs(self.step) * radius > LEAPS * stability_limit(self.method)

    def _state(self) -> Array:
        return self.run.y

    def _ask(self, t: float, y: Array) -> Array:
        return self.run.slope(t, y)

    def _slope(self, t: float, y: Array) -> Array:
        """The slope, NaNs where it cannot be had."""
        return slope_or_nan(self._ask, t, y)

    def _blow_up(self, finite: bool = True) -> tuple[str, str] | None:
        """The ending of a solution that runs off in finite time; None where there is no evidence that it does, or where what runs off may
        be the explicit steps alone, one of which was held at their stability limit. That one was is in checkpoints, so that a run that was
        resumed ends for the same reason; how many they were, in this call, is for messages alone."""
        run, y = self.run, self._state()
        if run.k == 0 or self.held or run.stiffness[3]:
            return None
        h = run.h if self.mode == "adaptive" else self.step
        end = blow_up_time(self._slope, run.t, y, self.t0, h, self.start, finite)
        if end is None:
            return None
        width = max(AGREE * abs(end - run.t), width_of(self.rtol, run.t, self.t0))
        return "diverged", (
            f"the solution runs off in finite time, near t = {about(end, width)} {self.where}: the largest component is {_size(y):.3g}, "
            f"the largest slope {_size(self._slope(run.t, y)):.3g}, and steps have shrunk to {abs(h):.3g}"
        )

    def _non_finite(self) -> tuple[str, str]:
        run = self.run
        text = self._jacobian_at_fault() or self._slope_here()
        if text:
            return "non_finite", text
        text = f"non-finite state or slope just beyond t = {run.t:g} (after {counted(run.k, 'step')}): "
        size = _size(self._state())
        if size > NEAR_OVERFLOW:
            return "non_finite", f"{text}the largest component is {size:.3g}, near the largest number{stiff_words(run, self.method)}"
        return "non_finite", (
            f"{text}every step tried from there met one, down to {abs(run.tried):.3g}; has the solution left the domain of the "
            f"{self.callee}?{stiff_words(run, self.method)}"
        )

    def _fixed_non_finite(self) -> str:
        """Words, where the state and its slope are finite and a step of fixed length is not."""
        if not self.run.equations:
            size, why = _size(self._state()), self.hint()
            blamed = ("exceeds" in why or "below the limit" in why) and "where it broke off" not in why
            if blamed and size < SWELLS * _size(np.ravel(self.start)):
                return (
                    f"non-finite state {self.where}, before which it had not grown (the largest component is {size:.3g}): the "
                    f"{self.callee} has left its domain there, or its values overflow"
                )
            return f"non-finite state {self.where}: {why}"
        return self._jacobian_at_fault() or (
            f"the equation of {self.method.name}'s implicit step {self.where} with dt = {abs(self.step):g} met slopes that are not finite: "
            f"lower dt; or has the solution left the domain of the {self.callee}?"
        )

    def _slope_here(self) -> str:
        """Words, where the slope is not finite at the state that the run stands at, of which the start is one."""
        run = self.run
        if run.k != 0 and not run.equations:
            return ""  # explicit steps begin with that slope: it has been told from what follows it
        try:
            with np.errstate(all="ignore"):
                bad = np.flatnonzero(~np.isfinite(self._ask(run.t, self._state())))
        except Exception:
            return ""  # the run has ended already: this is for its message alone
        place = "the start, " if run.k == 0 else "a finite state, "
        if not bad.size:
            return ""
        return f"the {self.callee} is not finite at {place}t = {run.t:g}: see its component {self._number(bad[0])}{self._finite_soon()}"

    def _finite_soon(self) -> str:
        """Words, where the slope is not finite at the start alone, as that of a formula with 2/t."""
        t = self.t0 + SOON * (self.t_end - self.t0)
        if self.run.k or not (math.isfinite(t) and np.all(np.isfinite(self._slope(t, self._state())))):
            return ""
        return f"; it is finite at t = {t:g}, so start there, from the first terms of a series"

    def _number(self, j: int) -> int:
        """Of a component, as the user counts."""
        return j

    def _jacobian_at_fault(self) -> str:
        """Words, where it is the user's Jacobian that is not finite."""
        run = self.run
        if not run.problem.has_jac:
            return ""
        try:
            with np.errstate(all="ignore"):
                if run.equations is not None:
                    run.equations.probes += 1
                matrix = run.problem.jacobian(run.t, run.y)
        except NotFiniteError as error:
            return str(error)
        except Exception:
            return ""  # the run has ended already: this is for its message alone
        words = entry_words(matrix)
        return f"jac is not finite at t = {run.t:g} (after {counted(run.k, 'step')}), the state is: {words}" if words else ""

    def _too_small(self) -> tuple[str, str]:
        run = self.run
        if self.mode == "auto":
            return "step_too_small", (
                f"no steps are stable and follow the solution {self.where}, down to {abs(self.step):.3g}: look for a singularity of the "
                "solution or of the right-hand side there"
            )
        if run.t + math.copysign(run.max_step, run.h) == run.t:
            return "step_too_small", f"max_step = {run.max_step:.3g} is lost in rounding {self.where}: t + max_step == t; raise it"
        text = f"the tolerances want a step of {abs(run.h):.3g} {self.where}"
        if self.pole:
            return "step_too_small", f"{text}: {self.pole}"
        if jump := self._jump_at_end():
            return "step_too_small", f"{text}: {jump}"
        if slides := self._slides(abs(run.h)):
            return "step_too_small", f"{text}: {slides}"
        hint = "look for a jump or a singularity there, or loosen rtol and atol"
        stiff = stiff_words(run, self.method)
        if not self.method.is_implicit:
            hint += stiff or f"; if the problem is stiff, take {stiff_method()}"
        return "step_too_small", f"{text}, shorter than t or min_step allows: {hint}"

    def _jump_at_end(self) -> str:
        """Words, where the slope jumps at the end of the run and nowhere before it."""
        run, t_end, before = self.run, self.t_end, self.run.nfev
        if not 0.0 < abs(t_end - run.t) <= NEAR_END * abs(np.spacing(t_end)):
            return ""
        y, last = self._state(), math.nextafter(t_end, run.t)
        here, ahead, there = (self._slope(t, y) for t in (run.t, last, t_end))
        self.looked += run.nfev - before
        if not _size(there - ahead) > JUMPS * max(_size(ahead - here), np.finfo(float).eps * _size(here)):
            return ""
        return f"the {self.callee} jumps at the end itself: pass breaks=[{t_end!r}], so that it is asked only at times before it"

    def chatters(self) -> str:
        """Words, where steps under error control cross a jump again and again; "" otherwise."""
        looks = self.mode == "adaptive" and self.run.rejected[0] >= CHATTERS
        slides = self._slides(abs(self.run.h), CROSSED) if looks else ""
        return f": {slides}" if slides else ""

    def _slides(self, h: float, most: float = math.inf) -> str:
        """Words, where the solution slides along a jump, or comes to a pole; shorter steps than those of rounding cross none."""
        run, y, before, callback = self.run, self._state(), self.run.nfev, self.run.problem.callback
        if callback is not None and slope_digits(callback.bits) is not None:  # every slope of few digits jumps, by its rounding
            return ""
        speed = _size(self._slope(run.t, y))
        if not 0.0 < speed < math.inf or not h < math.inf:
            return ""
        h = max(h, 1e-9 * max(_size(y), 1e-300) / speed)
        h = math.copysign(h, run.h if self.mode == "adaptive" else self.step)
        words = sliding_words(self._slope, run.t, y, h, most) or end_words(
            self._slope, run.t, y, h, width=width_of(self.rtol, run.t, self.t0)
        )
        if not words and math.isinf(most):
            from mflow.walls.leapt import passing_words  # seldom needed

            words = passing_words(self._slope, run.t, y, h)
        self.looked += run.nfev - before
        return words

    def _many_stages(self, fixed: bool) -> str:
        radius, name = self.run.rho[0], self.method.name
        need = f"for the spectral radius {radius:.3g} of the Jacobian {self.where}, {name} needs more than its {most_stages()} stages with "
        which = f"dt = {abs(self.step):g}: lower dt" if fixed else f"steps down to {abs(self.run.h):.3g}: look for a singularity there"
        return f"{need}{which}, or take {stiff_method()}"

    def _unsolved(self, fixed: bool) -> str:
        run = self.run
        text = f"the equation of {self.method.name}'s implicit step was not solved {self.where}"
        text += f" with dt = {abs(self.step):g}" if fixed else f", down to steps of {abs(run.h):.3g}"
        wrong = mismatch(run.equations, self._ask, names_of(run.problem.has_jac), run if math.isinf(self.step) else None)
        if wrong:
            return f"{text}: {wrong}"
        callback = run.problem.callback
        digits = slope_digits(callback.bits) if fixed and callback is not None else None
        if digits is not None:
            return (
                f"{text}: fun's slopes carry {digits.text}, and the equations of fixed steps are solved to the rounding of float64; return "
                "float64, or take error control, whose tolerances such slopes may meet"
            )
        if slides := self._slides(abs(self.step if fixed else run.h)):
            return f"{text}: {slides}"
        if fixed:
            return f"{text}: {unsolved(run.equations, self.step, self.jacobian, run.problem.has_jac)}"
        if run.equations is not None and run.equations.outgrown:
            return (
                f"the solution grows faster than steps of {self.method.name} can follow {self.where}, down to {abs(run.h):.3g}: does it "
                f"end there, at a pole or a wall of the {self.callee}? {self.jacobian} at fault would look the same"
            )
        stall = stalled(run.equations, self.jacobian)
        if stall:
            return f"{text}: {stall}"
        return f"{text}: is the Jacobian right, or singular? Give {self.jacobian}, or another solver="


def of_events(events: core_events.Events, status: int, where: str, switches: Any = None) -> tuple[str, str] | None:
    """(reason, message) where an event or its action has ended the run; None where none has. switches : of a motion, whose events are the
    last ones."""
    if status not in (core_events.NOT_FINITE, core_events.REFUSED, core_events.BAD_ACTION, core_events.ZENO):
        return None
    which, t = events.endless
    obstacle = switches.name(which) if switches is not None and which >= 0 else ""
    if status in (core_events.NOT_FINITE, core_events.REFUSED):
        return "event_failed", events.failure.replace(f"event {which}", obstacle, 1) if obstacle else events.failure
    if status == core_events.BAD_ACTION:
        return "event_failed", events.bad_action.replace(f"event {which}", obstacle, 1) if obstacle else events.bad_action
    if obstacle:
        return "zeno", (
            f"{obstacle} changes between its states without end near t = {t:.9g}, at times between which no step fits; the run stands "
            f"{where}. Another dt may pass this place"
        )
    return "zeno", (
        f"event {which} is met without end near t = {t:.9g}: its action leaves the solution where it is driven into the event again at "
        f"once, or the times between its meetings shrink to nothing, as of a ball that comes to rest; the run stands {where}. In "
        "solve_dynamics mflow.Contact(dof, gap, restitution=...) bounces and then rests"
    )


def few_digits(run: stepper.Run, tolerances: tuple[Array, ...]) -> str:
    """Words, where slopes carry fewer digits than rtol, the first of the tolerances of error control, asks for; "" otherwise."""
    problem: Any = run.problem  # of a motion one that counts its force
    callback = problem.callback
    bits = callback.bits if callback is not None else getattr(problem, "bits", 0)
    digits = slope_digits(bits) if tolerances and SINGLE - 1 <= bits <= SINGLE else None
    if digits is None or not (least := float(np.min(tolerances[0]))) < FINE * digits.eps:
        return ""
    if (run.nfev if callback is not None else problem.counters["nfev"]) <= SEEN:
        return ""
    said = "fun's slopes carry" if callback is not None else "values of the force carry"
    return f"{said} {digits.text}, and rtol = {least:g} asks for more: return float64, or raise rtol"


def most_stages() -> str:
    """Of a method whose stages are set at run time, in words."""
    return f"{stepper.MOST_STAGES:_}".replace("_", " ")


def with_doubts(message: str, doubts: tuple[str, ...]) -> str:
    """The message, and those of the doubts that it does not hold already."""
    return "; but ".join((message, *(text for text in doubts if text not in message))) if doubts else message


def stiff_words(run: stepper.Run, method: Method) -> str:
    """Words where error control held its steps at the stability limit; "" otherwise."""
    stiff, rate, h, held = run.stiffness
    if not stiff:
        return ""
    steps, (swing, decay) = f"{held} steps or more, of {abs(h):.3g} last, were held", _swing(run)
    from mflow_core.stepping.legs.legs import turns_while_held  # where it is needed

    if turns_while_held(run):
        of = f"by what turns at a rate of about {swing:.3g} while it decays, and not by the motion, which is far slower"
        return f"; the problem is stiff: {steps} {of}: take {stiff_method()}" if decay > DAMPED * swing else ""
    limit = f"{steps} at the stability limit of {method.name}"
    if swing:
        return (
            f"; {limit} by an oscillation (of a rate of about {swing:.3g}) and not by the tolerances, which let it die or drift: lower "
            f"rtol and atol to follow it, or take {stiff_method()} where it does not matter"
        )
    of = f"for errors that change at a rate of about {rate:.3g}"
    return f"; the problem is stiff: {limit} ({of}) and not by the tolerances: take {stiff_method()}"


def _swing(run: stepper.Run) -> tuple[float, float]:
    """|lambda| and -Re lambda of the fastest mode where it swings rather than decays, else zeros: J J v against v and J v, where v is what
    J was applied to SWINGS times: imaginary pairs turn v around. By differences of the slope, not counted."""
    t, y = run.t, run.y
    size = max(1.0, float(np.linalg.norm(y))) * 1.5e-8
    try:
        with np.errstate(all="ignore"):
            at = np.array(run.slope(t, y), dtype=np.float64)
            v, before, growth = random_vector(y.size, 31).reshape(y.shape), np.zeros(y.shape), [0.0]
            for k in range(SWINGS + 2):
                before, after = (v, before) if k == SWINGS else (before, v)
                v = (np.asarray(run.slope(t, y + size * v)) - at) / size
                growth.append(float(np.linalg.norm(v)))
                v = v / growth[-1]
    except Exception:
        return 0.0, 0.0  # this is for words alone
    if not float(np.vdot(before, v)) < -0.5:
        return 0.0, 0.0
    a, b = np.linalg.lstsq(np.stack([after.ravel(), before.ravel()], axis=1), growth[-1] * v.ravel(), rcond=None)[0]
    return math.sqrt(max(-b * growth[-2], 0.0)), -0.5 * a


def held_words(run: stepper.Run, method: Method, end: float) -> str:
    """Words of a warning, where error control has held dozens of steps at the stability limit, and these with those to come until `end`
    (NaN: not known) are many and most of the run; "" otherwise."""
    stiff, _, h, held = run.stiffness
    if not stiff or held < HELD:
        return ""
    most = held + (abs((end - run.t) / h) if math.isfinite(end) else 0.0)
    if most < MANY_HELD or most < run.k - held:
        return ""
    words = stiff_words(run, method).removeprefix("; ")
    return f"near t = {run.t:g} {words}" if words else ""


# ---- does the solution run off? ---------------------------------------------------------------------------------------------------


def blow_up_time(
    slope: Callable[[float, Array], Array], t: float, y: Array, t0: float, h: float, start: Array, finite: bool = False
) -> float | None:
    """When the solution from `start` at t0, which passes y at t, where steps of h failed, runs off to infinity; None without evidence.

    L = -dt / d ln |y'| = (T - t)/a is a straight line on the way to T; it is fitted to three parts of the way back towards t0. Backwards a
    solution may leave the one that runs off, as of y'' = 2 y^3; then it is fitted to the way ahead, on which it comes ever nearer to
    that, where the slope is finite ahead.
    """
    size, first, steepness, at_first = (_size(v) for v in (y, start, slope(t, y), slope(t0, start)))
    if not (math.isfinite(steepness) and size > TWICE * first and (size > GROWN * first or steepness > GROWN * at_first)):
        return None
    back, logs = _way_back(slope, t, y, abs(t - t0), h)
    left = _time_left(back, logs)
    if left is None and finite:
        ahead, logs = _way_back(slope, t, y, math.inf, -h)
        left = _time_left((ahead[-1] - ahead)[::-1], logs[::-1])
        left = None if left is None else left + float(ahead[-1])
    return None if left is None else t + math.copysign(left, h)


def _time_left(back: Array, logs: Array) -> float | None:
    """The time from the first of these points until the slope is infinite; None without evidence. back : their distances from it, on the
    way back. logs : of the slope."""
    if len(back) < POINTS // 2 or not np.all(np.diff(logs) < 0.0):
        return None
    _, power = math.frexp(float(back[-1]))  # the squares of distances that are far below 1 have no number
    back = np.ldexp(back, -power)
    middle, length = 0.5 * (back[1:] + back[:-1]), -np.diff(back) / np.diff(logs)
    parts = np.array_split(np.arange(len(middle) // 4, len(middle)), PARTS)  # the nearest quarter begins with steps of any size
    found = []
    for part in parts:
        per_power, rest = np.polyfit(middle[part], length[part], 1)
        if not 1.0 / MOST_POWER <= per_power <= 1.0 / LEAST_POWER:
            return None
        found.append(rest / per_power)  # T - t
    agree = all(abs(one - found[0]) <= AGREE * float(middle[part[0]]) for one, part in zip(found, parts, strict=True))
    return math.ldexp(float(found[0]), power) if agree else None


def _way_back(slope: Callable[[float, Array], Array], t: float, y: Array, far: float, h: float) -> tuple[Array, Array]:
    """Distances from t at which the solution was looked at, backwards, and the logarithms of its largest slope there.

    The steps are those of rk4, written out: its kernel would evaluate the slope at the end of each once more, a quarter of all calls.
    """
    sign, d, gone = math.copysign(1.0, h), 0.5 * abs(h), 0.0
    with np.errstate(all="ignore"):
        f = slope(t, y)
        back, size = [0.0], [math.log(_size(f))]
        for _ in range(2 * POINTS):
            d = min(d, far - gone)
            if not d > 0.0 or len(back) > POINTS:
                break
            half, at = -0.5 * sign * d, t - sign * gone
            k2 = slope(at + half, y + half * f)
            k3 = slope(at + half, y + half * k2)
            k4 = slope(at + 2.0 * half, y + 2.0 * half * k3)
            end = y + half / 3.0 * (f + 2.0 * (k2 + k3) + k4)
            f_end = slope(at + 2.0 * half, end)
            top = _size(f_end)
            change = size[-1] - math.log(top) if 0.0 < top < math.inf else math.inf
            if abs(change) > 0.6:
                d *= 0.4
                continue
            y, f, gone = end, f_end, gone + d
            back.append(gone)
            size.append(math.log(top))
            d *= min(2.0, max(0.5, 0.25 / max(abs(change), 1e-3)))
    return np.array(back), np.array(size)


def _size(v: Array) -> float:
    return float(np.max(np.abs(v), initial=0.0))
