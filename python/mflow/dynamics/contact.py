"""Stops, gaps and dry friction: forces of M x'' = F that change their law where an event says so.

Each obstacle is in one of a few states (open or closed; free or resting; slipping one way, the other, or stuck), in each of which its force
is smooth. A step never sees two laws: an event that acts locates where a state ends, the state changes there, and the run begins anew
behind it, so that methods keep their order. Where a degree of freedom rests or sticks, the force on it is what keeps its acceleration 0:

    R = -(load - C v - K x + force),        sticking until |R| > static,        resting until R pulls.

An event's value is never 0 where its state is known: it has the sign that belongs to the state, so that no crossing is missed at a start.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from mflow_core.dynamics import matrices
from mflow_core.problems.signatures import FORCE_SIGNATURE, POTENTIAL_SIGNATURE, check_size, compiled_address

from mflow.base.checks import Array, check_number, real_array, shown
from mflow.base.result import DynamicsResult
from mflow.dynamics.obstacles import Contact, Friction, contacts_of, friction_of, pushed_in
from mflow.integrate.control import Event, check_events
from mflow.structures.loads import is_table, load_function
from mflow.structures.matrices import rayleigh_numbers, sum_of
from mflow.structures.supports import Supports, free_part

__all__ = ["Switches", "TooLongError", "switched"]

ROUNDINGS = 16 * 2.0**-52  # of the forces at a degree of freedom that is let go, where they are as good as in balance
SLOW = 1e-6  # of its fastest impact: a slower rebound is none, and the body rests
TINY = 5e-324


class TooLongError(Exception):
    """A step ends with a slip in the other sense than all forces lead to: shorter ones show what it has passed. Of one slider."""


class _Spring:
    """The state of a contact with a stiffness."""

    def __init__(self, one: Contact) -> None:
        self.i, self.gap, self.k, self.sign = one.dof, one.gap, float(one.stiffness or 0.0), 1.0 if one.side == "above" else -1.0
        self.closed = False

    def value(self, t: float, x: Array, v: Array, *args: Any) -> float:
        depth = self.sign * (x.ravel()[self.i] - self.gap)
        return float(depth) or (TINY if self.closed else -TINY)


class _Hold:
    """What a stop and friction have in common: a degree of freedom that may be held."""

    held = False
    off = 0.0  # a force that takes it off at once where it was let go, of the size of rounding in the forces there

    def __init__(self, i: int) -> None:
        self.i = i
        self.lost = [(-math.inf, 0.0)]  # (t, what it has dissipated by then)


class _Stop(_Hold):
    def __init__(self, one: Contact) -> None:
        super().__init__(one.dof)
        self.gap, self.restitution, self.sign = one.gap, one.restitution, 1.0 if one.side == "above" else -1.0
        self.fastest = 0.0
        self.leaving = False  # it has left from rest, and not struck since


class _Slider(_Hold):
    """sense: the sign of the velocity that it slips with. fresh: it is to slip from rest, and no step has shown it yet."""

    fresh = False

    def __init__(self, one: Friction) -> None:
        super().__init__(one.dof)
        self.force, self.static = one.force, one.force if one.static is None else one.static
        self.sense = 0.0
        self.path: list[tuple[float, float, float, float]] = []  # t, x, the force against motion from there on, the work until there


class Switches:
    """The obstacles of one run. body: mass, damping, stiffness, load and rayleigh as `solve_dynamics` has them."""

    def __init__(self, contacts: Any, friction: Any, supports: Supports, body: dict[str, Any], force: Any, inplace: bool) -> None:
        n = supports.n
        if force is not None:
            force = _python_force(force, n)
        self.n, self.shape, self.supports, self.user, self.inplace = n, supports.shape, supports, force, inplace
        given, rubbing = contacts_of(contacts, supports), friction_of(friction, supports)
        self.springs = [_Spring(one) for one in given if one.stiffness is not None]
        self.stops = [_Stop(one) for one in given if one.stiffness is None]
        self.sliders = [_Slider(one) for one in rubbing]
        self.holds: list[_Stop | _Slider] = [*self.stops, *self.sliders]
        self._refuse_two()
        self.facts = {  # what a resumed run must have in common, in numbers, however they were written
            name: [list(one) for one in some] for name, some in (("contacts", given), ("friction", rubbing)) if some
        }
        self.log: list[tuple[float, int, str]] = []
        self.pushed: list[str] = []  # words on springs that push at the start
        self.own = 0  # how many of the events are the user's
        self.events: list[Event] = []
        self.forget: Callable[[], Any] = lambda: None
        self.potential: Callable[[Array], float] | None = None  # of the user's force, for the ledger
        self._take_rows(body)

    def _refuse_two(self) -> None:
        rubbed = [one.i for one in self.sliders]
        for i in rubbed:
            if rubbed.count(i) > 1:
                raise ValueError(
                    f"friction: expected one for each degree of freedom, got {rubbed.count(i)} at degree of freedom {i}: add them up"
                )
            if any(one.i == i for one in self.stops):
                raise ValueError(
                    f"friction: degree of freedom {i} has a rigid stop as well, and what holds it there is not known: give "
                    "the contact a stiffness"
                )
        for one, other in itertools.combinations(self.stops, 2):
            if one.i == other.i and one.sign == other.sign and one.gap == other.gap:
                raise ValueError(
                    f"contacts: expected one rigid stop at a place, got two at {one.gap:g} of degree of freedom {one.i}: remove one of them"
                )
            if one.i == other.i and one.sign != other.sign and one.sign * (one.gap - other.gap) <= 0.0:
                raise ValueError(
                    f"contacts: expected room between the rigid stops of degree of freedom {one.i}, got gaps of {one.gap:g} and "
                    f"{other.gap:g}: give it by fixed=, or one of the stops a stiffness"
                )

    def _take_rows(self, body: dict[str, Any]) -> None:
        """The rows of the matrices that belong to what may be held."""
        n, index = self.n, [one.i for one in self.holds]
        M = matrices.checked_matrix(np.ones(n) if body["mass"] is None else body["mass"], "mass", n)
        K = None if body["stiffness"] is None else matrices.checked_matrix(body["stiffness"], "stiffness", n)
        self.M = M
        self.damper: Any = body["damping"] if matrices.is_function(body["damping"]) else None
        C = None if body["damping"] is None or self.damper is not None else matrices.checked_matrix(body["damping"], "damping", n)
        if self.holds and self.damper is not None and not callable(getattr(self.damper, "matvec", self.damper)):
            raise TypeError("damping: a compiled function does not go with friction or rigid stops: give a matrix or a Python function")
        rows = {name: {i: _row(A, i, n) for i in index} for name, A in (("M", M), ("C", C), ("K", K))}
        for i, row in rows["M"].items():
            if np.any(np.delete(row, i)):
                raise ValueError(
                    f"mass: expected no inertia between degree of freedom {i} and others where a rigid stop or friction may hold it: "
                    "give a lumped mass, or a contact with a stiffness"
                )
        a, b = (0.0, 0.0) if body["rayleigh"] is None else rayleigh_numbers(body["rayleigh"])
        self.mass = {i: float(row[i]) for i, row in rows["M"].items()}
        self.K = rows["K"]
        self.C = {i: rows["C"][i] + a * rows["M"][i] + b * rows["K"][i] for i in index}
        self.rubs = {i: bool(np.any(row)) for i, row in self.C.items()}
        self.damped = any(self.rubs.values()) or self.damper is not None
        load = body["load"]
        self.load = load_function(load, self.supports, "friction or rigid stops")[0] if self.holds and load is not None else None

    # ---- forces --------------------------------------------------------------------------------------------------------------------------

    def _plain(self, t: float, x: Array, v: Array, args: tuple[Any, ...]) -> Array:
        """The user's force and the springs in contact."""
        if self.user is None:
            out = np.zeros(self.shape)
        elif self.inplace:
            out = np.full(self.shape, math.nan)
            self.user(t, x, v, out, *args)
        else:
            out = np.array(self.user(t, x, v, *args), dtype=np.float64)
            if out.shape != self.shape:
                raise ValueError(f"force returned shape {out.shape}, but the state has shape {self.shape}")
        flat, place = out.reshape(-1), x.ravel()
        for one in self.springs:
            if one.closed:
                flat[one.i] -= one.k * (place[one.i] - one.gap)
        return out

    def _body(self, i: int, t: float, x: Array, v: Array) -> float:
        """load - C v - K x at one degree of freedom."""
        pull = -float(self.K[i] @ x.ravel())
        if self.rubs[i]:
            pull -= float(self.C[i] @ v.ravel())
        if self.damper is not None:
            pull -= float(np.ravel(getattr(self.damper, "matvec", self.damper)(v.ravel()))[i])
        return pull if self.load is None else pull + float(self.load(t)[i])

    def _size(self, i: int, t: float, x: Array, v: Array) -> float:
        """Of what the force at one degree of freedom is the sum of."""
        size = float(np.abs(self.K[i]) @ np.abs(x.ravel()) + np.abs(self.C[i]) @ np.abs(v.ravel()))
        size += sum(one.k * abs(float(x.ravel()[i]) - one.gap) for one in self.springs if one.i == i and one.closed)
        size += sum(one.force for one in self.sliders if one.i == i)
        return size + (0.0 if self.load is None else abs(float(self.load(t)[i])))

    def _driven(self, one: _Hold, t: float, x: Array, v: Array, args: tuple[Any, ...]) -> float:
        """All forces there but what a stop or friction gives."""
        body = self._body(one.i, t, x, v)
        if self.user is None and not self.springs:  # asked in every step, at several times
            return body
        return float(self._plain(t, x, v, args).reshape(-1)[one.i]) + body

    def force(self, t: float, x: Array, v: Array, *args: Any) -> Array:
        """The user's force with those of all obstacles."""
        out = self._plain(t, x, v, args)
        flat = out.reshape(-1)
        for one in self.holds:
            if one.held:
                flat[one.i] = -self._body(one.i, t, x, v)
            elif isinstance(one, _Slider):
                flat[one.i] += one.off - one.force * one.sense
            else:
                flat[one.i] += one.off
        return out

    def _tangent(self, rows: dict[int, Array], own: Any, stiff: bool, state: tuple[Any, ...]) -> Array:
        J = np.zeros((self.n, self.n))
        if own is not None:
            given = own(*state) if callable(own) else own
            dense = real_array(given.toarray() if hasattr(given, "toarray") else given, "dfdx" if stiff else "dfdv")
            if dense.size not in (1, self.n**2):
                raise ValueError(
                    f"{'dfdx' if stiff else 'dfdv'}: expected a matrix of shape {J.shape} beside contacts and friction, got {dense.shape}"
                )
            J += dense.reshape(J.shape) if dense.size > 1 else dense
        for spring in self.springs:
            if stiff and spring.closed:
                J[spring.i, spring.i] -= spring.k
        for one in self.holds:
            if one.held:
                J[one.i] = rows[one.i]
        return J

    def closed(self, moving: tuple[Any, ...] | None, alone: bool) -> tuple[Any, ...] | None:
        """(n, M, C, K) of what moves with all springs in contact and nothing held, which no other state exceeds in stiffness; None where
        it is not known: beside a force, or a damping function. moving: without springs. alone: there are no matrices but the mass."""
        if self.user is not None or (moving is None and not alone):
            return None
        free = self.supports.free
        n, M, C, K = moving or (free.size, free_part(self.M, self.supports), None, None)
        springs = np.zeros(self.n)
        for one in self.springs:
            springs[one.i] += one.k
        return n, M, C, sum_of(K, springs[free]) if self.springs else K

    @contextlib.contextmanager
    def all_closed(self) -> Iterator[None]:
        """Here all springs are in contact and nothing is held."""
        closed, held = [one.closed for one in self.springs], [one.held for one in self.holds]
        self._set(itertools.repeat(True), itertools.repeat(False))
        try:
            yield
        finally:
            self._set(closed, held)

    def _set(self, closed: Iterable[bool], held: Iterable[bool]) -> None:
        for spring, now in zip(self.springs, closed, strict=False):
            spring.closed = now
        for hold, now in zip(self.holds, held, strict=False):
            hold.held = now
        self.forget()

    def tangents(self, dfdx: Any, dfdv: Any) -> tuple[Any, Any]:
        """Those of `force`, where the user's are known."""
        if self.damper is not None or (self.user is not None and (dfdx is None or dfdv is None)):
            return None, None
        return (
            lambda *state: self._tangent(self.K, dfdx, True, state),
            lambda *state: self._tangent(self.C, dfdv, False, state),
        )

    # ---- events --------------------------------------------------------------------------------------------------------------------------

    def switching(self) -> list[Event]:
        """The events at which a contact changes its state."""
        out = [Event(one.value, action=self._toggling(one)) for one in self.springs]
        for stop in self.stops:
            out.append(Event(lambda t, x, v, *args, one=stop: _depth(one, x, False), direction=1, action=self._striking(stop)))
            # Off its stop a body is looked at where steps end: the cubic through a step from rest may bulge to the wrong side of it.
            out.append(Event(lambda t, x, v, *args, one=stop: _depth(one, x, True), direction=1, samples=1, action=self._striking(stop)))
            out.append(Event(self._releasing(stop), direction=-1, action=self._letting_go(stop)))
        for slider in self.sliders:
            out.append(Event(self._slipping(slider), direction=-1, action=self._turning(slider)))
            out.append(Event(self._releasing(slider), direction=-1, action=self._letting_go(slider)))
        return out

    def name(self, which: int) -> str:
        """Of an event that is no user's, for messages; "" of theirs."""
        kinds = (("the contact", self.springs, 1), ("the rigid stop", self.stops, 3), ("friction", self.sliders, 2))
        names = [f"{kind} at degree of freedom {one.i}" for kind, some, events in kinds for one in some for _ in range(events)]
        return "" if which < self.own else names[which - self.own]

    def _note(self, t: float, i: int, what: str) -> None:
        self.log.append((t, i, what))
        self.forget()

    def _toggling(self, one: _Spring) -> Callable[..., None]:
        def action(t: float, x: Array, v: Array, *args: Any) -> None:
            one.closed = not one.closed
            self._note(t, one.i, "closes" if one.closed else "opens")

        return action

    def _striking(self, one: _Stop) -> Callable[..., None]:
        def action(t: float, x: Array, v: Array, *args: Any) -> None:
            place, speed = x.reshape(-1), v.reshape(-1)
            fast = abs(float(speed[one.i]))
            one.fastest = max(one.fastest, fast)
            back = one.restitution * fast
            rests = back <= SLOW * one.fastest
            place[one.i], speed[one.i] = one.gap, 0.0 if rests else -one.sign * back
            left = abs(float(speed[one.i]))
            one.lost.append((t, one.lost[-1][1] + 0.5 * self.mass[one.i] * (fast - left) * (fast + left)))
            one.held = rests and one.sign * self._driven(one, t, x, v, args) >= 0.0
            one.leaving = rests and not one.held
            self._note(t, one.i, "rests" if one.held else "impact")
            self._settle(t, x, v, args)

        return action

    def _turning(self, one: _Slider) -> Callable[..., None]:
        def action(t: float, x: Array, v: Array, *args: Any) -> None:
            v.reshape(-1)[one.i] = 0.0
            drive = self._driven(one, t, x, v, args)
            self._slide(one, t, x, 0.0 if abs(drive) <= one.static else math.copysign(1.0, drive))
            self._note(t, one.i, "sticks" if one.held else "turns")
            self._settle(t, x, v, args)

        return action

    def _slipping(self, one: _Slider) -> Callable[..., float]:
        """The velocity in the sense of the slip; 1 while it sticks.

        It raises TooLongError where a slip from rest is not seen to begin, and where it ends though the forces lead on.
        """

        def value(t: float, x: Array, v: Array, *args: Any) -> float:
            if one.held:
                return 1.0
            speed = float(one.sense * v.ravel()[one.i])
            if speed < 0.0 and (one.fresh or one.sense * self._driven(one, t, x, _at_rest(v, one.i), args) > one.static):
                raise TooLongError(one)
            one.fresh = one.fresh and speed == 0.0
            return speed or TINY

        return value

    def _slide(self, one: _Slider, t: float, x: Array, sense: float) -> None:
        place, work = float(x.ravel()[one.i]), 0.0
        if one.path:
            _, before, against, work = one.path[-1]
            work += against * (place - before)
        one.sense, one.held, one.fresh = sense, sense == 0.0, sense != 0.0
        one.path.append((t, place, one.force * sense, work))

    def _releasing(self, one: _Stop | _Slider) -> Callable[..., float]:
        """How far a hold is from its end; 1 where nothing is held."""

        def value(t: float, x: Array, v: Array, *args: Any) -> float:
            return (self._margin(one, self._driven(one, t, x, v, args)) or TINY) if one.held else 1.0

        return value

    @staticmethod
    def _margin(one: _Stop | _Slider, drive: float) -> float:
        return one.sign * drive if isinstance(one, _Stop) else one.static - abs(drive)

    def _letting_go(self, one: _Stop | _Slider) -> Callable[..., None]:
        def action(t: float, x: Array, v: Array, *args: Any) -> None:
            self._let_go(one, t, x, v, self._driven(one, t, x, v, args))

        return action

    def _let_go(self, one: _Stop | _Slider, t: float, x: Array, v: Array, drive: float) -> None:
        one.held = False
        way, net = (-one.sign, -one.sign * drive) if isinstance(one, _Stop) else (math.copysign(1.0, drive), abs(drive) - one.force)
        one.off = way * max(0.0, ROUNDINGS * self._size(one.i, t, x, v) - net)
        if isinstance(one, _Stop):
            one.leaving = True
        else:
            v.reshape(-1)[one.i] = 0.0  # rounding has left some, which may point the other way
            self._slide(one, t, x, way)
        self._note(t, one.i, "leaves" if isinstance(one, _Stop) else "slips")

    def _settle(self, t: float, x: Array, v: Array, args: tuple[Any, ...]) -> None:
        """What else is held may be let go where velocities have jumped: no crossing shows it."""
        for one in self.holds:
            if one.held and self._margin(one, drive := self._driven(one, t, x, v, args)) < 0.0:
                self._let_go(one, t, x, v, drive)

    def stick(self, one: _Slider, t: float, x: Array, v: Array) -> None:
        """It does not slip where it was to: no step is short enough to show that. v becomes 0 there."""
        v.reshape(-1)[one.i] = 0.0
        self._slide(one, t, x, 0.0)
        self._note(t, one.i, "sticks")

    # ---- checkpoints ---------------------------------------------------------------------------------------------------------------------

    def pack(self) -> bytes:
        """The states, and what the books need of what has happened."""
        import json

        state = {
            "closed": [bool(one.closed) for one in self.springs], "held": [bool(one.held) for one in self.holds],
            "off": [one.off for one in self.holds], "leaving": [bool(one.leaving) for one in self.stops],
            "lost": [one.lost for one in self.stops], "fastest": [one.fastest for one in self.stops],
            "sense": [one.sense for one in self.sliders], "fresh": [bool(one.fresh) for one in self.sliders],
            "path": [one.path for one in self.sliders], "log": self.log,
        }  # fmt: skip
        return json.dumps(state).encode()

    def unpack(self, data: bytes) -> None:
        """What `pack` wrote. Raises ValueError, TypeError or KeyError where it does not fit."""
        import json

        state = json.loads(data)
        for name, of in (
            ("closed", self.springs),
            ("held", self.holds),
            ("off", self.holds),
            ("lost", self.stops),
            ("leaving", self.stops),
            ("sense", self.sliders),
            ("fresh", self.sliders),
        ):
            if len(state[name]) != len(of):
                raise ValueError(f"{name}: expected {len(of)} states of contacts and friction, got {len(state[name])}")
        for spring, closed in zip(self.springs, state["closed"], strict=True):
            spring.closed = bool(closed)
        for hold, held, off in zip(self.holds, state["held"], state["off"], strict=True):
            hold.held, hold.off = bool(held), float(off)
        for stop, lost, fastest, leaving in zip(self.stops, state["lost"], state["fastest"], state["leaving"], strict=True):
            stop.leaving, stop.lost, stop.fastest = bool(leaving), [(float(t), float(w)) for t, w in lost], float(fastest)
        for slider, sense, fresh, path in zip(self.sliders, state["sense"], state["fresh"], state["path"], strict=True):
            slider.sense, slider.fresh = float(sense), bool(fresh)
            slider.path = [(float(t), float(x), float(f), float(w)) for t, x, f, w in path]
        self.log[:] = [(float(t), int(i), str(what)) for t, i, what in state["log"]]

    # ---- the start and the end -----------------------------------------------------------------------------------------------------------

    def begin(self, t: float, t_end: float, x: Array, v: Array, args: tuple[Any, ...]) -> None:
        """The states that a start is in. ValueError where it is beyond a rigid stop, or the run goes backwards."""
        if t_end < t:
            raise ValueError(f"t_span: expected t_end above t0 = {t:g} with contacts or friction, which cannot be undone, got {t_end:g}")
        place, speed = x.ravel(), v.ravel()
        for stop in self.stops:
            if stop.sign * (place[stop.i] - stop.gap) > 0.0:
                where = f"{'below' if stop.sign > 0 else 'above'} {stop.gap:g}"
                raise ValueError(f"x0: expected a start {where}, its rigid stop, at degree of freedom {stop.i}, got {place[stop.i]:g}")
        for spring in self.springs:
            depth = spring.sign * (place[spring.i] - spring.gap)
            spring.closed = depth > 0.0 or (depth == 0.0 and spring.sign * speed[spring.i] > 0.0)
        for one in self.holds:
            drive = self._driven(one, t, x, v, args)
            if isinstance(one, _Stop):
                rests = bool(place[one.i] == one.gap and speed[one.i] == 0.0)
                one.held, one.leaving = rests and one.sign * drive >= 0.0, rests and one.sign * drive < 0.0
            elif speed[one.i] != 0.0:
                self._slide(one, t, x, math.copysign(1.0, speed[one.i]))
                one.fresh = False
            else:
                self._slide(one, t, x, 0.0 if abs(drive) <= one.static else math.copysign(1.0, drive))

    def light(self, h: float) -> str:
        """Words on a slider whose mass is too small for steps of h, which is a third of its period or more; "" where there is none."""
        for one in self.sliders:
            m, k = self.mass[one.i], float(self.K[one.i][one.i])
            if m < (least := k * (0.5 * h) ** 2):
                return (
                    f"friction: degree of freedom {one.i} has the mass {m:g} and, on its springs of {k:g}, the period "
                    f"{2.0 * math.pi * math.sqrt(m / k):.3g}, which is short for steps of {h:g}: give it a mass of {least:.3g} or more, or "
                    "lower dt"
                )
        return ""

    def words(self) -> str:
        """What is held where the run ends, for its message."""
        last = {i: (t, what) for t, i, what in self.log}
        out = ""
        for one in self.holds:
            if one.held:
                word, since = "rests on its stop" if isinstance(one, _Stop) else "is stuck", last.get(one.i)
                out += f"; degree of freedom {one.i} {word} " + ("from the start on" if since is None else f"from t = {since[0]:.9g} on")
        return out

    def finish(self, out: DynamicsResult) -> None:
        """The result as its user knows it: with their own events, what has switched, and obstacles in the ledger."""
        for name in ("t_events", "x_events", "v_events", "x_after", "v_after"):
            if out.get(name) is not None:
                out[name] = out[name][: self.own] if self.own else None
        out["switches"] = list(self.log)
        if out["success"]:
            out["message"] += self.words()
        if out["energy"] is not None and len(out["t"]):
            self._book(out)

    def _book(self, out: DynamicsResult) -> None:
        """The core counts obstacles, and a force beside them, as a load: springs have a potential, friction and impacts dissipate."""
        t, x, e = out["t"], out["x"].reshape(self.n, -1), out["energy"]
        stored, lost = np.zeros(len(t)), np.zeros(len(t))
        for spring in self.springs:
            depth = np.maximum(spring.sign * (x[spring.i] - spring.gap), 0.0)
            stored += 0.5 * spring.k * depth**2
        before = np.append(t[:-1] == t[1:], False)  # of two rows at one time the one before what has happened
        for stop in self.stops:
            when, work = np.array(stop.lost).T
            lost += work[np.where(before, np.searchsorted(when, t, side="left"), np.searchsorted(when, t, side="right")) - 1]
        for slider in self.sliders:
            path = np.array(slider.path)
            k = np.maximum(np.searchsorted(path[:, 0], t, side="right") - 1, 0)
            lost += path[k, 3] + path[k, 2] * (x[slider.i] - path[k, 1])
        if self.potential is not None:
            stored += [self.potential(one) for one in np.moveaxis(out["x"], -1, 0)]
        e["potential"] = e["potential"] + stored
        e["damping"] = e["damping"] + lost
        e["load"] = e["load"] + (stored - stored[0]) + lost


