"""The largest real part of an eigenvalue of a matrix with many rows: between which bounds it lies, and what is an estimate.

    symmetric       Lanczos' method from a random start: a Ritz value is a bound from below, and the bound from above holds but for a small
                    probability (`mflow.spectra.krylov`). Where the entries are known, the inverse of a shifted matrix is used, which
                    tells eigenvalues apart that are close compared with the spectrum.
    other           No eigenvalue lies to the right of the numerical range: of the largest eigenvalue of (J + J^T)/2, bounded as above.
                    Matrices with the same eigenvalues that are nearer to normal (`mflow.spectra.similar`) are used where entries are known.
                    From the left the bound is a Ritz value with its residual times its condition, from left and right eigenvectors. Where
                    that product is large, or the matrix is known by its products J v alone, there is no bound: the matrix may be far from
                    normal, with Ritz values anywhere in its pseudospectrum.

References
----------
L. N. Trefethen and M. Embree, Spectra and Pseudospectra (2005); G. W. Stewart, Matrix Algorithms II (2001), 4.2; R. Lehoucq, D. Sorensen
and C. Yang, ARPACK Users' Guide (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.pace import interruptible
from mflow.spectra import krylov
from mflow.spectra.learned import scipy_sparse
from mflow.spectra.similar import blocks, is_symmetric

__all__ = ["MOST_PRODUCTS", "ROUNDING", "Linear", "Outer", "combined", "dense_values", "is_narrow", "known", "outer_values", "range_bound"]

Product = Callable[[Array], Array]
SMALL = 400  # rows of a block up to which all its eigenvalues are computed
FULL = 1000  # the same of one that is not thin, where that is the one point that is looked at
ROUNDING = 5e-14  # of Ritz values of a matrix whose entries are known, relative to its size
THIN = 0.05  # share of entries that are not 0 up to which a matrix is taken for a sparse one
BEFORE_SHIFT, BEFORE_FULL = 60, 400  # products before a shift is chosen, the second of a full matrix of many rows
MANY = 1000  # such rows
SHIFTED = 30  # solves with one shift
SHIFTS = 8
FEWEST, MOST_PRODUCTS, PRODUCTS = 1000, 20_000, 4 * 10**7  # of products where entries are not known: at least, at most, and times n
GENERAL = 200  # Arnoldi's vectors
WANTED = 6  # eigenvalues from ARPACK
RESTARTS = 6 * 10**7  # of ARPACK, times the entries of the matrix
CLOSE = 1e-4  # relative width of an interval that is narrow enough


@dataclass
class Linear:
    """A matrix, or its products. noise : error of a product with a unit vector, and of an entry. budget : share of all products."""

    n: int
    times: Product
    back: Product | None = None
    matrix: Any = None
    noise: float = 0.0
    budget: float = 1.0

    @property
    def entries(self) -> int:
        """Numbers that a product multiplies, at most."""
        return self.n * self.n if self.matrix is None else int(self.matrix.nnz if hasattr(self.matrix, "nnz") else self.matrix.size)

    @property
    def exhausted(self) -> float:
        """The size of a rest, relative to the matrix, that is noise."""
        return 1e-8 if self.matrix is None and self.noise > 0.0 else krylov.NOTHING


def known(matrix: Any, noise: float, budget: float = 1.0) -> Linear:
    """A matrix whose entries are known, dense or sparse."""
    sparse = scipy_sparse()
    if sparse is not None and not hasattr(matrix, "tocsr") and len(matrix) > SMALL and np.count_nonzero(matrix) < THIN * matrix.size:
        matrix = sparse.csr_array(matrix)
    turned = matrix.T
    return Linear(matrix.shape[0], lambda v: matrix @ v, lambda v: turned @ v, matrix, noise, budget)


def combined(a: float, A: Linear, b: float, B: Linear) -> Linear:
    """a A + b B."""
    if A.matrix is not None and B.matrix is not None:
        return known(a * A.matrix + b * B.matrix, abs(a) * A.noise + abs(b) * B.noise, A.budget)
    one, other, back = A.back, B.back, None
    if one is not None and other is not None:
        back = lambda v: a * one(v) + b * other(v)  # noqa: E731
    return Linear(A.n, lambda v: a * A.times(v) + b * B.times(v), back, None, abs(a) * A.noise + abs(b) * B.noise, A.budget)


@dataclass
class Outer:
    """values : outer eigenvalues, or Ritz values. errors : of each. low, high : bounds of the largest real part of an eigenvalue, -inf and
    inf where there are none. probability : that both hold, 1 where only rounding is against them; nan where `high` is an estimate.
    about : the best estimate."""

    values: NDArray[np.complex128]
    errors: Array
    low: float
    high: float
    probability: float
    about: float
    sure: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))


def outer_values(J: Linear, symmetric: bool) -> Outer:
    """Outer eigenvalues of J."""
    if J.matrix is None:
        return _symmetric_products(J) if symmetric else _general(J)
    if symmetric:
        single, parts = np.empty(0), [0.5 * (J.matrix + J.matrix.T)]
    else:
        single, parts = blocks(J.matrix, J.noise)
    outers = [_one_by_one(single, J.noise)] if single.size else []
    for part in parts:
        outers.append(_block(part, J, symmetric))
    return outers[0] if len(outers) == 1 else _joined(outers)


def _one_by_one(values: Array, noise: float) -> Outer:
    top = float(np.max(values))
    return Outer(
        values.astype(np.complex128), np.full(values.size, noise), top - noise, top + noise, 1.0, top, np.ones(values.size, dtype=np.bool_)
    )


def _block(A: Any, J: Linear, symmetric: bool) -> Outer:
    n = A.shape[0]
    size = float(np.sqrt(np.max(_row_sums(A)) * np.max(_row_sums(A.T))))
    noise = max(J.noise, ROUNDING * size)
    symmetric = symmetric or is_symmetric(A, 4.0 * noise)
    if hasattr(A, "toarray") and (n <= SMALL or A.nnz > THIN * n * n):
        A = A.toarray()
    if n <= SMALL or (n <= FULL and isinstance(A, np.ndarray) and J.budget == 1.0):
        dense = np.asarray(A)
        values, errors = dense_values(dense, noise, symmetric)
        k = int(np.argmax(values.real))
        reach = float(np.max(values.real + errors))
        return Outer(values, errors, float(np.max(values.real - errors)), reach, 1.0, float(values[k].real), errors < abs(values.real))
    part = known(A, noise, J.budget)
    return _symmetric_matrix(part) if symmetric else _general(part)


def _row_sums(A: Any) -> Array:
    return np.asarray(abs(A).sum(axis=1)).ravel()


def _joined(outers: list[Outer]) -> Outer:
    """Of a matrix with several diagonal blocks."""
    return Outer(
        np.concatenate([o.values for o in outers]),
        np.concatenate([o.errors for o in outers]),
        max(o.low for o in outers),
        max(o.high for o in outers),
        math.nan if any(math.isnan(o.probability) for o in outers) else max(0.0, 1.0 - sum(1.0 - o.probability for o in outers)),
        max(o.about for o in outers),
        np.concatenate([o.sure for o in outers]),
    )


def dense_values(J: Array, error: float, symmetric: bool) -> tuple[NDArray[np.complex128], Array]:
    """(all eigenvalues, the error of each), for an error of J in norm.

    Of m eigenvalues whose eigenvectors coincide to rounding the error is at most norm (error/norm)^(1/m): Elsner's bound, for a block.
    """
    norm = float(np.linalg.norm(J))
    work = 10.0 * float(len(J)) ** 3
    if symmetric:
        return interruptible(work, np.linalg.eigvalsh, 0.5 * (J + J.T)).astype(np.complex128), np.full(len(J), error)
    values, right = interruptible(work, np.linalg.eig, J if len(J) > SMALL else J.astype(np.complex128))
    values, right = values.astype(np.complex128), right.astype(np.complex128)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            left = interruptible(work, np.linalg.inv, right)
            errors = error * np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=0)
    except np.linalg.LinAlgError:  # eigenvectors coincide
        errors = np.full(len(J), math.inf)
    together = int(np.sum(~(errors <= math.sqrt(error * max(norm, error)))))
    most = max(norm, error) * (error / max(norm, error)) ** (1.0 / max(together, 2)) if error > 0.0 else 0.0
    return values, np.asarray(np.fmin(errors, most), dtype=np.float64)


# ---- symmetric --------------------------------------------------------------------------------------------------------------------------


def is_narrow(low: float, high: float, noise: float) -> bool:
    """Whether bounds are as close as asked for, or as products with this error allow."""
    return high - low <= max(CLOSE * abs(low), 2.0 * noise)


def _symmetric_products(J: Linear) -> Outer:
    most = int(J.budget * min(MOST_PRODUCTS, max(FEWEST, PRODUCTS // J.n)))

    def enough(ritz: krylov.Ritz) -> bool:
        return is_narrow(float(np.max(ritz.values.real)), ritz.bounds[1], J.noise)

    return _from_ritz(krylov.lanczos(J.times, J.n, most, enough, J.exhausted), J.noise)


def _from_ritz(ritz: krylov.Ritz, noise: float) -> Outer:
    values = ritz.values.real
    top = float(np.max(values))
    keep = (values <= 0.0) | krylov.sure(ritz) | (values == top)  # others of its sign count only where they are no ghosts
    values, residuals = values[keep], ritz.residuals[keep]
    noise = max(noise, ROUNDING * float(np.max(np.abs(values))))
    # Residuals of values inside the spectrum are large and say nothing of its edge.
    errors = np.where(values >= top - noise, residuals + noise, noise)
    errors[0] = max(float(errors[0]), float(values[0]) - ritz.bounds[0] + noise)
    out = Outer(values.astype(np.complex128), errors, top - noise, ritz.bounds[1] + noise, 1.0 - krylov.MISS, top)
    out.sure = krylov.sure(ritz)[keep] | (values == top)
    return out


def _symmetric_matrix(J: Linear) -> Outer:
    """Lanczos' method, and where it is slow on the inverse of shift - J, with shifts that come nearer to the spectrum from its right."""
    full = not hasattr(J.matrix, "tocsc") and J.n > MANY

    def enough(ritz: krylov.Ritz) -> bool:
        return is_narrow(float(np.max(ritz.values.real)), ritz.bounds[1], J.noise)

    ritz = krylov.lanczos(J.times, J.n, BEFORE_FULL if full else BEFORE_SHIFT, enough if full else None)
    first = _from_ritz(ritz, J.noise)
    top, high = float(np.max(ritz.values.real)), ritz.bounds[1]
    values, used = ritz.values.real[:0], 0
    while not is_narrow(top, high, J.noise) and used < SHIFTS:
        shift, used = high + 0.01 * (high - top) + J.noise, used + 1
        solve = _shifted_solver(J.matrix, shift)
        if solve is None:
            return _symmetric_products(J)
        inverse = krylov.lanczos(solve, J.n, SHIFTED, stream=used)
        if float(np.min(inverse.values.real)) < 0.0:  # an eigenvalue beyond the shift, which the bound has missed
            return _symmetric_products(J)
        low, above = _turned(inverse, shift)
        top, high = max(top, low), min(high, above)
        values = shift - 1.0 / inverse.values.real[inverse.residuals <= 1e-6 * inverse.values.real]
    if not used:
        return first
    kept = [top, *(v for v in np.sort(values)[::-1] if v < top - 1e-6 * abs(top))]
    joined = np.concatenate([kept, first.values.real[first.values.real < kept[-1]]]).astype(np.complex128)
    errors = np.full(joined.size, J.noise)
    errors[0] += high - top
    errors[int(np.argmin(joined.real))] += max(0.0, float(np.min(joined.real)) - ritz.bounds[0])
    sure = np.arange(joined.size) < len(kept)
    return Outer(joined, errors, top - J.noise, high + J.noise, max(0.0, 1.0 - (1 + used) * krylov.MISS), top, sure)


