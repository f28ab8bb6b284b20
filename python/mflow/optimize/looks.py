"""Looks at a minimisation beside it: its curvature along the way, a progress bar, and the landscape where it ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_flags
from mflow.base.methods import Method
from mflow.base.progress import Progress
from mflow.base.result import BOUNDED, OptimizeResult, Result, keep_origin
from mflow.curvature.frozen import Bearing
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape, gradient_of, largest_step, products_of, run_bearing
from mflow.curvature.watch import Watch, watch_of
from mflow.optimize.doubts import Doubts
from mflow.stability.limits import stability_limit

__all__ = ["Kept", "Looks", "asked_looks"]


def asked_looks(settings: dict[str, Any], searches: bool) -> tuple[Any, Any, bool]:
    """(monitor, monitor_every, progress), taken from the arguments of a call. Raises TypeError or ValueError."""
    monitor, every, shows = settings.pop("monitor"), settings.pop("monitor_every"), settings.pop("progress")
    check_flags(progress=shows)
    if searches and (monitor is not None or shows):
        raise ValueError("monitor, progress: a line search chooses its own steps and shows no bar; omit them")
    return monitor, every, bool(shows)


class Looks:
    """What is seen of a run of `mflow_core.stepping.stepper.Run` and its cost, by gradients of its own."""

    def __init__(self, run: Any, problem: Any, method: Method, doubts: Doubts, friction: float) -> None:
        self.run, self.problem, self.method, self.doubts, self.friction = run, problem, method, doubts, friction
        self.watch: Watch | None = None
        self.bar: Progress | None = None
        self.lr = float(method.all_numbers.get("lr", math.nan))  # as it stands; of an integrator its dt

    def begin(self, limit: int, monitor: Any, every: Any, shows: bool) -> None:
        """What is asked for. Raises ValueError where the curvature limits nothing."""
        watch = watch_of(monitor, every, "minimize", self.method.name)
        if watch is not None and ("second_order" in self.method.flags or self.method.is_implicit):
            raise ValueError(
                f"monitor: expected an optimizer or an explicit integrator, whose steps curvature limits, got {self.method.name}"
            )
        self.watch = watch
        if watch is not None:
            self.gradient = gradient_of(self.problem, self.doubts.start)
        self.bar = Progress(0.0, float(max(limit, 1)), "minimize", note=self._note) if shows else None

    def room(self, left: int) -> int:
        """Iterations until the next look, at most `left`."""
        return left if self.watch is None else min(left, self.watch.room(self.run.k))

    def take(self, evaluated: bool) -> None:
        """After some iterations; evaluated: whether there has been a good point."""
        run, watch = self.run, self.watch
        if self.bar is not None:
            self.bar.update(float(run.k))
        if watch is None or not evaluated or not watch.due(run.k) or watch.last == run.k:
            return
        x = np.ravel(run.y)
        watch.look(run.k, x, self.gradient, products_of(self.doubts.fun, x), self._bearing, self.lr)

    def close(self) -> None:
        """The bar has its last line."""
        if self.bar is not None:
            self.bar.close(float(self.run.k))

    def keep(self, out: OptimizeResult) -> None:
        """What has been seen, and the landscape around the end."""
        if self.watch is not None:
            out.curvature = self.watch.result()
        shape, flat, differences = self.doubts.start.shape, np.ravel(out.x).copy(), self.doubts.differences and not self.problem.compiled
        keep_origin(out, BOUNDED if self.doubts.box is not None else Landscape(
            flat, gradient_of(self.problem, self.doubts.start), products_of(self.doubts.fun, flat), lambda v: v.reshape(shape),
            self.method.name, lambda L: largest_step(self.method, L, self.friction),
            self._bearing if self.method.kind == "update" else None, out.reason == "converged",
            longer=OF_DIFFERENCES if differences else 1.0,
        ))  # fmt: skip

    def _bearing(self, grad: Array) -> Bearing:
        if self.method.kind == "step":
            return Bearing(stability_limit(self.method) / self.lr, None, 0.0)
        return run_bearing(self.run, self.method, grad, self.lr)

    def _note(self, k: float) -> str:
        """The text beside the progress bar."""
        return f"iteration {k:.0f}, gradient {self.run.largest_slope[1]:.3g}" + ("" if self.watch is None else self.watch.note)


class Kept:
    """Iterates of a descent: every k-th, and the last one looked at."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.k: list[int] = []
        self.fun: list[float] = []
        self.x: list[Array] = []

    def look(self, descent: Any) -> None:
        """The iterate where the descent stands; the one before stays if it is one of those to be kept."""
        if self.k and self.k[-1] % self.every:  # kept as the last one, which it no longer is
            for values in (self.k, self.fun, self.x):
                values.pop()
        self.k.append(descent.nit)
        x, value, _ = descent.here()
        self.fun.append(value)
        self.x.append(x)

    def close(self, descent: Any) -> None:
        """The descent broke off: x_nit is kept as well, with its value where there is one."""
        if self.k and self.k[-1] == descent.nit:
            return
        if descent.evaluated and not (self.x and np.array_equal(descent.run.here()[0], self.x[-1])):
            self.look(descent)
        else:
            self.k.append(descent.nit)
            self.fun.append(math.nan)
            self.x.append(descent.run.y)

    def path(self, shape: tuple[int, ...]) -> Result:
        """The iterates as arrays, x in the shape of the start."""
        x = np.array(self.x, dtype=np.float64).reshape(-1, *shape)
        return Result(x=x, fun=np.array(self.fun, dtype=np.float64), k=np.array(self.k, dtype=np.int64))
