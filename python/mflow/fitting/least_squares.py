"""Nonlinear least squares: Levenberg and Marquardt's method as backward Euler on the gradient flow of f(x) = |r(x)|^2/2.

With time measured in units of D, D_j = |column j of J|, the flow is D^2 x' = -J'r. One implicit step of dt, its equation linearised, is

    (J'J + D^2/dt) p = -J'r          Levenberg-Marquardt with lambda = 1/dt; dt to infinity is Gauss-Newton

dt grows where the step lowered f as foreseen and shrinks where it did not, or where the path bends too much to be followed: p is corrected
by half of its acceleration a, (J'J + D^2/dt) a = -J' r_vv, and steps with 2 |a| > 0.75 |p| are too long. All steps at one point come
from one factorisation, J/D = U S V', so that the condition of J is never squared and a rank-deficient J is no special case.

The end is the gradient's: its cosine with every column of J is at most gtol. Where f has no digits left to compare, a step is judged by the
gradient as well. A start by single residuals, w -= gamma r_i J_i/(1 + gamma |J_i|^2), is backward Euler on one residual after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_flags, check_list, check_number, check_start, check_whole, real_array, shown
from mflow.base.pace import interruptible
from mflow.base.result import Examined, attach, keep_origin
from mflow.base.telling import tell
from mflow.fitting.residuals import Residuals
from mflow.fitting.robust import Robust, landscape_of, loss_of
from mflow.optimize.callbacks import teller

__all__ = ["LeastSquaresResult", "least_squares"]

EPS = 2.0**-52
FORGET = 0.8  # D follows columns that shrink, by no more than this an iteration
BEND = 0.75  # the largest 2 |a|/|p|
PROBE = 0.1  # the part of p over which the second derivative along it is taken
FLAT = 1e-12  # changes of f below this share of it tell nothing
GONE = 1e-6  # of the residuals: what they change by along a column that has vanished
LOST = 0.3  # of a column of differences: what rounding may turn of one that still tells where the cost falls
PATIENCE = 6  # steps in a row that change nothing
STATUS = {"gtol": 1, "ftol": 2, "xtol": 3, "rounding": 1, "differences": 1, "vanished": 1, "minimum": 1, "max_nfev": 0, "callback": -2}


class LeastSquaresResult(Examined):
    """Result of `mflow.least_squares`: SciPy's fields, and why it ended.

    x, cost, fun, jac, grad : the best point seen, half the sum of squares (or of the loss), residuals over sigma, Jacobian (m, n) and the
        cost's gradient there; jac is weighed by sqrt(rho') where there is a loss, so that jac'jac stands for the Hessian.
    rank : of jac, to rounding.
    optimality : the largest entry of grad. cosine : the largest cosine of the residuals with a column of J.
    active_mask : zeros, there are no bounds. dt : the last step size of the flow.
    nfev, njev, nit : evaluations of fun (those for differences aside) and of the Jacobian, accepted steps. ncheck : evaluations that
        checked the Jacobian.
    status : 1 the gradient is small enough, 2 ftol, 3 xtol, 0 max_nfev, -2 stopped by the callback, -1 it could not go on.
    success : status > 0. reason : "converged", "max_nfev", "callback", "step_too_small", "non_finite", "rhs_failed", "interrupted";
        "wrong_gradient", where the Jacobian given is not that of the residuals; "insensitive", where no residual depends on any
        parameter, or changes over diff_step; "not_a_minimum", where the Jacobian is 0 and the cost falls on both sides.
    message : what happened, in words.
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

    def _variance(self) -> float:
        free = self.jac.shape[0] - self.jac.shape[1]
        return 2.0 * float(self.cost) / int(free) if free > 0 else math.nan


def covariance(J: Array, variance: float) -> Array:
    """variance inv(J'J) of the parameters that J determines; of the others inf."""
    norms = np.sqrt((J * J).sum(axis=0))
    size = np.where(norms > 0.0, norms, 1.0)
    _, s, Vt = np.linalg.svd(J / size, full_matrices=False)
    kept = s > _lost(J) * s[:1].max(initial=0.0)
    root = Vt[kept] / s[kept, None]
    out: Array = variance * (root.T @ root) / np.outer(size, size)
    free = np.sqrt((Vt[~kept] ** 2).sum(axis=0)) > 1e-8
    out[free], out[:, free] = 0.0, 0.0
    out[free, free] = math.inf
    return out


