"""Constraints g(x) = 0 on a motion: which methods stay on them, whether a start does, and what they did.

The algorithm is in `mflow_core.dynamics.constraints`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.dynamics.constrained import Constrained
from mflow_core.problems.problem import Problem
from mflow_core.problems.signatures import PRODUCT_SIGNATURE, compiled_address
from mflow_core.problems.sparse import check_sparse
from mflow_core.stepping import probe

from mflow.base.checks import Array, check_whole, shown
from mflow.base.methods import Method
from mflow.derivatives.remainder import jacobian_model, quick, said_of
from mflow.structures.supports import Supports

__all__ = ["constrained_problem", "what_constraints_did"]

OFF = 1e-8  # of what a constraint is made of: how far from 0 it may be at the start
DEPENDENT = 1e-10  # of a gradient: what is left of it beside the others where it depends on them


def constrained_problem(
    problem: Problem, method: Method, supports: Supports, constraints: Any, jac: Any, args: tuple[Any, ...], start: Array, speed: Array,
    controlled: bool,
) -> Constrained:  # fmt: skip
    """The problem on constraints, after a look at its start. Raises TypeError or ValueError."""
    supports.refuse_motion("constraints", "a function of x alone")
    if supports.massless is not None:
        k = supports.massless.index[0]
        fix = "of linear constraints x = T @ q solve for q, with T.T @ M @ T, T.T @ K @ T and T.T @ load, or give it a small mass"
        raise ValueError(f"constraints: degree of freedom {k} has no mass, which multipliers need: expected one for each; {fix}")
    form = _form_of(method)
    if controlled and (form == "drifts" or "f" in method.record.vectors):  # f of the step before belongs to another tangent plane
        raise ValueError(f"dt: the error of {method.name} is not estimated on constraints: give dt, or take newmark")
    g, count = _function_of(constraints)
    compiled = compiled_address(g, "constraints", PRODUCT_SIGNATURE) is not None
    if compiled and count is None:
        raise TypeError("constraints: a compiled function does not say how many numbers it fills: give (function, how many)")
    if not compiled:
        value, g = _first_value(g, args, start), _on_free(g, supports)
        if count is not None and count != value:
            raise ValueError(f"constraints: expected a function that returns {count} numbers, as given, got {value}")
        count = value
    elif supports.any:
        raise ValueError("constraints: a compiled function sees the degrees of freedom that move alone: with fixed= give a Python function")
    assert count is not None
    x, v = supports.reduced(start), supports.reduced(speed)
    if count >= x.size:
        raise ValueError(f"constraints: expected fewer than the {x.size} degrees of freedom that move, got {count}: nothing would move")
    made = Constrained(
        problem, supports.shape if not supports.any else (x.size,), count, g, _gradients(jac, supports, count), args=args,
        whole=form == "equations",
    )  # fmt: skip
    if jac is not None:
        verdict = quick(jacobian_model(made.values, x.ravel(), made.values(x.ravel()), made.gradients(x.ravel())))
        if verdict.kind == "wrong":
            told = said_of(verdict, f"gradient of constraint {verdict.entry}", "constraint")
            raise ValueError(f"constraints_jac: {told}; omit constraints_jac for differences")
    _check_start(made, x.ravel(), v.ravel())
    return made


def what_constraints_did(problem: Constrained, supports: Supports, t: Array, x: Array, v: Array) -> tuple[Array, Array, Array, Array]:
    """a (m, n) of all degrees of freedom, multipliers (count, m), and drift of g and of G v (m,) at states (m, n); NaN where the user's
    functions fail now."""
    a, lam, drift = np.full(x.shape, np.nan), np.full((problem.count, len(t)), np.nan), np.full((2, len(t)), np.nan)
    for k in range(len(t)):
        try:
            moving, lam[:, k], drift[0, k], drift[1, k] = problem.at(t[k], supports.reduced(x[k]), supports.reduced(v[k]))
        except Exception:
            break  # the run is over, and what it has computed stays
        a[k] = supports.whole(moving, 2)
    return a, lam, drift[0], drift[1]


def _form_of(method: Method) -> str:
    """How the method stays on constraints. Raises ValueError where it does not."""
    form = probe.constrained_form(method.record, method.numbers)
    if form is None:
        able = [r.name for r in registry.records() if "second_order" in r.flags and probe.constrained_form(r, {}) is not None]
        raise ValueError(f"method: {method.name} has no form that stays on constraints: use one of {', '.join(able)}")
    if form == "equations" and method.parameters.get("load") == "shifted":
        raise ValueError('load: "shifted" knows no force at the ends of steps, where constraints hold: use load="interpolated"')
    return form


def _function_of(constraints: Any) -> tuple[Any, int | None]:
    """The function, and how many constraints it is said to be."""
    if isinstance(constraints, tuple) and len(constraints) == 2 and not callable(constraints):
        return _function_of(constraints[0])[0], check_whole(constraints[1], "constraints[1]", 1)
    if not callable(constraints) and compiled_address(constraints, "constraints", PRODUCT_SIGNATURE) is None:
        raise TypeError(f"constraints: expected a function g(x) that returns numbers which are to stay 0, got {shown(constraints)}")
    return constraints, None


def _first_value(g: Any, args: tuple[Any, ...], start: Array) -> int:
    value = np.asarray(g(start.copy(), *args))
    if value.dtype.kind not in "biuf" or value.size == 0:
        raise TypeError(f"constraints: expected a function that returns real numbers, got {shown(value)}")
    return int(value.size)


def _on_free(g: Any, supports: Supports) -> Any:
    return (lambda x, *args: g(supports.state(x, 0), *args)) if supports.any else g


def _gradients(jac: Any, supports: Supports, count: int) -> Any:
    """The Jacobian's part of what moves, as the core takes it."""
    if jac is None:
        return None
    if callable(jac) or compiled_address(jac, "constraints_jac", PRODUCT_SIGNATURE) is not None:
        if not supports.any:
            return jac
        return lambda x, *args: _rows(jac(supports.state(x, 0), *args), supports, count)[:, supports.free]
    rows = _rows(jac, supports, count)
    return rows[:, supports.free] if supports.any else rows


