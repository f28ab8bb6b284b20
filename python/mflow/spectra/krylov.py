"""Eigenvalues on the outside of a spectrum and exponentials of matrices, from products with vectors alone.

Arnoldi's method builds an orthonormal basis Q of the Krylov space of one start vector, and the small matrix H = Q^T J Q. Eigenvalues of H
(Ritz values) approach the outermost ones of J first, each with the residual h_next |last entry of its vector|. Where J is symmetric,
Lanczos' three-term recurrence needs no basis: it keeps three vectors, whatever the number of iterations. Its drawback are Ritz values that
appear twice (ghosts): rounding destroys the orthogonality of the basis, and values that have converged appear again. Eigenvalues of a
tridiagonal matrix are distinct, so of Ritz values that coincide all but one are ghosts.

Start vectors are random, from a fixed seed, so that a result repeats. No matrix was made with them in mind, and that is worth a bound. Let
c be the part of the start vector along the eigenvector of the largest eigenvalue L, and p the Lanczos polynomial, p(J) v = v_next of length
1. Then |c p(L)| <= 1. Of a random unit vector of n components |c| is below s with a probability of at most s sqrt(2 (n - 1)/pi), so L is
below the number beyond all Ritz values where |p| reaches 1/s, but for that probability. The other end likewise. A start vector that is
known, plus a random one in the share q of its length, misses by as much with s/q in place of s: what is known costs little of the bound.

References
----------
J. Kuczynski and H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122; M. E. Hochstenbach, J. Sci. Comput. 57 (2013) 464-476;
C. C. Paige, J. Inst. Math. Appl. 18 (1976) 341-349.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array

__all__ = ["MISS", "Ends", "Ritz", "arnoldi", "basis", "commutators", "ends", "exponential", "joined", "lanczos", "random_vector", "sure"]

Product = Callable[[Array], Array]
GHOST = 1e-6  # Ritz values whose distance, relative to the largest, is below this are one value and its ghosts
NOTHING = 1e-13  # the space is exhausted where the rest of a vector, relative to it, is below this
CHECKS = frozenset(int(10 * 1.3**k) for k in range(40))  # iterations after which the Ritz values are computed
FEW = 100  # components beyond which Lanczos' method may take more iterations than there are components
ALL = 500  # iterations up to which all Ritz values are computed, beyond that the two at the ends
SEED = 1729
SHORT = 64  # numbers of a random vector that is kept: making a generator takes longer than a run of a few steps
MISS = 0.005  # the probability with which a bound of one end may miss it


class Ritz(NamedTuple):
    """values : complex128 array (k,). residuals : float64 array (k,), the largest distance to an eigenvalue if J is normal.
    products : number of products J v. complete : whether these are all eigenvalues. bounds : of a symmetric J, (below, above) all
    eigenvalues, each but for the probability `miss` of `lanczos`. H : Arnoldi's (k + 1, k), or None."""

    values: NDArray[np.complex128]
    residuals: Array
    products: int
    complete: bool
    bounds: tuple[float, float] = (-math.inf, math.inf)
    H: Array | None = None


class Ends(NamedTuple):
    """Both ends of the spectrum of a symmetric J.

    values, residuals : float64 arrays (k,), the rising Ritz values, and the distance within which each has an eigenvalue. bounds : (below,
    above) all eigenvalues, each but for the probability `miss` of `ends`. vectors : (2, n), unit ones of the least value and the largest.
    products : number of products J v. complete : whether these are all eigenvalues.
    """

    values: Array
    residuals: Array
    bounds: tuple[float, float]
    vectors: Array
    products: int
    complete: bool


def random_vector(n: int, stream: int = 0) -> Array:
    """A unit vector in a random direction, from a fixed seed: the same in every call with this stream."""
    return _short_vector(n, stream).copy() if n <= SHORT else _random_vector(n, stream)


def _random_vector(n: int, stream: int) -> Array:
    v: Array = np.random.default_rng((SEED, stream)).standard_normal(n)
    return v / float(np.linalg.norm(v)) if n else v


_short_vector = functools.lru_cache(maxsize=64)(_random_vector)


def commutators(times: Product, back: Product, n: int, streams: tuple[int, ...]) -> Iterator[tuple[float, float, float]]:
    """(|J^T J v - J J^T v|, |J^T J v|, |J J^T v|) of random vectors: the first is 0 for a normal J. times, back: v -> J v, J^T v."""
    for stream in streams:
        v = random_vector(n, stream)
        one, other = back(times(v)), times(back(v))
        yield float(np.linalg.norm(one - other)), float(np.linalg.norm(one)), float(np.linalg.norm(other))


