"""Looks at a minimisation beside it: its curvature along the way, a progress bar, and the landscape where it ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.base.progress import Progress
from mflow.base.result import OptimizeResult, keep_origin
from mflow.curvature.frozen import Bearing
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape, gradient_of, largest_step, products_of, run_bearing
from mflow.curvature.watch import Watch, watch_of
from mflow.optimize.doubts import Doubts
from mflow.stability.limits import stability_limit

__all__ = ["Looks"]


class Looks:
    """What is seen of a run of `mflow_core.stepping.stepper.Run` and its cost, by gradients of its own."""

    def __init__(self, run: Any, problem: Any, method: Method, doubts: Doubts, friction: float) -> None:
        self.run, self.problem, self.method, self.doubts, self.friction = run, problem, method, doubts, friction
        self.watch: Watch | None = None
        self.bar: Progress | None = None
        self.lr = float(method.all_numbers.get("lr", math.nan))  # as it stands; of an integrator its dt

    def begin(self, monitor: Any, every: Any, limit: int, shows: bool) -> None:
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
        keep_origin(out, Landscape(
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