def _lost(J: Array) -> float:
    """The share of the largest singular value below which one is rounding."""
    return float(max(J.shape)) * EPS


def least_squares(
    fun: Callable[..., Any], x0: Any, jac: Callable[..., Any] | str = "2-point", bounds: Any = (-math.inf, math.inf), method: str = "lm",
    ftol: float | None = None, xtol: float | None = None, gtol: float | None = 1e-11, x_scale: Any = "jac", loss: Any = "linear",
    f_scale: float = 1.0, max_nfev: int | None = None, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, *,
    sigma: Any = None, callback: Callable[..., Any] | None = None, dt: float = 100.0, acceleration: bool = True, passes: int = 0,
    lr: float = 1.0, residual_at: Callable[..., Any] | None = None, seed: int = 0, diff_step: Any = None, check_gradient: bool = True,
) -> LeastSquaresResult:  # fmt: skip
    """Minimise half the sum of squared residuals by implicit steps along its gradient flow.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args, **kwargs)`` returns the m residuals, m >= n.
    x0 : array_like (n,)
    jac : callable, "2-point" or "3-point"
        ``jac(x, *args, **kwargs)``, (m, n): row i the derivatives of residual i; or finite differences. Where residuals carry few digits
        (float32 inside, rounded results), or columns vanish, differences are central and longer, and the message says so.
    bounds, method
        As in SciPy, where only the defaults are supported: no bounds, "lm".
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
        SciPy's tests of the cost's and of the point's change; None, the default: the gradient alone decides.
    x_scale : "jac" or array_like
        Units of the parameters; "jac": from the columns of the Jacobian.
    max_nfev : int
        500 (n + 1) by default; calls for finite differences are not counted.
    sigma : array_like (m,)
        Standard deviations: residuals are divided by them.
    callback : callable
        ``callback(intermediate_result)`` (x, cost, fun, nit, nfev) or ``callback(xk)`` after each accepted step; True, or StopIteration
        raised, stops.
    dt : float
        The first step of the flow; small values stay near its path.
    acceleration : bool
        Correct steps by the curvature of the path, at one more evaluation each.
    passes, lr, residual_at, seed
        A start by single residuals: so many passes over the data in an order from ``seed``, with steps of ``lr`` in units of ``x_scale``.
        ``residual_at(x, i, *args, **kwargs)`` returns residual i and its gradient (n,); where it is missing, fun and jac are called for
        each.
    diff_step : float or array_like (n,)
        Lengths of the differences, times |x_j|, in place of the usual ones.
    check_gradient : bool
        Whether the Jacobian given is compared with the residuals at x0, and once more where the run ends, along a fixed direction, by two
        evaluations each (more where these do not agree), counted as ``ncheck`` alone.

    Returns
    -------
    LeastSquaresResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, m < n among them; the text names it. What the functions raise is passed on, with the result so far as
        its ``partial_result``.

    Warns
    -----
    mflow.GradientWarning
        The Jacobian is not that of the residuals. The run goes on, and does not end as "converged".
    RuntimeWarning
        No residual depends on some parameters; the text names them, with the rank of the Jacobian.

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
    105-116; H. Nielsen, Damping parameter in Marquardt's method (1999); M. Transtrum and J. Sethna, arXiv:1201.5885 (2012).
    """
    check_flags(acceleration=acceleration)
    if not isinstance(method, str) or method != "lm":
        raise ValueError(f"method: expected 'lm' (Levenberg-Marquardt), got {shown(method)}; scipy.optimize.least_squares has others")
    if any(np.any(np.isfinite(real_array(side, "bounds"))) for side in _sides(bounds)):
        raise ValueError("bounds: expected none, got finite ones; change variables, or take SciPy's method='trf'")
    start = check_start(x0, "x0")
    if start.ndim > 1:
        raise ValueError(f"x0: expected an array of shape (n,), got shape {start.shape}")
    residuals = Residuals(fun, jac, start.ravel(), args, _keywords(kwargs), sigma, diff_step, check_gradient)
    limit = 500 * (start.size + 1) if max_nfev is None else check_whole(max_nfev, "max_nfev", 1)
    tolerances = {name: _tolerance(value, name) for name, value in (("ftol", ftol), ("xtol", xtol), ("gtol", gtol))}
    flow = _Flow(residuals, start.ravel(), tolerances, limit, x_scale, dt, acceleration, callback, loss_of(loss, f_scale))
    try:
        if check_whole(passes, "passes"):
            flow.one_by_one(passes, check_number(lr, "lr", low=0.0, open_low=True), residual_at, seed)
        ending = flow.go()
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "rhs_failed"
        where = f"after {flow.nit} steps"
        text = f"{type(error).__name__} {where}: {error}"
        attach(error, lambda: flow.result(-1, reason, text), f"in mflow.least_squares, {where}; .partial_result holds the best point")
        raise
    try:
        result = flow.finish(ending)
    except BaseException as error:
        text = f"{type(error).__name__} after the last step: {error}"
        attach(error, lambda: flow.result(-1, "interrupted", text), "in mflow.least_squares; .partial_result holds the best point")
        raise
    if flow.idle:
        tell(f"least_squares: {flow.idle}")
    return result


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def _sides(bounds: Any) -> tuple[Any, Any]:
    """(lower, upper). Raises TypeError or ValueError."""
    sides = [bounds.lb, bounds.ub] if hasattr(bounds, "lb") else check_list(bounds, "bounds", "a pair (lower, upper)")
    if len(sides) != 2:
        raise ValueError(f"bounds: expected a pair (lower, upper), got {shown(bounds)}")
    return sides[0], sides[1]