def lanczos(
    product: Product,
    n: int,
    iterations: int,
    enough: Callable[[Ritz], bool] | None = None,
    nothing: float = NOTHING,
    *,
    stream: int = 0,
    miss: float = MISS,
) -> Ritz:
    """Ritz values of a symmetric J; keeps three vectors.

    It ends early where `enough(ritz)`, called after some of the iterations, returns True, or where the rest of a vector is below `nothing`
    relative to J: where products are differences, a rest of that size is noise.
    """
    v, before = random_vector(n, stream), np.zeros(n)
    alphas: list[float] = []
    betas: list[float] = []
    beta = size = 0.0
    bounds = (-math.inf, math.inf)
    ritz = Ritz(np.empty(0, dtype=np.complex128), np.empty(0), 0, n == 0)
    # In exact arithmetic n products exhaust the space; rounding makes the ends of a wide spectrum need more.
    most = iterations if iterations > n > FEW else min(iterations, n)
    for k in range(most):
        w = np.asarray(product(v), dtype=np.float64) - beta * before
        alphas.append(float(w @ v))
        w = w - alphas[-1] * v
        beta = float(np.linalg.norm(w))
        if not math.isfinite(beta):
            raise FloatingPointError("jac: expected finite products of the Jacobian with vectors, got NaN or an infinity")
        size = max(size, abs(alphas[-1]), betas[-1] if betas else 0.0)
        done = beta <= nothing * size or k == most - 1
        if done or (enough is not None and k + 1 in CHECKS):
            left = 0.0 if beta <= nothing * size else beta
            values, residuals = _ritz_values(alphas, betas, left)
            bounds = _bounds(alphas, [*betas, left], (float(values[0]), float(values[-1])), bounds, n, miss)
            if len(alphas) > ALL:
                residuals = np.array([values[0] - bounds[0], bounds[1] - values[-1]])
            ritz = Ritz(values.astype(np.complex128), residuals, k + 1, len(values) == n, bounds)
            if done or (enough is not None and enough(ritz)):
                break
        betas.append(beta)
        before, v = v, w / beta
    return ritz


def _ritz_values(alphas: list[float], betas: list[float], left: float) -> tuple[Array, Array]:
    """(rising Ritz values, residuals): all, or after many iterations those at the ends."""
    if len(alphas) > ALL:
        return np.array([-_largest([-a for a in alphas], betas), _largest(alphas, betas)]), np.zeros(2)
    T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
    values, vectors = np.linalg.eigh(T)
    return _without_ghosts(values, left * np.abs(vectors[-1]))


def _growth_beyond(alphas: list[float], betas: list[float], x: float) -> float:
    """log of the Lanczos polynomial at x, for betas to the last; nan where x is not beyond all Ritz values (Sturm's count)."""
    total, product, q, last = 0.0, 1.0, 1.0, 0.0
    for a, b in zip(alphas, betas, strict=True):
        q = x - a - last / q
        if not q > 0.0:
            return math.nan
        product *= q / b
        if not 1e-200 < product < 1e200:
            total, product = total + math.log(product), 1.0
        last = b * b
    return total + math.log(product)


