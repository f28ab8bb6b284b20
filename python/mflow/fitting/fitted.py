"""What `mflow.curve_fit` returns: SciPy's tuple, and everything else that a fit tells."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_number, real_array
from mflow.base.tables import Readable, Table, frame
from mflow.base.telling import counted, knows_other_words
from mflow.fitting.least_squares import covariance
from mflow.fitting.quantiles import chi_square_tails, student_quantile
from mflow.spectra.ranks import column_norms, rank_of

__all__ = ["CurveFit", "share_explained"]

FAR_OFF = 3e-5  # the probability of a chi^2 that sigma does not explain: that beyond 4 standard deviations of a normal number
NEAR_ONE = 0.95  # correlations that are told
DIGITS = 4  # of a standard error, down to the last of which its value and its interval are written
WHOLE = 17  # digits that tell any two float64 apart


def share_explained(squares: float, ydata: Any, sigma: Any) -> float:
    """The coefficient of determination of a curve that leaves this sum of squares over sigma; nan where the data are all equal.

    Examples
    --------
    >>> from mflow.fitting.fitted import share_explained
    >>> share_explained(1.0, [1.0, 2.0, 3.0], None)
    0.5
    """
    y = np.asarray(ydata, dtype=np.float64).ravel()
    weights = np.ones(y.size) if sigma is None else np.broadcast_to(1.0 / np.asarray(sigma, dtype=np.float64).ravel(), y.shape)
    with np.errstate(all="ignore"):
        about = weights * (y - np.average(y, weights=weights**2))
        total = float(about @ about)
        return 1.0 - squares / total if np.ptp(y) > 0.0 and 0.0 < total < math.inf else math.nan


@knows_other_words
class CurveFit(Readable, tuple[Any, ...]):
    """A fitted curve: ``popt, pcov = fit``, or SciPy's five entries with full_output; and more as attributes.

    Attributes
    ----------
    popt, pcov : float64 arrays (n,) and (n, n)
        Parameters and their covariance as SciPy gives it: infinite as a whole where the data do not determine all of them.
    covariance : float64 array (n, n)
        inf for those alone that are not determined.
    names : tuple of str
        Of the parameters.
    stderr, correlation : float64 arrays (n,) and (n, n)
        Standard errors, and their correlation.
    dof : int
        Degrees of freedom, m - n, parameters that are held not counted.
    residuals : float64 array (m,)
        (f - y)/sigma.
    rsquared : float
        The coefficient of determination.
    robust : bool
        Whether a loss was given.
    cost : float
        Half the sum of squares of the residuals; with a loss the robust cost, half the sum of f_scale^2 rho((residual/f_scale)^2).
    s : float
        Standard deviation of a residual, sqrt(2 cost/dof), and 1 with absolute_sigma. With a loss cost is the robust one, as in SciPy.
    rank, dead : int and tuple of str
        Of the Jacobian; names of parameters whose columns of it are 0.
    jac : float64 array (m, n)
        Over sigma.
    active_mask
        As in `least_squares`.
    nfev, calls : int
        Evaluations of the model, those for differences left out, and all calls of it until the fit was returned; with those of each start
        where the fit began again, and in calls those of the search for them.
    success, status, reason, message
        As in `least_squares`; -1 and "poor_fit" where p0 was not given, the curve is no nearer to the data than their mean is, and
        it leaves more than half of the sum of their squares or does not determine all parameters.
    f, xdata, ydata, sigma, absolute_sigma
        What was fitted; sigma is None for a covariance matrix.
    deviations : array or None
        sigma, or the roots of that matrix's diagonal.

    See Also
    --------
    mflow.curve_fit, mflow.plot.fit, mflow.LeastSquaresResult

    Notes
    -----
    ``print(fit)`` is a table; `mflow.plot.fit` a picture.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0.0, 2.0, 9)
    >>> fit = mflow.curve_fit(lambda x, rate: np.exp(-rate * x), x, np.exp(-1.5 * x), p0=[1.0])
    >>> popt, pcov = fit
    >>> popt.round(6).tolist(), fit.names, fit.dof
    ([1.5], ('rate',), 8)
    """

    popt: Array
    pcov: Array
    absolute_sigma: bool
    robust: bool
    f: Callable[..., Any]
    xdata: Any
    ydata: Array
    sigma: Array | None
    deviations: Array | None
    cost: float
    nfev: int
    calls: int
    status: int
    success: bool
    reason: str
    held: Any

    def __new__(cls, entries: tuple[Any, ...], attributes: dict[str, Any]) -> CurveFit:
        """The tuple of these entries, with these attributes, which it takes over."""
        made = super().__new__(cls, entries)
        made.__dict__ = attributes
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """For copies and pickles."""
        known = {k: v for k, v in self.__dict__.items() if k not in ("_run", "_ending", "_name")}
        return tuple(self), {
            **known,
            "jac": self.jac,
            "residuals": self.residuals,
            "names": self.names,
            "message": self.message,
            "active_mask": self.active_mask,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Nothing besides: `__getnewargs__` has it all."""
        return {}

    @cached_property
    def residuals(self) -> Array:
        """(f - y)/sigma at popt."""
        out: Array = self.__dict__["_run"].core.f
        return out

    @cached_property
    def jac(self) -> Array:
        """The Jacobian of the residuals; under a loss that which SciPy returns."""
        out: Array = self.__dict__["_run"].curved_jacobian
        return out

    @cached_property
    def message(self) -> str:
        """The ending in words."""
        out: str = self.__dict__["_run"].verdict(self.__dict__["_ending"])[2]
        return out

    @cached_property
    def active_mask(self) -> Any:
        """-1 at a lower bound, 1 at an upper one."""
        return self.__dict__["_run"].active_mask

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        out: tuple[str, ...] = self.__dict__["_name"]()
        return out

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        free = self.popt.size - (0 if self.held is None else int(np.sum(self.held)))
        return int(self.residuals.size - free)

    @property
    def s(self) -> float:
        """Standard deviation of a residual."""
        return 1.0 if self.absolute_sigma else math.sqrt(2.0 * self.cost / self.dof) if self.dof > 0 else math.nan

    @property
    def rsquared(self) -> float:
        """The coefficient of determination, ``1 - |(f - y)/sigma|^2 / |(mean - y)/sigma|^2`` with the mean that is weighted by 1/sigma^2.

        It is below 0 where the curve is farther from the data than their mean, and says little of curves that are not linear in their
        parameters; nan where the data are all equal, and under a covariance matrix.
        """
        if self.sigma is None and self.deviations is not None:
            return math.nan
        return share_explained(float(self.residuals @ self.residuals), self.ydata, self.sigma)

    @cached_property
    def covariance(self) -> Array:
        """The covariance, inf where the data do not determine a parameter; 0 for those that are held."""
        C, unit = self._scaled
        with np.errstate(over="ignore", under="ignore"):
            return C / unit / unit[:, None]

    @cached_property
    def _scaled(self) -> tuple[Array, Array]:
        """(the covariance of popt * unit, unit): powers of 2 near the lengths of the Jacobian's columns, so that no variance under- or
        overflows where parameters are very large or small."""
        n = self.popt.size
        free = np.ones(n, dtype=bool) if self.held is None else ~self.held
        norms = column_norms(self.jac)
        unit = np.exp2(np.round(np.log2(np.where(norms > 0.0, norms, 1.0))))
        out = np.zeros((n, n))
        out[np.ix_(free, free)] = covariance(self.jac[:, free] / unit[free], self.s**2)
        return out, unit

    @property
    def stderr(self) -> Array:
        """Standard errors."""
        C, unit = self._scaled
        return np.asarray(np.sqrt(np.diag(C)) / unit)

    @property
    def correlation(self) -> Array:
        """Correlations of the parameters; nan where a standard error is 0 or inf."""
        C, _ = self._scaled
        size = np.sqrt(np.diag(C))
        with np.errstate(invalid="ignore", divide="ignore"):
            out: Array = C / np.outer(size, size)
        return out

    @cached_property
    def rank(self) -> int:
        """Rank of the Jacobian, to rounding."""
        return rank_of(self.jac)

    @property
    def dead(self) -> tuple[str, ...]:
        """Names of parameters whose columns of the Jacobian are 0."""
        held = np.zeros(self.popt.size, dtype=bool) if self.held is None else self.held
        return tuple(name for j, name in enumerate(self.names) if not held[j] and not self.jac[:, j].any())

    # ---- intervals and bands --------------------------------------------------------------------------------------------------------

    def quantile(self, level: float = 0.95) -> float:
        """Student's t for intervals of this level; the normal distribution's with absolute_sigma."""
        level = check_number(level, "level", low=0.0, high=1.0, open_low=True, open_high=True)
        return student_quantile(level, math.inf if self.absolute_sigma else float(self.dof))

    def intervals(self, level: float = 0.95) -> Array:
        """Confidence intervals of the parameters, (n, 2), from the linear model at popt, which knows nothing of bounds."""
        half = self.quantile(level) * self.stderr
        return np.stack([self.popt - half, self.popt + half], axis=1)

    def __call__(self, x: Any = None) -> Array:
        """The fitted curve at x; at the data if not given."""
        return np.asarray(self.f(self._points(x), *self.popt), dtype=np.float64)

    def _points(self, x: Any) -> Any:
        """What the curve takes as x: the data's where none is given, lists as float64."""
        if x is None:
            return self.xdata
        return np.asarray(x, dtype=np.float64) if isinstance(x, (list, tuple)) else x

    def confidence_band(self, x: Any = None, level: float = 0.95) -> tuple[Array, Array]:
        """(lower, upper) ends of the confidence interval of the curve at each x, from the linear model at popt.

        Parameters
        ----------
        x : array_like, optional
            The data's if not given.
        level : float

        Returns
        -------
        tuple of ndarray
            nan where the data do not determine a parameter on which the curve depends.
        """
        return self._band(x, level, None)

    def prediction_band(self, x: Any = None, level: float = 0.95, sigma: Any = None) -> tuple[Array, Array]:
        """(lower, upper) ends of the interval in which one more measurement at x lies.

        Parameters
        ----------
        x, level
            As in `confidence_band`.
        sigma : float or array_like, optional
            What `curve_fit` was given as sigma for the data, of the new measurement. If not given, that of the data: where they have
            different ones, and x is given, it is interpolated between theirs.

        Returns
        -------
        tuple of ndarray
            nan as in `confidence_band`, and where sigma would have to be told from beyond the data.

        Raises
        ------
        ValueError
            sigma is not given, and the data's cannot be interpolated: xdata are no vector, or hold one x with two different sigma.
        """
        values = self._deviation_at(x) if sigma is None else real_array(sigma, "sigma")
        return self._band(x, level, values)

    def _deviation_at(self, x: Any) -> Array:
        """The data's sigma at x, 1 where there is none. Raises ValueError where it is not known."""
        known = np.ones(1) if self.deviations is None else np.asarray(self.deviations, dtype=np.float64).ravel()
        if known.min() == known.max():
            return known[:1]
        if x is None:
            return known
        at = np.asarray(self.xdata)
        if at.shape not in ((known.size,), (known.size, 1), (1, known.size)) or at.dtype.kind not in "iuf":
            raise ValueError("sigma: expected that of the new measurement, as xdata are no vector along which the data's goes; give sigma=")
        at = at.ravel()
        order = np.lexsort((known, at))
        at, known = at[order], known[order]
        if np.any((np.diff(at) == 0.0) & (np.diff(known) != 0.0)):
            raise ValueError("sigma: expected that of the new measurement, as the data have different ones at the same x; give sigma=")
        out = np.interp(np.asarray(self._points(x), dtype=np.float64).ravel(), at, known, left=math.nan, right=math.nan)
        return np.asarray(out)

    def _band(self, x: Any, level: float, sigma: Array | None) -> tuple[Array, Array]:
        t, middle = self.quantile(level), self(x)
        slopes = self._slopes(self._points(x), middle)
        used = slopes.any(axis=0)
        C, unit = self._scaled
        C, slopes = np.where(np.outer(used, used), C, 0.0), slopes / unit
        with np.errstate(invalid="ignore"):
            variance = np.einsum("ij,jk,ik->i", slopes, C, slopes).reshape(middle.shape)
        variance = np.where(np.isfinite(variance), variance, math.nan)
        half = t * np.sqrt(variance if sigma is None else variance + (self.s * sigma) ** 2)
        return middle - half, middle + half

    def _slopes(self, x: Any, middle: Array) -> Array:
        """The curve's derivatives with respect to the parameters, by central differences, (points, n)."""
        out = np.zeros((middle.size, self.popt.size))
        for j, value in enumerate(self.popt):
            h = 2.0**-17 * (abs(value) or 1.0)
            up, down = self.popt.copy(), self.popt.copy()
            up[j], down[j] = value + h, value - h
            change = np.asarray(self.f(x, *up), dtype=np.float64) - np.asarray(self.f(x, *down), dtype=np.float64)
            out[:, j] = np.broadcast_to(change, middle.shape).ravel() / (up[j] - down[j])
        return out

    # ---- words ----------------------------------------------------------------------------------------------------------------------

    def to_frame(self, level: float = 0.95) -> Any:
        """The parameters as a pandas DataFrame.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        pandas.DataFrame
            A row a parameter: ``name``, ``value``, ``stderr`` (0 where it is held), ``lower`` and ``upper`` of `intervals`, ``held``.
            ImportError without pandas.

        Examples
        --------
        >>> import numpy as np, mflow
        >>> fit = mflow.curve_fit(lambda x, a, b: a + b * x, [0.0, 1.0, 2.0, 3.0], [1.0, 3.1, 4.9, 7.0])
        >>> fit.to_frame()["value"].round(3).tolist()
        [1.03, 1.98]
        """
        lower, upper = self.intervals(level).T
        held = np.zeros(self.popt.size, dtype=bool) if self.held is None else np.asarray(self.held, dtype=bool)
        columns = {"name": self.names, "value": self.popt, "stderr": self.stderr, "lower": lower, "upper": upper, "held": held}
        return frame(columns)

    def _parts(self) -> list[str | Table]:
        ends = self.intervals() if self.dof > 0 or self.absolute_sigma else np.full((self.popt.size, 2), math.nan)
        rows = []
        for j, name in enumerate(self.names):
            held = self.held is not None and self.held[j]
            bound = {-1: "at its lower bound", 1: "at its upper bound"}.get(int(self.active_mask[j]), "")
            error = "held" if held else f"{self.stderr[j]:.4g}"
            share = f"{abs(100.0 * self.stderr[j] / self.popt[j]):.2g} %" if self.popt[j] and not held else ""
            interval = "" if held else _interval(ends[j], self.stderr[j])
            rows.append([name, f"{self.popt[j]:.{_digits(self.popt[j], self.stderr[j])}g}", error, share, interval, bound])
        heads = ["parameter", "value", "standard error", "relative", "95 % interval", "bound"]
        shown = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
        return [self._heading(), "", Table(heads[:shown], [row[:shown] for row in rows]), "", *self._notes()]

    def _heading(self) -> str:
        count = self.popt.size
        name = getattr(self.f, "__name__", type(self.f).__name__)
        return f"{name}: {counted(count, 'parameter')}, {self.residuals.size} data, {self.reason} after {counted(self.nfev, 'evaluation')}"

    def _notes(self) -> list[str]:
        what = f"robust cost {self.cost:.6g}" if self.robust else f"sum of squares {2.0 * self.cost:.6g}"
        unit = "" if self.deviations is None else " over its sigma"
        spread_of_one = f"standard deviation of a residual{unit} {self.s:.4g}"
        if self.absolute_sigma:  # chi^2 tells that
            spread_of_one = "standard errors take sigma as it is"
        notes = [f"{what} with {self.dof} degrees of freedom, {spread_of_one}"]
        miss, spread = self() - self.ydata, self.ydata - np.mean(self.ydata)
        if self.sigma is None and not self.robust and float(np.sum(spread**2)) > 0.0:
            notes[0] += f", R^2 = {1.0 - float(np.sum(miss**2) / np.sum(spread**2)):.6f}"
        notes += self._chi_square_notes()
        free = self.popt.size - (0 if self.held is None else int(np.sum(self.held)))
        if np.any(self.active_mask):
            notes.append("intervals are those of the linear model without bounds: at a bound they reach beyond it")
        if not np.isfinite(self.jac).all():
            notes.append("the model is not finite beside these parameters, so their errors are not known, and better ones may lie beyond")
        elif self.rank < free:
            dead = f": {', '.join(self.dead)} without effect" if self.dead else ""
            notes.append(
                f"beside these values the data do not determine all parameters: the Jacobian has rank {self.rank} for {free}{dead}"
            )
        C = self.correlation
        for i in range(self.popt.size):
            for j in range(i):
                if abs(C[i, j]) > NEAR_ONE:
                    notes.append(f"correlation of {self.names[j]} and {self.names[i]}: {C[i, j]:.4f}")
        return notes

    def _chi_square_notes(self) -> list[str]:
        """Whether residuals are as large as an absolute sigma has them."""
        if not self.absolute_sigma or self.robust or self.deviations is None or self.dof < 1:
            return []
        ratio = 2.0 * self.cost / self.dof
        told = f"chi^2 per degree of freedom {ratio:.4g}"
        if min(chi_square_tails(2.0 * self.cost, self.dof)) > FAR_OFF:
            return [f"{told}, which sigma explains"]
        if ratio > 1.0:
            size, why = f"{math.sqrt(ratio):.3g} times as large as sigma says", "sigma is too small, or the curve is not that of the data"
            return [f"{told}: residuals are {size}; {why}, and standard errors are too small"]
        size, why = f"{math.sqrt(ratio):.3g} of what sigma says", "sigma is too large, or the data are not independent"
        return [f"{told}: residuals are {size}; {why}, and standard errors may be too large"]

    __repr__ = Readable.__str__


def _digits(value: float, error: float) -> int:
    """The digits of a value whose last is the fourth of its standard error; 8 where that tells nothing.

    Examples
    --------
    >>> from mflow.fitting.fitted import _digits
    >>> f"{1701727512.3456:.{_digits(1701727512.3456, 668.5)}g}"
    '1701727512.3'
    """
    if not (math.isfinite(value) and math.isfinite(error) and value and error > 0.0):
        return 8
    beyond = math.floor(math.log10(abs(value))) - math.floor(math.log10(error))
    return min(max(beyond, 0) + DIGITS, WHOLE - 2)


def _interval(ends: Array, error: float) -> str:
    """The ends of an interval in digits that tell them apart; its middle and half its length where no float64 do."""
    low, high = float(ends[0]), float(ends[1])
    if low == high:
        return f"{low:.{WHOLE - 2}g} +- {error:.2g}" if error else f"{low:.8g}"
    least = max(_digits(low, error), _digits(high, error))
    told = ((f"{low:.{n}g}", f"{high:.{n}g}") for n in range(least, WHOLE + 1))
    return " ... ".join(next((pair for pair in told if pair[0] != pair[1]), (str(low), str(high))))
