"""`curve_fit`: SciPy's, by the core's loop, with what a fit tells beside its parameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import numpy as np
from mflow_core.arithmetic.starts import new_start
from mflow_core.fitting.callbacks import Calls, all_finite
from mflow_core.problems.sparse import check_unmasked
from mflow_core.registry import unknown

from mflow.base.checks import Array, check_flags, check_function, check_number, check_whole, finite_array, real_array, shown
from mflow.base.methods import refuse_unknown
from mflow.base.progress import reason_of
from mflow.base.result import attach
from mflow.base.telling import counted, tell
from mflow.derivatives.differences import along, tried
from mflow.derivatives.elsewhere import with_model_jacobian
from mflow.fitting.bounds import EVERYWHERE, check_box, check_fixed, sides, sides_by_name
from mflow.fitting.fitted import CurveFit
from mflow.fitting.least_squares import LeastSquaresResult, covariance, inverse_at, scale_of
from mflow.fitting.residuals import Residuals
from mflow.fitting.robust import loss_of
from mflow.fitting.run import Run, intermediate
from mflow.fitting.scipys import OWN, check_method, of_minpack
from mflow.fitting.starts import POOR, Again, calls_of, explained, is_poor, likeness_of_residuals, surely_explains
from mflow.optimize.callbacks import teller
from mflow.problems.curves import check_curve, curve, parameter_names, starting_values
from mflow.spectra.ranks import rank_of

__all__ = ["TOLERANCE", "curve_fit"]

TOLERANCE = 1.49012e-8  # SciPy's ftol and xtol
NEARER = 1e-6  # of the variance of the data: a curve that explains more is nearer to them than their mean
STRAIGHT = 1e-6  # relative: what curves that are linear in their parameters differ by from the tangent by differences
FAR = 1e4  # ranges of xdata: data farther from 0 are said to be far


class CurveFitOptions(TypedDict, total=False):
    """What else `curve_fit` takes by name."""

    ftol: float | None
    xtol: float | None
    gtol: float | None
    maxfev: int | None
    max_nfev: int | None
    x_scale: Any
    loss: Any
    f_scale: float
    diff_step: Any
    callback: Callable[..., Any] | None
    dt: float | None
    acceleration: bool
    check_gradient: bool
    jac_sparsity: Any
    epsfcn: float | None
    diag: Any


def curve_fit(
    f: Any, xdata: Any, ydata: Any, p0: Any = None, sigma: Any = None, absolute_sigma: bool = False, check_finite: bool | None = None,
    bounds: Any = EVERYWHERE, method: str | None = None, jac: Any = None, *, full_output: bool = False, nan_policy: str | None = None,
    fixed: Any = None, **kwargs: Unpack[CurveFitOptions],
) -> CurveFit:  # fmt: skip
    """Fit a curve to data by nonlinear least squares.

    Parameters
    ----------
    f : callable or str
        ``f(xdata, *parameters)``, as many numbers as data; or the name of a curve of `mflow.objectives.curve` ("exponential",
        "gaussian_peak", "logistic_growth", "sine", "power_law", "michaelis_menten"), which is compiled and has its own starting values.
    xdata : array_like or object
        Passed to f; lists and arrays as float64, copied.
    ydata : array_like (m,)
    p0 : array_like (n,) or dict, optional
        Starting values, in order or by the parameters' names, ``{"a": 4, "x0": 3}``; as in SciPy 1, or within the bounds, for each
        parameter in f's signature if not given. Where a fit from 1 without bounds fails, does not tell all parameters apart, leaves more
        than half of the variance of the data, or more than a thousandth of it and not as noise (of 30 data or fewer more than a hundredth
        in any case), it begins again: at 1 in units of xdata and ydata, if f scales with them; then where, of some hundred curves with
        parameters over decades, the shape is nearest to the data's, if f takes less than 20 ms a call. The message says so. Limits that
        are given, and the callback, are those of all these fits.
    sigma : float, array_like (m,) or (m, m), optional
        Standard deviations of the data, or their covariance matrix.
    absolute_sigma : bool
        Whether sigma holds the standard deviations themselves; else pcov is scaled so that the weighted residuals have the deviation 1.
    check_finite : bool, optional
        Whether data that are not finite are an error; by default where there is no nan_policy.
    bounds : pair (lower, upper), `scipy.optimize.Bounds` or dict
        As in `least_squares`; or a pair for each of some parameters by their names, ``{"k": (0, 10), "c": (None, 1)}``.
    method : "lm", optional
        Levenberg-Marquardt, with bounds and without.
    jac : callable, "2-point", "3-point", "jax", "autograd", "torch" or "cs", optional
        ``jac(xdata, *parameters)``, (m, n); or differences, as without it; or automatic differentiation or complex steps, as in `minimize`.
    full_output : bool
        Whether the tuple has SciPy's five entries: popt, pcov, infodict (nfev, fvec, fjac, ipvt, qtf), mesg, ier.
    nan_policy : None, "raise" or "omit"
        What is done about NaN in the data, if check_finite is not True.
    fixed : array_like, optional
        Parameters that are held at p0: truth values, numbers, or names.
    **kwargs
        ftol and xtol (1.49e-8 both), gtol (0), max_nfev (as in `least_squares`) or maxfev (200 (n + 1) calls, those for differences
        counted), x_scale, loss, f_scale, diff_step, callback, dt, acceleration, check_gradient, jac_sparsity: as in `least_squares`;
        MINPACK's epsfcn, the square of diff_step, and diag, 1/x_scale.

    Returns
    -------
    CurveFit
        A tuple (popt, pcov) with attributes; ``print(fit)`` is a table.

    Raises
    ------
    RuntimeError
        The fit did not converge; its ``partial_result`` holds the best point, a LeastSquaresResult.
    TypeError, ValueError
        An argument does not fit, fewer data than parameters without bounds, bounds that cross or exclude p0 among them; the text names it.

    Warns
    -----
    RuntimeWarning
        The data do not determine all parameters, so that pcov is infinite; the text has the rank, and names parameters without effect. Or
        f is not finite beside popt, where the fit then ended. Or the curve is no nearer to the data than their mean is, R^2 <= 0, though f
        is not linear in its parameters: without p0 this is no success, and reason is "poor_fit", where it leaves more than half of the sum
        of their squares, too, or does not determine all parameters. Or, without p0, it leaves more than half of their variance, and not as
        noise.

    See Also
    --------
    least_squares, least_squares_batch, starting_values

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0, 4, 50)
    >>> y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.05 * np.cos(40 * x)
    >>> fit = mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, x, y)
    >>> popt, pcov = fit
    >>> popt.round(1).tolist(), fit.names, fit.dof
    ([2.5, 1.3, 0.5], ('a', 'k', 'c'), 47)
    >>> low, high = fit.confidence_band([0.0, 2.0])
    >>> bool(np.all(low < high))
    True

    References
    ----------
    Names and results are those of SciPy's ``scipy.optimize.curve_fit``; the method is that of `mflow.least_squares`: K. Levenberg, Quart.
    Appl. Math. 2 (1944) 164-168; D. Marquardt, SIAM J. 11 (1963) 431-441; J. More, Lecture Notes in Math. 630 (1978) 105-116.
    """
    run, how = _prepared(f, xdata, ydata, p0, sigma, check_finite, bounds, method, jac, nan_policy, fixed, {**kwargs})
    if absolute_sigma is not False or full_output is not False:
        check_flags(absolute_sigma=absolute_sigma, full_output=full_output)
    try:
        ending = run.go()
        if p0 is None and not isinstance(f, str) and fixed is None and is_poor(run, ending, how):

            def anew(start: Array) -> tuple[Run, dict[str, Any]]:
                nonlocal run  # the one that an exception interrupts
                run, told = _prepared(f, xdata, ydata, start, sigma, check_finite, bounds, method, jac, nan_policy, fixed, {**kwargs})
                return run, told

            run, how, ending = Again((run, how, ending), anew).go()
    except BaseException as error:
        if run.core is None and isinstance(error, TypeError):
            _refuse_count(f, run.x.size, error)
        note = f"in mflow.curve_fit, after {counted(run.nit, 'step')}; .partial_result holds the best point"
        reason, who = reason_of(error)
        text = f"{who}{error}"
        attach(error, lambda: LeastSquaresResult(run.result(-1, reason, text)), note)
        raise
    return _fitted(run, ending, how, bool(absolute_sigma), bool(full_output))


ARGUMENTS = (*(name for name in inspect.signature(curve_fit).parameters if name != "kwargs"), *CurveFitOptions.__annotations__)


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def _prepared(
    f: Any, xdata: Any, ydata: Any, p0: Any, sigma: Any, check_finite: Any, bounds: Any, method: Any, jac: Any, nan_policy: Any, fixed: Any,
    kwargs: dict[str, Any],
) -> tuple[Run, dict[str, Any]]:  # fmt: skip
    """The run, and what the result tells of the data."""
    named = check_method(method)
    if kwargs:
        refuse_unknown("curve_fit", kwargs, None, ARGUMENTS, OWN)
    y = real_array(ydata, "ydata")
    dates = getattr(getattr(xdata, "dtype", None), "kind", "") in ("M", "m")  # pandas' too, which models could not take either
    x = real_array(xdata, "xdata") if dates or isinstance(xdata, (list, tuple, np.ndarray)) else xdata
    x, y, sigma = _finite_data(x, y, sigma, check_finite, nan_policy)
    x, y = np.array(x) if isinstance(x, np.ndarray) else x, np.array(y)  # the fit's own: the caller may change theirs afterwards
    if y.size == 0:
        raise ValueError("ydata: expected at least one number, got none")
    if isinstance(p0, dict):
        p0 = _by_name(p0, names_of(f, None))
    if isinstance(bounds, dict):
        bounds = sides_by_name(bounds, names_of(f, p0))
    names, start = _start(f, x, y, p0, bounds)
    n = start.size
    box = None if bounds is EVERYWHERE else _box(bounds, start)
    fewer = box is not None and not named
    if y.size != 1 and n > y.size and not fewer:
        raise TypeError(f"p0: expected at most {y.size} parameters, as there are data, got {n}")
    if kwargs:
        kwargs = of_minpack(kwargs, n)
    residuals = ModelResiduals(f, jac, start, x, y, sigma, kwargs.get("diff_step"), kwargs.get("check_gradient", True))
    residuals.fewer, residuals.names = fewer, names
    if kwargs.get("jac_sparsity") is not None:
        residuals.take_pattern(kwargs["jac_sparsity"])
    how = {"limit": 500 * (n + 1), "limited": False, "calls": 0, "ftol": TOLERANCE, "xtol": TOLERANCE, "gtol": 0.0, "dt": 0.0}
    how["acceleration"] = False
    D = loss = tell = None
    if kwargs:
        D, loss, tell = _more(kwargs, how, n)
    held = None if fixed is None else _held(fixed, n, names)
    told = {"f": residuals.curve, "xdata": x, "ydata": y, "held": held, "deviations": residuals.deviations, "_name": names}
    told["_given"] = p0 is not None or isinstance(f, str)
    return Run(residuals, start, how, D, box, held, loss, tell), told


def _more(kwargs: dict[str, Any], how: dict[str, Any], n: int) -> tuple[Any, Any, Any]:
    """Write the further arguments into `how`; (units of the parameters, loss, callback) among them."""
    for name in ("ftol", "xtol", "gtol"):
        if name in kwargs:
            how[name] = 0.0 if kwargs[name] is None else check_number(kwargs[name], name, low=0.0)
    if kwargs.get("max_nfev") is not None:
        how["limit"], how["limited"] = check_whole(kwargs["max_nfev"], "max_nfev", 1), True
    if kwargs.get("maxfev") is not None and (most := check_whole(kwargs["maxfev"], "maxfev")):  # 0: SciPy's word for its default
        how["calls"], how["limited"] = most, True
    if kwargs.get("dt") is not None:
        how["dt"] = check_number(kwargs["dt"], "dt", low=0.0, open_low=True)
    check_flags(acceleration=kwargs.get("acceleration", False))
    how["acceleration"] = bool(kwargs.get("acceleration", False))
    x_scale = kwargs.get("x_scale", "jac")
    D = None if x_scale is None or (isinstance(x_scale, str) and x_scale == "jac") else scale_of(x_scale, n)
    tell = teller(kwargs["callback"], intermediate) if kwargs.get("callback") is not None else None
    return D, loss_of(kwargs.get("loss", "linear"), kwargs.get("f_scale", 1.0)), tell


def _box(bounds: Any, start: Array) -> tuple[Array, Array] | None:
    try:
        return check_box(bounds, start)
    except ValueError as error:
        if str(error).startswith("x0: "):
            raise ValueError(str(error).replace("x0: expected a start", "p0: expected starting values").replace("x0[", "p0[")) from None
        raise


def _held(fixed: Any, n: int, names: Callable[[], tuple[str, ...]]) -> Any:
    """A mask of the parameters that are held, given as in `check_fixed` or by name."""
    given = [fixed] if isinstance(fixed, str) else fixed
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, str) for one in given):
        known = list(names())
        for one in given:
            if one not in known:
                raise ValueError(unknown("fixed: expected names of parameters, got", one, known))
        given = [known.index(one) for one in given]
    return check_fixed(given, n, ", or names (each is held at its entry of p0)")


def _finite_data(x: Any, y: Array, sigma: Any, check_finite: Any, nan_policy: Any) -> tuple[Any, Array, Any]:
    if check_finite is not None:
        check_flags(check_finite=check_finite)
    if nan_policy is not None and not (isinstance(nan_policy, str) and nan_policy in ("raise", "omit")):
        raise ValueError(f"nan_policy: expected None, 'raise' or 'omit', got {shown(nan_policy)}")
    of_numbers = isinstance(x, np.ndarray)
    if check_finite or (check_finite is None and nan_policy is None):
        for data, name in ((y, "ydata"), (x, "xdata")):
            if isinstance(data, np.ndarray) and not all_finite(data):
                finite_array(data, name)
        return x, y, sigma
    if nan_policy is None:
        return x, y, sigma
    lost = np.isnan(y)
    if of_numbers:
        there = np.isnan(x)
        lost = lost | there.any(axis=tuple(range(there.ndim - 1)))
    if lost.any() and nan_policy == "raise":
        raise ValueError(f"nan_policy: the data have {int(lost.sum())} entries with nan; nan_policy='omit' leaves them out")
    if lost.any():
        x, y = x[..., ~lost] if of_numbers else x, y[~lost]
        if sigma is not None and np.ndim(sigma):
            sigma = np.asarray(sigma)
            sigma = sigma[~lost] if sigma.ndim == 1 else sigma[np.ix_(~lost, ~lost)]
    return x, y, sigma


def _start(f: Any, x: Any, y: Array, p0: Any, bounds: Any) -> tuple[Callable[[], tuple[str, ...]], Array]:
    """(names of the parameters, when they are asked for, and starting values)."""
    known = parameter_names(check_curve(f)) if isinstance(f, str) else None
    if known is None:
        check_function(f, "f")
    if p0 is None:
        count = len(known if known is not None else _names(f, None))
        start = np.ones(count) if known is None else starting_values(f, x, y)
        if bounds is not EVERYWHERE:
            start = _inside(start, *sides(bounds, count), known is not None)
    else:
        usual = new_start(p0)
        start = real_array(p0, "p0").ravel().copy() if usual is None else usual.ravel()
        if usual is None and not all_finite(start):
            finite_array(start, "p0")
    n = start.size

    def names() -> tuple[str, ...]:
        return known if known is not None else _names(f, n)

    return names, start


def _by_name(p0: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """Starting values in the order of these names. Raises ValueError, which names the key that is unknown or missing."""
    for name in p0:
        if name not in names:
            raise ValueError(unknown("p0: expected names of parameters, got", str(name), list(names)))
    missing = [name for name in names if name not in p0]
    if missing:
        raise ValueError(f"p0: expected a starting value for each parameter, got none for {', '.join(missing)}")
    for name in names:
        if np.ndim(p0[name]):
            raise ValueError(f"p0[{name!r}]: expected one number, got {shown(p0[name])}")
    return [p0[name] for name in names]


def _refuse_count(f: Any, n: int, error: TypeError) -> None:
    """Raises TypeError where a model that could not be called takes another number of parameters than there are starting values."""
    try:
        inspect.signature(f).bind(None, *range(n))
    except TypeError:
        names = _names(f, None)
        text = f"p0: expected {len(names)} starting values, of {', '.join(names)}, got {n}"
        raise TypeError(f"{text}; f is called as f(xdata, *parameters)") from error
    except ValueError:  # it has no signature
        return


def names_of(f: Any, p0: Any) -> tuple[str, ...]:
    """Of the parameters of a model or of a curve by its name."""
    if isinstance(f, str):
        return tuple(parameter_names(check_curve(f)))
    check_function(f, "f")
    return _names(f, None if p0 is None else np.size(p0))


def _names(f: Any, n: int | None) -> tuple[str, ...]:
    """Of f's parameters after the first; n None: they must be countable."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    found = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][1:]
    if n is None:
        if not found:
            raise ValueError("p0: expected starting values, as f's signature does not tell how many parameters there are, got None")
        return tuple(found)
    return tuple(found[j] if j < len(found) else f"p[{j}]" for j in range(n))


