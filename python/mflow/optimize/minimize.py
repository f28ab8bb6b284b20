"""`minimize`: quasi-Newton directions, any optimizer, or any integrator on gradient flow, until the gradient is small."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.problems.signatures import code_text, companion
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_number, check_whole
from mflow.base.methods import Method
from mflow.base.pace import Pace
from mflow.base.progress import reason_of
from mflow.base.result import OptimizeResult, as_pending, attach
from mflow.base.threads import shared_among
from mflow.curvature.landscape import OF_DIFFERENCES
from mflow.curvature.safe_steps import STALLED, SafeSteps
from mflow.curvature.watch import EVERY
from mflow.derivatives.cost_look import FewDigitsError
from mflow.integrate.endings import most_stages
from mflow.optimize import rough
from mflow.optimize.bounds import read_box
from mflow.optimize.callbacks import teller, where_it_is
from mflow.optimize.directions import check_options, chosen, products_of
from mflow.optimize.doubts import Doubts, few_digits
from mflow.optimize.line_descent import CONVERGED, ENDINGS, STOPPED, LineDescent, ending, not_finite_text, overflow_text
from mflow.optimize.linesearch import LineSearch
from mflow.optimize.looks import Counted, Kept, Looks, Saving, asked_looks, asked_path
from mflow.optimize.momentum import momentum_run
from mflow.optimize.step_size import resolve
from mflow.solvers import nonlinear
from mflow.solvers.finite_jacobian import NotFiniteError, blamed, finite_jacobian
from mflow.solvers.jacobian_doubt import mismatch, unsolved
from mflow.solvers.rest import at_rest
from mflow.stability import amplification, limits, spectrum

if TYPE_CHECKING:
    from mflow.base._records import MinimizeOptions

__all__ = ["minimize"]

FAR_OFF = 1e10  # times its start: x has run off where the cost falls all the way
GROWTH = 1e6  # a gradient that has grown by this on the way to a number that is not finite: the iteration diverged


def minimize(
    fun: Callable[..., Any] | Any,
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str | Method | None = None,
    jac: Callable[..., Any] | bool | str | None = None,
    hess: Any = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    *,
    fixed: Any = None,
    tol: float | None = None,
    maxiter: int = 10_000,
    gtol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    line_search: str | LineSearch | dict[str, Any] | None = None,
    path: bool | int = False,
    diff_step: Any = None,
    check_gradient: bool = True,
    monitor: str | None = None,
    monitor_every: int = EVERY,
    progress: bool = False,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: Any = None,
    threads: int | None = None,
    **parameters: Unpack[MinimizeOptions],
) -> OptimizeResult:
    """Minimise a cost by following its gradient.

    Parameters
    ----------
    fun, args : callable and tuple
        ``fun(x, *args)`` returns the cost, with ``jac=True`` the pair (cost, gradient). Or compiled, with the signature
        ``int (const double *c, double *value, double *grad, ptrdiff_t n, void *ctx)``, either output may be NULL; the costs of
        `mflow.objectives` are.
    x0 : array_like of real numbers, any shape
    method : name or instance, optional
        "lbfgs" if not given: its line search finds the steps. "bfgs", "cg" and "trust_ncg" are of this kind too. Case and hyphens do not
        matter, so SciPy's "L-BFGS-B", "BFGS", "CG" and "trust-ncg" are these. Or an optimizer (lr and its other parameters by name), or an
        integrator, which steps along gradient flow with dt; an implicit one makes proximal-point steps; or a second-order method
        ("newmark", "leapfrog", "staggered"), which steps x'' = -grad f - friction x' from rest with dt. lr and dt are two names of one
        thing. lr may be a function of the iteration number, or "auto": nine tenths of the stability limit for the curvature measured along
        the way (explicit integrators, optimizers, and second-order methods that have such a limit; three tenths for methods that rescale,
        in the metric of their second moments). Where the cost has risen, or a number is not finite, the run goes back, at rest, and takes
        shorter steps: none diverges or ends above its start. momentum="auto" (friction="auto") beside it chooses (lr, momentum) for the
        condition number seen on the way.
        dt = inf with "backward_euler" goes in one step to the point where the gradient flow from x0 comes to rest, and says whether it
        is a minimum.
    jac : callable, True, None, "2-point", "3-point", "jax", "autograd", "torch" or "cs"
        The gradient ``jac(x, *args)``; None and "2-point": forward differences, "3-point": central ones; "jax", "autograd", "torch":
        automatic differentiation of ``fun`` by that library, in float64 (fun is given an array of theirs; one for jax is faster as
        ``jax.jit(fun)``); "cs": complex steps. Where the
        cost's values carry few digits (float32 inside, rounded results) differences are central and longer, where it bends within the usual
        lengths at numbers below 1e-4 they are shares of those, and the message says so.
    hess : callable, array_like (n, n) or sparse matrix
        For "trust_ncg" and implicit methods: the Hessian ``hess(x, *args)``; where it is missing, differences of gradients. ``solver``,
        ``jac_sparsity``, ``lband`` and ``uband`` as in `mflow.solve_ivp`.
    hessp : callable
        For "trust_ncg": ``hessp(x, p, *args)`` is the Hessian times p. Where neither is given it is the objective's own, or a difference of
        gradients.
    bounds : sequence of pairs (min, max), one a parameter, None for no bound; or scipy.optimize.Bounds
        For "lbfgs", then the L-BFGS-B of Byrd et al., and for optimizers, whose steps are projected. x0 is moved into them, and nothing is
        evaluated outside. Converged is then where the largest entry of x - clip(x - grad) is at most gtol.
    fixed : array_like of bool, of x0's shape
        Parameters that keep their values: bounds that leave no room.
    gtol, tol : float
        Converged where the largest entry of the cost's gradient (without weight decay) is at most gtol (1e-5); tol is another name
        for it.
    maxiter : int
    callback : callable
        ``callback(intermediate_result)`` (x, fun, jac, nit, nfev, njev) or ``callback(xk)``, after each iteration; True, or
        StopIteration raised, stops.
    options : dict
        maxiter, gtol and parameters, as SciPy takes them; with a line search also its ftol, xrtol and maxfun (further ends, looked at after
        each iteration; there are none by default), c1, c2 and maxls.
    line_search : name, `mflow.LineSearch` or dict of its arguments
        The method ("lbfgs", or an optimizer: "steepest_descent", "momentum", "adam" ...) gives the direction, a search along it the step:
        "exact", "backtracking", "armijo", "strong_wolfe" (what "lbfgs", "bfgs" and "cg" take by themselves), or "barzilai_borwein" for
        steepest descent. lr is then the first step tried.
    path : bool or int
        Keep the way through parameter space as ``res.path``: the iterates ``x`` (nit + 1, *shape; with ``resume`` those from the
        file's on), their values ``fun`` and numbers ``k``; with a line search also ``directions`` (nit, *shape) and ``steps`` (nit,);
        ``fun`` is nan where the descent broke off. That is 8 bytes a number and iterate: a whole number k keeps every k-th and the last,
        where there is no line search. Python then looks at each iteration, as for a callback.
    diff_step : float or array_like (n,)
        Lengths of the differences, times max(1, |x_j|), in place of the usual ones.
    check_gradient : bool
        Whether the gradient given is compared with the cost at x0, and once more where the run ends, along a fixed direction, or across a
        straight way, by two evaluations each (more where these differ; a compiled cost's is looked at in its first run, by a gradient
        more). They are counted as ``ncheck`` alone, as are those beside an end, along parameters that have not moved and across the way:
        "not_a_minimum" where the cost falls. Differences are looked at around the end in any case, in ``nfev``.
    monitor, monitor_every : "curvature" and int, optional
        Measures the largest curvature of the cost (in the metric of its second moments, for a method that rescales) at the start, every
        ``monitor_every`` iterations (100) and at the end, and holds it against the largest that the method bears: ``res.curvature``, a
        Result of arrays step, largest, limit, lr, and nfev, its own gradients; a warning where the limit is first exceeded. The iterates
        are those without it. For optimizers and explicit integrators without a line search.
    progress : bool
        A bar on stderr, with the gradient and what is monitored. Not with a line search.
    checkpoint, checkpoint_every, resume : path, int and path, optional
        The file to write, atomically, every ``checkpoint_every`` iterations (1000) and at the end; the file to go on from, with the same
        bits: that of a `mflow.Stepper`, of `mflow.train` or of a C host will do, where the method is the same. x0 then gives the shape
        alone; maxiter, nit, nfev and njev count from the beginning, evaluations only where `minimize` wrote the file.
    threads : int, optional
        How many share updates of long vectors, and sums of compiled regressions over many rows, with the same bits: see `mflow.threads`.
    **parameters
        The method's own. The default of ``friction`` is 1: without friction nothing is minimised.

    Returns
    -------
    OptimizeResult
        ``x`` is the last point whose gradient was evaluated and finite, ``fun`` and ``jac`` belong to it. A method that takes its gradient
        ahead of x (``nesterov`` in pull form, ``consistent_momentum`` with lookahead) converges where it is small there and at x; what is
        reported belongs to x, at one evaluation more a report. With a line search that did not converge it is the lowest point seen, trials
        among them. ``hess_inv`` is the approximation of the inverse Hessian at the end of "bfgs", an array made when it is first looked at,
        and of "lbfgs" without bounds, of which ``hess_inv @ v`` and ``hess_inv.todense()`` make arrays.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. What ``fun`` raises is passed on, with the result so far as its
        ``partial_result``; so is KeyboardInterrupt.

    Warns
    -----
    mflow.GradientWarning
        The gradient is not the cost's. The run goes on, and does not end as "converged".
    RuntimeWarning
        With ``monitor``: the largest curvature has exceeded what the method bears.

    See Also
    --------
    mflow.minimize_batch, mflow.least_squares, mflow.train, mflow.explain

    Examples
    --------
    >>> import numpy as np, mflow
    >>> def cost(x):
    ...     return np.sum((x - 3) ** 2), 2 * (x - 3)
    >>> mflow.minimize(cost, np.zeros(2), jac=True).nit
    2
    >>> mflow.minimize(cost, np.zeros(2), jac=True, bounds=[(0, 1), (None, None)]).x
    array([1., 3.])
    >>> res = mflow.minimize(cost, np.zeros(2), jac=True, method="momentum", lr=0.05, gtol=1e-8)
    >>> res.reason, bool(np.allclose(res.x, 3))
    ('converged', True)
    >>> mflow.minimize(cost, np.zeros(2), jac=True, method="steepest_descent", line_search="exact").nit
    1

    References
    ----------
    Line searches: see `mflow.line_search`. The formula and source of each method: ``help(mflow.get_method(name))``.
    """
    if fun is None and not callable(jac):
        raise TypeError("fun, jac: expected a cost, or fun=None with its gradient as jac, got None for the cost and no function for jac")
    if options is not None:
        check_options(options)
    settings: dict[str, Any] = {
        "maxiter": maxiter, "gtol": gtol, "line_search": line_search, "path": path, **parameters, "diff_step": diff_step,
        "check_gradient": check_gradient, "monitor": monitor, "monitor_every": monitor_every, "progress": progress,
        "checkpoint": checkpoint, "checkpoint_every": checkpoint_every, "resume": resume, **(options or {}),
    }  # fmt: skip
    method, tests = chosen(fun, method, settings, bool(options or parameters), ARGUMENTS)
    searches = settings["line_search"] is not None or method.record.kind == "direction"
    maxiter, gtol, line_search, path = settings.pop("maxiter"), settings.pop("gtol"), settings.pop("line_search"), settings.pop("path")
    limit = check_whole(maxiter, "maxiter")
    threshold = check_number(1e-5 if gtol is None and tol is None else gtol if gtol is not None else tol, "gtol")
    doubts = Doubts(fun, x0, args, jac, settings.pop("diff_step"), settings.pop("check_gradient"))
    doubts.gtol = threshold
    doubts.keep_within(read_box(bounds, fixed, doubts.start), "bounds" if bounds is not None else "fixed")
    every, asked, saving = asked_path(path), asked_looks(settings, searches), Saving.asked(settings)
    products = None
    if hess is not None or hessp is not None:
        hess, hessp = finite_jacobian(hess, "hess", int(method.is_implicit)), finite_jacobian(hessp, "hessp")
        products = products_of(method, hess, hessp, doubts.args, doubts.start.size)
    sharing = shared_among(threads)
    if not searches:
        descent: Any = _Descent(doubts, method, hess, settings)
        descent.looks.begin(limit, *asked)
        descent.kept = Kept(every) if every else None
    elif every > 1:
        raise ValueError(f"path: with line_search every iterate is kept, expected True or False, got {path!r}; give path=True")
    else:
        search = "strong_wolfe" if line_search is None else line_search
        descent = LineDescent(doubts, method, search, settings, bool(path), teller(callback, where_it_is), products, tests)
    saving.begin(descent)
    try:
        with sharing:
            status = descent.go(limit, threshold, callback)
        saving.end(descent, status in ENDINGS)
    except BaseException as error:
        (reason, who), where = reason_of(error), f"iteration {descent.run.k}"
        text, note = f"{who}{type(error).__name__} in {where}: {error}", f"in mflow.minimize, {where}; .partial_result holds all before"
        attach(error, as_pending(error, OptimizeResult, lambda: doubts.said(descent.result(-1, reason, text, ask=False))), note)
        raise
    out = None
    try:
        out = blamed(descent.finish(status, threshold), hess, hessp)
        return doubts.said(out)
    except BaseException as error:
        text = f"{type(error).__name__} after iteration {descent.run.k}: {error}"
        note = "in mflow.minimize, after the last iteration; .partial_result holds the result"
        attach(error, lambda: out or descent.result(-1, "interrupted", text, ask=False), note)
        raise


# What a call takes beside the parameters of its method: its own arguments, the step, and how implicit steps are solved.
ARGUMENTS = dict.fromkeys((  # in order, and fast to look into
    *(name for name in inspect.signature(minimize).parameters if name != "parameters"),
    "lr", "dt", "friction", "solver", "jac_sparsity", "lband", "uband",
))  # fmt: skip


class _Descent(Counted):
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
        self.evaluated = False
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
        """Up to `count` iterations; the spectral radius is measured for a method that needs it."""
        goal = self.run.k + count
        while True:
            status: int = self.run.descend(max(0, goal - self.run.k), gtol, want_value, alarm)
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
        run = self.run
        first, last = run.largest_slope
        if status in ENDINGS:
            code, reason, text = ending(status, self.nit, last, gtol, self.doubts.box is not None)
            if status == CONVERGED and self.nit > 0 and self.method.is_implicit and self.method.kind == "step" and math.isinf(self.dt):
                text += at_rest(run, True)
            if reason == "max_iter" and last > 10 * first:
                text += f"; it was {first:.3g} at the start" + self._advice(", so the step is probably too large")
            text += self.auto.walls() if self.auto is not None and reason == "max_iter" else ""
            return self.looks.fallen(self.result(code, reason, text))
        if status in (stepper.RETRY_SOLVE, stepper.SOLVE_FAILED):
            if self._is_rough():
                return self._follow_roughly(gtol)
            text = f"the equation of {self.method.name}'s step was not solved in iteration {run.k}"
            equations = self.run.equations
            wrong = mismatch(equations, self._slope, ("-hess", "the gradient's negative"), run) or few_digits(self._slope, run.here()[0])
            return self.result(-1, "solve_failed", f"{text}: {wrong or unsolved(equations, self.dt, 'hess=', run.problem.has_jac)}")
        if status == STALLED and self._runs_off():
            return self.result(-1, "diverged", f"{self._runs_off()} in iteration {run.k}, where rounding ends it: does it have a minimum?")
        if status == STALLED and self.auto is not None:
            return self.result(-1, *self.auto.stalled(run.k, self.dt))
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE) and not self.evaluated and run.k > 0:
            text = f"the cost or its gradient is not finite at the point that was saved, of iteration {run.k}, which is x: the run had left"
            return self.result(-1, "non_finite", f"{text} the finite numbers when it was saved; lower lr, or resume from an earlier point")
        if status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE):
            return self.result(-1, *self._divergence(self.evaluated and last > GROWTH * max(first, 1e-300)))
        if status == stepper.MANY_STAGES:
            text = f"{self.method.name} needs more than {most_stages()} stages, its most"
            text += f", for dt = {self.dt:g} in iteration {run.k}: lower dt"
            return self.result(-1, "solve_failed", text)
        if status == stepper.OVERFLOWED:
            return self.result(-1, "non_finite", overflow_text(self.method, run.k, last))
        text = "asked for a smaller step" if status > 0 else "gave up"
        return self.result(-1, "rhs_failed", f"the cost function {text} in iteration {run.k} with {code_text(status)}")

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
        told = f"no step of dt = {self.dt:g} lowers the cost by more than its rounding hides, {end.noise:.2g}, after {self.nit} iterations"
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
        return f"{why}: lower lr"

    def _divergence(self, grown: bool) -> tuple[str, str]:
        """(reason, message) where a number is not finite: was it the step, or the cost function?"""
        own = self.method.kind == "step" or self.auto is not None or self.schedule is not None
        step = max(self.past, self.dt) if own else float(self.method.parameters.get("lr", math.nan))
        limit, radius, between, where = math.inf, math.nan, "", f"in iteration {self.run.k}"
        if "linear" in self.method.flags:
            radius, between = self._curvature()
            limit = self._limit(radius) if 0.0 < radius < math.inf else math.inf
        if limit < step and (
            step < 1e3 * limit or between == "at x0"
        ):  # else curvature grew along the way: its last value says nothing of x0
            text = f"the iterates left the finite numbers {where}: lr = {step:g} exceeds the stability limit {limit:.4g}"
            return "diverged", f"{text} of {self.method.name} for the measured curvature {radius:.4g} {between}"
        if grown or step > limit:
            return "diverged", f"the iterates grew beyond the finite numbers {where}" + self._advice("")
        if not np.all(np.isfinite(self.run.y)):
            eps = ": eps = 0 in its denominator; give eps a number above 0" if self.method.parameters.get("eps") == 0.0 else ": lower lr"
            return "non_finite", f"the step of {self.method.name} is not finite {where}, though cost and gradient are{eps}"
        return "non_finite", not_finite_text(not self.evaluated, self.run.value, f"{where}: x is the last point where it was")

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
            if not math.isfinite(value):
                status, reason, message = -1, "non_finite", f"the cost is {value} at the point where its gradient led ({message})"
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
