"""Eigenvalues on the outside of a spectrum and exponentials of matrices, from products with vectors alone.

Arnoldi's method builds an orthonormal basis Q of the Krylov space of one start vector, and the small matrix H = Q^T J Q. Eigenvalues of H
(Ritz values) approach the outermost ones of J first, each with the residual h_next |last entry of its vector|. Where J is symmetric,
Lanczos' three-term recurrence needs no basis: it keeps three vectors, whatever the number of iterations. Its drawback are Ritz values that
appear twice (ghosts): rounding destroys the orthogonality of the basis, and values that have converged appear again. Eigenvalues of a
tridiagonal matrix are distinct, so of Ritz values that coincide all but one are ghosts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array

__all__ = ["Ritz", "arnoldi", "exponential", "exponential_times", "lanczos", "start_vector", "sure"]

Product = Callable[[Array], Array]
GHOST = 1e-6  # Ritz values whose distance, relative to the largest, is below this are one value and its ghosts
NOTHING = 1e-13  # the space is exhausted where the rest of a vector, relative to it, is below this
CHECKS = frozenset(int(10 * 1.3**k) for k in range(40))  # iterations after which the Ritz values are computed


class Ritz(NamedTuple):
    """values : complex128 array (k,). residuals : float64 array (k,), the largest distance to an eigenvalue if J is normal.
    products : number of products J v. complete : whether these are all eigenvalues."""

    values: NDArray[np.complex128]
    residuals: Array
    products: int
    complete: bool


def start_vector(n: int) -> Array:
    """A unit vector in a generic direction, the same in every call."""
    v: Array = np.cos(1.0 + np.arange(n, dtype=np.float64))
    return v / float(np.linalg.norm(v))


def lanczos(product: Product, n: int, iterations: int, enough: Callable[[Ritz], bool] | None = None, nothing: float = NOTHING) -> Ritz:
    """Ritz values of a symmetric J; keeps three vectors.

    It ends early where `enough(ritz)`, called after some of the iterations, returns True, or where the rest of a vector is below `nothing`
    relative to J: where products are differences, a rest of that size is noise.
    """
    v, before = start_vector(n), np.zeros(n)
    alphas: list[float] = []
    betas: list[float] = []
    beta = 0.0
    ritz = Ritz(np.empty(0, dtype=np.complex128), np.empty(0), 0, n == 0)
    for k in range(min(iterations, n)):
        w = np.asarray(product(v), dtype=np.float64) - beta * before
        alphas.append(float(w @ v))
        w = w - alphas[-1] * v
        beta = float(np.linalg.norm(w))
        if not math.isfinite(beta):
            raise FloatingPointError("jac: expected finite products of the Jacobian with vectors, got NaN or an infinity")
        size = max(map(abs, [*alphas, *betas]))
        done = beta <= nothing * size or k == min(iterations, n) - 1
        if done or k + 1 in CHECKS:
            T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            values, vectors = np.linalg.eigh(T)
            left = 0.0 if beta <= NOTHING * size else beta
            values, residuals = _without_ghosts(values, left * np.abs(vectors[-1]))
            ritz = Ritz(values.astype(np.complex128), residuals, k + 1, len(values) == n)
            if done or (enough is not None and enough(ritz)):
                break
        betas.append(beta)
        before, v = v, w / beta
    return ritz


def _without_ghosts(values: Array, residuals: Array) -> tuple[Array, Array]:
    """Rising values, one of each group that coincides: the one with the smallest residual."""
    groups = np.cumsum(np.diff(values, prepend=values[0]) > GHOST * float(np.max(np.abs(values))))
    order = np.lexsort((residuals, groups))
    best = order[np.unique(groups[order], return_index=True)[1]]
    return values[best], residuals[best]


def sure(ritz: Ritz) -> NDArray[np.bool_]:
    """Which real Ritz values stand for an eigenvalue of their sign; a ghost that has not converged lies within its residual of one."""
    out = np.zeros(len(ritz.values), dtype=bool)
    values = ritz.values.real
    for k in np.argsort(ritz.residuals, kind="stable"):
        apart = np.abs(values[out] - values[k]) > ritz.residuals[out] + ritz.residuals[k]
        out[k] = bool(np.all(apart)) and ritz.residuals[k] <= 0.5 * abs(values[k])
    return out


def arnoldi(product: Product, n: int, iterations: int, enough: Callable[[Ritz], bool] | None = None) -> Ritz:
    """Ritz values of any J; keeps one vector an iteration. `enough` as in `lanczos`."""
    count = min(iterations, n)
    if count == 0:
        return Ritz(np.empty(0, dtype=np.complex128), np.empty(0), 0, n == 0)
    Q, H = _basis(product, start_vector(n), count, enough)
    return _ritz(H, len(Q), n)


def _ritz(H: Array, k: int, n: int) -> Ritz:
    values, vectors = np.linalg.eig(H[:k, :k].astype(np.complex128))
    return Ritz(values, abs(float(H[k, k - 1])) * np.abs(vectors[-1]), k, k == n)


def _basis(product: Product, v: Array, count: int, enough: Callable[[Ritz], bool] | None = None) -> tuple[Array, Array]:
    """(the basis, one vector in each row, and H of shape (count + 1, count)); H's last entry is 0 where the space is exhausted."""
    H, Q = np.zeros((count + 1, count)), np.empty((count, v.size))  # rows that are not reached take no memory
    Q[0] = v
    for k in range(count):
        w = np.asarray(product(Q[k]), dtype=np.float64)
        before = float(np.linalg.norm(w))
        if not math.isfinite(before):
            raise FloatingPointError("jac: expected finite products of the Jacobian with vectors, got NaN or an infinity")
        for _ in range(2):  # twice is enough to keep the basis orthogonal
            part = Q[: k + 1] @ w
            H[: k + 1, k] += part
            w = w - part @ Q[: k + 1]
        left = float(np.linalg.norm(w))
        if left <= NOTHING * before or k + 1 == v.size:
            return Q[: k + 1], H
        H[k + 1, k] = left
        if k + 1 == count or (enough is not None and k + 1 in CHECKS and enough(_ritz(H, k + 1, v.size))):
            return Q[: k + 1], H
        Q[k + 1] = w / left
    return Q, H


def exponential(A: Array) -> Array:
    """exp(A) of a dense matrix: Taylor's series of a piece, squared.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.solvers.krylov import exponential
    >>> np.round(exponential(np.array([[0.0, 1.0], [0.0, 0.0]])), 12).tolist()
    [[1.0, 1.0], [0.0, 1.0]]

    References
    ----------
    C. Moler and C. Van Loan, SIAM Rev. 45 (2003) 3-49.
    """
    norm = float(np.max(np.abs(A).sum(axis=0), initial=0.0))
    halvings = max(0, math.ceil(math.log2(norm / 0.5))) if norm > 0.5 else 0
    piece = A / 2.0**halvings
    out = term = np.eye(len(A))
    for k in range(1, 19):  # 0.5^19/19! is far below rounding
        term = term @ piece / k
        out = out + term
    for _ in range(halvings):
        out = out @ out
    return out


def exponential_times(product: Product, v: Array, h: float, iterations: int = 30) -> Array:
    """exp(h J) v from a Krylov space.

    References
    ----------
    Y. Saad, SIAM J. Numer. Anal. 29 (1992) 209-228.
    """
    size = float(np.linalg.norm(v))
    if size == 0.0:
        return v.copy()
    Q, H = _basis(product, v / size, min(iterations, v.size))
    small = exponential(h * H[: len(Q), : len(Q)])[:, 0]
    out: Array = (size * small) @ Q
    return out