def _python_force(force: Any, n: int) -> Callable[..., Any]:
    """A force as a Python function, a compiled one too: obstacles are added to it in Python."""
    address = compiled_address(force, "force", FORCE_SIGNATURE)
    if address is None:
        if not callable(force):
            raise TypeError(f"force: expected a function of (t, x, v) or a compiled one, got {shown(force)}")
        return force  # type: ignore[no-any-return]
    check_size(force, "force", n)
    pointer = ctypes.POINTER(ctypes.c_double)
    kinds = ctypes.c_double, pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p
    call = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(address[0])

    def compiled(t: float, x: Array, v: Array, *args: Any) -> Array:
        if args:
            raise TypeError("args: expected none with a compiled force; put its data into its user data")
        out = np.zeros(x.shape)
        status = call(t, *(np.ascontiguousarray(one).ctypes.data_as(pointer) for one in (x, v)), out.ctypes.data_as(pointer), n, address[1])
        if status != 0:
            raise ArithmeticError(f"force: the compiled function returned code {status} at t = {t:g}")
        return out

    compiled.owner = force  # type: ignore[attr-defined]  # it must live as long
    return compiled


def switched(
    obstacles: tuple[Any, Any], supports: Supports, body: dict[str, Any], nonlinear: dict[str, Any], events: Any,
    at: Any,
) -> Switches:  # fmt: skip
    """The obstacles of a run, and in `nonlinear` the force with them; `events` of the switches holds those of the user too. at: t0, t_end,
    x0, v0."""
    (t, t_end, x, v), args, user = at, nonlinear["args"], nonlinear["force"]
    made = Switches(*obstacles, supports, body, user, nonlinear["inplace"])
    made.begin(t, t_end, x, v, args)
    if made.springs and (body["load"] is None or is_table(body["load"])):
        made.pushed = pushed_in(made.springs, x.ravel(), lambda: made._plain(t, x, v, args).ravel())
    nonlinear["velocity_free"] = (user is None or nonlinear["velocity_free"]) and not (made.holds and made.damped)
    nonlinear["dfdx"], nonlinear["dfdv"] = made.tangents(nonlinear["dfdx"], nonlinear["dfdv"])
    if nonlinear["potential"] is not None:
        made.potential = _potential(nonlinear["potential"], user, args)
        nonlinear["potential"] = None
    nonlinear["force"], nonlinear["inplace"] = made.force, False
    own = [Event(*spec) for spec in check_events(events)]
    made.own, made.events = len(own), [*own, *made.switching()]
    return made


