"""`minimize`: quasi-Newton directions, any optimizer, or any integrator on gradient flow, until the gradient is small."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.arithmetic.starts import largest

from mflow.base.checks import Array, check_number, check_whole
from mflow.base.methods import Method
from mflow.base.progress import reason_of
from mflow.base.result import OptimizeResult, as_pending, attach
from mflow.base.telling import tell
from mflow.base.threads import shared_among
from mflow.curvature.landscape import GTOL
from mflow.curvature.watch import EVERY
from mflow.derivatives.differences import FALL, SLOPED, STEEP
from mflow.optimize.bounds import read_box
from mflow.optimize.callbacks import teller, where_it_is
from mflow.optimize.descent import Descent
from mflow.optimize.directions import check_options, chosen, lengths_of, products_of
from mflow.optimize.doubts import Doubts
from mflow.optimize.line_descent import CONVERGED, ENDINGS, FAILED, RESTS, STALLED, STOPPED, UNEVEN, LineDescent
from mflow.optimize.linesearch import LineSearch
from mflow.optimize.looks import FINER, SPENT, Goal, Kept, Onward, Saving, asked_looks, asked_path, pulled, unsized
from mflow.solvers.finite_jacobian import blamed, finite_jacobian

if TYPE_CHECKING:
    from mflow.base._records import MinimizeOptions

__all__ = ["minimize"]

MORE = 3  # iterations that tell whether the cost falls where gtol has ended a run


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
    x_scale: Any = None,
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
        automatic differentiation of ``fun`` by that library, in float64 (fun is given an array of theirs, for torch arrays in args as
        well; one for jax is faster as ``jax.jit(fun)``); "cs": complex steps. Where a search along forward differences fails, the run goes
        on by central ones, if these are others. Where the cost's values carry few digits (float32 inside, rounded results) differences are
        central and longer, where it bends within the usual lengths at numbers below 1e-4 they are shares of those, and the message says so.
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
        for it. Where it was not given, and is too large for the units of cost and x, as in SI units, line searches go on to a smaller one,
        which the message tells; other methods end as "not_a_minimum". ``check_gradient=False`` turns this off. A search that finds no lower
        point has also converged if the point is a minimum to rounding. This needs gtol > 0 and a gradient from ``jac``.
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
    x_scale : float or array_like of x0's shape
        Typical sizes of the parameters, or steps that change the cost by a like amount: ``x_scale=[1e-10, 1e-10, 1]`` for two lengths
        in metres and an angle. The run is that over ``x / x_scale``, with gtol for the gradient times x_scale; x, jac and all else of the
        result stay as they are. Rounded to powers of 2, so that nothing else is rounded. For methods with a line search and "trust_ncg".
        Where it is not given, and a search fails, or ends where the cost still falls while a parameter moves alone, by a hundredth of its
        size, it is measured there by two gradients or more for each parameter (most where x0 has zeros; up to 100 parameters), the run goes
        on so if they differ by a thousand or more, the message says it and ``res.x_scale`` has it; None where there is none.
    check_gradient : bool
        Whether the gradient given is compared with the cost at x0, and once more where the run ends, along a fixed direction, or across a
        straight way, by two evaluations each (more where these differ; a compiled cost's is looked at in its first run, by a gradient
        more). With a line search the look at x0 comes after two iterations; a straight run through a quadratic needs none. They are counted
        as ``ncheck`` alone, as are those beside an end, along parameters that have not moved and across the way:
        "not_a_minimum" where the cost falls, and those around x0 of a run whose gradients grew, which look for the limit of lr that it has
        passed. Differences are looked at around the end in any case, in ``nfev``.
    monitor, monitor_every : "curvature" and int, optional
        Measures the largest curvature of the cost (in the metric of its second moments, for a method that rescales) at the start, every
        ``monitor_every`` iterations (100) and at the end, and holds it against the largest that the method bears: ``res.curvature``, a
        Result of arrays step, largest, limit, lr, and nfev, its own gradients; a warning where the limit is first exceeded. The iterates
        are those without it. For optimizers and explicit integrators without a line search.
    progress : bool
        A bar on stderr, with the gradient and what is monitored. Not with a line search.
    checkpoint, checkpoint_every, resume : path, int and path, optional
        The file to write, atomically, every ``checkpoint_every`` iterations (1000) and at the end; the run is that without a file. The file
        to go on from, with the same bits: that of a `mflow.Stepper`, of `mflow.train` or of a C host will do, where the method is the same;
        how differences were taken goes on too, where `minimize` wrote the file and ``jac`` and ``diff_step`` ask for the same. x0 then
        gives the shape alone; maxiter, nit, nfev and njev count from the beginning, evaluations only where `minimize` wrote the file.
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
    settings: dict[str, Any] = {}
    if options or parameters:
        own = (
            maxiter, gtol, line_search, path, diff_step, x_scale, check_gradient, monitor, monitor_every, progress, checkpoint,
            checkpoint_every, resume,
        )  # fmt: skip
        settings = {**dict(zip(OWN, own, strict=True)), **parameters, **(options or {})}
    method, tests = chosen(fun, method, settings, bool(settings), ARGUMENTS)
    if settings:
        (
            maxiter, gtol, line_search, path, diff_step, x_scale, check_gradient, monitor, monitor_every, progress, checkpoint,
            checkpoint_every, resume,
        ) = (settings.pop(name) for name in OWN)  # fmt: skip
    searches = line_search is not None or method.record.kind == "direction"
    limit = check_whole(maxiter, "maxiter")
    threshold = check_number(GTOL if gtol is None and tol is None else gtol if gtol is not None else tol, "gtol")
    doubts = Doubts(fun, x0, args, jac, diff_step, check_gradient)
    doubts.gtol, doubts.usual = threshold, gtol is tol is None
    if bounds is not None or fixed is not None:
        doubts.keep_within(read_box(bounds, fixed, doubts.start), "bounds" if bounds is not None else "fixed")
    every, asked = asked_path(path), asked_looks(monitor, monitor_every, progress, searches)
    saving = Saving(checkpoint, checkpoint_every, resume) if not checkpoint is checkpoint_every is resume is None else None
    products = None
    if hess is not None or hessp is not None:
        hess, hessp = finite_jacobian(hess, "hess", int(method.is_implicit)), finite_jacobian(hessp, "hessp")
        products = products_of(method, hess, hessp, doubts.args, doubts.start.size)
    sharing = None if threads is None else shared_among(threads)
    scale = lengths_of(x_scale, doubts.start, method, searches)
    if not searches:
        descent: Any = Descent(doubts, method, hess, settings)
        descent.looks.begin(limit, *asked)
        descent.kept = Kept(every) if every else None
    elif every > 1:
        raise ValueError(f"path: with line_search every iterate is kept, expected True or False, got {path!r}; give path=True")
    else:
        search = "strong_wolfe" if line_search is None else line_search
        tell = None if callback is None else teller(callback, where_it_is)
        descent = LineDescent(doubts, method, search, settings, bool(path), tell, products, tests, scale)
    if saving is not None:
        saving.begin(descent)
    return _result_of(descent, doubts, limit, threshold, callback, saving, sharing, (hess, hessp))


def _result_of(
    descent: Any, doubts: Doubts, limit: int, gtol: float, callback: Any, saving: Saving | None, sharing: Any, functions: tuple[Any, Any],
) -> OptimizeResult:  # fmt: skip
    """Runs a descent to its end. functions: derivatives of the user's that may be to blame for it."""
    unearned = ""
    try:
        if sharing is None and saving is None:  # as most runs
            status = descent.go(limit, gtol, callback)
            if doubts.checks and _in_doubt(descent, status):
                status, gtol, unearned = _looked_at(descent, doubts, limit, gtol, callback, status)
        else:
            with sharing or contextlib.nullcontext():
                status, gtol, unearned = _gone(descent, doubts, limit, gtol, callback)
        if saving is not None:
            saving.end(descent, status in ENDINGS)
    except BaseException as error:
        (reason, who), where = reason_of(error), f"iteration {descent.done}"
        text, note = f"{who}{type(error).__name__} in {where}: {error}", f"in mflow.minimize, {where}; .partial_result holds all before"
        attach(error, as_pending(error, OptimizeResult, lambda: doubts.said(descent.result(-1, reason, text, ask=False))), note)
        raise
    out = None
    try:
        out = descent.finish(status, gtol)
        out = doubts.said(blamed(out, *functions))
        if unearned:
            _say_unearned(out, unearned, doubts.usual and not isinstance(descent, LineDescent))
        return out
    except BaseException as error:
        text = f"{type(error).__name__} after iteration {descent.done}: {error}"
        note = "in mflow.minimize, after the last iteration; .partial_result holds the result"
        attach(error, lambda: out or descent.result(-1, "interrupted", text, ask=False), note)
        raise


