"""Degrees of freedom without mass, taken out by static condensation (R. Guyan, AIAA J. 3 (1965) 380, exact here).

Where rows s of M and C are zero, K_ss x_s = load_s - K_sr x_r at every time. So the others move with K_rr - K_rs K_ss^-1 K_sr under
load_r - K_rs K_ss^-1 load_s, and x_s follows. Damping b K of Rayleigh's condenses in the same way, for K (x + b v) does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.extras import need

__all__ = ["DASHPOT", "Condensed", "condensed", "part", "rows_without"]

SINGULAR = 1e-13  # of a row's size: what is left of its pivot
DASHPOT = (
    "mass: degree of freedom {} has a dashpot and no mass, so that its velocity follows from the forces, and it cannot be condensed: "
    "give it a small mass, or give its damping as {}"
)


def rows_without(A: Any) -> NDArray[np.bool_]:
    """Which rows of a checked matrix, or of a diagonal, are zero."""
    if A.ndim == 1:
        return np.asarray(A == 0.0)
    if hasattr(A, "tocsr"):
        return np.asarray(np.asarray(abs(A.tocsr()).sum(axis=1)).ravel() == 0.0)
    return np.asarray(~np.any(A, axis=1))


@dataclass(frozen=True, eq=False)
class Condensed:
    """K (n, n), zeros in the rows and columns that were condensed. index : (s,), these; reach : (c,), those that they follow,
    x_s = follow x_c + K_ss^-1 load_s, by `solve`; load_c += pass_on load_s."""

    K: Any
    index: NDArray[np.intp]
    reach: NDArray[np.intp]
    solve: Callable[[Array], Array]
    follow: Array
    pass_on: Array


def condensed(K: Any, index: NDArray[np.intp]) -> Condensed:
    """K with the rows and columns `index` condensed. Raises ValueError where K is singular there."""
    n = K.shape[0]
    if K.ndim == 1:
        K = np.diag(K)
    sparse = hasattr(K, "tocsr")
    rows = (K.tocsr() if sparse else K)[index]
    columns = (K.tocsc() if sparse else K)[:, index]
    own, others = rows[:, index], np.ones(n, dtype=bool)
    others[index] = False
    touched = np.asarray(abs(rows).sum(axis=0)).ravel() + np.asarray(abs(columns).sum(axis=1)).ravel() != 0.0
    reach = np.flatnonzero(others & touched)
    dense = np.asarray(rows[:, reach].toarray() if sparse else rows[:, reach])
    back = np.asarray(columns[reach].toarray() if sparse else columns[reach])
    solve, solve_back = _solves(own, index)
    follow, pass_on = -solve(dense), -solve_back(back.T).T
    change = back @ follow
    if sparse:
        scipy_sparse = need("scipy.sparse", "a sparse matrix")
        keep = scipy_sparse.diags_array(others.astype(float))
        picked = scipy_sparse.csr_array((np.ones(reach.size), (reach, np.arange(reach.size))), shape=(n, reach.size))
        K = scipy_sparse.csr_array(keep @ K @ keep + picked @ change @ picked.T)
        return Condensed(K, index, reach, solve, follow, pass_on)
    out = np.array(K)
    out[index], out[:, index] = 0.0, 0.0
    out[np.ix_(reach, reach)] += change
    return Condensed(out, index, reach, solve, follow, pass_on)


def _solves(own: Any, index: NDArray[np.intp]) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Solves with K_ss and with its transpose."""
    if hasattr(own, "tocsc"):
        try:
            lu = need("scipy.sparse.linalg", "a sparse matrix").splu(own.tocsc())
        except RuntimeError:
            raise ValueError(_singular(int(index[0]))) from None
        small = np.abs(lu.U.diagonal()) <= SINGULAR * float(np.max(np.abs(own.diagonal()), initial=0.0))
        if np.any(small):
            raise ValueError(_singular(int(index[lu.perm_c[np.flatnonzero(small)[0]]])))
        return lambda b: np.asarray(lu.solve(b)), lambda b: np.asarray(lu.solve(b, trans="T"))
    _, values, right = np.linalg.svd(own)
    if not values[-1] > SINGULAR * values[0]:
        raise ValueError(_singular(int(index[int(np.argmax(np.abs(right[-1])))])))
    return lambda b: np.linalg.solve(own, b), lambda b: np.linalg.solve(own.T, b)


def _singular(k: int) -> str:
    return (
        f"mass: degree of freedom {k} has no mass, and the stiffness does not hold it either (it is singular on those without mass): "
        "expected a mass or a stiffness for each; or name it in fixed="
    )


def part(A: Any, kept: NDArray[np.intp]) -> Any:
    """The rows and columns `kept` of a diagonal, a dense or a sparse matrix; None of None."""
    return A if A is None else A[kept] if A.ndim == 1 else A.tocsr()[kept][:, kept] if hasattr(A, "tocsr") else A[np.ix_(kept, kept)]