def _search(beyond: Callable[[float], bool], low: float, width: float, tolerance: float, share: float = 0.0) -> float:
    """The least number above `low` from where on `beyond` holds: from above, to a tolerance and a share of its distance from `low`."""
    step = width
    while not beyond(low + step):
        step *= 4.0
    inside, outside = (low if step == width else low + 0.25 * step), low + step
    while outside - inside > tolerance + share * (outside - low):
        middle = 0.5 * (inside + outside)
        if middle in (inside, outside):
            break
        if beyond(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _largest(alphas: list[float], betas: list[float]) -> float:
    """The largest eigenvalue of a tridiagonal matrix, by Sturm's count."""
    size = max(map(abs, alphas)) + 2.0 * max(betas, default=0.0)
    ones = [b if b > 0.0 else 1e-300 for b in [*betas, 1.0]]
    low = max(alphas)
    return _search(lambda x: not math.isnan(_growth_beyond(alphas, ones, x)), low, 1e-14 * size + 1e-300, 1e-14 * size)


def _bounds(
    alphas: list[float], betas: list[float], ends: tuple[float, float], known: tuple[float, float], n: int, miss: float
) -> tuple[float, float]:
    """(below, above) all eigenvalues, each but for the probability `miss`; bounds of fewer iterations rest on the same event.

    betas : to the last, 0 where the space is exhausted. ends : the outer Ritz values.
    """
    if betas[-1] == 0.0:
        return ends
    size = max(map(abs, alphas)) + max(betas)
    enough = 0.5 * math.log(2.0 * max(n - 1, 1) / math.pi) - math.log(miss)
    out = []
    for sign, end, before in ((-1.0, -ends[0], -known[0]), (1.0, ends[1], known[1])):
        signed = [sign * a for a in alphas]
        edge = _search(lambda x, of=signed: _growth_beyond(of, betas, x) >= enough, end, 1e-9 * size, 1e-14 * size, 1e-2)  # type: ignore[misc]
        out.append(sign * max(min(before, edge), end))
    return out[0], out[1]


def _without_ghosts(values: Array, residuals: Array) -> tuple[Array, Array]:
    """Rising values, one of each group that coincides: the one with the smallest residual."""
    groups = np.cumsum(np.diff(values, prepend=values[0]) > GHOST * float(np.max(np.abs(values))))
    order = np.lexsort((residuals, groups))
    best = order[np.unique(groups[order], return_index=True)[1]]
    return values[best], residuals[best]


def joined(runs: list[Ritz], noise: float) -> Ritz:
    """Ritz values of one symmetric matrix from several starts. Its bounds are missed where those of all starts are.

    noise : error of the products, by which the bounds are moved outward.
    """
    values = np.concatenate([r.values.real for r in runs])
    residuals = np.concatenate([r.residuals for r in runs])
    order = np.argsort(values, kind="stable")
    values, residuals = _without_ghosts(values[order], residuals[order])
    bounds = min(r.bounds[0] for r in runs) - noise, max(r.bounds[1] for r in runs) + noise
    return Ritz(values.astype(np.complex128), residuals, sum(r.products for r in runs), any(r.complete for r in runs), bounds)


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
    last: Ritz | None = None

    def stop(H: Array, k: int) -> bool:
        nonlocal last
        if enough is None or k not in CHECKS:
            return False
        last = _ritz(H, k, n)
        return enough(last)

    Q, H = _basis(product, random_vector(n), count, stop)
    return last if last is not None and last.products == len(Q) else _ritz(H, len(Q), n)


def _ritz(H: Array, k: int, n: int) -> Ritz:
    values, vectors = np.linalg.eig(H[:k, :k])
    return Ritz(values.astype(np.complex128), abs(float(H[k, k - 1])) * np.abs(vectors[-1]), k, k == n, H=H[: k + 1, :k])


def _basis(product: Product, v: Array, count: int, stop: Callable[[Array, int], bool] | None = None) -> tuple[Array, Array]:
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
        if k + 1 == count or (stop is not None and stop(H, k + 1)):
            return Q[: k + 1], H
        Q[k + 1] = w / left
    return Q, H


def basis(product: Product, v: Array, count: int, stop: Callable[[Array, int], bool] | None = None) -> tuple[Array, Array, float]:
    """(an orthonormal basis of the Krylov space of a unit vector, by rows, H = Q^T J Q, the length of the next vector before it is scaled).

    It ends early where `stop(H, k)` returns True, k the number of vectors.
    """
    Q, H = _basis(product, v, count, stop)
    k = len(Q)
    return Q, H[:k, :k], float(H[k, k - 1])


def ends(
    product: Product,
    first: Array,
    count: int,
    enough: Callable[[Array, Array], bool] | None = None,
    *,
    share: float = 1.0,
    miss: float = MISS,
) -> Ends:
    """The ends of the spectrum of a symmetric J with their vectors, by Lanczos' method with its basis kept, so that there are no ghosts.

    first : a unit vector to start from, whose part in a random direction, drawn for this call, has the length `share`.
    It ends early where `enough(values, residuals)`, called after each of the first products and some of the later ones, returns True.
    """

    def look(H: Array, k: int) -> bool:
        if k > min(CHECKS) and k not in CHECKS:
            return False
        values, vectors = np.linalg.eigh(_tridiagonal(H, k))
        return enough is not None and enough(values, H[k, k - 1] * np.abs(vectors[-1]))

    n = first.size
    Q, H = _basis(product, first, min(count, n), None if enough is None else look)
    k = len(Q)
    T, left = _tridiagonal(H, k), float(H[k, k - 1])
    values, vectors = np.linalg.eigh(T)
    outer, unknown = (float(values[0]), float(values[-1])), (-math.inf, math.inf)
    bounds = _bounds(np.diag(T).tolist(), [*np.diag(T, -1).tolist(), left], outer, unknown, n, miss * share)
    return Ends(values, left * np.abs(vectors[-1]), bounds, vectors[:, [0, -1]].T @ Q, k, k == n)


def _tridiagonal(H: Array, k: int) -> Array:
    below = np.diag(H[:k, :k], -1)
    return np.asarray(np.diag(np.diag(H)[:k]) + np.diag(below, -1) + np.diag(below, 1))


def exponential(A: Array) -> Array:
    """exp(A) of a dense matrix: Taylor's series of a piece, squared.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.spectra.krylov import exponential
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
