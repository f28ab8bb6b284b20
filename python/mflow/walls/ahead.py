"""What a run under error control looks at as its steps are accepted, whoever drives it: walls, numbers that no solution crosses, poles.

Drivers take their steps by `Ahead.steps`, and ask `Ahead.look` where `every` says so; what is seen costs no evaluations where there is
nothing. With M y' = f, M constant and diagonal, slopes are those of y', and algebraic components are not kept at anything; with other
matrices only poles in time are looked for, as those of f, and what has gone over 0 is told at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.walls.signs import Walls, look_for_walls, shrunk, steps_between_looks

if TYPE_CHECKING:
    from mflow.solvers.mass import Mass
    from mflow.walls.poles import PoleAhead

__all__ = ["CANNOT", "Ahead", "components_at_walls"]

# statuses of error control that no step was short enough for
CANNOT = {stepper.NON_FINITE, stepper.RETRY_NON_FINITE, stepper.STEP_TOO_SMALL, stepper.SOLVE_FAILED, stepper.RETRY_SOLVE}


class Ahead:
    """Of one run. tolerances : (rtol, atol), a number or one for each component. known : components that are kept at 0 or above already.
    aside : calls what it is given, whose evaluations are none of the run's steps. mass : M, where there is one."""

    span = math.nan
    t_end = math.nan
    walls: Walls | None = None
    pole: PoleAhead | None = None

    def __init__(
        self, run: Any, tolerances: tuple[Array, ...], known: NDArray[np.int64] | None, aside: Callable[..., Any], mass: Mass | None = None
    ) -> None:
        self.run, self.tolerances, self.known, self.aside, self.mass = run, tolerances[:2], known, aside, mass
        self.every = steps_between_looks(run)

    @property
    def keeps(self) -> bool:
        """Whether components may be kept at what is met: slopes of y' are known. Steps that take f for a line from where they begin go back
        and forth about 0 where algebraic equations follow the component."""
        if self.mass is None:
            return True
        return self.mass.scales is not None and (self.run.record.family != "rosenbrock" or self.mass.n_algebraic == 0)

    def reach(self, span: float, t_end: float, begins: bool = True) -> None:
        """The run, of this length, goes as far as t_end. begins : it is to be told what to look for."""
        self.span, self.t_end = span, t_end
        if begins:
            look_for_walls(self.run, span, self.keeps)
        if self.walls is not None:
            self.walls.span = span
        if self.pole is not None:
            self.pole.reach(shrunk(span), t_end)

    def at_walls(self) -> Walls:
        """What looks for walls, from the first time on that there is something to look at."""
        if self.walls is None:
            rtol, atol = self.tolerances
            slope = self.run.slope
            if self.mass is not None:
                diagonal = np.zeros(self.run.y.size) if not self.keeps else np.asarray(self.mass.scales)
                scale = np.where(diagonal == 0.0, 1.0, diagonal).reshape(self.run.shape)
                atol = np.where(diagonal == 0.0, math.inf, np.broadcast_to(atol.ravel(), diagonal.shape))

                def slope(t: float, y: Array) -> Array:
                    rate: Array = self.run.slope(t, y) / scale
                    return rate

            self.walls = Walls(self.run, rtol, atol, self.known, self.span, slope)
        return self.walls

    def at_pole(self) -> PoleAhead:
        """What looks for a pole in time, from there on."""
        from mflow.walls.poles import PoleAhead

        if self.pole is None:
            self.pole = PoleAhead(self.run, self.at_walls(), shrunk(self.span), self.t_end)
        return self.pole

    def steps(self, count: int, goal: float, rows: Any, first: float, events: Any = None) -> int:
        """Up to `count` steps towards `goal`; the status. first : the first step of other starts, 0: estimated. events : of the run."""
        if self.pole is None:
            status = int(self.run.adaptive(count, goal, rows, paced=True))
        else:
            status = self.pole.steps(count, goal, rows, self.aside)
        return self.heed(status, goal, first, events)

    def heed(self, status: int, goal: float, first: float, events: Any = None) -> int:
        """What a status of such steps asks for; the status behind that."""
        if status == stepper.POLE_DUE:
            self.aside(self.at_pole().look, goal)
            return 0
        if status == stepper.WALL_DUE or status in CANNOT:
            return self.at_walls().look(0 if status == stepper.WALL_DUE else status, goal, first, events)
        return status

    def look(self, goal: float, first: float, events: Any = None) -> int:
        """What has its turn every `every` steps, where no try fails, or after each while a component slides; the status."""
        if self.walls is None and self.run.k % self.every != 0:  # the end of a run which has met nothing
            return 0
        walls = self.at_walls()
        return walls.look(0, goal, first, events) if walls.due(self.t_end, self.aside) else 0

    @property
    def slides(self) -> bool:
        """Whether a component slides now."""
        return self.walls is not None and bool(self.walls.slides)

    @property
    def slid(self) -> bool:
        """Whether a component slides now, or did before."""
        return self.walls is not None and bool(self.walls.slid)

    def lost(self, t0: float, start: Array) -> str:
        """Words on what is 0 now, or was at a pole, where that may be wrong, or on what has gone over 0 where nothing was kept. t0, start :
        where the run began."""
        walls, run = self.walls, self.run
        text = "" if walls is None or not walls.may_lose else walls.lost(self.aside)
        if text or self.keeps:
            return text
        from mflow.walls.crossed import crossed_words  # seldom needed

        def slope(t: float, y: Array) -> Array:
            assert self.mass is not None
            return self.mass.at(t).slopes(np.ravel(run.slope(t, y)))

        return str(self.aside(crossed_words, slope, t0, run.t, run.y, start))

    def forget(self, longest: float) -> None:
        """The run has been put elsewhere: what was met belongs to the way before. longest : the step that its user allows."""
        from mflow_core.stepping.watch.asked import nothing_passed  # not loaded until there is a run

        if self.walls is not None:
            self.walls.forget()
        nothing_passed(self.run)
        self.pole = None
        self.run.max_step = longest

    # ---- saving -------------------------------------------------------------------------------------------------------------------------

    def pack_pole(self) -> list[Any]:
        """What a file has of poles in time."""
        from mflow.walls.poles import PoleAhead

        pole = self.pole
        if pole is None:
            pole = PoleAhead(self.run, self.at_walls(), shrunk(self.span), self.t_end)
        return pole.pack()

    def let_go(self, inside: Any) -> None:
        """The run is over, and its problem outlives it."""
        walls = self.walls
        for one in (inside, *(() if walls is None else (walls.inside, *walls.sliding.values()))):
            if one is not None:
                one.let_go()


def components_at_walls(saved: Any) -> list[int]:
    """Those that a file tells of: where a look has put one at its wall, the row of the step shows where it had arrived."""
    return [] if not isinstance(saved, dict) else [w[0] for w in (*saved.get("kept", ()), *(one for one, _ in saved.get("slid", ())))]
