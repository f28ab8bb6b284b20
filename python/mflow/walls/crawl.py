"""A run under error control that hardly gets on: beside the edge of the domain of f, or where the solution ends."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.telling import tell
from mflow.walls.jumps import ENDS, end_words, slope_or_nan, width_of

__all__ = ["Crawl"]

LOOK = 4000  # steps between looks at whether a run crawls
SHARE = 1 / 16  # of tries that fail
FAR = 1e7  # steps of that size to the end
SHORT = 1e-4  # of what is left of the run: a step that is looked at
OVER_POLE, WITHIN = 0.5, 1.0  # failed tries to a step, of a run that goes back and forth over a pole; steps, within which that is
THROWN = 1 / 16  # of steps: tries that error control throws away, before f is asked twice
LOW = 1e-3  # of atol: what no tolerance asks for


class Crawl:
    """A run under error control that hardly gets on, as one try in a few fails: looked at every LOOK steps, and said once.

    A tank whose inflow stops for a moment, h' = q(t) - sqrt(h), runs as low as h = 1e-20, where atol is 1e-9: steps of any sensible length
    leave the domain of the root, or begin an iteration that does, and those that do not are 1e-6 of what is left. tolerances :
    (rtol, atol), each (n,) or (1,).

    Explicit steps also go back and forth without end over a point at which the solution ends, as of y' = -1/y at 0, where atol lets them.
    That is looked at every ENDS steps, or at every look where many tries have failed, wherever the run is cut or goes on from a file.
    ended : words, where it is so. slopes: whether the run tells y' at a state.
    """

    ended = ""
    chance = ""  # words, where f has two values for the same arguments

    def __init__(self, run: stepper.Run, t_span: tuple[float, float], tolerances: tuple[Array, ...], name: str, slopes: bool) -> None:
        (self.t0, self.end), self.name, self.slopes = t_span, name, slopes
        self.run, self.rtol, self.atol = run, float(np.max(tolerances[0])), tolerances[1]
        self.told, self.last, self.before = False, "", math.inf  # the words and the mean step of the last look
        self.k, self.t, self.failed = 0, t_span[0], 0

    def _mark(self) -> None:
        self.k, self.t, self.failed = self.run.k, self.run.t, self.run.rejected[1]

    def may_have_ended(self, status: int, every: int) -> bool:
        """Whether to ask `has_ended` here. every: steps between looks."""
        run = self.run
        return status == 0 and (run.k % ENDS == 0 or (run.k % every == 0 and run.rejected[0] > OVER_POLE * run.k))

    def has_ended(self) -> bool:
        """Whether the solution ends where the run stands: near by where many tries fail, or ahead where steps are short."""
        run = self.run
        short = abs(run.h) < SHORT * abs(self.end - run.t) and run.k % ENDS == 0
        if self.slopes and (short or run.rejected[0] > OVER_POLE * run.k):
            most, width = math.inf if short else WITHIN, width_of(self.rtol, run.t, self.t0)
            self.ended = end_words(partial(slope_or_nan, run.slope), run.t, run.y, run.h, most, not short, width)
        return bool(self.ended)

    def look_for_chance(self) -> None:
        """Warns where f has two values for the same arguments: error control takes their difference for an error, of which shorter steps
        make no smaller one. Asked once, of a long run some of whose tries are thrown away; two evaluations."""
        run = self.run
        if run.k != ENDS or not run.rejected[0] > THROWN * run.k:
            return
        first, second = (np.ravel(slope_or_nan(run.slope, run.t, run.y)) for _ in range(2))
        other = np.flatnonzero((first != second) & np.isfinite(first) & np.isfinite(second))
        if other.size:
            j = other[0]
            self.chance = (
                f"the right-hand side has two values for the same arguments, {first[j]:.9g} and {second[j]:.9g} in component {j} at "
                f"t = {run.t:g}, and error control takes their difference for an error, which shortens its steps: random numbers in it, or "
                "a state that it keeps? Give fixed steps (dt=), or numbers that follow from t"
            )
            tell(f"{self.name}: {self.chance}")

    def look(self) -> None:
        """Warns, once, where the steps since the last look were held by tries that failed."""
        if self.run.k < self.k + LOOK:
            return
        self.last, self.before = self.words(), self._mean()
        if self.last and not self.told:
            self.told = True
            tell(f"{self.name}: near t = {self.run.t:g} {self.last}")
        self._mark()

    def _mean(self) -> float:
        return abs(self.run.t - self.t) / (self.run.k - self.k)

    def words(self) -> str:
        """What holds the run, of the steps since the last look, or of those before it where they are few; "" where it gets on."""
        steps, failed = self.run.k - self.k, self.run.rejected[1] - self.failed
        if steps < LOOK // 2:
            return self.last
        step, way = self._mean(), abs(self.end - self.run.t)
        if failed < SHARE * (steps + failed) or not step < 2.0 * self.before or not FAR * step <= way < math.inf:
            return ""
        return (
            f"{failed / (steps + failed):.0%} of the tries fail, as the right-hand side is not finite there or the step's equation is not "
            f"solved, and {way / max(step, 1e-300):.1g} more steps of {step:.3g} lead to the end: {self._where()}"
        )

    def _where(self) -> str:
        size = np.abs(np.ravel(self.run.y))
        low = np.flatnonzero(size < LOW * np.broadcast_to(np.ravel(self.atol), size.shape))
        if not low.size:
            return "does the solution go along the edge of the domain of the right-hand side?"
        j = low[np.argmin(size[low])]
        return (
            f"component {j} is {np.ravel(self.run.y)[j]:.3g}, far below atol; if the right-hand side has no values on the other side of 0, "
            f"give it some, as np.sqrt(np.maximum(y[{j}], 0)), or let an event end the run before"
        )
