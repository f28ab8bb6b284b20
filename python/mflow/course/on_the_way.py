"""What a stepper under error control looks at on its way: walls, poles in time, and whether it gets on, as a run of `solve_ivp` does.

A stepper knows no end: how far it has been asked to go stands for the length of the run. States that are the same have the same bits, in
whatever calls its steps are taken to one time; looks have their turn at the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_number, shown
from mflow.base.telling import tell
from mflow.course.nonnegative import left_words
from mflow.walls.ahead import CANNOT, Ahead
from mflow.walls.jumps import ENDS
from mflow.walls.signs import LONGEST

if TYPE_CHECKING:
    from mflow.solvers.algebraic import Algebraic
    from mflow.walls.crawl import Crawl

__all__ = ["OnTheWay"]

STEPS = 64.0  # that are ahead of a stepper which is asked for steps alone
FIRST = 8  # steps, after each of which it is looked how far that is; behind them seldom
FARTHER = 2.0  # times the way so far, before the length of such a run is another one


def aside(ask: Callable[..., Any], *args: Any) -> Any:
    """What is asked where the run does not stand: NumPy tells nothing of it."""
    with np.errstate(all="ignore"):
        return ask(*args)


class OnTheWay:
    """Of one stepper. tolerances : (rtol, atol). first : the first step of starts, 0: estimated. t0 : where it began. algebraic : M, where
    there is one, and its equations."""

    told = ""
    free = 0  # single steps up to this one have nothing to look at, where none is told how far to go
    crawl: Crawl | None = None

    def __init__(
        self, run: Any, tolerances: tuple[Array, ...], t0: float, start: Array, first: float, direction: float, algebraic: Algebraic | None
    ) -> None:
        self.run, self.t0, self.start, self.first, self.direction = run, t0, start, first, direction
        self.longest = run.max_step  # as its user allows
        self.algebraic = algebraic
        self.ahead = Ahead(run, tolerances, None, aside, None if algebraic is None else algebraic.mass)

    def begin(self, t0: float, start: Array | None) -> None:
        """Before the run is put elsewhere: nothing is known of the way from there."""
        self.ahead.forget(self.longest)
        self.ahead.span, self.t0, self.start = math.nan, t0, self.run.y if start is None else start
        self.crawl, self.free = None, 0

    def _reach(self, goal: float) -> None:
        """How far the run is asked to go; an infinity: so many steps."""
        farther = 1.0
        if not math.isfinite(goal):
            goal, farther = self.run.t + math.copysign(STEPS * self.run.h, self.direction), FARTHER
        span = abs(goal - self.t0)
        if not span <= farther * self.ahead.span:
            self.ahead.reach(span, goal)
            if self.run.max_step < self.longest:  # behind a wall
                self.run.max_step = min(self.longest, LONGEST * span)

    def heed(self, status: int, goal: float) -> int:
        """What a single step that has ended with this status asks for; the status behind that, FULL where the step is yet to be taken."""
        k, self.free = self.run.k, 0
        status = self.ahead.heed(status, goal, self.first)
        return int(stepper.FULL) if status == 0 and self.run.k == k else status

    def steps(self, count: int, goal: float, rows: Any, end: float, events: Any) -> int:
        """Up to `count` steps towards `goal`; the status. end : how far its user asks it to go."""
        run, ahead, k = self.run, self.ahead, self.run.k
        every, last = ahead.every, k + count
        if end - end == 0.0 or k % every == 0 or k < FIRST:
            self._reach(end)
        while True:  # most of what a single step costs is calls
            left, walls = min(last - k, every - k % every), ahead.walls
            slides = walls is not None and bool(walls.slides)
            if slides or ahead.pole is not None:
                status = ahead.steps(1 if slides else left, goal, rows, self.first, events)
            elif (status := int(run.adaptive(left, goal, rows))) != 0:
                status = ahead.heed(status, goal, self.first, events)
            if status in CANNOT and self.algebraic is not None and (state := self.algebraic.solved_anew(run)) is not None:
                status = int(run.jump(goal, state))
            before, k = k, run.k
            if k != before and (slides or k % every == 0):
                status = self._look(status, goal, events)
            if status != 0 or k >= last or run.t == goal:
                break
        if status == 0 and run.t == ahead.t_end:
            self._tell()
        quiet = ahead.pole is None and not ahead.slides and k >= FIRST and k % every != 0
        self.free = k + every - 1 - k % every if quiet else 0
        return status

    def _look(self, status: int, goal: float, events: Any) -> int:
        """What has its turn after some steps; the status."""
        run, ahead = self.run, self.ahead
        if run.k % ENDS == 0 or (run.k % ahead.every == 0 and 2 * run.rejected[0] > run.k):
            if self.crawl is None:
                from mflow.walls.crawl import Crawl  # not in short runs

                self.crawl = Crawl(run, (self.t0, ahead.t_end), ahead.tolerances, "Stepper", ahead.mass is None)
            self.crawl.end = ahead.t_end
            self.crawl.look()
            aside(self.crawl.look_for_chance)
            if self.crawl.may_have_ended(status, ahead.every) and aside(self.crawl.has_ended):
                return int(stepper.STEP_TOO_SMALL)
        return ahead.look(goal, self.first, events) if status == 0 else status

    def why(self, status: int) -> tuple[str, str] | None:
        """(reason, words) of a run that could not go on, beside those of every ending."""
        if status not in CANNOT:
            return None
        if self.crawl is not None and self.crawl.ended:
            return "step_too_small", f"no step goes on: {self.crawl.ended}"
        walls = self.ahead.walls
        words = "" if walls is None else left_words(self.run, *walls.guard(None), mass=self.ahead.mass)
        return ("left_domain", words) if words else None

    @property
    def pole(self) -> str:
        """Words of a pole in time that steps are held before."""
        return "" if self.ahead.pole is None else self.ahead.pole.words

    def _tell(self) -> None:
        """Warns, once, of what is 0 where that may be wrong."""
        if not self.told and (text := self.ahead.lost(self.t0, self.start)):
            self.told = text
            tell(f"Stepper: {text}")

    # ---- saving -------------------------------------------------------------------------------------------------------------------------

    def pack(self) -> list[Any] | None:
        """What a file has of it: None before the first step."""
        if math.isnan(self.ahead.span):
            return None
        walls = self.ahead.walls
        return [self.ahead.span, self.ahead.t_end, None if walls is None else walls.met, self.ahead.pack_pole()]

    def unpack(self, saved: Any) -> None:
        """As `pack` has given it. Raises ValueError where it does not fit."""
        try:
            span, t_end, walls, pole = saved
            self.ahead.reach(check_number(span, "ahead", low=0.0), check_number(t_end, "ahead"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"ahead: expected what a stepper has written, got {shown(saved)} ({error})") from None
        wrong = "" if walls is None else self.ahead.at_walls().resume(walls)
        wrong = wrong or self.ahead.at_pole().unpack(pole, self.t0)
        if wrong:
            raise ValueError(wrong)
