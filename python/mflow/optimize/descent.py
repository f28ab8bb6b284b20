"""A minimisation without a line search: an optimizer's or an integrator's steps, a second-order method's with friction, and their endings.

The last are optimization as dynamics: x'' = -grad f(x) - friction x', with mass 1, from rest. The loop over steps is the core's in every
case: the gradient at the end of a step, the test of convergence and the next step's are one evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.dynamics import slope_force
from mflow_core.problems.problem import Problem
from mflow_core.problems.signatures import code_text, companion
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_number, dense_array
from mflow.base.methods import Method
from mflow.base.pace import Pace
from mflow.base.result import OptimizeResult
from mflow.base.telling import counted
from mflow.curvature.landscape import OF_DIFFERENCES, gradient_of, products_of
from mflow.curvature.passed import passed_limit
from mflow.curvature.safe_steps import STALLED, SafeSteps
from mflow.derivatives.cost_look import FewDigitsError
from mflow.integrate.endings import most_stages
from mflow.optimize import rough
from mflow.optimize.callbacks import teller, where_it_is
from mflow.optimize.doubts import Doubts, few_digits
from mflow.optimize.line_descent import CONVERGED, ENDINGS, STOPPED, ending, not_finite_text, overflow_text
from mflow.optimize.looks import Counted, Kept, Looks, Saving
from mflow.optimize.step_size import resolve
from mflow.solvers import nonlinear
from mflow.solvers.finite_jacobian import NotFiniteError
from mflow.solvers.jacobian_doubt import mismatch, unsolved
from mflow.solvers.rest import at_rest
from mflow.stability import amplification, limits, spectrum

__all__ = ["Descent"]

FAR_OFF = 1e10  # times its start: x has run off where the cost falls all the way
RUNS_OFF = 1e100  # a gradient from which on the cost is asked for, which may overflow long before x does
GROWTH = 1e6  # a gradient that has grown by this on the way to a number that is not finite: the iteration diverged


class Descent(Counted):
    """One minimisation: its run, and its ending."""

    kept: Kept | None = None  # the path, where one is kept
    saving: Saving | None = None  # the file, where one is written or read
    friction, limit, watched, past = 0.0, 0, False, 0.0  # of a second-order method; of `go`; the step before one that a schedule set

    def __init__(self, doubts: Doubts, method: str | Method, hess: Any, settings: dict[str, Any]) -> None:
        self.doubts, self.start = doubts, doubts.start
        linear = {name: settings.pop(name, None) for name in ("solver", "jac_sparsity", "lband", "uband")}
        self.method, self.dt, self.schedule = resolve(method, settings)
        automatic, tune = "auto" in (settings.get("dt"), settings.get("lr")), "auto" in (settings.get("momentum"), settings.get("friction"))
        second = "second_order" in self.method.flags
        if self.method.is_implicit and not second:
            hess = companion(doubts.fun, "hess", hess)
            if hess is not None and math.isinf(self.dt):
                doubts.watch(hess)
        self.problem = doubts.problem(hess if self.method.is_implicit else None)
        self.run: Any
        if second:
            self.friction = check_number(settings.get("friction", limits.FRICTION), "friction", low=0.0)
            self._refuse(linear)
            self.run = momentum_run(self.method, self.problem, self.start, self.dt, self.friction, hess, doubts.args, linear["solver"])
        else:
            solver = nonlinear.solver_for(self.method, self.problem, 0.0, self.start, jac=hess, hess=True, args=doubts.args, **linear)
            numbers = self.method.numbers
            self.run = stepper.Run(self.method.record, self.problem, self.start, 0.0, self.dt, numbers, descend=True, solver=solver)
        if doubts.box is not None:
            if self.method.kind != "update":
                raise ValueError(f"bounds: lbfgs and the optimizers of mflow.optim take them, got {self.method.name}, an integrator")
            self.run.set_bounds(*doubts.box)
        self.auto: SafeSteps | None = self._safe(tune) if automatic else None
        self.looks = Looks(self.run, self.problem, self.method, doubts, self.friction)
        if self.method.kind == "step":
            self.looks.lr = self.dt
        self.differences = doubts.differences
        self.evaluated = self.runs_off = False
        self.nit = 0

    def here(self) -> tuple[Array, float, Array]:
        """The last good point, its value and its gradient; of a method that looks ahead they are evaluated here."""
        x, grad = self.run.here()
        if not self.run.looked_ahead:
            return x, self.run.value, grad
        value, grad = self.run.evaluate(x)
        return x, value, grad

    def _refuse(self, linear: dict[str, Any]) -> None:
        """Raises ValueError for arguments that second-order methods do not take."""
        for name, value in linear.items():
            if value is not None and name != "solver":
                raise ValueError(f"{name}: it is not for second-order methods such as {self.method.name}; omit it")

    def _safe(self, tune: bool) -> SafeSteps:
        """The steps of lr="auto"."""
        has_value, free = self.doubts.fun is not None and bool(self.problem.has_value), bool(self.problem.value_is_free)
        return SafeSteps(
            self.run, self.method, self._descend, self._set_step, has_value=has_value, free=free, friction=self.friction, tune=tune,
            longer=OF_DIFFERENCES if self.doubts.differences and not self.problem.compiled else 1.0,
        )  # fmt: skip

    def go(self, limit: int, gtol: float, callback: Callable[..., Any] | None) -> int:
        """0: the iteration limit; CONVERGED; STOPPED by the callback; anything else: why it could not go on."""
        try:
            return self.looks.around(self, lambda: self._go(limit, gtol, callback))
        except NotFiniteError:
            self._look()
            return int(stepper.NON_FINITE)

    def _go(self, limit: int, gtol: float, callback: Callable[..., Any] | None) -> int:
        self.limit, self.watched = limit, callback is not None
        if callback is None and self.schedule is None and self.kept is None and self.auto is None:
            return self._go_fast(limit, gtol)
        tell = teller(callback, where_it_is)
        if self.auto is not None:
            return self._go_safely(self.auto, limit, gtol, tell)
        observe = getattr(self.schedule, "observe", None)  # a schedule that follows the cost
        told = tell is not None or observe is not None or self.kept is not None
        want_value = self._wants_value() or (told and bool(self.problem.has_value))
        first = self.run.k
        for k in range(first, limit + 1):
            if self.schedule is not None and 0 < k < limit:
                self._set_step(self.schedule(k))
            try:
                status: int = self._descend(1 if k < limit else 0, gtol, want_value)
            finally:  # the gradient may have been evaluated even where the step failed
                self.evaluated = not math.isnan(self.run.largest_slope[1])
            self.nit = min(k, self.run.k) if status == stepper.SOLVE_FAILED else k
            if status not in (0, CONVERGED):
                if self.kept is not None:
                    self.kept.close(self)
                return status
            self.looks.take(self.evaluated)
            if self.kept is not None:
                self.kept.look(self)
            if k > 0 and observe is not None:
                observe(self.here()[1])
            if k > first and tell is not None and tell(self):
                return STOPPED
            if self.saving is not None and self.run.k > k:
                self.saving.look(self)
            if status == CONVERGED:
                return status
        return 0

    def _wants_value(self) -> bool:
        """Whether the cost is evaluated with each gradient: where it is free, and where a proximal step must not end above its start."""
        return bool(self.problem.value_is_free) or (self.method.is_one_equation and self.doubts.fun is not None)

    def _go_fast(self, limit: int, gtol: float) -> int:
        want_value, pace = self._wants_value(), Pace()
        if self._is_rough() and self.doubts.look is not None:
            self.doubts.look.refuses = True
        while self.run.k < limit:
            left = limit - self.run.k
            room = self.looks.room(left)
            count = pace.take(room if self.saving is None else self.saving.room(self.run.k, room))
            try:
                status = self._descend(count, gtol, want_value)
            except FewDigitsError:  # the first gradient shows it
                return int(stepper.SOLVE_FAILED)
            finally:  # an exception leaves the last good point behind, too
                self._look()
            pace.done()
            self.looks.take(self.evaluated)
            if status != 0:
                return status
            if self.saving is not None:
                self.saving.look(self)
        last: int = self.run.descend(0, gtol, want_value)
        self._look()
        return last

    def _go_safely(self, auto: SafeSteps, limit: int, gtol: float, tell: Any) -> int:
        """With lr="auto"."""
        one = tell is not None or self.kept is not None
        if self.kept is not None:
            self.kept.follow(self, self.run.y)
        while self.run.k < limit:
            k = self.run.k
            try:
                status = auto.advance(1 if one else self.looks.room(limit - self.run.k), gtol)
            finally:
                self._look()
            self.looks.take(self.evaluated)
            if self.run.k > k and status in (0, CONVERGED):  # a step that could not be taken is no iteration
                if self.kept is not None:
                    self.kept.follow(self, self.run.y)
                if tell is not None and tell(self):
                    return STOPPED
            if status != 0:
                return status
        last = auto.lower_end(gtol)
        self._look()
        return last

    def _descend(self, count: int, gtol: float, want_value: bool, alarm: float = math.inf) -> int:
        """Up to `count` iterations; the spectral radius is measured for a method that needs it. Runs that go off end by the cost, as those
        that ask for it all the way do."""
        goal = self.run.k + count
        while True:
            asked = want_value or self.runs_off or not self.problem.has_value
            limit = alarm if asked else min(alarm, RUNS_OFF)
            status: int = self.run.descend(max(0, goal - self.run.k), gtol, want_value or self.runs_off, limit)
            if status == stepper.ALARM and limit < alarm:
                self.runs_off = True
                continue
            if status != stepper.RHO_DUE:
                return status
            radius, why = spectrum.upper_radius(self._slope, 0.0, self.run.y, symmetric=True)
            last, k = self.run.rho
            if why == spectrum.ROUGH and k >= 0:  # keep the last radius: the descent itself will tell what is wrong
                radius = last
            elif why == spectrum.ROUGH:
                raise ValueError(f"method: {self.method.name} measures the curvature along the way, and {why}; take another method")
            elif why:
                return int(stepper.NON_FINITE)
            self.run.rho = radius

    def _slope(self, t: float, y: Array) -> Array:
        slope: Array = self.run.slope(t, y) if self.method.kind == "step" else -self.run.evaluate(y)[1]
        return slope

    def _look(self) -> None:
        """Where the run stands: has it seen a good point, and after how many iterations."""
        self.evaluated = not math.isnan(self.run.largest_slope[1])
        self.nit = self.run.k

    def _set_step(self, value: float) -> None:
        self.past, self.dt, self.looks.lr = self.dt, value, value
        integrates = self.method.kind == "step"
        number = check_number(value, f"lr (from its schedule, iteration {self.run.k})", low=0.0, open_low=integrates)
        if integrates:
            self.run.set_dt(number)
        else:
            self.run.set_parameter("lr", number)

    def finish(self, status: int, gtol: float) -> OptimizeResult:
        """The result, with the ending in words."""
        run = self.run
        first, last = run.largest_slope
        if status in ENDINGS:
            code, reason, text = ending(status, self.nit, last, gtol, self.doubts.box is not None)
            if status == CONVERGED and self.nit > 0 and self.method.is_implicit and self.method.kind == "step" and math.isinf(self.dt):
                wrong = self._wrong_hessian() if run.problem.has_jac else ""
                text += at_rest(run, True, bool(wrong)) + (wrong and f"; {wrong}")
            if reason == "max_iter" and last > 10 * first:
                text += f"; it was {first:.3g} at the start" + self._advice(", so the step is probably too large")
            text += self.auto.walls() if self.auto is not None and reason == "max_iter" else ""
            return self.looks.fallen(self.result(code, reason, text))
        if status in (stepper.RETRY_SOLVE, stepper.SOLVE_FAILED):
            if self._is_rough():
                return self._follow_roughly(gtol)
            text = f"the equation of {self.method.name}'s step was not solved in iteration {run.k}"
            equations = self.run.equations
            wrong = self._wrong_hessian() or few_digits(self._slope, run.here()[0])
            return self.result(-1, "solve_failed", f"{text}: {wrong or unsolved(equations, self.dt, 'hess=', run.problem.has_jac)}")
        if status == STALLED and self._runs_off():
            return self.result(-1, "diverged", f"{self._runs_off()} in iteration {run.k}, where rounding ends it: does it have a minimum?")
        if status == STALLED and self.auto is not None:
            return self.result(-1, *self.auto.stalled(run.k, self.dt))
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE) and not self.evaluated and run.k > 0:
            text = f"the cost or its gradient is not finite at the point that was saved, of iteration {run.k}, which is x: the run had left"
            return self.result(-1, "non_finite", f"{text} the finite numbers when it was saved; lower lr, or resume from an earlier point")
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE):
            return self.result(-1, *self._divergence())
        if status == stepper.MANY_STAGES:
            text = f"{self.method.name} needs more than {most_stages()} stages, its most"
            text += f", for dt = {self.dt:g} in iteration {run.k}: lower dt"
            return self.result(-1, "solve_failed", text)
        if status == stepper.OVERFLOWED:
            return self.result(-1, "non_finite", overflow_text(self.method, run.k, last))
        text = "asked for a smaller step" if status > 0 else "gave up"
        return self.result(-1, "rhs_failed", f"the cost function {text} in iteration {run.k} with {code_text(status)}")

    def _wrong_hessian(self) -> str:
        """Words where differences of the gradient contradict the Hessian in use."""
        return mismatch(self.run.equations, self._slope, ("-hess", "the gradient's negative"), self.run)

    def _runs_off(self) -> str:
        """Words where the cost was followed down to a point so far off that it has no bound below, as far as can be seen; else empty."""
        size, first = (float(np.max(np.abs(x), initial=0.0)) for x in (self.run.here()[0], self.start))
        if not self.evaluated or not size > FAR_OFF * max(1.0, first) or not self.run.value < 0.0:
            return ""
        return f"the cost falls without bound, as far as it was followed: it is {self.run.value:.3g} where x has grown to {size:.3g},"

    def _is_rough(self) -> bool:
        """Whether the cost alone tells what a step of backward Euler on it is: nobody follows the run, and differences are our own."""
        backward = (
            self.method.is_one_equation and self.method.record.order == 1 and self.doubts.look is not None and self.doubts.differences
        )
        watched = self.watched or self.schedule is not None or self.kept is not None or self.doubts.diff_step is not None
        return backward and not watched and self.start.size <= rough.MOST

    def _follow_roughly(self, gtol: float) -> OptimizeResult:
        """The rest of a run whose equations are not solved, by values of the cost."""
        look, done, shape = self.doubts.look, self.nit, self.start.shape
        digits = None if look is None else look.digits
        start = self.run.here()[0].ravel() if self.evaluated else self.start.ravel()
        end = rough.follow(self.doubts.value, digits, start, self.dt, gtol, max(0, self.limit - done))
        self.nit = done + end.steps
        largest = float(np.max(np.abs(end.grad), initial=0.0))
        told = f"no step of dt = {self.dt:g} lowers the cost by more than its rounding hides, {end.noise:.2g}"
        told += f", after {counted(self.nit, 'iteration')}"
        code, reason, text = {
            "converged": ending(CONVERGED, self.nit, largest, gtol),
            "max_iter": ending(0, self.nit, largest, gtol),
            "rounding": (0, "converged", f"{told}; the largest entry of the gradient is about {largest:.3g}, by differences"),
            "short": (-1, "solve_failed", f"{told}, though its minimum lies lower: raise dt"),
            "stuck": (-1, "solve_failed", f"the step of dt = {self.dt:g} was not found in iteration {self.nit}: lower dt, or give jac="),
        }[end.reason]
        out = self.result(code, reason, text, ask=False)
        out.x, out.fun, out.jac = end.x.reshape(shape), end.value, end.grad.reshape(shape)
        out.nfev, out.njev, out.nit = out.nfev + end.calls, out.njev + end.gradients, self.nit
        return out

    def _advice(self, why: str) -> str:
        if self.doubts.text:
            return ""
        if self.auto is not None:  # its steps lower the cost
            return f"{why}; each step lowered the cost: has it a minimum?"
        passed = self._passed()
        return f"{why}: {passed}; lower lr" if passed else f"{why}: lower lr"

    @property
    def _longest(self) -> float:
        """The step, of one that a schedule set the longer of the last two."""
        own = self.method.kind == "step" or self.auto is not None or self.schedule is not None
        return max(self.past, self.dt) if own else float(self.method.parameters.get("lr", math.nan))

    def _passed(self) -> str:
        """The limit of an optimizer that its step has passed by the curvature at x0, in words; else empty."""
        if self.method.kind != "update" or self.auto is not None or self.doubts.box is not None:
            return ""
        x = np.ravel(self.start)
        longer = OF_DIFFERENCES if self.differences and not self.problem.compiled else 1.0
        made = self.nfev, self.njev
        found = passed_limit(
            self.method.record, self.method.all_numbers, self._longest, x,
            gradient_of(self.problem, self.start), products_of(self.doubts.fun, x), longer,
        )  # fmt: skip
        self.before = self.before[0] + made[0] - self.nfev, self.before[1] + made[1] - self.njev  # they are in ncheck
        self.doubts.beside += found if isinstance(found, int) else found.taken
        return "" if isinstance(found, int) else found.words(self._longest, self.method.name, "at x0")

    def _divergence(self) -> tuple[str, str]:
        """(reason, message) where a number is not finite: was it the step, or the cost function?"""
        first, last = self.run.largest_slope
        grown = self.evaluated and last > GROWTH * max(first, 1e-300)
        step, limit, radius, between, where = self._longest, math.inf, math.nan, "", f"in iteration {self.run.k}"
        if "linear" in self.method.flags:
            radius, between = self._curvature()
            limit = self._limit(radius) if 0.0 < radius < math.inf else math.inf
        if limit < step and (
            step < 1e3 * limit or between == "at x0"
        ):  # else curvature grew along the way: its last value says nothing of x0
            text = f"the iterates left the finite numbers {where}: lr = {step:g} exceeds the stability limit {limit:.4g}"
            return "diverged", f"{text} of {self.method.name} for the measured curvature {radius:.4g} {between}"
        if not (grown or step > limit) and self.run.k > 0 and not self.doubts.text and (passed := self._passed()):
            return "non_finite", f"{not_finite_text(not self.evaluated, self.run.value, where)}: {passed}; x is the last point where it was"
        if grown or step > limit:
            return "diverged", f"the iterates grew beyond the finite numbers {where}" + self._advice("")
        if not np.all(np.isfinite(self.run.y)):
            eps = ": eps = 0 in its denominator; give eps a number above 0" if self.method.parameters.get("eps") == 0.0 else ": lower lr"
            return "non_finite", f"the step of {self.method.name} is not finite {where}, though cost and gradient are{eps}"
        last = f"{where}: x is the last point where it was"
        return "non_finite", not_finite_text(not self.evaluated, self.run.value, last, self.doubts.callback is not None)

    def _curvature(self) -> tuple[float, str]:
        """(curvature, where it was measured), to tell a step that was too large from a cost that is not finite.

        Of an optimizer it is that of the way from x0 to the last good point, without another evaluation: where a descent diverges the
        gradient there is all of the change. An integrator may fail within its first step: gradients are taken around x0.
        """
        if self.method.kind == "step":
            size = 1e-4 if self.differences else 1.5e-8  # differences of differences need room
            return amplification.measured_radius(lambda x: self.run.evaluate(x)[1], self.start, size), "at x0"
        x, grad = self.run.here()
        way = self._norm(x - self.start) if self.evaluated else 0.0
        return self._norm(grad) / way if way > 0.0 else math.nan, "between x0 and x"

    @staticmethod
    def _norm(x: Array) -> float:
        """Without the overflow of squares."""
        largest = float(np.max(np.abs(x), initial=0.0))
        return largest * float(np.linalg.norm(x.ravel() / largest)) if largest > 0.0 else 0.0

    def _limit(self, curvature: float) -> float:
        if "second_order" not in self.method.flags:
            return limits.max_stable_dt(self.method, curvature=curvature)
        return limits.max_stable_dt(self.method, stiffness=curvature, damping=self.friction)

    def result(self, status: int, reason: str, message: str, ask: bool = True) -> OptimizeResult:
        """ask: the cost may be called once more for its value."""
        run = self.run
        x, grad = run.here() if self.evaluated else (run.y if run.k > 0 else self.start.copy(), np.full(self.start.shape, math.nan))
        value = run.value if self.evaluated or run.k == 0 else math.nan
        if ask and not self.evaluated and run.k > 0 and self.problem.has_value:  # a run that was resumed
            value = run.evaluate(x, False)[0]
        if self.evaluated and run.looked_ahead:
            value, grad = run.evaluate(x) if ask else (math.nan, np.full(self.start.shape, math.nan))
        if ask and math.isnan(value) and self.problem.has_value and self.evaluated:
            value = run.evaluate(x, False)[0]
            if not math.isfinite(value):  # a run whose cost is asked for on the way would have ended before
                status, reason = -1, reason if reason == "diverged" else self._divergence()[0]
                message = f"the cost is {value} at the point where its gradient led ({message})"
        out = OptimizeResult(
            x=x, fun=value, jac=grad, nit=self.nit, nfev=self.nfev, njev=self.njev,
            success=status == 0, status=status, reason=reason, message=message, method=self.method,
        )  # fmt: skip
        if self.kept is not None:
            if self.auto is not None and self.evaluated:  # it may have gone back to a lower point
                self.kept.put(self.nit, out.x, out.fun)
            out.path = self.kept.path(self.start.shape)
        self.looks.keep(out)
        return out


class MomentumRun(stepper.Run):
    """A descent with friction from a start, one step of dt an iteration."""

    @property
    def nfev(self) -> int:
        """Evaluations of the cost."""
        return self._calls if self.problem.callback is None else super().nfev

    @property
    def njev(self) -> int:
        """Evaluations of its gradient."""
        return self._calls if self.problem.callback is None else super().njev

    @property
    def _calls(self) -> int:
        assert isinstance(self.problem, slope_force.SlopeForce)
        return self.problem.calls


def momentum_run(
    method: Method, cost: Problem, start: Array, dt: float, friction: float, hess: Any, args: tuple[Any, ...], solver: Any
) -> MomentumRun:
    """The run of a cost from rest at the start.

    hess: the cost's Hessian, a function or constant, for implicit methods; solver: how their steps are solved.
    """
    solves = method.is_implicit or method.parameters.get("damping") == "implicit"
    tangent: Any = None
    if hess is not None and solves:
        tangent = (lambda t, x, v: -_matrix(hess(x, *args))) if callable(hess) else -_matrix(hess)
    inner = nonlinear.force_solver(solver, start.size, tangent is not None) if solves else None
    damping = None if tangent is None else -friction * np.eye(start.size)
    acting = slope_force.SlopeForce(cost, start.shape, friction, dfdx=tangent, dfdv=damping, solver=inner)
    return MomentumRun(method.record, acting, start, 0.0, dt, method.numbers, descend=True, v0=np.zeros_like(start))


def _matrix(H: Any) -> Array:
    return dense_array(H, "hess")
