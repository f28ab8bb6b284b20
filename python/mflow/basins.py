"""Basins: which minimum each start reaches under a method and a step, where paths part, and how far a path may drift.

For each start two paths: the method's own, step by step, and the exact flow c' = -g (dopri5 under tight error control). Their ends are
joined into minima. On the way the largest distance of the numerical path from the exact one, as curves, is its drift; the least distance
of the exact path from a start that the flow leads elsewhere is the drift that it may have before it is in another basin. That is known
to the spacing of the starts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.arrays import Array, check_start
from mflow.findings import BasinsResult
from mflow.flow import gradient_flow
from mflow.methods import Method, as_method
from mflow.minimize import minimize
from mflow.posedness import posedness

__all__ = ["basins"]

KEPT = 400  # points of a path that are compared
FLOW_STEPS = 3000
LONG = 1e6  # the time that the flow is given
Labels = NDArray[np.int64]


def basins(
    grad: Callable[[Array], Any],
    grid: Sequence[ArrayLike] | None = None,
    *,
    starts: ArrayLike | None = None,
    method: str | Method = "sgd",
    dt: float | None = None,
    maxiter: int = 1000,
    gtol: float = 1e-5,
    merge: float | None = None,
    paths: bool = True,
    **parameters: Any,
) -> BasinsResult:
    """Which minimum each start reaches under a method and its step, and under the exact flow.

    Parameters
    ----------
    grad : callable
        ``grad(c)`` returns the gradient (n,) at c (n,).
    grid : (x, y), two one-dimensional arrays, optional
        Starts on a grid of the plane (n = 2).
    starts : array_like (lanes, n)
        In place of a grid.
    method : name or instance
        Whatever `mflow.minimize` takes: an optimizer, an integrator on gradient flow, or a second-order method.
    dt : float
        The step; ``lr`` is another name for it.
    maxiter, gtol
        A path ends where the largest entry of the gradient is at most gtol, or after maxiter steps.
    merge : float, optional
        Ends as near as this are one minimum; by default a hundredth of the extent of the starts.
    paths : bool
        Whether to measure drift; False saves time.
    **parameters
        The method's own.

    Returns
    -------
    BasinsResult
        ``labels`` and ``flow_labels`` (len(y), len(x)) or (lanes,), rows of ``minima`` or -1; ``boundary``, ``changed``, ``drift``,
        ``allowed_drift``, ``room``.

    Raises
    ------
    TypeError, ValueError
        The starts are missing, given twice, or not finite; the step is missing; ``grad`` returns another shape.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> def grad(c):  # of (c1^2 - 1)^2 + c2^2
    ...     return np.array([4 * c[0] * (c[0] ** 2 - 1), 2 * c[1]])
    >>> r = mflow.basins(grad, (np.linspace(-1.5, 1.5, 6), [0.5]), method="sgd", lr=0.05)
    >>> r.minima.round(3).tolist(), r.labels.tolist(), r.changed.any().item()
    ([[-1.0, 0.0], [1.0, 0.0]], [[0, 0, 0, 1, 1, 1]], False)

    References
    ----------
    H. Nusse and J. Yorke, Dynamics: Numerical Explorations (1998), 7.
    """
    if "lr" in parameters:
        if dt is not None:
            raise TypeError("lr and dt are one thing: give one of them")
        dt = parameters.pop("lr")
    if dt is None or isinstance(dt, str):
        raise ValueError("dt is missing: basins belong to a method and its step")
    points, axes, shape = _starts(grid, starts)
    chosen = as_method(method, {})
    extent = float(np.max(np.ptp(points, axis=0), initial=0.0)) or 1.0
    near = 0.01 * extent if merge is None else float(merge)

    def checked(c: Array) -> Array:
        out = np.asarray(grad(c), dtype=np.float64)
        if out.shape != c.shape:
            raise ValueError(f"grad returned shape {out.shape}, a start has shape {c.shape}: they must be equal")
        return out

    settings = {"lr": float(dt), "maxiter": maxiter, "gtol": gtol, **parameters}
    walks = [_walk(checked, c, chosen, settings, paths) for c in points]
    flows = [_flow(checked, c, gtol, extent) for c in points]
    minima = _minima([w[1] for w in walks if w[2] == "converged"] + [f[-1] for f in flows], near, checked)
    labels = np.array([_label(w[1], minima, near) if w[2] == "converged" else -1 for w in walks], dtype=np.int64)
    flow_labels = np.array([_label(f[-1], minima, near) for f in flows], dtype=np.int64)
    drift, allowed, room = (np.full(len(points), math.nan) for _ in range(3))
    for k, (walk, flow) in enumerate(zip(walks, flows, strict=True)):
        others = points[flow_labels != flow_labels[k]]
        if others.size:
            allowed[k], room[k] = _from(flow, others), _from(points[k : k + 1], others)
        if paths and np.all(np.isfinite(walk[0])):
            drift[k] = _off(walk[0], flow)
        elif paths:
            drift[k] = math.inf
    ends = np.array([w[1] for w in walks]).reshape(*shape, -1)
    counts = np.array([w[3] for w in walks], dtype=np.int64)
    return BasinsResult(
        as_method(chosen, parameters), float(dt), axes, points.reshape(*shape, -1), labels.reshape(shape), minima, ends, counts.reshape(shape),
        flow_labels.reshape(shape), (labels != flow_labels).reshape(shape), _boundary(labels.reshape(shape), axes is not None),
        room.reshape(shape), drift.reshape(shape), allowed.reshape(shape), [w[2] for w in walks],
    )  # fmt: skip


def _starts(grid: Any, starts: Any) -> tuple[Array, tuple[Array, Array] | None, tuple[int, ...]]:
    """(lanes, n) points, the axes of a grid, and the shape of what is returned."""
    if (grid is None) == (starts is None):
        raise ValueError("grid, starts: give one of them")
    if grid is None:
        points = check_start(starts, "starts")
        if points.ndim != 2 or not points.size:
            raise ValueError(f"starts: shape {points.shape} came; (lanes, n) is wanted")
        return points, None, (len(points),)
    if len(grid) != 2:
        raise ValueError("grid: (x, y), two one-dimensional arrays, is wanted; give starts= for other dimensions")
    x, y = (check_start(axis, f"grid[{k}]") for k, axis in enumerate(grid))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise ValueError("grid: (x, y), two one-dimensional arrays, is wanted; give starts= for other dimensions")
    X, Y = np.meshgrid(x, y)
    return np.stack([X.ravel(), Y.ravel()], axis=1), (x, y), (y.size, x.size)


def _walk(grad: Any, start: Array, method: Method, settings: dict[str, Any], keep: bool) -> tuple[Array, Array, str, int]:
    """(path, last good point, reason, steps) of the method."""
    points = [start.copy()]

    def note(xk: Array) -> None:
        if len(points) < KEPT:
            points.append(xk)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        r = minimize(None, start, method=method, jac=grad, callback=note if keep else None, **settings)
    if r.reason == "converged" or keep:
        points.append(r.x)
    return np.array(points), r.x, r.reason, r.nit


def _flow(grad: Any, start: Array, gtol: float, extent: float) -> Array:
    """The exact flow's path, (points, n), to where the gradient is small."""

    def arrived(t: float, c: Array) -> bool:
        return bool(np.max(np.abs(grad(c))) <= gtol)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        atol = 1e-7 * min(extent, 1.0)
        r = gradient_flow(grad, start, LONG, "dopri5", rtol=1e-6, atol=atol, callback=arrived, max_steps=FLOW_STEPS, max_step=LONG / 100)
    path: Array = np.ascontiguousarray(r.y.T)
    return path[np.linspace(0, len(path) - 1, min(len(path), KEPT)).round().astype(int)]


