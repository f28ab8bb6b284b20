"""Steps of one size, as a stepper takes them: a count of them, or as many as lead to a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mflow.base.pace import Pace
from mflow.course.agenda import count_steps

if TYPE_CHECKING:
    from mflow.course.stops import Stops

__all__ = ["take_steps", "take_steps_to"]

Settle = Callable[[int, float], None]  # what the status of steps of this size means to the stepper; it may raise


def take_steps(run: Any, stops: Stops | None, settle: Settle, steps: int, h: float) -> None:
    """`steps` steps of h, or those up to a terminal event. run : of the core."""
    pace = Pace()
    while steps and (stops is None or stops.reason is None):
        count, before, (dt, k, t) = pace.take(steps), int(run.k), run.grid
        start = (t, k) if dt == h else (float(run.t), before)  # of the count of steps of h
        status = run.fixed(count, dt=h) if stops is None else stops.fixed(run, count, h)
        steps -= int(run.k) - before
        pace.done()
        settle(int(status), h)
        if stops is not None and stops.acted:
            _finish_step(run, stops, settle, stops.end_of_step(run, start[0] + (int(run.k) - start[1]) * h, h))


def _finish_step(run: Any, stops: Stops, settle: Settle, end: float) -> None:
    """The rest of a step in which an event has acted; others may act in it."""
    while stops.acted and stops.reason is None and run.t != end:
        settle(stops.last(run, end, h := end - float(run.t)), h)


def take_steps_to(run: Any, stops: Stops | None, settle: Settle, end: float, h: float) -> None:
    """Steps of h until exactly `end`, or a terminal event; they land on breaks and doses, and are counted from there."""
    pace = Pace()
    while run.t != end and (stops is None or stops.reason is None):
        goal, rows = end, None
        if stops is not None:
            status, ahead = stops.ahead(run, h)
            settle(status, h)
            goal, rows = min(end, ahead, key=lambda one: abs(one - float(run.t))), stops.rows
        left = count_steps(float(run.t), goal, h)
        count = pace.take(left)
        status = int(run.fixed(count, goal if count == left else math.nan, dt=h, rows=rows))
        pace.done()
        settle(status, h)
        if stops is not None:
            settle(stops.arrive(run, math.copysign(1.0, h)), h)
