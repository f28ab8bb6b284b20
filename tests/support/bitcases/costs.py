"""Compiled objectives: value, gradient, product with the Hessian, residuals and minibatches of each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .inputs import Rows, hidden, numbers
from .integrate import quadratic
from .record import Case

SHAPES = ((1, 1), (7, 2), (13, 3), (37, 7), (20, 12), (20, 13), (150, 100))  # rows and columns of a regression
UNKNOWNS = (1, 2, 3, 7, 12, 13, 100)


def near_start(f: Any) -> Any:
    """Where it is looked at: a little off the start, each unknown in its own scale."""
    x = np.asarray(f.x0, dtype=float)
    return x + (0.03125 * np.abs(x) + 0.00390625) * numbers(x.shape, 70)


def looked_at(make: Any) -> dict[str, Any]:
    f = make()
    x = near_start(f)
    value, grad = f.value_and_grad(x)
    out = {"value": value, "grad": grad, "hessp": f.hessp(x, numbers(x.shape, 71)), "alone": f(x)}
    if "squares" in f.flags:
        out |= {"residuals": f.residuals(x), "jac": f.jac(x)}
    if "sets" in f.flags and f.m > 1:
        part = f.batch([f.m - 1, 0, f.m // 2])
        out |= {"part": part(x), "part_grad": part.grad(x)}
    if f.n <= 13:
        out["hess"] = f.hess(x)
    return out


def regression(name: str, shape: tuple[int, int], **options: Any) -> Any:
    rows = Rows(*shape)
    labels = rows.classes if name == "Softmax" else rows.labels(name.lower())
    if name == "Softmax":
        options["n_classes"] = 3
    f = getattr(mflow.objectives, name)(rows.X, labels, **options)
    return getattr(mflow.objectives, name)(rows.X, labels, x0=numbers(f.shape, 72), **options)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for name in ("LeastSquares", "Logistic", "Poisson", "Huber", "Softmax"):
        for shape in SHAPES:
            yield Case(f"objective {name} {shape[0]}x{shape[1]}", partial(looked_at, partial(regression, name, shape)))
        given = {"l2": 0.125, "intercept": True, "weights": Rows(37, 7).weights}
        yield Case(f"objective {name} weights", partial(looked_at, partial(regression, name, (37, 7), **given)))
    yield Case("objective Huber delta", partial(looked_at, partial(regression, "Huber", (37, 7), delta=0.25)))
    for n in UNKNOWNS:
        diagonal = partial(mflow.objectives.Quadratic, numbers(n, 73, 0.5, 2.0), numbers(n, 74))
        yield Case(f"objective Quadratic diagonal n={n}", partial(looked_at, diagonal))
        yield Case(f"objective Quadratic n={n}", partial(looked_at, partial(quadratic, n)))
        if n > 1:
            yield Case(f"objective Rosenbrock n={n}", partial(looked_at, partial(mflow.objectives.Rosenbrock, n)))
    for kind, names in (("mgh", hidden(mflow.objectives.mgh, "mgh_names")()), ("nist", mflow.data.nist_names())):
        for name in names:
            make = partial(getattr(mflow.objectives, kind), name)
            machine = "libm" in make().flags or name == "Nelson"  # whose response is NumPy's logarithm of what was measured
            yield Case(f"objective {kind} {name}", partial(looked_at, make), machine=machine)