def _gone(descent: Any, doubts: Doubts, limit: int, gtol: float, callback: Any) -> tuple[int, float, str]:
    """(status, gtol, words) of a run to its end; words where its gradient was hardly larger at its start than the gtol that has ended it,
    and the cost still falls."""
    if isinstance(descent, LineDescent):
        if descent.onward is not None and doubts.usual and doubts.checks:  # it comes from a file
            return _gone_on(descent, doubts, limit, gtol, callback)
        descent.onward = None
        if descent.measured:
            return _gone_in_lengths(descent, doubts, limit, gtol, callback)
    status = descent.go(limit, gtol, callback)
    if doubts.checks and _in_doubt(descent, status):
        return _looked_at(descent, doubts, limit, gtol, callback, status)
    return status, gtol, ""


def _in_doubt(descent: Any, status: int) -> bool:
    """Whether a gradient that is small may be so for the units of cost and x alone, or these may be why a search failed."""
    if status != CONVERGED:
        return status in (FAILED, STALLED, UNEVEN) and isinstance(descent, LineDescent)
    first, last = descent.run.largest_slope
    return bool(last >= SLOPED * first > 0.0) or (isinstance(descent, LineDescent) and pulled(descent))


def _looked_at(descent: Any, doubts: Doubts, limit: int, gtol: float, callback: Any, status: int) -> tuple[int, float, str]:
    """What `_gone` gives, of a run that ended in doubt.

    Where parameters are of different units a search goes on in lengths of their own. Where the gradient is steep beside that
    of the start, and the cost still falls by a part of itself within x's own size, as in SI units, it goes on to a gtol in the units of
    cost and x, unless gtol was given; of other runs there are words. Where the gradient itself leads nowhere, as in a valley, some
    iterations more tell whether the cost falls, if such a gtol is a smaller one; and where x0 is 0, and the cost there, so that neither
    has a size."""
    x, value, grad = descent.here()
    searches = doubts.usual and isinstance(descent, LineDescent)
    uneven = isinstance(descent, LineDescent) and (descent.run.uneven or (descent.from_zero and descent.nit > 0))
    if status != CONVERGED or (searches and unsized(descent)):
        if (uneven or status == CONVERGED) and descent.measure():
            return _gone_in_lengths(descent, doubts, limit, gtol, callback)
        if status == UNEVEN:
            return _gone(descent, doubts, limit, gtol, callback)
        if status != CONVERGED:
            return (RESTS if descent.at_rest(gtol) else status), gtol, ""
    fall = doubts.falls_alone(x, value, grad, descent.began) if searches and pulled(descent) else 0.0
    if fall > 0.0:
        return _gone_on_falling(descent, doubts, limit, gtol, callback, fall)
    first, last = descent.run.largest_slope
    if not last >= SLOPED * first > 0.0:
        return CONVERGED, gtol, ""
    steep = last >= STEEP * first
    none = descent.nit == 0 and value == 0.0 and not np.any(x)
    tries = searches and not doubts.differenced and (descent.nit > 0 or none)
    if not (steep or tries):
        return CONVERGED, gtol, ""
    from mflow.derivatives.own_units import allows, gtol_of  # few runs need it

    lengths = np.asarray(x) if descent.scale is None else np.asarray(x) / descent.scale
    finer, fall = gtol_of(gtol, lengths, value), 0.0
    if steep:
        seen = doubts.finer_gtol(np.asarray(x), float(value), np.asarray(grad), descent.scale)
        finer, fall = (seen.gtol, seen.fall) if seen.fall > (0.0 if searches else FALL) else (finer, 0.0)
    finer = _for_room(doubts, finer, gtol, lengths)
    if fall > 0.0 and not searches:
        return CONVERGED, gtol, f"{allows(gtol, fall)}: give gtol={finer:.1g}, or cost and x in other units"
    finer = gtol * min(1.0, largest(grad)) if none else finer
    if fall > 0.0 or (tries and 0.0 < finer < gtol):
        come = descent.began - value
        size = max(abs(value), come) if math.isfinite(come) else abs(value)
        descent.onward = Onward(finer, max(fall, 0.0), float(value), float(size), descent.nit)
        return _gone_on(descent, doubts, limit, gtol, callback)
    return CONVERGED, gtol, ""


