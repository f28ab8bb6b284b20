"""An integration from its first step to its ending: `integrate`, which every driver of y' = f(t, y) goes through.

The loops over steps are in the core; here they are cut into pieces, between which Ctrl-C, the progress bar, a callback after each step, a
`max_step` that depends on the state, estimates of the spectral radius and checkpoints have their turn. Results do not depend on the cut.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mflow_core.problems import problem
from mflow_core.stepping import events as core_events
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_number, check_times
from mflow.base.methods import Method
from mflow.base.pace import Pace
from mflow.base.progress import Progress, Watcher
from mflow.base.result import IVPResult, attach
from mflow.base.savefile import read_state, write_state
from mflow.integrate import endings
from mflow.integrate.control import (
    check_events,
    check_first_step,
    check_max_step,
    check_min_step,
    check_tolerances,
)
from mflow.integrate.records import Record
from mflow.stability import spectrum

__all__ = ["Drive", "Settings", "follow", "integrate"]

ROUNDING = 1e-12  # a remainder this small against the whole span is no step of its own
GROWTH = 1e6  # a state that ends this much larger than it began is looked at again
RTOL, ATOL = 1e-3, 1e-6  # SciPy's
MANY = 2**62
MOST_RETURNS = 60  # to one mark; each halves the step
LEAST_STEPS = 10  # dt="auto" takes at least so many steps: stability is not accuracy
MAX_STEPS, CALLBACK = 0x7FFFFF01, 0x7FFFFF02  # endings that are decided here


@dataclass
class Settings:
    """What a driver's user may say besides the problem and the method; the words are those of `mflow.solve_ivp`."""

    dt: Any = None
    rtol: Any = None
    atol: Any = None
    rtol_v: Any = None  # of the velocity, in second order
    atol_v: Any = None
    first_step: Any = None
    max_step: Any = None
    min_step: Any = None
    max_steps: Any = None
    t_eval: Any = None
    save: str = "all"
    save_every: Any = None
    dense_output: bool = False
    events: Any = None
    event_args: tuple[Any, ...] = ()
    solver: Any = None
    callback: Any = None
    progress: Any = False
    checkpoint: Any = None
    checkpoint_every: Any = None
    resume: Any = None
    symmetric: bool = False  # the Jacobian is: gradient flow


def integrate(what: problem.Problem, t_span: Sequence[float], start: Array, method: Method, settings: Settings, name: str) -> IVPResult:
    """The driver behind `mflow.solve_ivp` and `mflow.gradient_flow`; ``name`` is what its user called."""
    result: IVPResult = follow(Drive(what, t_span, start, method, settings, name))
    return result


def follow(drive: Drive) -> Any:
    """An integration from its start to its result; an exception on the way takes what was computed along."""
    name = drive.name
    try:
        status = drive.go()
    except BaseException as error:
        run = drive.run
        message = f"{type(error).__name__} at t = {run.t:g} after {run.k} steps" + (f": {error}" if str(error) else "")
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "rhs_failed"
        note = f"in mflow.{name}, in the step from t = {run.t:g} (step {run.k}); .partial_result holds all before"
        attach(error, drive.result(-1, reason, message), note)
        raise
    finally:
        drive.close()
    return drive.finish(status)


