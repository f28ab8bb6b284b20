"""Curves that are fitted every day, compiled (`mflow_core.objectives.objectives_curves`), and starting values for them.

Each has a record there with its formula, which names its parameters; these records are the list of curves.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective, records

from mflow.base.checks import Array, check_start, finite_array, real_array, shown
from mflow.base.telling import knows_other_words

__all__ = ["check_curve", "curve", "curve_names", "parameter_names", "starting_values"]


@functools.cache
def curve_names() -> tuple[str, ...]:
    """Names of the curves."""
    return tuple(name for name, family, *_ in records() if family == "curves")


LINES = ("linear", "line", "straight_line", "linear_regression", "affine")  # which are no curves


def check_curve(name: Any) -> str:
    """The name of a curve. Raises ValueError with the nearest ones."""
    if not isinstance(name, str) or name not in curve_names():
        given = repr(name) if isinstance(name, str) else shown(name)
        near = difflib.get_close_matches(name.lower(), curve_names(), n=1, cutoff=0.6) if isinstance(name, str) else []
        near = near or [one for one in curve_names() if isinstance(name, str) and name and one.startswith(name.lower())]
        if isinstance(name, str) and name.lower() in LINES:
            raise ValueError(f"name: expected that of a curve, got {given}; a straight line is a function: lambda x, a, b: a * x + b")
        meant = f"did you mean {near[0]!r}? A" if near else "a"
        raise ValueError(
            f"name: expected that of a curve, {', '.join(curve_names())}, got {given}; {meant} formula of your own is a function"
        )
    return str(name)


def _formula(name: str) -> str:
    return next(formula for one, _, formula, *_ in records() if one == name)


@functools.cache
def parameter_names(name: str) -> tuple[str, ...]:
    """Those in its formula, f(x; a, b) = ..."""
    found = re.match(r"f\(x; ([^)]*)\)", _formula(name))
    return tuple(found.group(1).split(", ")) if found else ()


@knows_other_words
def curve(name: str, x: Any, y: Any = None, *, x0: Any = None) -> Objective:
    """A common curve with its data: half the sum of squared residuals, compiled.

    Parameters
    ----------
    name : str
        "exponential" a e^(-k x) + c, "gaussian_peak" a e^(-(x - m)^2/(2 s^2)) + c, "logistic_growth" l/(1 + e^(-k (x - m))), "sine"
        a sin(w x + p) + c, "power_law" a x^b, "michaelis_menten" v x/(k + x); parameters in this order.
    x : array_like (m,)
    y : array_like (m,), optional
        Without it the residuals are the curve itself.
    x0 : array_like (n,), optional
        The start; `starting_values` of the data if not given.

    Returns
    -------
    Objective
        For `least_squares`, `least_squares_batch`, `minimize` and the other drivers.

    Raises
    ------
    TypeError, ValueError
        An unknown name, data that do not fit or are not finite.

    See Also
    --------
    mflow.curve_fit, mflow.starting_values

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.curve("power_law", [1.0, 2.0, 3.0], [2.0, 8.0, 18.0])
    >>> mflow.least_squares(f, f.x0).x.round(10).tolist()
    [2.0, 2.0]
    """
    check_curve(name)
    points = _data(x, "x")
    labels = None if y is None else _data(y, "y")
    if labels is not None and labels.shape != points.shape:
        raise ValueError(f"y: expected shape {points.shape}, as x has, got shape {labels.shape}")
    if labels is not None:
        _check_domain(name, points)
    n = len(parameter_names(name))
    if x0 is None:
        start = np.ones(n) if labels is None else starting_values(name, points, labels)
    else:
        start = check_start(x0, "x0")
        if start.shape != (n,):
            raise ValueError(
                f"x0: expected shape ({n},), one number for each of {', '.join(parameter_names(name))}, got shape {start.shape}"
            )
    objective = Objective()
    objective.fill(name, (n,), start, points, labels, factor=0.5)
    return objective


def _data(value: Any, argument: str) -> Array:
    data = finite_array(real_array(value, argument), argument)
    if data.ndim != 1 or not data.size:
        raise ValueError(f"{argument}: expected a vector of numbers, got shape {data.shape}")
    return np.ascontiguousarray(data)


def _check_domain(name: str, x: Array) -> None:
    """Raises ValueError where a curve for x >= 0 is asked of negative numbers, as a power by any exponent is not real there."""
    below = np.flatnonzero(x < 0.0)
    if below.size and _formula(name).endswith("for x >= 0"):
        cure = 'fit over abs(x), or x - x.min(), or write a function of your own, as with a whole power, "lambda x, a: a * x**2"'
        raise ValueError(f"x: expected numbers from 0 on, as {name} is not real for others, got x[{below[0]}] = {x[below[0]]:g}; {cure}")


# ---- starting values ------------------------------------------------------------------------------------------------------------------


@knows_other_words
def starting_values(name: str, x: Any, y: Any) -> Array:
    """Starting values of a common curve's parameters, from the data alone.

    Linear least squares where the curve, or its logarithm, integral or reciprocal, is linear in its parameters; the largest peak of the
    spectrum (sine, over x resampled evenly), or moments of the data (gaussian_peak).

    Parameters
    ----------
    name : str
        As in `mflow.objectives.curve`.
    x, y : array_like (m,)

    Returns
    -------
    ndarray (n,)
        In the order of the curve's formula; for `curve_fit` they serve as p0.

    Raises
    ------
    TypeError, ValueError
        An unknown name, or data that are no vectors of finite numbers of one length.

    See Also
    --------
    mflow.curve_fit

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0, 5, 40)
    >>> mflow.starting_values("exponential", x, 3 * np.exp(-0.8 * x) + 1).round(2).tolist()
    [3.0, 0.8, 1.0]

    References
    ----------
    J. Jacquelin, Regressions et equations integrales (2009), for the exponential.
    """
    check_curve(name)
    a, b = _data(x, "x"), _data(y, "y")
    if a.shape != b.shape:
        raise ValueError(f"y: expected shape {a.shape}, as x has, got shape {b.shape}")
    order = np.argsort(a, kind="stable")
    with np.errstate(all="ignore"):
        found = np.asarray(STARTS[name](a[order], b[order]), dtype=np.float64)
    return np.where(np.isfinite(found), found, 1.0)


def _solve(columns: list[Array], y: Array) -> Array:
    """By least squares; NaN where a column has overflowed, which LAPACK does not take."""
    base = np.stack(columns, axis=1)
    if not (np.isfinite(base).all() and np.isfinite(y).all()):
        return np.full(len(columns), math.nan)
    return np.asarray(np.linalg.lstsq(base, y, rcond=None)[0], dtype=np.float64)


def _exponential(x: Array, y: Array) -> list[float]:
    """y' = -k (y - c), integrated from the first point on: y - y_1 = -k S + k c (x - x_1), S the integral of y."""
    S = np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(x))])
    k = -float(_solve([S, x - x[0]], y - y[0])[0])
    k = k if math.isfinite(k) and k != 0.0 else 1.0 / max(float(np.ptp(x)), 1e-300)
    reach = 300.0 / max(float(np.max(np.abs(x))), 1e-300)
    k = min(max(k, -reach), reach)
    a, c = _solve([np.exp(-k * x), np.ones_like(x)], y)
    return [float(a), k, float(c)]


