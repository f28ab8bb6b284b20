"""`MotionStepper`: what `mflow.Stepper` makes of a second-order method."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.dynamics.force import Force
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from mflow_core.stepping.energy.energies import Energies

from mflow.base.checks import Array, as_tuple, check_number, check_start
from mflow.base.methods import Method, as_method
from mflow.base.result import COLUMNS, Result
from mflow.base.telling import tell
from mflow.dynamics.endings import StepperEnding
from mflow.dynamics.forces import force_problem, no_motion, solves_for_acceleration, tangent_solver
from mflow.integrate.control import OF_RUNS, refuse_of_runs
from mflow.integrate.endings import Ending
from mflow.integrate.stepper import Stepper
from mflow.structures.loads import is_table, table_until
from mflow.structures.matrices import structure_problem
from mflow.structures.supports import Supports, as_diagonal, check_speed

__all__ = ["MotionStepper"]

SELDOM = 32  # steps taken one by one between looks at a motion's size
TENFOLD, GROWN = 10.0, 100.0  # by how much it has grown where it is looked at more closely, and by the next time


class MotionStepper(Stepper, flag="second_order"):
    """What `Stepper` makes of a second-order method: x'' = accel(t, x, v), with `x`, `v` and `a`."""

    _start_name = "x0"
    _watches_motion = True
    _bound = math.inf  # a size of the position, beyond which steps of dt are looked at
    _looked = 0  # evaluations of such looks
    _table: Any = None  # a load's, which steps may miss

    def __init__(
        self,
        method: str | Method,
        accel: Callable[..., Any] | Any = None,
        x0: Any = None,
        v0: Any = None,
        t0: float = 0.0,
        *,
        args: tuple[Any, ...] = (),
        inplace: bool = False,
        rtol: Any = None,
        atol: Any = None,
        direction: float = 1.0,
        first_step: float | None = None,
        max_step: float | None = None,
        min_step: float | None = None,
        dadx: Any = None,
        dadv: Any = None,
        velocity_free: bool = False,
        solver: Any = None,
        solve_accel: Any = None,
        energy: bool = False,
        potential: Any = None,
        breaks: Any = None,
        mass: Any = None,
        damping: Any = None,
        stiffness: Any = None,
        load: Any = None,
        after: str | None = None,
        rayleigh: tuple[float, float] | None = None,
        force: Any = None,
        fixed: Any = None,
        events: Any = None,
        **parameters: Any,
    ) -> None:
        if "doses" in parameters:
            raise TypeError(
                "doses: a motion takes none, a jump of x alone is no motion; a kick is st.v = st.v + J / m, or an event that acts"
            )
        refuse_of_runs(parameters, "solve_dynamics", OF_RUNS - {"nonnegative", "until"})
        self._method = as_method(method, parameters)
        if "second_order" not in self.method.flags:
            raise ValueError(no_motion(self.method, "x'' = accel(t, x, v)"))
        if solve_accel is not None and (solver is not None or dadx is not None or dadv is not None):
            raise ValueError("solve_accel: it solves for a by itself: omit solver, dadx and dadv")
        if potential is not None and not energy:
            raise ValueError("potential: it belongs to the energy ledger: give energy=True as well")
        if isinstance(damping, str):
            parameters, damping = {**parameters, "damping": damping}, None
            self._method = as_method(method, parameters)
        body = {"mass": mass, "damping": damping, "stiffness": stiffness, "load": load, "rayleigh": rayleigh, "force": force}
        body = {name: value for name, value in (body | {"fixed": fixed}).items() if value is not None}
        if (accel is None) == (not body):
            what = "accel, or masses and forces (mass, stiffness, force, ...)"
            raise TypeError(f"accel: expected {what}, got {'none of them' if accel is None else 'both'}; forces beside masses are force=")
        if x0 is None:
            raise TypeError("x0 is missing: expected the positions that the motion starts from")
        start = check_start(x0, "x0")
        speed = check_speed(v0, start)
        self._t0 = check_number(t0, "t0")
        self._supports = Supports(start, fixed, (self._t0, self._t0))
        self._supports.check_rest(speed)
        if events is not None and self._supports.any:
            raise ValueError("events: expected none with fixed=, which a stepper's events do not know of; mflow.solve_dynamics takes both")
        self._body = body | {"load": table_until(load, after)} if after is not None else body
        if is_table(load):
            from mflow.structures.watched_table import WatchedTable  # few programs have one

            self._table = WatchedTable("Stepper", load, after)
        self._take_start(start, speed)
        self._call = {
            "accel": accel, "v0": speed, "args": args if type(args) is tuple else as_tuple(args, accel), "inplace": inplace,
            "rtol": rtol, "atol": atol, "direction": direction, "first_step": first_step, "max_step": max_step, "min_step": min_step,
            "dadx": dadx, "dadv": dadv,
            "velocity_free": velocity_free, "solver": solver, "solve_accel": solve_accel, "energy": bool(energy), "potential": potential,
            "breaks": breaks, "events": events,
            **body, **({} if after is None else {"after": after}),
        }  # fmt: skip
        self._force: Any = self._make_force()
        self._make_run(self._force, v0=self._speed)
        if not self._controlled and self.method.name == "newmark":
            from mflow.dynamics.limits import gains_energy

            if words := gains_energy(self.method):
                tell(f"Stepper: {words}")
        if energy:
            self._settle(int(Energies(self._run).keep()), 0.0)

    def advance(self, steps: int, dt: float) -> None:
        """``steps`` steps of dt, or those up to a terminal event; warns of what they do not see of a load's table, and of a motion that has
        grown by steps past the limit. Errors as `step`."""
        super().advance(steps, dt)
        if self.k % SELDOM == 0 or steps > 1:
            self._look_past(float(dt))
        if self._table is not None:
            self._table.look(self._run, self._t0, self._controlled)

    def _steps_to(self, end: float, dt: float) -> None:
        super()._steps_to(end, dt)
        self._look_past(float(dt))
        if self._table is not None:
            self._table.look(self._run, self._t0, self._controlled)

    def _look_past(self, dt: float) -> None:
        """Warns where a motion has grown by orders, and steps of dt are past the limit of the force that it has met; not a second time."""
        if largest(self._run.y) <= self._bound or (self._body and self.method.is_implicit):
            return
        from mflow.dynamics.limits import StepLimit  # where a motion has grown

        run, self._bound = self._run, max(self._bound, GROWN * largest(self._run.y))
        force: Any = self._force if self._body else self._make_force()  # another one: solvers remember what they have solved
        limit = StepLimit(force, self.method, self._start, self._speed, None, self._call["velocity_free"])
        limit.watch(stepper.Run(run.record, force, self._start, self._t0, dt, self.method.numbers, v0=self._speed), self._t0)
        last = (part.reshape(1, -1) for part in (run.y, run.vector(1), run.vector(2)))
        text = limit.along(math.copysign(dt, run.grid[0]), np.array([run.t]), *last)
        if force is not self._force:
            self._looked += int(force.counters.get("nfev", 0))
        if text:
            self._bound = math.inf
            tell(f"Stepper: {text}")

    def _go(self, end: float, count: int, name: str) -> None:
        """Under error control no step passes a bend of a load's table."""
        if self._table is not None and self._controlled:
            sign, least = math.copysign(1.0, self._call["direction"]), self._call["min_step"] or 0.0
            ahead = self.t + sign * max(self._table.bound(self.t, self._run.h, sign), least)
            end, count = min(end, ahead, key=lambda one: abs(one - self.t)), 1
        super()._go(end, count, name)
        if self._table is not None:
            self._table.look(self._run, self._t0, self._controlled)

    def _take_start(self, start: Array, speed: Array) -> None:
        """Where the stepper begins, as its run knows it."""
        self._start, self._speed = self._supports.reduced(start), self._supports.reduced(speed)
        self._bound = TENFOLD * largest(self._start)

    def _make_body(self) -> Problem:
        """The problem of masses, matrices and forces."""
        call, supports, given, args = self._call, self._supports, self._body, as_tuple(self._call["args"])
        matrices = {name: given.get(name) for name in ("damping", "stiffness", "load", "rayleigh")}
        for name in ("mass", "damping", "stiffness"):
            diagonal = as_diagonal(given.get(name), supports.shape)
            given, matrices = given | {name: diagonal}, matrices | ({name: diagonal} if name != "mass" else {})
        start, speed = supports.whole(self._start.reshape(-1), 0, self._t0), supports.whole(self._speed.reshape(-1), 1, self._t0)
        start, speed = start.reshape(supports.shape), speed.reshape(supports.shape)
        force, beside = given.get("force"), None
        if force is None or supports.moves is not None or any(value is not None for value in matrices.values()):
            beside = structure_problem(supports, given["mass"], linear_solver=None, narrow=False, alone=force is None, **matrices)
            self._take_start(start, speed)  # what has no mass is no part of the run
        if force is None:
            assert beside is not None
            return beside[0]
        return force_problem(
            self.method, supports, given["mass"], force, args, call["inplace"], call["dadx"], call["dadv"], call["potential"],
            call["velocity_free"], call["solver"], (self._t0, start, speed), beside,
        )  # fmt: skip

    def _make_force(self) -> Problem:
        """The problem of the core, with what solves for accelerations where the method is implicit."""
        if self._body:
            if self._call["solve_accel"] is not None:
                raise ValueError("solve_accel: it belongs to accel; masses and matrices are solved with here")
            return self._make_body()
        call, start, args = self._call, self._start, as_tuple(self._call["args"])
        tangents, inner = (call["dadx"], call["dadv"]), None
        solves = solves_for_acceleration(self.method)
        if solves and call["solve_accel"] is None:
            inner = tangent_solver(call["solver"], tangents, (None,), (self._t0, start, self._speed), args)
        dadx, dadv = tangents if solves else (None, None)
        return Force(
            call["accel"], start.shape, args=args, inplace=call["inplace"], dfdx=dadx, dfdv=dadv, potential=call["potential"],
            velocity_free=call["velocity_free"], solver=inner, solve_accel=call["solve_accel"] if solves else None,
        )  # fmt: skip

    @property
    def energy(self) -> Result | None:
        """Where the energy went since the start: kinetic, potential, load, damping, numerical, residual; None without ``energy=True``.

        kinetic + potential = at the start + load - damping + numerical + residual: numerical is above 0 where steps gained energy, below
        0 where they dissipated it.
        Numerical is NaN where the method has no formula, and with a potential; what it does is in the residual then.
        """
        return Result(zip(COLUMNS, Energies(self._run).now().tolist(), strict=True)) if self._call["energy"] else None

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "energy": self._call["energy"]}

    def _copy(self, vector: int) -> Array:
        copy: Array = self._supports.state(self._run.vector(vector), vector, self.t)
        copy.setflags(write=False)
        return copy

    def _checked(self, value: Any, argument: str) -> Array:
        """A state of the shape that this one has, as the run knows it."""
        state = check_start(value, argument)
        if state.shape != self._supports.shape:
            raise ValueError(f"{argument}: expected an array of shape {self._supports.shape}, got shape {state.shape}")
        return self._supports.reduced(state)

    @property
    def x(self) -> Array:
        """A read-only copy of the position, float64 of x0's shape; so is `y`. ``st.x = ...`` is `set_state`."""
        return self._copy(0)

    @x.setter
    def x(self, value: Any) -> None:
        self.set_state(x=value)

    @property
    def v(self) -> Array:
        """A read-only copy of the velocity. ``st.v = ...`` is `set_state`."""
        return self._copy(1)

    @v.setter
    def v(self, value: Any) -> None:
        self.set_state(v=value)

    @property
    def a(self) -> Array:
        """A read-only copy of the acceleration that belongs to the state; at a start accel is asked for it."""
        self._settle(int(self._run.prepare()), 0.0)
        return self._copy(2)

    def set_state(self, t: float | None = None, y: Any = None, *, x: Any = None, v: Any = None) -> None:
        """Go on from another position (x, or y), velocity, time, or some of them: after an impact or a kick. What is not given stays.

        A new start, as in first order: the acceleration is made anew, and with ``energy=True`` the accounts begin here.

        Raises TypeError or ValueError where a value is not finite, or x or v has another shape; the state stays as it was.

        Examples
        --------
        >>> import math, mflow
        >>> ball = mflow.Stepper("velocity_verlet", lambda t, x, v: [-9.81], [1.0])
        >>> ball.step(math.sqrt(2.0 / 9.81))
        >>> ball.v = -0.5 * ball.v
        >>> ball.advance(100, ball.v[0] / 981)
        >>> round(float(ball.x[0]), 9)
        0.25
        """
        if x is not None and y is not None:
            raise ValueError("x, y: they are one thing here, got both; give one of them")
        time, place = self.t if t is None else check_number(t, "t"), x if x is not None else y
        position = None if place is None else self._checked(place, "x" if x is not None else "y")
        self._run.restart(time, position, None if v is None else self._checked(v, "v"))
        if isinstance(self._force, Force):
            self._force.forget()
        self._t0, self._start, self._speed = time, self._run.vector(0), self._run.vector(1)
        self._call["v0"] = self._supports.state(self._speed, 1, time)
        if self._call["energy"]:
            self._settle(int(Energies(self._run).keep()), 0.0)
        self._look_anew()

    @property
    def nfev(self) -> int:
        """Evaluations of accel or force, all that it can count itself; of a load, where there is no other."""
        counts = self._force.counters
        return int(counts.get("nfev", counts.get("nload", 0))) + self._looked + self._redone()[0]

    @property
    def nsolve(self) -> int:
        """Implicit accelerations that were solved for."""
        return int(self._run.nsolve)

    @property
    def njev(self) -> int:
        """Jacobians of implicit steps."""
        return int(self._force.counters.get("njev", 0)) + self._redone()[1]

    @property
    def nlu(self) -> int:
        """Factorisations."""
        return int(self._force.counters["nlu"]) + self._redone()[2]

    def _solver(self) -> Any:
        return getattr(self._force, "solver", None)

    def _ending(self, mode: str, h: float, where: str) -> Ending:
        start = np.concatenate([self._start.ravel(), self._speed.ravel()])
        return StepperEnding(self._run, self.method, mode, h, start, self._t0, where)

    def _more_blocks(self) -> dict[str, bytes]:
        return {**super()._more_blocks(), "v0": self._speed.tobytes()}

    def interpolate(self, t: float) -> Array:
        """x, v and a, (3, *shape), at a time inside the last step: cubics for x and v, a straight line for a.

        Raises ValueError where t is outside it.
        """
        rows = super().interpolate(t)
        if not self._supports.any:
            return rows
        return np.stack([self._supports.state(row, which, t) for which, row in enumerate(rows)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """As of a stepper of first order; `load` takes ``accel``, or None and ``mass=``, ``force=`` and the like.

        Raises TypeError with ``fixed=``: pickle or copy such a stepper.
        """
        if self._supports.any:
            raise TypeError("save: a stepper with fixed= or without some masses is kept by pickle or copy")
        super().save(path)

    def __reduce__(self) -> tuple[Any, ...]:
        remake, (kind, method, _, t0, *more) = super().__reduce__()
        return remake, (kind, method, self._supports.state(self._start, 0, t0), t0, *more)
