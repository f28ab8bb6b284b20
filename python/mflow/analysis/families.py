"""Families of solutions: one equation from many starts, which spread (ill-posed) or close (well-posed)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mflow.analysis.results import FamilyResult
from mflow.base.checks import Array, as_array, check_start, check_whole, shown
from mflow.base.methods import Method
from mflow.integrate.batch import solve_ivp_batch
from mflow.integrate.control import check_span

__all__ = ["family"]

PAIRS = 200  # solutions up to which all pairs are compared; beyond, each with its neighbour in the list


def family(
    fun: Any,
    starts: ArrayLike,
    t_span: Sequence[float],
    method: str | Method | None = None,
    t_eval: ArrayLike | None = None,
    *,
    args: tuple[Any, ...] = (),
    points: int = 200,
    **options: Any,
) -> FamilyResult:
    """Solutions of y' = fun(t, y) from many starts.

    Parameters
    ----------
    fun : callable
        As in `mflow.solve_ivp_batch`.
    starts : array_like (starts,) or (starts, n)
        In one dimension: starts of a scalar equation.
    t_span : (t0, t_end)
    method : name or instance
        By default "dopri5" under error control, or with ``dt=`` "rk4".
    t_eval, points : array_like (m,) and int
        Times to save at; by default ``points`` of equal spacing.
    args, **options
        As in `mflow.solve_ivp_batch` (``dt``, ``rtol``, ``atol``, ``jac``, ``threads``, the method's parameters, ...). Without dt:
        rtol = 1e-6, atol = 1e-9 where they are not given.

    Returns
    -------
    FamilyResult
        ``t`` (m,), ``y`` (starts, n, m), NaN from where a solution ended early; ``spread`` (m,): how far solutions have moved apart.

    Raises
    ------
    TypeError, ValueError
        As `mflow.solve_ivp_batch`.

    See Also
    --------
    mflow.posedness, mflow.plot.family

    Examples
    --------
    >>> import mflow
    >>> r = mflow.family(lambda t, c: c, [-1.0, 0.5, 1.0], (0, 1))
    >>> r.y.shape, round(float(r.spread[-1]), 4)
    ((3, 1, 200), 2.7183)

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), I.2.
    """
    if np.ndim(t_span) == 1 and np.size(t_span) != 2 and np.size(starts) == 2:
        raise ValueError(f"t_span: expected two numbers (t0, t_end), got {shown(t_span)}; the order is family(fun, starts, t_span)")
    begin = check_start(starts, "starts")
    if begin.ndim == 0 or not begin.size:
        raise ValueError(f"starts: expected shape (starts, n), or (starts,) for a scalar equation, got shape {begin.shape}")
    if begin.ndim == 1:
        begin = begin[:, None]
    t0, t1 = check_span(t_span)
    if t_eval is None:
        t_eval = np.linspace(t0, t1, check_whole(points, "points", 2))
    if as_array(t_eval, "t_eval").size == 0:
        raise ValueError("t_eval: expected at least one time, got none")
    if options.get("dt") is None:
        options = {"rtol": 1e-6, "atol": 1e-9, **options}
    batch = solve_ivp_batch(fun, t_span, begin, method, t_eval, args=args, **options)
    count = len(begin)
    y = batch.y.reshape(count, -1, batch.t.size)
    ends = np.stack([y[k, :, max(int(batch.reached[k]) - 1, 0)] for k in range(count)])
    return FamilyResult(
        t=batch.t, y=y, starts=begin.reshape(count, -1), ends=ends, fun=fun, success=batch.success, reason=list(batch.reason),
        spread=_spread(begin.reshape(count, -1), y), nfev=int(np.sum(batch.nfev)), message=batch.message,
    )  # fmt: skip


def _spread(starts: Array, y: Array) -> Array:
    """The largest of (distance of two solutions)/(their distance at the start), for each time."""
    count, _, m = y.shape
    if count <= PAIRS:
        first, second = np.triu_indices(count, 1)
    else:
        first = np.arange(count - 1)
        second = first + 1
    apart = np.linalg.norm(starts[first] - starts[second], axis=1)
    first, second, apart = first[apart > 0.0], second[apart > 0.0], apart[apart > 0.0]
    out = np.full(m, np.nan)
    for k in range(m):
        ratios = np.linalg.norm(y[first, :, k] - y[second, :, k], axis=1) / apart
        good = ratios[np.isfinite(ratios)]
        if good.size:
            out[k] = good.max()
    return out
