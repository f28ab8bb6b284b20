"""Posedness of y' = F(t, y), from the eigenvalues of its Jacobian, at a point and along a path.

A small error d grows or fades like d' = J d, J = dF/dy (the variational equation). An eigenvalue of J with a positive real part makes the
problem ill-posed: small errors, in the start or of the solver, become large ones. All real parts negative: well-posed, errors fade.
0: linearly stable and mildly ill-posed, errors stay and add up. An eigenvalue as near to 0 as errors of J or of the solver is suspect.

    error of an eigenvalue      (error of J) * condition, from left and right eigenvectors; at most the root of it, where they coincide
    large n                     outer eigenvalues from products J v = (F(y + h v) - F(y - h v))/(2h) by Lanczos' or Arnoldi's method
    growth along a path         propagators exp of Magnus' series of fourth order, which no stiffness makes unstable; their singular values
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.stepping import stepper
from numpy.typing import ArrayLike, NDArray

from mflow.analysis.results import Posedness, PosednessPath
from mflow.base.checks import (
    Array,
    as_tuple,
    check_flags,
    check_number,
    check_start,
    check_vector,
    check_whole,
    dense_array,
    real_array,
    shown,
)
from mflow.base.result import ANALYSES, IVPResult, Origin, origin_of
from mflow.solvers import krylov

__all__ = ["of_result", "posedness", "posedness_along"]

DENSE = 400  # components up to which all eigenvalues are computed
PROPAGATED = 60  # components up to which all perturbations are followed
ITERATIONS = 200
DIFFERENCE = 6e-6  # root of rounding for central differences
NOISE = 1e-8  # of products that are differences, against the Jacobian
NEAR = 1e-8  # suspect: real parts below this share of the largest eigenvalue
MARGIN = 100.0  # or below this many errors of the eigenvalue
SUBSTEPS = 400
ORDER = ("well-posed", "linearly stable", "suspect", "ill-posed")  # from the best to the worst
MEANING = {
    "well-posed": "small errors fade",
    "linearly stable": "mildly ill-posed: small errors neither fade nor grow, but add up to a slow drift",
    "suspect": "an eigenvalue is so near to 0 that errors of the Jacobian, or of a solver, decide its sign",
    "ill-posed": "small errors grow",
}


def _check_symmetric(symmetric: Any) -> None:
    if symmetric is not None:
        check_flags(symmetric=symmetric)


class _Field:
    """F and its Jacobian, in any form that the user gives them, with the error of the Jacobian."""

    def __init__(self, fun: Any, t: float, y: Array, jac: Any, args: tuple[Any, ...]) -> None:
        self.fun, self.jac, self.args, self.n = fun, jac, as_tuple(args), y.size
        args = self.args
        self.sign = 1.0  # -1 where time runs backward: errors that fade forward grow
        if jac is None and not callable(fun):
            self.fun, self.jac = None, fun
        elif jac is None:
            first = fun(t, y.copy(), *args)
            if (getattr(first, "ndim", 0) == 2 or (y.ndim == 1 and np.ndim(first) == 2)) and np.shape(first) == (y.size, y.size):
                self.fun, self.jac = None, fun  # fun is the Jacobian
        if self.fun is not None and not callable(self.fun):
            raise TypeError(f"fun: expected a function of (t, y), got {shown(self.fun)}")
        self.shape = y.shape

    def slope(self, t: float, y: Array) -> Array:
        """F, flat, from a flat y."""
        if self.fun is None:
            return np.zeros(self.n)
        out = real_array(self.fun(t, y.reshape(self.shape).copy(), *self.args), "fun")
        if out.size != self.n:
            raise ValueError(f"fun: expected the shape {self.shape} of y returned, got shape {out.shape}")
        return out.ravel()

    def _given(self, t: float, y: Array) -> Any:
        return self.jac(t, y.reshape(self.shape).copy(), *self.args) if callable(self.jac) else self.jac

    def matrix(self, t: float, y: Array) -> tuple[Array, float]:
        """(J, its error in norm)."""
        if self.jac is not None:
            J = self._given(t, y)
            J = dense_array(J, "jac")
            if J.shape != (self.n, self.n):
                raise ValueError(f"jac: expected shape ({self.n}, {self.n}), got shape {J.shape}")
            error = 4.0 * self.n * 2.0**-52 * float(np.linalg.norm(J))
        else:
            h = DIFFERENCE * np.maximum(1.0, np.abs(y))
            J = np.empty((self.n, self.n))
            for j in range(self.n):
                moved = y.copy()
                moved[j] = y[j] + h[j]
                up, width = self.slope(t, moved), moved[j]
                moved[j] = y[j] - h[j]
                J[:, j] = (up - self.slope(t, moved)) / (width - moved[j])
            size = float(np.max(np.abs(self.slope(t, y)), initial=0.0))
            error = 1e-8 * float(np.linalg.norm(J)) + 4.0 * 2.0**-52 * size / DIFFERENCE
        if not np.all(np.isfinite(J)):
            raise ValueError(f"jac: expected a finite Jacobian at t = {t:g}, got NaN or inf; y may lie outside the domain of fun")
        return J, error

    def product(self, t: float, y: Array) -> Callable[[Array], Array]:
        """v -> J v."""
        if self.jac is not None:
            J = self._given(t, y)
            return lambda v: np.asarray(J @ v, dtype=np.float64)
        h = DIFFERENCE * max(1.0, float(np.linalg.norm(y)))

        def times(v: Array) -> Array:
            size = float(np.linalg.norm(v))
            if size == 0.0:
                return np.zeros(self.n)
            step = h / size * v
            return np.asarray((self.slope(t, y + step) - self.slope(t, y - step)) * (size / (2.0 * h)), dtype=np.float64)

        return times


def posedness(
    fun: Any, t: float, y: ArrayLike, *, jac: Any = None, symmetric: bool | None = None, args: tuple[Any, ...] = (), near: float = NEAR
) -> Posedness:
    """Whether y' = F(t, y) is well-posed around a point, from the eigenvalues of its Jacobian.

    Parameters
    ----------
    fun : callable, array_like (n, n) or sparse matrix
        ``fun(t, y, *args)`` returns the slopes (n,), or the Jacobian itself, (n, n); or a constant Jacobian.
    t : float
    y : array_like, any shape with n entries
    jac : callable or array_like (n, n), optional
        The Jacobian, where fun is the slope; by default central differences.
    symmetric : bool, optional
        Whether the Jacobian is symmetric, as that of a gradient flow. Determined if not given.
    args : tuple
        Further arguments of fun and jac.
    near : float
        An eigenvalue whose real part is below this share of the largest one counts as suspect.

    Returns
    -------
    Posedness
        ``verdict`` ("ill-posed", "well-posed", "linearly stable", "suspect"), ``eigenvalues`` by falling real part (all up to 400
        components, the outer ones beyond), ``growth_rate``, ``doubling_time``; of a gradient flow ``index`` and ``geometry``.

    Raises
    ------
    TypeError, ValueError
        A value of fun or jac does not fit y, or is not finite.

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
    Computations (2013), 7.2.2.
    """
    start, near = check_start(y, "y"), check_number(near, "near", low=0.0)
    _check_symmetric(symmetric)
    field = _Field(fun, check_number(t, "t"), start, jac, args)
    return _at(field, float(t), start.ravel(), symmetric, near)


def _at(field: _Field, t: float, y: Array, symmetric: bool | None, near: float) -> Posedness:
    if field.n == 0:
        raise ValueError("y: expected at least one component, got none")
    if field.n <= DENSE:
        values, rounding, symmetric = _all_values(*field.matrix(t, y), symmetric)
        values, errors = field.sign * values, rounding
    else:
        values, rounding, errors, symmetric = _outer_values(field, t, y, symmetric)
    order = np.argsort(-values.real, kind="stable")
    values, rounding, errors = values[order], rounding[order], errors[order]
    scale = float(np.max(np.abs(values), initial=0.0))
    kinds = _kinds(values.real, rounding, errors, near * scale)
    verdict = next((v for v in reversed(ORDER) if v in kinds), "well-posed")
    rate = float(values[0].real) + 0.0  # never -0
    doubling = math.log(2.0) / rate if verdict == "ill-posed" else math.inf
    index, geometry = (None, "") if not symmetric or field.sign < 0.0 else _geometry(field, t, y, values, kinds)
    text = f"{verdict} at t = {t:g}: {MEANING[verdict]}; the largest real part of an eigenvalue is {rate:.4g}"
    if verdict == "ill-posed":
        text += f", an error doubles in {doubling:.3g}"
    if geometry:
        text += f"; as a gradient flow: {geometry}"
    return Posedness(
        verdict=verdict,
        t=t,
        y=y.reshape(field.shape).copy(),
        eigenvalues=values,
        complete=len(values) == field.n,
        error=float(np.max(errors, initial=0.0)),
        growth_rate=rate,
        doubling_time=doubling,
        index=index,
        geometry=geometry,
        text=text,
    )


def _kinds(real: Array, rounding: Array, errors: Array, near: float) -> list[str]:
    out = []
    for value, small, error in zip(real, rounding, errors, strict=True):
        if abs(value) <= small and error <= 2.0 * small:
            out.append("linearly stable")
        elif abs(value) <= max(MARGIN * small, near, error):
            out.append("suspect")
        else:
            out.append("ill-posed" if value > 0.0 else "well-posed")
    return out


def _all_values(J: Array, error: float, symmetric: bool | None) -> tuple[NDArray[np.complex128], Array, bool]:
    """(eigenvalues, error of each, whether J is symmetric)."""
    norm = float(np.linalg.norm(J))
    if symmetric is None:
        symmetric = float(np.linalg.norm(J - J.T)) <= 10.0 * error
    if symmetric:
        return np.linalg.eigvalsh(0.5 * (J + J.T)).astype(np.complex128), np.full(len(J), error), True
    values, right = np.linalg.eig(J.astype(np.complex128))
    most = math.sqrt(error * max(norm, error))
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            left = np.linalg.inv(right)
            condition = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=0)
            errors = np.fmin(error * condition, most)
    except np.linalg.LinAlgError:  # eigenvectors coincide
        errors = np.full(len(J), most)
    return values, np.asarray(errors, dtype=np.float64), False


def _outer_values(field: _Field, t: float, y: Array, symmetric: bool | None) -> tuple[NDArray[np.complex128], Array, Array, bool]:
    """(Ritz values, rounding of each, how far from each an eigenvalue may lie, whether J is symmetric)."""
    forward = field.product(t, y)
    times: Callable[[Array], Array] = forward if field.sign > 0.0 else lambda v: -forward(v)
    if symmetric is None:
        u, v = krylov.start_vector(field.n), np.sin(1.0 + 2.3 * np.arange(field.n))
        Ju, Jv = times(u), times(v)
        size = float(np.linalg.norm(Ju)) * float(np.linalg.norm(v)) + float(np.linalg.norm(Jv))
        symmetric = abs(float(u @ Jv - v @ Ju)) <= 1e-6 * size
    try:
        if symmetric:
            ritz = krylov.lanczos(times, field.n, ITERATIONS, _sign_is_known, krylov.NOTHING if field.jac is not None else NOISE)
        else:
            ritz = krylov.arnoldi(times, field.n, ITERATIONS, _sign_is_known)
    except FloatingPointError:
        raise ValueError(f"jac: expected a finite Jacobian at t = {t:g}, got NaN or inf; y may lie outside the domain of fun") from None
    if symmetric:  # the rightmost value is a Rayleigh quotient; others of its sign count only where they are no ghosts
        keep = (ritz.values.real <= 0.0) | krylov.sure(ritz) | (ritz.values.real == np.max(ritz.values.real))
        ritz = ritz._replace(values=ritz.values[keep].real.astype(np.complex128), residuals=ritz.residuals[keep])
    values = ritz.values
    error = (1e-13 if field.jac is not None else 1e-7) * float(np.max(np.abs(values), initial=0.0))
    # Residuals of Ritz values inside the spectrum are large and say nothing of its edge: the verdict uses that of the rightmost one.
    rounding = np.full(len(values), error)
    return values, rounding, np.where(values.real >= np.max(values.real) - error, ritz.residuals + error, error), bool(symmetric)


def _sign_is_known(ritz: krylov.Ritz) -> bool:
    """Whether the rightmost Ritz value is far enough from 0, or accurate enough."""
    k = int(np.argmax(ritz.values.real))
    return float(ritz.residuals[k]) <= max(0.1 * abs(float(ritz.values[k].real)), 1e-9 * float(np.max(np.abs(ritz.values))))


def _geometry(field: _Field, t: float, y: Array, values: NDArray[np.complex128], kinds: list[str]) -> tuple[int, str]:
    """(directions in which the cost falls, the shape of the cost in words)."""
    falling, flat = kinds.count("ill-posed"), len(kinds) - kinds.count("ill-posed") - kinds.count("well-posed")
    n, count = field.n, len(values)
    of = f"of {n} directions" if count == n else f"or more of {n} directions"
    scale = float(np.max(np.abs(values), initial=0.0))
    at_rest = field.fun is not None and float(np.linalg.norm(field.slope(t, y))) <= 1e-6 * scale * max(1.0, float(np.linalg.norm(y)))
    if falling == n:
        return falling, "a maximum" if at_rest else "a hilltop: the cost curves down in every direction"
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


class _Path:
    """y(t) between the points of a path: cubic Hermite pieces, or straight ones where the slope is not known."""

    def __init__(self, field: _Field, t: Array, y: Array) -> None:
        self.field, self.t, self.y = field, t, y
        self.slopes: dict[int, Array] = {}

    def _slope(self, i: int) -> Array:
        if i not in self.slopes:
            self.slopes[i] = self.field.slope(float(self.t[i]), self.y[i])
        return self.slopes[i]

    def __call__(self, time: float) -> Array:
        rising = self.t if self.t[-1] >= self.t[0] else -self.t
        i = int(np.clip(np.searchsorted(rising, time if self.t[-1] >= self.t[0] else -time) - 1, 0, len(self.t) - 2))
        h = float(self.t[i + 1] - self.t[i])
        x = (time - float(self.t[i])) / h
        a, b = self.y[i], self.y[i + 1]
        if self.field.fun is None:
            return np.asarray((1.0 - x) * a + x * b)
        up, down = h * self._slope(i) - (b - a), (b - a) - h * self._slope(i + 1)
        return np.asarray((1.0 - x) * a + x * b + x * (1.0 - x) * ((1.0 - x) * up + x * down))


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
    t : array_like (m,), y : array_like (*shape, m)
        The path, as `mflow.solve_ivp` returns it. Where t falls, eigenvalues and verdicts are those of the way back, of -F.
    points : int
        The largest number of points with a verdict.
    method, dt
        Of the run, for a picture of the eigenvalues against the method's stability region.

    Returns
    -------
    PosednessPath
        ``points``, ``verdicts``, ``eigenvalues``, ``changes`` (t, before, after), ``growth`` (points,), ``lyapunov``, ``verdict``.

    Raises
    ------
    TypeError, ValueError
        As `posedness`; or t and y do not fit together.

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
    field = _Field(fun, float(times[0]), np.ascontiguousarray(states[..., 0]), jac, args)
    field.sign = math.copysign(1.0, times[-1] - times[0])
    path = _Path(field, times, flat)
    pick = np.unique(np.linspace(0, times.size - 1, min(points, times.size)).round().astype(int))
    if symmetric is None:
        symmetric = _at(field, float(times[0]), flat[0], None, near).index is not None or None
        if symmetric and _at(field, float(times[-1]), flat[-1], None, near).index is None:
            symmetric = None
    at_points = [_at(field, float(times[i]), flat[i], symmetric, near) for i in pick]
    verdicts = [p.verdict for p in at_points]
    changes = []
    for a, b in pairwise(at_points):
        if a.verdict != b.verdict:
            changes.append((_change(field, path, a, b.t, symmetric, near), a.verdict, b.verdict))
    growth, exponents, exact = _growth(field, path, times[pick])
    width = max(len(p.eigenvalues) for p in at_points)
    values = np.full((len(at_points), width), complex(math.nan, math.nan))
    for row, p in zip(values, at_points, strict=True):
        row[: len(p.eigenvalues)] = p.eigenvalues
    worst = max(verdicts, key=ORDER.index)
    return PosednessPath(
        t=times[pick],
        y=states[..., pick].reshape(-1, len(pick)),
        points=at_points,
        verdicts=verdicts,
        eigenvalues=values,
        changes=changes,
        growth=growth,
        lyapunov=exponents,
        exact_growth=exact,
        verdict=worst,
        method=method,
        dt=dt,
        text=_words(at_points, verdicts, changes, growth, worst),
    )


def _words(at_points: list[Posedness], verdicts: list[str], changes: list[tuple[float, str, str]], growth: Array, worst: str) -> str:
    first, last = at_points[0], at_points[-1]
    text = f"{verdicts[0]} from t = {first.t:g}"
    for where, _, after in changes[:6]:
        text += f", {after} from t = {where:.6g}"
    if len(changes) > 6:
        text += f", and {len(changes) - 6} more changes"
    text += f", to t = {last.t:g}; a small error at the start is multiplied by up to {growth[-1]:.3g} at the end"
    if last.geometry:
        text += f"; as a gradient flow the path ends at: {last.geometry}"
    return text + ("" if worst in ("well-posed", "linearly stable") else f"; {MEANING[worst]}")


def _change(field: _Field, path: _Path, before: Posedness, after: float, symmetric: bool | None, near: float) -> float:
    """The time at which the verdict ceases to be that before."""
    low, high = before.t, after
    for _ in range(24):
        middle = 0.5 * (low + high)
        if _at(field, middle, path(middle), symmetric, near).verdict == before.verdict:
            low = middle
        else:
            high = middle
    return high


def _growth(field: _Field, path: _Path, marks: Array) -> tuple[Array, Array, bool]:
    """(growth of the fastest growing perturbation up to each mark, Lyapunov exponents, whether all perturbations were followed)."""
    everything = field.n <= PROPAGATED
    share = SUBSTEPS if field.n <= 10 else max(SUBSTEPS * 10 // field.n, 40)
    per_mark = max(1, share // max(1, len(marks) - 1))
    state = np.eye(field.n) if everything else krylov.start_vector(field.n)
    logs, growth, factors = 0.0, [0.0], []
    for a, b in pairwise(marks):
        piece = np.eye(field.n)
        h = float(b - a) / per_mark
        for k in range(per_mark):
            if everything:
                piece = _propagator(field, path, float(a) + k * h, h) @ piece
            else:
                middle = float(a) + (k + 0.5) * h
                state = krylov.exponential_times(field.product(middle, path(middle)), state, h)
        if everything:
            factors.append(piece)
            state = piece @ state
        size = float(np.linalg.norm(state, 2)) if everything else float(np.linalg.norm(state))
        if not 0.0 < size < math.inf:
            growth += [math.copysign(math.inf, size - 1.0)] * (len(marks) - len(growth))
            break
        state, logs = state / size, logs + math.log(size)
        growth.append(logs)
    span = abs(float(marks[-1] - marks[0]))
    exponents = _singular_logs(factors, field.n) / span if everything and math.isfinite(growth[-1]) else np.array([growth[-1] / span])
    with np.errstate(over="ignore"):
        return np.exp(np.array(growth)), exponents, everything


def _propagator(field: _Field, path: _Path, t: float, h: float) -> Array:
    """Over a step of the variational equation: exp of Magnus' series, Gauss' points, fourth order."""
    away = math.sqrt(3.0) / 6.0
    first, second = (t + (0.5 + s * away) * h for s in (-1.0, 1.0))
    A, B = (field.matrix(at, path(at))[0] for at in (first, second))
    return krylov.exponential(0.5 * h * (A + B) + math.sqrt(3.0) / 12.0 * h * h * (B @ A - A @ B))


def _singular_logs(factors: list[Array], n: int) -> Array:
    """Logarithms of the singular values of a product, falling: by subspace iteration back and forth, which loses none to rounding."""
    Q = np.linalg.qr(np.cos(1.0 + np.arange(n * n, dtype=np.float64)).reshape(n, n) + np.eye(n))[0]
    logs = np.zeros(n)
    for _ in range(12):
        logs = np.zeros(n)
        for chain in (factors, [f.T for f in reversed(factors)]):
            for factor in chain:
                Q, R = np.linalg.qr(factor @ Q)
                with np.errstate(divide="ignore"):
                    logs += np.log(np.abs(np.diag(R)))
    return np.sort(0.5 * logs)[::-1]


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
    return posedness_along(
        fun, result.t, result.y, jac=jac, symmetric=origin.symmetric or symmetric, points=points, near=near,
        method=origin.method, dt=origin.dt,
    )  # fmt: skip


ANALYSES["posedness"] = of_result
