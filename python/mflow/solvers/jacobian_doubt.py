"""Is it the Jacobian? A comparison with differences along one direction, made where Newton's iteration keeps failing, or there is none."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.solvers.solver import Solver, contradicted, direction_at

from mflow.base.checks import Array
from mflow.base.telling import tell

__all__ = ["Doubt", "WrongJacobianError", "hessian_said", "mismatch", "names_of", "stalled", "tell_of_overstated", "unsolved", "watched"]

MANY = 20  # failed solves before a comparison,
SHARE = 0.05  # and their share of all
LONG_FLOW = 5000  # gradients on the way to a state of rest before one; with inexact Hessians that lead there it took 1600
LONG_RUN = 100  # solves of a linearly implicit method before one
LONG, SHORT = 1e-4, 1e-5  # of central differences, relative to the state's size
OVERSTATED = "jac was far larger than differences of fun along a step, which it would have left standing"
FLOWS = (  # how `Solver.flow` may end, after a time
    ", though Newton's iteration found none beside where the flow had slowed down",
    ", which swings or moves on for a time of {}, and its slopes do not fall",
    ", which grows without bound or meets slopes that are not finite after a time of {}",
    ", whose steps vanish after a time of {}",
    ", which was given up after a time of {}, as differences of the slope contradict the Jacobian there",
)


def mismatch(solver: Solver | None, slope: Callable[[float, Array], Any], names: tuple[str, str] = ("jac", "fun"), run: Any = None) -> str:
    """Words where the Jacobian in use is not that of the slope; "" where they agree, or nothing can be said.

    J v is compared with two central differences of the slope along v, at the point where J was evaluated: what they leave open is no fault
    of J, nor what lies between the slopes to both sides, which differ at a corner; five evaluations in all. names: of the Jacobian and of
    the function, for the words. run: where there is no J in use, the user's is evaluated where it stands.
    """
    if solver is None or solver.differenced or solver.kind in ("krylov", "fixed_point"):
        return ""
    derivatives = None if solver.overstated else solver.directional(direction_at)  # then those are differences
    derivatives = derivatives or (None if run is None else _given(solver, run))
    if derivatives is None:
        return ""
    return _compared(*derivatives, slope, names)


def _compared(
    t: float, at: Array, v: Array, product: Array, slope: Callable[[float, Array], Any], names: tuple[str, str] = ("jac", "fun")
) -> str:
    """Words where a product J v is not that of differences of the slope."""
    worst, long = _worst(t, at, v, product, slope)
    if worst < 0:
        return ""
    return (
        f"{names[0]} is not the derivative of {names[1]}: at t = {t:g}, along one direction, its row {worst} gives {product[worst]:.4g} "
        f"where differences of {names[1]} give {long:.4g}"
    )


def _worst(t: float, at: Array, v: Array, product: Array, slope: Callable[[float, Array], Any]) -> tuple[int, float]:
    """(the entry of J v that differences contradict most, what they give there); -1 for the entry where they agree, or tell nothing."""
    try:
        with np.errstate(all="ignore"):
            slopes = [_at(slope, t, at + e * v) for e in (LONG, -LONG, SHORT, -SHORT)] + [_at(slope, t, at)]
    except Exception:
        return -1, math.nan  # a function that fails near the point tells nothing of its derivative
    return contradicted(np.ascontiguousarray(product, dtype=np.float64), slopes, 2.0 * LONG, 2.0 * SHORT)


def hessian_said(x: Array, product: Callable[[Array, Array], Any], grad: Callable[[Array], Array]) -> str:
    """Words where products with a Hessian at a flat x are not those that differences of the gradient give, by five gradients; "" where
    they agree, or nothing can be said."""
    v = direction_at(x)
    said = np.asarray(product(x, v), dtype=np.float64).ravel()
    worst, shown = _worst(0.0, x, v, said, lambda t, y: grad(y)) if np.isfinite(said).all() else (-1, math.nan)
    if worst < 0:
        return ""
    return (
        f"the Hessian given (hess=, hessp=) is not the derivative of the gradient at x: along one direction its row {worst} gives "
        f"{said[worst]:.4g} where differences of the gradient give {shown:.4g}"
    )


def _given(solver: Solver, run: Any) -> tuple[float, Array, Array, Array] | None:
    """(t, y, v, J v) of the user's Jacobian where a run stands; None where there is none, or not as a square matrix."""
    if not run.problem.has_jac:
        return None
    y = np.array(run.y, dtype=np.float64).ravel()
    try:
        with np.errstate(all="ignore"):
            solver.probes += 1
            matrix = run.problem.jacobian(run.t, y)
    except Exception:
        return None  # this is for words alone
    v = direction_at(y)
    return (run.t, y, v, np.asarray(matrix @ v)) if matrix.shape == (y.size, y.size) else None


def names_of(given: bool) -> tuple[str, str]:
    """Of the Jacobian, a function or differences, and of the right-hand side, for `mismatch`."""
    return ("jac" if given else "the Jacobian of differences, with the entries that jac_sparsity, lband and uband name,"), "fun"


