"""Eigenvalues on the outside of a spectrum and exponentials of matrices, from products with vectors alone.

Arnoldi's method: an orthonormal basis Q of the space that J spans from one start vector, H = Q^T J Q small; eigenvalues of H (Ritz
values) approach the outermost ones of J first, each with the residual h_next |last entry of its vector|. Where J is symmetric, Lanczos'
three terms need no basis: three vectors of memory, whatever the number of iterations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mflow.arrays import Array

__all__ = ["Ritz", "arnoldi", "exponential", "exponential_times", "lanczos", "start_vector"]

Product = Callable[[Array], Array]
NOTHING = 1e-13  # what is left of a vector, against it, where the space is exhausted
LOOK = 10  # iterations between two looks at the Ritz values


class Ritz(NamedTuple):
    """values : complex128 array (k,). residuals : float64 array (k,), how far from each an eigenvalue may lie where J is normal.
    products : number of J v. complete : whether these are all eigenvalues."""

    values: NDArray[np.complex128]
    residuals: Array
    products: int
    complete: bool


def start_vector(n: int) -> Array:
    """A unit vector of no special direction, the same every time."""
    v: Array = np.cos(1.0 + np.arange(n, dtype=np.float64))
    return v / float(np.linalg.norm(v))


def lanczos(product: Product, n: int, iterations: int, enough: Callable[[Ritz], bool] | None = None) -> Ritz:
    """Ritz values of a symmetric J; keeps three vectors. `enough`, asked every `LOOK` iterations, ends it early."""
    v, before = start_vector(n), np.zeros(n)
    alphas: list[float] = []
    betas: list[float] = []
    beta = 0.0
    found = Ritz(np.empty(0, dtype=np.complex128), np.empty(0), 0, n == 0)
    for k in range(min(iterations, n)):
        w = np.asarray(product(v), dtype=np.float64) - beta * before
        alphas.append(float(w @ v))
        w = w - alphas[-1] * v
        beta = float(np.linalg.norm(w))
        if not math.isfinite(beta):
            raise FloatingPointError("a product of the Jacobian with a vector is not finite")
        size = max(map(abs, [*alphas, *betas]))
        done = beta <= NOTHING * size or k == min(iterations, n) - 1
        if done or (k + 1) % LOOK == 0:
            T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            values, vectors = np.linalg.eigh(T)
            left = 0.0 if beta <= NOTHING * size else beta
            found = Ritz(values.astype(np.complex128), left * np.abs(vectors[-1]), k + 1, k + 1 == n)
            if done or (enough is not None and enough(found)):
                break
        betas.append(beta)
        before, v = v, w / beta
    return found


def arnoldi(product: Product, n: int, iterations: int, enough: Callable[[Ritz], bool] | None = None) -> Ritz:
    """Ritz values of any J; keeps one vector an iteration. `enough` as in `lanczos`."""
    found = Ritz(np.empty(0, dtype=np.complex128), np.empty(0), 0, n == 0)
    count = min(iterations, n)
    if count == 0:
        return found
    Q, H = _basis(product, start_vector(n), count, enough)
    return _ritz(H, len(Q), n)


def _ritz(H: Array, k: int, n: int) -> Ritz:
    values, vectors = np.linalg.eig(H[:k, :k].astype(np.complex128))
    return Ritz(values, abs(float(H[k, k - 1])) * np.abs(vectors[-1]), k, k == n)


def _basis(product: Product, v: Array, count: int, enough: Callable[[Ritz], bool] | None = None) -> tuple[Array, Array]:
    """(the basis, a vector a row, and H of shape (count + 1, count)); H's last entry is 0 where the space is exhausted."""
    H, Q = np.zeros((count + 1, count)), np.empty((count, v.size))  # rows that are not reached take no memory
    Q[0] = v
    for k in range(count):
        w = np.asarray(product(Q[k]), dtype=np.float64)
        before = float(np.linalg.norm(w))
        if not math.isfinite(before):
            raise FloatingPointError("a product of the Jacobian with a vector is not finite")
        for _ in range(2):  # twice is enough to keep the basis orthogonal
            part = Q[: k + 1] @ w
            H[: k + 1, k] += part
            w = w - part @ Q[: k + 1]
        left = float(np.linalg.norm(w))
        if left <= NOTHING * before or k + 1 == v.size:
            return Q[: k + 1], H
        H[k + 1, k] = left
        if k + 1 == count or (enough is not None and (k + 1) % LOOK == 0 and enough(_ritz(H, k + 1, v.size))):
            return Q[: k + 1], H
        Q[k + 1] = w / left
    return Q, H


def exponential(A: Array) -> Array:
    """exp(A) of a dense matrix: Taylor's series of a piece, squared.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.krylov import exponential
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
