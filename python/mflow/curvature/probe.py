"""The gradient and curvature of a training run's loss at any parameters, aside from the run: on all data, or on one fixed batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array
from mflow.curvature.frozen import Bearing, largest_lr, optimizer_bearing
from mflow.curvature.landscape import Landscape, products_of
from mflow.curvature.passed import Passed, passed_limit
from mflow.curvature.watch import Watch

__all__ = ["Probe"]

Args = tuple[Any, ...]


class Probe:
    """The loss of a training run, for looks at it.

    Parameters
    ----------
    cost : object
        ``cost.both(params, args)`` -> (loss, gradient), ``cost.fun`` the user's function.
    binding : object
        ``flat``, ``opt``, ``gathered(gradient, argument)`` and ``like(arrays)``.
    feed : object
        ``whole()``: all data as (arguments, weight); ``some()``: the arguments of a fixed batch, or None.
    """

    def __init__(self, cost: Any, binding: Any, feed: Any) -> None:
        self.cost, self.binding, self.feed = cost, binding, feed
        self.args: Args | None = None  # of the fixed batch
        self.part: Any = None  # of a compiled objective, likewise
        self.implicit = ""  # the name of a method that holds the optimizer for its lr alone, and that no step is too long for

    def hold(self, args: Args) -> None:
        """The first batch is the one that is looked at, where the feed has none to be had."""
        if self.args is None:
            self.args = tuple(np.array(a) if isinstance(a, np.ndarray) else a for a in args)

    def fix(self, data: Any = None) -> None:
        """The batch to look at: one given, or one of the feed."""
        if data is not None:
            self.args = data if isinstance(data, tuple) else (data,)
            self.part = data if isinstance(data, Objective) else None
        elif isinstance(self.cost.fun, Objective):
            rows = getattr(self.feed, "spread", slice(None))  # of an objective that is no mean over rows, the whole
            self.part = self.cost.fun if isinstance(rows, slice) else self.cost.fun.batch(rows)
        else:
            self.args = self.feed.some()

    def look(self, watch: Watch, step: int) -> None:
        """One look, at the parameters as they stand."""
        x, part = self.flat(), self.part
        if part is None and self.args is None:
            return  # no batch has come by
        gradient = self._gradient([(self.args or (), 1.0)]) if part is None else lambda z: self.sign * np.ravel(part.grad(z))
        product = None if part is None else self._signed(products_of(part, x))
        watch.look(step, x, gradient, product, self._bearing, self.binding.opt.lr_of(0))

    def passed(self, arrays: list[Array], lr: float, args: Args) -> Passed | int:
        """The limit that a run with this lr has passed, by the curvature of one batch at these parameters: rows that are spread over all,
        or where the feed has none to be had those of `args`. As `passed_limit`, and 0 where groups have limits of their own."""
        opt, fun, x = self.binding.opt, self.cost.fun, self.flat(arrays)
        if self.implicit or len(opt.param_groups) != 1:
            return 0
        some = self.feed.some()
        gradient, product = self._gradient([(args if some is None else some, 1.0)]), None
        if isinstance(fun, Objective):
            rows = getattr(self.feed, "spread", slice(None))
            part = fun if isinstance(rows, slice) else fun.batch(rows)
            gradient, product = (lambda z: np.ravel(part.grad(z))), products_of(part, x)
        return passed_limit(opt.record, dict(opt.parameters_of(0)), lr, x, gradient, product)

    def _bearing(self, grad: Array) -> Bearing:
        return Bearing(math.inf, None, 0.0) if self.implicit else optimizer_bearing(self.binding.opt, grad)

    def flat(self, arrays: list[Array] | None = None) -> Array:
        """The parameters as one vector."""
        parts = self.binding.flat if arrays is None else arrays
        return np.concatenate([np.ravel(a) for a in parts]) if parts else np.empty(0)

    @property
    def sign(self) -> float:
        """-1 where the optimizer climbs."""
        return -1.0 if self.binding.opt.maximizes(0) else 1.0

    def _signed(self, product: Callable[[Array], Array] | None) -> Callable[[Array], Array] | None:
        return product if product is None or self.sign > 0.0 else lambda v: -product(v)

    def arranged(self, x: Array) -> Any:
        """A flat vector in the arrangement of the parameters."""
        flat = self.binding.flat
        ends = np.cumsum([a.size for a in flat])[:-1]
        return self.binding.like([part.reshape(a.shape).copy() for part, a in zip(np.split(x, ends), flat, strict=True)])

    def _gradient(self, parts: Iterable[tuple[Args, float]] | Callable[[], Iterable[tuple[Args, float]]]) -> Callable[[Array], Array]:
        def gradient(x: Array) -> Array:
            total, weight, params = np.zeros(0), 0.0, self.arranged(x)
            for args, rows in parts() if callable(parts) else parts:
                out = self.cost.both(params, args)[1]
                flat = self.binding.gathered(out, "the gradient")
                part = np.concatenate([np.asarray(g, dtype=np.float64).ravel() for g in flat])
                if rows != 1.0:
                    part *= rows
                total = total + part if weight else part
                weight += rows
            return total if weight == self.sign == 1.0 else np.asarray(self.sign * total / weight)

        return gradient

    def landscape(self, best: list[Array]) -> Landscape:
        """All data, at the parameters of a result."""
        x, opt = self.flat(best), self.binding.opt
        fun = self.cost.fun
        product = products_of(fun, x) if isinstance(fun, Objective) else None
        gradient = self._gradient(self.feed.whole) if product is None else lambda z: self.sign * np.ravel(fun.grad(z))

        def step(curvature: float) -> float:
            return math.inf if self.implicit else largest_lr(opt.record, opt.parameters_of(0), curvature)

        return Landscape(x, gradient, self._signed(product), self.arranged, self.implicit or opt.record.name, step, self._bearing)
