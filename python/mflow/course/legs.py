"""`method="auto"`: an explicit pair where the problem is not stiff, an implicit method where it is.

Which two they are follows from the tolerance and the size. The run is `mflow_core.stepping.legs.legs.Legs`, which says when one of them
hands over to the other; here are the choice and the words.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.problem import Problem
from mflow_core.solvers.solver import Solver
from mflow_core.stepping.legs import legs

from mflow.base.checks import Array, shown
from mflow.base.methods import Method, as_method
from mflow.base.telling import heard, tell

__all__ = ["CALM", "STIFF", "Pair", "TwoMethods", "pair_for", "two_methods"]

# Measured (bench/auto.py): below this rtol the pair of order 8 takes fewer evaluations than that of order 5; beyond so many components the
# steps of bdf, a real factorization each, cost half of radau5's and less, while below it radau5 begins a leg at its full order.
FINE = 1e-7
MANY = 30
# Where signs are kept, steps that end below 0 are tried again, shorter, so that a stiff problem holds them at less than the stability limit
# (in kinetics of enzymes with random rates at 0.3 of it and more). From this part of the limit on they count as held.
SIGNED = 0.25
UNABLE = frozenset(("diverged", "step_too_small", "solve_failed", "non_finite"))  # reasons of runs that one method alone may finish
MOST_ALONE = 100_000  # steps of it, where the user gives no limit
AT_ONE_PLACE = 1e-9  # of the span that was integrated
CALM, STIFF = ("tsit5", "dop853"), ("radau5", "bdf")


class Pair(NamedTuple):
    """The two methods of a run."""

    calm: Method
    stiff: Method


def pair_for(
    n: int, rtol: Any, default: float, *, events: Any = None, dt: Any = None, mass: Any = None, rhs_t: Any = None,
    parameters: Mapping[str, Any] | None = None,
) -> Pair:  # fmt: skip
    """The methods for n components and the smallest relative tolerance; where an event acts radau5, which begins anew at its full order.

    rtol and events are checked elsewhere; where they do not fit, any pair will do. Raises TypeError or ValueError where what else is asked
    for does not go with two methods.
    """
    if dt is not None:
        raise ValueError(f"method, dt: 'auto' changes its method under error control, and dt gives fixed steps, got {shown(dt)}; give rtol")
    if mass is not None:
        raise ValueError("method, mass: 'auto' begins with an explicit method, which takes no mass matrix; give method='radau5'")
    if rhs_t is not None:
        raise ValueError("rhs_t: 'auto' takes no method that uses the derivative by time; omit it, or give method='rodas5p'")
    if parameters:
        name = next(iter(parameters))
        raise TypeError(f"{name}: 'auto' has no parameters, got {shown(parameters[name])}; name one method to set its own")
    return _pair(_least(rtol, default) < FINE, n > MANY and not _acts(events))


@functools.cache
def _pair(fine: bool, large: bool) -> Pair:
    return Pair(as_method(CALM[fine], {}), as_method(STIFF[large], {}))


def _least(rtol: Any, default: float) -> float:
    if type(rtol) is float or rtol is None:
        return default if rtol is None else rtol
    try:
        return float(np.min(np.asarray(rtol, dtype=np.float64), initial=np.inf))
    except (TypeError, ValueError):
        return default


def _acts(events: Any) -> bool:
    listed = events if isinstance(events, list | tuple) else [events]
    return getattr(events, "action", None) is not None or any(getattr(one, "action", None) is not None for one in listed)


class TwoMethods(legs.Legs):
    """A run of a `pair`."""

    pair: Pair
    signed = False  # whether signs are kept
    doubted = False  # whether the Jacobian is known to be wrong, and says nothing of stiffness

    def look_for_stiffness(self, limit: float, turning: float = 0.0) -> None:
        """As of `Legs`, from a part of the limit on where signs are kept, of what decays without turning."""
        super().look_for_stiffness(SIGNED * limit if self.signed else limit, turning or limit)

    @property
    def in_charge(self) -> Method:
        """The method that goes on."""
        return self.pair.stiff if self.active is self.partner_record else self.pair.calm

    @property
    def counts(self) -> dict[str, Any]:
        """What the result says of the legs: ``switches``, and ``steps_by_method``."""
        steps = dict(zip((one.name for one in self.pair), self.steps_taken, strict=True))
        return {"switches": len(self.turns), "steps_by_method": steps}

    def by_one(self, result: Any, asked: dict[str, Any], solve: Callable[..., Any]) -> Any:
        """Of a run that neither could finish in turn, the result by one of them from the start on, the first that gets to the end; else the
        run's own. Its counts are those of all tries.

        asked : the arguments of `solve`. What sees the run on its way (a callback, a checkpoint, an event that acts) has seen one, and no
        other is made then.
        """
        seen = any(asked[name] is not None for name in ("callback", "checkpoint", "resume")) or _acts(asked["events"])
        if result.success or result.reason not in UNABLE or seen:
            return result
        ended = f"auto ({self.words}) ended at t = {self.t:g} ({result.reason})"
        calm, stiff = self.pair
        for method in (stiff, calm) if self.steps_taken[1] else (stiff,):
            most = asked["max_steps"] or MOST_ALONE
            with heard() as words:  # of a try that is not taken nothing is said
                other = solve(**asked | {"method": method.name, "max_steps": most})
            for name in ("nfev", "ncheck", "njev", "nlu", "nrejected"):
                result[name] = other[name] = other[name] + result[name]
            if other.success:
                other |= {"switches": len(self.turns), "steps_by_method": {one.name: other.nsteps * (one is method) for one in self.pair}}
                other.message += f"; from the start on, as {ended}"
                for text, category in words:
                    if category is not UserWarning:  # arguments are those of the run that was asked for
                        tell(text, category)
                return other
            end = other.t[-1] if other.t.size else np.nan  # neither has come to the first time of t_eval
            if other.reason == result.reason and not abs(end - self.t) > AT_ONE_PLACE * abs(self.t - asked["t_span"][0]):
                return result  # neither method passes that place
        return result

    @property
    def slow(self) -> bool:
        """Whether the last leg of the implicit method ended for what it took, as with a wrong Jacobian."""
        return bool(self.turns) and self.turns[-1][0] == legs.SLOW

    @property
    def words(self) -> str:
        """The legs in words."""
        steps, turns = self.steps_taken, self.turns
        names = self.pair.calm.name, self.pair.stiff.name
        text = f"{steps[0]} of {names[0]}, {steps[1]} of {names[1]}, {len(turns)} switch{'' if len(turns) == 1 else 'es'}"
        if not turns:
            return text
        why, t, k, rate = turns[-1]
        if why == legs.FAILED:
            reason = f"{names[(len(turns) - 1) % 2]} could not go on"
        elif why == legs.REFUSED:
            reason = f"the first step of {names[0]} had to be shortened again and again, as in stiff problems"
        elif why == legs.STIFF:
            held = "with steps that nonnegative shortens" if self.signed else "at the stability limit"
            reason = f"stiff, step times rate about {rate:.3g} {held}"
        elif why == legs.SLOW:
            reason = f"{names[1]} took more evaluations than {names[0]} before"
        elif self.doubted:
            reason = f"step times rate about {rate:.3g} by a Jacobian that is wrong"
        else:
            reason = f"not stiff any more, step times rate about {rate:.3g}"
        return f"{text}; the {'last' if len(turns) > 1 else 'one'} at t = {t:.6g}, step {k}: {reason}"


def two_methods(
    pair: Pair, solver: Solver | None, problem: Problem, start: Array, t0: float, *, dense: bool = True, control: bool = False,
    signed: bool = False,
) -> TwoMethods:  # fmt: skip
    """The run of a pair from a start. solver : of the implicit method's equations. control : of each component. signed : signs are kept."""
    run = TwoMethods(pair.calm.record, problem, start, t0, parameters=pair.calm.numbers, dense=dense, control=control)
    run.pair, run.signed = pair, signed
    if solver is None:
        raise TypeError(f"solver: expected one for the equations of {pair.stiff.name}, got None")
    run.partner(pair.stiff.record, pair.stiff.numbers, solver)
    return run