def _turned(ritz: krylov.Ritz, shift: float) -> tuple[float, float]:
    """(low, high) of the largest eigenvalue of J, from values of (shift - J)^-1."""
    top = float(np.max(ritz.values.real))
    if not top > 0.0:
        return -math.inf, math.inf
    return shift - 1.0 / top, shift - 1.0 / ritz.bounds[1] if math.isfinite(ritz.bounds[1]) else shift


def _shifted_solver(A: Any, shift: float) -> Product | None:
    """v -> (shift - A)^-1 v by sparse LU or Cholesky's factors; None where there are none."""
    n = A.shape[0]
    if not hasattr(A, "tocsc"):
        try:
            lower = interruptible(float(n) ** 3 / 3.0, np.linalg.cholesky, shift * np.eye(n) - A)
        except np.linalg.LinAlgError:
            return None
        inverse = interruptible(2.0 * float(n) ** 3, np.linalg.inv, lower)
        return lambda v: np.asarray(inverse.T @ (inverse @ v))
    sparse = scipy_sparse()
    try:
        factors = sparse.linalg.splu((shift * sparse.eye_array(n) - A).tocsc())
    except RuntimeError:  # singular
        return None
    return lambda v: np.asarray(factors.solve(v))


# ---- other matrices ---------------------------------------------------------------------------------------------------------------------