def _keywords(kwargs: Any) -> dict[str, Any]:
    if not isinstance(kwargs, Mapping | None):
        raise TypeError(f"kwargs: expected a dict of keyword arguments of fun, got {shown(kwargs)}")
    return dict(kwargs or {})


def _tolerance(value: Any, name: str) -> float:
    """0 where the test is left out."""
    return 0.0 if value is None else check_number(value, name, "a finite number of at least 0, or None", low=0.0)


# ---- the flow ---------------------------------------------------------------------------------------------------------------------------


class _Flow:
    """Where the run stands, its factorisation, and the step."""

    def __init__(
        self, residuals: Residuals, x: Array, tolerances: dict[str, float], limit: int, x_scale: Any, dt: Any, acceleration: bool,
        callback: Any, loss: Robust | None,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.problem, self.x, self.limit, self.acceleration = residuals, x.copy(), limit, acceleration
        self.ftol, self.xtol, self.gtol = tolerances["ftol"], tolerances["xtol"], tolerances["gtol"]
        self.fixed = None if isinstance(x_scale, str) and x_scale == "jac" else _scale(x_scale, x.size)
        self.dt = check_number(dt, "dt", low=0.0, open_low=True)
        self.tell = teller(callback, _intermediate)
        self.D, self.s = np.zeros(x.size), np.zeros(0)
        self.f = self.r = np.full(0, math.nan)  # residuals, and as they are weighed; J likewise
        self.J, self.g = np.full((0, x.size), math.nan), np.full(x.size, math.nan)
        self.cost = self.steepest = self.cosine = self.noise = math.nan
        self.nit, self.bad, self.edge, self.least = 0, "", np.full(x.size, math.nan), 0.0

    def begin(self) -> bool:
        """The first evaluation; whether it was finite."""
        self.f = self.r = self.problem.residuals(self.x)
        cost = self.cost_of(self.f)
        if not math.isfinite(cost):
            lost = np.flatnonzero(~np.isfinite(self.f))
            self.bad = f"residual {lost[0]} at x0 is {self.f[lost[0]]}" if lost.size else "the squares of the residuals at x0 overflow"
            return False
        J = self.problem.jacobian(self.x, self.f)
        if not np.isfinite(J).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(J))[0])
            self.bad = f"entry ({row}, {column}) of the Jacobian at x0 is {J[row, column]}"
            return False
        self.cost = cost
        self.r, self.J = self.weighed(self.f, J)
        self.look()
        return True

    def cost_of(self, f: Array) -> float:
        """Half the sum of squares, or of the loss."""
        return 0.5 * float(f @ f) if self.loss is None else self.loss.cost(f)

    def weighed(self, f: Array, J: Array) -> tuple[Array, Array]:
        """Residuals and Jacobian whose squares lie above the loss and touch it here."""
        if self.loss is None:
            return f, J
        root = np.sqrt(self.loss.weights(f))
        return root * f, root[:, None] * J

    def unweighed(self) -> Array:
        """The Jacobian of the residuals themselves; not finite where a loss has taken all weight from one."""
        with np.errstate(all="ignore"):
            return self.J if self.loss is None else np.asarray(self.J / np.sqrt(self.loss.weights(self.f))[:, None])

    def look(self) -> None:
        """Scale and gradient of a new point, and the factors of its Jacobian."""
        norms = np.sqrt((self.J * self.J).sum(axis=0))
        self.D = np.maximum(FORGET * self.D, norms) if self.fixed is None else self.fixed
        self.D = np.where(self.D > 0.0, self.D, 1.0)
        self.g = self.J.T @ self.r
        self.steepest = float(np.max(np.abs(self.g) / np.where(norms > 0.0, norms, 1.0), initial=0.0))
        size = math.sqrt(float(self.r @ self.r))
        self.cosine = self.steepest / size if size > 0.0 else 0.0
        spread = float(np.sum(norms * np.abs(self.x)))
        blur = 0.0 if not self.problem.differences else 10.0 * self.problem.blur if self.problem.eps > EPS else 100.0 * EPS**0.5
        if not self.problem.differences and self.problem.eps > EPS:
            blur = 400.0 * self.problem.eps
        self.least = 400.0 * self.problem.eps * spread
        self.noise = self.least + blur * (size + spread)
        if grain := self.problem.grain:  # residuals that move in quanta: their errors do not grow with them
            self.least, self.noise = math.sqrt(3.0 * self.r.size) * grain, 3.0 * grain + self.problem.blur * size
        self.U, self.s, self.Vt = interruptible(8.0 * self.J.size * self.x.size, np.linalg.svd, self.J / self.D, full_matrices=False)
        self.b = self.r @ self.U

    def solve(self, b: Array) -> Array:
        """-(J'J + D^2/dt)^-1 J' w in units of D, where b = U'w."""
        z: Array = -((self.s * b / (self.s * self.s + 1.0 / self.dt)) @ self.Vt)
        return z

    def step(self) -> tuple[Array, float, bool]:
        """(x + p, by how much the linear model lowers the cost, whether the path is straight enough for it)."""
        p = self.solve(self.b)
        along, square = self.s * (self.Vt @ p), float(p @ p)
        foreseen = 0.5 * float(along @ along) + square / self.dt
        move = p / self.D
        if self.acceleration and foreseen > 1e-10 * self.cost and PROBE**2 * float(along @ along) ** 0.5 >= 20.0 * self.problem.grain:
            ahead = self.problem.residuals(self.x + PROBE * move)
            change = ahead - self.f if self.loss is None else np.sqrt(self.loss.weights(self.f)) * (ahead - self.f)
            r_vv = (2.0 / PROBE) * (change / PROBE - self.J @ move)
            if not np.isfinite(r_vv).all():
                return self.x + move, foreseen, False
            a = self.solve(r_vv @ self.U)
            if not 2.0 * math.sqrt(a @ a) <= BEND * math.sqrt(square):
                return self.x + move, foreseen, False
            move = move + 0.5 * a / self.D
        return self.x + move, foreseen, True

    def go(self) -> str:
        """The name of the test that ended it."""
        with np.errstate(all="ignore"):
            if math.isnan(self.cost) and not self.begin():
                return "non_finite"
            shrink, idle, still = 2.0, 0, 0
            first, top = math.sqrt(float(self.r @ self.r)), np.abs(self.x)
            while True:
                if self.cosine <= self.gtol:
                    return "gtol"
                if self.problem.differences and float(self.b @ self.b) <= self.problem.blur**2 * float(self.r @ self.r):
                    return "differences"
                if self.problem.nfev >= self.limit:
                    return "max_nfev"
                if still >= PATIENCE and math.sqrt(float(self.r @ self.r)) <= EPS * first:
                    return "vanished"
                x, foreseen, straight = self.step()
                if (x == self.x).all() or idle >= PATIENCE or not self.dt > 1e-300:
                    if self.steepest > self.noise and self.problem.longer(self.x):
                        self.renew()
                        self.dt, shrink, idle = 1.0, 2.0, 0
                        continue
                    return "rounding" if self.steepest <= self.noise else "step_too_small"
                before, ended = self.cost, ""
                gain = self.try_point(x, foreseen) if straight else math.nan
                idle = idle + 1 if foreseen <= EPS * before and not gain > 0.0 else 0
                if not gain > 0.0:
                    self.dt, shrink = self.dt / shrink, 2.0 * shrink
                    continue
                self.dt = min(self.dt / max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3), 1e30)
                shrink, top = 2.0, np.maximum(top, np.abs(self.x))
                still = still + 1 if (np.abs(self.moved) <= EPS * top).all() else 0
                if gain < 0.9 and self.is_blurred(first) and self.problem.refine():
                    self.renew()
                if self.ftol > 0.0 and before - self.cost < self.ftol * before and gain > 0.25:
                    ended = "ftol"
                elif self.xtol > 0.0 and np.linalg.norm(self.moved) < self.xtol * (self.xtol + np.linalg.norm(self.x)):
                    ended = "xtol"
                if self.tell is not None and self.tell(self):
                    return "callback"
                if ended:
                    return ended

    def is_blurred(self, first: float) -> bool:
        """Whether steps have become shorter than those of differences on the way to a root, where J vanishes as well; first: |r| at x0."""
        square = float(self.r @ self.r)
        vanishing = square <= EPS * first**2 and float(self.b @ self.b) > 0.25 * square
        return vanishing and bool((np.abs(self.moved) < np.abs(self.problem.lengths(self.x))).all())

    def renew(self) -> None:
        """The Jacobian again, as it is differenced otherwise now."""
        J = self.problem.jacobian(self.x, self.f)
        if np.isfinite(J).all():
            self.r, self.J = self.weighed(self.f, J)
            self.look()

    def try_point(self, x: Array, foreseen: float) -> float:
        """Move to x if it is better. The gain as a share of the foreseen one; 0 or NaN: x is no better."""
        f = self.problem.residuals(x)
        cost = self.cost_of(f)
        if not math.isfinite(cost):
            self.edge = x.copy()
            return math.nan
        gain = (self.cost - cost) / foreseen if foreseen > 0.0 else 0.0
        level = max(FLAT, self.problem.level(self.cost))
        flat = foreseen <= level * self.cost and cost <= self.cost * (1.0 + level)
        if not gain > 1e-4 and not flat:
            return 0.0
        J = self.problem.jacobian(x, f)
        if not np.isfinite(J).all():
            return math.nan
        r, J = self.weighed(f, J)
        if not gain > 1e-4:  # values have no digits left: the gradient decides
            if not _steepest(J, r) < 0.9 * self.steepest:
                return 0.0
            gain = 1.0
        self.moved = x - self.x
        self.x, self.f, self.r, self.J, self.cost = x, f, r, J, cost
        self.nit += 1
        self.look()
        return gain

    def one_by_one(self, passes: int, lr: float, residual_at: Any, seed: int) -> None:
        """Backward Euler on single residuals; the best end of a pass, x0 among them, is where the run stands."""
        if not self.begin():
            self.cost = math.nan
            return
        rng, problem, x, weight = np.random.default_rng(seed), self.problem, self.x.copy(), self.D**-2.0
        for _ in range(passes):
            for i in rng.permutation(problem.m):
                if residual_at is not None:
                    r, J = residual_at(x.copy(), int(i), *problem.args, **problem.kwargs)
                    sigma = 1.0 if problem.sigma is None else problem.sigma[i % problem.sigma.size]
                    r, J = float(r) / sigma, np.asarray(J, dtype=np.float64).ravel() / sigma
                else:
                    whole = problem.residuals(x)
                    r, J = float(whole[i]), problem.jacobian(x, whole)[i]
                if self.loss is not None:
                    root = float(self.loss.weights(np.array([r]))[0]) ** 0.5
                    r, J = root * r, root * J
                new = x - lr * r / (1.0 + lr * float(J @ (weight * J))) * (weight * J)
                x = new if np.all(np.isfinite(new)) else x
            r_all = problem.residuals(x)
            if self.cost_of(r_all) < self.cost:
                J_all = problem.jacobian(x, r_all)
                if np.all(np.isfinite(J_all)):
                    self.x, self.f, self.cost = x.copy(), r_all, self.cost_of(r_all)
                    self.r, self.J = self.weighed(r_all, J_all)
                    self.look()

    # ---- the end --------------------------------------------------------------------------------------------------------------------

    def finish(self, ending: str) -> LeastSquaresResult:
        """The result, with the ending in words."""
        if self.nit and ending not in ("non_finite", "callback"):
            self.problem.check_again(self.x, self.f, self.unweighed())
        angle = f"the cosine of the residuals with the columns of the Jacobian is {self.cosine:.3g}"
        size = float(np.linalg.norm(self.r))
        if size <= self.least:
            small = "0" if size == 0.0 else f"as small as rounding lets them be, {size:.3g} in all"
            angle = f"the residuals are {small}"
        if ending == "step_too_small":
            ending = "minimum" if self.vanishes() else ending
            self.problem.look_closer(self.x)
        hint = self.hint()
        told, rounding = ", and finite differences tell no smaller one from 0", ", and rounding lets it sink no further"
        if self.problem.digits is not None and self.problem.grain:
            told = rounding = f", and residuals that move in steps of {self.problem.digits.quantum:.6g} tell no smaller one from 0"
        text = {
            "gtol": f"{angle}{'' if size <= self.least else f', at most gtol = {self.gtol:g}'}, after {self.nit} steps",
            "rounding": f"{angle}{'' if size <= self.least else rounding}, after {self.nit} steps",
            "differences": f"{angle}{'' if size <= self.least else told}, after {self.nit} steps",
            "vanished": f"residuals and steps have fallen below the rounding of those at x0, after {self.nit} steps; {angle}",
            "minimum": f"columns of the Jacobian vanish at x, and the cost rises on both sides in their parameters, after {self.nit} steps",
            "ftol": f"the last step lowered the cost by less than ftol = {self.ftol:g} of it; {angle}",
            "xtol": f"the last step was shorter than xtol = {self.xtol:g} of x; {angle}",
            "max_nfev": f"{self.problem.nfev} evaluations, the limit; {angle}, above gtol = {self.gtol:g}",
            "callback": f"the callback stopped it after {self.nit} steps",
            "step_too_small": f"no step that still moves x lowers the cost after {self.nit} steps, and {angle}" + hint,
            "non_finite": f"{self.bad}: start elsewhere, or look at what the function cannot take",
        }[ending]
        reason = "converged" if STATUS.get(ending, 0) > 0 else ending
        text += self.problem.note()
        if reason == "converged":
            refused, why = self.refused()
            if refused:
                return self.result(-1, refused, f"{why}; {text}")
        elif self.problem.wrong:
            text = f"{self.problem.wrong}; {text}"
        if self.idle:
            text += f"; {self.idle}"
        return self.result(STATUS.get(ending, -1), reason, text)

    def vanishes(self) -> bool:
        """Whether x is a minimum at which columns of J vanish, so that no cosine with them tells it."""
        norms = np.sqrt((self.J * self.J).sum(axis=0))
        some, most = np.flatnonzero(np.abs(self.g) > self.noise * norms), GONE * math.sqrt(2.0 * self.cost)
        small = (norms * self.problem.unit(self.x))[some] <= most
        return self.loss is None and bool(small.all()) and self.problem.rises(self.x, self.cost, some)

    def hint(self) -> str:
        """What may be the reason where no step lowers the cost."""
        verdict = self.problem.verdict
        if np.linalg.norm(self.edge - self.x) <= 1e-6 * np.linalg.norm(self.x):
            return "; the residuals are not finite beyond x"
        if self.problem.differences or verdict.kind != "unknown":
            return ""
        return f": whether jac is right is not known, as {verdict.text}" if verdict.text else ": is jac right?"

    def refused(self) -> tuple[str, str]:
        """(reason, text) where a small gradient is no minimum: a Jacobian that is wrong, or 0 as a whole; else empty."""
        if self.problem.wrong:
            return "wrong_gradient", self.problem.wrong
        if self.problem.lost > LOST and self.J.any() and float(np.linalg.norm(self.r)) > self.least:
            return "step_too_small", "differences of residuals that are rounded so much do not tell where the cost falls"
        if self.J.any() or not self.cost > 0.0:
            return "", ""
        scans = [one for one, _ in self.problem.scans(self.x, np.arange(self.x.size))]
        if all(one.kind == "flat" for one in scans):
            return "insensitive", "no residual changes within 0.015 of x in any parameter"
        if self.problem.given and any(one.kind == "slope" for one in scans):
            return "insensitive", "differences over diff_step are 0, though the residuals change over longer steps: raise diff_step"
        if any(one.falls for one in scans):
            return "not_a_minimum", "the Jacobian is 0 and the cost falls on both sides of x: start elsewhere"
        return "", ""

    @property
    def idle(self) -> str:
        """Of parameters that no residual depends on, where others are determined."""
        zero = np.flatnonzero(~self.J.any(axis=0)) if np.isfinite(self.J).all() and self.J.any() else np.zeros(0, int)
        if not zero.size:
            return ""
        names = ", ".join(f"x[{j}]" for j in zero[:10]) + (", ..." if zero.size > 10 else "")
        return f"no residual depends on {names} at x, where the Jacobian has rank {self.rank} for {self.x.size} parameters"

    @property
    def rank(self) -> int:
        """Of the Jacobian, to rounding."""
        return int(np.sum(self.s > _lost(self.J) * self.s[:1].max(initial=0.0))) if self.s.size else 0

    def result(self, status: int, reason: str, message: str) -> LeastSquaresResult:
        """The best point, which is where the run stands."""
        out = LeastSquaresResult(
            x=self.x, cost=self.cost, fun=self.f, jac=self.J, grad=self.g, optimality=float(np.max(np.abs(self.g), initial=0.0)),
            cosine=self.cosine, active_mask=np.zeros(self.x.size, int), nfev=self.problem.nfev, njev=self.problem.njev, nit=self.nit,
            ncheck=self.problem.verdict.ncheck, rank=self.rank, dt=self.dt, status=status, success=status > 0, reason=reason,
            message=message,
        )  # fmt: skip
        keep_origin(out, landscape_of(self.problem, self.loss, self.x, reason == "converged"))
        return out


def _steepest(J: Array, r: Array) -> float:
    """The largest |J_j . r|/|J_j|: the length of r along a column."""
    norms = np.linalg.norm(J, axis=0)
    return float(np.max(np.abs(J.T @ r) / np.where(norms > 0.0, norms, 1.0), initial=0.0))


def _scale(x_scale: Any, n: int) -> Array:
    """D from units of the parameters."""
    units = real_array(x_scale, "x_scale") if not isinstance(x_scale, str) else np.zeros(0)
    if units.size not in (1, n) or not np.all((units > 0) & np.isfinite(units)):
        raise ValueError(f'x_scale: expected "jac", or {n} numbers above 0, got {shown(x_scale)}')
    return np.broadcast_to(1.0 / units.ravel(), (n,)).copy()


def _intermediate(flow: _Flow) -> LeastSquaresResult:
    """What a callback is told."""
    return LeastSquaresResult(x=flow.x.copy(), cost=flow.cost, fun=flow.f.copy(), nit=flow.nit, nfev=flow.problem.nfev)