def _rows(value: Any, supports: Supports, count: int) -> Array:
    """m rows of n numbers."""
    dense = check_sparse(value, "constraints_jac").toarray() if hasattr(value, "tocsr") else np.asarray(value)
    if dense.size != count * supports.n:
        raise ValueError(
            f"constraints_jac: expected {count} rows of {supports.n} numbers, the gradients of the constraints, got shape {dense.shape}"
        )
    return np.ascontiguousarray(dense.reshape(count, supports.n), dtype=np.float64)


def _check_start(problem: Constrained, x: Array, v: Array) -> None:
    """ValueError where the start is off the constraints, or they depend on each other there."""
    g, G = problem.values(x), problem.gradients(x)
    for name, value in (("constraints", g), ("constraints_jac", G)):
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{name}: expected finite numbers at x0, got {value.ravel()[~np.isfinite(value.ravel())][0]}")
    size = np.abs(G).sum(axis=1)
    flat = np.flatnonzero(size == 0.0)
    if flat.size:
        raise ValueError(f"constraints: the gradient of constraint {flat[0]} is 0 at x0: it says nothing there; square roots of it may")
    first = _first_dependent(G)
    if first is not None:
        raise ValueError(
            f"constraints: expected {len(g)} independent ones, but constraint {first} follows from those before it at x0 (its gradient is "
            "a sum of theirs): remove it, or start elsewhere"
        )
    far = np.flatnonzero(np.abs(g) > OFF * size * max(float(np.max(np.abs(x))), float(np.finfo(float).tiny)))
    if far.size:
        raise ValueError(
            f"x0: expected a start on the constraints, got g(x0)[{far[0]}] = {g[far[0]]:g}, not 0: move x0 onto them "
            "(mflow.least_squares on g finds the nearest point)"
        )
    rate = G @ v
    far = np.flatnonzero(np.abs(rate) > OFF * size * float(np.max(np.abs(v), initial=0.0)))
    if far.size:
        raise ValueError(
            f"v0: expected a velocity along the constraints, got {rate[far[0]]:g}, not 0, for the rate of constraint {far[0]}: take off "
            "the part of v0 across it"
        )


def _first_dependent(G: Array) -> int | None:
    """The first row that is a sum of the rows before it."""
    basis = np.empty((0, G.shape[1]))
    for k, row in enumerate(G):
        unit = row / np.linalg.norm(row)
        for _ in range(2):
            unit = unit - basis.T @ (basis @ unit)
        left = float(np.linalg.norm(unit))
        if left < DEPENDENT:
            return k
        basis = np.vstack([basis, unit / left])
    return None
