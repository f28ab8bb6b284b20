"""Basins: which minimum each start reaches under a method and a step, where paths part, and how far a path may drift.

From each start two paths are computed: the steps of the method, and the exact flow c' = -g (dopri5 under tight error control). Ends that
are close to each other are one minimum. The drift of a path is its largest distance from the exact path, as curves. The allowed drift is
the least distance of the exact path from a start that the flow leads elsewhere, known to the spacing of the starts.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.paths.paths import Chain
from mflow_core.problems.problem import objective_problem
from numpy.typing import ArrayLike, NDArray

from mflow.analysis.posedness import posedness
from mflow.analysis.results import BasinsResult
from mflow.analysis.walks import CheckedGradient, Found, Task, follow
from mflow.base.checks import Array, check_flags, check_function, check_list, check_number, check_start, check_vector, check_whole
from mflow.base.executors import check_executor
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.progress import Progress
from mflow.base.telling import tell
from mflow.curvature.landscape import gradient_of

if TYPE_CHECKING:
    from mflow.base._records import BasinsOptions

__all__ = ["basins"]

Labels = NDArray[np.int64]


def basins(
    grad: Callable[[Array], Any] | Any,
    grid: Sequence[ArrayLike] | None = None,
    *,
    starts: ArrayLike | None = None,
    method: str | Method = "sgd",
    dt: float | None = None,
    maxiter: int = 1000,
    gtol: float = 1e-5,
    merge: float | None = None,
    paths: bool = True,
    threads: int | None = None,
    executor: futures.Executor | None = None,
    progress: bool = False,
    **parameters: Unpack[BasinsOptions],
) -> BasinsResult:
    """Which minimum each start reaches under a method and its step, and under the exact flow.

    Parameters
    ----------
    grad : callable
        ``grad(c)`` returns the gradient (n,) at c (n,). Or a compiled cost, as in `mflow.minimize`: `mflow.objectives`, `mflow.compile`;
        all paths then go without Python, on threads.
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
    threads : int, optional
        For compiled costs: the processors that this process may use if not given. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        Where pieces of the starts are run; what they need is pickled. A piece that is lost ends with the reason "executor_failed".
    progress : bool
        A progress bar on stderr, where tqdm is installed.
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

    See Also
    --------
    mflow.plot.basins, mflow.posedness, mflow.explain

    Examples
    --------
    >>> import mflow, numpy as np
    >>> def grad(c):  # of (c1^2 - 1)^2 + c2^2
    ...     return np.array([4 * c[0] * (c[0] ** 2 - 1), 2 * c[1]])
    >>> r = mflow.basins(grad, (np.linspace(-1.5, 1.5, 6), [0.5]), method="sgd", lr=0.05)
    >>> r.minima.round(3).tolist(), r.labels.tolist(), r.changed.any().item()
    ([[-1.0, 0.0], [1.0, 0.0]], [[0, 0, 0, 1, 1, 1]], False)
    >>> bowl = mflow.objectives.Quadratic([[1.0, 0.0], [0.0, 3.0]])
    >>> mflow.basins(bowl, ([-1.0, 1.0], [1.0]), lr=0.1).minima.round(3).tolist() == [[0, 0]]
    True

    References
    ----------
    H. Nusse and J. Yorke, Dynamics: Numerical Explorations (1998), 7.
    """
    refuse_unknown("basins", parameters, method, ARGUMENTS)
    if "lr" in parameters:
        if dt is not None:
            raise TypeError("lr, dt: expected one of them, got both; they are the same parameter")
        dt = parameters.pop("lr")
    if dt is None or isinstance(dt, str):
        raise ValueError(f"dt: expected a step, got {dt!r}; basins belong to a method and its step")
    dt = check_number(dt, "dt", "a step above 0", low=0.0, open_low=True)
    check_function(grad, "grad", "the gradient, a function of c")
    check_flags(paths=paths, progress=progress)
    threads = None if threads is None else check_whole(threads, "threads", 1)
    check_executor(executor)
    gtol = check_number(gtol, "gtol", low=0.0)
    points, axes, shape = _starts(grid, starts)
    method = as_method(method, {})
    extent = float(np.max(np.ptp(points, axis=0), initial=0.0)) or 1.0
    near = 0.01 * extent if merge is None else check_number(merge, "merge", low=0.0)

    compiled = bool(objective_problem(None, grad, points[0].shape).compiled)
    slope = gradient_of(objective_problem(None, grad, points[0].shape), points[0]) if compiled else CheckedGradient(grad)
    task = Task(grad if compiled else slope, compiled, points, method, dt, {**parameters}, check_whole(maxiter, "maxiter"), gtol, extent)
    note = f"{{:.0f}} of {len(points)} starts".format
    with Progress(0.0, float(len(points)), "basins", note=note, shown=progress) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = follow(task, threads, executor, bar)
    converged, arrived = np.array([f.reason == "converged" for f in found]), np.array([f.arrived for f in found])
    ends, flow_ends = np.array([f.end for f in found]), np.array([f.flow[-1] for f in found])
    minima = _minima(np.concatenate([ends[converged], flow_ends[arrived]]), near, slope)
    gone = sum(f.reason == "executor_failed" for f in found)
    if gone:
        tell(f"basins: the executor lost {gone} of {len(points)} starts, with their workers; their reason is executor_failed")
    if astray := int(np.sum(~arrived)) - gone:
        tell(f"basins: the exact flow reached no minimum from {astray} of {len(points)} starts; their flow_labels are -1")
    labels, flow_labels = _labels(ends, converged, minima, near), _labels(flow_ends, arrived, minima, near)
    drift, allowed, room = _drifts(points, found, flow_labels, paths)
    cut = np.array([f.reason == "max_iter" for f in found])
    return BasinsResult(
        method=as_method(method, {k: v for k, v in parameters.items() if k in {p.name for p in method.parameters_}}),
        dt=dt,
        axes=axes,
        starts=points.reshape(*shape, -1),
        labels=labels.reshape(shape),
        minima=minima,
        ends=ends.reshape(*shape, -1),
        steps=np.array([f.steps for f in found], dtype=np.int64).reshape(shape),
        flow_labels=flow_labels.reshape(shape),
        changed=((labels != flow_labels) & ~cut).reshape(shape),
        boundary=_boundary(labels.reshape(shape), axes is not None),
        room=room.reshape(shape),
        drift=drift.reshape(shape),
        allowed_drift=allowed.reshape(shape),
        reasons=[f.reason for f in found],
    )


ARGUMENTS = (*(name for name in inspect.signature(basins).parameters if name != "parameters"), "lr", "friction")


def _drifts(points: Array, found: Sequence[Found], labels: Labels, paths: bool) -> tuple[Array, Array, Array]:
    """(drift, allowed drift, room) of each start; see `BasinsResult`."""
    drift, allowed, room = (np.full(len(points), math.nan) for _ in range(3))
    others = {label: np.ascontiguousarray(points[labels != label]) for label in np.unique(labels).tolist()}
    for k, one in enumerate(found):
        chain, elsewhere = Chain(one.flow), others[int(labels[k])]
        if elsewhere.size:
            room[k] = np.min(np.linalg.norm(elsewhere - points[k], axis=1))
            allowed[k] = chain.nearest(elsewhere, room[k])
        if paths:
            drift[k] = chain.farthest(one.walk)
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


def _minima(ends: Array, near: float, grad: Any) -> Array:
    """The minima among the ends (k, n), one of those that are near each other, without saddles, in lexical order."""
    apart: list[Array] = []
    left = ends[np.all(np.isfinite(ends), axis=1)]
    while len(left):
        apart.append(left[0])
        left = left[np.linalg.norm(left - left[0], axis=1) > near]
    kept = [c for c in apart if posedness(lambda t, y: -grad(y), 0.0, c, symmetric=True).verdict != "ill-posed"]
    kept.sort(key=lambda c: tuple(np.round(c / max(near, 1e-300)).tolist()))
    return np.array(kept).reshape(len(kept), -1) if kept else np.empty((0, ends.shape[1]))


def _labels(ends: Array, known: NDArray[np.bool_], minima: Array, near: float) -> Labels:
    """The row of `minima` that each end is at; -1 where it is at none, or not known."""
    out = np.full(len(ends), -1, dtype=np.int64)
    known = known & np.all(np.isfinite(ends), axis=1)
    if len(minima) and known.any():
        distance = np.linalg.norm(ends[known][:, None] - minima, axis=2)
        nearest = np.argmin(distance, axis=1)
        out[known] = np.where(distance[np.arange(len(nearest)), nearest] <= 2.0 * near, nearest, -1)
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
