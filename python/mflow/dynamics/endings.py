"""Why a run of second order ended where it did: `mflow.integrate.endings` for the state (x, v) and its slope (v, a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mflow_core.dynamics.structure import Structure

from mflow.base.checks import Array
from mflow.integrate.endings import Ending

if TYPE_CHECKING:
    from mflow.dynamics.motion import Motion

__all__ = ["MotionEnding", "StepperEnding"]

INDEFINITE = "is not positive definite: conjugate gradients cannot solve with it; is a stiffness or a damping negative?"
RESIDUAL = "leaves a residual above 1e-12 after conjugate gradients: is the damping symmetric?"
NOT_LINEAR = (
    "cannot be solved with, as damping(v) is not linear in v: expected a function that returns C v for a symmetric C; give forces of "
    "another kind, as of dampers c sgn(v) abs(v)^a, as force=lambda t, x, v: ..."
)


class SecondOrderEnding(Ending):
    """Endings whose state is x and v."""

    def _state(self) -> Array:
        return np.concatenate([self.run.y.ravel(), self.run.vector(1).ravel()])

    def _ask(self, t: float, y: Array) -> Array:
        x, v = np.split(y, 2)
        return np.concatenate([v, self.run.acceleration(t, x, v).ravel()])

    def _number(self, j: int) -> int:
        """Of the slope (v, a), the second half: v is finite."""
        return int(j - self.run.y.size)


class StepperEnding(SecondOrderEnding):
    """Endings of a stepper on x'' = accel(t, x, v)."""

    callee, jacobian = "accel", "dadx= and dadv="

    def hint(self) -> str:
        """What its user may do about it, in words."""
        return "lower the step, or look for the cause in accel"


FAR_OFF = 1e100  # a state so large has run off, and tangents that overflow there are not the reason


class MotionEnding(SecondOrderEnding):
    """Endings of `mflow.solve_dynamics`."""

    callee, jacobian = "force", "dfdx= and dfdv="

    def __init__(self, drive: Motion, where: str) -> None:
        start = np.concatenate([drive.start.ravel(), drive.v0.ravel()])
        super().__init__(drive.run, drive.method, drive.mode, drive.step, start, drive.t0, where)
        self.drive, self.warned = drive, drive.warned

    def explain(self, status: int) -> tuple[str, str]:
        """(reason, message), the latter of a tangent where the user's last one was not finite."""
        for tangent in self.drive.tangents:
            if tangent.words and float(np.max(np.abs(self._state()), initial=0.0)) < FAR_OFF:
                return "non_finite", tangent.said()
        return super().explain(status)

    def hint(self) -> str:
        """Why fixed steps may have led there. What is asked for here is none of the run's evaluations."""
        before = self.drive.evaluations
        text = self.drive.limit.explain(self.step)
        self.drive.checks += self.drive.evaluations - before
        return text

    def _number(self, j: int) -> int:
        return int(self.drive.supports.free[super()._number(j)])

    def _unsolved(self, fixed: bool) -> str:
        counts = self.drive.problem.counters
        row, failed, switches = counts.get("singular"), counts.get("cg_failed"), self.drive.switches
        if counts.get("dependent") is not None:
            return f"constraint {counts['dependent']} has come to depend on those before it {self.where}: its multiplier is not known"
        if counts.get("diverged"):
            why = "lower dt; or do they depend on each other there?"
            return f"the constraints were not met in an iteration for their multipliers {self.where}: {why}"
        matrix = f"the matrix M + gamma dt C + beta dt^2 K of {self.method.name}'s step"
        if failed is not None:
            slow = f"was not solved with in {counts['ncg']} conjugate gradient iterations: lower dt, or give matrices and no 'cg'"
            why = {"indefinite": INDEFINITE, "slow": slow, "residual": RESIDUAL}[failed]
            if failed != "slow" and self._damping_bends():
                why = NOT_LINEAR
            return f"{matrix} {why} ({self.where})"
        if row is None:
            light = "" if switches is None else switches.light(abs(self.step if fixed else self.run.h))
            text = f"the equation of {self.method.name}'s implicit step was not solved {self.where}"
            return f"{text}; {light}" if light else super()._unsolved(fixed)
        row = int(self.drive.supports.free[row])
        return f"{matrix} is singular {self.where} (see row {row}): another dt, or is a stiffness negative?"

    def _damping_bends(self) -> bool:
        """Whether damping is a function that is not linear in v, where the run stands."""
        problem, matrices = self.drive.problem, self.drive.limit.matrices
        if not isinstance(problem, Structure) or matrices is not None:
            return False
        x, v = self.run.y.ravel(), self.run.vector(1).ravel()
        v = v if np.any(v) else np.ones(v.size)
        force = [self.run.acceleration(self.run.t, x, factor * v) for factor in (0.0, 1.0, 2.0)]
        bend = np.max(np.abs(force[2] - 2.0 * force[1] + force[0]), initial=0.0)
        return bool(bend > 1e-9 * max(float(np.max(np.abs(one), initial=0.0)) for one in force))
