"""What is known of a cost around the point where a descent has ended: what its certificate asks for."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.curvature.frozen import Bearing, bearing, largest_lr
from mflow.curvature.hessian import CENTRAL, Hessian
from mflow.derivatives.agreement import SHORT, own_lengths
from mflow.derivatives.differences import OWN
from mflow.stability.limits import max_stable_dt

__all__ = ["GTOL", "Landscape", "both_of", "gradient_of", "largest_step", "products_of", "run_bearing", "scaled", "value_of"]

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
    differences. box : (lower, upper), bounds of the flat point, or None. why : where no step can be known, the reason. lengths : of
    differences along each parameter, where they are known. value : the cost at a flat point, where its gradient is made by differences.
    looked : evaluations that found lengths, in gradients.
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
    box: tuple[Array, Array] | None = None
    why: str = ""
    lengths: Array | None = None
    value: Callable[[Array], float] | None = None
    looked: int = 0

    def find_lengths(self) -> bool:
        """Whether the cost, whose gradient is made by differences, has lengths of its own around x, over which it is taken from now on."""
        value, self.value = self.value, None
        if value is None:
            return False
        lower, upper = (np.full(self.x.size, sign * math.inf) for sign in (-1.0, 1.0)) if self.box is None else self.box
        calls = 0

        def inside(x: Array) -> float:
            nonlocal calls
            calls += 1
            return value(x) if np.all((lower <= x) & (x <= upper)) else math.nan

        self.lengths = own_lengths(inside, self.x, CENTRAL * self.longer)
        self.looked = -(-calls // (2 * max(1, self.x.size)))
        if self.lengths is None:
            return False
        steps = np.minimum(SHORT * self.lengths, OWN * np.maximum(1.0, np.abs(self.x)))

        def gradient(x: Array) -> Array:
            out = np.empty(x.size)
            for j in range(x.size):
                ends = np.tile(x, (2, 1))
                ends[:, j] = np.clip((x[j] + steps[j], x[j] - steps[j]), lower[j], upper[j])
                apart = ends[0, j] - ends[1, j]
                out[j] = (value(ends[0]) - value(ends[1])) / apart if apart > 0.0 else 0.0
            return out

        self.gradient = gradient
        return True

    def hessian(self, moves: NDArray[np.intp]) -> Hessian:
        """Products at x, as good as they can be had, of the entries `moves` of vectors; differences stay within the bounds."""
        if self.box is None:
            return Hessian(self.x, self.gradient, self.product, central=True, longer=self.longer, lengths=self.lengths)
        product, exact = self.product, None
        if product is not None:
            exact = lambda v: product(self._whole(v, 0.0, moves))[moves]  # noqa: E731
        lower, upper = (end[moves] for end in self.box)
        lengths = None if self.lengths is None else self.lengths[moves]
        return InBox(
            self.x[moves], lambda z: self.gradient(self._whole(z, self.x, moves))[moves], exact, lower, upper, self.longer, lengths
        )

    def _whole(self, part: Array, rest: Any, moves: NDArray[np.intp]) -> Array:
        out = np.empty(self.x.size)
        out[:] = rest
        out[moves] = part
        return out


class InBox(Hessian):
    """Products by differences that stay within bounds: at the point next to x that has room for them. What that displaces is part of the
    noise, as twice the length displaces it more."""

    def __init__(
        self, x: Array, gradient: Map, product: Map | None, lower: Array, upper: Array, longer: float, lengths: Array | None
    ) -> None:
        self.room = 0.1 * (upper - lower)  # for twice the length, twice over
        super().__init__(x, gradient, product, None, True, longer, None if lengths is None else np.minimum(lengths, self.room))
        self.at_x, self.lower, self.upper = x, lower, upper

    def _difference(self, v: Array, length: float) -> Array:
        """The product over this length, at the point that has room for it."""
        size = float(np.linalg.norm(v))
        room = 2.0 * length / size * np.abs(v) if size > 0.0 else 0.0
        self.x = np.clip(self.at_x, self.lower + room, self.upper - room)
        out = super()._difference(v, length)
        self.x = self.at_x
        return out


def gradient_of(problem: Problem, start: Array) -> Map:
    """The gradient of a cost as the core has it, at flat points; start: an array of its shape."""
    run = _run_of(problem, start)
    return lambda x: np.asarray(run().evaluate(x.reshape(start.shape))[1]).ravel()


def both_of(problem: Problem, start: Array) -> Callable[[Array], tuple[float, Array]]:
    """The cost and its gradient, likewise."""
    run = _run_of(problem, start)
    return lambda x: run().evaluate(x.reshape(start.shape))


def value_of(problem: Problem, start: Array) -> Callable[[Array], float]:
    """The cost itself, likewise; NaN where its values carry few digits, for which differences have other lengths."""
    run, look = _run_of(problem, start), getattr(problem.callback, "look", None)
    return lambda x: math.nan if getattr(look, "digits", None) else float(run().evaluate(x.reshape(start.shape), False)[0])


def _run_of(problem: Problem, start: Array) -> Callable[[], Any]:
    """The core's evaluations, made when they are first asked for: few results are."""

    @functools.cache
    def run() -> Any:
        method = as_method("sgd", {})
        return stepper.Run(method.record, problem, start, 0.0, 0.1, method.numbers, descend=True)

    return run


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
