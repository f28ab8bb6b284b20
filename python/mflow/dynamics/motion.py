"""Second-order runs from their first step to their ending: what `mflow.integrate.drive` does for y' = f, for M x'' = F(t, x, v).

Degrees of freedom that are fixed are no part of the run: `Supports` takes them out before it and puts them back after.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest, parts_of
from mflow_core.dynamics.constrained import Constrained
from mflow_core.events import events as core_events
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from mflow_core.stepping.energy.energies import Energies
from mflow_core.stepping.short import runs

from mflow.base.checks import Array, check_flags
from mflow.base.methods import Method
from mflow.base.result import COLUMNS, DynamicsResult, EnergyResult, last_axis, pending
from mflow.base.telling import tell
from mflow.course.outputs import add_outputs
from mflow.dynamics.constraints import what_constraints_did
from mflow.dynamics.contact import Switches, TooLongError
from mflow.dynamics.endings import MotionEnding
from mflow.dynamics.forces import no_motion
from mflow.dynamics.history import MotionHistory
from mflow.dynamics.limits import StepLimit
from mflow.integrate.checkpoint import Checkpoints
from mflow.integrate.control import (
    ATOL,
    RTOL,
    Settings,
    check_min_step,
    check_step,
    check_tolerances,
    count_steps,
    resolved,
    warn_of_small,
)  # fmt: skip
from mflow.integrate.curvature import GROWTH
from mflow.integrate.drive import Drive
from mflow.integrate.endings import few_digits, with_doubts
from mflow.integrate.history import FIRST_ROWS, Begun, give_partial, reached
from mflow.solvers.finite_jacobian import FiniteJacobian
from mflow.stability.criterion import criterion_of, keeps_order
from mflow.stability.structural import may_grow
from mflow.structures import load_tables
from mflow.structures.supports import Supports

__all__ = ["Motion", "begin_motion", "keeps_energy"]


GAINED, SEEN = 0.5, 8  # of the kinetic energy of most states: what steps may add to it unsaid; states that tell what that is
LONG = 2.0  # of the pieces of `QuietLoad`: steps that may pass one
FEW = 0.02  # of the steps: where these add most of it, they are too long for where they stand
SHORTEST = 64.0  # units in the last place of t: a step in which a slip is looked for


def _evaluations(counts: dict[str, Any]) -> int:
    """Evaluations of the force, or where there is none of the load."""
    return int(counts["nfev"] if "nfev" in counts else counts.get("nload", 0))


def motion_result(
    run: stepper.Run, path: tuple[Array, Array, Array, Array], energies: Array | None, end: tuple[int, str, str, tuple[str, ...]],
    nfev: int, checks: int, counts: dict[str, Any], sols: tuple[Any, Any] = (None, None), met: tuple[Any, Any, Any] = (None, None, None),
    half: tuple[Any, Any] = (None, None), constrained: tuple[Any, Any, Any] = (None, None, None),
) -> DynamicsResult:  # fmt: skip
    """The result of a motion. path : t, x, v and a. end : status, reason, message and doubts. met : t, x and v of events."""
    (t, x, v, a), (status, reason, message, doubts) = path, end
    energy = None if energies is None else pending(EnergyResult, partial(_energy_result, energies))
    return DynamicsResult(
        t=t, x=x, v=v, a=a, energy=energy, sol=sols[0], sol_v=sols[1], t_events=met[0], x_events=met[1], v_events=met[2],
        v_half=half[1], t_half=half[0], multipliers=constrained[0], drift=constrained[1], drift_v=constrained[2],
        nfev=nfev, ncheck=checks, nsolve=run.nsolve, njev=counts.get("njev", 0), nlu=counts["nlu"], nsteps=run.k, nrejected=run.rejected[0],
        status=status, reason=reason, message=message, doubts=doubts, success=status >= 0,
    )  # fmt: skip


def _energy_result(energies: Array) -> EnergyResult:
    return EnergyResult(zip(COLUMNS, energies.T, strict=True))


def begin_motion(
    beside: tuple[Any, Any], span: tuple[float, float], start: Array, speed: Array, method: Method, dt: float, supports: Supports,
    energy: bool | None,
) -> DynamicsResult | Motion | None:  # fmt: skip
    """A motion of matrices without a load that is asked for its steps alone, as `mflow.integrate.history.begin` has it of y' = f: its
    result, where the steps are few, else the `Motion` that goes on with them. None where the method or its steps have to be looked at.

    beside : the problem, and (n, M, C, K).
    """
    record, (t0, t1), (problem, matrices) = method.record, span, beside
    if t0 == t1 or not takes_few_looks(method) or may_grow(*matrices):
        return None
    step = check_step(method, dt, t0, t1)
    if (steps := count_steps(t0, t1, step)) >= FIRST_ROWS:
        return None
    energy = keeps_energy(energy, problem)
    run = stepper.Run(record, problem, start, t0, step, method.numbers, v0=speed)
    rows, y, t, e = runs.rows_of(run, steps, energy)
    began = status = 0

    def drive() -> Motion:
        given, begun = Settings(dt), Begun(run, rows, y, t, e, began, status)
        return Motion(problem, span, start, speed, method, given, supports=supports, energy=energy, matrices=matrices, begun=begun)

    try:
        ledger = Energies(run) if energy else None
        began = run.prepare() if ledger is None else ledger.keep()
        if began == 0:
            if ledger is not None and e is not None:
                e[0] = ledger.now()
            _, status = runs.go(run, rows, t1, steps, False)
        k = run.k
        if began != 0 or status != 0 or (k > 1 and largest(run.y) > GROWTH):
            return drive()
        end, counts = (0, "finished", reached(t1, k, method.name), ()), problem.counters
        x, v, a = parts_of(y[: k + 1].reshape(k + 1, 3, start.size), supports.shape)
        return motion_result(run, (t[: k + 1], x, v, a), None if e is None else e[: k + 1], end, _evaluations(counts), 0, counts)
    except BaseException as error:
        give_partial(drive(), error)
        raise


def keeps_energy(energy: bool | None, problem: Any) -> bool:
    """Whether the ledger is kept: where energies exist, if the user does not say."""
    if energy is not None:
        check_flags(energy=energy)
    exists = bool(getattr(problem, "symmetric", True))
    if energy and not exists:
        raise ValueError("energy: the stiffness is not symmetric, so it has no potential and no ledger can be kept: omit energy")
    if energy is None and not exists:
        tell(
            "stiffness: it differs from its transpose, so that it has no potential and no energy ledger is kept; the stiffness of a "
            "structure is symmetric: look for a wrong entry, or say by energy=False that it is meant",
            UserWarning,
        )
    return exists if energy is None else bool(energy)


@functools.lru_cache(maxsize=256)
def takes_few_looks(method: Method) -> bool:
    """Whether nothing is to be said of fixed steps of a method, whatever the matrices."""
    record = method.record
    if "second_order" not in record.flags or "v(1/2)" in record.formula:
        return False
    return criterion_of(method).always and keeps_order(method)


class Motion(Drive):
    """One integration of M x'' = F(t, x, v). matrices: (n, M, C, K) of a structure. facts: what a resumed run must have in common."""

    kind = DynamicsResult
    estimated = "newmark"
    both_sides = True  # accelerations jump where the load does
    problem: Any
    by_limit = False  # whether dt follows the stability limit, with nothing that makes contact
    asked = 0  # calls of a load or force that say where it begins
    repeated = 0  # evaluations of a run that was resumed, which the one before it has counted
    begun_with: tuple[str, ...] = ()  # words on contacts that push at the start, and on what a load's table holds past its ends
    turns = ""  # words, where such steps are too long for how the motion oscillates
    gained = ""  # words, where steps have added energy that nothing else has
    tangents: tuple[FiniteJacobian, ...] = ()  # of a nonlinear force, the user's own

    def __init__(
        self,
        problem: Problem,
        t_span: tuple[float, float],
        start: Array,
        v0: Array,
        method: Method,
        settings: Settings,
        *,
        supports: Supports,
        energy: bool,
        matrices: tuple[Any, ...] | None,
        velocity_free: bool = False,
        facts: dict[str, Any] | None = None,
        switches: Switches | None = None,
        begun: Begun | None = None,
    ) -> None:
        self.v0, self.supports, self.keeps_energy, self.problem_facts = v0, supports, energy, facts or {}
        self.method, self.switches = method, switches
        if switches is not None:
            switches.forget, self.begun_with = self._forget, tuple(switches.pushed)
        self.notes: list[str] = []  # for the message of a run that is finished
        self.looks_at, self.between, self.checks = "", "", 0
        self.limit = StepLimit(problem, method, start, v0, matrices, velocity_free, switches)
        if isinstance(settings.dt, str) and settings.dt == "auto":
            self._check_method()
            settings.dt = self.limit.auto_dt(*t_span)
            self.by_limit = switches is None
        elif hasattr(settings.dt, "bound"):  # SymmetricSteps, which few programs load
            self._check_method()
            settings.dt = settings.dt.bound(method, lambda: self.run.grid[0])
        super().__init__(problem, t_span, start, method, settings, "solve_dynamics", begun)

    def take_tangents(self, tangents: tuple[Any, ...]) -> None:
        """Of a nonlinear force; the user's own know of the run from here on."""
        for one in tangents:
            if isinstance(one, FiniteJacobian):
                one.drive = self
                self.tangents += (one,)

    def _check_method(self) -> None:
        if "second_order" not in self.method.flags:
            raise ValueError(no_motion(self.method))

    def _check_tolerances(self) -> tuple[Array, ...]:
        """(rtol, atol, rtol_v, atol_v), each one number for all degrees of freedom, or one for each."""
        s, shape = self.settings, self.supports.shape
        rtol, atol = (RTOL if s.rtol is None else s.rtol), (ATOL if s.atol is None else s.atol)
        rtol_v, atol_v = (rtol if s.rtol_v is None else s.rtol_v), (atol if s.atol_v is None else s.atol_v)
        if s.atol is None:
            warn_of_small("solve_dynamics", self.start, self.v0)
        four = [*check_tolerances(rtol, atol, shape), *check_tolerances(rtol_v, atol_v, shape, of="_v")]
        four[1], four[3] = resolved(four[1], self.start), resolved(four[3], self.v0)
        if any(array.size > 1 for array in four):
            four = [np.ascontiguousarray(np.broadcast_to(array, (self.supports.n,))[self.supports.free]) for array in four]
        return tuple(four)

    def _make_run(self, step: float, dense: bool, controlled: bool) -> stepper.Run:
        if self.begun is not None:
            run = self.begun.run
        else:
            vector = controlled and self.tolerances[0].size > 1
            record, values = self.method.record, self.method.numbers
            run = stepper.Run(record, self.problem, self.start, self.t0, step, values, dense=dense, control=vector, v0=self.v0)
        self.limit.watch(run, self.t0)
        return run

    def _make_history(self, every: int, times: Array | None, rows: int | None) -> Any:
        dense = self.settings.dense_output
        return MotionHistory(
            self.run,
            self.start,
            self.t0,
            energy=self.keeps_energy,
            every=every,
            times=times,
            dense=dense,
            rows=rows,
            events=self.events,
            t_end=self.t1,
        )

    def _seen(self) -> tuple[Array, ...]:
        return self.supports.state(self.run.y, 0, self.run.t), self.supports.state(self.run.vector(1), 1, self.run.t)

    def _make_events(self, specs: list[Any]) -> core_events.Events:
        return core_events.Events(specs, self.start.shape, self.settings.event_args, motion=True)

    def _parts(self, state: Array) -> tuple[Array, Array | None]:
        return np.ascontiguousarray(state[0]), np.ascontiguousarray(state[1])

    def _forget(self) -> None:
        self.problem.forget()

    def _watched(self) -> Array:
        return np.stack([self.run.y, self.run.vector(1)])

    def _facts(self) -> dict[str, Any]:
        start = {"v0 (its checksum)": zlib.crc32(self.v0.tobytes()), "supports (their checksum)": zlib.crc32(self.supports.place.tobytes())}
        common = super()._facts()
        if self.mode == "adaptive":
            common |= {"rtol_v": self.tolerances[2].tolist(), "atol_v": self.tolerances[3].tolist()}
        return {**common, **start, "energy": self.keeps_energy, **self.problem_facts}

    def _resume(self, checkpoints: Checkpoints) -> None:
        if self.keeps_energy:
            Energies(self.run).open()
        super()._resume(checkpoints)

    def _at_start(self) -> int:
        if self.mode == "fixed" and self.t0 != self.t1:
            self.warned = self.limit.warning(self.step, self.steps)
            if self.warned:
                tell(f"{self.name}: {self.warned}")
        if self.mode == "adaptive":
            self.limit.refuse_blind_estimate()
        status = int(Energies(self.run).keep() if self.keeps_energy else self.run.prepare())
        if status != 0:
            return status
        self.history.begin()
        return super()._at_start()

    def _steps(self, count: int) -> int:
        if self.switches is None:
            return super()._steps(count)
        try:
            return super()._steps(count)
        except TooLongError as error:
            return self._show_slip(error)

    def _show_slip(self, of: TooLongError) -> int:
        """A step that is short enough to show the slip that begins where the run stands; where none is, it sticks. The status."""
        run, goal, longest, rows = self.run, self._goal(), self.run.max_step, self.history.rows if self.history.writes else None
        h, least = min(abs(run.h if self.mode == "adaptive" else self.step), goal - run.t), SHORTEST * math.ulp(max(abs(run.t), abs(goal)))
        while (h := 0.25 * h) > least:
            try:
                if self.mode == "adaptive":
                    run.max_step = h
                    return self._adaptive(1, goal, rows)
                status = run.fixed(1, run.t + h, rows)
                return 0 if status == stepper.ACTED else status
            except TooLongError as error:
                of = error
            finally:
                run.max_step = longest
        x, v = (np.array(part) for part in self._seen())
        self.switches.stick(of.args[0], run.t, x, v)
        status = int(run.jump(goal, None, self.supports.reduced(v), None))
        return status if status or self.events is None else int(self.events.start_at(run.t, self._watched()))

    def heed_table(self, table: tuple[Any, ...], after: str | None) -> None:
        """Of loads: steps under error control pass none of its bends; fixed ones that leave out much of it are taken after a warning. Where
        the run passes its end, it says so."""
        from mflow.structures.watched_table import WatchedTable  # few programs have a table

        watched = WatchedTable(self.name, table, after)
        self.notes += watched.ends(self.t0, self.t1)
        self.begun_with += tuple(watched.doubts)
        if self.mode == "adaptive":
            sign = math.copysign(1.0, self.t1 - self.t0)
            self._bound_steps(lambda t: watched.bound(t, self.run.h, sign))
        elif self.mode == "fixed" and self.t0 != self.t1:
            watched.left_out([self.t0, *(self.agenda.times.tolist() if self.agenda is not None else []), self.t1], abs(self.step))

    def heed_beginnings(self, drives: Callable[[float], Any]) -> None:
        """Steps under error control that grow long do not pass the times at which what drives the motion, a function of t alone, begins to
        change."""
        if self.mode != "adaptive" or self.t0 == self.t1:
            return
        from mflow.structures.quiet import LOOKS, QuietLoad  # few programs need it

        quiet: QuietLoad | None = None
        long = LONG * abs(self.t1 - self.t0) / LOOKS

        def bound(t: float) -> float:
            nonlocal quiet
            if quiet is None:
                if not abs(self.run.h) > long:
                    return math.inf
                quiet = QuietLoad(drives, (self.t0, self.t1))
                self.asked = quiet.calls
            return quiet.bound(t)

        self._bound_steps(bound)

    def _bound_steps(self, longest: Callable[[float], float]) -> None:
        """longest: the longest step from a time, beside the user's max_step."""
        user, least = self.max_step, check_min_step(self.settings.min_step)
        self.max_step = lambda t, x: min(user(t, x) if callable(user) else user, max(longest(t), least))

    def heed_function(self, argument: str) -> None:
        """Of what drives the motion: after a run with fixed steps it is looked at between a few of them."""
        self.looks_at = argument

    @property
    def evaluations(self) -> int:
        """So far, of the force, or of the load."""
        return _evaluations(self.problem.counters)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Those of any run, that steps were past the limit, what is said of contacts and a load's table at the start, what is between steps
        of a load, and that steps by the limit do not follow an oscillation."""
        known = super().doubts
        if not (self.warned or self.begun_with or self.between or self.turns or self.gained):
            return known
        past = "" if any(self.warned in text for text in known) else self.warned
        return tuple(filter(None, (*known, past, *self.begun_with, self.between, self.turns, self.gained)))

    def _notes(self) -> str:
        notes = self.notes
        if self.mode == "fixed" and self.t0 != self.t1 and (self.looks_at or not keeps_order(self.method)):
            before = self.evaluations
            order, self.between = self.limit.order_note(), self._between_steps() if self.looks_at else ""
            self.checks += self.evaluations - before  # the run is over: what is asked for here is none of its evaluations
            notes = [*([order] if order else []), *notes]
        return super()._notes() + "".join(f"; {note}" for note in notes)

    def _between_steps(self) -> str:
        """What a function of t does between steps, where that is much, after a warning. The run is over: nothing changes it."""
        nil = np.zeros(self.start.size)
        try:
            with np.errstate(all="ignore"):
                share = load_tables.sampled(
                    lambda t: np.array(self.run.acceleration(t, nil, nil)), self.t0, self.t1, abs(self.step), self.steps
                )
        except Exception:  # a load may know the times of steps alone: then this is not known, and no fault of the run
            share = 0.0
        if not share > load_tables.LEFT_OUT:
            return ""
        text = (
            f"{self.looks_at}: at steps that were looked at it is about {100 * share:.3g} % of its size off the line between its values "
            f"at their ends: dt = {abs(self.step):g} is too long to see it: lower dt"
        )
        tell(f"{self.name}: {text}")
        return text

    # ---- endings -------------------------------------------------------------------------------------------------------------------------

    def _ending(self, where: str) -> MotionEnding:
        return MotionEnding(self, where)

    def finish(self, status: int) -> Any:
        """The result of a run that ended with this status. What was warned of at the start is said of a resumed run too."""
        if self.settings.resume is not None and self.mode == "fixed" and self.t0 != self.t1:
            before = self.evaluations
            self.warned = self.limit.warning(self.step, self.steps)
            self.repeated = self.evaluations - before
        return super().finish(status)

    def result(self, status: int, reason: str, message: str) -> DynamicsResult:
        """What there is so far, of all degrees of freedom."""
        run, events, counts = self.run, self.events, self.problem.counters
        self.history.close()
        t, rows, e, sol, sol_v = self.history.motion(self.supports)
        nfev, lam, drift, drift_v = _evaluations(counts) - self.checks - self.repeated, None, None, None
        if isinstance(self.problem, Constrained):
            rows = rows.copy()
            rows[:, 2], lam, drift, drift_v = what_constraints_did(self.problem, self.supports, t, rows[:, 0], rows[:, 1])
        x, v, a = parts_of(np.ascontiguousarray(rows), self.supports.shape)
        if self.mode == "fixed" and self.t0 != self.t1:
            self._look_past(t, rows, reason)
            if e is not None and reason == "finished" and not self.warned and not isinstance(self.problem, Constrained):
                self._look_at_energy(e)
        if self.by_limit and reason == "finished":
            self._look_for_turns(x, v, a)
        few, doubts, t_half, v_half = few_digits(run, self.tolerances), self.doubts, None, None
        one_grid = self.agenda is None and not (events and events.acts)
        if "v(1/2)" in self.method.record.formula and self.mode == "fixed" and one_grid:  # the method's own formula has half steps
            t_half, v_half = self.history.half_steps(self.t1, self.step, self.steps, self.supports)
            if v_half is not None:
                v_half = last_axis(v_half.reshape(len(v_half), *self.supports.shape))
        met: tuple[Any, Any, Any] = None, None, None
        if events:
            ends = [*zip(events.y_events, events.t_events, strict=True)]
            met = events.t_events, [self._events_whole(y, 0, at) for y, at in ends], [self._events_whole(y, 1, at) for y, at in ends]
        end = status, reason, with_doubts(message, doubts) + (few and f"; {few}"), doubts
        energies, constrained = e if self.keeps_energy else None, (lam, drift, drift_v)
        out = motion_result(
            run, (t, x, v, a), energies, end, nfev, self.checks + self.asked, counts, (sol, sol_v), met, (t_half, v_half), constrained
        )  # fmt: skip
        if events is not None and events.acts:
            out["x_after"] = [self._events_whole(y, 0, at) for y, at in zip(events.y_after, events.t_events, strict=True)]
            out["v_after"] = [self._events_whole(y, 1, at) for y, at in zip(events.y_after, events.t_events, strict=True)]
        if self.outputs is not None:
            add_outputs(out, self.outputs, (x, v), self.settings.event_args, self.name)
        if self.switches is not None:
            self.switches.finish(out)
        return out

    def _look_past(self, t: Array, rows: Array, reason: str) -> None:
        """Warns where a run that was finished, and not warned of at its start, had steps past the limit."""
        if reason == "finished" and not self.warned and self.limit.looks_along:
            before, rows = self.evaluations, rows[:, :, self.supports.free]
            self.warned = self.limit.along(self.step, t, rows[:, 0], rows[:, 1], rows[:, 2])
            self.checks += self.evaluations - before
            if self.warned:
                tell(f"{self.name}: {self.warned}")

    def _look_at_energy(self, e: Array) -> None:
        """Warns where kinetic and potential energy have grown though no force but that of a potential has done work: the steps did it."""
        kinetic, potential, load, damping = e.T[:4]
        driven = self.switches is not None or self.supports.moves is not None or (self.events is not None and self.events.acts)
        if len(e) < SEEN or driven or np.any(load) or np.any(damping) or not np.any(potential) or not np.all(np.isfinite(e[:, :4])):
            return
        gained, most = float(kinetic[-1] + potential[-1] - kinetic[0] - potential[0]), float(np.median(kinetic))
        steps = np.diff(kinetic + potential)
        few = np.sort(steps)[-max(round(FEW * steps.size), 1) :]
        if gained > GAINED * most > 0.0 and float(np.sum(few)) > 0.5 * gained:  # a thrust, a push or a spring that changes adds it in many
            also = ", or is potential= another one than that of force=?" if self.limit.looks_along else ""
            self.gained = (
                f"kinetic and potential energy have grown by {gained:.3g}, which is {gained / most:.2g} times the kinetic energy in the "
                f"middle of those along the run, {most:.3g}, the most of it in {few.size} steps: no load adds any, and where potential= "
                f"tells all that the forces do, the steps of dt = {abs(self.step):g} did, which are too long where the motion is fastest "
                f"(the ledger has it as residual or numerical): lower dt{also}"
            )
            tell(f"{self.name}: {self.gained}")

    def _look_for_turns(self, x: Array, v: Array, a: Array) -> None:
        """Warns where steps by the limit do not follow an oscillation."""
        from mflow.course.turns import words_of_motion  # where there are such steps

        if text := words_of_motion(self.step, x, v, a):
            self.turns = text
            tell(f"{self.name}: {text}")

    def _events_whole(self, y: Array, which: int, t: Array) -> Array:
        """x (0) or v (1) of the states where one event was met."""
        if y.ndim == 1:
            return y
        part = np.ascontiguousarray(y[:, which]).reshape(len(y), math.prod(y.shape[2:]))
        return self.supports.whole(part, which, t).reshape(len(y), *self.supports.shape)
