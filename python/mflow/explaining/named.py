"""What `explain` says of methods whose largest stable step does not follow from the curvature of a cost alone.

An optimizer that rescales divides by P, which its past gradients have made: what is said of it is for P after some steps with the gradient
at x0, by products with P^(-1/2) H P^(-1/2) (`mflow.curvature.frozen`). Line searches and trust regions find their steps: what curvature
says of them is how many they need.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.base.telling import counted
from mflow.curvature.frozen import optimizer_bearing, rescales
from mflow.explaining.examined import ExaminedCost
from mflow.optim import classes
from mflow.stability.amplification import finds_steps
from mflow.stability.limits import FRICTION, max_stable_dt

__all__ = ["Seen", "asks_for_gradient", "limit_of"]

STEPS = 100  # with the gradient at x0, which an optimizer takes before it is looked at


class Seen(NamedTuple):
    """Of a cost at x: its gradient g there (of no entries where no method asks for it), the largest curvature on the way, the condition
    number, whether all curvatures are known, and products with the Hessian from random starts, of which the curvature in the metric of a
    method is told."""

    x: Array
    g: Array
    curvature: float
    condition: float
    complete: bool
    products: int
    starts: int


def asks_for_gradient(method: Method) -> bool:
    """Whether the limit of this method needs more than curvature."""
    return method.kind == "update" and "second_order" not in method.flags and "linear" not in method.flags


def limit_of(method: Method, cost: ExaminedCost, seen: Seen) -> tuple[float, str]:
    """(the largest stable step of a method: inf where none is too long, nan where curvature tells of none; what is to be said of it)."""
    if method.kind == "direction":
        return math.inf, _of_searches(method, seen)
    if method.kind == "sweep":
        return math.inf, method.doc
    if "second_order" in method.flags:
        return max_stable_dt(method, curvature=seen.curvature), f"With friction = {FRICTION:g}, which is minimize's where none is given."
    if "linear" in method.flags:
        return max_stable_dt(method, curvature=seen.curvature), ""
    return _of_optimizer(method, cost, seen)


def _of_searches(method: Method, seen: Seen) -> str:
    """Of directions, which coincide with those of conjugate gradients on a quadratic whose searches are exact."""
    trusts = "trust_region" in method.flags
    finds = finds_steps(method)
    if not seen.condition < math.inf:
        return f"{finds}. No condition number tells how many it needs, as the cost is not convex here, or has no curvature."
    root, n = math.sqrt(seen.condition), seen.x.size
    digit = 1.0 if root <= 1.0 else max(1.0, 1.0 / math.log10((root + 1.0) / (root - 1.0)))
    most = "of this condition number" if seen.complete else "of the curvatures seen"
    if trusts:
        products = f"about {counted(f'{digit:.3g}', 'product')} with the Hessian a digit, and {n} in all, at most"
        return f"{finds}. Near a minimum they are Newton's, by conjugate gradients, which on a quadratic {most} take {products}."
    return (
        f"{finds}. On a quadratic {most} exact searches take about {counted(f'{digit:.3g}', 'iteration')} a digit, and {n} in all, at most."
    )


def _of_optimizer(method: Method, cost: ExaminedCost, seen: Seen) -> tuple[float, str]:
    optimizer = getattr(classes, method.record.class_name)(np.zeros(seen.x.size), **method.given)
    moves = seen.g != 0.0
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            optimizer.step(seen.g)
        found = optimizer_bearing(optimizer, seen.g)
    if math.isnan(found.limit):
        return math.nan, f"Curvature sets no limit to steps that are not in proportion to small gradients. {method.doc}"
    past = f"As after {STEPS} steps with the gradient at x0"
    if found.root is not None:
        found = found._replace(root=np.where(moves, found.root, 0.0))
        still = "" if moves.all() else f", without the {int(np.sum(~moves))} parameters whose gradient is 0 there"
        divides = rescales(method.record, method.all_numbers)
        past += f"{still}; the limit changes with the gradients, by whose sizes the step is divided" if divides else still
    own = cost.curvatures(seen.x, seen.g, seen.products, seen.starts, found)
    largest = own.bounds[1]
    return math.inf if not largest > 0.0 else float(optimizer.lr) * found.limit / largest, f"{past}."
