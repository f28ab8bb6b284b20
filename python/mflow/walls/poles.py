"""Poles in time: whether f(t, y) grows without bound between two times, so fast that no state follows it.

Steps of a size that only stability has chosen leap over a pole of the forcing, as of 1/(1 - t)^2, for no Jacobian tells of it. f is looked
at along the way at one state, and where it stands out, ever nearer to where it is largest. At a pole like |t - t*|^-p the integral diverges
if p >= 1, and p is measured between two distances. At one with p < 1, at a logarithm and at what is steep and bounded it does not. A pole
that belongs to the state, as of 1/(y - t), is not there at another state beside it.

Steps under error control come down to such a pole by a part of what is left each time, and at loose tolerances one of them leads over it.
So they are held on this side of a pole that is found ahead once they have shrunk, or in a good step that changes as beside one
(mflow_core.stepping.watch.poles), and the run ends there (`PoleAhead`). Where a solution is 0 at the pole, as that of y' = y cot(t), it may
go through, and so may many others: that is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.stepping import stepper
from mflow_core.stepping.watch.asked import last_step_was, look_for_poles, only_heads_for_0, passes_poles_until, poles_are_looked_for

from mflow.base.checks import OUTSIDE, Array, check_number, check_whole, shown
from mflow.base.pace import MANY

if TYPE_CHECKING:
    from mflow_core.stepping.rows import Rows
    from mflow_core.stepping.stepper import Run

    from mflow.walls.signs import Walls

__all__ = ["FAR_OUT", "LAST", "PoleAhead", "elsewhere", "largest_near", "pole_words", "size_of"]

ELSEWHERE = 0.618  # of the way: where f is another one if it depends on time, as nothing has its period
LOOKS = (0.146, 0.382, 0.854)  # of the way: where f is looked at then, as well
APART = 0.236  # of the way lies at most between these
STANDS_OUT = 1.2  # times the median of these
GROWS = 1.05  # from one side of the largest to it, however near: at what is bounded it comes down to 1
ZOOMS = 64
EARLY, HIGHER, FAR_OUT = 3, 1.5, 4.0  # after so many halvings it is that much larger, where it did not stand out by so much at once
LAST = 64.0  # units in the last place of t: a pole is not known more closely
NEAR, FAR = 1024.0, 2.0**20  # times that: the distances between which the power is measured, to .0002
LEAST_POWER = 0.998
ASIDE = 1e-3  # of the state: where a pole in time stands as well, and one at which the state is met by something does not
HIGHER_POWER = 1.1  # times the growth of what moves solutions apart: what f itself is there diverges faster
DEEPER = 1e-3  # of a step where no pole was found: the next look is where steps are shorter than this
AGAIN = 1024  # steps, after which the length below which poles are looked for is the first one again
REACH = 1024.0  # steps: how far ahead a pole is looked for
STEPS = 2.0  # as far as a pole is looked for about a good step: it may lie next to its end
STRIP = 1e-7  # of t: at least so far, as the power is measured over a part of it

Slope = Callable[[float, Array], Array]


def size_of(slope: Slope, t: float, y: Array) -> float:
    """|f(t, y)|; infinite where there is no such value."""
    try:
        with np.errstate(all="ignore"):
            flat = np.ravel(slope(t, y))
            value = math.sqrt(flat @ flat)  # at a third of the time of NumPy's function for norms
    except OUTSIDE:  # as Python's own 1/0: the run itself will say so, where it comes there
        return math.inf
    return math.inf if math.isnan(value) else value


def elsewhere(slope: Slope, t0: float, t1: float, y: Array) -> float:
    """|f| at that state, at a time between these two at which it is another one where f depends on time."""
    return size_of(slope, t0 + ELSEWHERE * (t1 - t0), y)


def pole_words(
    slope: Slope, t0: float, t1: float, y: Array, at_start: float | None = None, between: float | None = None
) -> str:  # fmt: skip
    """Words, where f(t, y) has a pole between t0 and t1 whose integral diverges; "" where it has none, or none that stands out.

    at_start, between : |f(t0, y)|, and what `elsewhere` gives, where they are known.
    """
    pole = _pole(slope, t0, t1, y, at_start, between)
    return "" if pole is None else words_of(pole[0])


def words_of(t: float) -> str:
    """What is said of a pole at t."""
    return f"the right-hand side grows without bound at t = {t:.9g}, so fast that its integral diverges: no step leads over it"


def passed_words(t: float, where: str = "it is 0") -> str:
    """What is said of one that the solution is 0 at, or at another number."""
    return (
        f"the right-hand side has a pole at t = {t:.6g}, which a solution passes only where {where}: many of them meet there, and errors "
        "within the tolerances decide which one goes on; begin anew behind it, or take the pole out of the equation"
    )


def _pole(
    slope: Slope, t0: float, t1: float, y: Array, at_start: float | None = None, between: float | None = None
) -> tuple[float, float] | None:  # fmt: skip
    """Where it is, and how closely that is known; None where there is none."""

    def size(t: float, y: Array = y) -> float:
        return size_of(slope, t, y)

    at_start = size(t0) if at_start is None else at_start
    between = elsewhere(slope, t0, t1, y) if between is None else between
    if between == at_start:
        return None
    times = [t0 + part * (t1 - t0) for part in (ELSEWHERE, *LOOKS)]
    values, width = [between, *(size(t) for t in times[1:])], APART * (t1 - t0)
    best, usual = max(range(len(values)), key=values.__getitem__), float(np.median([at_start, *values]))
    if not values[best] > STANDS_OUT * usual or size(t1) == math.inf:  # a wall, which steps themselves meet
        return None
    t, near = largest_near(size, times[best], values[best], width, FAR_OUT * usual)
    if not 0.0 < FAR * near < abs(width):
        return None
    far, close = (min(size(t + d), size(t - d)) for d in (FAR * near, NEAR * near))
    aside = size(t + NEAR * near, y + beside(y))
    if not (0.0 < far < close < math.inf and math.log(close / far) >= LEAST_POWER * math.log(FAR / NEAR) and aside > 0.5 * close):
        return None
    return t, near


def largest_near(
    size: Callable[[float], float], t: float, value: float, width: float, usual: float, closest: float = 0.0
) -> tuple[float, float]:  # fmt: skip
    """Where |f| is largest next to t, where it is `value`, larger than `width` away; how closely that is known, 0 where f is bounded.
    usual : a value that does not tell. closest : it is not known more closely than that."""
    higher = HIGHER * value if value < usual else 0.0
    for zooms in range(ZOOMS):
        width *= 0.5
        if abs(width) < (least := max(LAST * math.ulp(t), closest)):
            break
        if zooms == EARLY and not value > higher:
            return t, 0.0
        sides = [(size(t + shift), t + shift) for shift in (-width, width)]
        (low, _), (most, there) = min(sides), max(sides)
        if not max(most, value) > GROWS * low:
            return t, 0.0
        if most > value:
            value, t = most, there
    return t, max(abs(width), least)


def _keeps(slope: Slope, times: tuple[float, float], states: tuple[Array, ...]) -> bool:
    """Whether f has the same values at both times, as where it does not depend on time: then it has no pole in time."""
    try:
        with np.errstate(all="ignore"):
            return all(slope(times[0], y).tobytes() == slope(times[1], y).tobytes() for y in states)
    except OUTSIDE:
        return False


class PoleAhead:
    """A pole in time ahead of a run under error control to t1, of y' = f(t, y) alone. walls : those of the run. shrunk : steps below which
    it is looked for."""

    words = ""  # of the pole that was found

    def __init__(self, run: Run, walls: Walls, shrunk: float, t1: float) -> None:
        self.run, self.walls, self.last, self.shrunk, self.looked = run, walls, t1, shrunk, int(run.k)

    def reach(self, shrunk: float, t_end: float) -> None:
        """The run goes on to another end."""
        self.shrunk = shrunk
        if not self.words:
            self.last = t_end

    def steps(self, count: int, goal: float, rows: Rows | None, aside: Callable[..., Any]) -> int:
        """Up to `count` steps towards `goal`, none of them over the pole; the status. aside : asks without counting evaluations."""
        run = self.run
        if run.k >= self.looked + AGAIN and not self.words:
            self.looked = int(run.k)
            look_for_poles(run, self.shrunk)
        end = goal if not self.words or abs(goal - run.t) < abs(self.last - run.t) else self.last
        status = run.adaptive(count, end, rows, paced=True)
        if status == stepper.POLE_DUE:
            aside(self.look, goal)
            return 0
        return int(stepper.STEP_TOO_SMALL) if status == 0 and end != goal and run.t == end else int(status)

    def look(self, goal: float) -> None:
        """If there is one next to where the run stands, before `goal`, or in a step that was good, it goes no further than that."""
        run, h, below = self.run, self.run.h, poles_are_looked_for(self.run)[0]
        far = STEPS * abs(h) if abs(h) >= below else max(REACH * abs(h), STRIP * abs(run.t))
        until = run.t + math.copysign(min(far, abs(goal - run.t)), h)
        y = run.y
        shift = beside(y)
        if _keeps(self.walls.slope, (run.t, run.t + ELSEWHERE * (until - run.t)), (y, y + shift)):
            if abs(h) < below:
                look_for_poles(run, DEEPER * abs(h))
            return

        def apart(t: float, state: Array) -> Array:
            """How two solutions move apart at t, one there and one beside it."""
            difference: Array = self.walls.slope(t, state + shift) - self.walls.slope(t, state)
            return difference

        pole = _pole(self.walls.slope, run.t, until, y)
        ends = pole is not None and not only_heads_for_0(run)
        pole = pole or _pole(apart, run.t, until, y)
        if pole is not None and (pole[0] - run.t) * h > 0.0:
            if where := self._meets(pole[0]):
                self.walls.text = self.walls.text or passed_words(pole[0], where)
                passes_poles_until(run, MANY)
            elif ends and self._grows_along(pole[0]):
                look_for_poles(run, 0.0)
                self.words, self.last = words_of(pole[0]), pole[0] - math.copysign(2.0 * pole[1], h)
                return
        if abs(h) < below:
            look_for_poles(run, DEEPER * abs(h))

    def pack(self) -> list[Any]:
        """What a file has of it."""
        return [*poles_are_looked_for(self.run), self.looked, self.last if self.words else None, self.words, self.walls.text]

    def unpack(self, saved: Any, t0: float) -> str:
        """As `pack` has given it; why it cannot be. t0 : where the run began."""
        try:
            below, before, until, looked, last, words, text = saved
            below, before = check_number(below, "pole", low=0.0), check_number(before, "pole", low=0.0)
            until = check_whole(until, "pole", 0, MANY)
            self.looked = check_whole(looked, "pole", 0, int(self.run.k))
            last = self.last if last is None else check_number(last, "pole")
            far = self.run.t + math.copysign(REACH * self.run.h, self.last - t0)  # of a stepper, which knows no end
            if (
                not isinstance(words, str)
                or not isinstance(text, str)
                or not min(t0, self.last, far) <= last <= max(t0, self.last, far)
                or below > max(self.shrunk, 0.0)
            ):
                raise ValueError(f"pole: expected a time of the run and words, got {shown(saved)}")
        except (TypeError, ValueError) as error:
            return str(error)
        self.last, self.words, self.walls.text = last, words, text
        look_for_poles(self.run, below)
        last_step_was(self.run, before)
        passes_poles_until(self.run, until)
        return ""

    def _grows_along(self, pole: float) -> bool:
        """Whether f grows towards the pole along the solution's tangent, too: y cot(t) does not, where y goes through 0 there."""
        rate, t, y = self.walls.slope, self.run.t, self.run.y
        slope = rate(t, y)
        far, close = (size_of(rate, at, y + (at - t) * slope) for at in (pole - part * (pole - t) for part in (0.5, 0.125)))
        return bool(close > 2.0 * far)

    def _meets(self, pole: float) -> str:
        """Words for where the components that the pole acts on are led: to 0, and it acts on none that is 0; or to where solutions beside
        them are led, too, with a pole of no higher power. "": to neither."""
        run, t, y = self.run, self.run.t, np.ravel(self.run.y)

        def slope(at: float, state: Array) -> Array:
            try:
                with np.errstate(all="ignore"):
                    return np.ravel(self.walls.slope(at, state.reshape(run.shape)))
            except OUTSIDE:
                return np.full(y.shape, np.nan)

        far, close = (pole - part * (pole - t) for part in (0.5, 0.125))
        at_far, at_close = slope(far, y), slope(close, y)
        acts = np.abs(at_close) > 2.0 * np.abs(at_far)
        at_0 = slope(close, np.where(acts, 0.0, y))[acts]
        if np.any(acts) and np.all(np.abs(at_0) < 0.1 * np.abs(at_close[acts])) and np.all((at_close * y)[acts] * (pole - t) < 0.0):
            return "it is 0"
        shift = beside(y)
        apart_far, apart_close = slope(far, y + shift) - at_far, slope(close, y + shift) - at_close
        meet = (np.abs(apart_close) > 2.0 * np.abs(apart_far)) & (apart_close * shift * (pole - t) < 0.0)
        higher = acts & (np.abs(at_close * apart_far) > HIGHER_POWER * np.abs(at_far * apart_close))
        return "the pole has no effect" if np.any(meet) and np.all(meet[acts]) and not np.any(higher) else ""


def beside(y: Array) -> Array:
    """What is added to a state to get to one beside it."""
    sizes = np.abs(y)
    shift: Array = ASIDE * (sizes + (largest(sizes) or 1.0))
    return shift