def _inside(start: Array, lower: Array, upper: Array, keep: bool) -> Array:
    """SciPy's start within bounds: their middle, or 1 from the only one; a curve's own starting values are moved inside."""
    if keep:
        return np.clip(start, lower, upper)
    low, high = np.isfinite(lower), np.isfinite(upper)
    middle = np.where(low & high, 0.5 * (np.where(low, lower, 0.0) + np.where(high, upper, 0.0)), 1.0)
    return np.where(low & ~high, lower + 1.0, np.where(high & ~low, upper - 1.0, middle))


class ModelResiduals(Residuals):
    """The residuals of a model of xdata: (f(xdata, *x) - y)/sigma, or L^-1 of it for a covariance L L'."""

    def __init__(self, f: Any, jac: Any, start: Array, x: Any, y: Array, sigma: Any, diff_step: Any, check: Any) -> None:
        f, jac = with_model_jacobian(f, jac)
        root, deviations, self.y_size = None, sigma, y.size
        if sigma is not None:
            root, deviations = _deviations(sigma, y.size)
        self.deviations = deviations if root is None else np.sqrt((root**2).sum(axis=1))
        self.curve = f
        if isinstance(f, str):
            self.curve = _Named(f)
            if root is None:
                super().__init__(curve(f, x, y, x0=start), "2-point", start, (), {}, deviations, diff_step, check)
                return
            model = curve(f, x, None, x0=start)
            f, jac = (lambda x, *p: model.residuals(p)), (lambda x, *p: model.jac(p))
        self.data = (x, np.ascontiguousarray(y).ravel(), root)
        super().__init__(f, "2-point" if jac is None else jac, start, (), {}, deviations, diff_step, check)
        self.m = y.size

    def _check_count(self) -> None:
        if self.m < self.n and not self.fewer:
            raise TypeError(f"p0: expected at most {counted(self.m, 'parameter')}, as there are data, got {self.n}")

    def _calls(self, f: Any, jac: Any) -> Calls:
        """The model as the core calls it."""
        x, y, root = self.data
        return Calls(f, jac, (), {}, self.n, *self._checkers(), x, y, self.sigma, root)

    def _checked(self, raw: Any) -> Array:
        """What the model returned as float64, (m,). Raises TypeError or ValueError."""
        check_unmasked(raw, "f")
        values = np.asarray(raw)
        if values.dtype.kind not in "biuf":
            raise TypeError(f"f returned dtype {values.dtype}: expected real numbers, one for each of {self.y_size} data")
        if self.y_size == 1 and values.size > 1:
            self.m = self.y_size = values.size
        if values.size not in (1, self.m):
            sets = self.y_size // values.size if values.size > 1 and self.y_size % values.size == 0 else 1
            fix = f"; {sets} sets of data are fitted one after the other, or by mflow.least_squares_batch" if sets > 1 else ""
            if values.size < self.m and sets == 1:
                fix = "; where f has fewer for some parameters, as of a run that ends early, return NaN, which a fit steps back from"
            x = self.data[0]
            points = np.shape(x)[-1:] if isinstance(x, np.ndarray) else ()
            if points == (values.size,):
                fix = f": ydata has {self.m}, and xdata has {values.size} points" + fix
            raise ValueError(f"f returned shape {values.shape}: expected {self.m} numbers, as there are data{fix}")
        return np.ascontiguousarray(np.broadcast_to(values.ravel(), (self.m,)), dtype=np.float64)


