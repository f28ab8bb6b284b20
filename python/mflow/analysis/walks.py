"""The paths that `basins` compares: from each start the steps of a method, and the exact flow, with a gradient in Python or compiled.

A path is a run of the core from its start to its end (`mflow_core.paths`). Compiled costs go on threads, and pieces of the starts to an
executor. A path that breaks off, and a method that needs Python on its way, is one of `minimize`, which says why.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from mflow_core.paths.paths import ARRIVED, STIFF, Paths
from mflow_core.problems.problem import objective_problem
from mflow_core.problems.signatures import companion
from mflow_core.stepping import stepper

from mflow.base.checks import Array, real_array
from mflow.base.executors import Lost, in_pieces
from mflow.base.methods import Method, as_method
from mflow.base.progress import Progress
from mflow.base.threads import processors
from mflow.integrate.curvature import stable_end
from mflow.integrate.ensemble import on_threads
from mflow.optimize.descent import GROWTH
from mflow.optimize.minimize import minimize
from mflow.optimize.step_size import resolve
from mflow.solvers import nonlinear

__all__ = ["Found", "Task", "follow"]

KEPT = 400  # points of a path that are compared
FLOW_STEPS = 3000
LONG = 1e6  # time span of the flow
INSIDE = 7  # points within a step of the flow, whose steps are long


class Found(NamedTuple):
    """The two paths of a start: of the method, with its last good point, its reason and its steps; and of the flow, whether it arrived."""

    walk: Array
    end: Array
    reason: str
    steps: int
    flow: Array
    arrived: bool


@dataclass(frozen=True)
class Task:
    """What the paths follow: the gradient of a cost, in Python or compiled, points (starts, n), a method with its step and parameters."""

    grad: Any
    compiled: bool
    points: Array
    method: Method
    dt: float
    parameters: dict[str, Any]
    maxiter: int
    gtol: float
    extent: float


@dataclass(frozen=True)
class CheckedGradient:
    """A gradient of Python; ValueError where its shape is not that of its argument."""

    grad: Callable[[Array], Any]

    def __call__(self, c: Array) -> Array:
        out = real_array(self.grad(c), "grad")
        if out.shape != c.shape:
            raise ValueError(f"grad: expected an array of shape {c.shape} returned, got shape {out.shape}")
        return out


def follow(task: Task, threads: int | None, executor: futures.Executor | None, bar: Progress) -> list[Found]:
    """The paths of every start, in order; they do not depend on threads or the executor."""
    if executor is not None:
        return _on_executor(task, executor, bar)
    work = _Work(task)
    count = min(threads or processors(), len(task.points))
    if task.compiled and count > 1:
        on_threads(work.work, work.stop, lambda: work.done, count, bar)
    else:
        work.work(bar)
    return [one for one in work.found if one is not None]


class _Work:
    """The starts, and the next one to be taken by a thread."""

    def __init__(self, task: Task) -> None:
        self.task, self.core = task, Paths(task.gtol)
        self.lock, self.next, self.done = threading.Lock(), 0, 0
        self.found: list[Found | None] = [None] * len(task.points)
        self.method, _, _ = resolve(task.method, {"lr": task.dt, **task.parameters})
        plain = self.method.kind == "step" and not self.method.flags & {"second_order", "implicit", "needs_rho"}
        self.direct = self.method.kind == "update" or plain
        self.integrators = as_method("dopri5", {}), as_method("esdirk43", {})
        self.tolerances = np.array([1e-6]), np.array([1e-7 * min(task.extent, 1.0)])
        shape, self.hess = task.points[0].shape, companion(task.grad, "hess", None)
        self.cost, self.stiff_cost = objective_problem(None, task.grad, shape), objective_problem(None, task.grad, shape, (), self.hess)

    def work(self, bar: Progress | None = None) -> None:
        """One start after the other, until none is left or `stop` is called."""
        with np.errstate(all="ignore"):
            while True:
                with self.lock:
                    k, self.next = self.next, min(self.next + 1, len(self.found))
                if k >= len(self.found):
                    return
                start = self.task.points[k]
                self.found[k] = Found(*self._walk(start), *self._flow(start))
                with self.lock:
                    self.done += 1
                if bar is not None:
                    bar.update(self.done)

    def stop(self) -> None:
        """No further start; threads at work end between two steps."""
        with self.lock:
            self.next = len(self.found)
        self.core.stop()

    def _walk(self, start: Array) -> tuple[Array, Array, str, int]:
        """(path, last good point, reason, steps) of the method."""
        if not self.direct:
            return _by_minimize(self.task, start)
        step = self.task.dt if self.method.kind == "step" else math.nan
        run = stepper.Run(self.method.record, self.cost, start, 0.0, step, self.method.numbers, descend=True)
        status, path = self.core.walk(run, self.task.maxiter, KEPT)
        if self._has_diverged(run, status):
            end = run.here()[0]
            return np.concatenate([path, end[None]]), end, "diverged", run.k
        if status not in (0, stepper.CONVERGED):
            _, end, reason, steps = _by_minimize(self.task, start, kept=False)
            return np.concatenate([path, end[None]]), end, reason, steps
        return path, path[-1], "converged" if status else "max_iter", run.k

    @staticmethod
    def _has_diverged(run: stepper.Run, status: int) -> bool:
        """Whether a path has left the finite numbers after its gradient has grown, which is all that `minimize` asks."""
        first, last = run.largest_slope
        return status in (stepper.NON_FINITE, stepper.RETRY_NON_FINITE) and last > GROWTH * max(first, 1e-300)

    def _flow(self, start: Array) -> tuple[Array, bool]:
        """The path of the exact flow to where the gradient is small, and whether it was reached. Narrow valleys are stiff: where dopri5 is
        held at its stability limit, or does not reach the end, esdirk43 goes on."""
        parts, c, status = [], start, 0
        for method in self.integrators:
            cost = self.stiff_cost if method.is_implicit else self.cost
            solver = nonlinear.solver_for(method, cost, 0.0, c, jac=self.hess, hess=True) if method.is_implicit else None
            run = stepper.Run(method.record, cost, c, 0.0, math.nan, method.numbers, dense=True, solver=solver)
            run.control(*self.tolerances, LONG / 100)
            run.look_for_stiffness(stable_end(method.record))
            status, path = int(run.begin(LONG)), c[None]
            if status == 0:
                status, path = self.core.flow(run, LONG, FLOW_STEPS, INSIDE)
            parts.append(path)
            c = np.ascontiguousarray(path[-1])
            if status not in (0, STIFF) or run.t == LONG:
                break
        path = np.concatenate(parts)
        if len(path) > KEPT:
            path = path[np.linspace(0, len(path) - 1, KEPT).round().astype(int)]
        return path, status == ARRIVED


def _by_minimize(task: Task, start: Array, kept: bool = True) -> tuple[Array, Array, str, int]:
    """The path of a method that needs Python on its way, or that breaks off: the reason is `minimize`'s."""
    points, every = [start.copy()], [1, 0]  # one of this many steps is kept; steps so far

    def note(xk: Array) -> None:
        every[1] += 1
        if every[1] % every[0] == 0:
            points.append(xk)
        if len(points) > 2 * KEPT:  # a long path is thinned out as a whole, not cut off
            del points[1::2]
            every[0] *= 2

    settings = {"lr": task.dt, "maxiter": task.maxiter, "gtol": task.gtol, **task.parameters}
    r = minimize(None, start, method=task.method, jac=task.grad, callback=note if kept else None, check_gradient=False, **settings)
    return np.array([*points, r.x]), r.x, r.reason, r.nit


# ---- an executor ------------------------------------------------------------------------------------------------------------------------


def _piece(task: Task) -> list[Found]:
    """The work of a worker of an executor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return follow(task, 1, None, Progress(0.0, 0.0, shown=False))


def _on_executor(task: Task, executor: futures.Executor, bar: Progress) -> list[Found]:
    """The starts in pieces. Those of a piece that is lost end where they began, with the reason "executor_failed"."""
    out = [Found(c[None], c, "executor_failed", 0, c[None], False) for c in task.points]
    for part, piece in in_pieces(executor, _piece, lambda one: replace(task, points=task.points[one]), len(out), bar):
        if not isinstance(piece, Lost):
            out[part] = piece
    return out
