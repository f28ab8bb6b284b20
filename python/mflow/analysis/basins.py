"""Basins: which minimum each start reaches under a method and a step, where paths part, and how far a path may drift.

From each start two paths are computed: the steps of the method, and the exact flow c' = -g (dopri5 under tight error control). Ends that
are close to each other are one minimum. The drift of a path is its largest distance from the exact path, as curves. The allowed drift is
the least distance of the exact path from a start that the flow leads elsewhere, known to the spacing of the starts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.analysis.posedness import posedness
from mflow.analysis.results import BasinsResult
from mflow.base.checks import Array, check_flags, check_function, check_list, check_number, check_start, check_vector
from mflow.base.methods import Method, as_method
from mflow.base.telling import tell
from mflow.integrate.flow import gradient_flow
from mflow.optimize.minimize import minimize

__all__ = ["basins"]

KEPT = 400  # points of a path that are compared
FLOW_STEPS = 3000
LONG = 1e6  # time span of the flow
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
    starts : array_like (starts, n)
        In place of a grid.
    method : name or instance
        As in `mflow.minimize`: an optimizer, an integrator on gradient flow, or a second-order method.
    dt : float
        The step; ``lr`` is another name for it.
    maxiter, gtol
        A path ends where the largest entry of the gradient is at most gtol, or after maxiter steps.
    merge : float, optional
        Ends within this distance are one minimum; by default a hundredth of the extent of the starts.
    paths : bool
        Whether to measure drift; False saves time.
    **parameters
        Parameters of the method.

    Returns
    -------
    BasinsResult
        ``labels`` and ``flow_labels`` (len(y), len(x)) or (starts,), rows of ``minima`` or -1; ``boundary``, ``changed``, ``drift``,
        ``allowed_drift``, ``room``.

    Raises
    ------
    TypeError, ValueError
        The starts are missing, given twice, or not finite; the step is missing; ``grad`` returns another shape.

    Warns
    -----
    RuntimeWarning
        The exact flow reached no minimum from some starts (there is none, or it is too far); their ``flow_labels`` are -1.

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
            raise TypeError("lr, dt: expected one of them, got both; they are the same parameter")
        dt = parameters.pop("lr")
    if dt is None or isinstance(dt, str):
        raise ValueError(f"dt: expected a step, got {dt!r}; basins belong to a method and its step")
    dt = check_number(dt, "dt", "a step above 0", low=0.0, open_low=True)
    check_function(grad, "grad", "the gradient, a function of c")
    check_flags(paths=paths)
    gtol = check_number(gtol, "gtol", low=0.0)
    points, axes, shape = _starts(grid, starts)
    method = as_method(method, {})
    extent = float(np.max(np.ptp(points, axis=0), initial=0.0)) or 1.0
    near = 0.01 * extent if merge is None else check_number(merge, "merge", low=0.0)

    def checked(c: Array) -> Array:
        out = np.asarray(grad(c), dtype=np.float64)
        if out.shape != c.shape:
            raise ValueError(f"grad: expected an array of shape {c.shape} returned, got shape {out.shape}")
        return out

    settings = {"lr": float(dt), "maxiter": maxiter, "gtol": gtol, **parameters}
    walks = [_walk(checked, c, method, settings, paths) for c in points]
    flows, arrived = zip(*(_flow(checked, c, gtol, extent) for c in points), strict=True)
    reached = [flow[-1] for flow, ended in zip(flows, arrived, strict=True) if ended]
    minima = _minima([w[1] for w in walks if w[2] == "converged"] + reached, near, checked, points.shape[1])
    if not all(arrived):
        text = f"basins: the exact flow reached no minimum from {arrived.count(False)} of {len(points)} starts; their flow_labels are -1"
        tell(text)
    labels = np.array([_label(w[1], minima, near) if w[2] == "converged" else -1 for w in walks], dtype=np.int64)
    flow_labels = np.array([_label(f[-1], minima, near) if ok else -1 for f, ok in zip(flows, arrived, strict=True)], dtype=np.int64)
    drift, allowed, room = _drifts(points, [walk[0] for walk in walks], flows, flow_labels, paths)
    return BasinsResult(
        method=as_method(method, {k: v for k, v in parameters.items() if k in {p.name for p in method.parameters_}}),
        dt=float(dt),
        axes=axes,
        starts=points.reshape(*shape, -1),
        labels=labels.reshape(shape),
        minima=minima,
        ends=np.array([w[1] for w in walks]).reshape(*shape, -1),
        steps=np.array([w[3] for w in walks], dtype=np.int64).reshape(shape),
        flow_labels=flow_labels.reshape(shape),
        changed=((labels != flow_labels) & np.array([w[2] != "max_iter" for w in walks])).reshape(shape),
        boundary=_boundary(labels.reshape(shape), axes is not None),
        room=room.reshape(shape),
        drift=drift.reshape(shape),
        allowed_drift=allowed.reshape(shape),
        reasons=[w[2] for w in walks],
    )


def _drifts(points: Array, walks: Sequence[Array], flows: Sequence[Array], labels: Labels, paths: bool) -> tuple[Array, Array, Array]:
    """(drift, allowed drift, room) of each start; see `BasinsResult`."""
    drift, allowed, room = (np.full(len(points), math.nan) for _ in range(3))
    for k, (walk, flow) in enumerate(zip(walks, flows, strict=True)):
        others = points[labels != labels[k]]
        if others.size:
            allowed[k], room[k] = np.min(_to_chain(others, flow)), np.min(_to_chain(others, points[k : k + 1]))
        if paths:
            drift[k] = np.max(_to_chain(walk, flow)) if np.all(np.isfinite(walk)) else math.inf
    return drift, allowed, room


def _starts(grid: Any, starts: Any) -> tuple[Array, tuple[Array, Array] | None, tuple[int, ...]]:
    """Points (starts, n), the axes of a grid, and the shape of the results."""
    if (grid is None) == (starts is None):
        raise ValueError("grid, starts: expected one of them, got " + ("none" if grid is None else "both"))
    if grid is None:
        points = check_start(starts, "starts")
        if points.ndim != 2 or not points.size:
            raise ValueError(f"starts: expected an array of shape (starts, n), got shape {points.shape}")
        return points, None, (len(points),)
    grid = check_list(grid, "grid", "two arrays (x, y)")
    if len(grid) != 2:
        raise ValueError(f"grid: expected two arrays (x, y), got {len(grid)}; give starts= for other dimensions")
    x, y = (check_vector(axis, f"grid[{k}]") for k, axis in enumerate(grid))
    if not x.size or not y.size:
        raise ValueError(f"grid: expected points along both axes, got {x.size} and {y.size}")
    X, Y = np.meshgrid(x, y)
    return np.stack([X.ravel(), Y.ravel()], axis=1), (x, y), (y.size, x.size)


def _walk(grad: Any, start: Array, method: Method, settings: dict[str, Any], keep: bool) -> tuple[Array, Array, str, int]:
    """(path, last good point, reason, steps) of the method."""
    points, every = [start.copy()], [1, 0]  # one of this many steps is kept; steps so far

    def note(xk: Array) -> None:
        every[1] += 1
        if every[1] % every[0] == 0:
            points.append(xk)
        if len(points) > 2 * KEPT:  # a long path is thinned out as a whole, not cut off
            del points[1::2]
            every[0] *= 2

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        r = minimize(
            lambda c: (0.0, grad(c)), start, method=method, jac=True, callback=note if keep else None, check_gradient=False, **settings
        )
    return np.array([*points, r.x]), r.x, r.reason, r.nit


def _flow(grad: Any, start: Array, gtol: float, extent: float) -> tuple[Array, bool]:
    """The path of the exact flow, (points, n), to where the gradient is small, and whether it was reached.

    Narrow valleys are stiff: where dopri5 does not reach the end, esdirk43 goes on.
    """

    def arrived(t: float, c: Array) -> bool:
        return bool(np.max(np.abs(grad(c))) <= gtol)

    settings: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7 * min(extent, 1.0), "callback": arrived, "max_step": LONG / 100}
    parts, c = [], start
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for method in ("dopri5", "esdirk43"):
            r = gradient_flow(grad, c, LONG, method, max_steps=FLOW_STEPS, **settings)
            parts.append(r.y.T)
            c = np.ascontiguousarray(r.y[:, -1])
            if r.reason != "max_steps" or arrived(0.0, c):
                break
    path: Array = np.concatenate(parts)
    pick = np.linspace(0, len(path) - 1, min(len(path), KEPT)).round().astype(int)
    return np.asarray(path[pick]), arrived(0.0, c)


def _minima(ends: list[Array], near: float, grad: Any, n: int) -> Array:
    """The minima among the ends, one of those that are near each other, without saddles, in lexical order: (k, n)."""
    apart: list[Array] = []
    for end in ends:
        if np.all(np.isfinite(end)) and not any(np.linalg.norm(end - other) <= near for other in apart):
            apart.append(end)
    kept = [c for c in apart if posedness(lambda t, y: -grad(y), 0.0, c, symmetric=True).verdict != "ill-posed"]
    kept.sort(key=lambda c: tuple(np.round(c / max(near, 1e-300)).tolist()))
    return np.array(kept).reshape(len(kept), -1) if kept else np.empty((0, n))


def _label(end: Array, minima: Array, near: float) -> int:
    if not len(minima) or not np.all(np.isfinite(end)):
        return -1
    distance = np.linalg.norm(minima - end, axis=1)
    k = int(np.argmin(distance))
    return k if distance[k] <= 2.0 * near else -1


def _to_chain(points: Array, chain: Array) -> Array:
    """Distance of each point from a chain of straight pieces."""
    if len(chain) == 1:
        return np.asarray(np.linalg.norm(points - chain[0], axis=1))
    out = np.full(len(points), math.inf)
    for a, b in pairwise(chain):
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
