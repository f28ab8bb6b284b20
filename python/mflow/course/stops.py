"""What a stepper stops at on its way: breaks, where f or a derivative of it jumps, doses, where the state does, and events.

A stepper knows no end. It lands on each break, and begins anew there when it goes on; on each dose, which it takes at once; and it goes
through events as a run of `solve_ivp` does, so that its states have the same bits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.events import events as core_events
from mflow_core.problems.inside import Inside
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from mflow_core.stepping.rows import Rows

from mflow.base.checks import Array, as_tuple
from mflow.base.methods import Method
from mflow.course.agenda import ROUNDING, Dose, check_breaks, check_doses

__all__ = ["Met", "Stops", "check_actions"]


class Met(NamedTuple):
    """An event that was met: its number, where, the state there, and the one behind its action (None where it does not act)."""

    event: int
    t: float
    y: Array
    y_after: Array | None


def check_actions(method: Method, mode: str, by_mass: bool) -> None:
    """ValueError where a run cannot be begun anew behind an event, or not well enough to see the next one."""
    if mode not in ("fixed", "adaptive"):
        raise ValueError(f"events: an action needs error control or steps of one size (dt=0.01); {mode} steps have none")
    if "multistep" in method.flags and mode == "fixed" and (by_mass or method.order < 3):
        what = f"fixed steps of {method.name} " + ("with mass=" if by_mass else f"of order {method.order}")
        fix = "error control" if by_mass else "a higher order, error control,"
        why = "whose first step behind an action is a line inside and could miss a short flight"
        raise ValueError(f"events: expected none that acts with {what}, {why}; take {fix} or method='radau5'")


class Stops:
    """Breaks, doses and events of one stepper. times: the breaks, ascending, and the doses. acts: which of the events have an action."""

    reason: str | None = None  # why the last call ended before its end
    acted = False  # whether an event that acts has ended the last step of a size before its end
    project: Callable[[float, Array], Array] | None = None
    also: Callable[[float, float], None] | None = None  # told between which times f is asked
    of_motion = False
    taken = math.nan  # the time that all doses have been taken at

    def __init__(self, times: tuple[Array, list[Dose]], events: core_events.Events | None, acts: list[bool], problem: Problem) -> None:
        self.breaks, self.doses = times
        self.times = np.unique(np.concatenate([self.breaks, [dose.t for dose in self.doses]]))
        self.events, self.acts = events, acts
        self.rows = None if events is None else Rows(events=events)
        self.inside = Inside(problem) if self.breaks.size else None
        self.forget = getattr(problem, "forget", None)  # of motion

    @classmethod
    def of(
        cls, given: dict[str, Any], own: Any, specs: list[Any], problem: Problem, shape: tuple[int, ...],
        project: Callable[[float, Array], Array] | None, *, of_motion: bool = False,
    ) -> Stops | None:  # fmt: skip
        """None where there is nothing.

        given : the stepper's ``breaks``, ``doses`` and ``args``. own : the breaks that the function knows. specs : of its events, checked
        (`mflow.integrate.control.check_events`). project : a state that algebraic equations allow, or None. of_motion : events see x and v.

        Raises TypeError or ValueError.
        """
        if given["breaks"] is None and own is None and given.get("doses") is None and not specs:
            return None
        most = sys.float_info.max
        parts = [check_breaks(breaks, name, -most, most) for breaks, name in ((given["breaks"], "breaks"), (own, "fun.breaks"))]
        times = np.unique(np.concatenate(parts)), check_doses(given.get("doses"), shape, -most, most)
        if not times[0].size and not times[1] and not specs:
            return None
        events = core_events.Events(specs, shape, as_tuple(given["args"]), motion=of_motion) if specs else None
        out = cls(times, events, [spec[4] is not None for spec in specs], problem)
        out.project, out.of_motion = project, of_motion
        return out

    # ---- events ---------------------------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """A call begins: nothing was met yet."""
        self.reason, self.acted = None, False
        if self.events is not None:
            self.events.restore_rows(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))

    @property
    def met(self) -> list[Met]:
        """What the last call has met, in order."""
        if self.events is None:
            return []
        which, t, y = self.events.found
        behind = self.events.behind
        return [Met(int(j), float(at), y[k], behind[k] if self.acts[j] else None) for k, (j, at) in enumerate(zip(which, t, strict=True))]

    def begin(self, run: Any) -> int:
        """The state stands where no step has led: the status of looking at every event there."""
        return 0 if self.events is None else int(self.events.start_at(run.t, self._watched(run)))

    def _watched(self, run: Any) -> Array:
        """The state as events see it."""
        y: Array = np.stack([run.y, run.vector(1)]) if self.of_motion else run.y
        return y

    def heed(self, status: int) -> int:
        """What a loop's status means for its stepper: 0 where nothing is wrong."""
        if self.events is not None and status == stepper.FULL:
            self.events.collect_rows()
            return 0
        self.acted = self.acted or status == stepper.ACTED
        if status == stepper.EVENT:
            self.reason = "event"
        return 0 if status in (stepper.EVENT, stepper.ACTED) else status

    def _act_on(self, run: Any, met: int) -> int:
        """What events that were met where the run stands do there; the status."""
        events = self.events
        if met != core_events.ACT or events is None:
            return self.heed(int(stepper.EVENT)) if met == core_events.STOP else met
        status, state = events.act_at(run.t)
        if status < 0:
            return int(status)
        parts = [np.ascontiguousarray(part) for part in state] if self.of_motion else [state]
        behind = int(run.jump(run.t, *parts))
        return behind if behind != 0 or status != core_events.STOP else self.heed(int(stepper.EVENT))

    # ---- the way --------------------------------------------------------------------------------------------------------------------

    def ahead(self, run: Any, sign: float) -> tuple[int, float]:
        """Before a run goes on from where it stands: the status, and the next break or dose that way (or an infinity)."""
        goal = self._turn(run.t, sign)
        anew = run.grid[1] != run.k and bool(np.any(self.breaks == run.t))
        return (self._begin_anew(run, None) if anew else 0), goal

    def _turn(self, t: float, sign: float) -> float:
        """The next break or dose that way; f is asked on this side of both breaks alone."""
        k = int(np.searchsorted(self.times, t, side="right" if sign > 0.0 else "left")) - (sign < 0.0)
        goal = float(self.times[k]) if 0 <= k < self.times.size else math.copysign(math.inf, sign)
        if self.inside is not None:
            ends = [one if np.any(self.breaks == one) else math.nan for one in (t, goal)]
            first, last = ends if sign > 0.0 else ends[::-1]
            low = -math.inf if math.isnan(first) else float(np.nextafter(first, math.inf))
            high = math.inf if math.isnan(last) else float(np.nextafter(last, -math.inf))
            self.inside.between(low, high)
            if self.also is not None:
                self.also(low, high)
        return goal

    def _begin_anew(self, run: Any, dosed: Array | None) -> int:
        """A new start where the run stands, from another state where there is one."""
        if self.forget is not None:
            self.forget()
        state = dosed
        if self.project is not None:
            state = self.project(run.t, run.y if dosed is None else dosed)
        return int(run.jump(run.t, state))

    def arrive(self, run: Any, sign: float) -> int:
        """Doses that are due where the run has landed, and events that they cross; the status."""
        t, events = run.t, self.events
        if self.reason is not None or t == self.taken:
            return 0
        due = [dose for dose in self.doses if dose.t == t]
        if not due:
            return 0
        if events is not None:  # those that have arrived at exactly zero count
            status = self._act_on(run, int(events.finish_at(t, self._watched(run))))
            if status != 0 or self.reason is not None:
                return status
        state = run.y
        for dose in due:
            state[dose.place] += sign * dose.amount
        self._turn(t, sign)
        self.taken = t
        status = self._begin_anew(run, state)
        if status != 0 or events is None:
            return status
        return self._act_on(run, int(events.jump_at(t, self._watched(run))))

    def fixed(self, run: Any, count: int, h: float) -> int:
        """Up to `count` steps of h; the status, and in `acted` whether an event has ended the last one. ValueError where the next one would
        pass a break or a dose."""
        self.acted = False
        status = self.heed(int(self._fixed(run, count, h)))
        return status if status != 0 or h == 0.0 else self.arrive(run, math.copysign(1.0, h))

    def end_of_step(self, run: Any, end: float, h: float) -> float:
        """Where a step of h ends whose rest is left: at a break or a dose, exactly, where that is `end` but for rounding."""
        goal = self._turn(run.t, h)
        return goal if abs(goal - end) <= ROUNDING * max(abs(h), abs(end)) else end

    def last(self, run: Any, end: float, h: float) -> int:
        """The one step of h to exactly `end`; the status."""
        self.acted = False
        status = self.heed(int(run.fixed(1, end, dt=h, rows=self.rows)))
        return status if status != 0 else self.arrive(run, math.copysign(1.0, h))

    def _fixed(self, run: Any, count: int, h: float) -> int:
        if h == 0.0 or not self.times.size:
            return int(run.fixed(count, dt=h, rows=self.rows))
        status, goal = self.ahead(run, h)
        if status != 0:
            return status
        most = math.ceil((goal - run.t) / h * (1.0 - ROUNDING)) if abs(goal - run.t) < abs(h) * count else count + 1
        if most > count:
            return int(run.fixed(count, dt=h, rows=self.rows))
        lands = abs(run.t + most * h - goal) <= ROUNDING * abs(goal - run.t)
        if most == 1 and not lands:
            fix = f"take the step of {goal - run.t!r} that ends there first"
            name = "break" if np.any(self.breaks == goal) else "dose"
            raise ValueError(f"dt: expected steps that pass no {name}, got {h!r} from t = {run.t!r} with a {name} at {goal!r}; {fix}")
        return int(run.fixed(most if lands else most - 1, goal if lands else math.nan, dt=h, rows=self.rows))