class _Named:
    """A curve by its name, as a function of x and its parameters."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, x: Any, *parameters: Any) -> Array:
        return curve(self.__name__, np.atleast_1d(x), None, x0=parameters).residuals(parameters)


def _deviations(sigma: Any, m: int) -> tuple[Array | None, Any]:
    """(L of a covariance matrix L L', standard deviations): one of them."""
    values = real_array(sigma, "sigma")
    if values.ndim == 2 and values.shape == (m, m) and m > 1:
        with np.errstate(invalid="ignore"):  # NaN, and inf - inf, are not symmetric either
            far = np.argwhere(~(np.abs(values - values.T) <= 1e-8 * np.max(np.abs(values), where=np.isfinite(values), initial=0.0)))
        if len(far):
            i, j = (int(k) for k in far[0])
            text = f"got {values[i, j]:g} in entry ({i}, {j}) and {values[j, i]:g} in entry ({j}, {i})"
            raise ValueError(f"sigma: expected a symmetric covariance matrix of finite numbers, {text}")
        try:
            return np.ascontiguousarray(np.linalg.cholesky(np.asarray(values, dtype=np.float64))), None
        except np.linalg.LinAlgError:
            raise ValueError("sigma: expected a positive definite covariance matrix, got one that is not") from None
    if values.size != 1 and values.shape != (m,):
        raise ValueError(f"sigma: expected one number, {m} standard deviations or a matrix ({m}, {m}), got shape {values.shape}")
    return None, np.array(values)


# ---- the result -------------------------------------------------------------------------------------------------------------------------


def _fitted(run: Run, ending: str, how: dict[str, Any], absolute: bool, full: bool) -> CurveFit:
    status, reason = run.outcome(ending)
    if status <= 0 and reason != "insensitive":
        message = run.verdict(ending)[2] + _offset_words(how["xdata"])
        error = RuntimeError(f"curve_fit: no parameters found that fit best: {message}")
        attach(error, lambda: LeastSquaresResult(run.result(status, reason, message)), "")
        raise error
    core, held = run.core, how["held"]
    x, cost = core.x, core.cost
    C, rank = inverse_at(run, held)
    free = core.m - (x.size if held is None else int(np.sum(~held)))
    singular = C is None or (free <= 0 and not absolute)
    if C is None or singular:
        pcov = np.full((x.size, x.size), math.inf)
        why = "there are as many parameters as data" if C is not None else _why_singular(run, how, rank, held)
        tell(f"curve_fit: the covariance of the parameters could not be estimated, as {why}")
    else:
        pcov = C if absolute else C * (2.0 * cost / free)
    words, is_one = _poor_words(run, how, C is not None)
    if words:
        run.origin += f"; {words}"
    if words and not singular:  # of which the covariance has told
        tell(f"curve_fit: {words}")
    if not is_one and status > 0:
        status, reason = -1, "poor_fit"
    calls = calls_of(run)
    entries: tuple[Any, ...] = (x, pcov)
    if full:
        packed, order, qtf = core.factors()
        entries += (
            {"nfev": calls, "fvec": core.f, "fjac": packed, "ipvt": order, "qtf": qtf},
            run.verdict(ending)[2],
            max(status, 1),
        )
    how.update(
        popt=x, pcov=pcov, cost=cost, nfev=run.nfev, calls=calls, status=status, success=status > 0, reason=reason,
        absolute_sigma=absolute, robust=run.loss is not None, sigma=run.problem.sigma, _run=run, _ending=ending,
    )  # fmt: skip
    return CurveFit(entries, how)


def _poor_words(run: Run, how: dict[str, Any], apart: bool) -> tuple[str, bool]:
    """(words on a fit that is poor where another start may lead to a better one; whether it counts as a fit). Of one that is no nearer to
    the data than their mean, and of one that leaves most of them, if that is no noise: such a fit is one, as a model without a term for
    what is left has no better; so is one by a model without a level that is nearer to the data than 0 is, or leaves noise, if they tell
    its parameters apart, and one under a loss, or whose p0 was given. Nothing of a linear model, whose parameters are the best."""
    given, rests = how["_given"], run.box is not None and bool(np.any(run.active_mask))
    if surely_explains(run, how, POOR) or (rests and not given):  # or is poor by its bounds
        return "", True
    share = explained(run, how)
    likeness = "" if share <= NEARER or share >= POOR else likeness_of_residuals(run, how)
    if not (share <= NEARER or likeness) or _is_linear(run):
        return "", True
    figure = f"R^2 = {share:.3g}" if run.loss is None else f"its robust cost is {1.0 - share:.3g} of that of their median"
    none = "; p0 was not given, and no start of its own has led to a better"
    figure += ", and rests at bounds" if rests else ""
    if likeness:
        words = f"the curve leaves most of the variance of the data, {figure}, and not as noise: {likeness}"
        if given:
            return f"{words}; if the model has a term for what is left, it is found from another p0", True
        return f"{words}{none} fit: if the model has a term for what is left, give p0= near the parameters", True
    words = f"the curve is no nearer to the data than their mean is, {figure}"
    if given:
        return f"{words}; if other parameters lead nearer, it is from another p0", True
    near = _squares(how["ydata"], run.problem.sigma) * (1.0 - POOR) > 2.0 * run.core.cost
    if run.loss is not None or (apart and (near or not likeness_of_residuals(run, how))):
        return f"{words}{none} one: if other parameters lead nearer, give p0= near them", True
    return f"{words}{none} one: give p0= near the parameters", False


def _squares(y: Array, sigma: Any) -> float:
    """Their sum over the standard deviations: what a curve that is 0 leaves."""
    weighted = y.ravel() / (1.0 if sigma is None else sigma.ravel())
    return float(weighted @ weighted)


def _is_linear(run: Run) -> bool:
    """Whether the residuals are linear in all parameters, so that no others are nearer: as foreseen at twice popt or so, or, of a parameter
    that is about 0, as far from it as moves the curve by its misfit; from popt, or, as differences there have few digits, by two steps."""
    core, (lower, upper, held) = run.core, run.core.region
    each, left = np.linalg.norm(core.J, axis=0), float(np.linalg.norm(core.f))
    with np.errstate(all="ignore"):
        own = np.where(np.abs(core.x) * each > STRAIGHT * left, np.abs(core.x), np.minimum(left / each, np.maximum(1.0, np.abs(core.x))))
    move = np.where(held, 0.0, own * along(core.x.size))
    outside = (core.x + move < lower) | (core.x + move > upper)  # to the other side then, from which no parameter changes its sign either
    move = np.where(outside, -np.sign(move) * np.minimum(np.abs(move), np.where(move > 0.0, core.x - lower, upper - core.x)), move)
    ends = [core.x + 0.5 * move, core.x + move]  # no parameter changes its sign
    inside = all(np.all((lower <= at) & (at <= upper)) for at in ends)
    once, twice = (tried(run.problem.at, at) if inside else None for at in ends)
    if once is None or twice is None:
        return False
    first, second = once - core.f, twice - core.f
    straight = np.linalg.norm(second - 2.0 * first) <= STRAIGHT**2 * np.linalg.norm(second)
    if run.loss is not None:  # of which J is weighed by
        return bool(straight and np.any(move))
    straight = straight or np.linalg.norm(second - core.J @ move) <= STRAIGHT * np.linalg.norm(second)
    return bool(straight and rank_of(core.J) == np.count_nonzero(move))


def _offset_words(x: Any) -> str:
    """The cure where the data lie so far from 0 that steps made for a parameter of their size step over them, such as dates in seconds."""
    if not (isinstance(x, np.ndarray) and x.ndim == 1 and x.size > 1):
        return ""
    span, size = float(np.ptp(x)), float(np.max(np.abs(x)))
    if not (0.0 < span < size / FAR and size < math.inf):
        return ""
    return f"; xdata are as large as {size:.3g} and span {span:.3g}: fit over xdata - xdata[0], and start the parameters there"


def _why_singular(run: Run, how: dict[str, Any], rank: int, held: Any) -> str:
    """Why there is no inverse of J'J."""
    if not np.isfinite(run.core.J).all():
        return "f is not finite beside popt, and so its Jacobian is not: the fit was stopped there, and the best parameters may lie beyond"
    n = run.core.x.size
    if run.refused[0] == "insensitive":
        return f"{run.refused[1]}{_offset_words(how['xdata'])}"
    dead = [name for j, name in enumerate(how["_name"]()) if j in run.zeros.dead]
    words = f", and no residual depends on {', '.join(dead)}; f is called as f(xdata, *parameters)" if dead else ""
    words = words or _not_told_apart(run, how, ~held if held is not None else np.ones(n, bool))
    return f"the Jacobian has rank {rank} for {n} parameters{words}{_offset_words(how['xdata'])}"


def _not_told_apart(run: Run, how: dict[str, Any], free: Any) -> str:
    """Which parameters the data do not determine, where each of them has an effect."""
    lost = np.isinf(np.diagonal(covariance(run.curved_jacobian[:, free], 1.0)))
    names = [name for name, moves in zip(how["_name"](), free, strict=True) if moves]
    found = [name for name, gone in zip(names, lost, strict=True) if gone][:10]
    if len(found) < 2:
        return ""
    cure = "" if how["_given"] else "; p0 was not given: if they are told apart elsewhere, give p0= near there"
    return f": beside popt the data do not tell {', '.join(found[:-1])} and {found[-1]} apart{cure}"
