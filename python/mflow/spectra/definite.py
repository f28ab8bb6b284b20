"""Up to which step h a symmetric matrix r M - p h^2 K - q h C is positive definite.

With r > 0, p and q >= 0, M positive definite, K and C positive semidefinite it falls as h grows, and is singular first at

    h* = min over u of h(u),        r u'M u = p h(u)^2 u'K u + q h(u) u'C u

(R. J. Duffin, J. Rational Mech. Anal. 4 (1955) 221-233, for the largest of these values). So each vector gives an upper end, of second
order in its error, and each factorization with pivots above 0 a lower one (J. J. Sylvester's law of inertia): inverse iteration from the
lower end finds the vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.extras import need
from mflow.base.pace import interruptible
from mflow.spectra import krylov

__all__ = ["falls_below", "full", "is_definite", "last_definite"]

SHARP = 1e-10  # of a step: to which it is looked for
FEW = 40  # factorizations
ITERATIONS = 30  # of one factorization
WIDER = 30.0  # by which a distance below the upper end grows, where that was too near
NEAR = 1.1  # times an eigenvalue below 0: from where inverse iteration finds its vector
START = 85  # stream of the random start vector

Solver = Callable[[Array], Array]


def full(A: Any) -> Array:
    """A dense matrix of a diagonal, a SciPy sparse or a dense one."""
    dense: Array = np.diag(A) if A.ndim == 1 else A.toarray() if hasattr(A, "toarray") else A
    return dense


def _combined(parts: list[tuple[float, Any]]) -> Any:
    """The sum of weight A: a dense matrix where one of them is dense, else a sparse one."""
    kept = [(weight, A) for weight, A in parts if weight != 0.0]
    if any(A.ndim == 2 and not hasattr(A, "tocsc") for _, A in kept):
        return sum(weight * full(A) for weight, A in kept)
    sparse = need("scipy.sparse", "a sparse matrix")
    return sum(weight * (sparse.diags_array(A) if A.ndim == 1 else A) for weight, A in kept).tocsc()


def _factored(B: Any) -> Solver | None:
    """What solves with a symmetric matrix; None where it is not positive definite."""
    n = int(B.shape[0])
    if not hasattr(B, "tocsc"):
        try:
            interruptible(float(n) ** 3 / 3.0, np.linalg.cholesky, B)
            inverse = interruptible(2.0 * float(n) ** 3, np.linalg.inv, B)
        except np.linalg.LinAlgError:  # the second within rounding of the first
            return None
        return lambda b: np.asarray(inverse @ b, dtype=np.float64)
    try:
        factors = need("scipy.sparse.linalg", "a sparse matrix").splu(
            B, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError:  # exactly singular
        return None
    if not (np.array_equal(factors.perm_r, factors.perm_c) and np.all(factors.U.diagonal() > 0.0)):
        return None
    return lambda b: np.asarray(factors.solve(b), dtype=np.float64)


def is_definite(parts: list[tuple[float, Any]]) -> bool:
    """Whether the sum of weight A is positive definite."""
    return _factored(_combined(parts)) is not None


def _has_factor(parts: list[tuple[float, Any]]) -> bool:
    """Whether the sum of weights times matrices is positive definite, to rounding."""
    B = _combined(parts)
    if hasattr(B, "tocsc"):
        return _factored(B) is not None
    try:
        interruptible(float(len(B)) ** 3 / 3.0, np.linalg.cholesky, B)
    except np.linalg.LinAlgError:
        return False
    return True


def falls_below(M: Any, K: Any, level: float) -> Array | None:
    """About the vector of the least eigenvalue of M^-1 K, where that is below `level`, which is below 0; else None. K is symmetric.

    One factorization, but where row sums tell as much; some more to go near the eigenvalue where there is one.
    """
    diagonal = np.asarray(K if K.ndim == 1 else K.diagonal())
    others = 0.0 if K.ndim == 1 else np.asarray(abs(K).sum(axis=1)).ravel() - np.abs(diagonal)
    if np.all(diagonal - (level * M if M.ndim == 1 else 0.0) >= others):
        return None  # a mass adds to it, or is looked at alone
    if _has_factor([(1.0, K), (-level, M)]):
        return None
    above, below = level, 4.0 * level
    while not _has_factor([(1.0, K), (-below, M)]):
        above, below = below, 4.0 * below
        if not below > -math.inf:
            return None
    while below < NEAR * above:
        middle = -math.sqrt(above * below)
        above, below = (above, middle) if _has_factor([(1.0, K), (-middle, M)]) else (middle, below)
    solve = _factored(_combined([(1.0, K), (-below, M)]))
    if solve is None:
        return None
    u = krylov.random_vector(len(diagonal), START)
    for _ in range(ITERATIONS):
        u = solve(M * u if M.ndim == 1 else M @ u)
        u /= float(np.linalg.norm(u))
    return u


def last_definite(M: Any, C: Any, K: Any, weights: tuple[float, float, float], lower: float) -> tuple[float, float]:
    """(low, high) around h* of the matrix with weights (r, p, q): inf where it is definite for all h; lower: where to begin.

    They differ by `SHARP` of themselves, or by what rounding of the factorizations hides.
    """
    r, p, q = weights
    n = len(M) if M.ndim == 1 else int(M.shape[0])

    def quotient(A: Any, u: Array) -> float:
        return max(float(u @ (A * u if A.ndim == 1 else A @ u)), 0.0)

    def at(h: float) -> Solver | None:
        return _factored(_combined([(r, M), (-q * h, C), (-p * h * h, K)]))

    def of(u: Array) -> float:
        m, c, k = (quotient(A, u) for A in (M, C, K))
        with np.errstate(over="ignore"):
            root = q * c + math.sqrt(q * c * q * c + 4.0 * r * m * p * k)
        return 2.0 * r * m / root if root > 0.0 else math.inf

    u = krylov.random_vector(n, START)
    low, high, away = 0.0, of(u), SHARP
    step = min(lower, high)
    for _ in range(FEW):
        if high == math.inf:
            return high, high
        solve = at(step)
        if solve is None:
            high, away = min(high, step), WIDER * away
        else:
            low = max(low, step)
            u, found = _iterated(solve, M, of, u)
            high, away = min(high, max(found, low)), SHARP
        if high - low <= 2.0 * SHARP * high:
            break
        near = high * (1.0 - away)
        step = near if near > low else 0.5 * (low + high)
    return low, high


def _iterated(solve: Solver, M: Any, of: Callable[[Array], float], u: Array) -> tuple[Array, float]:
    """Inverse iteration, until h(u) falls no more."""
    best = of(u)
    for _ in range(ITERATIONS):
        v = solve(M * u if M.ndim == 1 else M @ u)
        u = v / float(np.linalg.norm(v))
        now = of(u)
        if not now < best * (1.0 - 1e-3 * SHARP):
            break
        best = now
    return u, best