def _minima(ends: list[Array], near: float, grad: Any) -> Array:
    """Ends joined where they are near each other, without saddles, in lexical order: (k, n)."""
    found: list[Array] = []
    for end in ends:
        if np.all(np.isfinite(end)) and not any(np.linalg.norm(end - other) <= near for other in found):
            found.append(end)
    kept = [c for c in found if posedness(lambda t, y: -grad(y), 0.0, c, symmetric=True).verdict != "ill-posed"]
    kept.sort(key=lambda c: tuple(np.round(c / max(near, 1e-300)).tolist()))
    return np.array(kept).reshape(len(kept), -1) if kept else np.empty((0, len(ends[0])))


def _label(end: Array, minima: Array, near: float) -> int:
    if not len(minima) or not np.all(np.isfinite(end)):
        return -1
    distance = np.linalg.norm(minima - end, axis=1)
    k = int(np.argmin(distance))
    return k if distance[k] <= 2.0 * near else -1


def _from(path: Array, points: Array) -> float:
    """The least distance between a path, as a chain of pieces, and some points."""
    return float(np.min(_to_chain(points, path)))


def _off(walk: Array, flow: Array) -> float:
    """The largest distance of a path's points from another path."""
    return float(np.max(_to_chain(walk, flow)))


def _to_chain(points: Array, chain: Array) -> Array:
    """Distance of each point from a chain of straight pieces."""
    if len(chain) == 1:
        return np.asarray(np.linalg.norm(points - chain[0], axis=1))
    out = np.full(len(points), math.inf)
    for a, b in zip(chain, chain[1:], strict=False):
        along = b - a
        length = float(along @ along)
        share = np.clip((points - a) @ along / length, 0.0, 1.0) if length > 0.0 else np.zeros(len(points))
        out = np.minimum(out, np.linalg.norm(points - a - share[:, None] * along, axis=1))
    return out


def _boundary(labels: Labels, is_grid: bool) -> NDArray[np.bool_]:
    """Where a neighbour on the grid reaches another minimum."""
    out = np.zeros(labels.shape, dtype=bool)
    if is_grid:
        for axis in (0, 1):
            differs = np.diff(labels, axis=axis) != 0
            near, far = [slice(None)] * 2, [slice(None)] * 2
            near[axis], far[axis] = slice(None, -1), slice(1, None)
            out[tuple(near)] |= differs
            out[tuple(far)] |= differs
    return out
