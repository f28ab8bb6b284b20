"""Posedness of y' = F(t, y), from the eigenvalues of its Jacobian, at a point and along a path.

A small error d grows or fades like d' = J d, J = dF/dy (the variational equation). An eigenvalue of J with a positive real part makes the
problem ill-posed: small errors, in the start or of the solver, become large ones. All real parts negative: well-posed, errors fade.
0: linearly stable, errors stay and may add up. An eigenvalue as near to 0 as errors of J or of the solver is suspect.

    error of an eigenvalue      (error of J) * condition, from left and right eigenvectors; where m of them coincide at most its m-th root
    large n                     bounds of the largest real part (`mflow.spectra.outer`), from the entries of J where they are given or few,
                                else from products J v = (F(y + h v) - F(y - h v))/(2h); the verdict is "not known" where 0 lies between
    growth along a path         singular values of the propagator (`mflow.analysis.growth`)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from mflow_core import registry
from mflow_core.stepping import stepper
from numpy.typing import ArrayLike, NDArray

from mflow.analysis.field import Field, NotFiniteError
from mflow.analysis.growth import Growth, growth_along
from mflow.analysis.results import Posedness, PosednessPath
from mflow.base.checks import (
    Array,
    check_flags,
    check_number,
    check_start,
    check_vector,
    check_whole,
)
from mflow.base.result import IVPResult, Origin, origin_of
from mflow.base.telling import knows_other_words, tell
from mflow.spectra.outer import dense_values, known, outer_values
from mflow.spectra.similar import balancing

__all__ = ["DENSE", "HermitePath", "of_result", "point_verdict", "posedness", "posedness_along", "verdicts_along"]

DENSE = 400  # components up to which all eigenvalues are computed
NEAR = 1e-8  # suspect: real parts below this share of the largest eigenvalue
MARGIN = 100.0  # or below this many errors of the eigenvalue
VAGUE = 1e-4  # errors of an eigenvalue above this share of the Jacobian leave open what it is
HALVINGS = 24  # of the time between two points, where the verdict changes
NARROW = 1e-3  # relative width of an interval that is said as one number
FAR = 0.05  # of the largest eigenvalue: the numerical range reaches farther than the eigenvalues by this
GAP = 0.2  # part of a slope: a path whose middles are off by more does not tell what happens between its points
ALONG = 0.05  # share of the products that each point of a path may use
ORDER = ("well-posed", "linearly stable", "suspect", "not known", "ill-posed")  # from the best to the worst
MEANING = {
    "well-posed": "small errors fade",
    "linearly stable": "small errors neither grow nor fade exponentially, and may add up to a slow drift",
    "suspect": "an eigenvalue is so near to 0 that errors of the Jacobian, or of a solver, decide its sign",
    "not known": "what is known of the eigenvalues does not decide whether small errors grow or fade",
    "ill-posed": "small errors grow",
}


def _check_symmetric(symmetric: Any) -> None:
    if symmetric is not None:
        check_flags(symmetric=symmetric)


@knows_other_words
def posedness(
    fun: Any, t: float, y: ArrayLike, *, jac: Any = None, symmetric: bool | None = None, args: tuple[Any, ...] = (), near: float = NEAR
) -> Posedness:
    """Whether y' = F(t, y) is well-posed around a point, from the eigenvalues of its Jacobian.

    Parameters
    ----------
    fun : callable, array_like (n, n), SciPy sparse matrix or LinearOperator
        ``fun(t, y, *args)`` returns the slopes (n,), or the Jacobian itself, (n, n); or a constant Jacobian.
    t : float
    y : array_like, any shape with n entries
    jac : callable, array_like (n, n), SciPy sparse matrix or LinearOperator, optional
        The Jacobian, where fun is the slope; by default central differences. A function may return any of the others.
    symmetric : bool, optional
        Whether the Jacobian is symmetric, as that of a gradient flow. Determined if not given.
    args : tuple
        Further arguments of fun and jac.
    near : float
        An eigenvalue whose real part is below this share of the largest one counts as suspect.

    Returns
    -------
    Posedness
        ``verdict`` ("ill-posed", "well-posed", "linearly stable", "suspect", "not known"), ``eigenvalues`` by falling real part (all up
        to 400 components, outer ones beyond), ``growth_rate``, ``growth_interval`` (its bounds), ``probability``, ``doubling_time``,
        ``numerical_abscissa``; of a gradient flow ``index`` and ``geometry``.

    Raises
    ------
    TypeError, ValueError
        A value of fun or jac does not fit y, or is not finite.

    See Also
    --------
    mflow.posedness_along, mflow.basins, mflow.family

    Notes
    -----
    Of more than 400 components the verdict is that of bounds of the largest real part, "not known" where 0 lies between them. Of a
    symmetric Jacobian there are bounds whatever its size; the upper one rests on a random start vector, from a fixed seed. One that is
    not symmetric needs its entries, or products with its transpose: a LinearOperator with rmatvec. Entries are found from the slope where
    they stand on a few diagonals, as those of differences on a grid, or up to 2000 components (SciPy is needed for the former). Where
    rounding moves eigenvalues across 0, as where many eigenvectors coincide, the verdict is "not known" for few components, too.

    Examples
    --------
    >>> import mflow
    >>> mflow.posedness(lambda t, y: -y, 0.0, [1.0]).verdict
    'well-posed'
    >>> saddle = mflow.posedness(lambda t, c: [-c[0], c[1]], 0.0, [0.0, 0.0])
    >>> saddle.verdict, saddle.geometry
    ('ill-posed', 'a saddle: the cost falls away in 1 of 2 directions')

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), I.14; G. Golub and C. Van Loan, Matrix
    Computations (2013), 7.2.2; L. N. Trefethen and M. Embree, Spectra and Pseudospectra (2005).
    """
    start, near = check_start(y, "y"), check_number(near, "near", low=0.0)
    _check_symmetric(symmetric)
    field = Field(fun, check_number(t, "t"), start, jac, args)
    return point_verdict(field, float(t), start.ravel(), symmetric, near)


def point_verdict(field: Field, t: float, y: Array, symmetric: bool | None, near: float, budget: float = 1.0) -> Posedness:
    """`posedness` at a point of a field; budget: the share of products that may be used where there are many components."""
    if field.n == 0:
        raise ValueError("y: expected at least one component, got none")
    if field.n <= DENSE:
        view = _of_all(*field.entries(t, y), field.sign, symmetric, near)
    else:
        view = _of_outer(field, t, y, symmetric, near, budget)
    verdict, low, high = view.verdict, view.low, view.high
    doubling = math.log(2.0) / view.rate if verdict == "ill-posed" and view.rate > 0.0 else math.inf
    index, geometry = None, ""
    if view.symmetric and field.sign > 0.0 and verdict != "not known":
        index, geometry = _geometry(field, t, y, view.values, view.kinds)
    text = f"{verdict} at t = {t:g}: {MEANING[verdict]}; {_rate_in_words(view)}"
    if verdict == "ill-posed":
        text += f", an error doubles in {'' if view.narrow else 'about '}{doubling:.3g}"
    text += _far_from_normal(view)
    if geometry:
        text += f"; as a gradient flow: {geometry}"
    return Posedness(
        verdict=verdict,
        t=t,
        y=y.reshape(field.shape).copy(),
        eigenvalues=view.values,
        complete=len(view.values) == field.n,
        error=float(np.max(view.errors, initial=0.0)),
        growth_rate=view.rate,
        doubling_time=doubling,
        index=index,
        geometry=geometry,
        text=text,
        growth_interval=(low, high),
        probability=view.probability,
        numerical_abscissa=view.abscissa,
    )


class _View(NamedTuple):
    """What is known of the eigenvalues at a point, by falling real part. low, high, probability: as of `Posedness.growth_interval`."""

    values: NDArray[np.complex128]
    errors: Array
    kinds: list[str]
    symmetric: bool
    verdict: str
    rate: float
    low: float
    high: float
    probability: float
    abscissa: float

    @property
    def narrow(self) -> bool:
        """Whether four digits of the rate are known."""
        return self.high - self.low <= NARROW * max(abs(self.rate), NEAR * float(np.max(np.abs(self.values), initial=0.0)))


def _of_all(J: Array, errors_of_J: Array, sign: float, symmetric: bool | None, near: float) -> _View:
    """From all eigenvalues of a matrix, balanced; where their errors leave the verdict open, from those of a similar matrix nearer to
    normal."""
    error = float(np.linalg.norm(errors_of_J))
    outmost = float(np.linalg.eigvalsh(0.5 * sign * (J + J.T))[-1]) + error
    if symmetric is None:
        symmetric = float(np.linalg.norm(J - J.T)) <= 10.0 * error
    if not symmetric:  # components in other units: their errors differ as they do
        d = balancing(J)
        J, error = J * d / d[:, None], float(np.linalg.norm(errors_of_J * d / d[:, None]))
    values, errors = dense_values(J, error, symmetric)
    values = sign * values
    size = max(float(np.max(np.abs(values))), float(np.linalg.norm(J)))
    if not symmetric and _verdict_of(_kinds(values, errors, near, size)) == "not known":
        out = outer_values(known(sign * J, error / math.sqrt(len(J))), False)
        if len(out.values) == len(J):
            values, errors = out.values, out.errors
    order = np.argsort(-values.real, kind="stable")
    values, errors = values[order], errors[order]
    kinds = _kinds(values, errors, near, size)
    rate = float(values[0].real) + 0.0  # never -0
    abscissa = rate if symmetric else outmost - float(np.linalg.norm(errors_of_J))
    low, high = float(np.max(values.real - errors)), min(float(np.max(values.real + errors)), outmost)
    return _View(values, errors, kinds, symmetric, _verdict_of(kinds), rate, low, high, 1.0, abscissa)


def _of_outer(field: Field, t: float, y: Array, symmetric: bool | None, near: float, budget: float) -> _View:
    """From outer eigenvalues, where the verdict is that of the interval of the largest real part."""
    out, ends, noise, symmetric = field.outer(t, y, symmetric, budget)
    order = np.argsort(-out.values.real, kind="stable")
    values, errors, sure = out.values[order], out.errors[order], out.sure[order]
    close = max(near * float(np.max(np.abs(values), initial=0.0)), noise)
    if out.low > close:
        verdict = "ill-posed"
    elif out.high < -close:
        verdict = "well-posed"
    elif out.high - out.low > 10.0 * close:
        verdict = "not known"
    else:
        verdict = "linearly stable" if max(abs(out.low), abs(out.high)) <= 2.0 * noise else "suspect"
    kinds = [verdict] + [
        "ill-posed" if value > close and certain else "well-posed" if value < -close else "suspect"
        for value, certain in zip(values.real[1:], sure[1:], strict=True)
    ]
    if verdict == "ill-posed":  # a ghost, or a value that has not converged, is no direction
        keep = np.array([True] + [kind != "suspect" for kind in kinds[1:]])
        values, errors, kinds = values[keep], errors[keep], [kind for kind, kept in zip(kinds, keep, strict=True) if kept]
    rate = out.about + 0.0
    return _View(values, errors, kinds, symmetric, verdict, rate, out.low, out.high, out.probability, ends[1])


def _rate_in_words(view: _View) -> str:
    quantity = "the largest real part of an eigenvalue"
    if math.isnan(view.probability):
        return f"{quantity} is about {view.rate:.4g}, an estimate, as a method that finds the outer ones may miss one"
    odds = "" if view.probability == 1.0 or view.narrow else f" with a probability of at least {view.probability:.2g}"
    if view.narrow:
        return f"{quantity} is {view.rate:.4g}"
    if math.isfinite(view.low):
        return f"{quantity} lies between {view.low:.4g} and {view.high:.4g}{odds}"
    rough = f"about {view.rate:.4g} by a rough estimate"
    return f"{quantity} is at most {view.high:.4g}{odds}, {rough}" if math.isfinite(view.high) else f"{quantity} is {rough}"


def _far_from_normal(view: _View) -> str:
    """Transient growth, where the numerical range reaches farther than the eigenvalues."""
    if view.symmetric:
        return ""
    scale = float(np.max(np.abs(view.values), initial=0.0))
    if not math.isfinite(view.abscissa):
        return (
            "; whether the Jacobian is far from normal is not known from products J v alone: give jac as a matrix, or with products J^T v"
        )
    if view.verdict != "ill-posed" and view.abscissa > max(max(view.rate, 0.0) + FAR * scale, 0.0):
        text = "; the Jacobian is far from normal: errors may first grow (transient growth)"
        return f"{text}, at a rate of up to {view.abscissa:.4g}, the end of its numerical range"
    return ""


def _kinds(values: NDArray[np.complex128], errors: Array, near: float, size: float) -> list[str]:
    """Of each eigenvalue by itself; size: of the Jacobian."""
    close = near * float(np.max(np.abs(values), initial=0.0))
    out = []
    for value, error in zip(values.real, errors, strict=True):
        vague = error > VAGUE * size
        if abs(value) <= error:
            out.append("not known" if vague else "linearly stable")
        elif abs(value) <= max(close, 0.0 if vague else MARGIN * error):
            out.append("suspect")
        else:
            out.append("ill-posed" if value > 0.0 else "well-posed")
    return out


def _verdict_of(kinds: list[str]) -> str:
    return next((v for v in reversed(ORDER) if v in kinds), "well-posed")


def _geometry(field: Field, t: float, y: Array, values: NDArray[np.complex128], kinds: list[str]) -> tuple[int, str]:
    """(directions in which the cost falls, the shape of the cost in words)."""
    falling, flat = kinds.count("ill-posed"), len(kinds) - kinds.count("ill-posed") - kinds.count("well-posed")
    n, count = field.n, len(values)
    of = f"of {n} directions" if count == n else f"or more of {n} directions"
    scale = float(np.max(np.abs(values), initial=0.0))
    at_rest = field.fun is not None and float(np.linalg.norm(field.slope(t, y))) <= 1e-6 * scale * max(1.0, float(np.linalg.norm(y)))
    if falling == n:
        return falling, "a maximum" if at_rest else "a hilltop: the cost curves down in every direction"
    if falling == count:
        return (
            falling,
            f"{'no minimum: the cost falls away' if at_rest else 'the cost curves down'} in {falling} {of}; of the others nothing is known",
        )
    if falling:
        if at_rest:
            return falling, f"a saddle: the cost falls away in {falling} {of}"
        return falling, f"towards a saddle: the cost curves down in {falling} {of}, where paths part"
    if flat:
        shape = "a flat minimum" if at_rest else "a flat valley"
        return 0, f"{shape}: no curvature to speak of in {flat} {of}"
    steep = scale / max(float(np.min(np.abs(values.real))), 1e-300)
    if at_rest:
        return 0, "a minimum" if steep < 100.0 else f"a minimum in a narrow valley, curvatures {steep:.2g} to 1"
    return 0, "a bowl: the cost curves up everywhere" if steep < 100.0 else f"a narrow valley, curvatures {steep:.2g} to 1"


# ---- along a path -----------------------------------------------------------------------------------------------------------------------


class HermitePath:
    """y(t) between the points of a path: cubic Hermite pieces, or straight ones where the slope is not known."""

    def __init__(self, field: Field, t: Array, y: Array) -> None:
        self.field, self.t, self.y = field, t, y
        self.slopes: dict[int, Array] = {}

    def _slope(self, i: int) -> Array:
        if i not in self.slopes:
            self.slopes[i] = self.field.slope(float(self.t[i]), self.y[i])
        return self.slopes[i]

    def gap(self, i: int) -> float:
        """By how much the slope in the middle of a piece differs from that of the equation, over the larger of the two."""
        h = float(self.t[i + 1] - self.t[i])
        middle = float(self.t[i]) + 0.5 * h
        there = 1.5 * (self.y[i + 1] - self.y[i]) / h - 0.25 * (self._slope(i) + self._slope(i + 1))
        wanted = self.field.slope(middle, self(middle))
        return float(np.linalg.norm(there - wanted)) / max(float(np.linalg.norm(there)), float(np.linalg.norm(wanted)), math.ulp(0.0))

    def __call__(self, time: float) -> Array:
        """y at this time."""
        rising = self.t if self.t[-1] >= self.t[0] else -self.t
        i = int(np.clip(np.searchsorted(rising, time if self.t[-1] >= self.t[0] else -time) - 1, 0, len(self.t) - 2))
        h = float(self.t[i + 1] - self.t[i])
        x = (time - float(self.t[i])) / h
        a, b = self.y[i], self.y[i + 1]
        if self.field.fun is None:
            return np.asarray((1.0 - x) * a + x * b)
        up, down = h * self._slope(i) - (b - a), (b - a) - h * self._slope(i + 1)
        return np.asarray((1.0 - x) * a + x * b + x * (1.0 - x) * ((1.0 - x) * up + x * down))


@knows_other_words
def posedness_along(
    fun: Any,
    t: ArrayLike,
    y: ArrayLike,
    *,
    jac: Any = None,
    symmetric: bool | None = None,
    args: tuple[Any, ...] = (),
    points: int = 60,
    near: float = NEAR,
    method: Any = None,
    dt: float | None = None,
) -> PosednessPath:
    """The verdict of `posedness` along a path, where it changes, and how much a small error grows on the way.

    Parameters
    ----------
    fun, jac, symmetric, args, near
        As in `posedness`.
    t, y : array_like (m,) and (*shape, m)
        The path, as `mflow.solve_ivp` returns it. Where t falls, eigenvalues and verdicts are those of the way back, of -F.
    points : int
        The largest number of points with a verdict.
    method, dt
        Of the run, for a picture of the eigenvalues against the method's stability region.

    Returns
    -------
    PosednessPath
        ``points``, ``verdicts``, ``eigenvalues``, ``changes`` (t, before, after), ``growth`` (points,), ``growth_bounds`` (2, points),
        ``lyapunov``, ``verdict``.

    Raises
    ------
    TypeError, ValueError
        As `posedness`; or t and y do not fit together.

    See Also
    --------
    mflow.posedness, mflow.solve_ivp

    Examples
    --------
    >>> import mflow, numpy as np
    >>> t = np.linspace(0.0, 2.0, 41)
    >>> path = mflow.posedness_along(lambda t, y: (t - 1) * y, t, [np.exp(0.5 * (t - 1) ** 2)])
    >>> path.changes[0][1:], round(path.changes[0][0], 5)
    (('well-posed', 'linearly stable'), 1.0)

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli and J.-M. Strelcyn, Meccanica 15 (1980) 9-20; S. Blanes, F. Casas, J. Oteo and J. Ros, Phys. Rep.
    470 (2009) 151-238.
    """
    times, states = check_vector(t, "t"), check_start(y, "y")
    if states.ndim < 1 or states.shape[-1] != times.size or times.size < 2:
        raise ValueError(f"t, y: expected shapes (m,) and (*shape, m) with m of at least 2, got {times.shape} and {states.shape}")
    if not (np.all(np.diff(times) > 0.0) or np.all(np.diff(times) < 0.0)):
        raise ValueError("t: expected times that rise, or fall, without repeats, got others")
    near = check_number(near, "near", low=0.0)
    _check_symmetric(symmetric)
    points = check_whole(points, "points", 2)
    flat = np.ascontiguousarray(np.moveaxis(states, -1, 0).reshape(times.size, -1))
    field = Field(fun, float(times[0]), np.ascontiguousarray(states[..., 0]), jac, args)
    field.sign = math.copysign(1.0, times[-1] - times[0])
    path = HermitePath(field, times, flat)
    pick = np.unique(np.linspace(0, times.size - 1, min(points, times.size)).round().astype(int))
    if symmetric is None:
        symmetric = _looks_symmetric(field, times, flat)
    out = verdicts_along(field, path, times[pick], flat[pick], symmetric, near, method=method, dt=dt)
    out = _with_growth(out, growth_along(field, path, times[pick], symmetric, times.size))
    _warn_of_gaps(path, pick)
    return out


def verdicts_along(
    field: Field, path: Callable[[float], Array], marks: Array, states: Array, symmetric: bool | None, near: float = NEAR, *,
    halvings: int = HALVINGS, method: Any = None, dt: float | None = None,
) -> PosednessPath:  # fmt: skip
    """`posedness_along` without the growth of errors, which is nan. marks (m,), states (m, n): the points; path: the state between them;
    halvings: of the time between two points, to find where the verdict changes."""
    budget = ALONG if len(marks) > 1.0 / ALONG else 1.0 / len(marks)
    at_points = [point_verdict(field, float(t), y, symmetric, near, budget) for t, y in zip(marks, states, strict=True)]
    verdicts = [p.verdict for p in at_points]
    changes = []
    for a, b in pairwise(at_points):
        if a.verdict != b.verdict:
            changes.append((_change(field, path, a, b.t, symmetric, near, budget, halvings), a.verdict, b.verdict))
    width = max(len(p.eigenvalues) for p in at_points)
    values = np.full((len(at_points), width), complex(math.nan, math.nan))
    for row, p in zip(values, at_points, strict=True):
        row[: len(p.eigenvalues)] = p.eigenvalues
    worst = max(verdicts, key=ORDER.index)
    unknown = np.full(len(at_points), math.nan)
    return PosednessPath(
        t=marks,
        y=np.stack([p.y.reshape(-1) for p in at_points], axis=1),
        points=at_points,
        verdicts=verdicts,
        eigenvalues=values,
        changes=changes,
        growth=unknown,
        lyapunov=unknown[:1],
        exact_growth=False,
        verdict=worst,
        method=method,
        dt=dt,
        text=_words(at_points, verdicts, changes, None, worst),
        growth_bounds=np.stack([unknown, unknown]),
    )


def _with_growth(path: PosednessPath, growth: Growth) -> PosednessPath:
    return dataclasses.replace(
        path,
        growth=growth.factors,
        lyapunov=growth.exponents,
        exact_growth=growth.exact,
        text=_words(path.points, path.verdicts, path.changes, growth, path.verdict),
        growth_bounds=np.stack([growth.low, growth.high]),
        growth_probability=growth.probability,
    )


def _warn_of_gaps(path: HermitePath, pick: NDArray[np.intp]) -> None:
    """Says so where the points of a path do not tell what happens between them."""
    if path.field.fun is None:
        return
    pieces = np.minimum(pick, len(path.t) - 2)
    with np.errstate(all="ignore"):
        gaps = [path.gap(int(i)) for i in pieces]
    if float(np.median(gaps)) > GAP:  # a few at jumps, or in a start's layer, tell nothing about the rest
        tell(
            f"t, y: between its points the path is not known: its slope there is off by {float(np.median(gaps)):.0%} (the middle of "
            f"{len(gaps)} looks), so growth and lyapunov are not those of the equation: run without t_eval or with more of it; or is fun "
            "not the equation of the path?",
            RuntimeWarning,
        )


def _looks_symmetric(field: Field, times: Array, flat: Array) -> bool | None:
    """True where the Jacobian is symmetric at both ends, else None: each point is looked at."""
    if field.sign < 0.0:
        return None
    for i in (0, -1):
        t, y = float(times[i]), flat[i]
        if field.n > DENSE:
            symmetric = field.linear(t, y, None, columns=False)[1]
        else:
            J, error = field.matrix(t, y)
            symmetric = float(np.linalg.norm(J - J.T)) <= 10.0 * error
        if not symmetric:
            return None
    return True


def _words(
    at_points: list[Posedness], verdicts: list[str], changes: list[tuple[float, str, str]], growth: Growth | None, worst: str
) -> str:
    first, last = at_points[0], at_points[-1]
    text = f"{verdicts[0]} from t = {first.t:g}"
    for where, _, after in changes[:6]:
        text += f", {after} from t = {where:.6g}"
    if len(changes) > 6:
        text += f", and {len(changes) - 6} more changes"
    text += f", to t = {last.t:g} (at {len(at_points)} points)"
    if growth is not None:
        text += f"; a small error at the start is multiplied by {_growth_in_words(growth, abs(last.t - first.t))}"
    if last.geometry:
        text += f"; as a gradient flow the path ends at: {last.geometry}"
    return text + ("" if worst in ("well-posed", "linearly stable") else f"; {MEANING[worst]}")


def _growth_in_words(growth: Growth, span: float) -> str:
    low, high = float(growth.low[-1]), float(growth.high[-1])
    if math.isnan(growth.factors[-1]):
        return "a factor that is not known (the Jacobian is stiff, and known by its products alone)"
    if not growth.exact and growth.probability == 1.0:
        return f"about {growth.factors[-1]:.3g} at the end, which is a guess: the Jacobian changes faster than it could be followed"
    if growth.factors[-1] == math.inf:
        return f"up to 1e+{growth.exponents[0] * span / math.log(10.0):.0f} at the end"
    if high <= (1.0 + NARROW) * low or low == high:
        return f"up to {growth.factors[-1]:.3g} at the end"
    return f"up to a factor between {low:.3g} and {high:.3g} at the end (the upper bound with a probability of {growth.probability:.3g})"


def _change(
    field: Field, path: Callable[[float], Array], before: Posedness, after: float, symmetric: bool | None, near: float, budget: float,
    halvings: int,
) -> float:  # fmt: skip
    """The time at which the verdict ceases to be that before."""
    low, high = before.t, after
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        if point_verdict(field, middle, path(middle), symmetric, near, budget).verdict == before.verdict:
            low = middle
        else:
            high = middle
    return high


def of_result(
    result: IVPResult, *, fun: Any = None, jac: Any = None, symmetric: bool | None = None, points: int = 60, near: float = NEAR
) -> PosednessPath:
    """`posedness_along` for the path of a result: the method `IVPResult.posedness`."""
    origin = origin_of(result) or Origin(None, None, None, False)
    if fun is None and origin.problem is None:
        raise ValueError("fun: expected the equation, as this result (a copy, loaded, or of a batch) does not hold it, got None; give fun=")
    if result.t.size < 2:
        raise ValueError('t: expected a path of at least two points, got one; run with save="all" or t_eval=')
    if fun is None:
        shape = result.y.shape[:-1]
        run = stepper.Run(registry.find("euler"), origin.problem, np.ascontiguousarray(result.y[..., 0]), float(result.t[0]), 1.0)
        fun = lambda t, y: run.slope(t, y.reshape(shape))  # noqa: E731
    options = {"jac": jac, "symmetric": origin.symmetric or symmetric, "points": points, "near": near}
    options |= {"method": origin.method, "dt": origin.dt}
    if result.success or result.reason not in ("non_finite", "diverged"):
        return posedness_along(fun, result.t, result.y, **options)
    with np.errstate(all="ignore"):
        path = _known_part(fun, result.t, result.y, options)
    if path.t[-1] == result.t[-1]:
        return path
    ended = f"the run ended at t = {result.t[-1]:.9g}, but beyond t = {path.t[-1]:.9g} its Jacobian is not known, or not finite"
    return dataclasses.replace(path, text=f"{path.text}; {ended}")


def _known_part(fun: Any, t: Array, y: Array, options: dict[str, Any]) -> PosednessPath:
    """Of a path that left the finite numbers, as far as its Jacobian is known."""
    while True:
        try:
            path = posedness_along(fun, t, y, **options)
        except NotFiniteError as error:
            count = int(np.sum(np.abs(t - t[0]) < abs(error.t - t[0])))
            if count < 2:
                raise
        else:
            known = [k for k, verdict in enumerate(path.verdicts) if verdict != "not known"]
            count = int(np.searchsorted(np.abs(t - t[0]), abs(path.t[known[-1]] - t[0]), side="right")) if known else 0
            if count < 2 or count == t.size:
                return path
        t, y = t[:count], y[..., :count]
