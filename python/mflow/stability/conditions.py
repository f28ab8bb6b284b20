"""Order of a Runge-Kutta method from its coefficients: Butcher's order conditions, with the rooted trees made by program.

A tree is the tuple of its subtrees, sorted; a leaf is (). For each tree t with |t| vertices

    density      gamma(t) = |t| product gamma(subtrees)
    symmetry     sigma(t) = product m! sigma(subtree)^m over different subtrees, m times each
    weight       phi(t) = b . u(t),  u(t) = product A u(subtree), componentwise

and a method has order p where phi(t) = 1/gamma(t) for all trees up to p vertices. The differences at p + 1 vertices, divided by sigma,
are the coefficients of the leading error term. Products A u are shared between trees, so that 286 trees of nine vertices take milliseconds.
"""

from __future__ import annotations

import functools
import math
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method, as_method

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["coefficients", "order_from_conditions", "principal_error_norm", "rooted_trees"]

Tree = tuple[Any, ...]
TOLERANCE = 1e-12  # of a condition, relative to the size of its terms
HIGHEST = 10  # 719 trees


@functools.cache
def rooted_trees(vertices: int) -> tuple[Tree, ...]:
    """All rooted trees with a number of vertices.

    Parameters
    ----------
    vertices : int, at least 1

    Returns
    -------
    tuple of trees, each the sorted tuple of its subtrees

    Examples
    --------
    >>> from mflow.stability.conditions import rooted_trees
    >>> [len(rooted_trees(n)) for n in range(1, 9)]
    [1, 1, 2, 4, 9, 20, 48, 115]

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.2.
    """
    check_whole(vertices, "vertices", 1)
    return tuple(sorted(_forests(vertices - 1, vertices - 1)))


@functools.cache
def _forests(vertices: int, largest: int) -> tuple[Tree, ...]:
    """Multisets of trees with this many vertices together, none of them with more than `largest`."""
    if vertices == 0:
        return ((),)
    out = []
    for size in range(min(vertices, largest), 0, -1):
        for count in range(1, vertices // size + 1):
            rests = _forests(vertices - count * size, size - 1)
            for trees in combinations_with_replacement(rooted_trees(size), count):
                out += [tuple(sorted(trees + rest)) for rest in rests]
    return tuple(out)


@functools.cache
def _vertices(tree: Tree) -> int:
    return 1 + sum(map(_vertices, tree))


@functools.cache
def density(tree: Tree) -> int:
    """gamma(t)."""
    return _vertices(tree) * math.prod(map(density, tree))


@functools.cache
def symmetry(tree: Tree) -> int:
    """sigma(t)."""
    return math.prod(math.factorial(tree.count(t)) * symmetry(t) ** tree.count(t) for t in set(tree))


def coefficients(method: Method) -> tuple[Array, Array, Array]:
    """(A, b, c) of a Runge-Kutta method as arrays.

    Raises ValueError, with what to do instead, for a method that stores no coefficients.
    """
    tableau = method.butcher
    if tableau is None:
        if "staged" in method.flags:
            raise ValueError(f"method: expected stored coefficients A, b, c, got {method.name} without; use mflow.convergence")
        use = "mflow.oscillation" if "second_order" in method.flags else "mflow.consistency"
        raise ValueError(f"method: expected a Runge-Kutta method (coefficients A, b, c), got {method.name}; use mflow.convergence or {use}")
    A, b, c = (np.array(part, dtype=np.float64) for part in tableau)
    return A, b, c


def on_linear(method: Method, A: Array) -> Array:
    """What A is on linear problems: itself, or alpha_ij + gamma_ij of a Rosenbrock method."""
    tableau = method.tableau or {}
    return A + np.array(tableau["G"]) if "G" in tableau else A


class Weights:
    """phi(t) of one method, and the size of the terms of its sum. B: A where a vertex has one branch (Hairer and Wanner II, IV.7)."""

    def __init__(self, A: Array, b: Array, B: Array | None = None) -> None:
        self.A, self.b, self.B = A, b, A if B is None else B
        self.known: dict[Tree, tuple[Array, Array]] = {}

    def stage(self, tree: Tree) -> tuple[Array, Array]:
        """(u(t), the same with every coefficient's absolute value)."""
        if tree not in self.known:
            u, size = np.ones(self.b.size), np.ones(self.b.size)
            for sub in tree:
                v, w = self.stage(sub)
                A = self.B if len(tree) == 1 else self.A
                u, size = u * (A @ v), size * (np.abs(A) @ w)
            self.known[tree] = u, size
        return self.known[tree]

    def off(self, tree: Tree) -> tuple[float, float]:
        """(phi(t) - 1/gamma(t), size of the terms)."""
        u, size = self.stage(tree)
        return math.fsum(self.b * u) - 1.0 / density(tree), float(np.abs(self.b) @ size) + 1.0 / density(tree)


def order_from_conditions(method: str | Method, **parameters: Unpack[MethodOptions]) -> int:
    """Order of a Runge-Kutta method, from its coefficients alone.

    Parameters
    ----------
    method : name or instance of a method with coefficients
    **parameters
        Parameters of the method.

    Returns
    -------
    int
        The largest p such that all trees up to p vertices fulfil their condition, to rounding; at most 10.

    Raises
    ------
    ValueError
        The method stores no coefficients; the text says what measures its order.

    See Also
    --------
    mflow.principal_error_norm, mflow.convergence

    Examples
    --------
    >>> import mflow
    >>> mflow.order_from_conditions("rk4"), mflow.order_from_conditions("dop853")
    (4, 8)

    References
    ----------
    J. C. Butcher, J. Austral. Math. Soc. 3 (1963) 185-201.
    """
    method = as_method(method, parameters)
    A, b, c = coefficients(method)
    if float(np.max(np.abs(A.sum(axis=1) - c))) > TOLERANCE * max(1.0, float(np.max(np.abs(A).sum(axis=1)))):
        return 1 if abs(math.fsum(b) - 1.0) <= TOLERANCE else 0  # the conditions of trees hold for c = A 1 alone
    weights = Weights(A, b, on_linear(method, A))
    for p in range(1, HIGHEST + 1):
        for tree in rooted_trees(p):
            off, size = weights.off(tree)
            if abs(off) > TOLERANCE * size:
                return p - 1
    return HIGHEST


def principal_error_norm(method: str | Method, **parameters: Unpack[MethodOptions]) -> float:
    """Size of the leading error term of a Runge-Kutta method.

    Parameters
    ----------
    method : name or instance of a method with coefficients
    **parameters
        Parameters of the method.

    Returns
    -------
    float
        Root of the sum of squares of (phi(t) - 1/gamma(t))/sigma(t) over the trees with one vertex more than the order.

    Raises
    ------
    ValueError
        As `order_from_conditions`.

    See Also
    --------
    mflow.order_from_conditions

    Examples
    --------
    >>> import mflow
    >>> round(mflow.principal_error_norm("euler"), 6), round(mflow.principal_error_norm("midpoint"), 6)
    (0.5, 0.171796)

    References
    ----------
    P. J. Prince and J. R. Dormand, J. Comput. Appl. Math. 7 (1981) 67-75.
    """
    method = as_method(method, parameters)
    A, b, _ = coefficients(method)
    weights = Weights(A, b, on_linear(method, A))
    trees = rooted_trees(order_from_conditions(method) + 1)
    return math.sqrt(math.fsum((weights.off(tree)[0] / symmetry(tree)) ** 2 for tree in trees))
