"""Nonlinear least squares: Levenberg and Marquardt's method as backward Euler on the gradient flow of f(x) = |r(x)|^2/2.

With time measured in units of D, D_j the largest |column j of J| so far, the flow is D^2 x' = -J'r. One implicit step of dt, its equation
linearised, is

    (J'J + D^2/dt) p = -J'r          Levenberg-Marquardt with lambda = 1/dt; dt to infinity is Gauss-Newton

dt follows from the radius within which the linear model is trusted. The loop is the core's (`mflow_core.fitting.marquardt`), for compiled
residuals without Python; here are the arguments and the result. `run` words the endings, `residuals` says what is trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mflow.base.checks import (
    Array,
    check_flags,
    check_number,
    check_start,
    check_whole,
    real_array,
    shown,
)
from mflow.base.pace import interruptible
from mflow.base.progress import reason_of
from mflow.base.result import Examined, as_pending, attach, keep_origin, put_later
from mflow.base.tables import frame
from mflow.base.telling import counted, knows_other_words, tell
from mflow.fitting.bounds import EVERYWHERE, check_box, check_fixed
from mflow.fitting.residuals import Residuals
from mflow.fitting.robust import landscape_of, loss_of
from mflow.fitting.run import BLURRED, Run, intermediate
from mflow.fitting.scipys import check_method, check_scipys
from mflow.optimize.callbacks import teller
from mflow.spectra.ranks import column_norms, lost_share

__all__ = ["LeastSquaresResult", "inverse_at", "inverse_of_free", "least_squares"]


class LeastSquaresResult(Examined):
    """Result of `mflow.least_squares`: SciPy's fields, and why it ended.

    x, cost, fun, jac, grad : the best point seen, half the sum of squares (or of the loss), residuals over sigma, Jacobian (m, n) and the
        cost's gradient there; under a loss jac is weighed by the root of rho' + 2 z rho'', as SciPy's, so that jac'jac stands for the
        Hessian.
    rank : of jac, to rounding.
    optimality : the largest entry of grad, and cosine : the largest cosine of the residuals with a column of J, parameters that rest at
        bounds or are held left out. active_mask : -1 at a lower bound, 1 at an upper one, else 0. dt : the last step size of the flow.
    nfev, njev, nit : evaluations of fun (those for differences aside) and of the Jacobian, accepted steps. ncheck : evaluations that
        checked the Jacobian.
    status : 1 the gradient is small enough, 2 ftol, 3 xtol, 4 both, 0 max_nfev, -2 stopped by the callback, -1 it could not go on.
    success : status > 0. reason : "converged", "max_nfev", "callback", "step_too_small", "non_finite", "rhs_failed",
        "callback_failed", "interrupted"; "wrong_gradient", where the Jacobian given is not that of the residuals; "insensitive",
        where no residual depends on any parameter, or changes over diff_step; "not_a_minimum", where the Jacobian, or a column of
        it, is 0 and the cost falls on both sides.
    message : what happened, in words.

    See Also
    --------
    mflow.least_squares, mflow.curve_fit, mflow.certificate

    Examples
    --------
    >>> import mflow
    >>> r = mflow.least_squares(lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], [-1.2, 1.0])
    >>> r.reason, r.x.round(6).tolist(), r.jac.shape
    ('converged', [1.0, 1.0], (2, 2))
    """

    x: Array
    cost: float
    fun: Array
    jac: Array
    grad: Array
    optimality: float
    cosine: float
    nfev: int
    njev: int
    ncheck: int
    nit: int
    rank: int
    active_mask: Array
    dt: float
    status: int
    success: bool
    reason: str
    message: str

    def covariance(self, absolute: bool = False) -> Array:
        """The covariance of x, (n, n): inv(jac'jac), times 2 cost/(m - n) unless `absolute`, as from `scipy.optimize.curve_fit`.

        Parameters
        ----------
        absolute : bool
            Whether sigma, given to `least_squares`, holds standard deviations themselves, and not only their proportions.

        Returns
        -------
        ndarray (n, n)
            Parameters that the residuals do not determine have variance inf, and covariance 0 with the others (nan where m = n leaves
            nothing to estimate a variance from).

        Examples
        --------
        >>> import mflow
        >>> fit = mflow.least_squares(lambda b: [b[0] - 1.0, b[0] - 3.0], [0.0])
        >>> fit.covariance().round(6)
        array([[1.]])
        """
        return covariance(self.jac, 1.0 if absolute else self._variance())

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a parameter: value, stderr (by `covariance`) and active_mask. ImportError without pandas.

        Examples
        --------
        >>> import mflow
        >>> mflow.least_squares(lambda b: [b[0] - 1.0, b[0] - 3.0], [0.0]).to_frame().round(6).to_dict("list")
        {'value': [2.0], 'stderr': [1.0], 'active_mask': [0]}
        """
        return frame({"value": self.x, "stderr": np.sqrt(np.diag(self.covariance())), "active_mask": self.active_mask})

    def _variance(self) -> float:
        free = self.jac.shape[0] - self.jac.shape[1]
        return 2.0 * float(self.cost) / int(free) if free > 0 else math.nan


def covariance(J: Array, variance: float) -> Array:
    """variance inv(J'J) of the parameters that J determines; of the others inf, and of all where J is not finite."""
    if not np.isfinite(J).all():
        return np.diag(np.full(J.shape[1], math.inf))
    norms = column_norms(J)
    size = np.where(norms > 0.0, norms, 1.0)
    n, work = J.shape[1], float(J.size) * J.shape[1]
    _, s, Vt = interruptible(work, np.linalg.svd, J / size, full_matrices=len(J) < n)
    s = np.append(s, np.zeros(n - s.size))  # of directions that fewer residuals than parameters say nothing of
    kept = s > lost_share(J) * s[:1].max(initial=0.0)
    root = Vt[kept] / s[kept, None]
    out: Array = variance * interruptible(float(n) ** 3, np.matmul, root.T, root) / np.outer(size, size)
    free = np.sqrt((Vt[~kept] ** 2).sum(axis=0)) > 1e-8
    out[free], out[:, free] = 0.0, 0.0
    out[free, free] = math.inf
    return out


@knows_other_words
def least_squares(
    fun: Any, x0: Any, jac: Callable[..., Any] | str | bool = "2-point", bounds: Any = EVERYWHERE, method: str | None = None,
    ftol: float | None = None, xtol: float | None = None, gtol: float | None = 1e-11, x_scale: Any = "jac", loss: Any = "linear",
    f_scale: float = 1.0, max_nfev: int | None = None, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, *,
    sigma: Any = None, callback: Callable[..., Any] | None = None, dt: float | None = None, acceleration: bool = False, passes: int = 0,
    lr: float = 1.0, residual_at: Callable[..., Any] | None = None, seed: int = 0, diff_step: Any = None, check_gradient: bool = True,
    fixed: Any = None, m: int | None = None, jac_sparsity: Any = None, tr_solver: str | None = None, tr_options: Any = None,
    verbose: int = 0, workers: Any = None,
) -> LeastSquaresResult:  # fmt: skip
    """Minimise half the sum of squared residuals by implicit steps along its gradient flow.

    Parameters
    ----------
    fun : callable, `mflow.objectives.Objective` or compiled function
        ``fun(x, *args, **kwargs)`` returns the m residuals. Where m < n steps are the shortest ones, in units of ``x_scale``, and so x
        is one of many solutions, near x0. An objective that is a sum of squares (`objectives.nist`, `mgh`, ...)
        brings its Jacobian; a compiled function ``int fun(const double *x, double *r, double *jac, ptrdiff_t m, ptrdiff_t n, void *)``
        (numba cfunc, ctypes, LowLevelCallable, PyCapsule) fills r (m,) and jac (m, n), row-major, either of which may be NULL: "Fit a
        model" in the documentation has one by numba, with the test for it. With these the run needs no GIL.
    x0 : array_like (n,)
    jac : callable, "2-point", "3-point", True, "jax", "autograd", "torch" or "cs"
        ``jac(x, *args, **kwargs)``, (m, n): row i the derivatives of residual i; or finite differences; or automatic differentiation of
        ``fun`` by that library in float64 (as in `minimize`), or complex steps. Where residuals carry few digits
        (float32 inside, rounded results), or columns vanish, differences are central and longer, and the message says so. True: the
        compiled function fills it.
    bounds : pair (lower, upper) or `scipy.optimize.Bounds`
        Numbers or vectors (n,), infinite where there is no bound. Parameters are kept on or within them, also in differences, by
        projection and active sets: one at a bound that the cost would push through it rests, and a step that would leave ends on the
        bounds, the other parameters' step being solved for anew.
    method : "lm", optional
        Levenberg-Marquardt, with bounds or without, is what there is (a step over 0 in a parameter, where a model may have a pole, is taken
        only where the residuals stay near those of the linear model); by its name it wants m >= n, as in SciPy. SciPy's "trf" and "dogbox"
        are other algorithms.
    loss : "linear", "soft_l1", "huber", "cauchy", "arctan" or callable
        SciPy's: the cost is the sum of f_scale^2 rho(z)/2, z = (residual/f_scale)^2, so that outliers count less; a function of z returns
        rho and rho' as its first two rows, rho concave. Each step is that of residuals weighed by sqrt(rho').
    f_scale : float
        The size of a residual from which on it counts as an outlier.
    gtol : float or None
        Converged where the cosine of the angle between the residuals and every column of the Jacobian is at most this; also where
        rounding lets the gradient sink no further, where that of the residuals with the plane of all columns is so small that finite
        differences cannot tell it from 0, or where residuals have fallen below the rounding of those at x0, and six steps in a row have
        been below that of the largest x (double roots, at which no gradient tells the end).
    ftol, xtol : float or None
        The tests of SciPy's "lm" (MINPACK): a step that lowers the cost by at most ftol of it, and by the linear model as well; a radius
        of at most xtol |D x| after a step. None, the default: the gradient alone decides; so it does at an ftol of at most 2.2e-15, as
        rounding hides so much of a cost that the test would be passed by luck. Where one of these ends a run with differences,
        jac is that of the start of the last step, as in SciPy. Where one of them would end it after a step that was cut short, and the
        gradient is not small, the run goes on from there with a new Jacobian; where xtol would, and the gradient is not small, as beside
        an offset, of which |x| is nearly all, it goes on without xtol. While steps that were cut short go as foreseen and grow, none of
        them ends a run. Where the gradient is not small even so, and differences of it show no minimum, the reason is "step_too_small".
    x_scale : "jac", None or array_like
        Units of the parameters; "jac" and None: from the largest columns of the Jacobian so far.
    max_nfev : int
        500 (n + 1) by default; calls for finite differences are not counted.
    args, kwargs : tuple and dict
        Further arguments of ``fun`` and ``jac``.
    sigma : array_like (m,)
        Standard deviations: residuals are divided by them.
    callback : callable
        ``callback(intermediate_result)`` (x, cost, fun, nit, nfev) or ``callback(xk)`` after each accepted step; True, or StopIteration
        raised, stops.
    dt : float or None
        The first step of the flow; small values stay near its path. None: a step as long as x0 at most, both in units of D.
    acceleration : bool
        Correct steps by the curvature of the path (geodesic acceleration), at one more evaluation each.
    passes, lr, residual_at, seed
        A start by single residuals: so many passes over the data in an order from ``seed``, with steps of ``lr`` in units of ``x_scale``.
        ``residual_at(x, i, *args, **kwargs)`` returns residual i and its gradient (n,); where it is missing, fun and jac are called for
        each. Each is one *linearised* step of backward Euler; ``mflow.ImplicitSGD(residual=...)`` solves its equation.
    diff_step : float or array_like (n,)
        Lengths of the differences, times |x_j| (1 where that is 0), in place of the usual ones: longer ones for residuals with errors of
        their own, such as a solver's, and for parameters that nothing near x moves.
    check_gradient : bool
        Whether the Jacobian given is compared with the residuals at x0, and once more where the run ends, along a fixed direction, by two
        evaluations each (more where these do not agree), counted as ``ncheck`` alone.
    fixed : array_like, optional
        Parameters that are held: n truth values, or their numbers. Their columns of jac are 0.
    m : int, optional
        How many residuals a compiled function has.
    jac_sparsity : array_like or sparse matrix (m, n), optional
        Not 0 where the Jacobian may have an entry: one difference then serves all columns that share no row. The Jacobian itself is dense.
        It is compared with the residuals as one that is given, unless ``check_gradient=False``.
    tr_solver, tr_options, verbose, workers
        SciPy's. Steps are those of its ``tr_solver="exact"``; values that ask for something else are an error with the fix.

    Returns
    -------
    LeastSquaresResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, m < n with method="lm", bounds that cross or exclude x0 among them; the text names it. What the
        functions raise is passed on, with the result so far as its ``partial_result``.

    Warns
    -----
    mflow.GradientWarning
        The Jacobian is not that of the residuals. The run goes on, and does not end as "converged".
    RuntimeWarning
        No residual depends on some parameters; the text names them, with the rank of the Jacobian.

    See Also
    --------
    mflow.curve_fit, mflow.least_squares_batch, mflow.minimize

    Examples
    --------
    >>> import numpy as np, mflow
    >>> t = np.linspace(0, 1, 11)
    >>> y = 2.0 * np.exp(-1.5 * t)
    >>> r = mflow.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 0.0])
    >>> r.success, bool(np.allclose(r.x, [2.0, 1.5]))
    (True, True)

    References
    ----------
    K. Levenberg, Quart. Appl. Math. 2 (1944) 164-168; D. Marquardt, SIAM J. 11 (1963) 431-441; J. More, Lecture Notes in Math. 630 (1978)
    105-116; for bounds D. Bertsekas, SIAM J. Control Optim. 20 (1982) 221-246; M. Transtrum and J. Sethna, arXiv:1201.5885 (2012).
    """
    check_flags(acceleration=acceleration)
    named = check_method(method)
    if type(verbose) is not int or verbose != 0 or tr_solver is not None or tr_options is not None or workers is not None:
        check_scipys(tr_solver=tr_solver, tr_options=tr_options, verbose=verbose, workers=workers)
    start = check_start(x0, "x0")
    if start.ndim > 1:
        raise ValueError(f"x0: expected an array of shape (n,), got shape {start.shape}")
    start = start.ravel()
    box, held = check_box(bounds, start), check_fixed(fixed, start.size)
    residuals = Residuals(fun, jac, start, args, _keywords(kwargs), sigma, diff_step, check_gradient, m)
    residuals.fewer = not named
    if jac_sparsity is not None:
        residuals.take_pattern(jac_sparsity)
    how = {name: _tolerance(value, name) for name, value in (("ftol", ftol), ("xtol", xtol), ("gtol", gtol))}
    how["limit"] = 500 * (start.size + 1) if max_nfev is None else check_whole(max_nfev, "max_nfev", 1)
    lr = check_number(lr, "lr", low=0.0, open_low=True)
    how["dt"] = 0.0 if dt is None else check_number(dt, "dt", low=0.0, open_low=True)
    D = None if x_scale is None or (isinstance(x_scale, str) and x_scale == "jac") else scale_of(x_scale, start.size)
    run = Run(residuals, start, {**how, "acceleration": acceleration}, D, box, held, loss_of(loss, f_scale), teller(callback, intermediate))
    try:
        if passes := check_whole(passes, "passes"):
            one_by_one(run, passes, lr, residual_at, seed)
        ending = run.go()
    except BaseException as error:
        reason, who = reason_of(error)
        where = f"after {counted(run.nit, 'step')}"
        text = f"{who}{type(error).__name__} {where}: {error}"
        note = f"in mflow.least_squares, {where}; .partial_result holds the best point"
        attach(error, as_pending(error, LeastSquaresResult, lambda: LeastSquaresResult(run.result(-1, reason, text))), note)
        raise
    status, reason = run.outcome(ending)
    result = LeastSquaresResult(run.result(status, reason, None))
    put_later(result, "message", lambda: run.verdict(ending)[2])
    at, converged = result["x"].copy(), reason == "converged"
    keep_origin(result, lambda: landscape_of(residuals, run.loss, at, converged, box, held))
    if run.idle:
        tell(f"least_squares: {run.idle}")
    return result


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def _keywords(kwargs: Any) -> dict[str, Any]:
    if not isinstance(kwargs, Mapping | None):
        raise TypeError(f"kwargs: expected a dict of keyword arguments of fun, got {shown(kwargs)}")
    return dict(kwargs or {})


def _tolerance(value: Any, name: str) -> float:
    """0 where the test is left out."""
    return 0.0 if value is None else check_number(value, name, "a finite number of at least 0, or None", low=0.0)


def scale_of(x_scale: Any, n: int) -> Array:
    """D from units of the parameters."""
    units = real_array(x_scale, "x_scale") if not isinstance(x_scale, str) else np.zeros(0)
    if units.size not in (1, n) or not np.all((units > 0) & np.isfinite(units)):
        raise ValueError(f'x_scale: expected "jac", or {n} numbers above 0, got {shown(x_scale)}')
    return np.broadcast_to(1.0 / units.ravel(), (n,)).copy()


# ---- a start by single residuals --------------------------------------------------------------------------------------------------------


def one_by_one(run: Run, passes: int, lr: float, residual_at: Any, seed: int) -> None:
    """So many passes over the residuals in an order from `seed`; the best end of a pass, x0 among them, becomes the start of the run."""
    run.set_up()
    if run.problem.begin():
        return
    problem, core, x = run.problem, run.core, run.core.x
    low, high = run.box if run.box is not None else (np.full(x.size, -np.inf), np.full(x.size, np.inf))
    D = np.where(core.lengths > 0.0, core.lengths, 1.0)
    weight = D**-2.0 if run.fixed is None else np.where(run.fixed, 0.0, D**-2.0)
    rng, best, lowest = np.random.default_rng(seed), x.copy(), core.cost
    for _ in range(passes):
        for i in rng.permutation(problem.m):
            r, J = _one(run, x, int(i), residual_at)
            run.spent += residual_at is None
            new = np.clip(x - lr * r / (1.0 + lr * float(J @ (weight * J))) * (weight * J), low, high)
            x = new if np.all(np.isfinite(new)) else x
        f = core.residuals(x)
        run.spent += 1
        cost = 0.5 * float(f @ f) if run.loss is None else run.loss.cost(f)
        if cost < lowest:
            best, lowest = x.copy(), cost
    run.x, run.spent = best, run.spent + 1


def _one(run: Run, x: Array, i: int, residual_at: Any) -> tuple[float, Array]:
    """Residual i and its gradient, with the weight of the loss."""
    problem = run.problem
    if residual_at is not None:
        value, slope = residual_at(x.copy(), i, *problem.args, **problem.kwargs)
        sigma = 1.0 if problem.sigma is None else problem.sigma[i % problem.sigma.size]
        r, J = float(value) / sigma, np.asarray(slope, dtype=np.float64).ravel() / sigma
    else:
        r, J = float(run.core.residuals(x)[i]), run.core.jacobian(x)[i]
    if run.loss is not None:
        root = float(run.loss.weights(np.array([r]))[0]) ** 0.5
        r, J = root * r, root * J
    return r, J


# ---- covariances ------------------------------------------------------------------------------------------------------------------------


def inverse_at(run: Run, held: Any) -> tuple[Array | None, int]:
    """(inv(J'J) of the parameters that may move, rank): None where that is not full."""
    core, n = run.core, run.x.size
    C, rank = core.inverse() if held is None and run.loss is None else (None, 0)
    doubtful = C is not None and run.problem.differences and core.longest(C) * (n**0.5 * BLURRED) > 1.0
    if doubtful or held is not None or run.loss is not None:
        return inverse_of_free(run.curved_jacobian, np.zeros(n, bool) if held is None else held)
    return C, rank


def inverse_of_free(J: Array, held: Any) -> tuple[Array | None, int]:
    """(inv(J'J) of the parameters that are not held, 0 for those that are; rank): None where that is not full, or J not finite."""
    n, part = held.size, J[:, ~held]
    if not np.isfinite(part).all():
        return None, 0
    norms = np.sqrt((part**2).sum(axis=0))
    rank = int(np.linalg.matrix_rank(part / np.where(norms > 0.0, norms, 1.0)))
    if rank < part.shape[1]:
        return None, rank
    out = np.zeros((n, n))
    R = np.linalg.inv(np.linalg.qr(part)[1])
    out[np.ix_(~held, ~held)] = R @ R.T
    return out, rank
