"""Times at which a run begins anew: breaks, where f or a derivative of it jumps, and doses, where the state does.

A run goes from one of these times to the next, lands on each exactly, and begins anew behind it: the same bits as a run that is made there.
On its way it asks for f strictly between the two breaks at both ends (`mflow_core.problems.inside`), so that it does not matter on which
side of a break f puts the time itself. What is left of a run follows from its time alone, so a checkpoint needs no word about it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import ROUNDING, count_steps
from mflow_core.events import events as core_events
from mflow_core.problems.inside import Inside
from mflow_core.stepping import stepper

from mflow.base.checks import Array, as_array, check_number, real_array, shown

if TYPE_CHECKING:
    from mflow_core.stepping.rows import Rows

__all__ = ["ROUNDING", "Agenda", "Dose", "OnAgenda", "agenda_of", "check_breaks", "check_doses", "count_steps", "grid_misfit", "steps_left"]

BY_STEPS = 'it needs error control or steps of one size (dt=0.01), got steps one by one or dt="auto"; omit it, or give rtol or dt'


class Dose(NamedTuple):
    """`amount` is added to the component at this place of the state at t."""

    t: float
    place: tuple[int, ...]
    amount: float


class Agenda:
    """The times of one run from t0 to t1. breaks: ascending. doses: in any order; a run backwards takes them away again."""

    def __init__(self, breaks: Array, doses: list[Dose], t0: float, t1: float) -> None:
        self.breaks, self.doses, self.t0, self.t1 = breaks, doses, t0, t1
        self.sign = math.copysign(1.0, t1 - t0)
        every = np.unique(np.concatenate([breaks, [dose.t for dose in doses]]))
        self.times: Array = every if self.sign > 0.0 else every[::-1].copy()
        self.start, self.goal = t0, t1

    def move(self, t: float) -> None:
        """The run stands at t, with all behind it that happens there: `start` is where it began anew, `goal` where it goes next."""
        k = int(np.searchsorted(self.sign * self.times, self.sign * t, side="right"))
        self.start = float(self.times[k - 1]) if k else self.t0
        self.goal = float(self.times[k]) if k < self.times.size else self.t1

    def doses_at(self, t: float) -> list[Dose]:
        """Those that are due at t."""
        return [dose for dose in self.doses if dose.t == t]

    def dosed(self, t: float, y: Array) -> Array:
        """The state behind the doses at t."""
        out = y.copy()
        for dose in self.doses_at(t):
            out[dose.place] += self.sign * dose.amount
        return out

    @property
    def side(self) -> tuple[float, float]:
        """Between which times f is asked on the way from `start` to `goal`; J may be made again where a run that is resumed has made it."""
        low, high = min(self.start, self.goal), max(self.start, self.goal)
        return (
            float(np.nextafter(low, math.inf)) if np.any(self.breaks == low) else -math.inf,
            float(np.nextafter(high, -math.inf)) if np.any(self.breaks == high) else math.inf,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What must be the same in the call that resumes."""
        return {"breaks": self.breaks.tolist(), "doses": [[dose.t, list(dose.place), dose.amount] for dose in self.doses]}


def agenda_of(settings: Any, mode: str, shape: tuple[int, ...], t0: float, t1: float) -> Agenda | None:
    """The agenda that these settings ask for; None: nothing happens on the way. Raises TypeError or ValueError."""
    if settings.breaks is None and settings.doses is None and settings.own_breaks is None:
        return None
    given = check_breaks(settings.breaks, "breaks", t0, t1)
    own = check_breaks(settings.own_breaks, "fun.breaks", t0, t1, inside=True)
    breaks, doses = np.unique(np.concatenate([given, own])), check_doses(settings.doses, shape, t0, t1)
    if not (breaks.size or doses):
        return None
    if math.isinf(t1) or mode not in ("fixed", "adaptive"):
        name = "breaks" if given.size else "doses" if doses else "fun.breaks"
        raise ValueError(f"{name}: {BY_STEPS}")
    return Agenda(breaks, doses, t0, t1)