def _gone_on_falling(
    descent: LineDescent, doubts: Doubts, limit: int, gtol: float, callback: Any, fall: float
) -> tuple[int, float, str]:  # fmt: skip
    """What `_gone` gives, where the cost falls by that share while a parameter moves alone: in lengths, where these differ, else to a finer
    gtol."""
    from mflow.derivatives.own_units import gtol_of

    if descent.measure():
        return _gone_in_lengths(descent, doubts, limit, gtol, callback)
    x, value, _ = descent.here()
    lengths = np.asarray(x) if descent.scale is None else np.asarray(x) / descent.scale
    finer = _for_room(doubts, gtol_of(gtol, lengths, value) or gtol, gtol, lengths)
    finer = min(finer, FALL * descent.run.largest_slope[1])
    descent.onward = Onward(finer, fall, float(value), float(max(abs(value), descent.began - value)), descent.nit)
    return _gone_on(descent, doubts, limit, gtol, callback)


def _for_room(doubts: Doubts, finer: float, gtol: float, x: Array) -> float:
    """A gtol in the units of the cost over x; within bounds one that the room to them, which is of x, does not meet by itself."""
    if doubts.box is None:
        return finer
    from mflow.derivatives.own_units import widths_of

    widths = widths_of(doubts.box.flat)
    return min(finer, gtol * (largest(x) or float(np.min(widths[widths > 0.0], initial=1.0))))