def range_bound(J: Linear) -> tuple[float, float]:
    """Bounds of the largest eigenvalue of (J + J^T)/2, the abscissa of the numerical range; (-inf, inf) without products J^T v."""
    back = J.back
    if back is None:
        return -math.inf, math.inf
    if J.matrix is not None:
        half = 0.5 * (J.matrix + J.matrix.T)
        if J.n <= SMALL or (J.n <= FULL and not hasattr(half, "toarray") and J.budget == 1.0):
            top = float(interruptible(J.n**3, np.linalg.eigvalsh, half.toarray() if hasattr(half, "toarray") else half)[-1])
            return top, top
        out = _symmetric_matrix(Linear(J.n, lambda v: half @ v, None, half, J.noise, J.budget))
    else:
        out = _symmetric_products(Linear(J.n, lambda v: 0.5 * (J.times(v) + back(v)), None, None, J.noise, J.budget))
    return out.low, out.high


def _is_normal(J: Linear) -> bool:
    """Whether J^T J = J J^T, seen at two random vectors."""
    if J.back is None:
        return False
    seen = krylov.commutators(J.times, J.back, J.n, (7, 8))
    return not any(apart > 1e-10 * (one + other) + 10.0 * J.noise * math.sqrt(one + other) for apart, one, other in seen)


