"""Steps of one size, as a stepper takes them: a count of them, or as many as lead to a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mflow.base.checks import check_number, check_whole
from mflow.base.pace import MANY, Pace
from mflow.course.agenda import check_count, count_steps
from mflow.solvers.jacobian_doubt import tell_of_overstated

__all__ = ["StepsOfDt"]


class StepsOfDt:
    """What `mflow.Stepper` does where it is given dt."""

    _run: Any
    _stops: Any
    _controlled: bool
    _jac_open: bool
    _clear: Any
    _settle: Any

    if TYPE_CHECKING:

        @property
        def t(self) -> float:
            """Time of the state."""

        @property
        def k(self) -> int:
            """Steps taken."""

        @property
        def reason(self) -> str | None:
            """Why the last call ended early, or None."""

    def advance(self, steps: int, dt: float) -> None:
        """``steps`` steps of dt as `step` takes them, or those up to a terminal event, in one loop without
        Python where fun is compiled. Errors as `step`."""
        if self._controlled:
            raise TypeError("dt: this stepper is under error control (rtol, atol): call step() or advance_to(t)")
        left = check_whole(steps, "steps", 0, MANY - 1)
        h = check_number(dt, "dt")
        if left == 1 and self._stops is None:
            while (status := self._run.fixed(1, dt=h)) != 0:
                self._settle(status, h)
            self._jac_open = self._jac_open and not tell_of_overstated(self._run.equations, "Stepper")
            return
        pace = Pace()
        self._clear()
        while left and self.reason is None:
            count, before, (dt, k, t) = pace.take(left), self.k, self._run.grid
            start = (t, k) if dt == h else (self.t, before)  # of the count of steps of h
            status = self._run.fixed(count, dt=h) if self._stops is None else self._stops.fixed(self._run, count, h)
            left -= self.k - before
            pace.done()
            self._settle(int(status), h)
            if self._stops is not None and self._stops.acted:
                self._finish_step(self._stops.end_of_step(self._run, start[0] + (self.k - start[1]) * h, h))

    def _finish_step(self, end: float) -> None:
        """The rest of a step in which an event has acted; others may act in it."""
        assert self._stops is not None
        while self._stops.acted and self.reason is None and self.t != end:
            self._settle(self._stops.last(self._run, end, h := end - self.t), h)

    def _steps_to(self, end: float, dt: float) -> None:
        """`advance_to` in steps of dt."""
        if self._controlled:
            raise TypeError("dt: this stepper is under error control (rtol, atol): call step() or advance_to(t)")
        h = check_number(dt, "dt")
        check_count(self.t, end, h)
        pace = Pace()
        self._clear()
        while self.t != end and self.reason is None:
            goal, rows = end, None
            if self._stops is not None:
                status, ahead = self._stops.ahead(self._run, h)
                self._settle(status, h)
                goal, rows = min(end, ahead, key=lambda one: abs(one - self.t)), self._stops.rows
            left = count_steps(self.t, goal, h)
            count = pace.take(left)
            status = int(self._run.fixed(count, goal if count == left else math.nan, dt=h, rows=rows))
            pace.done()
            self._settle(status, h)
            if self._stops is not None:
                self._settle(self._stops.arrive(self._run, math.copysign(1.0, h)), h)