def _gone_in_lengths(descent: LineDescent, doubts: Doubts, limit: int, gtol: float, callback: Any) -> tuple[int, float, str]:
    """What `_gone` gives, of a line search that goes on in lengths of the parameters, which it has measured or read from a file.

    Unless it was given, gtol is a share of the cost: first of its value or of its decrease, whichever is larger, then, for up to `FINER`
    rounds, of the smaller. A round that cannot be finished, as where the cost is 0, leaves the end of the one before."""
    from mflow.derivatives.own_units import gtol_of
    from mflow.derivatives.scales import spread

    assert descent.scale is not None
    words = f"parameters differ in units by {spread(descent.scale):.1g}, and the run went on in lengths of their own, those of x_scale"
    while True:
        rounds, finer, value, before = descent.goal
        if math.isnan(finer):
            decrease, lengths = descent.began - value, descent.run.lowest()[0] / descent.scale
            size = max(abs(value), decrease)
            if rounds and decrease > 0.0 and value != 0.0:
                size = min(abs(value), decrease)
            finer = _for_room(doubts, gtol_of(gtol, lengths, size), gtol, lengths) if doubts.usual and size > 0.0 else gtol
            descent.goal = descent.goal._replace(gtol=finer)
        status, now = descent.go(limit, finer, callback), descent.run.value
        slope = descent.run.largest_slope[1]
        if status in (FAILED, STALLED) and slope <= before:  # one beside which the cost that is left is large, or nearly 0
            left = slope * largest(descent.here()[0] / descent.scale) <= FALL * abs(now) or abs(now) < SPENT * abs(descent.began)
            if left and not doubts.falls_alone(*descent.here(), descent.began) > 0.0:
                return CONVERGED, before, words
        if status != CONVERGED or not doubts.usual or rounds == FINER or (rounds and now > value - FALL * abs(value)):
            return status, finer, words
        descent.goal = Goal(rounds + 1, math.nan, now, finer)