def check_breaks(breaks: Any, argument: str, t0: float, t1: float, *, inside: bool = False) -> Array:
    """Times inside the span, in any order, as an ascending array. inside: those outside are left out; else they are an error."""
    if breaks is None:
        return np.empty(0)
    times = np.atleast_1d(real_array(breaks, argument))
    if times.ndim != 1:
        raise ValueError(f"{argument}: expected times, an array_like of shape (k,), got shape {times.shape}")
    low, high = min(t0, t1), max(t0, t1)
    within = (times >= low) & (times <= high)
    bad = np.flatnonzero(np.isnan(times) if inside else ~within)
    if bad.size:
        name, time = f"{argument}[{bad[0]}]", float(times[bad[0]])
        expected = "a time" if math.isnan(time) else f"a time inside t_span = ({t0:g}, {t1:g})"
        raise ValueError(f"{name}: expected {expected}, got {time!r}; omit it")
    return np.unique(times[within])


def whole_index(index: Any) -> Any:
    """A whole number that a table of numbers holds, as an index; anything else as it is."""
    return int(index) if isinstance(index, float) and index.is_integer() else index


def listed_doses(doses: Any) -> Any:
    """Doses as a list, which may be given as a table with a row each. Raises TypeError or ValueError."""
    if isinstance(doses, list | tuple):
        return doses
    table = as_array(doses, "doses") if hasattr(doses, "__array__") else None
    if table is None or table.ndim != 2 or table.shape[1] != 3:
        what = shown(doses) if table is None else f"an array of shape {table.shape}"
        raise TypeError(f"doses: expected a list of (t, index, amount), or an array of shape (n, 3) with such rows, got {what}")
    if np.iscomplexobj(table):
        return [(t.real, index.real, amount) if t.imag == index.imag == 0.0 else (t, index, amount) for t, index, amount in table.tolist()]
    return table.tolist()


def check_doses(doses: Any, shape: tuple[int, ...], t0: float, t1: float) -> list[Dose]:
    """(t, index, amount) each; index as the state is indexed. Raises TypeError, ValueError or IndexError."""
    if doses is None:
        return []
    out = []
    for k, dose in enumerate(listed_doses(doses)):
        if not isinstance(dose, list | tuple) or len(dose) != 3:
            raise TypeError(f"doses[{k}]: expected (t, index, amount), got {shown(dose)}")
        t, amount = check_number(dose[0], f"doses[{k}]: t"), check_number(dose[2], f"doses[{k}]: amount")
        if not min(t0, t1) <= t <= max(t0, t1):
            raise ValueError(f"doses[{k}]: expected a time inside t_span = ({t0:g}, {t1:g}), got {t!r}; omit it")
        index = dose[1] if isinstance(dose[1], tuple) else (dose[1],)
        index = tuple(whole_index(i) for i in index)
        if any(isinstance(i, bool | np.bool_) or not isinstance(i, int | np.integer) for i in index):
            raise TypeError(f"doses[{k}]: expected the index of a component, a whole number or a tuple of them, got {shown(dose[1])}")
        if len(index) != len(shape) or not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
            several = f"; give a list of doses (t, {(0,) * len(shape)}, amount), whose index has a number for each axis"
            fix = several if len(index) < len(shape) else ""
            raise IndexError(f"doses[{k}]: expected the index of a component in a state of shape {shape}, got {shown(dose[1])}{fix}")
        out.append(Dose(t, tuple(int(i) for i in index), amount))
    return out


# ---- fixed steps that begin anew on the way ---------------------------------------------------------------------------------------------


def steps_left(run: Any, goal: float, step: float) -> int:
    """Fixed steps from where the run stands to the goal, counted from where it began last; the last of them may be shorter."""
    _, k_base, t_base = run.grid
    return count_steps(t_base, goal, step) - (int(run.k) - int(k_base))


def grid_misfit(run: Any, goal: float, step: float) -> str:
    """Why a saved run with fixed steps cannot have come to its place from where it says that it began last; "" where it can."""
    size, k_base, t_base = run.grid
    grid = t_base + (run.k - k_base) * step
    if size != step or not 0 <= k_base <= run.k or abs(run.t - grid) > abs(step) or steps_left(run, goal, step) < 0:
        return f"grid: expected steps of {step!r} that lead to t = {run.t!r}, got {run.grid}"
    return ""


def check_count(t0: float, t1: float, step: float, name: str = "dt") -> None:
    """Raises ValueError, with the name of the step, where steps do not lead from t0 to t1, or are too many to be counted."""
    if step == 0.0 or (t1 - t0) * step < 0.0:
        raise ValueError(f"{name}: expected steps that lead from t = {t0:g} to {t1:g}, got {step!r}")
    if not abs(t1 - t0) / abs(step) <= 2.0**53:
        raise ValueError(f"{name}: expected at most 2^53 steps from t = {t0:g} to {t1:g}, got {name} = {abs(step)!r}")