class Drive:
    """One integration: its run, what it writes down, and the loop over its pieces."""

    estimated = "dopri5 or esdirk43"  # methods with an error estimate, for messages

    def __init__(self, what: problem.Problem, t_span: Sequence[float], start: Array, method: Method, settings: Settings, name: str) -> None:
        self.what, self.start, self.method, self.settings, self.name = what, start, method, settings, name
        self.t0, self.t1 = check_span(t_span, settings.dt)
        self._fits()
        self.mode = _mode(method, settings, self.estimated)
        self.step = self.t1 - self.t0 if self.mode == "adaptive" else _step(method, settings.dt, self.t0, self.t1)
        self.max_step = check_max_step(settings.max_step)
        self.max_steps = _whole(settings.max_steps, "max_steps", 1, MANY)
        self.watch = Watcher(settings.callback) if settings.callback is not None else None
        self.pace = Pace()
        self.bounded_k = -1
        self.why = ""
        self.steps = _count(self.t0, self.t1, self.step) if self.mode == "fixed" else 0
        self._prepare()
        self.progress = Progress(self.t0, self.t1, name) if settings.progress else None
        self.saved_k, self.looks = 0, spectrum.Looks()
        self.back: Any = None  # where a run with dt="auto" may have to go back to
        self.went_back, self.size = 0, 0.0
        self.pending: list[tuple[float, Array]] = []  # steps that the callback has not heard of yet
        self.uncounted = 0  # evaluations before a resume that the run does not know of: a cost's are counted by its function
        self.save_k = _whole(settings.checkpoint_every, "checkpoint_every", 1, 1000)
        if settings.checkpoint_every is not None and settings.checkpoint is None:
            raise ValueError("checkpoint_every is given without checkpoint=, the file to write")
        if settings.checkpoint is not None and not Path(settings.checkpoint).parent.is_dir():
            raise FileNotFoundError(f"checkpoint: there is no folder {Path(settings.checkpoint).parent} to save it in")
        if settings.resume is not None:
            self._resume(settings.resume)

    def _prepare(self) -> None:
        """The run, its events and its record."""
        s = self.settings
        if math.isinf(self.t1) and (s.t_eval is not None or s.events is not None or s.dense_output):
            raise ValueError("t_eval, events, dense_output: dt = inf goes to t = inf in one step, with nothing between: leave them away")
        times = None if s.t_eval is None else check_times(s.t_eval, self.t0, self.t1)
        every = _every(s.save, s.save_every, times is not None)
        specs = check_events(s.events)
        self.events = self._make_events(specs) if specs else None
        dense = times is not None or self.events is not None or s.dense_output
        tolerances = self._tolerances()
        vector = tolerances is not None and tolerances[0].size > 1
        step = math.nan if self.mode == "adaptive" else self.step
        self.run = self._make_run(step, dense, vector)
        if tolerances is not None:
            least = check_min_step(s.min_step, self.max_step)
            self.run.control(*tolerances, math.inf if callable(self.max_step) else self.max_step, least)
            self.first = check_first_step(s.first_step, self.t0, self.t1)
        elif s.first_step is not None or s.min_step is not None or s.max_step is not None:
            raise ValueError("first_step, min_step, max_step belong to error control, and dt gives fixed steps: leave them away, or dt")
        known = 1 + -(-self.steps // every) + 1 if self.mode == "fixed" and every and not s.dense_output else None
        self.record = self._make_record(every, times, known)

    def _fits(self) -> None:
        """ValueError where the method is of another kind."""
        if self.method.kind != "step" or "second_order" in self.method.flags:
            raise ValueError(
                f"method: {self.method.name} is no integrator of y' = f(t, y): see mflow.methods(family='runge_kutta')"
                + ("; mflow.solve_dynamics takes it" if "second_order" in self.method.flags else "")
            )

    def _make_run(self, step: float, dense: bool, vector: bool) -> stepper.Run:
        solver, values = self.settings.solver, self.method.numbers
        return stepper.Run(self.method.record, self.what, self.start, self.t0, step, values, dense=dense, control=vector, solver=solver)

    def _make_events(self, specs: list[Any]) -> core_events.Events:
        return core_events.Events(specs, self.start.shape, self.settings.event_args)

    def _make_record(self, every: int, times: Array | None, rows: int | None) -> Any:
        dense = self.settings.dense_output
        return Record(self.run, self.start, self.t0, every=every, times=times, dense=dense, rows=rows, events=self.events)

    def _seen(self) -> tuple[Array, ...]:
        """The state as callbacks get it."""
        return (self.run.y,)

    def _watched(self) -> Array:
        """The state as events see it."""
        y: Array = self.run.y
        return y

    def _at_start(self) -> int:
        """What comes before the first step; 0, or why it cannot be taken."""
        return int(self.events.start_at(self.t0, self._watched())) if self.events is not None else 0

    def _tolerances(self) -> tuple[Array, Array] | None:
        s = self.settings
        if self.mode != "adaptive":
            return None
        rtol, atol = check_tolerances(RTOL if s.rtol is None else s.rtol, ATOL if s.atol is None else s.atol, self.start.shape)
        if rtol.size == atol.size:
            return rtol, atol
        shape = (max(rtol.size, atol.size),)
        return np.ascontiguousarray(np.broadcast_to(rtol, shape)), np.ascontiguousarray(np.broadcast_to(atol, shape))

    # ---- the loop ---------------------------------------------------------------------------------------------------------------------

    def go(self) -> int:
        """0: t_end is reached; anything else: why not."""
        run = self.run
        if run.k == 0:
            status = self._at_start()
            if status != 0:
                return status
        if self.t0 == self.t1:
            return 0
        if self.mode == "adaptive" and run.k == 0:
            sign = math.copysign(1.0, self.t1 - self.t0)
            status = run.begin(self.t1, sign * self.first if self.first else 0.0)
            if status != 0:
                return int(status)
        while run.t != self.t1:
            status = self._piece()
            if status == stepper.FULL:
                self.record.flush()
                if self.events is not None:
                    self.events.collect_rows()
                continue
            if status == stepper.RHO_DUE:
                status = self._radius()
            if status != 0:
                return int(status)
        if self.events is not None and self.events.finish_at(run.t, self._watched()) != 0:
            return int(stepper.EVENT)
        return 0

    def _piece(self) -> int:
        """Some steps, and what has its turn after them."""
        run = self.run
        limit = min(self.max_steps - run.k, max(1, self.save_k - (run.k - self.saved_k)) if self.settings.checkpoint is not None else MANY)
        if self.max_steps <= run.k:
            return MAX_STEPS
        if callable(self.max_step):
            limit = 1
            if self.bounded_k != run.k:  # once a step, whatever had its turn between
                self.bounded_k, run.max_step = run.k, self.max_step(run.t, self._seen()[0])
        if self.watch is not None:
            limit = 1
        k, count = run.k, self.pace.take(limit)
        status = self._steps(count)
        self.pace.done()
        if run.k == k:
            return status
        if self.progress is not None:
            self.progress.update(run.t)
        if status == stepper.EVENT:  # a run that goes on from a file must not go on beyond the event
            return status
        if self.watch is not None and self.mode != "auto" and self.watch(run.t, *self._seen()) and status == 0:
            return CALLBACK
        sure = self.mode != "auto" or run.t == self.t1 or self.looks.next == run.k + self.looks.gap  # no step may be taken again
        if self.settings.checkpoint is not None and sure and (run.k - self.saved_k >= self.save_k or run.t == self.t1):
            self._save()
        return status

    def _steps(self, count: int) -> int:
        """Up to `count` steps; the status."""
        run, rows = self.run, self.record.rows if self.record.writes else None
        if self.mode == "adaptive":
            return int(run.adaptive(count, self.t1, rows))
        if self.mode == "auto":
            return self._auto_steps(count, rows)
        left = self.steps - run.k
        count = min(count, left)
        return int(run.fixed(count, self.t1 if count == left else math.nan, rows))

    # ---- dt = "auto" --------------------------------------------------------------------------------------------------------------------

    def _auto_steps(self, count: int, rows: stepper.Rows | None) -> int:
        """Fixed steps until the next look at the curvature; the status."""
        run = self.run
        if self.back is None:  # the start, or a run that was resumed
            status = self._look() if self.looks.due(run.k) else self._set_mark()
            if status != 0:
                return status
        left = _count(run.t, self.t1, self.step)
        count = min(count, self.looks.next - run.k, left)
        status = int(run.fixed(count, self.t1 if count == left else math.nan, rows, self.step))
        if status == stepper.NON_FINITE and self._has_grown() and self._go_back():
            return 0
        if self.watch is not None and status in (0, stepper.EVENT):
            self.pending.append((run.t, run.y))
        if status == stepper.EVENT and self._told_to_stop():
            return CALLBACK
        if status != 0 or not (self.looks.due(run.k) or run.t == self.t1):
            return status
        return self._look()

    def _look(self) -> int:
        """The largest step inside the method's stability region, for the slope's Jacobian where the run stands. Steps that were longer
        than it are taken again, half as long."""
        run, used = self.run, abs(self.step)
        found = spectrum.safe_step(run.slope, run.t, run.y, self.method, symmetric=self.settings.symmetric)
        if found.reason == spectrum.ROUGH and math.isfinite(used):  # the last step goes on: the run itself will say what is wrong
            if self._told_to_stop():
                return CALLBACK
            self.looks.found(run.k, used)
            return self._set_mark()
        if (used > found.dt / spectrum.SAFETY or (math.isnan(found.dt) and self._has_grown())) and self._go_back():
            return 0
        if math.isnan(found.dt):
            return self._unmeasured(found.reason)
        if not found.dt > 0.0:
            raise ValueError(
                f'dt = "auto": {self.method.name} has no stable step for this problem at t = {run.t:g} ({found.reason}): '
                "give dt=..., or rtol and a method with error control; a stable step is not yet an accurate one"
            )
        if self._told_to_stop():
            return CALLBACK
        length = min(found.dt, abs(self.t1 - self.t0) / LEAST_STEPS, 2.0 * used if self.went_back else math.inf)
        self.looks.found(run.k, length)
        self.step = math.copysign(length, self.t1 - self.t0)
        return self._set_mark()

    def _set_mark(self) -> int:
        """Here the run may have to go back to."""
        found = None if self.events is None else (self.events.pack(), *self.events.found)
        self.back, self.went_back = (self.run.pack(), self.record.mark(), found), 0
        self.size = float(np.max(np.abs(self.run.y), initial=0.0))
        return 0

    def _has_grown(self) -> bool:
        """Whether the numbers that are not finite come from steps that were too long: the state has grown by orders of magnitude."""
        return float(np.max(np.abs(self.run.y), initial=0.0)) > GROWTH * max(1.0, self.size)

    def _go_back(self) -> bool:
        """Back to the mark, for steps half as long; False where that has been done too often."""
        if self.back is None or self.went_back >= MOST_RETURNS:
            return False
        self._restore()
        self.step *= 0.5
        self.looks.gap, self.looks.next, self.looks.dt = 1, self.run.k + 1, abs(self.step)
        self.went_back += 1
        return True

    def _restore(self) -> None:
        state, record, found = self.back
        self.run.unpack(state)
        self.record.rewind(record)
        self.pending = []
        if self.events is not None:
            self.events.unpack(found[0])
            self.events.restore_rows(*found[1:])

    def _told_to_stop(self) -> bool:
        """The callback hears of steps that will not be taken again. Where it stops at one that is not the last, the run goes back there."""
        told, self.pending = self.pending, []
        for k, (t, y) in enumerate(told, 1):
            if self.watch is not None and self.watch(t, y):
                if k < len(told):
                    self._restore()
                    last, rows = self.run.k + k, self.record.rows if self.record.writes else None
                    while self.run.k < last:
                        if self.run.fixed(last - self.run.k, math.nan, rows, self.step) == stepper.RHO_DUE:
                            self._radius()
                return True
        return False

    def _radius(self) -> int:
        """The spectral radius that the row works with."""
        run = self.run
        radius, why = spectrum.upper_radius(run.slope, run.t, run.y, symmetric=self.settings.symmetric)
        last, k = run.rho
        if k >= 0 and why == spectrum.ROUGH:  # the last radius goes on: the run itself will say what is wrong
            radius, why = last, ""
        if why:
            return self._unmeasured(why)
        run.rho = radius
        return 0

    def _unmeasured(self, why: str) -> int:
        """The status where the curvature cannot be had at all."""
        if why == spectrum.ROUGH:
            where = f"{self.method.name} measures the Jacobian along the way, and at t = {self.run.t:g}"
            raise ValueError(f"{where} {why}: take a method without")
        self.why = why
        return int(stepper.NON_FINITE)

    # ---- saving and resuming ----------------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """What must be the same in the call that resumes."""
        rtol = atol = None
        tolerances = self._tolerances()
        if tolerances is not None:
            rtol, atol = (t.tolist() for t in tolerances)
        return {
            "method": repr(self.method), "shape": list(self.start.shape), "t_span": [self.t0, self.t1], "mode": self.mode,
            "y0 (its checksum)": zlib.crc32(self.start.tobytes()), "rtol": rtol, "atol": atol,
            "dt": self.step if self.mode == "fixed" else None, "events": self.events.count if self.events is not None else 0,
            "every": self.record.every, "dense": self.record.dense,
            "times": None if self.record.times is None else self.record.times.tolist(),
        }  # fmt: skip

    def _save(self) -> None:
        self.saved_k = self.run.k
        facts = {"call": self._facts(), "done": self.record.rows.done, "dt": self.step, "looks": asdict(self.looks), "nfev": self._nfev()}
        blocks = {"run": self.run.pack(), **{f"rows {k}": v for k, v in self.record.pack().items()}}
        if self.events is not None:
            which, t, y = self.events.found
            blocks |= {"events": self.events.pack().tobytes(), "found": which.tobytes(), "found t": t.tobytes(), "found y": y.tobytes()}
        write_state(self.settings.checkpoint, "checkpoint", facts, blocks)

    def _resume(self, path: Any) -> None:
        """Goes back to where a checkpoint was written: the same bits from there on, and all that was recorded before."""
        facts, blocks = read_state(path, "checkpoint")
        mine, call = self._facts(), facts.get("call", {})
        wrong = [name for name, value in mine.items() if call.get(name) != value]
        if wrong:
            raise ValueError(
                f"resume: {path} was written by a call with other values of {', '.join(wrong)}: "
                f"{wrong[0]} was {call.get(wrong[0])!r}, and is {mine[wrong[0]]!r} here"
            )
        try:
            self.run.unpack(blocks["run"])
            self.record.unpack({k.removeprefix("rows "): v for k, v in blocks.items() if k.startswith("rows ")}, facts["done"])
            if self.events is not None:
                count = self.events.count
                self.events.unpack(np.frombuffer(blocks["events"]).reshape(count, 3))
                self.events.restore_rows(
                    np.frombuffer(blocks["found"], dtype=np.int64), np.frombuffer(blocks["found t"]), np.frombuffer(blocks["found y"])
                )
            self.uncounted = facts["nfev"] - self.run.nfev
            self.step, self.saved_k, self.looks = facts["dt"], self.run.k, spectrum.Looks(**facts["looks"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"resume: {path} does not fit this call, or is damaged ({error})") from error

    def _nfev(self) -> int:
        return int(self.run.nfev) + self.uncounted

    # ---- endings ------------------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The progress bar's last word."""
        if self.progress is not None:
            self.progress.close(self.run.t)

    def finish(self, status: int) -> Any:
        """The result of a run that ended with this status."""
        run, method = self.run, self.method
        if status == 0:
            message = f"reached t = {self.t1:g} in {run.k} steps of {method.name}"
            return self.result(0, "finished", message + self._growth())
        where = f"at t = {run.t:g} after {run.k} steps"
        if status == CALLBACK:
            return self.result(1, "callback", f"the callback stopped it {where}")
        if status == MAX_STEPS:
            return self.result(-1, "max_steps", f"max_steps = {self.max_steps} steps were taken, and t = {run.t:g} is not yet {self.t1:g}")
        if status == stepper.EVENT and self.events is not None:
            return self.result(1, "event", f"event {self.events.stopped[0]} stopped it {where}")
        if self.events is not None and status in (core_events.NOT_FINITE, core_events.REFUSED):
            return self.result(-1, "event_failed", self.events.failure)
        if self.why:
            return self.result(-1, "non_finite", f"{self.why}, and {method.name} measures the Jacobian there ({where})")
        return self.result(-1, *self._ending(where).explain(status))

    def _ending(self, where: str) -> endings.Ending:
        return endings.Ending(self.run, self.method, self.mode, self.step, self.start, self.t0, where)

    def _growth(self) -> str:
        """A word of warning where the state has grown by orders of magnitude past a stability limit, yet stayed finite."""
        run = self.run
        if self.mode != "fixed" or run.k < 2 or not math.isfinite(self.step):
            return ""
        first, last = (float(np.max(np.abs(y), initial=0.0)) for y in (self.start, run.y))
        if not last > GROWTH * max(1.0, first):
            return ""
        why = endings.explain_step(run, self.method, abs(self.step), self.start, self.t0)
        if "exceeds" not in why:
            return ""
        warnings.warn(f"{self.name}: the state grew from {first:.3g} to {last:.3g}: {why}", RuntimeWarning, stacklevel=5)
        return f"; but the state grew from {first:.3g} to {last:.3g}: {why}"

    def result(self, status: int, reason: str, message: str) -> Any:
        """What there is so far."""
        run, found = self.run, self.events
        none: list[Array] | None = None if self.settings.events is None else []
        self.record.close()
        t, y, sol = self.record.arrays()
        out = IVPResult(
            t=t, y=y, sol=sol, t_events=found.t_events if found else none, y_events=found.y_events if found else none,
            nfev=self._nfev(), njev=run.njac, nlu=run.nlu, nsteps=run.k, nrejected=run.rejected[0],
            status=status, reason=reason, message=message, success=status >= 0,
        )  # fmt: skip
        vars(out)["_origin"] = self.what, self.method, self.step if self.mode == "fixed" else None, self.settings.symmetric
        return out


# ---- what a call says -------------------------------------------------------------------------------------------------------------------


def check_span(t_span: Sequence[float], dt: Any = None) -> tuple[float, float]:
    """(t0, t_end); t_end may be infinite where dt is: one implicit step to the steady state."""
    try:
        first, last = t_span
    except (TypeError, ValueError):
        raise ValueError(f"t_span = {t_span!r}: two numbers (t0, t_end) are wanted") from None
    t0 = check_number(first, "t_span[0]")
    if isinstance(dt, float) and dt == math.inf and last == math.inf:
        return t0, math.inf
    what = "a finite number (inf goes with dt = inf and an implicit method: one step to the steady state)"
    return t0, check_number(last, "t_span[1]", what)


def _mode(method: Method, settings: Settings, estimated: str) -> str:
    """ "fixed", "auto" (fixed, of a step chosen from the stability limit) or "adaptive"."""
    controlled = any(value is not None for value in (settings.rtol, settings.atol, settings.rtol_v, settings.atol_v))
    if settings.dt is not None and controlled:
        raise ValueError("dt gives fixed steps, and rtol, atol error control: give one of them")
    if settings.dt is None:
        if "staged" in method.flags and method.parameters["stages"] == 2:
            raise ValueError(f"stages: the error estimate of {method.name} needs 3 or more of them, or 0; give dt for fixed steps")
        if "embedded" in method.flags:
            return "adaptive"
        if controlled:
            raise ValueError(
                f"rtol, atol: {method.name} has no error estimate and takes fixed steps: give dt in their place, or a method with an "
                f"estimate, such as {estimated}"
            )
        raise ValueError(f"dt is missing: {method.name} takes fixed steps; give dt=... (mflow.max_stable_dt says how large it may be)")
    if not isinstance(settings.dt, str):
        return "fixed"
    if settings.dt != "auto":
        raise ValueError(f'dt = {settings.dt!r}: a step above 0, or "auto", is wanted')
    if "linear" not in method.flags or method.is_implicit:
        raise ValueError(f'dt = "auto" follows the stability limit of an explicit method, and {method.name} has none: give dt or rtol')
    return "auto"


def _step(method: Method, dt: Any, t0: float, t1: float) -> float:
    """dt with the sign of the span; nan for "auto", which is chosen when the run stands."""
    if dt == "auto":
        return math.nan
    if isinstance(dt, float) and dt == math.inf and t1 == math.inf:
        if not method.is_implicit or method.stages != 1:
            raise ValueError(f"dt = inf: only backward_euler goes to the steady state in one step, not {method.name}")
        return dt
    step = check_number(dt, "dt", "a step above 0")
    if step <= 0:
        raise ValueError(f"dt = {dt!r}: a step above 0 is wanted; it takes the sign of t_end - t0 by itself")
    if t1 != t0 and t0 + math.copysign(step, t1 - t0) == t0:
        raise ValueError(f"dt = {dt!r} is lost in rounding at t = {t0:g}: t + dt == t")
    if abs(t1 - t0) / step > 2.0**53:
        raise ValueError(f"dt = {dt!r}: more than 2^53 steps from t = {t0:g} to {t1:g}")
    return math.copysign(step, t1 - t0)


def _count(t0: float, t1: float, step: float) -> int:
    """Equal steps from t0 to t1, the last of which may be shorter."""
    if t1 == t0:
        return 0
    return max(1, math.ceil((t1 - t0) / step * (1.0 - ROUNDING))) if math.isfinite(step) else 1


def _every(save: str, save_every: Any, at_times: bool) -> int:
    """0: the last state alone."""
    if save not in ("all", "last"):
        raise ValueError(f'save = {save!r}: "all" or "last" is wanted')
    if sum((save == "last", save_every is not None, at_times)) > 1:
        raise ValueError("save, save_every and t_eval are three ways to say what to keep: give one of them")
    if save_every is None:
        return 0 if save == "last" or at_times else 1
    return _whole(save_every, "save_every", 1, 1)


def _whole(value: Any, name: str, least: int, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer) or int(value) != value or value < least:
        raise ValueError(f"{name} = {value!r}: a whole number from {least} on is wanted")
    return min(int(value), MANY)