def _gone_on(descent: LineDescent, doubts: Doubts, limit: int, gtol: float, callback: Any) -> tuple[int, float, str]:
    """What `_gone` gives, of a line search that goes on to a finer gtol, or comes from a file that it wrote after that."""
    from mflow.derivatives.own_units import allows

    went = descent.onward
    assert went is not None
    if not went.fall > 0.0:
        status = descent.go(min(limit, went.nit + MORE), went.gtol, callback)
        _, now, _ = descent.here()
        if not (status in ENDINGS and went.value - now > FALL * went.size):
            return (status if status == STOPPED else CONVERGED), gtol, ""
        descent.onward = went = went._replace(fall=(went.value - now) / max(went.size, went.value - now), tried=True)
    if went.tried:
        words = f"gtol = {gtol:g} allows a gradient from which {MORE} iterations lowered the cost by {100.0 * went.fall:.2g} %"
    else:
        words = allows(gtol, went.fall)
    words += f", so that the run went on to {went.gtol:.2g}"
    doubts.gtol = went.gtol
    status = descent.go(limit, went.gtol, callback)
    unsure = status != CONVERGED or descent.from_zero or (descent.run.uneven and doubts.falls_alone(*descent.here(), descent.began) > 0.0)
    if unsure and (status == CONVERGED or status not in ENDINGS) and descent.measure():
        return _gone_in_lengths(descent, doubts, limit, gtol, callback)
    if status in ENDINGS:
        return status, went.gtol, words
    x, now, grad = descent.here()  # as low as rounding tells, where it falls no more by a part of what it was
    further = doubts.finer_gtol(np.asarray(x), float(now), np.asarray(grad), descent.scale).fall
    size = abs(went.value) if went.fall > FALL else went.value - now
    rests = now < went.value and (went.tried or further * abs(now) <= FALL * size)
    words += ", and ended before it" if rests else ""
    return (CONVERGED, gtol, words) if rests else (status, went.gtol, words)


def _say_unearned(out: OptimizeResult, words: str, refuses: bool) -> None:
    """That a gradient is small in the units of the cost and of x alone; no success where gtol was not given."""
    out.message = f"{words}; {out.message}"
    if refuses and out.reason == "converged":
        out.success, out.status, out.reason = False, -1, "not_a_minimum"
        tell(f"minimize: {words}")


# Arguments of its own that options may hold, too.
OWN = (
    "maxiter", "gtol", "line_search", "path", "diff_step", "x_scale", "check_gradient", "monitor", "monitor_every", "progress",
    "checkpoint", "checkpoint_every", "resume",
)  # fmt: skip
# What a call takes beside the parameters of its method: its own arguments, the step, and how implicit steps are solved.
ARGUMENTS = dict.fromkeys((  # in order, and fast to look into
    *(name for name in inspect.signature(minimize).parameters if name != "parameters"),
    "lr", "dt", "friction", "solver", "jac_sparsity", "lband", "uband",
))  # fmt: skip