def unsolved(solver: Solver | None, step: float, jacobian: str, given: bool) -> str:
    """Why a step of fixed length was not solved, and what helps. jacobian: the argument for one; given: whether it was."""
    reached = math.nan if solver is None else solver.reached
    if solver is not None and solver.outgrown:
        return f"a mode grows faster than steps of this length can follow, as on the way from a maximum: lower dt (or check {jacobian})"
    if not math.isnan(reached) and not stalled(solver, jacobian):
        way = f"the root that continues from the state was followed to {reached:.4g} dt, where it turns back or bends too sharply"
        return (
            f"{way}, so that none is known to continue to dt: lower dt (or {'check' if given else 'give'} {jacobian}, or another solver=)"
        )
    if math.isinf(step):
        how, far = (0, 0.0) if solver is None else solver.flow
        why = FLOWS[how].format(f"{far:.4g}")
        return f"no steady state was reached along the flow from the start{why}; take steps of finite dt to see where it goes"
    return stalled(solver, jacobian) or f"lower dt, {'check' if given else 'give'} {jacobian}, or take another solver="


def stalled(solver: Solver | None, jacobian: str) -> str:
    """Words where GMRES did not solve a linear system; "" otherwise."""
    left = 0.0 if solver is None else solver.krylov_left
    if solver is None or not left > 0.0:
        return ""
    return (
        f"GMRES, in blocks of {solver.krylov_dim} vectors, left {left:.2g} of the residual of a linear system: raise dim or cycles of "
        f"mflow.nonlinear.NewtonKrylov, or name the matrix's structure (lband= and uband=, jac_sparsity= or {jacobian}, without solver=), "
        "or lower dt"
    )


def _at(slope: Callable[[float, Array], Any], t: float, y: Array) -> Array:
    return np.array(slope(t, y), dtype=np.float64).ravel()


class WrongJacobianError(Exception):
    """A Jacobian that is not that of its function has been found on the way of a long solve."""


def watched(grad: Callable[..., Any], hess: Any, start: Array, args: tuple[Any, ...], part: bool) -> Callable[..., Any]:
    """A gradient that raises WrongJacobianError once it has been asked more often than flows with their own Hessian ask, where `hess` is
    not its derivative at the start: the flow to a state of rest is followed for a long time then. part : it is one of a pair."""
    asked = [0]

    def slope(t: float, y: Array) -> Any:
        out = grad(y.reshape(start.shape), *args)
        return out[1] if part else out

    @functools.wraps(grad)
    def counted(x: Array, *more: Any) -> Any:
        asked[0] += 1
        if asked[0] == LONG_FLOW:
            at = start.ravel().copy()
            H = hess(at.reshape(start.shape), *args) if callable(hess) and not hasattr(hess, "tocsc") else hess
            H = H if hasattr(H, "tocsc") else np.asarray(H, dtype=np.float64)
            v = direction_at(at)
            if H.shape == (at.size, at.size) and _compared(0.0, at, v, np.asarray(H @ v), slope):
                raise WrongJacobianError
        return grad(x, *more)

    return counted


def tell_of_overstated(solver: Solver | None, name: str) -> bool:
    """Warns of a jac that was far too large along a step, if it was."""
    told = solver is not None and bool(solver.overstated)
    if told:
        tell(f"{name}: {OVERSTATED}; differences of fun have taken its place")
    return told


class Doubt:
    """Whether the Jacobian of a run is right, asked where Newton's iteration has failed many times, or after many steps of a method without
    one, which a wrong J leaves at a low order. Warns where J is wrong.

    aside : calls a function, and counts none of its evaluations: a run is cut into pieces by the clock, and what it counts must not depend
    on that. text : what is wrong.
    """

    def __init__(self, run: Any, name: str, aside: Callable[..., str]) -> None:
        self._run, self._name, self._aside = run, name, aside
        self._names, self._next, self.text = names_of(run.problem.has_jac), 0, ""

    def look_ahead(self) -> None:
        """Along the way, to tell of it before all is spent. The words name no time, as the times of looks are the clock's."""
        solver = self._run.equations
        if self.text or solver.njev < self._next or not self._due(solver):
            return
        self._next = 2 * max(solver.njev, MANY)
        if text := self._aside(mismatch, solver, self._run.slope, self._names):
            self.text = f"{self._names[0]} is not the derivative of {self._names[1]}"
            self._tell(text)

    def look(self, slow: bool, rests: bool = False) -> None:
        """At the end, once. slow : the run was given to another method, as this one took too many evaluations. rests : it has come to a
        state of rest by an infinite step, of whose stability the Jacobian tells."""
        solver, told = self._run.equations, bool(self.text)
        if self._due(solver) or ((slow or rests) and self._run.problem.has_jac):
            self.text = self._aside(mismatch, solver, self._run.slope, self._names, self._run) or self.text
        if solver.overstated:
            self.text = f"{self.text or OVERSTATED}; differences of {self._names[1]} have taken its place"
        if self.text and not told:
            self._tell(self.text, rests)

    def _due(self, solver: Solver) -> bool:
        counts = solver.counters
        if solver.overstated:
            return True
        if counts["niter"] > 0:
            return bool(counts["nfail"] >= max(MANY, SHARE * counts["nsolve"]))
        return counts["nsolve"] >= LONG_RUN

    def _tell(self, text: str, rests: bool = False) -> None:
        solver = self._run.equations
        if solver.overstated or rests:
            tell(f"{self._name}: {text}")
            return
        found = "steps are short and many"
        if solver.counters["niter"] > 0:
            found = "Newton's iteration kept failing" if self._due(solver) else "steps took many evaluations"
        tell(f"{self._name}: {text}; {found} with it")
