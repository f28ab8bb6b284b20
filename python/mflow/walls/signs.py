"""Components that are kept at 0 or above, and at other bounds that a run meets.

f is asked where none of them is below 0 (`mflow_core.problems.inside`), and a step that ends below by more than a tolerance, or where f
drives the component on, is tried again, shorter (`run_settle` in mflow_core.stepping.run). Where no step is short enough, the solution
itself goes there, if it does: the component is next to 0, and falls.

A run under error control keeps components so by itself where it meets a wall (`Walls`): the right-hand side is not finite beyond, as that
of h' = q - sqrt(h) at 0. Where a solution touches it (the inflow of a tank stops for a moment, or the tank is empty for a while), stages
and the guesses of Newton's iteration lie on the other side again and again, and only steps of 1e-6 of what is left would work.
The core says when tries have failed often enough (WALL_DUE).

A number that no solution crosses is met without a failure: 0 where y' = -k y^2, a population, or a species that is used up at a rate
s/(K + s). The component's slope is 0 there, whatever t and the others are, so that what is at 0 stays (and what is beyond, by an error, may
run away). The core throws away the step that leads beyond (`stopped_at_0`), and the component is kept on its side.

A root of f with both signs, as of y' = -cbrt(y), is like a wall to what arrives: Newton's iteration goes from side to side, and so do
explicit steps, which fail in no try. What comes to rest there is kept on the side that it has come from, until f leads it on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mflow_core.events import events as core_events
from mflow_core.problems.inside import Inside
from mflow_core.stepping import stepper
from mflow_core.stepping.watch import asked
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number, check_whole, shown
from mflow.walls.jumps import TO_ANY, is_jump, is_line, is_singular, root_of

__all__ = ["Walls", "look_for_walls", "shrunk", "steps_between_looks"]

NEXT_TO = 64.0  # of what it falls by in the shortest step that was tried
ASKED = 256  # evaluations in search of components
NEAR, FAR, VERY_FAR = 16, 512, 100_000  # steps that are left: where tries have failed, each RARELY of them, and between
FAILED = 12  # of tries since the last look, SOON steps before; smooth solutions have some 7
SOON, OFTEN, RARELY = 32, 128, 1024
REACH = 10.0  # tolerances: explicit steps go back and forth over a root by some 7 of them
ALIKE = 0.02  # of a jump: by how much f may differ on one side of it, near it and nearer
RESTING = 16  # components that are looked at for a root of f
ROOT_NEAR = 1e-4  # of a tolerance, where f is compared with f at a tolerance from its root
STEEP = 2.5e-4  # of f there: like |y|^0.9 or steeper; a line has 1e-4
FEW = 10  # in words
SHORT = 1e-13  # of t: some fifty of the shortest steps, whose length changes with t, so that a multistep method would stay at them
# Of the span: behind a wall nothing may move until an inflow comes back, which longer steps would pass over. At rest neither the state nor
# its slope tells of an inflow to come, and what steps were before the wall follows from the solution, not from the inflow: no bound that is
# taken from the run is one for it. So this one has its reason in the cost alone, 64 steps more a run; a shorter pulse may be lost.
LONGEST = 1.0 / 64.0
ROUNDED = 1e-14  # of the largest slope: no drive
BARRIERS = (1e-3, 1e-6, 1e-12, 1e-24, 1e-48)  # of a tolerance: how far from a pole at 0 f leads back, perhaps
SHRUNK = 1e-6  # of the run: steps below which a pole in time is looked for
TURNS = 24  # halvings
UNBOUNDED = 1024.0  # times the slope at the ends of a step: at a pole, not where it changes its sign alone
SMALL = 1e-3  # of atol: what a component that is 0 may have been


class Wall(NamedTuple):
    """One end of the domain of f: a component is kept at `bound`, or above it (side 1) or below it (side -1).

    rests : f does not end there, but leads back from beyond, steeper than any line, as -cbrt(y) at 0: the component comes to rest there,
    and is kept no longer where f leads it on. Where f is 0 at no number, as that of a relay, the component slides (side 0, `Sliding`)
    between the numbers next to `bound`. ends : no solution crosses `bound`, though f has values beyond.
    """

    component: int
    bound: float
    side: int
    rests: bool = False
    ends: bool = False


class Walls:
    """What a run has met of them. run : under error control. rtol, atol : its tolerances, a number or one for each component. known :
    components that are kept at 0 or above already. span : the length of the run. slope : y' at (t, y). Components of infinite atol are not
    kept."""

    failed = 0  # tries so far, at the last look
    slides_never = False  # whether the problem is more than a right-hand side
    text = ""  # what `lost` has found

    def __init__(
        self, run: Any, rtol: Array, atol: Array, known: NDArray[np.int64] | None, span: float, slope: Callable[[float, Array], Array]
    ) -> None:
        self.run, self.rtol, self.atol, self.known, self.span, self.slope = run, rtol, atol, known, span, slope
        self.found: list[Wall] = []
        self.inside: Inside | None = None
        self.every = steps_between_looks(run)
        self.slides: dict[Wall, float] = {}  # those of side 0, each since when
        self.slid: dict[Wall, int] = {}  # those along which a component slides or has slid, each how many times
        self.sliding: dict[int, Any] = {}  # what makes components slide, those of `slides` and those that did so before
        self.left_at = np.nan  # the time when a component was last led on from where it rested

    def look(self, status: int, goal: float, first_step: float, events: Any = None) -> int:
        """Begins anew behind the walls that are here, if there are any, on the way to `goal`; the status of that, or the one that is given.

        What is beyond by less than a tolerance is at the wall then. The first step is as short as those that failed: beside a wall, at
        rest, no slope tells what it should be. first_step: of other starts. events : of the run, or None.
        """
        gone = [w for w in self.found if w.rests and w.side and self._leads_on(w, fails=status != 0)] + self._slid_off()
        gone += self._opened() if status != 0 else []
        gone += [w for w in self.found if w.ends and self._crosses(w)]
        here = (
            self._stopped()
            or (self._strayed() if status != 0 else [])
            or self._here()
            or ([] if gone or self.run.t == self.left_at else self._rests())
        )
        if not here and not gone:
            return status
        self.left_at = self.run.t if gone else self.left_at
        since = {w: self.slides[w] for w in gone if w in self.slides}
        sides = {w: self.sliding[w.component].side for w in since}
        self._go_behind(sorted({*self.found, *here}.difference(gone)))
        self.run.set_first_step(max(abs(self.run.h), SHORT * abs(self.run.t)))
        state = self._moved_inside(self.found)
        for w in here:
            if w.rests and w in self.found:
                state.reshape(-1)[w.component] = w.bound
        for w, side in sides.items():  # not by an error on the other side of the jump
            low, high = next_to(w.bound)
            at = float(state.reshape(-1)[w.component])
            state.reshape(-1)[w.component] = max(at, high) if side > 0 else min(at, low)
        status = int(self.run.jump(goal, state))
        self.run.set_first_step(first_step)
        if events is not None and not events.acts:
            met = self._met_once(events, here)
            for w, began in since.items():
                self._met_once(events, [w], began)
            status = status or met
        return status

    def due(self, end: float, aside: Callable[..., Any]) -> bool:
        """Whether `look` has something to do where no try fails. aside : asks for something without counting its evaluations."""
        if self.slides and aside(self._slid_off):
            return True
        if self.run.k % self.every != 0:
            return False
        failed, self.failed = self.failed, int(self.run.rejected[0])
        often = OFTEN if self.every == SOON else RARELY
        if (fails := self.failed - failed >= FAILED) or self.run.k % often == 0:
            return bool(aside(self._should_rest, end, fails))
        return False

    def _should_rest(self, end: float, fails: bool) -> bool:
        """Whether a component has come to rest: an explicit step goes over it to the other side, and back. fails: and many are refused."""
        far = NEAR if fails else FAR if self.run.k % RARELY == 0 else VERY_FAR
        return far * abs(self.run.h) < abs(end - self.run.t) and bool(self._rests(passing=True))

    def _slid_off(self) -> list[Wall]:
        """Those that the step that ends here has led on from where they slide."""
        if self.slides:
            self._slope(self.run.t, np.ravel(self.run.y), [], [])
        return [w for w in self.slides if self.sliding[w.component].side != 0]

    def _met_once(self, events: Any, here: list[Wall], since: float | None = None) -> int:
        """Of the roots that were found while a component went to rest at a wall the first alone counts; where none was found, the event is
        told at the wall. since : the time at which a component that is leaving reached its wall; roots on its way off do not count.
        Returns the status of the run."""
        which, times, states = events.found
        y = np.ravel(self.run.y)
        flat = states.reshape(len(times), y.size)
        at_wall = np.zeros(len(times), dtype=bool)
        for j, bound, _, rests, _ in here:
            size = float(np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * abs(bound), y.shape)[j])
            at_wall |= np.abs(flat[:, j] - bound) <= size
            y[j] = bound if since is not None or abs(y[j] - bound) <= (REACH if rests else 1.0) * size else y[j]
        keep, counted, arrived = np.ones(len(times), dtype=bool), events.pack(), []
        events.start_at(self.run.t, y)
        at_rest = events.pack()
        for e in np.flatnonzero(at_rest[:, 2] == 0.0):  # those of what rests, and of nothing else
            last, t = -1, self.run.t
            for k in np.flatnonzero(which == e)[::-1]:
                if not at_wall[k] or (abs(t - times[k]) > LONGEST * self.span if since is None else abs(t - times[k]) >= abs(t - since)):
                    break
                keep[k] = since is None
                if last >= 0:
                    keep[last] = False
                last, t = k, times[k] if since is None else t
            if last >= 0 or since is not None:
                counted[e] = at_rest[e]
            elif counted[e, 1] != 0.0:
                arrived.append(int(e))
        counted[:, 0] -= np.bincount(which[~keep], minlength=events.count)
        events.unpack(counted)
        events.restore_rows(which[keep], times[keep], states[keep])
        return self._met_here(events, y, arrived) if arrived else 0

    def _met_here(self, events: Any, y: Array, arrived: list[int]) -> int:
        """Events that are at a root where the run stands, y; the status of the run."""
        counted = events.pack()
        waiting = counted.copy()
        waiting[waiting[:, 2] == 0.0, 2] = 1.0  # others at a root have had, or will have, their turn
        waiting[arrived, 2] = 0.0
        events.unpack(waiting)
        met = int(events.finish_at(self.run.t, y.reshape(self.run.shape)))
        counted[arrived, 0] = events.pack()[arrived, 0]
        counted[arrived, 1], counted[arrived, 2] = 0.0, 0.0
        events.unpack(counted)
        return int(stepper.EVENT) if met == core_events.STOP else 0

    def forget(self) -> None:
        """The run has been put elsewhere: nothing is kept, and nothing was met yet."""
        if self.found:
            self._go_behind([])
        self.failed, self.text, self.left_at = int(self.run.rejected[0]), "", np.nan
        self.slid.clear()

    def resume(self, saved: Any) -> str:
        """Goes on behind the walls that a checkpoint tells of; why it cannot."""
        y, t = np.ravel(self.run.y), float(self.run.t)
        try:
            self.failed = check_whole(saved.get("failed", 0), "walls: failed", 0, int(self.run.rejected[0]))
            self.left_at = check_number(saved["left"], "walls: left") if "left" in saved else np.nan
            if "kept" not in saved:
                return ""
            found = [_wall_of(one, y.size) for one in saved["kept"]]
            since = {_wall_of(one, y.size): check_number(at, "walls") for one, at in saved["since"]}
            slid = {_wall_of(one, y.size): check_whole(times, "walls", 1) for one, times in saved["slid"]}
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            return f"walls: expected those of a run, got {shown(saved)} ({error})"
        sizes = np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * np.abs(y), y.shape)
        kept = all(
            w.side * (y[w.component] - w.bound) >= 0.0 if w.side else w.rests and abs(y[w.component] - w.bound) <= sizes[w.component]
            for w in found
        )
        if sorted(set(found)) != found or not kept:
            return f"walls: expected components in order, none of them beyond its bound, got {found!r}"
        forwards = np.copysign(1.0, self.run.h)
        if (
            set(since) != {w for w in found if w.side == 0}
            or not set(since) <= set(slid)
            or any(forwards * (t - at) < 0.0 for at in since.values())
        ):
            return f"walls: expected a time before t = {t:g} for each component that slides, got {saved['since']!r}"
        self._go_behind(found)
        if set(self.slides) != set(since):
            return "walls: expected components that may slide"
        self.slides, self.slid = since, slid
        return ""

    def guard(self, inside: Inside | None) -> tuple[Inside | None, NDArray[np.int64] | None]:
        """What f goes through, and all components that are kept at 0 or above; inside : what it went through before."""
        if self.inside is None:
            return inside, self.known
        at_0 = np.array([w.component for w in self.found if w.side > 0 and w.bound == 0.0], dtype=np.int64)
        return self.inside, at_0 if self.known is None else np.union1d(self.known, at_0)

    @property
    def met(self) -> dict[str, Any] | None:
        """What a file has of them: those that are kept now, which may be none, and slides, if one was met, and what decides when the next
        look is due; None for nothing."""
        met: dict[str, Any] = {"failed": self.failed} if self.failed else {}
        met |= {} if np.isnan(self.left_at) else {"left": float(self.left_at)}
        if self.inside is not None:
            met |= {"kept": self.found, "since": list(self.slides.items()), "slid": list(self.slid.items())}
        return met or None

    @property
    def may_lose(self) -> bool:
        """Whether `lost` has something to look at."""
        return bool(self.text or self.found) or self.known is not None

    def lost(self, aside: Callable[..., Any]) -> str:
        """What speaks against components that are 0 at a number that no solution crosses: f leads away from there, so that it matters how
        small they are, and that is below atol; and against those that have passed 0 at a pole in time. aside : see `due`."""
        if not self.text:
            aside(self._look_for_lost)
        return self.text

    def _look_for_lost(self) -> None:
        y, atol = np.ravel(self.run.y), np.broadcast_to(self.atol.ravel(), np.ravel(self.run.y).shape)
        forwards = float(np.copysign(1.0, self.run.h))
        known = () if self.known is None else (Wall(int(j), 0.0, 1, ends=True) for j in self.known)
        for j, bound, side, _, ends in [*self.found, *known]:
            small = SMALL * float(atol[j])
            if ends and y[j] == bound and small > 0.0 and self._slope(self.run.t, y, j, bound)[j] == 0.0:
                rate = forwards * side * float(self._slope(self.run.t, y, j, bound + side * small)[j]) / small
                if np.isfinite(rate) and rate * self.span > 1.0:
                    self.text = (
                        f"component {j} is 0 now, where it stays, and any other number would grow there, at a rate of {rate:.3g}: if it "
                        f"has only fallen below atol = {atol[j]:g}, give a smaller one"
                    )
                    return

    @property
    def words(self) -> str:
        """For the result's message; "" where no component is kept, and none has slid."""
        kept = []
        for w in sorted(self.slid)[:FEW]:
            often = f" {self.slid[w]} times" * (self.slid[w] > 1)
            kept.append(
                f"component {w.component} slid along {w.bound:.9g}{often}, where the right-hand side jumps and leads back from both sides"
            )
        kept += ["..."] * (len(self.slid) > FEW)
        for side, rests, ends in sorted({w[2:] for w in self.found if w.side}, reverse=True):
            for bound in sorted({w.bound for w in self.found if w[2:] == (side, rests, ends)}):
                which = [w.component for w in self.found if w[1:] == (bound, side, rests, ends)]
                many, names = len(which) > 1, ", ".join(map(str, which[:FEW])) + (", ..." if len(which) > FEW else "")
                inside, outside = ("above", "below") if side > 0 else ("below", "above")
                why = "leads there from both sides, steeper than any line" if rests else f"is not finite {outside}"
                if ends:
                    why = "lets nothing cross: what is smaller than atol may become 0, and stay there"
                text = f"component{'s' * many} {names} {'were' if many else 'was'} kept at {bound:.9g} or {inside}"
                kept.append(f"{text} (to the tolerances between steps), as the right-hand side {why}")
        return "; ".join(kept)

    def _go_behind(self, found: list[Wall]) -> None:
        """Keeps these components within their bounds from here on."""
        known = () if self.known is None else (int(j) for j in self.known)
        for w in set(self.slides).difference(found):
            del self.slides[w]
            self.sliding[w.component].release()
        for w in found:
            if w.side == 0 and w not in self.slides and self._slide(w):
                self.slides[w] = self.run.t
                self.slid[w] = self.slid.get(w, 0) + 1
        self.found = [w for w in found if w.side or w in self.slides]
        all_of = sorted([*(w for w in found if w.side), *(Wall(j, 0.0, 1) for j in known)])
        component, bound, side = ([w[i] for w in all_of] for i in range(3))
        if self.inside is None:
            self.inside = Inside(self.run.problem, np.array(component, dtype=np.int64), bound, side, True)
        else:
            self.inside.keep(np.array(component, dtype=np.int64), bound, side)
        asked.go_behind_wall(self.run)
        self.run.max_step = min(self.run.max_step, LONGEST * self.span)

    def _slide(self, wall: Wall) -> bool:
        """The component slides from here on; whether it can."""
        from mflow_core.problems.sliding import Sliding  # seldom needed

        # the value of f where it jumps belongs to neither side, and the jump is beside the bound, or there
        low, high = next_to(wall.bound)
        try:
            if wall.component not in self.sliding:
                self.sliding[wall.component] = Sliding(self.run.problem, wall.component, asked.count_of_slopes(self.run))
        except ValueError:  # a gradient, or what somebody else solves with
            self.slides_never = True
            return False
        self.sliding[wall.component].take_up(low, high, float(np.copysign(1.0, self.run.h)))
        return True

    def _stopped(self) -> list[Wall]:
        """The component that a step was about to take over 0, where no solution crosses it."""
        stopped = asked.stopped_at_0(self.run)
        if stopped is None:
            return []
        j, side = stopped
        wall = self._end_at_0(j, side)
        if wall is None:
            asked.may_pass_0(self.run, j)
        return [] if wall is None else [wall]

    def _strayed(self) -> list[Wall]:
        """Those that errors have taken over 0, some tolerances at most, where no solution crosses it and no step works now."""
        y, sizes = np.ravel(self.run.y), np.broadcast_to(self.atol.ravel(), np.ravel(self.run.y).shape)
        strayed = [j for j in asked.beyond_0(self.run) if 0.0 < abs(y[j]) <= REACH * sizes[j] < np.inf]
        walls = [self._end_at_0(j, 1 if y[j] < 0.0 else -1) for j in strayed[:RESTING]]
        return [wall for wall in walls if wall is not None]

    def _end_at_0(self, j: int, side: int) -> Wall | None:
        """The wall that keeps a component on this side of 0, if no solution crosses it."""
        y, t, h = np.ravel(self.run.y), self.run.t, float(self.run.h)
        beside = np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * np.abs(y), y.shape)
        if not np.isfinite(beside[j]):
            return None
        beside = np.where(np.isfinite(beside), beside, 0.0)
        states = ((t, y), (t + np.copysign(1e-3 * self.span, h), y), (t, y + beside), (t, y - beside))
        at = [float(self._slope(time, state, j, 0.0)[j]) for time, state in states]
        if all(slope == 0.0 for slope in at) and not self._has_pole_in_time(t, y, j, side * float(beside[j]) * BARRIERS[0]):
            return Wall(j, 0.0, side, ends=True)
        for bound in () if np.any(np.isfinite(at)) else (side * float(beside[j]) * near for near in BARRIERS):
            if all(side * np.copysign(1.0, h) * self._slope(time, state, j, bound)[j] > 0.0 for time, state in states):
                return Wall(j, bound, side, ends=True)
        return None

    def _has_pole_in_time(self, t: float, y: Array, j: int, value: float) -> bool:
        """Whether the slope beside 0 changes its sign in the step that was tried where it grows without bound, as that of y' = y cot(t):
        such a solution crosses 0 there."""
        low, high = t, t + float(self.run.tried)
        first, last = (float(self._slope(time, y, j, value)[j]) for time in (low, high))
        if not first * last < 0.0:
            return False
        largest = max(abs(first), abs(last))
        for _ in range(TURNS):
            middle = 0.5 * (low + high)
            at = float(self._slope(middle, y, j, value)[j])
            low, high = (middle, high) if at * first > 0.0 else (low, middle)
        if abs(at) > UNBOUNDED * largest:
            from mflow.walls.poles import passed_words  # seldom needed

            self.text = passed_words(low)
        return not abs(at) < largest

    def _here(self) -> list[Wall]:
        """Ends of the domain of f within a tolerance, at which f is finite and leads no further out."""
        y, t = np.ravel(self.run.y), self.run.t
        sizes = np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * np.abs(y), y.shape)
        kept = {(w.component, w.side) for w in self.found} | {(int(j), 1) for j in (() if self.known is None else self.known)}
        found: list[Wall] = []
        for side in (1, -1):
            for j in self._blamed(t, y, -side * sizes, [i for i in range(y.size) if np.isfinite(sizes[i]) and (i, side) not in kept]):
                bound = self._bound(t, y, j, side * float(sizes[j]))
                if bound is not None and self._holds(t, y, sizes, Wall(j, bound, side)):
                    found.append(Wall(j, bound, side))
        return found

    def _rests(self, passing: bool = False) -> list[Wall]:
        """Components beside a number that f leads to from both sides as a root does, wherever t and the others are. passing : a look that
        nothing has asked for: what is on a line at three points is searched no further."""
        y, t, h = np.ravel(self.run.y), self.run.t, float(self.run.h)
        sizes = np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * np.abs(y), y.shape)
        kept = {w.component for w in self.found} | {int(j) for j in (() if self.known is None else self.known)}
        others = np.where(np.isfinite(sizes), sizes, 0.0)
        others[sorted(kept)] = 0.0
        found = []
        for j in [i for i in np.argsort(np.abs(y) / sizes, kind="stable").tolist() if np.isfinite(sizes[i]) and i not in kept][:RESTING]:
            drive = partial(self._drive, t, y, j)
            if passing and is_line(drive, float(y[j]), REACH * float(sizes[j])):
                continue
            bound, is_root = root_of(drive, float(y[j]), REACH * float(sizes[j]))
            if not np.isfinite(bound) or (self.slides_never and not is_root):
                continue
            near = ROOT_NEAR * float(sizes[j])
            if not (is_singular(drive, bound, near) if is_root else self._has_limits(t, y, j, bound, near)):
                continue
            steep = all(abs(drive(bound + s * near)) > STEEP * abs(drive(bound + s * float(sizes[j]))) for s in (1, -1))
            beside = others.copy()
            beside[j] = 0.0
            # along a jump it pays to slide for some steps; a root of f must be one for a part of the run
            later = 1e-3 * self.span if is_root else min(1e-3 * self.span, FAR * abs(h))
            moved = ((t + np.copysign(later, h), y), (t, y + beside), (t, y - beside))
            back = (self._drive(at, state, j, bound + near) < 0.0 < self._drive(at, state, j, bound - near) for at, state in moved)
            if steep and all(back):
                found.append(Wall(j, bound, 0 if not is_root else 1 if y[j] >= bound else -1, True))
        return found

    def _has_limits(self, t: float, y: Array, j: int, bound: float, near: float) -> bool:
        """Whether f has a finite limit on each side of where it jumps, which a pole has not, and the jump is no stair of many.

        Beside it f is as it is a 64th as far, and as next to it, where `Sliding` asks: within a small part of the jump.
        """
        distance = max(near, 4096.0 * float(np.spacing(abs(bound))))
        low, high = next_to(bound)
        below, above = (self._slope(t, y, j, bound + s * distance) for s in (-1, 1))
        most = ALIKE * abs(above[j] - below[j])
        for side, there in ((below, (bound - distance / 64.0, low)), (above, (bound + distance / 64.0, high))):
            if not all(np.max(np.abs(self._slope(t, y, j, value) - side)) <= most for value in there):
                return False
        ends = y.copy(), y.copy()
        ends[0][j], ends[1][j] = bound - distance, bound + distance
        return is_jump(lambda time, state: self._slope(time, state, [], []), t, *ends)

    def _drive(self, t: float, y: Array, j: int, value: float) -> float:
        """The slope of component j, forwards, where it is `value`."""
        return float(np.copysign(1.0, self.run.h) * self._slope(t, y, j, value)[j])

    def _leads_on(self, wall: Wall, fails: bool) -> bool:
        """Whether f leads on from where a component rests, now or, where no step works, just behind the time of the run."""
        y = np.ravel(self._moved_inside(self.found))
        j, bound, side = wall[:3]
        if fails and y[j] == bound:
            return True
        at = self._slope(self.run.t, y, j, bound)
        return bool(np.copysign(1.0, self.run.h) * side * at[j] < -ROUNDED * np.max(np.abs(at)))

    def _crosses(self, wall: Wall) -> bool:
        """Whether the state is beyond the number, behind an action, or f leads over it by now, or in the step that was tried, as where a
        forcing begins; then it is none that ends."""
        y, h, t = np.ravel(self._moved_inside(self.found)), float(self.run.h), self.run.t
        if wall.side * (np.ravel(self.run.y)[wall.component] - wall.bound) < 0.0:
            asked.may_pass_0(self.run, wall.component)
            return True
        slope = self._slope(t, y, [], [])
        for step in (0.0, h, float(self.run.tried), np.copysign(NEXT_TO * SHORT * abs(t), h)):
            at = self._slope(t + step, y + step * slope, wall.component, wall.bound)
            if np.copysign(1.0, h) * wall.side * at[wall.component] < -ROUNDED * np.max(np.abs(at)):
                asked.may_pass_0(self.run, wall.component)
                return True
        return False

    def _opened(self) -> list[Wall]:
        """Those beyond which f is finite by now."""
        ends = [w for w in self.found if not (w.rests or w.ends)]
        if not ends or self.inside is None:
            return []
        y, t = np.ravel(self.run.y), self.run.t
        sizes = np.broadcast_to(self.atol.ravel() + self.rtol.ravel() * np.abs(y), y.shape)
        self.inside.release()
        out = [w for w in ends if np.all(np.isfinite(self._slope(t, y, w.component, w.bound - w.side * sizes[w.component])))]
        self._go_behind(self.found)
        return out

    def _blamed(self, t: float, y: Array, change: Array, among: list[int]) -> list[int]:
        """Components whose own change leaves the domain: halves are looked at where a whole leaves it."""
        out, groups, asked = [], [among], 0
        while groups and asked < ASKED:
            group = groups.pop()
            asked += 1
            if not group or np.all(np.isfinite(self._slope(t, y, group, y[group] + change[group]))):
                continue
            if len(group) == 1:
                out += group
            else:
                groups += [group[len(group) // 2 :], group[: len(group) // 2]]
        return out

    def _bound(self, t: float, y: Array, j: int, size: float) -> float | None:
        """The last number of component j at which f is finite, from one that is outside by less than `size`, of the inside's sign."""
        inner, outer = float(y[j]), float(y[j] - size)
        if not np.all(np.isfinite(self._slope(t, y, j, inner))):
            inner, outer = inner + size, inner
            if not np.all(np.isfinite(self._slope(t, y, j, inner))):
                return None
        if (outer < 0.0 < inner or inner < 0.0 < outer or inner == 0.0) and np.all(np.isfinite(self._slope(t, y, j, 0.0))):
            inner = 0.0
            if not np.all(np.isfinite(self._slope(t, y, j, -ROUNDED * size))):
                return 0.0
        for _ in range(TO_ANY):
            middle = 0.5 * (inner + outer)
            if middle in (inner, outer):
                break
            inner, outer = (middle, outer) if np.all(np.isfinite(self._slope(t, y, j, middle))) else (inner, middle)
        return inner

    def _holds(self, t: float, y: Array, sizes: Array, wall: Wall) -> bool:
        """Whether the solution stays inside there, and whether the wall stands still where t or other components move."""
        j, bound, side = wall[:3]
        at, h = self._slope(t, y, j, bound), float(self.run.h)
        if not np.copysign(1.0, h) * side * at[j] >= -ROUNDED * np.max(np.abs(at)):
            return False
        beyond = bound - side * 1e-3 * float(sizes[j])
        beside = y + np.where(np.isfinite(sizes), sizes, 0.0)
        for time, state in ((t + np.copysign(1e-3 * self.span, h), y), (t, beside), (t, 2.0 * y - beside)):
            if np.all(np.isfinite(self._slope(time, state, j, beyond))):
                return False
        return True

    def _moved_inside(self, walls: list[Wall]) -> Array:
        """The state with none of its components beyond a bound."""
        state: Array = self.run.y
        flat = state.reshape(-1)
        for j, bound, side, *_ in [*walls, *(Wall(int(j), 0.0, 1) for j in (() if self.known is None else self.known))]:
            flat[j] = bound if side == 0 else max(flat[j], bound) if side > 0 else min(flat[j], bound)
        return state

    def _slope(self, t: float, y: Array, place: Any, value: Any) -> Array:
        """f where some components are others; NaN where it cannot be had."""
        moved = y.copy()
        moved[place] = value
        try:
            with np.errstate(all="ignore"):  # beside a pole
                return np.ravel(self.slope(t, moved.reshape(self.run.shape)))
        except (ArithmeticError, ValueError):  # as f of Python's own math raises where NumPy gives NaN; the run's own calls tell of it
            return np.full(y.shape, np.nan)


def _wall_of(saved: Any, n: int) -> Wall:
    """One that a file has, of a state of n numbers. Raises TypeError or ValueError."""
    j, bound, side, rests, ends = saved
    j, side = check_whole(j, "walls", 0, n - 1), check_whole(side, "walls", -1, 1)
    return Wall(j, check_number(bound, "walls"), side, rests is True, ends is True)


def next_to(bound: float) -> tuple[float, float]:
    """The numbers next but one to it, on both sides."""
    low, high = (float(np.nextafter(np.nextafter(bound, far), far)) for far in (-np.inf, np.inf))
    return low, high


def look_for_walls(run: Any, span: float, keeps: bool = True) -> None:
    """From here on a run of this length stops where `Walls` should look, if they may keep something, and where a pole in time may be ahead
    (`PoleAhead`)."""
    if keeps:
        asked.look_for_walls(run)
    asked.look_for_poles(run, shrunk(span))


def steps_between_looks(run: Any) -> int:
    """How many steps `Walls` lets pass from one look to the next, where no try fails."""
    return RARELY if run.problem.compiled else SOON


def shrunk(span: float) -> float:
    """The length of steps below which a pole in time is looked for."""
    return SHRUNK * span if span < np.inf else 0.0
