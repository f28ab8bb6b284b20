"""Why a run ended where it did, in words that help."""

from __future__ import annotations

import math

import numpy as np
from mflow_core.problems.signatures import code_text
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.integrate.curvature import GROWTH
from mflow.solvers.jacobian_doubt import mismatch, names_of, unsolved
from mflow.stability.limits import explain_step

__all__ = ["BLOW_UP", "Ending"]

BLOW_UP = 1e6  # a state or slope that has grown by this when the step vanishes: the solution runs off in finite time


class Ending:
    """The ending of a run that could not go on. where: "at t = ... after ... steps"; mode: "fixed", "auto" or "adaptive"."""

    callee, jacobian = "right-hand side", "jac="

    def __init__(self, run: stepper.Run, method: Method, mode: str, step: float, start: Array, t0: float, where: str) -> None:
        self.run, self.method, self.mode, self.step, self.start, self.t0, self.where = run, method, mode, step, start, t0, where

    def explain(self, status: int) -> tuple[str, str]:
        """(reason, message)."""
        fixed = self.mode != "adaptive"
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE):
            if fixed:
                return "non_finite", self._first_slope() or f"non-finite state {self.where}: {self.hint()}"
            return self._blow_up(10.0) or self._non_finite()
        if status == stepper.STEP_TOO_SMALL:
            return self._blow_up(1.0) or self._too_small()
        if status in (stepper.SOLVE_FAILED, stepper.RETRY_SOLVE):
            return (None if fixed else self._blow_up(4.0)) or ("solve_failed", self._unsolved(fixed))
        if status > 0:
            how = f"{self.method.name} takes fixed ones: lower dt" if fixed else f"it still did at {abs(self.run.h):.3g}"
            return "rhs_failed", f"the {self.callee} asked for a smaller step {self.where} (code {status}), and {how}"
        return "rhs_failed", f"the {self.callee} gave up {self.where} with {code_text(status)}"

    def hint(self) -> str:
        """Why fixed steps may have led there."""
        return explain_step(self.run, self.method, abs(self.step), self.start, self.t0)

    def growth(self, warned: str) -> str:
        """Words where the state has grown by orders of magnitude past a stability limit, yet stayed finite; "" otherwise.

        warned: why, where that is known already.
        """
        first, last = _size(np.ravel(self.start)[: self.run.y.size]), _size(self.run.y)
        why = (warned or self.hint()) if last > GROWTH * max(1.0, first) else ""
        return f"the state grew from {first:.3g} to {last:.3g}: {why}" if "exceeds" in why else ""

    def _state(self) -> Array:
        return self.run.y

    def _ask(self, t: float, y: Array) -> Array:
        return self.run.slope(t, y)

    def _slope(self, t: float, y: Array) -> Array:
        """The slope, NaNs where it cannot be had."""
        try:
            with np.errstate(all="ignore"):
                slope: Array = self._ask(t, y)
        except Exception:
            return np.full(y.shape, math.nan)  # the run has ended already: this is for its message alone
        return slope

    def _blow_up(self, shrunk: float) -> tuple[str, str] | None:
        """Whether the solution runs off; ``shrunk``: by what the last try was longer than the step that would come next."""
        run, y = self.run, self._state()
        if run.k == 0:
            return None
        slope = self._slope(run.t, y)
        size, steepness = _size(y), _size(slope)
        first = max(_size(self.start), _size(self._slope(self.t0, self.start)))
        grown = max(size, steepness) > BLOW_UP * max(1.0, first)
        if not math.isfinite(steepness) or not (grown or self._runs_away(slope, shrunk * run.h)):
            return None
        return "diverged", (
            f"the solution runs off in finite time {self.where}: the largest component is {size:.3g}, "
            f"the largest slope {steepness:.3g}, and steps have shrunk to {abs(run.h):.3g}"
        )

    def _runs_away(self, slope: Array, h: float) -> bool:
        """Whether the slope grows faster than any linear one along itself, within the last try: its overflow was no end of a domain."""
        run, y = self.run, self._state()
        with np.errstate(all="ignore"):
            rise, more = (_size(self._slope(run.t, y + s * h * slope) - slope) for s in (1.0, 2.0))
        return more > 3.0 * _size(slope) and (more > 4.0 * rise or rise == math.inf)

    def _non_finite(self) -> tuple[str, str]:
        run = self.run
        text = self._jacobian_at_fault()
        if text:
            return "non_finite", text
        return "non_finite", self._first_slope() or (
            f"non-finite state or slope just beyond t = {run.t:g} (after {run.k} steps): the last step tried, {abs(run.tried):.3g}, "
            "met one, and the evaluations that a run spends near such a place are used up; has the solution left the domain of the "
            f"{self.callee}? "
            "(raise mflow.Recoverable there, or give max_step=, to look closer)"
        )

    def _first_slope(self) -> str:
        """Words, where nothing is finite from the start on."""
        run = self.run
        if run.k != 0:
            return ""
        try:
            with np.errstate(all="ignore"):
                bad = np.flatnonzero(~np.isfinite(self._ask(run.t, self._state())))
        except Exception:
            return ""  # the run has ended already: this is for its message alone
        return f"the {self.callee} is not finite at the start, t = {run.t:g}: see its component {self._number(bad[0])}" if bad.size else ""

    def _number(self, j: int) -> int:
        """Of a component, as the user counts."""
        return j

    def _jacobian_at_fault(self) -> str:
        """Words, where it is the user's Jacobian that is not finite."""
        run = self.run
        if not run.problem.has_jac:
            return ""
        try:
            with np.errstate(all="ignore"):
                matrix = run.problem.jacobian(run.t, run.y)
        except Exception:
            return ""  # the run has ended already: this is for its message alone
        entries = matrix.data if hasattr(matrix, "tocsc") else matrix
        return "" if np.all(np.isfinite(entries)) else f"jac is not finite at t = {run.t:g} (after {run.k} steps), the state is"

    def _too_small(self) -> tuple[str, str]:
        run = self.run
        if run.t + math.copysign(run.max_step, run.h) == run.t:
            return "step_too_small", f"max_step = {run.max_step:.3g} is lost in rounding {self.where}: t + max_step == t; raise it"
        text = f"the tolerances want a step of {abs(run.h):.3g} {self.where}"
        hint = "look for a jump or a singularity there, or loosen rtol and atol"
        if not self.method.is_implicit:
            hint += "; if the problem is stiff, take esdirk43"
        return "step_too_small", f"{text}, shorter than t or min_step allows: {hint}"

    def _unsolved(self, fixed: bool) -> str:
        run = self.run
        text = f"the equation of {self.method.name}'s implicit step was not solved {self.where}"
        text += f" with dt = {abs(self.step):g}" if fixed else f", down to steps of {abs(run.h):.3g}"
        wrong = mismatch(run.equations, self._ask, names_of(run.problem.has_jac))
        if wrong:
            return f"{text}: {wrong}"
        if fixed:
            return f"{text}: {unsolved(run.equations, self.step, self.jacobian)}"
        return f"{text}: is the Jacobian right, or singular? Give {self.jacobian}, or another solver="


def _size(v: Array) -> float:
    return float(np.max(np.abs(v), initial=0.0))
