"""What ``mass=`` asks of a driver: M itself, checked; a start that the algebraic equations allow; and words for the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.problems.problem import Problem
from mflow_core.problems.sparse import check_sparse
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_choice, check_flags, check_whole, shown
from mflow.base.methods import Method
from mflow.base.result import attach
from mflow.solvers.consistent import Found, consistent_start, fold_words, lost_to_rounding
from mflow.solvers.mass import Mass, MovingMass, mass_of

__all__ = ["Algebraic", "algebraic_of", "rank_words"]

CONSISTENT = ("project", "check")
NO_WAY = 1e-9  # of t: a last step behind which the equations are not solved anew


def algebraic_of(
    mass: Any, consistent: Any, exclude_algebraic: Any, method: Method, start: Array, dt: Any, lband: Any, uband: Any, *, t0: float = 0.0,
    args: tuple[Any, ...] = (),
) -> Algebraic | None:  # fmt: skip
    """None without ``mass``. Raises TypeError or ValueError where an argument does not fit, or the method does not take M."""
    if mass is None and exclude_algebraic is False and isinstance(consistent, str) and consistent == "project":
        return None
    check_choice(consistent, "consistent", CONSISTENT)
    check_flags(exclude_algebraic=exclude_algebraic)
    if mass is None:
        if exclude_algebraic:
            raise ValueError("exclude_algebraic: expected mass= with it, got none; omit it")
        return None
    if "mass" not in method.flags:
        known = ", ".join(record.name for record in registry.records() if "mass" in record.flags)
        reason = "is explicit: for a regular M, pass a function that solves M y' = f for y'" if not method.is_implicit else "knows no M"
        raise ValueError(f"mass: expected a method that takes M y' = f(t, y) ({known}), got {method.name}, which {reason}")
    if callable(mass) and "mass_at" not in method.flags:
        known = ", ".join(record.name for record in registry.records() if "mass_at" in record.flags)
        raise ValueError(f"mass: expected a constant matrix for {method.name}, got a function; {known} take M(t) y' = f(t, y)")
    if isinstance(dt, float) and math.isinf(dt):
        raise ValueError("dt: expected finite steps with mass=, got inf; the steady state of M y' = f is a root of f")
    return Algebraic(mass_of(mass, start.size, lband, uband, t=t0, args=args), consistent, exclude_algebraic)


def rank_words(solver: Any) -> str:
    """Where the rank of the M(t) of a run's solver changes; "" where it does not, or there is none."""
    return getattr(getattr(solver, "mass_at", None), "words", "")