def _general(J: Linear) -> Outer:
    """Outer eigenvalues of a matrix that is not symmetric."""
    below, above = range_bound(J)
    pairs = _arpack(J)
    if pairs is None:
        ritz = krylov.arnoldi(J.times, J.n, GENERAL, _settled)
        values, residuals, conditions = ritz.values, ritz.residuals, np.full(ritz.values.size, math.inf)
    else:
        values, residuals, conditions = pairs
    noise = max(J.noise, ROUNDING * float(np.max(np.abs(values), initial=0.0)))
    about = float(np.max(values.real))
    if _is_normal(J):  # the numerical range is spanned by the eigenvalues
        errors = np.full(values.size, noise) + residuals
        return Outer(values, errors, below - noise, above + noise, 1.0 - krylov.MISS, max(below, about), errors < abs(values.real))
    with np.errstate(invalid="ignore"):
        errors = conditions * (residuals + noise)
    errors[np.isnan(errors)] = math.inf
    scale = float(np.max(np.abs(values)))
    known = errors <= 1e-3 * scale  # beyond that a bound of first order is none
    low = float(np.max(values.real[known] - errors[known], initial=-math.inf))
    rightmost = int(np.argmax(values.real))
    high, probability = above + noise, 1.0 - krylov.MISS
    if known[rightmost] and about + errors[rightmost] < high:
        high, probability = about + float(errors[rightmost]), math.nan  # unless the iteration has missed an eigenvalue
    return Outer(values, np.minimum(errors, 2.0 * scale), low, high, probability, about, errors < abs(values.real))


def _settled(ritz: krylov.Ritz) -> bool:
    """Whether the rightmost Ritz value is accurate enough."""
    k = int(np.argmax(ritz.values.real))
    return float(ritz.residuals[k]) <= max(1e-4 * abs(float(ritz.values[k].real)), 1e-9 * float(np.max(np.abs(ritz.values))))


def _arpack(J: Linear) -> tuple[NDArray[np.complex128], Array, Array] | None:
    """(eigenvalues to the right and the largest, residuals, conditions) from ARPACK; None where it is missing or has not converged."""
    sparse = scipy_sparse()
    if sparse is None or J.back is None or J.n < 4 * WANTED:
        return None
    back = J.back
    forth = sparse.linalg.LinearOperator((J.n, J.n), matvec=J.times, dtype=np.float64)
    other = sparse.linalg.LinearOperator((J.n, J.n), matvec=back, dtype=np.float64)
    sets = []
    for which in ("LR", "LM"):
        right, left = _eigs(sparse, forth, J, which), _eigs(sparse, other, J, which)
        if right is None or (left is None and which == "LR"):
            if which == "LR":
                return None
            continue
        sets.append(_conditions(J, right, left))
    return tuple(np.concatenate([s[k] for s in sets]) for k in range(3))  # type: ignore[return-value]


def _eigs(sparse: Any, operator: Any, J: Linear, which: str) -> Any:
    try:
        return sparse.linalg.eigs(
            operator,
            WANTED,
            which=which,
            v0=krylov.random_vector(J.n, 3),
            ncv=min(J.n - 1, 60),
            maxiter=max(3, int(min(40 * J.budget, RESTARTS / J.entries))),
            tol=1e-9,
        )
    except (sparse.linalg.ArpackNoConvergence, sparse.linalg.ArpackError):
        return None


def _conditions(J: Linear, right: Any, left: Any) -> tuple[NDArray[np.complex128], Array, Array]:
    """(values, residuals, 1/|cosine| between the left and right vectors of each)."""
    values, vectors = right
    residuals = np.array([
        np.linalg.norm(J.times(v.real) + 1j * J.times(v.imag) - z * v) for z, v in zip(values, vectors.T, strict=True)
    ])  # fmt: skip
    conditions = np.full(values.size, math.inf)
    if left is not None:
        for k, (z, v) in enumerate(zip(values, vectors.T, strict=True)):
            near = int(np.argmin(np.abs(left[0] - np.conj(z))))
            cosine = abs(np.vdot(left[1][:, near], v))
            apart = abs(left[0][near] - np.conj(z))
            conditions[k] = 1.0 / cosine if cosine > 0.0 and apart <= 1e-6 * np.max(np.abs(values)) else math.inf
    return values, residuals, conditions