def _potential(potential: Any, user: Any, args: tuple[Any, ...]) -> Callable[[Array], float]:
    """That of the force, as a function of x."""
    if user is None:
        raise ValueError("potential: it belongs to a nonlinear force=, which is not given")
    if not callable(potential) or compiled_address(potential, "potential", POTENTIAL_SIGNATURE) is not None:
        raise TypeError(f"potential: expected a Python function of x beside contacts or friction, got {shown(potential)}")

    def at(x: Array) -> float:
        return check_number(np.asarray(potential(x, *args)).item(), "potential")

    return at


def _depth(one: _Stop, x: Array, leaving: bool) -> float:
    """How far a degree of freedom is in its stop; below 0 while it rests there, or has left it from rest and that is not asked for."""
    return -1.0 if one.held or one.leaving != leaving else float(one.sign * (x.ravel()[one.i] - one.gap)) or -TINY


def _at_rest(v: Array, i: int) -> Array:
    """v but for one of its degrees of freedom."""
    out = v.copy()
    out.reshape(-1)[i] = 0.0
    return out


def _row(A: Any, i: int, n: int) -> Array:
    """Row i of a checked matrix, of n numbers; of none zeros."""
    if A is None:
        return np.zeros(n)
    if A.ndim == 1:
        return np.where(np.arange(A.size) == i, A, 0.0)
    return A[[i]].toarray().ravel() if hasattr(A, "tocsr") else np.array(A[i])