class Algebraic:
    """M with what is asked of its null space."""

    def __init__(self, mass: Mass, consistent: str, exclude: bool) -> None:
        self.mass, self.consistent, self.exclude = mass, consistent, exclude
        self.found = Found(np.zeros(0), "")
        self.nfev = self.njev = 0
        self.size = np.ones(mass.n)  # what is small for each component
        self._equation: Problem
        self._jac: Any
        self._args: tuple[Any, ...] = ()
        self._t0 = math.nan  # of the last start
        self._shape: tuple[int, ...] = (mass.n,)
        self.sign = 0.0  # of det(U' J V) where the equations were last solved
        self.spent = 0, 0  # of these, behind jumps
        self.anew = 0  # how often the equations were solved anew on the way

    @property
    def linear(self) -> dict[str, Any]:
        """For `mflow.nonlinear.make_solver`."""
        return {"mass": self.mass, "exclude_algebraic": self.exclude}

    def start(self, equation: Problem, t0: float, start: Array, jac: Any, args: tuple[Any, ...], size: Array) -> Array:
        """The start of a run that is taken. size: what is small for each component. ValueError where there is none."""
        self._equation, self._jac, self._args, self.size = equation, jac, args, size
        self._t0, self._shape = t0, start.shape
        self.found = self._found(t0, start, self.consistent)
        return np.ascontiguousarray(self.found.y.reshape(start.shape))

    def _found(self, t: float, y: Array, how: str) -> Found:
        """The state at t that is taken for this one. ValueError where there is none."""
        mass, slope, jacobian = self._asked(t, y.shape)
        found = consistent_start(mass, t, y.ravel(), slope, jacobian, how, self.size)
        self.sign = found.sign
        return found

    def _asked(self, t: float, shape: tuple[int, ...]) -> tuple[Mass, Callable[[Array], Array], Callable[[Array], Any] | None]:
        """M, f and J at this time."""
        asked = stepper.Run(registry.find("euler"), self._equation, np.zeros(shape), t)

        def slope(y: Array) -> Array:
            self.nfev += 1
            out: Array = asked.slope(t, y.reshape(shape)).ravel()
            return out

        return self.mass.at(t), slope, self._jacobian(t, shape)

    def rounding(self) -> Array:
        """What rounding leaves open of each component where the run begins."""
        if not self.mass.n_algebraic:
            return np.zeros(self.mass.n)
        mass, slope, jacobian = self._asked(self._t0, self._shape)
        return lost_to_rounding(mass, self._t0, self.found.y, slope, jacobian, self.size)

    def check_jumps(self, places: Sequence[tuple[int, ...]], shape: tuple[int, ...], acts: bool) -> None:
        """Whether the state may jump as it is asked to. places: indices of the components that doses move; acts: an event moves the state.

        Raises ValueError.
        """
        if not self.mass.n_algebraic:
            return
        if acts:
            raise ValueError(
                "events: expected none that acts where mass is singular: what an action returns need not satisfy the algebraic equations; "
                "take doses= or breaks=, or a terminal event and a new run from the state behind it"
            )
        moved = np.bincount(self.mass.rows.indices, np.abs(self.mass.rows.values), minlength=self.mass.n)
        for k, place in enumerate(places):
            if moved.reshape(shape)[place] == 0.0:
                index = shown(place if len(place) > 1 else place[0])
                raise ValueError(
                    f"doses[{k}]: expected a component that mass moves, got {index}, whose column in mass is 0: the algebraic equations "
                    "decide its value; give the dose to what they are made of"
                )

    def between(self, low: float, high: float) -> None:
        """An M that depends on time is asked between these times."""
        if isinstance(self.mass, MovingMass):
            self.mass.side = low, high

    def behind(self, t: float, y: Array, how: str | None = None) -> Array:
        """The state that is taken where the equation or the state has jumped. how : `consistent`, if it is another. ValueError where there
        is none."""
        before = self.nfev, self.njev
        try:
            return np.ascontiguousarray(self._found(t, y, how or self.consistent).y.reshape(y.shape))
        finally:
            self.spent = self.spent[0] + self.nfev - before[0], self.spent[1] + self.njev - before[1]

    def solved_anew(self, run: stepper.Run) -> Array | None:
        """The state with its algebraic part solved for, of a run that cannot go on; None where that is its state, or nothing is found.

        Steps keep the equations to within the tolerances. Where they are steep, as those of diodes, that is far: no Newton iteration may
        begin there, and the error of the state is the error of every step from it, however short. Where steps have led over a fold or a
        pole of the equations, det(U' J V) has another sign, and what is found is on another branch; where no sign is known it may be. Steps
        that have become shorter and shorter come to a pole.
        """
        from mflow_core.stepping.watch.asked import last_step  # not loaded until there is a run

        y, sign = run.y, self.sign
        if not last_step(run) > NO_WAY * abs(run.t) or not self.mass.n_algebraic or rank_words(run.solver):
            return None
        try:
            with np.errstate(all="ignore"):
                state = self.behind(run.t, y, "project")
        except ValueError:  # there is no such state near y: the run ends, for its own reason
            return None
        if np.array_equal(state, y) or not self.sign * sign > 0.0:
            self.sign = sign
            return None
        self.anew += 1
        return state

    @property
    def saved(self) -> list[int]:
        """What a file has of starts behind jumps, for `go_on`."""
        return [*self.spent, self.anew]

    def go_on(self, saved: Any) -> None:
        """What starts behind jumps took before a run was saved. Raises TypeError or ValueError."""
        self.spent = check_whole(saved[0], "behind: nfev", 0), check_whole(saved[1], "behind: njev", 0)
        self.anew = check_whole(saved[2] if len(saved) > 2 else 0, "behind: solved anew", 0)
        self.nfev, self.njev = self.nfev + self.spent[0], self.njev + self.spent[1]

    def _jacobian(self, t: float, shape: tuple[int, ...]) -> Callable[[Array], Any] | None:
        """J at (t, y): sparse where the user's is."""
        equation, jac = self._equation, self._jac
        if jac is None:
            return None

        def at(y: Array) -> Any:
            self.njev += 1
            if hasattr(jac, "tocsc"):
                return jac
            if callable(jac) and not equation.jac_is_compiled and self.mass.n_algebraic > 0:
                y = y.reshape(shape)
                y.flags.writeable = False
                given = jac(t, y, *self._args)
                if hasattr(given, "tocsc"):
                    return check_sparse(given, "jac")
                self.njev += 1  # called again, by what knows its forms
            return equation.jacobian(t, y)

        return at

    def tell(self, result: Any) -> Any:
        """Adds to a result what the start was, and the evaluations that it took. What functions raise in the look for a fold comes through,
        with the result, but what says that they have no value there."""
        result.y0 = self.found.y.reshape(np.shape(result.y)[:-1])
        if self.found.words:
            result.message += f"; {self.found.words}"
        if self.mass.n_algebraic and result.reason in {"solve_failed", "step_too_small"}:
            before = self.nfev, self.njev
            try:
                result.message += self._fold_words(float(result.t[-1]), result.y[..., -1])
            except BaseException as error:
                note = "in mflow.solve_ivp, beside the end of a run; .partial_result holds all of it"
                attach(error, lambda: self._counted(result, before), note)
                raise
            return self._counted(result, before)
        return self._counted(result, (self.nfev, self.njev))

    def _fold_words(self, t: float, y: Array) -> str:
        mass, slope, jacobian = self._asked(t, y.shape)
        return fold_words(mass, slope, jacobian, y.ravel(), self.found, self.size)

    def _counted(self, result: Any, before: tuple[int, int]) -> Any:
        """The result with the evaluations up to `before`, which are the run's, and those beside it."""
        if self.anew:
            places = "once" if self.anew == 1 else f"at {self.anew} places"
            result.message += f"; the algebraic equations were solved anew {places} on the way, where no step went on"
        result.ncheck += self.nfev - before[0]
        result.nfev += before[0]
        result.njev += before[1]
        self.nfev, self.njev = before
        return result
