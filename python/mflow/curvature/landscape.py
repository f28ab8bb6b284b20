"""What is known of a cost around the point where a descent has ended: what its certificate asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.curvature.frozen import Bearing, bearing, largest_lr
from mflow.curvature.hessian import Hessian
from mflow.stability.limits import max_stable_dt

__all__ = ["GTOL", "Landscape", "gradient_of", "largest_step", "products_of", "run_bearing", "scaled"]

GTOL = 1e-5  # of the largest entry of a gradient that counts as 0
OF_DIFFERENCES = 300.0  # times the usual length, for differences of gradients that are differences themselves

Map = Callable[[Array], Array]


@dataclass
class Landscape:
    """A cost near x.

    x : float64 array (n,), flat. gradient : its gradient at a flat point. product : exact products of its Hessian at x, or None.
    arrange : a flat vector in the user's arrangement. method : the name of the one that led here, or "". step : its largest stable step for
    the largest curvature in its metric, or None.
    bearing : the gradient at x -> what the next step bears, of an optimizer; None of others. converged : whether the run says that the
    gradient is small, by its own test. gtol : of that test, where it is one of the largest entry. longer : times the usual length of
    differences.
    """

    x: Array
    gradient: Map
    product: Map | None = None
    arrange: Callable[[Array], Any] = lambda v: v
    method: str = ""
    step: Callable[[float], float] | None = None
    bearing: Callable[[Array], Bearing] | None = None
    converged: bool = False
    gtol: float = GTOL
    longer: float = 1.0

    def hessian(self) -> Hessian:
        """Products at x, as good as they can be had."""
        return Hessian(self.x, self.gradient, self.product, central=True, longer=self.longer)


def gradient_of(problem: Problem, start: Array) -> Map:
    """The gradient of a cost as the core has it, at flat points; start: an array of its shape."""
    made: list[stepper.Run] = []  # one, when it is first asked for: few results are

    def gradient(x: Array) -> Array:
        if not made:
            method = as_method("sgd", {})
            made.append(stepper.Run(method.record, problem, start, 0.0, 0.1, method.numbers, descend=True))
        return np.asarray(made[0].evaluate(x.reshape(start.shape))[1]).ravel()

    return gradient


def products_of(fun: Any, x: Array) -> Map | None:
    """Exact products of the Hessian at a flat x, where the cost has them."""
    return (lambda v: np.asarray(fun.hessp(x, v)).ravel()) if isinstance(fun, Objective) else None


def run_bearing(run: Any, method: Method, grad: Array, lr: float) -> Bearing:
    """What the next step of an optimizer bears that `mflow_core.stepping.stepper.Run` takes with this lr."""
    count = method.sizes["n_vec"]
    return bearing(
        method.record, {**method.all_numbers, "lr": lr}, int(run.k), None, [run.vector(j).ravel() for j in range(1, count)], grad
    )


def scaled(times: Map, found: Bearing) -> Map:
    """Products with P^(-1/2) (H + decay) P^(-1/2)."""
    root, decay = found.root, found.decay
    if root is None:
        return (lambda v: times(v) + decay * v) if decay else times
    return lambda v: root * (times(root * v) + decay * (root * v))


def largest_step(method: Method, curvature: float, friction: float = 0.0) -> float:
    """The largest stable step for the largest curvature, in the metric of the method; inf where nothing limits it, nan: not known."""
    if not curvature < math.inf or math.isnan(curvature):
        return math.nan
    if "second_order" in method.flags:
        return max_stable_dt(method, stiffness=max(curvature, 0.0), damping=friction)
    if "linear" in method.flags:
        return max_stable_dt(method, curvature=max(curvature, 0.0))
    if method.kind == "update":
        return largest_lr(method.record, method.all_numbers, curvature)
    return math.nan
