"""`MotionStepper`: what `mflow.Stepper` makes of a second-order method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.dynamics.force import Force
from mflow_core.stepping.energies import Energies

from mflow.base.checks import Array, as_tuple, check_number, check_start
from mflow.base.methods import Method, as_method
from mflow.base.result import COLUMNS, Result
from mflow.dynamics.endings import StepperEnding
from mflow.dynamics.forces import solves_for_acceleration, tangent_solver
from mflow.dynamics.supports import check_speed
from mflow.integrate.endings import Ending
from mflow.integrate.stepper import Stepper

__all__ = ["MotionStepper"]


class MotionStepper(Stepper, flag="second_order"):
    """What `Stepper` makes of a second-order method: x'' = accel(t, x, v), with `x`, `v` and `a`."""

    _start_name = "x0"

    def __init__(
        self,
        method: str | Method,
        accel: Callable[..., Any] | Any,
        x0: Any,
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
        **parameters: Any,
    ) -> None:
        self.method = as_method(method, parameters)
        if "second_order" not in self.method.flags:
            raise ValueError(f"method: {self.method.name} is no method for x'' = accel(t, x, v): see mflow.methods(family='second_order')")
        if solve_accel is not None and (solver is not None or dadx is not None or dadv is not None):
            raise ValueError("solve_accel: it solves for a by itself: omit solver, dadx and dadv")
        if potential is not None and not energy:
            raise ValueError("potential: it belongs to the energy ledger: give energy=True as well")
        start = check_start(x0, "x0")
        self._t0, self._start, self._speed = check_number(t0, "t0"), start, check_speed(v0, start)
        self._call = {
            "accel": accel, "v0": self._speed, "args": args, "inplace": inplace, "rtol": rtol, "atol": atol, "direction": direction,
            "first_step": first_step, "max_step": max_step, "min_step": min_step, "dadx": dadx, "dadv": dadv,
            "velocity_free": velocity_free, "solver": solver, "solve_accel": solve_accel, "energy": bool(energy), "potential": potential,
            "breaks": breaks,
        }  # fmt: skip
        self._force = self._make_force()
        self._make_run(self._force, v0=self._speed)
        if energy:
            self._settle(int(Energies(self._run).keep()), 0.0)

    def _make_force(self) -> Force:
        """The problem of the core, with what solves for accelerations where the method is implicit."""
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
        self._force.forget()
        self._t0, self._start, self._speed = time, self._run.vector(0), self._run.vector(1)
        self._call["v0"] = self._speed
        if self._call["energy"]:
            self._settle(int(Energies(self._run).keep()), 0.0)

    @property
    def nfev(self) -> int:
        """Evaluations of accel, all that it can count itself."""
        return int(self._force.counters["nfev"]) + self._redone()[0]

    @property
    def nsolve(self) -> int:
        """Implicit accelerations that were solved for."""
        return int(self._run.nsolve)

    @property
    def njev(self) -> int:
        """Jacobians of implicit steps."""
        return int(self._force.counters["njev"]) + self._redone()[1]

    @property
    def nlu(self) -> int:
        """Factorisations."""
        return int(self._force.counters["nlu"]) + self._redone()[2]

    def _solver(self) -> Any:
        return self._force.solver

    def _ending(self, mode: str, h: float, where: str) -> Ending:
        start = np.concatenate([self._start.ravel(), self._speed.ravel()])
        return StepperEnding(self._run, self.method, mode, h, start, self._t0, where)

    def _more_blocks(self) -> dict[str, bytes]:
        return {"v0": self._speed.tobytes()}

    def interpolate(self, t: float) -> Array:
        """x, v and a, (3, *shape), at a time inside the last step: cubics for x and v, a straight line for a.

        Raises ValueError where t is outside it.
        """
        return super().interpolate(t)