class OnAgenda:
    """What a driver does at the times of its agenda, and at events that act: it begins anew behind them."""

    both_sides = False  # whether a break alone leaves two rows: what a row holds may jump there
    agenda: Agenda | None = None
    events: core_events.Events | None = None
    inside: Inside | None = None
    run: stepper.Run
    history: Any
    settings: Any
    mode: str
    step: float
    t1: float

    def _watched(self) -> Array:
        """The state as events see it."""
        raise NotImplementedError

    def _adaptive(self, count: int, goal: float, rows: Any) -> int:
        """Up to `count` steps under error control."""
        raise NotImplementedError

    def _goal(self) -> float:
        """Where the run begins anew next, or ends."""
        return self.t1 if self.agenda is None else self.agenda.goal

    def _turn_to(self, t: float) -> None:
        """The run stands at t, and goes on to the next time of its agenda."""
        if self.agenda is not None and self.inside is not None:
            self.agenda.move(t)
            self._between(*self.agenda.side)

    def _between(self, low: float, high: float) -> None:
        """f and M(t) are asked between these times."""
        if self.inside is not None:
            self.inside.between(low, high)
        if self.settings.algebraic is not None:
            self.settings.algebraic.between(low, high)

    def _cross(self) -> int:
        """A new start at a time of the agenda, behind the doses there; the status."""
        run, t, state = self.run, self.run.t, None
        if self.agenda is None:
            return 0
        if self.agenda.doses_at(t):
            status = self._finish_events() if self.events is not None else 0
            if status != 0:
                return status
            state = self.agenda.dosed(t, run.y)
            self.history.take_back(t)
        self._turn_to(t)
        self._forget()
        if self.settings.project is not None:
            before = run.y if state is None else state
            behind = self.settings.project(t, before)
            state = behind if state is not None or not np.array_equal(behind, before) else None
            if state is not None:
                self.history.take_back(t)
        return self._begin_anew(self.agenda.goal, state)

    def _begin_anew(self, goal: float, state: Array | None) -> int:
        """A new start where the run stands, from another state where there is one, and what events that this crosses do; the status."""
        rows = self.history.room() if self.history.writes and (state is not None or self.both_sides) else None
        status = int(self.run.jump(goal, state, None, rows))
        if status == 0 and state is not None and self.events is not None:
            status = self._act_on(int(self.events.jump_at(self.run.t, self._watched())))
        return status

    def _solve_anew(self, status: int, goal: float) -> int:
        """What becomes of a run with algebraic equations that cannot go on: it may from where they are solved anew. The status."""
        run, algebraic = self.run, self.settings.algebraic
        state = None if algebraic is None else algebraic.solved_anew(run)
        if state is None:
            return status
        self.history.take_back(run.t)
        return self._begin_anew(goal, state)

    def _forget(self) -> None:
        """The problem jumps: what it remembers of itself belongs to the other side."""

    def _finish_events(self) -> int:
        """Events that have arrived at exactly zero where the run stops to look: they count, and act. The status."""
        run, events = self.run, self.events
        if events is None:
            return 0
        return self._act_on(int(events.finish_at(run.t, self._watched())))

    def _act_on(self, met: int) -> int:
        """What events that were met where the run stands do there; the status."""
        run, events = self.run, self.events
        if met != core_events.ACT or events is None:
            return int(stepper.EVENT) if met == core_events.STOP else met
        status, state = events.act_at(run.t)
        if status >= 0:
            self.history.take_back(run.t)
            behind = int(run.jump(self._goal(), *self._parts(state), self.history.room() if self.history.writes else None))
            return behind if behind != 0 else int(stepper.EVENT) if status == core_events.STOP else 0
        return int(status)

    def _parts(self, state: Array) -> tuple[Array, Array | None]:
        """What events see as the visible vectors of a run."""
        return state, None

    def _steps_to_goal(self, count: int, rows: Rows | None) -> int:
        """Up to `count` steps where the run may begin anew on its way."""
        run, goal = self.run, self._goal()
        if self.mode == "adaptive":
            status = self._adaptive(count, goal, rows)
        else:
            left = steps_left(run, goal, self.step)
            count = min(count, left)
            status = run.fixed(count, goal if count == left else math.nan, rows, paced=True)
            status = 0 if status == stepper.ACTED else status
        if status == 0 and run.t == goal and self.agenda is not None and (goal != self.t1 or self.agenda.doses_at(goal)):
            status = self._cross()
        return status