def _gaussian(x: Array, y: Array) -> list[float]:
    """Foot and height from the data's edges and extreme, the width from the area under the peak."""
    edge = max(1, x.size // 10)
    foot = float(np.median(np.concatenate([y[:edge], y[-edge:]])))
    above = y - foot
    top = int(np.argmax(np.abs(above)))
    height = float(above[top])
    same = np.where(above * np.sign(height) > 0.3 * abs(height), np.abs(above), 0.0)
    centre = float(np.sum(same * x) / np.sum(same)) if same.any() else float(x[top])
    area = float(np.sum(0.5 * (above[1:] + above[:-1]) * np.diff(x)))
    width = abs(area / height) / math.sqrt(2.0 * math.pi) if height else 0.0
    reach = float(np.ptp(x)) or 1.0
    return _likelier_peak(x, y, [height, centre, min(max(width, reach / max(1, x.size)), reach), foot], reach)


PEAK_POINTS = 200  # so many points at most tell peaks apart


def _likelier_peak(x: Array, y: Array, start: list[float], reach: float) -> list[float]:
    """The start, or the best of a few peaks of other centres and widths, a and c by linear least squares, where its misfit is below half of
    the start's: a wide peak's extreme may be the foot of its far side."""
    some = slice(None, None, -(-x.size // PEAK_POINTS))
    x, y = x[some], y[some]
    centres = np.concatenate([[start[1]], np.repeat(x[0] + reach * np.linspace(-0.1, 1.1, 25), 9)])
    widths = np.concatenate([[start[2]], np.tile(reach * 2.0 ** np.arange(-5.0, -0.5, 0.5), 25)])
    peaks = np.exp(-0.5 * ((x[:, None] - centres) / widths) ** 2)
    peaks, level = peaks - peaks.mean(axis=0), y - y.mean()
    a = (level @ peaks) / np.sum(peaks * peaks, axis=0)
    misfits = np.sum((level[:, None] - a * peaks) ** 2, axis=0)
    best = int(np.nanargmin(misfits)) if np.isfinite(misfits[0]) else 0
    if not misfits[best] < 0.5 * misfits[0]:
        return start
    shape = np.exp(-0.5 * ((x - centres[best]) / widths[best]) ** 2)
    return [float(a[best]), float(centres[best]), float(widths[best]), float(y.mean() - a[best] * shape.mean())]


def _logistic(x: Array, y: Array) -> list[float]:
    """log(y/(l - y)) = k (x - m), l a little above the largest value."""
    sign = 1.0 if abs(float(y.max())) >= abs(float(y.min())) else -1.0
    top = sign * float(np.max(sign * y)) * 1.02
    share = np.clip(y / top, 0.0, 1.0) if top else np.zeros_like(y)
    used = (share > 0.05) & (share < 0.95)
    if np.count_nonzero(used) < 2:
        used = (share > 0.0) & (share < 1.0)
    if np.count_nonzero(used) < 2:
        return [top, 1.0, float(np.mean(x))]
    k, shift = _solve([x[used], np.ones(int(used.sum()))], np.log(share[used] / (1.0 - share[used])))
    return [top, float(k), float(-shift / k) if k else float(np.mean(x))]


def _sine(x: Array, y: Array) -> list[float]:
    """The largest peak of the spectrum between bins, or of the periodogram where times are few and not even, then the rest by linear least
    squares."""
    gaps = np.diff(x)
    if x.size <= FEW and float(gaps.max(initial=0.0)) > 1.01 * float(gaps.min(initial=math.inf)):
        guess, width = _uneven_frequency(x, y)
        tried = guess + width * np.linspace(-1.0, 1.0, 41)
    else:
        tried = _even_frequency(x, y) * np.linspace(0.8, 1.2, 41)
    misses = [_sine_at(x, y, w)[1] for w in tried]
    w = float(tried[int(np.argmin(misses))])
    (s, c, level), _ = _sine_at(x, y, w)
    return [math.hypot(s, c), w, math.atan2(c, s), float(level)]


FEW = 200  # uneven times, of which each frequency is tried by itself; more are as good as even
OVERSAMPLED = 8  # frequencies in the width of a peak of the periodogram
MOST_FREQUENCIES = 20_000


def _uneven_frequency(x: Array, y: Array) -> tuple[float, float]:
    """(w, distance of two that were tried) of the sine with an offset that is nearest to the data, up to half a turn in a short gap;
    NaN where the span of x, or the frequencies, have no number.

    References
    ----------
    N. R. Lomb, Astrophys. Space Sci. 39 (1976) 447-462; M. Zechmeister and M. Kuerster, Astron. Astrophys. 496 (2009) 577-584.
    """
    x, y = x - x.mean(), y - y.mean()
    gaps, span = np.diff(x), float(np.ptp(x))
    step = 2.0 * math.pi / (OVERSAMPLED * span)
    if not 0.0 < step < math.inf:
        return math.nan, math.nan
    top = math.pi / float(np.quantile(gaps[gaps > 0.0], 0.1))
    best, found, count = math.inf, step, int(min(top / step, MOST_FREQUENCIES))
    for at in range(1, count + 1, FEW):
        w = step * np.arange(at, min(at + FEW, count + 1))
        s, c, one = np.sin(np.outer(w, x)), np.cos(np.outer(w, x)), np.ones_like(w)
        ss, cc, sc, s1, c1 = np.sum(s * s, axis=1), np.sum(c * c, axis=1), np.sum(s * c, axis=1), s.sum(axis=1), c.sum(axis=1)
        normal = np.array([[ss, sc, s1], [sc, cc, c1], [s1, c1, x.size * one]]).transpose(2, 0, 1) + 1e-9 * x.size * np.eye(3)
        right = np.stack([s @ y, c @ y, 0.0 * one], axis=1)
        misfit = y @ y - np.einsum("ki,ki->k", right, np.linalg.solve(normal, right[..., None])[..., 0])
        k = int(np.argmin(misfit))
        if misfit[k] < best:
            best, found = float(misfit[k]), float(w[k])
    return found, step


def _even_frequency(x: Array, y: Array) -> float:
    count = max(x.size, 8)
    even = np.linspace(x[0], x[-1], count)
    level = np.interp(even, x, y)
    level = level - level.mean()
    padded = 8 * count
    power = np.abs(np.fft.rfft(level * np.hanning(count), padded))
    lowest = max(1, padded // (2 * count))
    peak = lowest + int(np.argmax(power[lowest:]))
    step = float(even[1] - even[0]) or 1.0
    return 2.0 * math.pi * peak / (padded * step)


def _sine_at(x: Array, y: Array, w: float) -> tuple[Array, float]:
    columns = [np.sin(w * x), np.cos(w * x), np.ones_like(x)]
    found = _solve(columns, y)
    miss = y - np.stack(columns, axis=1) @ found
    return found, float(miss @ miss)


def _power_law(x: Array, y: Array) -> list[float]:
    """log |y| = log |a| + b log x, each weighed by y, whose error a logarithm divides by it."""
    sign = 1.0 if float(np.sum(y)) >= 0.0 else -1.0
    used = (x > 0.0) & (sign * y > 0.0)
    if np.count_nonzero(used) < 2:
        return [float(np.mean(y)) or 1.0, 1.0]
    weight = np.abs(y[used])
    shift, b = _solve([weight, weight * np.log(x[used])], weight * np.log(weight))
    return [sign * math.exp(min(float(shift), 700.0)), float(b)]


def _michaelis_menten(x: Array, y: Array) -> list[float]:
    """y (k + x) = v x, linear in v and k."""
    v, k = _solve([x, -y], x * y)
    if not (k > 0.0 and math.isfinite(k)):
        v, k = float(y[np.argmax(np.abs(y))]), float(np.median(x))
    return [float(v), float(k)]


STARTS = {
    "exponential": _exponential, "gaussian_peak": _gaussian, "logistic_growth": _logistic, "sine": _sine, "power_law": _power_law,
    "michaelis_menten": _michaelis_menten,
}  # fmt: skip
